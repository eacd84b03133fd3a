"""What every store of endpoints promises (engine/ports.py, Endpoints)."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec.structs import replace

from sendwright.model.endpoint import DELIVERED, FAILED, FAILING, GONE, PAUSED, PENDING, Endpoint, Posting, Tried, Try, posting_id
from sendwright.model.ids import reply_id
from sendwright.model.people import Heard
from sendwright.policy.posting import GIVE_UP_MS
from tests.conformance.backends import UnderTest, every_backend
from tests.conformance.builders import MARKER, NOW, TENANT, birth, new_id, plan

backend = every_backend()


def endpoint(number: int = 0, **changes: Any) -> Endpoint:
    made = Endpoint(
        id=f"end_{number:032}",
        tenant="acme",
        url=f"https://example.org/{number}",
        description="",
        types=(),
        secret=b"\x01sealed\x00",
        previous=None,
        previous_until=None,
        disabled_for=None,
        created_at=NOW + number,
        seen=7,
    )
    return replace(made, **changes)


def posting(seq: int, of: Endpoint | None = None, **changes: Any) -> Posting:
    id_ = (of or endpoint()).id
    made = Posting(posting_id(id_, seq), id_, seq, "message.sent", f"msg_{seq}", NOW + seq, f'{{"n":{seq}}}', due_at=NOW + seq)
    return replace(made, **changes)


def tried(before: Posting, at: int, *, ok: bool, gone: bool = False, **changes: Any) -> Tried:
    state = {"state": DELIVERED if ok else PENDING, "due_at": None if ok else at + 5000}
    after = replace(before, count=before.count + 1, tries=(*before.tries, Try(at, 200 if ok else 500, "né", 12)), **state)
    return Tried(replace(after, **changes), at, ok, gone)


async def furnished(backend: UnderTest, *seqs: int, of: Endpoint | None = None) -> Endpoint:
    """An endpoint with postings of these events, all due."""
    made = of or endpoint()
    assert await backend.endpoints.add(made)
    assert await backend.endpoints.spread(made, 100, [posting(seq, made) for seq in seqs])
    return made


async def test_without_endpoints_there_is_nothing_to_count(backend: UnderTest) -> None:
    assert await backend.endpoints.figures(10) == (0, {})


async def test_what_was_added_is_found_whole_and_is_its_tenants_alone(backend: UnderTest) -> None:
    plain = endpoint(1, description="Grüße 🔔", types=("message.sent", "message.failed"))
    every = endpoint(2, tenant="beta", previous=b"\xff\x00", previous_until=5, disabled_for=PAUSED, failing_since=3, failed_at=4)
    assert await backend.endpoints.add(plain)
    assert await backend.endpoints.add(every)
    assert not await backend.endpoints.add(replace(plain, url="https://example.com/"))
    assert await backend.endpoints.find("acme", plain.id) == plain
    assert await backend.endpoints.find("beta", every.id) == every
    assert await backend.endpoints.find("acme", every.id) is None
    assert list(await backend.endpoints.live()) == [plain]


async def test_pages_go_newest_first_without_gap_or_repeat(backend: UnderTest) -> None:
    ours = [endpoint(number, created_at=NOW + number // 3) for number in range(7)]
    for each in (*ours, endpoint(9, tenant="beta")):
        await backend.endpoints.add(each)
    pages, after = [], None
    while page := list(await backend.endpoints.page("acme", 3, after)):
        pages.append(page)
        after = (page[-1].created_at, page[-1].id)
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [each for page in pages for each in page] == ours[::-1]


async def test_of_two_who_change_it_one_does_and_the_stream_goes_on_beside_them(backend: UnderTest) -> None:
    made = await furnished(backend, 8)
    rivals = [replace(made, url=f"https://example.org/rival/{n}", version=2) for n in range(5)]
    done = await asyncio.gather(*(backend.endpoints.save(rival) for rival in rivals))
    assert done.count(True) == 1
    found = await backend.endpoints.find("acme", made.id)
    assert found == replace(rivals[done.index(True)], seen=100)
    assert not await backend.endpoints.save(endpoint(5, version=2))


async def test_of_two_who_read_the_same_events_one_writes(backend: UnderTest) -> None:
    made = endpoint()
    await backend.endpoints.add(made)
    batch = [posting(8), posting(9)]
    done = await asyncio.gather(*(backend.endpoints.spread(made, 9, batch) for _ in range(5)))
    assert done.count(True) == 1
    assert list(await backend.endpoints.postings(made.id, None, 10)) == batch[::-1]
    found = await backend.endpoints.find("acme", made.id)
    assert found is not None
    assert found.seen == 9


async def test_a_posting_that_is_there_already_stays_as_it_is(backend: UnderTest) -> None:
    made = await furnished(backend, 8)
    assert await backend.endpoints.spread(replace(made, seen=100), 101, [posting(8, body="{}"), posting(101)])
    assert [each.body for each in await backend.endpoints.postings(made.id, None, 10)] == ['{"n":101}', '{"n":8}']


async def test_what_is_removed_is_gone_and_gets_nothing_more(backend: UnderTest) -> None:
    made = await furnished(backend, 8, 9, 10)
    assert not await backend.endpoints.remove("beta", made.id)
    assert await backend.endpoints.remove("acme", made.id)
    assert not await backend.endpoints.remove("acme", made.id)
    assert not await backend.endpoints.spread(replace(made, seen=100), 101, [posting(101)])
    assert await backend.endpoints.tried(tried(posting(8), NOW, ok=True)) is None
    assert [await backend.endpoints.purge(made.id, 2) for _ in range(3)] == [2, 1, 0]
    assert list(await backend.endpoints.postings(made.id, None, 10)) == []


async def test_due_ones_are_taken_once_the_longest_due_first_and_again_when_their_taker_died(backend: UnderTest) -> None:
    one = await furnished(backend, 1, 2, 3)
    two = await furnished(backend, 4, of=endpoint(2))
    await furnished(backend, 5, of=endpoint(3))
    ids = [one.id, two.id, endpoint(4).id]
    assert sorted(await backend.endpoints.waiting(ids, NOW + 4)) == [one.id, two.id]
    assert list(await backend.endpoints.waiting(ids, NOW)) == []
    shares = {one.id: 2, two.id: 5}
    takers = await asyncio.gather(*(backend.endpoints.take(shares, NOW + 10, NOW + 60_000) for _ in range(3)))
    taken = [each.seq for some in takers for each in some]
    assert sorted(taken) == [1, 2, 3, 4]
    assert [each.due_at for some in takers for each in some] == [NOW + 60_000] * 4
    assert list(await backend.endpoints.take(shares, NOW + 59_999, NOW + 90_000)) == []
    assert [each.seq for each in await backend.endpoints.take(shares, NOW + 60_000, NOW + 90_000)] == [1, 2, 4]


async def test_a_try_is_kept_whole_and_once(backend: UnderTest) -> None:
    made = await furnished(backend, 8)
    first = tried(posting(8), NOW + 50, ok=False)
    after = await backend.endpoints.tried(first)
    assert after is not None
    assert (after.failing_since, after.failed_at, after.version) == (NOW + 50, NOW + 50, 1)
    assert await backend.endpoints.tried(tried(posting(8), NOW + 51, ok=True)) is None
    assert list(await backend.endpoints.postings(made.id, PENDING, 10)) == [first.posting]
    assert await backend.endpoints.find("acme", made.id) == replace(after, seen=100)
    await backend.endpoints.tried(tried(first.posting, NOW + 60, ok=True))
    (found,) = await backend.endpoints.postings(made.id, DELIVERED, 10)
    assert [(each.at, each.status, each.said, each.ms) for each in found.tries] == [
        (NOW + 50, 500, "né", 12),
        (NOW + 60, 200, "né", 12),
    ]
    healed = await backend.endpoints.find("acme", made.id)
    assert healed is not None
    assert (healed.failing_since, healed.failed_at) == (None, None)


async def test_an_endpoint_that_is_gone_or_fails_for_days_is_posted_to_no_more(backend: UnderTest) -> None:
    gone = await furnished(backend, 1)
    failing = await furnished(backend, 2, of=endpoint(2, failing_since=NOW - GIVE_UP_MS, failed_at=NOW - 1000))
    patient = await furnished(backend, 3, of=endpoint(3, failing_since=NOW - GIVE_UP_MS + 1, failed_at=NOW - 1000))
    await backend.endpoints.tried(tried(posting(1, gone), NOW, ok=False, gone=True, state=FAILED, due_at=None))
    await backend.endpoints.tried(tried(posting(2, failing), NOW, ok=False))
    await backend.endpoints.tried(tried(posting(3, patient), NOW, ok=False))
    found = [await backend.endpoints.find("acme", each.id) for each in (gone, failing, patient)]
    assert [(each.disabled_for, each.version) for each in found if each] == [(GONE, 2), (FAILING, 2), (None, 1)]
    assert [each.id for each in await backend.endpoints.live()] == [patient.id]
    await backend.endpoints.add(endpoint(4, tenant="other", disabled_for=GONE))
    assert await backend.endpoints.figures(10) == (2, {GONE: 2, FAILING: 1})
    assert (await backend.endpoints.figures(1))[0] == 1


async def test_postings_are_shown_newest_first_by_state_and_in_pages(backend: UnderTest) -> None:
    made = await furnished(backend, 1, 2, 3, 4)
    await furnished(backend, 5, of=endpoint(2))
    await backend.endpoints.tried(tried(posting(2), NOW, ok=True))
    assert [each.seq for each in await backend.endpoints.postings(made.id, None, 3)] == [4, 3, 2]
    assert [each.seq for each in await backend.endpoints.postings(made.id, None, 3, 2)] == [1]
    assert [each.seq for each in await backend.endpoints.postings(made.id, DELIVERED, 3)] == [2]


async def test_replay_makes_due_what_is_over_and_begins_its_schedule_anew(backend: UnderTest) -> None:
    made = await furnished(backend, 1, 2, 3, 4)
    other = await furnished(backend, 1, of=endpoint(2))
    for seq, ok in ((1, False), (2, True), (3, False)):
        await backend.endpoints.tried(tried(posting(seq), NOW, ok=ok, state=DELIVERED if ok else FAILED, due_at=None))
    later = NOW + 1_000_000
    assert list(await backend.endpoints.replay(made.id, None, later, 1)) == [posting(1).id]
    assert list(await backend.endpoints.replay(made.id, None, later, 9)) == [posting(3).id]
    wanted = [posting(2).id, posting(4).id, posting(1, other).id, "evt_unknown"]
    assert list(await backend.endpoints.replay(made.id, wanted, later, 1)) == [posting(2).id], "neither pending, nor another's"
    rows = {each.seq: each for each in await backend.endpoints.postings(made.id, None, 10)}
    assert {(each.state, each.due_at, each.began, each.count) for seq, each in rows.items() if seq != 4} == {(PENDING, later, 1, 1)}
    assert rows[4].due_at == NOW + 4


async def test_old_ones_are_forgotten_the_oldest_first(backend: UnderTest) -> None:
    made = await furnished(backend, 1, 2, 3)
    assert [await backend.endpoints.forget(NOW + 3, 1) for _ in range(3)] == [1, 1, 0]
    assert [each.seq for each in await backend.endpoints.postings(made.id, None, 10)] == [3]


async def test_all_of_it_outlives_a_crash(backend: UnderTest) -> None:
    made = await furnished(backend, 1)
    await backend.endpoints.tried(tried(posting(1), NOW, ok=False))
    again = await backend.restart()
    assert [each.count for each in await again.endpoints.postings(made.id, None, 10)] == [1]
    found = await again.endpoints.find("acme", made.id)
    assert found is not None
    assert (found.seen, found.failing_since) == (100, NOW)


async def test_with_a_person_goes_what_was_told_of_it_and_nothing_else(backend: UnderTest) -> None:
    ntf = new_id()
    births = [birth(ntf, 0, recipient="ada"), birth(ntf, 1, recipient="eve")]
    ((ours, theirs),) = await backend.ledger.plan([plan(*births, notification=ntf)])
    reply = Heard(reply_id(NOW, "one", "SM1"), TENANT, "one", "SM1", "a mark", NOW, "{}")
    await backend.suppressions.hear(reply)
    made, foreign = endpoint(tenant=TENANT), endpoint(2, tenant="other")
    for each in (made, foreign):
        subjects = (ours.id, theirs.id, reply.id, "rep_of_somebody")
        rows = [posting(8 + place, each, subject=subject) for place, subject in enumerate(subjects)]
        await backend.endpoints.add(each)
        await backend.endpoints.spread(each, 20, rows)
    await backend.directory.erase(TENANT, "ada", MARKER.person(TENANT, "ada"), NOW, ["a mark"])
    assert [each.seq for each in await backend.endpoints.postings(made.id, None, 9)] == [11, 9]
    assert len(await backend.endpoints.postings(foreign.id, None, 9)) == 4


async def test_what_was_made_of_events_before_a_person_was_erased_is_not_written(backend: UnderTest) -> None:
    made, foreign = endpoint(tenant=TENANT), endpoint(2, tenant="other")
    for each in (made, foreign):
        await backend.endpoints.add(each)
    await backend.directory.erase(TENANT, "ada", MARKER.person(TENANT, "ada"), NOW)
    assert not await backend.endpoints.spread(made, 8, [posting(8, made)])
    assert await backend.endpoints.spread(foreign, 8, [posting(8, foreign)])
    assert list(await backend.endpoints.postings(made.id, None, 9)) == []
    found = await backend.endpoints.find(TENANT, made.id)
    assert found == replace(made, version=found.version if found else 0)
    assert await backend.endpoints.spread(found, 8, [posting(8, made)])


async def test_an_endpoint_that_is_changed_by_who_read_it_before_an_erasure_is_read_anew(backend: UnderTest) -> None:
    made = endpoint(tenant=TENANT)
    await backend.endpoints.add(made)
    await backend.directory.erase(TENANT, "ada", MARKER.person(TENANT, "ada"), NOW)
    assert not await backend.endpoints.save(replace(made, url="https://elsewhere.example/", version=made.version + 1))
    found = await backend.endpoints.find(TENANT, made.id)
    assert found is not None
    assert await backend.endpoints.save(replace(found, url="https://elsewhere.example/", version=found.version + 1))
