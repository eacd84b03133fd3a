"""The description is true: whatever is asked, nothing is a 5xx and no answer lies outside what /openapi.json says.

Requests are made from the document of a running process, good ones and bad ones, with ids that exist and ids that
don't. `FUZZ_SEED=n` draws others, `FUZZ_EXAMPLES=n` more of them; a failure prints how to repeat it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode, checks
from schemathesis.core.result import Ok

from sendwright.web.api.routes import CALLS
from sendwright.web.api.table import OPEN, WATCH

from .harness import ADMIN_KEY, House, Oracle, wait_until
from .world import FAST, World, sandbox_account, text, twilio_account

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("FUZZ_SEED", "20261122"))
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "5"))
ENDLESS = {("GET", "/v1/events")}
"""Streams have no end to wait for."""
FINITE = [call for call in CALLS if (call.method, call.path) not in ENDLESS]
NAMES = [(call.method, call.path) for call in FINITE]
GOOD, BAD = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
ASKED = [(name, GOOD) for name in NAMES]
ASKED += [((c.method, c.path), BAD) for c in FINITE if "{" in c.path or c.body is not None or c.scope not in {OPEN, WATCH}]
"""A call that takes nothing can't be asked badly."""

CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("openapi")
    oracle = Oracle(folder)
    house = House(folder, twilio_account(oracle.url, "main") + sandbox_account(oracle.url, "box", ["email"]), FAST)
    house.start()
    made = World(folder, house, oracle)
    for body in (text(), text("+15005550001"), text(send_at="2027-01-01T00:00:00Z")):
        made.post(body)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def operations(world: World) -> dict[tuple[str, str], Any]:
    """By method and path, from the document that the running process serves."""
    described = schemathesis.openapi.from_dict(world.house.api("GET", "/openapi.json")[1])
    found = [result.ok() for result in described.get_all_operations() if isinstance(result, Ok)]
    return {(operation.method.upper(), operation.path): operation for operation in found}


@pytest.fixture(scope="module")
def known(world: World) -> dict[str, list[dict[str, str]]]:
    """Parameters that stand for something, by the path's first words."""
    rows = world.house.pages("/v1/messages")
    made = [world.house.api("POST", "/v1/keys", {"name": f"key {n}", "scopes": ["read"]})[1] for n in range(3)]
    assert world.house.api("PUT", "/v1/recipients/ada", {"email": "ada@example.org"})[0] == 200
    stopped = [world.house.api("POST", "/v1/suppressions", {"address": f"{n}@example.org"})[1] for n in range(3)]
    told = [world.house.api("POST", "/v1/endpoints", {"url": f"https://hook-{n}.invalid/"})[1] for n in range(3)]
    world.house.api("PUT", "/v1/types/order.shipped", {"content": {"body": "Hello {{ recipient.id }}"}})
    world.house.api("PUT", "/v1/layouts/brand", {"html": "<main>{{ content }}</main>"})
    mailed = world.post({"to": {"email": "ada@example.org"}, "content": {"body": "Tea."}, "category": "marketing"})
    wait_until(lambda: mailed in world.oracle.taken().by_message, 20, "the mail is sent")
    (link,) = {
        entry["unsubscribe_url"]
        for entry in map(json.loads, world.oracle.log.read_text().splitlines())
        if entry.get("unsubscribe_url")
    }
    return {
        "/u/": [{"token": link.rpartition("/")[2]}],
        "/v1/suppressions/": [{"id": each["id"]} for each in stopped],
        "/v1/endpoints/": [{"id": each["id"]} for each in told],
        "/v1/types/": [{"name": "order.shipped"}, {"name": "order.returned"}],
        "/v1/layouts/": [{"name": "brand"}, {"name": "plain"}],
        "/v1/notifications/": [{"id": row["notification"]} for row in rows],
        "/v1/messages/": [{"id": row["id"]} for row in rows],
        "/v1/keys/": [{"id": key["id"]} for key in made],
        "/v1/recipients/": [{"id": "ada"}],
        "/v1/providers/": [{"name": "main"}, {"name": "box"}],
        "/v1/routes/": [{"channel": "sms"}, {"channel": "email"}],
        "/v1/hooks/": [{"provider": "main"}, {"provider": "box"}],
    }


def test_the_document_describes_every_call_and_no_other(operations: dict[tuple[str, str], Any]) -> None:
    assert set(operations) == {*NAMES, *ENDLESS}


@pytest.mark.parametrize(("name", "mode"), ASKED, ids=[f"{' '.join(name)}: {mode.value}" for name, mode in ASKED])
def test_no_answer_is_a_failure_or_a_surprise(
    world: World, operations: dict[tuple[str, str], Any], name: tuple[str, str], mode: GenerationMode
) -> None:
    ask(world, operations[name], mode)


@pytest.mark.parametrize("name", [name for name in NAMES if "{" in name[1]], ids=" ".join)
def test_what_exists_is_answered_as_described(
    world: World,
    operations: dict[tuple[str, str], Any],
    known: dict[str, list[dict[str, str]]],
    name: tuple[str, str],
) -> None:
    for parameters in next(found for prefix, found in known.items() if name[1].startswith(prefix)):
        ask(world, operations[name], GOOD, examples=3, path_parameters=parameters)


def ask(world: World, operation: Any, mode: GenerationMode, examples: int = EXAMPLES, **fixed: Any) -> None:
    """So many requests of this kind, each answer held against the document."""

    @seed(SEED)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode, **fixed))
    def asked(case: Any) -> None:
        case.call_and_validate(
            base_url=world.house.url, headers={"Authorization": f"Bearer {ADMIN_KEY}"}, checks=CHECKS, timeout=20
        )

    asked()
