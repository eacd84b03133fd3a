"""What every store of inboxes does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from sendwright.model.content import Action
from sendwright.model.inbox import Item, ItemContent, Mark, Place, View
from sendwright.model.states import AttemptState

from .backends import UnderTest, every_backend
from .builders import NOW

backend = every_backend()

ADA = ("acme", "ada")


def item(number: int, **changes: Any) -> Item:
    made = Item(
        f"msg_{number:034}", "acme", "ada", NOW + number, "inbox-main", f"att_{number}", ItemContent(body=f"Hello {number}")
    )
    return replace(made, **changes)


async def shown(backend: UnderTest, view: View = View.ALL, now: int = NOW + 1000) -> list[str]:
    return [found.said.body for found in await backend.inbox.page(*ADA, view, now, 100)]


async def test_what_was_put_there_is_found_whole_and_is_its_persons_alone(backend: UnderTest) -> None:
    said = ItemContent(
        "Títle 🔔", "Body", "https://example.org/", "https://example.org/a.png", (Action("ok", "OK"),), {"n": [1, {"a": None}]}
    )
    await backend.inbox.add(item(1, said=said))
    await backend.inbox.add(item(2, tenant="other"))
    await backend.inbox.add(item(3, recipient="eve"))
    assert list(await backend.inbox.page(*ADA, View.ALL, NOW, 10)) == [item(1, said=said)]


async def test_putting_it_there_again_changes_nothing(backend: UnderTest) -> None:
    await backend.inbox.add(item(1))
    await backend.inbox.mark(*ADA, [item(1).id], Mark.READ, NOW + 5)
    await asyncio.gather(*(backend.inbox.add(item(1, said=ItemContent(body="Other"))) for _ in range(5)))
    (found,) = await backend.inbox.page(*ADA, View.ALL, NOW, 10)
    assert (found.said.body, found.read_at) == ("Hello 1", NOW + 5)


async def test_pages_go_newest_first_without_gap_or_repeat(backend: UnderTest) -> None:
    for number in range(10):
        await backend.inbox.add(item(number, at=NOW + number // 3))
    pages, after = [], None
    while page := list(await backend.inbox.page(*ADA, View.ALL, NOW, 4, after)):
        pages.append([found.id for found in page])
        after = Place(page[-1].at, page[-1].id)
    assert [len(page) for page in pages] == [4, 4, 2]
    assert [id_ for page in pages for id_ in page] == [item(number).id for number in reversed(range(10))]


async def test_each_view_shows_its_own(backend: UnderTest) -> None:
    for number in range(5):
        await backend.inbox.add(item(number))
    await backend.inbox.mark(*ADA, [item(1).id], Mark.READ, NOW)
    await backend.inbox.mark(*ADA, [item(2).id], Mark.ARCHIVED, NOW)
    await backend.inbox.mark(*ADA, [item(3).id], Mark.SNOOZED, NOW, NOW + 5000)
    assert await shown(backend) == ["Hello 4", "Hello 1", "Hello 0"]
    assert await shown(backend, View.UNREAD) == ["Hello 4", "Hello 0"]
    assert await shown(backend, View.ARCHIVED) == ["Hello 2"]
    assert await shown(backend, View.SNOOZED) == ["Hello 3"]
    counts = await backend.inbox.counts(*ADA, NOW + 1000)
    assert (counts.unread, counts.total) == (2, 3)


async def test_what_is_snoozed_comes_back_by_itself_when_its_time_is_there(backend: UnderTest) -> None:
    await backend.inbox.add(item(1))
    await backend.inbox.mark(*ADA, [item(1).id], Mark.SNOOZED, NOW, NOW + 5000)
    before, after = await backend.inbox.counts(*ADA, NOW + 4999), await backend.inbox.counts(*ADA, NOW + 5000)
    assert (before.unread, after.unread) == (0, 1)
    assert before.version != after.version
    assert await shown(backend, now=NOW + 5000) == ["Hello 1"]
    assert await shown(backend, View.SNOOZED, now=NOW + 5000) == []


@pytest.mark.parametrize(
    ("marks", "state"),
    [
        ([Mark.DELIVERED], (1, None, None, None)),
        ([Mark.READ], (1, 1, None, None)),
        ([Mark.DELIVERED, Mark.READ], (1, 2, None, None)),
        ([Mark.READ, Mark.UNREAD], (1, None, None, None)),
        ([Mark.ARCHIVED], (None, None, 1, None)),
        ([Mark.SNOOZED, Mark.ARCHIVED], (None, None, 2, None)),
        ([Mark.ARCHIVED, Mark.SNOOZED], (None, None, None, 9)),
        ([Mark.SNOOZED, Mark.RESTORED], (None, None, None, None)),
        ([Mark.ARCHIVED, Mark.RESTORED], (None, None, None, None)),
    ],
)
async def test_what_a_person_does_with_it(backend: UnderTest, marks: list[Mark], state: tuple[int | None, ...]) -> None:
    await backend.inbox.add(item(0))
    for turn, mark in enumerate(marks, 1):
        (found,) = await backend.inbox.mark(*ADA, [item(0).id], mark, NOW + turn, NOW + 9 if mark == Mark.SNOOZED else None)
        assert await backend.inbox.mark(*ADA, [item(0).id], mark, NOW + 50, NOW + 9) == [], "a second time changes nothing"
    times = (found.delivered_at, found.read_at, found.archived_at, found.snoozed_until)
    assert tuple(None if at is None else at - NOW for at in times) == state


async def test_nobody_marks_what_is_anothers(backend: UnderTest) -> None:
    await backend.inbox.add(item(1))
    assert list(await backend.inbox.mark("acme", "eve", [item(1).id], Mark.READ, NOW)) == []
    assert list(await backend.inbox.mark("other", "ada", [item(1).id], Mark.READ, NOW)) == []
    assert (await backend.inbox.counts(*ADA, NOW)).unread == 1


async def test_all_of_it_at_once_is_what_shows_and_no_more(backend: UnderTest) -> None:
    for number in range(4):
        await backend.inbox.add(item(number))
    await backend.inbox.mark(*ADA, [item(0).id], Mark.READ, NOW)
    await backend.inbox.mark(*ADA, [item(1).id], Mark.ARCHIVED, NOW)
    changed = await backend.inbox.mark(*ADA, None, Mark.READ, NOW + 1)
    assert sorted(found.id for found in changed) == [item(2).id, item(3).id]
    (archived,) = await backend.inbox.page(*ADA, View.ARCHIVED, NOW, 10)
    assert archived.read_at is None


async def test_of_many_who_mark_it_at_once_one_has_done_so(backend: UnderTest) -> None:
    await backend.inbox.add(item(1))
    changed = await asyncio.gather(*(backend.inbox.mark(*ADA, [item(1).id], Mark.READ, NOW + n) for n in range(8)))
    assert sum(len(found) for found in changed) == 1


@pytest.mark.parametrize(
    ("marks", "owed"),
    [
        ([Mark.DELIVERED], AttemptState.DELIVERED),
        ([Mark.DELIVERED, Mark.READ], AttemptState.READ),
        ([Mark.READ, Mark.UNREAD, Mark.ARCHIVED], AttemptState.READ),
        ([Mark.ARCHIVED], None),
        ([Mark.SNOOZED], None),
    ],
)
async def test_what_a_mark_says_is_owed_until_it_was_reported(
    backend: UnderTest, marks: list[Mark], owed: AttemptState | None
) -> None:
    await backend.inbox.add(item(0))
    for turn, mark in enumerate(marks, 1):
        await backend.inbox.mark(*ADA, [item(0).id], mark, NOW + turn, NOW + 9 if mark == Mark.SNOOZED else None)
    again = await backend.restart()
    owing = await again.inbox.owed(10)
    assert [found.owed for found in owing] == ([] if owed is None else [owed])
    await again.inbox.reported(owing)
    assert await again.inbox.owed(10) == []


async def test_what_was_read_while_its_delivery_was_reported_is_owed_yet(backend: UnderTest) -> None:
    await backend.inbox.add(item(0))
    delivered = await backend.inbox.mark(*ADA, None, Mark.DELIVERED, NOW + 1)
    await backend.inbox.mark(*ADA, None, Mark.READ, NOW + 2)
    await backend.inbox.reported(delivered)
    assert [found.owed for found in await backend.inbox.owed(10)] == [AttemptState.READ]


async def test_what_is_owed_longest_comes_first_and_no_more_than_was_asked_for(backend: UnderTest) -> None:
    for number in range(4):
        await backend.inbox.add(item(number))
    for turn, number in enumerate((2, 0, 3)):
        await backend.inbox.mark(*ADA, [item(number).id], Mark.READ, NOW + turn)
    assert [found.id for found in await backend.inbox.owed(2)] == [item(2).id, item(0).id]


async def test_every_change_is_another_version(backend: UnderTest) -> None:
    seen = [(await backend.inbox.counts(*ADA, NOW)).version]
    steps = [Mark.DELIVERED, Mark.READ, Mark.UNREAD, Mark.ARCHIVED, Mark.RESTORED]
    await backend.inbox.add(item(0))
    seen.append((await backend.inbox.counts(*ADA, NOW)).version)
    for turn, mark in enumerate(steps, 1):
        await backend.inbox.mark(*ADA, [item(0).id], mark, NOW + turn)
        seen.append((await backend.inbox.counts(*ADA, NOW + 100)).version)
    assert len(set(seen)) == len(seen)


async def test_what_is_old_is_forgotten_in_slices(backend: UnderTest) -> None:
    for number in range(5):
        await backend.inbox.add(item(number))
    assert await backend.inbox.forget(NOW + 3, 2) == 2
    assert await backend.inbox.forget(NOW + 3, 2) == 1
    assert await backend.inbox.forget(NOW + 3, 2) == 0
    assert await shown(backend) == ["Hello 4", "Hello 3"]


async def test_it_survives_a_crash(backend: UnderTest) -> None:
    await backend.inbox.add(item(1))
    await backend.inbox.mark(*ADA, [item(1).id], Mark.READ, NOW)
    again = await backend.restart()
    assert [found.read_at for found in await again.inbox.page(*ADA, View.ALL, NOW, 10)] == [NOW]
