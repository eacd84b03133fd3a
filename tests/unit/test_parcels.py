"""What travels on the bus: bundles, and what they tell strangers."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendwright.model.content import SmsContent
from sendwright.model.notification import Priority
from sendwright.model.outcomes import Later
from sendwright.model.parcel import (
    APART_MS,
    BOUND_MS,
    FIRST,
    VERSION,
    Intake,
    Parcel,
    Round,
    Sighting,
    Step,
    bundle,
    glimpse,
    intake_lane,
    lane,
    pack,
    read,
    sound,
    split,
    unbundle,
)
from sendwright.model.said import Said
from sendwright.model.states import AttemptState
from sendwright.policy.reaction import heard

PHONE = "+15005550001"
WORDS = "Your code is 493021"

steps = st.builds(Step, st.sampled_from(["sms", "email"]), st.text(max_size=20))
parcels = st.builds(
    Parcel,
    id=st.text(max_size=40),
    tenant=st.text(max_size=10),
    steps=st.lists(steps, min_size=1, max_size=3).map(tuple),
    content=st.builds(Said, body=st.text(max_size=50), sms=st.none() | st.builds(SmsContent, sender=st.text(max_size=11))),
    at=st.integers(0, 2**53),
    priority=st.sampled_from(Priority),
    step=st.integers(0, 2),
    number=st.integers(0, 99),
    backoff_s=st.floats(0, 3600),
    round=st.builds(Round, st.lists(st.text(max_size=5), max_size=2).map(tuple), keyed=st.none() | st.text(max_size=5)),
    on_doubt=st.sampled_from(["resend", "hold"]),
    expires_at=st.none() | st.integers(0, 2**53),
    wait=st.integers(0, 2**53),
)


def parcel(**fields: object) -> Parcel:
    given_fields: dict[str, object] = {
        "id": "msg_1",
        "tenant": "default",
        "steps": (Step("push", "token-1"), Step("sms", PHONE)),
        "content": Said(body=WORDS),
        "at": 5,
    }
    return Parcel(**(given_fields | fields))  # type: ignore[arg-type]


@pytest.mark.slow
@given(st.lists(parcels, max_size=4))
def test_parcels_come_out_of_a_bundle_as_they_went_in(some: list[Parcel]) -> None:
    assert unbundle(Parcel, bundle([pack(one) for one in some])) == some


@pytest.mark.slow
@given(st.lists(parcels, max_size=4))
def test_a_bundle_splits_into_the_bytes_it_was_made_of(some: list[Parcel]) -> None:
    packed = [pack(one) for one in some]

    assert split(bundle(packed)) == packed


@pytest.mark.parametrize("raw", [b'{"id":"msg_1"}', b"7", b' {"v":2}\n'])
def test_a_parcel_that_is_json_by_itself_may_be_bundled(raw: bytes) -> None:
    assert sound(raw)
    assert len(split(bundle([raw, b"{}"]))) == 2


@pytest.mark.parametrize("raw", [b"", b"1,2", b"1],[2", b"{", b'{"id":"\xff"}', b"[" * 100_000])
def test_a_parcel_that_is_no_json_would_take_others_with_it(raw: bytes) -> None:
    assert not sound(raw)


def test_a_bundle_is_a_json_array_whose_parcels_say_what_differs_from_the_default() -> None:
    document = json.loads(bundle([pack(parcel(step=1, priority=Priority.HIGH))]))

    assert document == [
        {
            "id": "msg_1",
            "tenant": "default",
            "steps": [["push", "token-1"], ["sms", PHONE]],
            "content": {"body": WORDS},
            "at": 5,
            "priority": 1,
            "step": 1,
        }
    ]


def test_a_posted_body_travels_as_it_was_posted() -> None:
    body = b'{"to":"ann",  "content":{"body":"\\u00e9"}}'

    (taken,) = unbundle(Intake, bundle([pack(Intake("ntf_1", "default", 5, msgspec.Raw(body)))]))

    assert (bytes(taken.body), taken.v) == (body, FIRST)


def test_a_sighting_keeps_whose_word_it_is() -> None:
    seen = Sighting("twilio-main", AttemptState.DELIVERED, attempt="att_1", ref="SM1", at=7)

    assert unbundle(Sighting, bundle([pack(seen)])) == [seen]


def test_a_field_that_is_added_within_a_version_does_not_stop_a_worker() -> None:
    raw = json.loads(pack(parcel())) | {"colour": "blue"}

    (taken,) = unbundle(Parcel, json.dumps([raw]).encode())

    assert taken.id == "msg_1"


def test_a_parcel_of_a_later_version_is_not_taken_for_one_of_ours() -> None:
    raw = json.dumps(json.loads(pack(parcel())) | {"v": VERSION + 1}).encode()
    with pytest.raises(msgspec.DecodeError, match=f"version {VERSION + 1}"):
        unbundle(Parcel, bundle([pack(parcel()), raw]))
    with pytest.raises(msgspec.DecodeError, match=f"version {VERSION + 1}"):
        read(Parcel, raw)


@pytest.mark.parametrize("body", [b"", b"[", b"{}", b"[1]", b"null", b'[{"id":"msg_1"}]', b"\xff\xfe", b'[{"id":1}]'])
def test_what_is_no_bundle_is_a_decode_error(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        unbundle(Parcel, body)


def test_one_bad_parcel_can_be_told_from_the_good_ones_around_it() -> None:
    raws = split(bundle([pack(parcel(id="msg_1")), b'{"id":7}', pack(parcel(id="msg_3"))]))

    assert [b"msg" in raw for raw in raws] == [True, False, True]


DEEP = b"[" * 5_000 + b"]" * 5_000


@pytest.mark.parametrize(
    "poison",
    [b'"\\ud800"', b'{"id":"\\ud800","a":[",]",{}]}', b'{"id":"\xff"}', b'{"id":"\\x"}', b'"\n"', b"{oops}", b"{]", DEEP],
    ids=["half a character", "and more", "no UTF-8", "no escape", "a line break", "a word", "crossed", "deep"],
)
def test_a_parcel_that_is_no_json_but_ends_takes_no_other_with_it(poison: bytes) -> None:
    around = [pack(parcel(id="msg_1")), b'{"id":"\\"]},\\\\"}']

    assert split(bundle([around[0], poison, around[1]])) == [around[0], poison, around[1]]
    assert not sound(poison)
    assert glimpse(Parcel, poison) is None
    with pytest.raises(msgspec.DecodeError):
        unbundle(Parcel, bundle([pack(parcel()), poison]))
    with pytest.raises(msgspec.DecodeError):
        read(Parcel, poison)


@pytest.mark.parametrize(
    "body", [b"[{},{", b'[{},"]', b"[{}]]", b"[{}],[{}]", b'[{},"\\ud800",]', b"x[{}]", b"[\\,{}]", b"][", b"[{}}"]
)
def test_where_no_parcel_can_be_told_from_the_next_the_body_is_one(body: bytes) -> None:
    assert split(body) == [body]


@given(st.binary(max_size=40) | st.text('[]{},"\\1 ', max_size=20).map(str.encode))
def test_splitting_loses_nothing_and_breaks_at_nothing(body: bytes) -> None:
    pieces = split(body)

    blank = b" \t\r\n"
    assert pieces == [body] or bundle(pieces).translate(None, blank) == body.translate(None, blank)


def test_a_parcel_speaks_of_its_present_step() -> None:
    assert (parcel().channel, parcel().address) == ("push", "token-1")
    assert (parcel(step=1).channel, parcel(step=1).address) == ("sms", PHONE)


def test_neither_address_nor_content_shows_in_a_repr() -> None:
    intake = Intake("ntf_1", "default", 5, msgspec.Raw(WORDS.encode()))
    shown = [repr(it) for it in (parcel(step=1), parcel().steps, parcel().content, intake)]

    assert not any(PHONE in text or "token-1" in text or WORDS in text for text in shown)
    assert "msg_1" in shown[0]


def test_there_is_one_lane_for_each_channel_and_priority_and_for_each_priority_of_the_intake() -> None:
    assert [intake_lane(p) for p in Priority] == ["intake.critical", "intake.high", "intake.normal", "intake.bulk"]
    assert lane("sms", Priority.CRITICAL) == "sms.critical"


# What a round knows is counted from a clock that may have been wrong

NOW = 1_800_000_000_000
HOUR_MS = 3_600_000
DOUBTED = Round(keyed="one", keyed_number=3, keyed_until=NOW + 24 * HOUR_MS, bound_until=NOW + BOUND_MS)
ASKED = Round(later=("one",), asked_until=NOW + HOUR_MS, asked_at=NOW)


def test_who_asked_to_be_left_alone_is_left_alone_for_that_long() -> None:
    assert ASKED.alone_ms(NOW + 1) == HOUR_MS - 1
    assert ASKED.anew(NOW + HOUR_MS - 1).asked == ("one",)
    assert ASKED.anew(NOW + HOUR_MS).asked == ()


@pytest.mark.parametrize("back_ms", [90_000, HOUR_MS, 24 * HOUR_MS])
def test_what_was_asked_by_a_clock_that_was_ahead_holds_up_nobody_once_it_is_set_right(back_ms: int) -> None:
    assert ASKED.alone_ms(NOW - back_ms) == 0
    assert ASKED.anew(NOW - back_ms).asked == ()


@pytest.mark.parametrize("back_ms", [90_000, HOUR_MS, 24 * HOUR_MS])
def test_a_doubt_of_a_clock_that_was_ahead_binds_to_nobody_and_no_repeat_counts_as_known(back_ms: int) -> None:
    assert DOUBTED.bound(NOW - back_ms) is None
    assert DOUBTED.repeats("one", NOW - back_ms) == 0


@pytest.mark.parametrize("apart_ms", [0, 1, APART_MS])
def test_clocks_that_differ_by_seconds_are_believed(apart_ms: int) -> None:
    assert DOUBTED.bound(NOW - apart_ms) == "one"
    assert DOUBTED.repeats("one", NOW - apart_ms) == 3
    assert ASKED.alone_ms(NOW - apart_ms) == HOUR_MS + apart_ms


def test_what_is_asked_after_such_a_time_counts_alone() -> None:
    heard_of = heard(ASKED, "two", Later(after_s=2), NOW - HOUR_MS)
    assert heard_of.alone_ms(NOW - HOUR_MS) == 2000


def test_a_round_of_the_version_before_is_read() -> None:
    before = msgspec.json.decode(b'[["one"],["two"],5,"three",3,6,7]', type=Round)
    assert before == Round(("one",), ("two",), 5, "three", 3, 6, 7)
    assert before.alone_ms(4) == 1
