"""Keys from outside: every call of a running process with every kind of key, what a dump of the store is worth, and how soon a
revocation is obeyed by processes that nobody has told."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sendwright.model.api_key import SCOPES, api_key_id, written
from tests.unit.key_matrix import CHANNEL, ENTRIES, NOBODYS, SHARED
from tests.unit.test_key_matrix import KEYED, NAMING, wrong

from .harness import ADMIN_KEY, House, Oracle, call, twilio, wait_until
from .raw_http import Answer, ask
from .several import Several, several
from .world import FAST, World, sandbox_account, text, twilio_account

pytestmark = [pytest.mark.slow]

ENDLESS = "GET /v1/events"
SECRET = "a secret key that only this test has 0123456789"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("keys")
    oracle = Oracle(folder)
    accounts = twilio_account(oracle.url, "main") + sandbox_account(oracle.url, "box", ["email"])
    house = House(folder, accounts, f'{FAST}[secrets]\nkey = "{SECRET}"\n')
    house.start()
    made = World(folder, house, oracle)
    yield made
    made.stop()


def made(world: World, *scopes: str, tenant: str = "default", **more: Any) -> str:
    """A key that the API has made."""
    status, answer = world.house.api("POST", "/v1/keys", {"name": "test", "tenant": tenant, "scopes": list(scopes), **more})
    assert status == 201, answer
    return str(answer["key"])


def things_of(world: World, tenant: str) -> dict[str, str]:
    """Something of each kind that a path can name."""
    body = text(send_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600)))
    own = {"Sendwright-Tenant": tenant}
    notification = ask(world.house.port, "POST", "/v1/notifications", body, own).json()["id"]
    message = f"msg_{notification[4:]}00"
    wait_until(lambda: ask(world.house.port, "GET", f"/v1/messages/{message}", headers=own).status == 200, 5, "it is planned")
    assert ask(world.house.port, "PUT", f"/v1/recipients/ada-of-{tenant}", {"email": "ada@example.org"}, own).status == 200
    stopped = ask(world.house.port, "POST", "/v1/suppressions", {"address": f"{tenant}@example.org"}, own).json()["id"]
    people = {"recipient": f"ada-of-{tenant}", "suppression": stopped}
    kind = f"order.of-{tenant}"
    assert ask(world.house.port, "PUT", f"/v1/types/{kind}", {"content": {"body": "Hello"}}, own).status in {200, 201}
    layout = f"brand.of-{tenant}"
    assert ask(world.house.port, "PUT", f"/v1/layouts/{layout}", {"text": "{{ content }}"}, own).status in {200, 201}
    endpoint = ask(world.house.port, "POST", "/v1/endpoints", {"url": "https://nobody.invalid/hook"}, own).json()["id"]
    key = made(world, "read", tenant=tenant)[:12]
    others = {"type": kind, "layout": layout, "endpoint": endpoint}
    return {"notification": notification, "message": message, "key": key, SHARED: "box", CHANNEL: "email", **people, **others}


def tried(world: World, name: str, key: str | None, things: dict[str, str], **headers: str) -> Answer:
    method, path = name.split(" ")
    entry = ENTRIES[name]
    path = re.sub(r"\{\w+\}", lambda _: things.get(entry.names or "", "x"), path)
    return ask(world.house.port, method, path, b"" if entry.body is None else entry.body, headers, key=key)


def test_the_document_of_the_running_process_is_the_one_that_was_tried(world: World) -> None:
    assert wrong(ask(world.house.port, "GET", "/openapi.json").json()) == []


@pytest.fixture(scope="module")
def gone(world: World) -> list[str | None]:
    """What lets nobody in: no key, a revoked one, one past its time, a mistyped one, one that was made up."""
    revoked = made(world, *SCOPES)
    assert ask(world.house.port, "GET", "/v1/messages", key=revoked).status == 200
    assert world.house.api("DELETE", f"/v1/keys/{revoked[:12]}")[0] == 204
    for left_s in (1, 2, 4, 8, 16):
        end = time.time() + left_s
        told = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(end))}.{int(end % 1 * 1000):03d}Z"
        key = {"name": "test", "tenant": "default", "scopes": list(SCOPES), "expires_at": told}
        expired = world.house.api("POST", "/v1/keys", key)[1].get("key")
        let_in = expired and ask(world.house.port, "GET", "/v1/messages", key=expired).status == 200
        if let_in:
            break  # on a machine that stalled its time may be over before it was used
    assert let_in
    time.sleep(max(0.0, end - time.time()))
    return [None, revoked, expired, made(world, *SCOPES)[:-1], written(os.urandom(25))]


@pytest.mark.parametrize("name", [name for name in KEYED if name != ENDLESS])
def test_every_call_takes_the_scope_that_it_says_and_no_other_key(world: World, gone: list[str | None], name: str) -> None:
    things = things_of(world, "default")
    for scope in SCOPES:
        answer = tried(world, name, made(world, scope), things)
        if scope != ENTRIES[name].scope:
            assert (answer.status, answer.code) == (403, "forbidden"), scope
        else:
            assert answer.status not in {401, 403}, answer.body
            assert answer.status < 500
            assert answer.status != 404 or ENTRIES[name].names not in {*things, None}
    assert [tried(world, name, key, things).status for key in gone] == [401] * len(gone)


@pytest.mark.parametrize("name", [name for name in NAMING if ENTRIES[name].names in NOBODYS])
def test_what_is_another_tenants_is_like_what_never_was(world: World, name: str) -> None:
    theirs, key = things_of(world, "tenant-a"), made(world, *SCOPES, tenant="tenant-b")
    foreign, unknown = tried(world, name, key, theirs), tried(world, name, key, NOBODYS)
    if ENTRIES[name].chosen:
        assert (foreign.status, unknown.status) == (200, 200)
    else:
        assert (foreign.status, foreign.code) == (404, "not_found")
        assert {**foreign.json(), "request_id": ""} == {**unknown.json(), "request_id": ""}
    assert tried(world, name, key, theirs, **{"Sendwright-Tenant": "tenant-a"}).status == 403
    own = made(world, *SCOPES, tenant="tenant-a")
    assert ask(world.house.port, "GET", f"/v1/messages/{theirs['message']}", key=own).json()["state"] == "scheduled"
    assert tried(world, name, own, theirs).status in {200, 202, 204, 409}


def test_a_tenants_notifications_are_shown_to_its_keys_alone(world: World) -> None:
    for tenant in ("tenant-c", "tenant-d"):
        assert ask(world.house.port, "POST", "/v1/notifications", text(), key=made(world, "send", tenant=tenant)).status == 202
    wait_until(lambda: len(listed(world, "tenant-c")) == 1, 5, "it is planned")
    assert [row["id"] for row in listed(world, "tenant-c")] != [row["id"] for row in listed(world, "tenant-d")]


def listed(world: World, tenant: str) -> list[dict[str, Any]]:
    rows = ask(world.house.port, "GET", "/v1/notifications", key=made(world, "read", tenant=tenant)).json()["data"]
    return [row for row in rows if row["messages"]]


def writings(key: str) -> set[bytes]:
    """A key, or its secret half, in the writings in which one might be kept; and its plain hashes, which can be compared with."""
    found: set[bytes] = set()
    for part in (key, key[12:], key[12:44], key[4:44]):
        raw = part.encode()
        found |= {raw, raw[::-1], raw.hex().encode(), base64.b64encode(raw).rstrip(b"="), raw.upper()}
        found |= {hashlib.new(name, raw).digest() for name in ("sha256", "sha1", "md5", "blake2b")}
        found |= {hashlib.new(name, raw).hexdigest().encode() for name in ("sha256", "sha1", "md5", "blake2b")}
    return found


def test_a_dump_of_the_store_and_all_that_the_process_has_said_hold_no_usable_key(world: World) -> None:
    keys = [made(world, *SCOPES, tenant=f"dump-{number}") for number in range(3)]
    for key in keys:
        assert ask(world.house.port, "GET", "/v1/messages", key=key).status == 200
        ask(world.house.port, "GET", f"/v1/messages?key={key}", key=key)
        ask(world.house.port, "DELETE", f"/v1/keys/{key}", key=key)
        ask(world.house.port, "POST", "/v1/keys", b"{" + key.encode(), key=key + "x")
        ask(world.house.port, "GET", "/v1/messages", headers={"Authorization": f"Basic {key}"}, key=None)
    files = [file for file in world.folder.rglob("*") if file.is_file() and file.name != "sendwright.toml"]
    assert {"sendwright.db", "house.out"} <= {file.name for file in files}
    for file in files:
        held = file.read_bytes()
        for key in keys:
            assert not [writing for writing in writings(key) if writing in held], file
    # and whatever is kept of a key lets nobody in
    with world.house.database() as db:
        rows = list(db.execute("select * from api_keys"))
    words = {word for row in rows for word in row if isinstance(word, (str, bytes))}
    assert {key[:12] for key in keys} <= words
    for word in words:
        for said in (word,) if isinstance(word, str) else (word.hex(), base64.b64encode(word).decode(), "swk_" + word.hex()[:48]):
            assert ask(world.house.port, "GET", "/v1/messages", key=said.replace(" ", "")).status == 401


def test_keys_outlive_the_process_that_made_them_but_not_the_secret_key(tmp_path: Path) -> None:
    house = House(tmp_path, "", f'[secrets]\nkey = "{SECRET}"\n')
    house.start()
    made_ = house.api("POST", "/v1/keys", {"name": "kept", "scopes": ["read"]})[1]["key"]
    house.kill()
    house.start()
    assert ask(house.port, "GET", "/v1/messages", key=made_).status == 200
    house.stop()
    # When the secret key is another one, then with the old one beside it
    for previous, status in (("", 401), (f'previous = ["{SECRET}"]\n', 200)):
        settings = house.config.read_text().split("[secrets]")[0]
        house.config.write_text(f'{settings}[secrets]\nkey = "{SECRET[::-1]}"\n{previous}')
        house.start()
        assert ask(house.port, "GET", "/v1/messages", key=made_).status == status
        house.stop()


def test_from_the_command_line_a_key_is_made_used_listed_and_revoked(world: World) -> None:
    def command(*args: str, key: str = ADMIN_KEY) -> subprocess.CompletedProcess[str]:
        env = os.environ | {"SENDWRIGHT_URL": world.house.url, "SENDWRIGHT_KEY": key}
        whole = [sys.executable, "-m", "sendwright", *args]
        return subprocess.run(whole, capture_output=True, text=True, timeout=60, check=False, env=env, cwd=world.folder)

    made_ = command("keys", "create", "--name", "cli", "--tenant", "tenant-cli", "--scopes", "admin,read", "--expires-at", "1h")
    assert made_.returncode == 0, made_.stderr
    key = made_.stdout.strip()
    assert api_key_id(key) is not None
    assert command("list", key=key).returncode == 0
    assert command("send", "--to", "+15005550009", "--body", "x", key=key).returncode == 1
    rows = json.loads(command("keys", "list", "--json", key=key).stdout)["data"]
    assert [(row["id"], row["tenant"], row["scopes"]) for row in rows] == [(key[:12], "tenant-cli", ["read", "admin"])]
    assert command("keys", "create", "--name", "more", "--scopes", "send", key=key).returncode == 1
    assert command("keys", "revoke", key).returncode == 0
    by_itself = f'"key": "{key[:12]}", "what": "revoked", "by": "the admin key"'
    wait_until(lambda: by_itself in world.house.output(), 5, "it is in the log")
    gone = command("keys", key=key)
    assert (gone.returncode, gone.stdout) == (1, "")
    assert key[12:] not in gone.stderr


REVOKED_S = 1.0


def hammer(house: Several, url: str, key: str, until: threading.Event, taken: list[float]) -> None:
    """Posts by this key until told to stop; when each call that was let in was begun."""
    while not until.is_set():
        began = time.monotonic()
        status, _ = call("POST", f"{url}/v1/notifications", text(), {"Authorization": f"Bearer {key}"})
        if status == 202:
            taken.append(began)
        else:
            assert status == 401
            time.sleep(0.01)


def test_a_revocation_at_one_api_is_obeyed_by_the_others_within_a_second(tmp_path: Path) -> None:
    oracle = Oracle(tmp_path)
    try:
        with several(tmp_path, twilio(oracle), key=SECRET) as house:
            # Given three APIs over one PostgreSQL, and a key in use at each
            house.start_all(apis=3, workers=0, schedulers=0)
            for turn in range(3):
                key = house.api_at(0, "POST", "/v1/keys", {"name": "k", "tenant": "acme", "scopes": ["send", "admin"]})[1]["key"]
                until = threading.Event()
                taken: list[list[float]] = [[] for _ in house.urls]
                threads = [
                    threading.Thread(target=hammer, args=(house, url, key, until, mine))
                    for url, mine in zip(house.urls, taken, strict=True)
                ]
                for thread in threads:
                    thread.start()
                wait_until(lambda taken=taken: all(len(mine) > 20 for mine in taken), 30, "it is in use everywhere")
                # When one of them is told
                status, _ = house.api_at(turn, "DELETE", f"/v1/keys/{key[:12]}")
                revoked = time.monotonic()
                time.sleep(2)
                until.set()
                for thread in threads:
                    thread.join()
                # Then nobody is let in by it who comes a second later
                assert status == 204
                assert max(max(mine) for mine in taken) < revoked + REVOKED_S
            # And a dump of that database is worth as little
            kept = house.api_at(0, "POST", "/v1/keys", {"name": "k", "scopes": ["read"]})[1]["key"]
            assert call("GET", f"{house.urls[1]}/v1/messages", None, {"Authorization": f"Bearer {kept}"})[0] == 200
            (row,) = house.ask("select row_to_json(k)::text, digest from api_keys k")
            assert not [writing for writing in writings(kept) if writing in row[0].encode() + row[1]]
    finally:
        oracle.stop()
