"""Keys, tenants, secrets and headers, from outside: what nobody may see, and what everybody gets alike.

Every value in the settings that is a secret is a canary here; whatever the process says or writes is then searched.
"""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from sendwright.web.api.routes import CALLS
from sendwright.web.api.table import OPEN, WATCH, Call
from tests.ports import free_port

from .harness import ADMIN_KEY, House, Oracle, wait_until
from .raw_http import Answer, ScriptedVendor, ask, exchange, parsed
from .world import FAST, World, account, text

pytestmark = pytest.mark.slow

CANARIES = {
    "metrics_key": "canary-metrics-key-0123456789abcdef",
    "secret_key": "canary-secret-key-0123456789abcdefghij",
    "previous_key": "canary-previous-key-0123456789abcdefgh",
    "auth_token": "canary-auth-token",
    "api_key_secret": "canary-api-key-secret",
    "box_token": "canary-box-token",
    "box_secret": "whsec_" + base64.b64encode(b"canary of the sandbox's callbacks").decode(),
    "from_env": "canary-from-the-environment",
    "from_file": "canary-from-a-file",
    "echoed": "canary-that-the-vendor-quotes",
}
SECRETS = {**CANARIES, "admin_key": ADMIN_KEY}

GUARDS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
ELEMENT = "/inbox/sendwright-inbox.js"
SHARED = {
    "cache-control": "public, max-age=300",
    "cross-origin-resource-policy": "cross-origin",
    "access-control-allow-origin": "*",
}
"""The one file that pages of all origins load, and that browsers keep."""


def accounts(url: str, talkative: str, folder: Path) -> str:
    (folder / "token").write_text(CANARIES["from_file"])
    main = f'[providers.main]\nkind = "twilio"\naccount_sid = "{account("a")}"\nfrom = "+15005550006"\nbase_url = "{url}"\n'
    quoting = main.replace("main", "quoting").replace(url, talkative)
    by_key = main.replace("main", "by-key") + f'api_key_sid = "SKa"\napi_key_secret = "{CANARIES["api_key_secret"]}"\n'
    box = f'[providers.box]\nkind = "sandbox"\nurl = "{url}"\nchannels = ["email"]\ntoken = "{CANARIES["box_token"]}"\n'
    return (
        f'{quoting}auth_token = "{CANARIES["echoed"]}"\n{main}auth_token = "{CANARIES["auth_token"]}"\n{by_key}'
        f'{main.replace("main", "of-env")}auth_token = "${{CANARY_TOKEN}}"\n'
        f'{main.replace("main", "of-file")}auth_token = "${{file:{folder}/token}}"\n'
        f'{box}secret = "{CANARIES["box_secret"]}"\n'
    )


SETTINGS = (
    f'metrics_key = "{CANARIES["metrics_key"]}"\n[secrets]\nkey = "{CANARIES["secret_key"]}"\n'
    f'previous = ["{CANARIES["previous_key"]}"]\n{FAST}'
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A house full of canaries, with a vendor that quotes what it was sent in its refusal."""
    folder = tmp_path_factory.mktemp("security")
    vendor = ScriptedVendor(quoting)
    oracle = Oracle(folder)
    house = House(folder, accounts(oracle.url, vendor.url, folder))
    written = house.config.read_text().replace(f'admin_key = "{ADMIN_KEY}"\n', f'admin_key = "{ADMIN_KEY}"\n{API_LINES}')
    house.config.write_text(written.replace("[providers.", f"{OTHER_TABLES}\n[providers.", 1))
    house.start({"CANARY_TOKEN": CANARIES["from_env"]})
    made = World(folder, house, oracle)
    yield made
    made.stop()
    vendor.stop()


API_LINES, _, OTHER_TABLES = SETTINGS.partition("\n")
API_LINES += "\n"


def quoting(request: bytes) -> bytes:
    """A refusal that holds the request's own credentials, in both of their writings."""
    credentials = re.search(rb"Authorization: (Basic (\S+))", request)
    assert credentials is not None
    plain = base64.b64decode(credentials[2]).decode()
    body = json.dumps({"code": 20003, "message": f"not allowed: {credentials[1].decode()} which is {plain}"}).encode()
    return b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


# Secrets


def spellings(secret: str) -> set[str]:
    """As it stands, and as it travels in Basic credentials (whose first bytes depend on what stands before)."""
    return {secret, base64.b64encode(secret.encode()).decode().rstrip("=")[:-2]}


def leaked(said: str) -> list[str]:
    found = [name for name, secret in SECRETS.items() if any(spelling in said for spelling in spellings(secret))]
    basic = [f"{account('a')}:{secret}" for secret in SECRETS.values()]
    found += [name for name, plain in zip(SECRETS, basic, strict=True) if base64.b64encode(plain.encode()).decode()[-12:] in said]
    return found


def test_no_secret_of_the_settings_is_ever_said(world: World) -> None:
    # given a house that has seen every kind of trouble
    port = world.house.port
    message = world.post(text())
    world.comes_to(message, "delivered")
    refused = world.post(text("+15005550001"))
    world.comes_to(refused, "failed")
    answers = [
        ask(port, "GET", f"/v1/messages/{message}"),
        ask(port, "GET", f"/v1/messages/{refused}"),
        *(ask(port, call.method, concrete(call), b"{" if call.body else b"") for call in CALLS if call.path != "/v1/events"),
        *(ask(port, call.method, concrete(call), key="wrong") for call in CALLS if call.path != "/v1/events"),
        *(ask(port, "POST", f"/v1/hooks/{name}?a=x", b"MessageStatus=sent", key=None) for name in ("main", "of-env", "box")),
        ask(port, "POST", "/v1/providers/main/test", {"to": "+14155550199"}),
        ask(port, "POST", "/v1/providers/quoting/test", {"to": "+14155550199"}),
        ask(port, "GET", f"/v1/messages?provider={CANARIES['auth_token']}&limit=x"),
        ask(port, "GET", "/v1/messages", headers={"Sendwright-Tenant": "No Such"}),
        parsed(exchange(port, b"GET / HTTP/9.9\r\n\r\n")),
    ]
    # then no answer holds one, whatever was asked
    assert {leak for answer in answers for leak in leaked(_without_echo(answer))} == set()
    assert leaked(_audit(world)) == []
    # nor does what it prints and logs
    assert leaked(world.house.output()) == []
    # nor its files, but for the key that is kept there on purpose
    assert {leak for file in sorted((world.folder / "data").iterdir()) for leak in leaked(_text(file))} == set()


def _without_echo(answer: Answer) -> str:
    return answer.body.decode("utf-8", "replace") + "\n".join(f"{name}: {value}" for name, value in answer.headers.items())


def _audit(world: World) -> str:
    return json.dumps(world.audit()) + json.dumps(world.house.pages("/v1/dead")) + json.dumps(world.house.pages("/v1/messages"))


def _text(file: Path) -> str:
    return file.read_bytes().decode("latin-1") if file.is_file() else ""


def test_a_refused_account_is_told_without_its_credentials(world: World) -> None:
    standing = world.provider("quoting")
    trial = ask(world.house.port, "POST", "/v1/providers/quoting/test", {"to": "+14155550199"})
    assert trial.json()["outcome"] == "misconfigured"
    assert leaked(json.dumps(standing) + trial.body.decode()) == []


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_check_prints_every_setting_and_masks_every_secret(world: World, flags: list[str]) -> None:
    env = os.environ | {"CANARY_TOKEN": CANARIES["from_env"]}
    command = [sys.executable, "-m", "sendwright", "check", "--config", str(world.house.config), *flags]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=30, check=False)
    said = done.stdout + done.stderr
    assert "metrics_key" in said
    assert "auth_token" in said
    assert leaked(said) == []


WRONG = {
    "short, no address, no table": (
        (
            'canary_setting = "canary-value"\n[api]\nadmin_key = "canary-short"\nlisten = "canary-listen"\n'
            '[secrets]\nkey = "canary-brief"\nprevious = [{ canary-inner = "canary-value" }]\n'
            '[providers.x]\nkind = "twilio"\naccount_sid = "canary-sid"\nauth_token = ["canary-token"]\n'
            '[providers.y]\nkind = "sandbox"\nurl = "http://user:canary-password@127.0.0.1:1/?a"\nsecret = "canary-secret"\n'
        ),
        ("api.admin_key", "api.listen", "secrets.key", "secrets.previous", "x.account_sid", "x.auth_token", "y.url", "y.secret"),
    ),
    "torn": ('[api]\nadmin_key = "canary', ("TOML",)),
}


@pytest.mark.parametrize("name", WRONG)
def test_settings_that_are_refused_are_named_and_not_quoted(tmp_path: Path, name: str) -> None:
    written, places = WRONG[name]
    config = tmp_path / "sendwright.toml"
    config.write_text(written)
    command = [sys.executable, "-m", "sendwright", "up", "--config", str(config), "--data", str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert [place for place in places if place not in done.stderr] == []
    assert "canary-" not in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_keys_that_are_made_are_kept_for_their_owner_alone_and_shown_once(tmp_path: Path) -> None:
    # given a first start without any key, under a careless umask
    house = House(tmp_path, "")
    house.config.write_text(house.config.read_text().replace(f'admin_key = "{ADMIN_KEY}"\n', ""))
    before = os.umask(0)
    try:
        house.start()
    finally:
        os.umask(before)
    try:
        data = tmp_path / "data"
        kept = {name: (data / name).read_text().strip() for name in ("admin_key", "secret_key")}
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in data.iterdir()} == {0o600}
        assert house.output().count(kept["admin_key"]) == 1
        assert kept["secret_key"] not in house.output()
        assert ask(house.port, "GET", "/v1/audit", key=kept["admin_key"]).status == 200
        # when it starts again, the same keys hold and nothing is shown
        house.kill()
        shown = len(house.output())
        house.start()
        assert ask(house.port, "GET", "/v1/audit", key=kept["admin_key"]).status == 200
        assert kept["admin_key"] not in house.output()[shown:]
        # and the store holds neither
        database = b"".join(file.read_bytes() for file in data.glob("sendwright.db*"))
        assert kept["admin_key"].encode() not in database
        assert kept["secret_key"].encode() not in database
    finally:
        house.kill()


# Who may watch


def test_figures_and_docs_need_a_key_where_others_can_reach_them(tmp_path: Path) -> None:
    house = House(tmp_path, "", f'[secrets]\nkey = "{CANARIES["secret_key"]}"\n')
    written = house.config.read_text().replace(f'"127.0.0.1:{house.port}"', f'"0.0.0.0:{house.port}"')
    house.config.write_text(written.replace("[sandbox]", f'metrics_key = "{CANARIES["metrics_key"]}"\n[sandbox]', 1))
    house.start()
    try:
        for path in ("/metrics", "/docs", "/openapi.json"):
            refused = [ask(house.port, "GET", path, key=key) for key in (None, "", "wrong", CANARIES["metrics_key"][:-1])]
            assert {(answer.status, answer.code) for answer in refused} == {(401, "unauthenticated")}
            assert ask(house.port, "GET", f"{path}?key={CANARIES['metrics_key']}", key=None).status in {401, 422}
            assert ask(house.port, "GET", path, key=CANARIES["metrics_key"]).status == 200
            assert ask(house.port, "GET", path, key=ADMIN_KEY).status == 200
        assert ask(house.port, "GET", "/v1/messages", key=CANARIES["metrics_key"]).status == 401
        assert ask(house.port, "GET", "/healthz", key=None).status == 200
    finally:
        house.kill()


def test_on_loopback_figures_and_docs_are_open(world: World) -> None:
    for path in ("/metrics", "/docs", "/openapi.json"):
        assert ask(world.house.port, "GET", path, key=None).status == 200


# What everybody gets


def concrete(call: Call) -> str:
    return call.path.replace("{id}", "ntf_" + "0" * 32).replace("{name}", "main").replace("{provider}", "main")


def test_every_answer_of_every_route_carries_its_id_and_the_guards(world: World) -> None:
    paths = [(call.method, concrete(call)) for call in CALLS if call.path != "/v1/events"]
    paths += [("GET", "/"), ("GET", "/nope"), ("TRACE", "/v1/messages"), ("DELETE", "/v1/notifications"), ("HEAD", "/healthz")]
    paths += [("GET", "/v1/messages?nope=1"), ("POST", "/v1/notifications?x=1"), ("OPTIONS", "/v1/notifications"), ("GET", "/%00")]
    seen: list[str] = []
    for method, path in paths:
        for key in (ADMIN_KEY, None):
            answer = ask(world.house.port, method, path, key=key)
            guards = GUARDS | (SHARED if path == ELEMENT and answer.status == 200 else {})
            assert {name: answer.headers.get(name) for name in guards} == guards, (method, path)
            assert "default-src 'none'" in answer.headers["content-security-policy"], (method, path)
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
            assert "server" not in answer.headers
            assert "set-cookie" not in answer.headers
            assert {name for name in answer.headers if name.startswith("access-control-")} <= guards.keys()
            if path.startswith("/u/"):
                assert answer.headers["content-type"] == "text/html; charset=utf-8"  # for people, who follow a link there
            elif answer.status >= 400 and method != "HEAD":
                assert answer.headers["content-type"] == "application/problem+json", (method, path)
                assert answer.json()["request_id"] == answer.headers["request-id"]
            seen.append(answer.headers["request-id"])
    assert len(seen) == len(set(seen))


def test_a_request_id_is_taken_over_when_it_is_sane(world: World) -> None:
    given = "my-own.id:7"
    assert ask(world.house.port, "GET", "/healthz", headers={"Request-Id": given}).headers["request-id"] == given
    for wrong in ("x" * 129, "a b", "a<script>", "ü", "../x"):
        answer = ask(world.house.port, "GET", "/healthz", headers={"Request-Id": wrong})
        assert answer.headers["request-id"].startswith("req_")


KEYED = [call for call in CALLS if call.scope not in (OPEN, WATCH)]


def test_without_a_key_every_call_answers_alike_whatever_it_was_about(world: World) -> None:
    message = world.post(text())
    wrong: list[dict[str, str]] = [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer  "},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {ADMIN_KEY[:-1]}"},
        {"Authorization": f"Bearer {ADMIN_KEY}x"},
        {"Authorization": f"Bearer {ADMIN_KEY.swapcase()}"},
        {"Authorization": f"Basic {base64.b64encode(f'admin:{ADMIN_KEY}'.encode()).decode()}"},
        {"Authorization": ADMIN_KEY},
        {"Authorization": "Bearer \x00"},
        {"Cookie": f"key={ADMIN_KEY}"},
        {"X-Api-Key": ADMIN_KEY},
        {"Sendwright-Tenant": "default"},
    ]
    said = set()
    for call in KEYED:
        paths = {
            concrete(call),
            concrete(call).replace("ntf_" + "0" * 32, message if "messages" in call.path else f"ntf_{message[4:36]}"),
        }
        for path in paths:
            for headers in wrong[:4] if call is not KEYED[0] else wrong:
                answer = ask(world.house.port, call.method, path, b"{" if call.body else b"", headers, key=None)
                if answer.status == 400 and "\x00" in headers.get("Authorization", ""):
                    continue  # the server takes no NUL in a header
                document = {name: value for name, value in answer.json().items() if name != "request_id"}
                said.add((answer.status, json.dumps(document), answer.headers.get("www-authenticate")))
        assert ask(world.house.port, call.method, f"{concrete(call)}?key={ADMIN_KEY}", key=None).status == 401
    assert len(said) == 1
    assert next(iter(said))[0] == 401


# Tenants


IDS = [call for call in CALLS if call.path.startswith(("/v1/notifications/{id}", "/v1/messages/{id}"))]
"""What else has an id is tried in test_keys.py."""


def test_there_are_calls_with_ids() -> None:
    assert len(IDS) >= 6


@pytest.mark.parametrize("call", IDS, ids=[f"{call.method} {call.path}" for call in IDS])
def test_another_tenants_ids_are_not_there(world: World, call: Call) -> None:
    mine, theirs = {"Sendwright-Tenant": "tenant-a"}, {"Sendwright-Tenant": "tenant-b"}
    accepted = ask(world.house.port, "POST", "/v1/notifications", text(send_at=_later()), mine).json()["id"]
    message = f"msg_{accepted[4:]}00"
    wait_until(lambda: ask(world.house.port, "GET", f"/v1/messages/{message}", headers=mine).status == 200, 5, "it is planned")
    path = call.path.replace("{id}", message if "messages" in call.path else accepted)
    body: Any = {"as": "failed"} if call.path.endswith("resolve") else b""
    unknown = call.path.replace("{id}", "msg_" + "0" * 34 if "messages" in call.path else "ntf_" + "0" * 32)
    for headers in (theirs, {}):
        answer, nothing = (ask(world.house.port, call.method, where, body, headers) for where in (path, unknown))
        assert (answer.status, answer.code) == (404, "not_found")
        assert {**answer.json(), "request_id": ""} == {**nothing.json(), "request_id": ""}  # no oracle either
    assert ask(world.house.port, "GET", f"/v1/messages/{message}", headers=mine).json()["state"] == "scheduled"
    assert ask(world.house.port, call.method, path, body, mine).status != 404


def _later() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))


def test_lists_and_bulk_calls_never_reach_into_another_tenant(world: World) -> None:
    mine, theirs = {"Sendwright-Tenant": "tenant-c"}, {"Sendwright-Tenant": "tenant-d"}
    port = world.house.port
    accepted = ask(port, "POST", "/v1/notifications", text("+15005550001"), mine | {"Idempotency-Key": "of c"}).json()["id"]
    message = f"msg_{accepted[4:]}00"
    wait_until(lambda: ask(port, "GET", f"/v1/messages/{message}", headers=mine).body.find(b'"failed"') > 0, 10, "it fails")
    for path in (
        "/v1/messages",
        f"/v1/messages?notification={accepted}",
        "/v1/notifications",
        "/v1/notifications?idempotency_key=of%20c",
        "/v1/dead",
        f"/v1/dead?notification={accepted}",
    ):
        assert ask(port, "GET", path, headers=theirs).json()["data"] == [], path
        assert ask(port, "GET", path, headers=mine).json()["data"] != [], path
    assert ask(port, "GET", "/v1/dead", headers=theirs).json()["causes"] == []
    for action in ("replay", "drop"):
        by_id = ask(port, "POST", f"/v1/dead/{action}", {"ids": [message]}, theirs)
        assert [by_id.json()[name] for name in ("done", "skipped", "more")] == [0, 1, False]
        assert ask(port, "POST", f"/v1/dead/{action}", {"filters": {}}, theirs).json()["done"] == 0
    assert [row["id"] for row in ask(port, "GET", "/v1/dead", headers=mine).json()["data"]] == [message]


def test_events_are_told_to_their_tenant_alone(world: World) -> None:
    port = world.house.port
    tenants = ("tenant-e", "tenant-f")
    posted: list[bytes] = []
    for tenant in tenants:  # the second when what is told of the first is written
        body = text()
        answer = ask(port, "POST", "/v1/notifications", body, {"Sendwright-Tenant": tenant})
        assert answer.status == 202
        posted.append(answer.json()["id"].encode())
        wait_until(lambda body=body: world.taken(body), 10, "it is sent")
    for tenant, own, foreign in zip(tenants, posted, reversed(posted), strict=True):
        head = f"GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\nSendwright-Tenant: {tenant}\r\n"
        heard = _stream(port, f"{head}Last-Event-ID: 0\r\n\r\n".encode(), own)
        assert heard.startswith(b"HTTP/1.1 200 OK")
        assert heard.count(b"event: notification.accepted") == 1
        assert own in heard
        assert foreign not in heard


def _stream(port: int, request: bytes, until: bytes) -> bytes:
    """What is heard until that was, and a moment longer."""
    heard = b""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(request)
        end = time.monotonic() + 20
        while (left := end - time.monotonic()) > 0:
            sock.settimeout(left)
            try:
                heard += sock.recv(65_536)
            except TimeoutError:
                break
            if until in heard:
                end = min(end, time.monotonic() + 0.3)
    return heard


@pytest.mark.parametrize("tenant", ["", "Upper", "a b", "../x", "a" * 64, "-a", "ü", "a/b", "*", "default, other", "\x7f"])
def test_a_tenant_has_a_name(world: World, tenant: str) -> None:
    named = exchange(
        world.house.port,
        f"GET /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\nSendwright-Tenant: {tenant}\r\n"
        "Connection: close\r\n\r\n".encode(),
    )
    answer = parsed(named)
    assert answer.status in {400, 422}
    if answer.status == 422:
        assert answer.faults() == {"Sendwright-Tenant": "invalid_tenant"}


# People's addresses


def test_addresses_and_content_stay_out_of_logs_and_figures(world: World) -> None:
    body = text("+14155557788", channels=["sms"])
    body["content"]["body"] = "the secret word is xylophone"
    world.comes_to(world.post(body), "delivered")
    ask(world.house.port, "POST", "/v1/notifications", {**body, "priority": "xylophone"})
    ask(world.house.port, "GET", "/v1/messages?recipient=%2B14155557788&limit=x")
    figures = ask(world.house.port, "GET", "/metrics").body.decode()
    listed = json.dumps(world.house.pages("/v1/messages"), ensure_ascii=False)
    for said in (world.house.output(), figures):
        assert "5557788" not in said
        assert "xylophone" not in said
    assert "5557788" not in listed
    assert "+1•••7788" in listed


def test_an_unused_port_is_not_ours(world: World) -> None:
    """The house listens where it was told and nowhere else."""
    assert world.house.process is not None
    ports = {c.laddr.port for c in psutil.Process(world.house.process.child.pid).net_connections() if c.status == "LISTEN"}
    addresses = {c.laddr.ip for c in psutil.Process(world.house.process.child.pid).net_connections() if c.status == "LISTEN"}
    assert ports == {world.house.port}
    assert addresses == {"127.0.0.1"}
    assert free_port() not in ports
