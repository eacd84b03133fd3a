"""What every kind reports of one attempt moves its message once, however often it is said, and comes to the same in every order."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from sendwright.drivers.store.memory import MemoryBackend
from sendwright.model.parcel import Sighting
from sendwright.model.records import CONTRADICTED
from sendwright.model.states import MessageState
from sendwright.providers import registry
from sendwright.providers.contract import Receipt
from sendwright.web.api.hooks import sighting_of
from tests.conformance.builders import NOW, ManualClock, kinds_of, sent, state_of
from tests.conformance.kinds import samples_of, story_of

REPEATS = 46
"""As often as a vendor has been seen to say the same."""


KINDS = sorted(kind for kind in registry.built_in() if (found := samples_of(kind)) is not None and found.callback)


def receipts(kind: str) -> list[Receipt]:
    told = story_of(kind)
    assert told is not None, f"tests/providers/test_{kind}.py has no story()"
    provider, hooks = told
    return [report for said in hooks for report in provider.reports(said) if isinstance(report, Receipt)]


async def joined(kind: str, order: Sequence[Receipt], repeats: int = 1) -> tuple[MessageState, list[str]]:
    """A message that was sent, after these: its state and its timeline."""
    backend = MemoryBackend(ManualClock())
    ref = next((receipt.ref for receipt in order if receipt.attempt is None), None)
    parcel, held = await sent(backend.ledger, ref=ref)
    for receipt in order:
        seen: Sighting = replace(sighting_of("twilio-main", receipt, NOW), attempt=held.attempt if receipt.attempt else None)
        await asyncio.gather(*(backend.ledger.observe(seen, NOW + 1) for _ in range(repeats)))
    return await state_of(backend, parcel), await kinds_of(backend, parcel)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_said_again_and_again_moves_it_once(kind: str) -> None:
    story = receipts(kind)
    assert story
    once, again = await joined(kind, story), await joined(kind, story, REPEATS)
    assert again == once
    for receipt in story:
        assert await joined(kind, [receipt], REPEATS) == await joined(kind, [receipt])


@pytest.mark.parametrize("kind", KINDS)
async def test_every_order_comes_to_the_same(kind: str) -> None:
    story = receipts(kind)[:5]
    ends: Counter[MessageState] = Counter()
    for order in itertools.permutations(story):
        state, events = await joined(kind, order)
        ends[state] += 1
        moves = [event for event in events if event != CONTRADICTED]
        assert len(moves) == len(set(moves)), f"told twice: {events}"
    assert len(ends) == 1, ends
