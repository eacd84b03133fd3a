"""What every store promises of what the operator is told (engine/ports.py, Stands and Credentials): each is told once, with what it
tells of."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from sendwright.model.ids import notice_id
from sendwright.model.notices import CLOSED, EXPIRING, MISCONFIGURED, OPENED, OPERATOR, About, Credential, Notice, Stand
from sendwright.model.records import Event
from tests.conformance.backends import UnderTest, every_backend
from tests.conformance.builders import MINUTE, NOW

backend = every_backend()

ABOUT = About("twilio-main", "twilio", ("sms",))
DAY = 24 * 60 * MINUTE
ILL, REFUSED, WELL = Stand(shut=True), Stand(shut=True, misconfigured=True), Stand()


async def events(backend: UnderTest) -> list[Event]:
    return [event for event in await backend.records.events(OPERATOR, 0, 100) if event.type.startswith(("provider.", "token."))]


async def types(backend: UnderTest) -> list[str]:
    return [event.type for event in await events(backend)]


def notice(mark: int, at: int = NOW) -> Notice:
    return Notice(notice_id(at, bytes([mark]) * 14), EXPIRING, NOW, '{"provider":"p"}')


async def test_a_breaker_is_told_of_where_that_is_news_however_often_it_is_said(backend: UnderTest) -> None:
    if backend.stands is None:
        return  # told by the accord (test_accord.py)
    await asyncio.gather(*(backend.stands.stand(ABOUT, ILL, NOW, "unreachable") for _ in range(9)))
    assert await types(backend) == [OPENED]
    assert not await backend.stands.stand(ABOUT, ILL, NOW, None)
    assert await backend.stands.stand(replace(ABOUT, provider="other"), REFUSED, NOW, "misconfigured")
    assert await types(backend) == [OPENED, OPENED, MISCONFIGURED]
    # and what was told is known after a sudden death
    again = await backend.restart()
    assert again.stands is not None
    assert not await again.stands.stand(ABOUT, ILL, NOW, None)
    assert await again.stands.stand(ABOUT, WELL, NOW + 1, "restarted")
    told = (await events(again))[-1]
    assert (told.type, told.at, told.message) == (CLOSED, NOW + 1, None)
    assert told.notification.startswith("prv_")
    assert told.detail == '{"provider":"twilio-main","kind":"twilio","channels":["sms"],"reason":"restarted"}'


async def test_what_is_known_of_a_credential_is_changed_by_who_knew_it_with_what_is_told_or_not_at_all(backend: UnderTest) -> None:
    store = backend.credentials
    assert await store.known() == {}
    # when: all learn it at once
    first = [store.put(Credential("p", ends_at=NOW + DAY, ask_at=n), [notice(n)]) for n in range(8)]
    done = await asyncio.gather(*first)
    # then
    assert done.count(True) == 1
    won = done.index(True)
    assert await store.known() == {"p": Credential("p", 1, NOW + DAY, won)}
    assert [event.notification for event in await events(backend)] == [notice(won).id]
    # when one comes late, or knows too much
    assert not await store.put(Credential("p", 0, None, 5), [notice(40)])
    assert not await store.put(Credential("p", 2, None, 5), [notice(41)])
    # when one knows how it stands
    later = Credential("p", 1, None, NOW, told=0)
    assert await store.put(later, [notice(42, NOW - 29 * DAY)])
    assert await store.put(Credential("another-one", 0, 5, 6, 7))
    again = await backend.restart()
    assert await again.credentials.known() == {"p": replace(later, version=2), "another-one": Credential("another-one", 1, 5, 6, 7)}
    assert [event.notification for event in await events(again)] == [notice(won).id, notice(42, NOW - 29 * DAY).id]


async def test_what_was_told_is_forgotten_by_its_age(backend: UnderTest) -> None:
    old, young = notice(1, NOW - 100 * DAY), notice(2, NOW - DAY)
    assert await backend.credentials.put(Credential("p"), [old, young])
    while await backend.sweeper.slice(keys_before=0, content_before=NOW - 90 * DAY, rows_before=NOW - 90 * DAY):
        pass
    assert [event.notification for event in await events(backend)] == [young.id]
