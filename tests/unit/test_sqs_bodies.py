"""Bundles as SQS message bodies: cut by weight, printable, read back as they were."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendwright.drivers.bus.sqs.bodies import checked, packed, read_letter, written
from sendwright.model.parcel import PARCELS_MAX, bundle

LANE = "sms.high"
PARCELS = st.lists(
    st.one_of(st.binary(max_size=3000), st.text(max_size=1000).map(lambda text: json.dumps(text).encode())), max_size=120
)


@given(PARCELS)
def test_what_is_written_is_printable_and_reads_as_it_was(parcels: list[bytes]) -> None:
    text = written("0f", LANE, parcels)
    assert all(sign in "\t\n\r" or " " <= sign <= "~" for sign in text)
    letter = read_letter(text, "another.lane")
    assert (letter.id, letter.lane, letter.count, letter.check) == ("0f", LANE, len(parcels), None)
    assert letter.body == bundle(parcels)


def test_a_check_carries_its_key() -> None:
    letter = read_letter(checked("0f", LANE, 1, "kept-1"), "another.lane")
    assert (letter.id, letter.lane, letter.count, letter.check) == ("0f", LANE, 1, "kept-1")


@given(PARCELS, st.integers(4096, 20_000))
def test_bundles_keep_the_order_and_the_limits_and_only_one_alone_is_too_heavy(parcels: list[bytes], size_max: int) -> None:
    bundles = packed(parcels, size_max)
    assert [parcel for one in bundles for parcel in one] == parcels
    for one in bundles:
        assert 1 <= len(one) <= PARCELS_MAX
        assert len(one) == 1 or len(written("f" * 24, LANE, one)) <= size_max


def test_bundles_are_as_full_as_they_may_be() -> None:
    assert [len(one) for one in packed([b"1"] * 120, 262_144)] == [50, 50, 20]


@pytest.mark.parametrize(
    "text",
    [
        "[1,2]",
        "",
        "sw1",
        "sw1 a b c\n[1]",
        "sw1 a sms-high 1 gzip\n[1]",
        "sw1 a sms-high 1 base64\n%",
        "sw2 a sms-high 1 plain\n[1]",
        "Grüße",
    ],
)
def test_a_body_of_somebody_else_is_handed_on_as_it_is(text: str) -> None:
    letter = read_letter(text, LANE)
    assert (letter.id, letter.lane, letter.body, letter.check) == ("", LANE, text.encode(), None)
