"""The warden: who is let in by a key, how little that costs, and how soon a revocation is obeyed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pytest

from sendwright.drivers.store.memory_keyring import MemoryKeyRing
from sendwright.drivers.store.memory_tables import MemoryStore
from sendwright.engine import warden as wardens
from sendwright.engine.telling import KeyMoved, Trouble
from sendwright.engine.warden import FRESH_S, KEPT_S, NOTED_MS, TURN_S, Warden
from sendwright.errors import StoreDown
from sendwright.model.api_key import ApiKey, api_key_id, digest_of, pepper_of
from tests.unit.api_world import StandingClock

SECRET = b"a secret key of the settings, of thirty-two characters"
OLDER = b"the secret key that was in force before this one was"


class Ring(MemoryKeyRing):
    """Counts what it is asked; `gate` holds answers back after they have been looked up."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.asked: list[list[str]] = []
        self.noted: list[dict[str, int]] = []
        self.down = False
        self.gate: asyncio.Event | None = None

    async def find(self, ids: Collection[str]) -> Sequence[ApiKey]:
        self.asked.append(list(ids))
        if self.down:
            raise StoreDown("down")
        found = await super().find(ids)
        if self.gate is not None:
            await self.gate.wait()
        return found

    async def used(self, at: Mapping[str, int]) -> None:
        self.noted.append(dict(at))
        await super().used(at)


class House:
    """One store, and as many processes over it as are asked for."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.clock = StandingClock()
        self.told: list[Any] = []
        self.ring, self.warden = self.process()

    def process(self, *secrets: bytes) -> tuple[Ring, Warden]:
        ring = Ring(self.store)
        return ring, Warden(ring, self.clock, secrets or (SECRET,), os.urandom, self.told.append)

    async def key(self, **wish: Any) -> tuple[ApiKey, str]:
        return await self.warden.made(**{"tenant": "acme", "name": "k", "scopes": ["read", "send"], **wish})

    def pass_s(self, seconds: float) -> None:
        self.clock.ms += round(seconds * 1000)


async def test_a_key_is_known_by_what_was_shown_once_and_by_nothing_that_is_kept() -> None:
    house = House()
    kept, text = await house.key(expires_at=house.clock.ms + 1000, rate="5/s")
    assert (kept.id, kept.scopes) == (api_key_id(text), ("send", "read"))
    assert await house.warden.found(text) == kept
    # Neither the digest, in whatever writing, nor the id, nor the two together let anybody in
    for forged in (kept.id, kept.digest.hex(), kept.id + kept.digest.hex()[:40], text[:-1], text.upper(), text + " "):
        assert await house.warden.found(forged) is None
        assert house.warden.recalled(forged) is None
    assert text[12:] not in repr(house.store.tables.api_keys.rows)
    assert "digest" not in repr(kept)


async def test_a_mistyped_key_is_refused_without_asking_the_store() -> None:
    house = House()
    _, text = await house.key()
    for place in range(4, len(text)):
        wrong = text[:place] + ("0" if text[place] != "0" else "1") + text[place + 1 :]
        assert await house.warden.found(wrong) is None
    assert await house.warden.found("swk_") is None
    assert house.ring.asked == []


async def test_a_wrong_secret_with_a_good_checksum_is_refused_and_is_no_use_of_the_key() -> None:
    house = House()
    kept, text = await house.key()
    other = await house.warden.made("acme", "other", ["send"])
    core = text[4:12] + other[1][12:44]
    forged = f"swk_{core}" + wardens.written.__globals__["_checksum"](core)
    assert api_key_id(forged) == kept.id
    assert await house.warden.found(forged) is None
    house.pass_s(TURN_S)
    await house.warden.turn()
    assert house.ring.noted == []


async def test_a_busy_key_costs_its_calls_no_question() -> None:
    house = House()
    keys = [await house.key(name=str(number)) for number in range(20)]
    for _, text in keys:
        assert await house.warden.found(text)
    first = len(house.ring.asked)
    # When all of them are used for half a minute, and the warden takes its turns
    for _ in range(100):
        for kept, text in keys:
            recalled = house.warden.recalled(text)
            assert recalled is not None
            assert recalled.id == kept.id
        house.pass_s(TURN_S)
        await house.warden.turn()
    # Then each turn has asked once, for all of them
    assert len(house.ring.asked) - first == 100
    assert all(len(asked) == 20 for asked in house.ring.asked[first:])
    # and nobody asks for what nobody uses
    house.pass_s(KEPT_S)
    for _ in range(10):
        await house.warden.turn()
    assert len(house.ring.asked) - first == 100


async def test_a_revocation_is_obeyed_at_once_here_and_within_a_second_elsewhere() -> None:
    house = House()
    kept, text = await house.key()
    ring, elsewhere = house.process()
    assert await elsewhere.found(text)
    assert await house.warden.found(text)
    # When
    assert await house.warden.revoke("acme", kept.id)
    # Then
    assert house.warden.recalled(text) is None
    assert await house.warden.found(text) is None
    # and there, though its turns never come
    house.pass_s(FRESH_S)
    assert FRESH_S < 1
    assert elsewhere.recalled(text) is None
    assert await elsewhere.found(text) is None
    # and where they come, at the next one
    assert len(ring.asked) == 2


async def test_a_turn_forgets_what_somebody_else_has_revoked() -> None:
    house = House()
    kept, text = await house.key()
    _, elsewhere = house.process()
    assert await elsewhere.found(text)
    await house.warden.revoke(None, kept.id)
    house.pass_s(TURN_S)
    await elsewhere.turn()
    assert elsewhere.recalled(text) is None


async def test_an_answer_that_was_asked_for_before_a_revocation_is_not_believed_after_it() -> None:
    house = House()
    kept, text = await house.key()
    # Given a question that has found the key, and whose answer is on its way
    house.ring.gate = asyncio.Event()
    asking = asyncio.ensure_future(house.warden.found(text))
    turning = asyncio.ensure_future(house.warden.turn())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    # When the key is revoked meanwhile
    assert await house.warden.revoke("acme", kept.id)
    house.ring.gate.set()
    # Then
    assert await asking is None
    await turning
    assert house.warden.recalled(text) is None


async def test_a_slow_answer_counts_from_when_it_was_asked_for() -> None:
    house = House()
    kept, text = await house.key()
    ring, elsewhere = house.process()
    ring.gate = asyncio.Event()
    asking = asyncio.ensure_future(elsewhere.found(text))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    house.pass_s(0.5)
    ring.gate.set()
    assert await asking == kept
    await house.warden.revoke("acme", kept.id)
    house.pass_s(FRESH_S - 0.5)
    assert elsewhere.recalled(text) is None


async def test_while_the_store_does_not_answer_nobody_is_let_in_by_what_may_be_revoked() -> None:
    house = House()
    _, text = await house.key()
    assert await house.warden.found(text)
    house.ring.down = True
    house.pass_s(FRESH_S - 0.1)
    assert house.warden.recalled(text)
    house.pass_s(0.1)
    with pytest.raises(StoreDown):
        await house.warden.found(text)
    with pytest.raises(StoreDown):
        await house.warden.turn()
    # and as soon as it does answer, all is as before
    house.ring.down = False
    assert await house.warden.found(text)


async def test_a_store_that_says_nothing_is_not_waited_for_long(monkeypatch: Any) -> None:
    monkeypatch.setattr(wardens, "ANSWER_S", 0.01)
    house = House()
    _, text = await house.key()
    house.ring.gate = asyncio.Event()
    with pytest.raises(StoreDown):
        await house.warden.found(text)
    house.ring.gate.set()
    assert await house.warden.found(text)


async def test_the_turns_go_on_through_an_outage_and_say_so() -> None:
    house = House()
    _, text = await house.key()
    assert await house.warden.found(text)
    house.ring.down = True
    running = asyncio.ensure_future(house.warden.run())
    for _ in range(10):
        await asyncio.sleep(0)
    house.ring.down = False
    for _ in range(10):
        await asyncio.sleep(0)
    running.cancel()
    assert Trouble("keys", "down") in house.told
    assert house.ring.asked


async def test_of_many_who_come_with_unknown_keys_one_question_is_asked_at_a_time() -> None:
    house = House()
    kept, text = await house.key()
    house.ring.gate = asyncio.Event()
    strangers = [wardens.written(os.urandom(25)) for _ in range(50)]
    asking = [asyncio.ensure_future(house.warden.found(each)) for each in (text, *strangers, text)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(house.ring.asked) == 1
    house.ring.gate.set()
    answers = await asyncio.gather(*asking)
    assert answers == [kept, *([None] * 50), kept]
    assert len(house.ring.asked) <= 2
    assert all(len(asked) <= wardens.ASKED_MAX for asked in house.ring.asked)


async def test_a_flood_of_made_up_keys_is_told_to_come_again_and_one_hung_up_harms_nobody(monkeypatch: Any) -> None:
    monkeypatch.setattr(wardens, "WAITING_MAX", 3)
    house = House()
    house.ring.gate = asyncio.Event()
    asking = [asyncio.ensure_future(house.warden.found(wardens.written(os.urandom(25)))) for _ in range(10)]
    for _ in range(5):
        await asyncio.sleep(0)
    asking[0].cancel()
    house.ring.gate.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert any(isinstance(answer, StoreDown) for answer in answers)
    assert any(answer is None for answer in answers)


async def test_a_key_past_its_time_is_none_though_it_is_in_memory_and_is_one_again_when_the_clock_is_set_back() -> None:
    house = House()
    _, text = await house.key(expires_at=house.clock.ms + 100)
    assert await house.warden.found(text)
    house.pass_s(0.1)
    assert house.warden.recalled(text) is None
    assert await house.warden.found(text) is None
    house.pass_s(-0.1)
    assert await house.warden.found(text)


async def test_the_last_use_is_noted_about_once_a_minute_whoever_notes_it() -> None:
    house = House()
    kept, text = await house.key()
    ring, elsewhere = house.process()
    for _ in range(round(150 / TURN_S)):
        assert await house.warden.found(text)
        assert await elsewhere.found(text)
        house.pass_s(TURN_S)
        await house.warden.turn()
        await elsewhere.turn()
    written = [*house.ring.noted, *ring.noted]
    assert 2 <= len(written) <= 6
    (row,) = await house.ring.find([kept.id])
    assert row.used_at is not None
    assert house.clock.ms - NOTED_MS - 1000 < row.used_at <= house.clock.ms


async def test_a_key_that_was_made_under_an_older_secret_key_is_still_read() -> None:
    house = House()
    _, old = house.process(OLDER)
    kept, text = await old.made("acme", "k", ["send"])
    assert kept.digest == digest_of(text.encode(), pepper_of(OLDER))
    assert await house.warden.found(text) is None
    _, both = house.process(SECRET, OLDER)
    assert await both.found(text)
    new, _ = await both.made("acme", "k", ["send"])
    assert new.digest != kept.digest
    assert both.recalled(text)


async def test_an_id_that_is_taken_is_drawn_again() -> None:
    house = House()
    draws = [b"\0" * 25, b"\0" * 25, b"\1" * 25]
    warden = Warden(house.ring, house.clock, [SECRET], lambda _: draws.pop(0), house.told.append)
    first, _ = await warden.made("acme", "k", ["send"])
    second, _ = await warden.made("acme", "k", ["send"])
    assert first.id != second.id
    assert draws == []


async def test_a_rate_is_a_keys_own() -> None:
    house = House()
    rated, text = await house.key(rate="2/s")
    free, _ = await house.key()
    assert await house.warden.found(text)
    drawn = [house.warden.drawn(rated) for _ in range(3)]
    assert [quota.allowed for each in drawn if each is not None for quota in [each[1]]] == [True, True, False]
    assert house.warden.drawn(free) is None
    house.pass_s(1)
    await house.warden.turn()
    again = house.warden.drawn(rated)
    assert again is not None
    assert again[1].left == 1


async def test_memory_is_bounded_by_what_is_used(monkeypatch: Any) -> None:
    monkeypatch.setattr(wardens, "KNOWN_MAX", 10)
    house = House()
    texts = [(await house.key(rate="1/s"))[1] for _ in range(30)]
    for text in texts:
        key = await house.warden.found(text)
        assert key is not None
        house.warden.drawn(key)
    assert len(house.warden._known) == 10
    house.pass_s(KEPT_S + 1)
    await house.warden.turn()
    assert (house.warden._known, house.warden._tats, house.warden._waiting) == ({}, {}, {})


async def test_it_is_told_who_made_and_revoked_a_key_and_nothing_secret() -> None:
    house = House()
    kept, text = await house.key(by="swk_adminkey")
    await house.warden.revoke("beta", kept.id, "swk_stranger")
    await house.warden.revoke("acme", kept.id)
    assert house.told == [KeyMoved(kept.id, "made", "swk_adminkey"), KeyMoved(kept.id, "revoked", None)]
    assert text[12:] not in repr(house.told)


def test_nothing_secret_shows_in_its_repr() -> None:
    assert repr(House().warden) == "Warden()"
