"""What every store shows (engine/ports.py, Records). The recount is in test_audit.py."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sendwright.drivers.store.sqlite import records
from sendwright.model.ids import message_id
from sendwright.model.notification import Priority
from sendwright.model.parcel import Parcel
from sendwright.model.records import Event, Page, Wait
from sendwright.model.said import Said
from sendwright.model.states import AttemptState, MessageState
from tests.conformance.backends import UnderTest, every_backend
from tests.conformance.builders import (
    EMAIL,
    MINUTE,
    NOW,
    SMS,
    TENANT,
    accepted,
    birth,
    claimed,
    in_doubt,
    later,
    lost,
    new_id,
    plan,
    planned,
    receipt,
    rejected,
    sent,
)

backend = every_backend()

A = AttemptState
M = MessageState


async def every_page(list_: Callable[[Page], Awaitable[Any]], page: Page) -> list[str]:
    """The ids of all pages, one after the other; a page never holds more than its limit."""
    found: list[str] = []
    while True:
        listed = await list_(page)
        assert len(listed.rows) <= page.limit
        found += [row.id for row in listed.rows]
        if listed.next is None:
            return found
        assert page.before is None or listed.next < page.before
        page = Page(**{name: getattr(page, name) for name in Page.__struct_fields__} | {"before": listed.next})


def notification_of(parcel: Parcel) -> str:
    return f"ntf_{parcel.id[4:36]}"


# One notification, one message


async def test_a_notification_shows_what_was_asked_and_how_its_messages_are(backend: UnderTest) -> None:
    # given
    ntf = new_id()
    births = [birth(ntf, 0), birth(ntf, 1), birth(ntf, 2, (), state=M.FAILED, reason="no_address")]
    asked = plan(
        *births,
        notification=ntf,
        priority=Priority.HIGH,
        on_doubt="hold",
        content=Said(title="T", body="B"),
        send_at=NOW - 1,
        expires_at=NOW + MINUTE,
        metadata={"order": "7", "ü": "世"},
        key="order-7",
    )
    ((parcel, _),) = await backend.ledger.plan([asked])
    await backend.ledger.settle(accepted(parcel, await claimed(backend.ledger, parcel)))
    # when
    record = await backend.records.notification(TENANT, ntf)
    # then
    assert record is not None
    assert (record.id, record.tenant, record.at, record.priority) == (ntf, TENANT, NOW, Priority.HIGH)
    assert (record.category, record.on_doubt, record.content) == ("transactional", "hold", Said(title="T", body="B"))
    assert (record.send_at, record.expires_at, record.key) == (NOW - 1, NOW + MINUTE, "order-7")
    assert (record.metadata, record.cancelled_at) == ({"order": "7", "ü": "世"}, None)
    assert record.messages == 3
    assert record.counts == {M.SENT: 1, M.QUEUED: 1, M.FAILED: 1}


async def test_the_messages_of_a_notification_come_in_the_order_of_its_recipients_page_by_page(backend: UnderTest) -> None:
    ntf = new_id()
    await backend.ledger.plan([plan(*(birth(ntf, n, recipient=f"user-{n}") for n in range(70)), notification=ntf)])
    await planned(backend.ledger)
    found: list[Any] = []
    while rows := await backend.records.messages_of(ntf, 30, found[-1].id if found else None):
        assert len(rows) <= 30
        found += rows
    assert [row.recipient for row in found] == [f"user-{n}" for n in range(70)]


async def test_a_message_shows_its_wait(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    await backend.ledger.park(parcel, Wait("provider", NOW + 9, key="provider:x", name="x", until=NOW + 5), NOW)
    row = await backend.records.message(TENANT, parcel.id)
    (listed,) = (await backend.records.list_messages(Page(TENANT))).rows
    (within,) = await backend.records.messages_of(notification_of(parcel), 10, None)
    assert row is not None
    assert row == listed == within
    assert row.wait is not None
    assert (row.wait.kind, row.wait.name, row.wait.until, row.wait.due_at) == ("provider", "x", NOW + 5, NOW + 9)


async def test_metadata_is_shown_of_many_notifications_at_once(backend: UnderTest) -> None:
    told, bare, early = plan(metadata={"order": "7", "ü": "世"}), plan(), new_id()
    await backend.ledger.plan([told, bare, plan(metadata={"order": "8"})])
    await backend.ledger.cancel(TENANT, early, NOW)
    found = await backend.records.metadata_of([told.id, bare.id, early, new_id(), "nonsense"])
    assert {name: metadata for name, metadata in found.items() if metadata} == {told.id: {"order": "7", "ü": "世"}}
    assert await backend.records.metadata_of([]) == {}


async def test_attempts_come_by_number(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger, steps=(SMS, EMAIL))
    parcels = [parcel]
    for turn in range(12):
        held = await claimed(backend.ledger, parcels[-1], f"token-{turn}")
        await backend.ledger.settle(later(parcels[-1], held, f"token-{turn}", due_at=NOW, ref=f"SM{turn}"))
        parcels += await backend.waiting.due(NOW, 10)
    rows = await backend.records.attempts(parcel.id)
    assert [(row.number, row.ref) for row in rows] == [(turn + 1, f"SM{turn}") for turn in range(12)]
    assert list(await backend.records.attempts(message_id(new_id(), 0))) == []


async def test_a_timeline_tells_of_the_acceptance_and_of_this_message_alone(backend: UnderTest) -> None:
    ntf = new_id()
    ((one, two),) = await backend.ledger.plan([plan(birth(ntf, 0), birth(ntf, 1), notification=ntf)])
    await backend.ledger.settle(accepted(two, await claimed(backend.ledger, two)))
    held = await claimed(backend.ledger, one)
    await backend.ledger.settle(accepted(one, held, at=NOW + 1))
    await backend.ledger.observe(receipt(A.READ, held.attempt), NOW + 2)
    events = await backend.records.timeline(one.id)
    assert [(event.type, event.at) for event in events] == [
        ("notification.accepted", NOW),
        ("message.sent", NOW + 1),
        ("message.read", NOW + 2),
    ]
    assert [event.message for event in events] == [None, one.id, one.id]


async def test_what_nobody_knows_is_not_shown(backend: UnderTest) -> None:
    await planned(backend.ledger)
    for ntf in (new_id(), "", "ntf_", "nonsense"):
        assert await backend.records.notification(TENANT, ntf) is None
        assert await backend.records.message(TENANT, ntf) is None
        assert list(await backend.records.messages_of(ntf, 10, None)) == []


# Lists


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
async def test_lists_go_from_new_to_old_without_gaps_or_repeats(backend: UnderTest, limit: int) -> None:
    # given
    plans = [plan(birth(ntf, 0), birth(ntf, 1), notification=ntf) for ntf in (new_id() for _ in range(10))]
    await backend.ledger.plan(plans)
    # when
    messages = await every_page(backend.records.list_messages, Page(TENANT, limit))
    notifications = await every_page(backend.records.list_notifications, Page(TENANT, limit))
    # then
    assert messages == sorted((each.id for one in plans for each in one.births), reverse=True)
    assert notifications == sorted((each.id for each in plans), reverse=True)


async def test_a_list_that_grows_while_it_is_read_repeats_nothing(backend: UnderTest) -> None:
    first = [await planned(backend.ledger) for _ in range(6)]
    listed = await backend.records.list_messages(Page(TENANT, 3))
    await planned(backend.ledger)
    rest = await every_page(backend.records.list_messages, Page(TENANT, 3, before=listed.next))
    assert [row.id for row in listed.rows] + rest == sorted((parcel.id for parcel in first), reverse=True)


async def test_an_empty_list_has_no_next_page(backend: UnderTest) -> None:
    for list_ in (backend.records.list_messages, backend.records.list_notifications):
        listed = await list_(Page(TENANT))
        assert (listed.rows, listed.next) == ((), None)


async def _various(backend: UnderTest) -> dict[str, str]:
    """A message of every kind that a filter tells apart, by a name of ours; all of other notifications."""
    ledger = backend.ledger
    queued = await planned(ledger)
    ntf = new_id()
    await ledger.plan([plan(birth(ntf, 0, (EMAIL,), recipient="user-7"), notification=ntf, key="order-7")])
    taken, _ = await sent(ledger)
    other = await planned(ledger)
    held = await claimed(ledger, other, provider="vonage-eu")
    await ledger.settle(accepted(other, held))
    dead = await planned(ledger)
    await ledger.settle(rejected(dead, await claimed(ledger, dead)))
    doubted, _ = await in_doubt(ledger)
    twice = await planned(ledger)
    await ledger.settle(lost(twice, await claimed(ledger, twice)))
    (again,) = await backend.waiting.due(NOW + MINUTE, 10)
    await ledger.settle(accepted(again, await claimed(ledger, again, "token-2"), "token-2"))
    found = {"queued": queued, "taken": taken, "other": other, "dead": dead, "doubted": doubted, "twice": twice}
    return {name: parcel.id for name, parcel in found.items()} | {"email": message_id(ntf, 0)}


FILTERS: list[tuple[dict[str, Any], set[str]]] = [
    ({"state": M.QUEUED}, {"queued", "email"}),
    ({"state": M.SENT}, {"taken", "other", "twice"}),
    ({"state": M.IN_DOUBT}, {"doubted"}),
    ({"state": M.READ}, set()),
    ({"channel": "email"}, {"email"}),
    ({"provider": "vonage-eu"}, {"other"}),
    ({"recipient": "user-7"}, {"email"}),
    ({"recipient": "user-8"}, set()),
    ({"doubled": True}, {"twice"}),
    ({"doubled": False, "state": M.SENT}, {"taken", "other"}),
    ({"dead": True}, {"dead"}),
    ({"dead": True, "reason": "blocked"}, {"dead"}),
    ({"dead": True, "reason": "rejected"}, set()),
    ({"dead": False, "channel": "sms"}, {"queued", "taken", "other", "doubted", "twice"}),
    ({"state": M.SENT, "provider": "twilio-main", "doubled": False}, {"taken"}),
]


@pytest.mark.parametrize("limit", [2, 50])
async def test_filters_of_messages_keep_what_fits_all_of_them(backend: UnderTest, limit: int) -> None:
    names = {ntf: name for name, ntf in (await _various(backend)).items()}
    for filters, expected in FILTERS:
        found = await every_page(backend.records.list_messages, Page(TENANT, limit, **filters))
        assert {names[ntf] for ntf in found} == expected, filters
        assert len(found) == len(expected), filters


async def test_the_messages_of_one_notification_can_be_filtered_out_of_all(backend: UnderTest) -> None:
    ntf = new_id()
    ((one, two),) = await backend.ledger.plan([plan(birth(ntf, 0), birth(ntf, 1), notification=ntf)])
    await planned(backend.ledger)
    await backend.ledger.cancel(TENANT, one.id, NOW)
    page = Page(TENANT, notification=ntf)
    assert await every_page(backend.records.list_messages, page) == [two.id, one.id]
    assert await every_page(backend.records.list_messages, Page(TENANT, notification=ntf, state=M.CANCELLED)) == [one.id]


async def test_a_filter_by_what_is_no_notifications_id_matches_nothing(backend: UnderTest) -> None:
    # given
    ntf = new_id()
    await backend.ledger.plan([plan(birth(ntf, 0, (), state=M.FAILED, reason="unknown_recipient"), notification=ntf)])
    odd = ["zzz", "", "ntf_", "msg_", "~", "%", ntf[:-1], ntf[:8], ntf + "0", "msg_" + ntf[4:], ntf.upper(), message_id(ntf, 0)]
    for name in odd:
        for filters in ({}, {"dead": True}, {"state": M.FAILED}):
            # when
            found = await every_page(backend.records.list_messages, Page(TENANT, notification=name, **filters))
            # then
            assert found == [], name


async def test_a_stretch_of_time_holds_its_first_millisecond_and_not_its_last(backend: UnderTest) -> None:
    # given
    times = [NOW - 1, NOW, NOW + 1, NOW + 2]
    plans = {at: plan(at=at) for at in times}
    await backend.ledger.plan(list(plans.values()))
    # when
    within = {"since": NOW, "until": NOW + 2}
    messages = await every_page(backend.records.list_messages, Page(TENANT, 1, **within))
    notifications = await every_page(backend.records.list_notifications, Page(TENANT, 1, **within))
    # then
    assert notifications == [plans[NOW + 1].id, plans[NOW].id]
    assert messages == [message_id(plans[NOW + 1].id, 0), message_id(plans[NOW].id, 0)]


async def test_notifications_are_found_by_key_and_by_the_lowest_state_of_their_messages(backend: UnderTest) -> None:
    # given
    names = await _various(backend)
    ntf = new_id()
    ((one, _),) = await backend.ledger.plan([plan(birth(ntf, 0), birth(ntf, 1), notification=ntf)])
    await backend.ledger.settle(accepted(one, await claimed(backend.ledger, one)))
    # when
    by_key = await every_page(backend.records.list_notifications, Page(TENANT, key="order-7"))
    queued = await every_page(backend.records.list_notifications, Page(TENANT, 2, state=M.QUEUED))
    # then
    assert by_key == [f"ntf_{names['email'][4:36]}"]
    assert set(queued) == {f"ntf_{names[name][4:36]}" for name in ("queued", "email")} | {ntf}
    assert await every_page(backend.records.list_notifications, Page(TENANT, key="order-8")) == []


async def test_a_notification_cancelled_before_it_was_planned_is_found_and_listed_as_cancelled(backend: UnderTest) -> None:
    # given
    early, theirs = new_id(), new_id("globex")
    await backend.ledger.cancel(TENANT, early, NOW)
    await backend.ledger.cancel("globex", theirs, NOW)
    # when
    record = await backend.records.notification(TENANT, early)
    listed = {state: await every_page(backend.records.list_notifications, Page(TENANT, state=state)) for state in M}
    # then
    assert record is not None
    assert (record.id, record.tenant, record.at, record.cancelled_at) == (early, TENANT, NOW, NOW)
    assert (record.messages, record.counts, record.content, record.metadata) == (0, {}, None, {})
    assert listed == {state: [early] if state == M.CANCELLED else [] for state in M}
    assert await every_page(backend.records.list_notifications, Page(TENANT)) == [early]
    assert await backend.records.notification(TENANT, theirs) is None


async def _behind_many(backend: UnderTest, newer: int, **filters: Any) -> list[str]:
    """Five notifications whose messages are `failed`, newest first, behind so many newer ones of other kinds."""
    rare = [new_id() for _ in range(5)]
    others = [new_id() for _ in range(newer)]
    await backend.ledger.plan(
        [plan(birth(ntf, 0, (EMAIL,), state=M.FAILED, reason="no_address"), notification=ntf) for ntf in rare]
        + [plan(birth(ntf, 0), birth(ntf, 1, (), state=M.FAILED), notification=ntf) for ntf in others]
    )
    return rare[::-1]


async def test_what_matches_is_on_the_first_page_though_thousands_are_newer(backend: UnderTest) -> None:
    # given
    rare = await _behind_many(backend, 2_500)
    # when
    notifications = await backend.records.list_notifications(Page(TENANT, 5, state=M.FAILED))
    messages = await backend.records.list_messages(Page(TENANT, 5, channel="email", state=M.FAILED))
    by_channel = await backend.records.list_messages(Page(TENANT, 3, channel="email"))
    # then
    assert [row.id for row in notifications.rows] == rare
    assert [row.id for row in messages.rows] == [message_id(ntf, 0) for ntf in rare]
    assert [row.id for row in by_channel.rows] == [message_id(ntf, 0) for ntf in rare[:3]]
    assert by_channel.next == message_id(rare[2], 0)


async def test_a_stretch_of_time_is_searched_from_its_own_end(backend: UnderTest) -> None:
    old = plan(at=NOW - MINUTE, steps=(EMAIL,))
    await backend.ledger.plan([old, *(plan() for _ in range(2_500))])
    listed = await backend.records.list_messages(Page(TENANT, 5, channel="email", until=NOW))
    assert ([row.id for row in listed.rows], listed.next) == ([message_id(old.id, 0)], None)


async def test_a_page_that_could_not_be_filled_in_one_go_goes_on_where_it_was_left(
    backend: UnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    monkeypatch.setattr(records, "SCAN_MAX", 20)
    monkeypatch.setattr(records, "STRETCH", 7)
    rare = await _behind_many(backend, 60)
    # when
    for limit in (1, 2, 50):
        notifications = await every_page(backend.records.list_notifications, Page(TENANT, limit, state=M.FAILED))
        queued = await every_page(backend.records.list_notifications, Page(TENANT, limit, state=M.QUEUED))
        messages = await every_page(backend.records.list_messages, Page(TENANT, limit, channel="email"))
        dead = await every_page(backend.records.list_messages, Page(TENANT, limit, channel="email", dead=True))
        # then
        assert notifications == rare
        assert (len(queued), len(set(queued))) == (60, 60)
        assert messages == dead == [message_id(ntf, 0) for ntf in rare]


async def test_the_causes_of_death_are_counted(backend: UnderTest) -> None:
    # given
    for provider in ("twilio-main", "twilio-main", "vonage-eu"):
        parcel = await planned(backend.ledger)
        await backend.ledger.settle(rejected(parcel, await claimed(backend.ledger, parcel, provider=provider)))
    ntf = new_id()
    await backend.ledger.plan([plan(birth(ntf, 0, (), state=M.FAILED, reason="unknown_recipient"), notification=ntf)])
    await sent(backend.ledger)
    # when
    causes = await backend.records.dead_causes(TENANT)
    # then
    assert sorted(tuple(cause) for cause in causes) == [
        ("", "unknown_recipient", "", 1),
        ("sms", "blocked", "twilio-main", 2),
        ("sms", "blocked", "vonage-eu", 1),
    ]


async def test_tenants_never_see_each_others(backend: UnderTest) -> None:
    # given
    ntf = new_id("globex")
    theirs = plan(
        birth(ntf, 0, recipient="user-7"), birth(ntf, 1, (), state=M.FAILED), notification=ntf, tenant="globex", key="order-7"
    )
    await backend.ledger.plan([theirs])
    ours = await planned(backend.ledger)
    # when, then
    records = backend.records
    assert await records.notification(TENANT, ntf) is None
    assert await records.message(TENANT, message_id(ntf, 0)) is None
    assert await every_page(records.list_messages, Page(TENANT)) == [ours.id]
    assert await every_page(records.list_messages, Page(TENANT, notification=ntf)) == []
    assert await every_page(records.list_messages, Page(TENANT, recipient="user-7")) == []
    assert await every_page(records.list_messages, Page(TENANT, dead=True)) == []
    assert await every_page(records.list_notifications, Page(TENANT)) == [notification_of(ours)]
    assert await every_page(records.list_notifications, Page(TENANT, key="order-7")) == []
    assert list(await records.dead_causes(TENANT)) == []
    assert {event.tenant for event in await records.events(TENANT, 0, 100)} == {TENANT}
    assert {event.tenant for event in await records.events("globex", 0, 100)} == {"globex"}
    assert await every_page(records.list_messages, Page("globex")) == [message_id(ntf, 1), message_id(ntf, 0)]


# Events


async def all_events(backend: UnderTest, limit: int, after: int = 0) -> list[Event]:
    found: list[Event] = []
    while page := await backend.records.events(TENANT, found[-1].seq if found else after, limit):
        assert len(page) <= limit
        found += page
    return found


async def test_events_come_in_the_order_of_what_happened_page_by_page(backend: UnderTest) -> None:
    # given
    parcel, held = await sent(backend.ledger, steps=(SMS, EMAIL))
    await backend.ledger.observe(receipt(A.FAILED, held.attempt, reason="unreachable"), NOW)
    await backend.ledger.cancel(TENANT, parcel.id, NOW)
    # when
    events = await all_events(backend, 2)
    # then
    assert [(event.type, event.notification, event.message) for event in events] == [
        ("notification.accepted", notification_of(parcel), None),
        ("message.sent", notification_of(parcel), parcel.id),
        ("message.queued", notification_of(parcel), parcel.id),
        ("message.cancelled", notification_of(parcel), parcel.id),
    ]
    seqs = [event.seq for event in events]
    assert seqs == sorted(set(seqs))
    assert await all_events(backend, 10, after=seqs[1]) == events[2:]
    assert list(await backend.records.events(TENANT, seqs[-1], 10)) == []


async def test_the_straight_path_has_one_event_for_the_notification_and_one_for_each_message(backend: UnderTest) -> None:
    ntf = new_id()
    (parcels,) = await backend.ledger.plan([plan(*(birth(ntf, n) for n in range(3)), notification=ntf)])
    for parcel in parcels:
        await backend.ledger.settle(accepted(parcel, await claimed(backend.ledger, parcel)))
    types = [event.type for event in await all_events(backend, 100)]
    assert types == ["notification.accepted", *["message.sent"] * 3]


async def test_an_event_names_the_reason(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    await backend.ledger.settle(rejected(parcel, await claimed(backend.ledger, parcel)))
    assert [event.detail for event in await all_events(backend, 100)] == ["", "blocked"]


async def test_no_event_is_ever_inserted_before_one_that_was_shown(backend: UnderTest) -> None:
    # given
    parcels = [await planned(backend.ledger) for _ in range(60)]
    held = [await claimed(backend.ledger, parcel, parcel.id) for parcel in parcels]
    shown: list[Event] = []

    async def follow() -> None:
        while len(shown) < 120:
            shown.extend(await backend.records.events(TENANT, shown[-1].seq if shown else 0, 7))
            await asyncio.sleep(0)

    # when
    follower = asyncio.ensure_future(follow())
    await asyncio.gather(*(backend.ledger.settle(accepted(p, h, p.id)) for p, h in zip(parcels, held, strict=True)))
    await asyncio.wait_for(follower, 20)
    # then
    assert shown == await all_events(backend, 1000)


async def test_events_survive_a_crash_and_the_numbers_go_on(backend: UnderTest) -> None:
    await sent(backend.ledger)
    before = await all_events(backend, 100)
    again = await backend.restart()
    assert await all_events(again, 100) == before
    await planned(again.ledger)
    assert (await all_events(again, 100))[-1].seq > before[-1].seq
