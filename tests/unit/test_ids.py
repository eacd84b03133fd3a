"""Ids: in order of time, unguessable, and recognised by their MAC."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendwright.model import ids
from sendwright.model.ids import IdMint

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
SECRET = bytes(range(32))
MINT = IdMint(SECRET)
AT_MS = 1_795_000_000_000

times = st.integers(0, 2**48 - 1)
randomness = st.binary(min_size=9, max_size=9)
tenants = st.text(min_size=1, max_size=20)


def minted(tenant: str = "default", at_ms: int = AT_MS, random: bytes = b"\x07" * 9) -> str:
    return MINT.notification(tenant, at_ms, random)


@given(times, times, randomness, randomness)
def test_ids_are_ordered_by_time(first: int, second: int, a: bytes, b: bytes) -> None:
    if first < second:
        assert minted(at_ms=first, random=a) < minted(at_ms=second, random=b)
    assert ids.time_ms_of(minted(at_ms=first, random=a)) == first


@given(tenants, times, randomness)
def test_an_id_is_recognised_for_its_tenant_by_every_holder_of_the_secret(tenant: str, at_ms: int, random: bytes) -> None:
    found = minted(tenant, at_ms, random)

    assert IdMint(SECRET).minted_for(tenant, found)
    assert not IdMint(SECRET[::-1]).minted_for(tenant, found)


@given(tenants, tenants, randomness)
def test_an_id_means_nothing_to_another_tenant(owner: str, stranger: str, random: bytes) -> None:
    assert MINT.minted_for(stranger, minted(owner, random=random)) is (owner == stranger)


def test_any_changed_character_is_noticed() -> None:
    genuine = minted()

    for place in range(4, len(genuine)):
        for character in ALPHABET.replace(genuine[place], "") + "ilouA=-é":
            forged = genuine[:place] + character + genuine[place + 1 :]
            assert not MINT.minted_for("default", forged), forged


@pytest.mark.parametrize("mangle", [str.upper, lambda i: i[:-1], lambda i: i + "0", lambda i: "msg_" + i[4:], lambda i: i[4:]])
def test_an_id_of_another_shape_is_nobodys(mangle: object) -> None:
    assert not MINT.minted_for("default", mangle(minted()))  # type: ignore[operator]


@given(st.text(max_size=60))
def test_junk_is_nobodys_and_never_raises(text: str) -> None:
    assert not MINT.minted_for("default", text)
    assert not MINT.minted_for("default", "ntf_" + text)
    assert not ids.looks_like(ids.MESSAGE, text)


@given(randomness, st.integers(0, ids.ORDINALS_MAX - 1), st.integers(0, ids.NUMBERS_MAX - 1))
def test_what_is_below_a_notification_leads_back_to_it(random: bytes, ordinal: int, number: int) -> None:
    notification = minted(random=random)
    message = ids.message_id(notification, ordinal)
    attempt = ids.attempt_id(message, number)

    assert ids.notification_of(message) == ids.notification_of(attempt) == notification
    assert ids.message_of(attempt) == message
    assert ids.ordinal_of(message) == ordinal
    assert ids.time_ms_of(message) == ids.time_ms_of(attempt) == AT_MS


def test_planning_or_claiming_twice_names_the_same_rows_and_different_ones_differ() -> None:
    messages = [ids.message_id(minted(), ordinal) for ordinal in range(ids.ORDINALS_MAX)]

    assert messages == sorted(set(messages))
    assert messages[5] == ids.message_id(minted(), 5)
    assert ids.attempt_id(messages[0], 1) != ids.attempt_id(messages[0], 2)


@pytest.mark.parametrize(("make", "number"), [(ids.message_id, 1024), (ids.message_id, -1), (ids.attempt_id, 32_768)])
def test_a_number_that_an_id_has_no_room_for_is_an_error(make: object, number: int) -> None:
    with pytest.raises(ValueError, match="no room"):
        make(minted(), number)  # type: ignore[operator]


@pytest.mark.parametrize("prefix", [ids.NOTIFICATION, ids.MESSAGE, ids.ATTEMPT])
def test_only_its_own_shape_looks_like_an_id(prefix: str) -> None:
    message = ids.message_id(minted(), 3)
    genuine = {ids.NOTIFICATION: minted(), ids.MESSAGE: message, ids.ATTEMPT: ids.attempt_id(message, 1)}

    assert [kind for kind, some in genuine.items() if ids.looks_like(prefix, some)] == [prefix]
    assert not ids.looks_like(prefix, genuine[prefix][:-1] + "u")
    assert not ids.looks_like(prefix, genuine[prefix].upper())


@given(times, randomness)
def test_a_range_of_times_is_a_range_of_ids(at_ms: int, random: bytes) -> None:
    made = minted(at_ms=at_ms, random=random)

    assert ids.floor(ids.NOTIFICATION, at_ms) <= made
    if at_ms < 2**48 - 1:
        assert made < ids.floor(ids.NOTIFICATION, at_ms + 1)


def test_a_time_before_1970_begins_with_the_first_id_of_all() -> None:
    assert ids.floor(ids.MESSAGE, -1) == ids.floor(ids.MESSAGE, 0) == "msg_" + "0" * 32


@pytest.mark.parametrize("text", ["ntf_x", "ntf_" + "u" * 32, "ntf_" + "é" * 32, "ntf_" + "A" * 32])
def test_there_is_no_time_in_what_is_no_id(text: str) -> None:
    assert ids.time_ms_of(text) is None


@pytest.mark.parametrize("text", ["", "ntf_", "ntf_00000000", "ntf_00======"])
def test_there_is_no_time_in_what_is_too_short_for_an_id(text: str) -> None:
    assert ids.time_ms_of(text) is None


def test_a_lone_surrogate_looks_like_no_id() -> None:
    assert not ids.looks_like(ids.NOTIFICATION, "ntf_" + "\ud800" * 32)


def test_the_mint_keeps_its_secret_out_of_its_repr() -> None:
    assert repr(MINT) == "IdMint()"
