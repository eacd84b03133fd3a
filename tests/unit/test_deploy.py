"""What lies in deploy/ fits together and fits the product. It has been linted and not run: there is no cluster here."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from sendwright.app.metrics import Metrics
from sendwright.app.serve import CLOSING_S
from sendwright.cli.root import root
from sendwright.drivers.bus.memory import MemoryBus
from sendwright.engine.telling import EndpointPosted
from sendwright.policy.breaker import State
from sendwright.settings import Settings, load
from tests.conformance.builders import ManualClock

DEPLOY = Path(__file__).parents[2] / "deploy"
SETTINGS = DEPLOY / "sendwright.toml"
ROLES = {"api": 2, "worker": 4, "scheduler": 2}
YAMLS = sorted([*DEPLOY.rglob("*.yaml"), *DEPLOY.rglob("*.yml")])
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
VARIABLES = set(re.findall(r"\$\{([A-Z_]+)\}", "\n".join(re.findall(r"^[^#\n].*$", SETTINGS.read_text(), re.MULTILINE))))


def documents() -> Iterator[dict[str, Any]]:
    for file in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        yield from yaml.safe_load_all(file.read_text())


def of_kind(kind: str) -> dict[str, Any]:
    return {each["metadata"]["name"]: each for each in documents() if each["kind"] == kind}


COMPOSE = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
DEPLOYMENTS = of_kind("Deployment")


def settings() -> Settings:
    """As the roles are started with them."""
    places = {"SENDWRIGHT_SANDBOX": "sandbox:8425", "SENDWRIGHT_PUBLIC_URL": "https://notify.example.com"}
    env = {name: places.get(name, name.ljust(40, "x")) for name in VARIABLES}
    return load(SETTINGS, env).settings


def drained_s() -> float:
    """How long after SIGTERM a process may take to end."""
    return settings().worker.drain_s + CLOSING_S


@pytest.mark.parametrize("file", YAMLS, ids=lambda file: str(file.relative_to(DEPLOY)))
def test_every_file_is_yaml(file: Path) -> None:
    assert [document for document in yaml.safe_load_all(file.read_text()) if document]


def test_the_settings_load_and_the_cluster_has_the_same_ones() -> None:
    assert not settings().embedded
    assert settings().worker.listen is not None
    assert of_kind("ConfigMap")["sendwright"]["data"]["sendwright.toml"] == SETTINGS.read_text()


def test_every_variable_of_the_settings_is_given_by_both() -> None:
    given = set(of_kind("ConfigMap")["sendwright"]["data"]) | set(of_kind("Secret")["sendwright"]["stringData"])

    assert given >= VARIABLES
    for role in (*ROLES, "migrate", "sandbox"):
        assert set(COMPOSE["services"][role]["environment"]) == VARIABLES


def usage(words: list[str]) -> None:
    """The command exists, and has every option that is named."""
    command = root.commands[words[0]]
    flags = {flag for parameter in command.params for flag in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= flags


def ports() -> dict[str, int]:
    given = settings()
    listens = {"api": given.api.listen, "worker": given.worker.listen, "scheduler": given.scheduler.listen}
    return {role: int(str(listen).rpartition(":")[2]) for role, listen in listens.items()}


def test_the_composition_is_what_it_says_and_lets_everybody_drain() -> None:
    services = COMPOSE["services"]

    assert {role: services[role]["deploy"]["replicas"] for role in ROLES} == ROLES
    assert {"postgres", "rabbitmq", "prometheus", "grafana"} <= set(services)
    for role in (*ROLES, "migrate", "sandbox"):
        usage(services[role]["command"])
        assert int(services[role]["stop_grace_period"].removesuffix("s")) > drained_s()
        assert services[role]["command"][0] == role
    for role in ROLES:
        assert f":{ports()[role]}/readyz" in " ".join(services[role]["healthcheck"]["test"])
        assert services[role]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


def test_every_file_that_the_composition_mounts_is_there_and_every_volume_is_named() -> None:
    for name, service in COMPOSE["services"].items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / "compose" / source).resolve().is_file(), (name, source)
            else:
                assert source in COMPOSE["volumes"]
        assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])
        assert set(service.get("depends_on", ())) <= set(COMPOSE["services"])


@pytest.mark.parametrize("role", ROLES)
def test_a_deployment_is_watched_and_may_drain(role: str) -> None:
    deployment = DEPLOYMENTS[role]
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    before_s = int(container["lifecycle"]["preStop"]["exec"]["command"][1])

    assert deployment["spec"]["replicas"] == ROLES[role]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert pod["spec"]["terminationGracePeriodSeconds"] > before_s + drained_s()
    assert container["ports"][0]["containerPort"] == ports()[role]
    assert container["args"][0] == role
    usage(container["args"])
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"  # a store that is away must not restart everybody
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    mounts, volumes = container["volumeMounts"], pod["spec"]["volumes"]
    assert {mount["name"] for mount in mounts} == {volume["name"] for volume in volumes}
    budget = of_kind("PodDisruptionBudget")[role]["spec"]
    assert budget["maxUnavailable"] < ROLES[role]
    assert budget["selector"] == deployment["spec"]["selector"]


def test_the_kustomization_has_every_file_but_the_secret() -> None:
    kustomization = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())
    files = {file.name for file in (DEPLOY / "kubernetes").glob("*.yaml")}

    assert set(kustomization["resources"]) == files - {"kustomization.yaml", "secret.example.yaml"}
    assert not any(of_kind("Secret")["sendwright"]["stringData"].values()), "a secret must not lie here"


@pytest.mark.parametrize("file", UNITS, ids=lambda file: file.name)
def test_a_unit_starts_a_command_and_lets_it_drain(file: Path) -> None:
    text = file.read_text()
    words = re.findall(r"^ExecStart=\S+ (.+)$", text, re.MULTILINE)[0].split()

    usage(words)
    assert int(re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)[0]) > drained_s()
    for variable in re.findall(r"^Environment=SENDWRIGHT_(\w+)=", text, re.MULTILINE):
        assert variable in {"WORKER__LISTEN", "SCHEDULER__LISTEN"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
def test_systemd_finds_no_fault_in_the_units_and_calls_them_well_locked_up(tmp_path: Path) -> None:
    for file in (DEPLOY / "systemd").iterdir():
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", file.read_text(), flags=re.MULTILINE)
        (tmp_path / file.name).write_text(text)
    files = [str(file) for file in sorted(tmp_path.iterdir())]

    verified = subprocess.run(["systemd-analyze", "verify", "--man=no", *files], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    for file in UNITS:
        command = ["systemd-analyze", "security", "--offline=true", "--threshold=15", str(tmp_path / file.name)]
        judged = subprocess.run(command, capture_output=True, text=True, check=False)
        assert judged.returncode == 0, judged.stdout[-200:]


# What is asked of Prometheus


def rendered() -> list[Any]:
    """Every family that the product exports."""
    account = SimpleNamespace(name="p", breaker=SimpleNamespace(state=State.CLOSED))
    figures = SimpleNamespace(dead=0, in_doubt=0, violations=0, endpoint_pending=7, endpoints_disabled={"gone": 2})
    parts: Any = SimpleNamespace(
        fleet=SimpleNamespace(accounts={"p": account}, channels=["sms"]),
        figures=figures,
        reminder=SimpleNamespace(ends_at=lambda _account: 1),
        clock=ManualClock(),
        backend=SimpleNamespace(bus=MemoryBus(ManualClock())),
    )
    metrics = Metrics(parts)
    metrics.attempts["sms", "p", "accepted"] += 1
    metrics.tell(EndpointPosted("later"))
    return list(text_string_to_metric_families(metrics.render().decode()))


def exported() -> dict[str, set[str]]:
    """Every series that the product exports, with its labels."""
    found: dict[str, set[str]] = {}
    for family in rendered():
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_endpoints_are_counted_by_outcome_and_by_why_they_are_posted_to_no_more() -> None:
    samples = [sample for family in rendered() for sample in family.samples if "endpoint" in sample.name]
    assert {(each.name, *each.labels.values()): each.value for each in samples} == {
        ("sendwright_endpoint_posts_total", "later"): 1,
        ("sendwright_endpoint_pending",): 7,
        ("sendwright_endpoints_disabled", "paused"): 0,
        ("sendwright_endpoints_disabled", "gone"): 2,
        ("sendwright_endpoints_disabled", "failing"): 0,
    }


def asked() -> Iterator[tuple[str, str]]:
    """Every expression of dashboard and alerts, by where it stands."""
    dashboard = json.loads((DEPLOY / "monitoring" / "dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for group in yaml.safe_load((DEPLOY / "monitoring" / "alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


FUNCTIONS = {"sum", "max", "count", "rate", "delta", "histogram_quantile"}
SCRAPED = {"job", "instance", "role"}
"""Labels that the scraping adds: see prometheus.yml."""


@pytest.mark.parametrize(("where", "expression"), list(asked()), ids=lambda text: text[:40])
def test_an_expression_asks_only_for_what_is_exported(where: str, expression: str) -> None:
    series = exported() | {"up": set()}
    bare = re.sub(r'"[^"]*"', '""', expression)
    names = set(re.findall(r"\b(sendwright_\w+|up)\b", bare))

    assert names, where
    assert names <= set(series), where
    labels = set().union(*(series[name] for name in names)) | SCRAPED
    matched = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"\"", bare)
    grouped = [label.strip() for group in re.findall(r"\bby \(([^)]*)\)", bare) for label in group.split(",")]
    assert {*matched, *grouped} <= labels, where
    assert set(re.findall(r"\b(\w+)\s*\(", re.sub(r"\bby \(", "[", bare))) - {"and", "or"} <= FUNCTIONS
    assert bare.count("(") == bare.count(")")
    for name in names:
        if name.endswith(("_total", "_bucket")):
            assert re.search(rf"rate\({name}", bare), f"{where}: a counter is looked at by its rate"


def test_the_dashboard_shows_every_metric_that_the_product_has() -> None:
    text = " ".join(expression for _, expression in asked())
    seen = {name for name in exported() if re.search(rf"\b{name}\b", text)}
    families = {re.sub(r"_(total|bucket|sum|count|info)$", "", name) for name in exported()}

    assert families - {re.sub(r"_(total|bucket)$", "", name) for name in seen} == {"sendwright_build"}


def test_alerts_lead_to_commands_that_exist() -> None:
    text = (DEPLOY / "monitoring" / "alerts.yml").read_text()

    named = set(re.findall(r"sendwright ([a-z]+)", text))
    assert named <= set(root.commands)


def test_the_panels_do_not_cover_one_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads((DEPLOY / "monitoring" / "dashboard.json").read_text())["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + dx, place["y"] + dy) for dx in range(place["w"]) for dy in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_the_image_copies_what_the_ignore_file_lets_through() -> None:
    root_folder = DEPLOY.parent
    let = {line[1:] for line in (root_folder / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [line.split()[1:-1] for line in (DEPLOY / "Dockerfile").read_text().splitlines() if re.match(r"COPY (?!--)", line)]

    assert {name for names in copied for name in names} == let
    assert all((root_folder / name).exists() for name in let)
