"""What every store promises of sessions (web/api/services.py, Sessions)."""

from __future__ import annotations

import asyncio
from typing import Any

from sendwright.model.sessions import Session
from tests.conformance.backends import UnderTest, every_backend
from tests.conformance.builders import MINUTE, NOW, TENANT

backend = every_backend()


def session(number: int = 1, **changed: Any) -> Session:
    given: dict[str, Any] = {
        "id": f"{number:064x}",
        "kind": "session",
        "tenant": TENANT,
        "sealed": bytes(range(256)),
        "way": "key",
        "made_at": NOW + number,
        "seen_at": NOW + number,
        "until": NOW + 10 * MINUTE,
        **changed,
    }
    return Session(**given)


async def test_what_was_added_is_found_whole(backend: UnderTest) -> None:
    await backend.sessions.add(session())
    assert await backend.sessions.find(session().id) == session()
    assert await backend.sessions.find(session(2).id) is None


async def test_being_seen_is_noted_and_never_goes_back(backend: UnderTest) -> None:
    await backend.sessions.add(session())
    await backend.sessions.seen(session().id, NOW + MINUTE)
    await backend.sessions.seen(session().id, NOW)
    found = await backend.sessions.find(session().id)
    assert found is not None
    assert (found.seen_at, found.until) == (NOW + MINUTE, session().until)


async def test_what_is_gone_does_not_come_back_by_being_seen(backend: UnderTest) -> None:
    await backend.sessions.seen(session().id, NOW)
    assert await backend.sessions.find(session().id) is None


async def test_of_several_who_take_the_same_link_one_gets_it(backend: UnderTest) -> None:
    link = session(kind="link", way="link")
    await backend.sessions.add(link)
    taken = await asyncio.gather(*(backend.sessions.take(link.id) for _ in range(5)))
    assert sorted(taken, key=str) == sorted([link, None, None, None, None], key=str)
    assert await backend.sessions.find(link.id) is None


async def test_the_tenants_sessions_are_listed_latest_first_and_links_are_not(backend: UnderTest) -> None:
    for each in (session(1), session(2), session(3, tenant="other"), session(4, kind="link")):
        await backend.sessions.add(each)
    assert list(await backend.sessions.all_of(TENANT)) == [session(2), session(1)]


async def test_one_is_ended_or_all_and_nobody_elses(backend: UnderTest) -> None:
    other, link = session(4, tenant="other"), session(5, kind="link")
    for each in (session(1), session(2), session(3), other, link):
        await backend.sessions.add(each)
    assert await backend.sessions.end(TENANT, other.id) == 0
    assert await backend.sessions.end(TENANT, session(2).id) == 1
    assert await backend.sessions.end(TENANT, session(2).id) == 0
    assert list(await backend.sessions.all_of(TENANT)) == [session(3), session(1)]
    assert await backend.sessions.end(TENANT) == 2
    assert await backend.sessions.all_of(TENANT) == []
    assert await backend.sessions.find(other.id) == other
    assert await backend.sessions.find(link.id) == link


async def test_what_is_over_is_forgotten_when_somebody_signs_in(backend: UnderTest) -> None:
    await backend.sessions.add(session(1, until=NOW + MINUTE))
    await backend.sessions.add(session(2))
    await backend.sessions.add(session(3, made_at=NOW + MINUTE))
    assert await backend.sessions.find(session(1).id) is None
    assert await backend.sessions.find(session(2).id) == session(2)


async def test_sessions_survive_a_crash(backend: UnderTest) -> None:
    await backend.sessions.add(session())
    again = await backend.restart()
    assert await again.sessions.find(session().id) == session()
