"""Every call of the OpenAPI document, tried with every kind of key, and with what is another tenant's.

The calls are those of the document, whatever is added to it; what each must demand stands in key_matrix.py. A call without a line
there fails here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import pytest

from sendwright.model.api_key import SCOPES, written
from sendwright.web.api.openapi import describe
from sendwright.web.api.routes import CALLS
from sendwright.web.api.table import INBOX, OPEN, WATCH, Call

from .api_world import NOW, World
from .asgi_client import Client, Response
from .key_matrix import ENTRIES, EVERYBODYS, NOBODYS, Entry, furnished

DOCUMENT = describe(CALLS, "https://notify.example.com")


def named(document: Mapping[str, Any]) -> dict[str, Any]:
    """The operations of a document by method and path."""
    return {f"{method.upper()} {path}": said for path, item in document["paths"].items() for method, said in item.items()}


OPERATIONS = named(DOCUMENT)
ALL = sorted(OPERATIONS)
KEYED = [
    name for name in ALL if any("key" in way for way in OPERATIONS[name]["security"]) and {} not in OPERATIONS[name]["security"]
]
NAMING = [name for name in KEYED if "{" in name]


def wrong(document: Mapping[str, Any]) -> list[str]:
    """Where a document and the lines of key_matrix.py disagree."""
    operations, found = named(document), []
    for name in sorted(operations.keys() | ENTRIES.keys()):
        if name not in ENTRIES:
            found.append(f"{name} has no line in tests/unit/key_matrix.py")
        elif name not in operations:
            found.append(f"{name} is not in the document")
        elif operations[name]["security"] != security(ENTRIES[name]):
            found.append(f"{name} demands {operations[name]['security']}")
        elif ("{" in name) != (ENTRIES[name].names is not None):
            found.append(f"{name}: say what its path names")
    return found


def security(entry: Entry) -> list[Any]:
    return {OPEN: [], WATCH: [{}, {"key": []}], INBOX: [{"recipient": []}]}.get(entry.scope, [{"key": [entry.scope]}])


def test_every_call_of_the_document_demands_what_is_written_down_and_no_line_is_left_over() -> None:
    assert wrong(DOCUMENT) == []


def test_a_new_call_without_a_line_fails_and_so_does_one_that_demands_less() -> None:
    new = Call(method="GET", path="/v1/secrets", scope="read", summary="", tag="", handler=CALLS[1].handler)
    assert wrong(describe([*CALLS, new], "https://x.example")) == ["GET /v1/secrets has no line in tests/unit/key_matrix.py"]
    laxer = [call if call.path != "/v1/audit" else OPEN_AUDIT for call in CALLS]
    assert wrong(describe(laxer, "https://x.example")) == ["GET /v1/audit demands []"]
    assert wrong(describe(CALLS[1:], "https://x.example")) == ["POST /v1/notifications is not in the document"]


OPEN_AUDIT = Call(method="GET", path="/v1/audit", scope=OPEN, summary="", tag="")


class Tried:
    """A world with keys of all kinds, and one call to try them on."""

    def __init__(self, name: str) -> None:
        assert name in ENTRIES, f"{name} has no line in tests/unit/key_matrix.py"
        self.world = World()
        self.world.draining.set()  # streams end
        self.entry = ENTRIES[name]
        self.method, self.path = name.split(" ")

    async def furnish(self) -> Tried:
        self.things = await furnished(self.world)
        return self

    async def key(self, *scopes: str, tenant: str = "default", **more: Any) -> tuple[str, str]:
        """A key's id, and the key."""
        key, text = await self.world.warden.made(tenant, "tried", scopes, **more)
        return key.id, text

    async def ask(self, key: str | None, things: Mapping[str, str] | None = None, **headers: str) -> Response:
        path = re.sub(r"\{\w+\}", lambda _: (things or self.things)[self.entry.names or ""], self.path)
        given = {} if key is None else {"authorization": f"Bearer {key}"}
        return await Client(self.world.app, given).request(self.method, path, json=self.entry.body, headers=headers)


def let_in(answer: Response) -> bool:
    """Whether the call did its work, or said why this one can't be done: a body that is not understood proves nothing."""
    return answer.status < 300 or answer.status == 409


@pytest.mark.parametrize("name", KEYED)
@pytest.mark.parametrize("scope", SCOPES)
async def test_a_key_with_one_scope_may_do_what_takes_that_scope_and_nothing_else(name: str, scope: str) -> None:
    tried = await Tried(name).furnish()
    _, key = await tried.key(scope)
    answer = await tried.ask(key)
    if scope == tried.entry.scope:
        assert let_in(answer), answer.body
    else:
        assert (answer.status, answer.json()["code"]) == (403, "forbidden")
        assert tried.entry.scope in answer.json()["detail"]


@pytest.mark.parametrize("name", KEYED)
async def test_the_other_two_scopes_together_are_no_third(name: str) -> None:
    tried = await Tried(name).furnish()
    _, key = await tried.key(*(set(SCOPES) - {tried.entry.scope}))
    assert (await tried.ask(key)).status == 403


@pytest.mark.parametrize("name", KEYED)
async def test_no_key_a_revoked_an_expired_a_mistyped_and_a_made_up_one_are_all_refused_alike(name: str) -> None:
    tried = await Tried(name).furnish()
    known, revoked = await tried.key(*SCOPES)
    assert let_in(await tried.ask(revoked))
    await tried.world.warden.revoke("default", known)
    _, expired = await tried.key(*SCOPES, expires_at=tried.world.clock.ms + 1)
    tried.world.clock.ms += 1
    _, good = await tried.key(*SCOPES)
    mistyped = good[:-1] + ("0" if good[-1] != "0" else "1")
    for key in (None, revoked, expired, mistyped, written(os.urandom(25)), "swk_", ""):
        answer = await tried.ask(key)
        assert (answer.status, answer.json()["code"]) == (401, "unauthenticated"), key
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["detail"] == (await tried.ask(None)).json()["detail"]


@pytest.mark.parametrize("name", KEYED)
async def test_a_made_key_acts_for_nobody_else_and_does_not_say_for_whom(name: str) -> None:
    tried = await Tried(name).furnish()
    _, key = await tried.key(*SCOPES)
    for tenant in ("default", "acme", "?"):
        answer = await tried.ask(key, **{"sendwright-tenant": tenant})
        assert (answer.status, answer.json()["code"]) == (403, "forbidden")
    assert tried.world.desk.taken == []


@pytest.mark.parametrize("name", NAMING)
async def test_what_is_another_tenants_is_like_what_never_was(name: str) -> None:
    tried = await Tried(name).furnish()
    _, key = await tried.key(*SCOPES, tenant="acme")
    if tried.entry.names in EVERYBODYS:
        assert (await tried.ask(key)).status in ((403,) if tried.entry.of_all else (200, 201))
        return
    theirs = await whole(tried)
    foreign, unknown = await tried.ask(key), await tried.ask(key, NOBODYS)
    status = 200 if tried.entry.chosen else 404
    assert (foreign.status, unknown.status) == (status, status)
    assert tried.entry.chosen or bare(foreign) == bare(unknown)
    assert await whole(tried) == theirs
    assert tried.world.book.asked == []
    assert await tried.world.keyring.find([tried.things["key"]])
    # and whose it is finds it
    _, own = await tried.key(*SCOPES)
    assert let_in(await tried.ask(own))


async def whole(tried: Tried) -> list[Any]:
    """Of the tenant `default`, what is kept of people."""
    people = tried.world.people
    return [await people.directory.page("default", 10, None), await people.suppressions.page("default", 10, None, NOW)]


EMPTY = {"GET /v1/dead"}
"""Lists in which nothing of what is furnished stands."""


def bare(answer: Response) -> dict[str, Any]:
    return {name: value for name, value in answer.json().items() if name != "request_id"}


@pytest.mark.parametrize("name", [name for name in KEYED if name.startswith("GET ") and "{" not in name])
async def test_a_list_shows_a_tenant_its_own_alone(name: str) -> None:
    tried = await Tried(name).furnish()
    _, key = await tried.key(*SCOPES, tenant="acme")
    _, own = await tried.key(*SCOPES)
    theirs, ours = await tried.ask(key), await tried.ask(own)
    assert theirs.status == (403 if tried.entry.of_all else 200)
    if not tried.entry.shared:
        assert not [thing for what, thing in tried.things.items() if what not in EVERYBODYS and thing.encode() in theirs.body]
    if ours.headers["content-type"] == "application/json" and "data" in ours.json() and name not in EMPTY:
        assert ours.json()["data"], "there is nothing to hide"


@pytest.mark.parametrize("name", [name for name in KEYED if ENTRIES.get(name, Entry(OPEN)).of_all])
async def test_what_concerns_all_tenants_takes_a_key_of_the_operators_tenant(name: str) -> None:
    tried = await Tried(name).furnish()
    _, theirs = await tried.key(*SCOPES, tenant="acme")
    _, ours = await tried.key("admin")
    answer = await tried.ask(theirs)
    assert (answer.status, answer.json()["code"]) == (403, "forbidden")
    assert let_in(await tried.ask(ours))


@pytest.mark.parametrize("name", KEYED)
async def test_a_rate_counts_every_call_and_the_one_too_many_is_told_when_to_come_again(name: str) -> None:
    tried = await Tried(name).furnish()
    _, key = await tried.key(*SCOPES, rate="2/h")
    left = []
    for _ in range(2):
        answer = await tried.ask(key)
        assert answer.status not in {401, 403, 429}
        assert answer.headers["ratelimit-policy"] == '"key";q=2;w=3600'
        left.append(answer.headers["ratelimit"])
        tried.world.clock.ms = NOW  # a call may take its time
    assert left == ['"key";r=1;t=1800', '"key";r=0;t=1800']
    refused = await tried.ask(key)
    assert (refused.status, refused.json()["code"]) == (429, "rate_limited")
    assert refused.headers["retry-after"] == "1800"
    assert (refused.headers["ratelimit-policy"], refused.headers["ratelimit"]) == ('"key";q=2;w=3600', '"key";r=0;t=1800')
    tried.world.clock.ms += 1_800_000
    assert (await tried.ask(key)).status != 429


@pytest.mark.parametrize("name", KEYED)
async def test_the_admin_key_may_do_everything_for_every_tenant_and_has_no_rate(name: str) -> None:
    tried = await Tried(name).furnish()
    for headers in ({}, {"sendwright-tenant": "default"}):
        answer = await Client(tried.world.app, tried.world.client.headers | headers).request(
            tried.method,
            re.sub(r"\{\w+\}", lambda _: tried.things[tried.entry.names or ""], tried.path),
            json=tried.entry.body,
        )
        assert let_in(answer) or (tried.method == "DELETE" and headers)
        assert "ratelimit" not in answer.headers


@pytest.mark.parametrize("name", [name for name in ALL if name not in KEYED])
async def test_what_takes_no_key_takes_no_notice_of_one_and_what_is_the_operators_opens_to_no_made_key(name: str) -> None:
    tried = await Tried(name).furnish()
    _, key = await tried.key(*SCOPES)
    without, with_key = await tried.ask(None), await tried.ask(key)
    assert without.status == with_key.status
    assert (without.status == 401) == (tried.entry.scope in (WATCH, INBOX) or "hooks" in name)


@pytest.mark.parametrize("scopes", [("send",), ("read",), ("send", "read")])
async def test_who_may_not_steer_has_no_way_to_a_key_that_may(scopes: tuple[str, ...]) -> None:
    tried = await Tried("POST /v1/keys").furnish()
    _, key = await tried.key(*scopes)
    for name in ("POST /v1/keys", "GET /v1/keys", "DELETE /v1/keys/{id}"):
        other = Tried(name)
        other.world, other.things = tried.world, tried.things
        assert (await other.ask(key)).status == 403
