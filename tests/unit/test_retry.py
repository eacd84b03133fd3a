"""Waiting before the next try, and reading how long a vendor asks us to."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendwright.policy.retry import ASKED_MAX_S, JITTER, believed_s, decorrelated, wait_s
from sendwright.providers.contract import Reply
from sendwright.providers.throttle import CAP_S, retry_after_s

draws = st.floats(0, 1, exclude_max=True)
seconds = st.floats(0, 1e6)
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
DATE_S = 784111777


def reply(*headers: tuple[str, str], body: bytes = b"", status: int = 429) -> Reply:
    return Reply(status, headers, body)


class TestBackoff:
    @given(seconds, st.floats(0.001, 100), st.floats(0.001, 1e5), draws)
    def test_it_lies_between_base_and_three_times_the_previous_one_and_under_the_cap(
        self, previous: float, base: float, cap: float, draw: float
    ) -> None:
        found = decorrelated(previous, base, cap, draw)

        assert min(base, cap) <= found <= min(cap, 3 * max(previous, base))

    def test_it_grows_from_draw_to_draw_until_the_cap(self) -> None:
        found, waits = 0.0, []
        for _ in range(8):
            found = decorrelated(found, 1, 60, 0.5)
            waits.append(found)

        assert waits == [2.0, 3.5, 5.75, 9.125, 14.1875, 21.78125, 33.171875, 50.2578125]
        assert decorrelated(waits[-1], 1, 60, 0.9) == 60

    def test_even_the_first_wait_is_spread(self) -> None:
        assert [decorrelated(0, 1, 60, draw) for draw in (0, 0.25, 0.5)] == [1, 1.5, 2]


class TestWaiting:
    @given(seconds, st.floats(0, 3600), draws)
    def test_a_provider_is_never_undercut_and_its_crowd_is_spread_over_a_fifth_more(
        self, previous: float, asked: float, draw: float
    ) -> None:
        found = wait_s(previous, asked, 1, 3600, draw)

        assert found is not None
        assert asked <= found <= max(asked * (1 + JITTER), 3 * max(previous, 1))

    def test_a_demand_beyond_our_own_cap_is_kept(self) -> None:
        assert wait_s(0, 7200, 1, 3600, 0.0) == 7200

    def test_a_demand_is_believed_up_to_a_day_and_an_absurd_one_not_at_all(self) -> None:
        assert wait_s(0, ASKED_MAX_S, 1, 3600, 0.5) == pytest.approx(ASKED_MAX_S * 1.1)
        assert wait_s(0, ASKED_MAX_S + 1, 1, 3600, 0.0) == 1
        assert wait_s(0, float("inf"), 1, 3600, 0.0) == 1

    @pytest.mark.parametrize("asked", [None, 0.0, -5.0])
    def test_without_a_demand_our_own_backoff_counts(self, asked: float | None) -> None:
        assert wait_s(4, asked, 1, 3600, 0.5) == decorrelated(4, 1, 3600, 0.5)

    @given(seconds, st.none() | seconds, draws, seconds)
    def test_no_wait_passes_expiry_and_none_is_refused_that_need_not(
        self, previous: float, asked: float | None, draw: float, remaining: float
    ) -> None:
        found = wait_s(previous, asked, 1, 3600, draw, remaining_s=remaining)

        needed = max(1, believed_s(asked))
        if found is None:
            assert needed >= remaining
        else:
            assert needed <= found <= remaining

    def test_a_backoff_beyond_expiry_becomes_one_last_try_before_it(self) -> None:
        assert wait_s(100, None, 1, 3600, 0.5, remaining_s=41) == 21

    def test_a_demand_beyond_expiry_leaves_nothing_to_wait_for(self) -> None:
        assert wait_s(0, 60, 1, 3600, 0.5, remaining_s=60) is None


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("30", 30),
            (" 30 ", 30),
            ("120.6", 120.6),
            ("0", 0),
            ("-1", 0),
            ("1e9", None),
            ("1000000000", None),
            ("1e9999", None),
            ("86400", CAP_S),
            ("86401", None),
            ("-1e9999", 0),
            ("abc", None),
            ("", None),
            ("nan", None),
            ("inf", None),
            ("0x10", None),
            ("1_000", None),
            ("٣", None),
            ("30 seconds", None),
            ("9" * 5000, None),
        ],
    )
    def test_seconds_are_read_and_junk_is_nothing(self, value: str, expected: float | None) -> None:
        assert retry_after_s(reply(("retry-after", value))) == expected

    @pytest.mark.parametrize(
        "text", ["Sun, 06 Nov 1994 08:50:07 GMT", "Sunday, 06-Nov-94 08:50:07 GMT", "Sun Nov  6 08:50:07 1994"]
    )
    def test_a_date_in_any_of_its_forms_is_measured_by_the_vendors_own_clock(self, text: str) -> None:
        assert retry_after_s(reply(("date", DATE), ("retry-after", text))) == 30

    def test_a_date_that_is_over_asks_for_nothing(self) -> None:
        assert retry_after_s(reply(("date", DATE), ("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT"))) == 0

    @pytest.mark.parametrize("date", [(), (("date", "yesterday"),)])
    def test_a_date_without_a_clock_to_measure_it_says_nothing(self, date: tuple[tuple[str, str], ...]) -> None:
        assert retry_after_s(reply(*date, ("retry-after", DATE))) is None

    def test_it_takes_precedence_over_every_other_dialect(self) -> None:
        others = (("ratelimit", '"default";r=0;t=30'), ("ratelimit-reset", "40"), ("x-ratelimit-reset-after", "50"))

        assert retry_after_s(reply(*others, ("retry-after", "7"), body=b'{"retry_after": 60}')) == 7
        assert retry_after_s(reply(*others, ("retry-after", "soon"), body=b'{"retry_after": 60}')) == 60


class TestBodies:
    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({"ok": False, "error_code": 429, "parameters": {"retry_after": 35}}, 35),
            ({"message": "You are being rate limited.", "retry_after": 0.65, "global": False}, 0.65),
            ({"parameters": {"migrate_to_chat_id": 1}, "retry_after": 2}, 2),
            ({"retry_after": "3.5"}, 3.5),
            ({"retry_after": -2}, 0),
            ({"retry_after": 10**400}, None),
            ({"retry_after": True}, None),
            ({"retry_after": None}, None),
            ({"retry_after": [5]}, None),
            ({"parameters": "retry_after"}, None),
            (["retry_after"], None),
            ("retry_after", None),
        ],
    )
    def test_seconds_in_a_body_are_read(self, body: object, expected: float | None) -> None:
        assert retry_after_s(reply(body=json.dumps(body).encode())) == expected

    @pytest.mark.parametrize(
        "body",
        [
            b'{"retry_after": 5',
            b'{"retry_after": NaN}',
            b'{"retry_after": 1e400}',
            b'"retry_after\xff"',
            b'{"retry_after":' + b"[" * 60_000,
            b'{"retry_after": 5, "padding": "' + b"x" * 70_000 + b'"}',
        ],
    )
    def test_a_broken_or_bloated_body_is_nothing(self, body: bytes) -> None:
        assert retry_after_s(reply(body=body)) is None


class TestWindows:
    @pytest.mark.parametrize("name", ["x-ratelimit-reset-after", "ratelimit-reset", "x-sib-ratelimit-reset"])
    def test_seconds_from_now_are_read_under_each_name(self, name: str) -> None:
        assert retry_after_s(reply((name, "1.25"))) == 1.25

    def test_a_unix_time_is_measured_by_the_vendors_own_clock(self) -> None:
        assert retry_after_s(reply(("date", DATE), ("x-ratelimit-reset", str(DATE_S + 45)))) == 45
        assert retry_after_s(reply(("date", DATE), ("x-ratelimit-reset", str(DATE_S - 45)))) == 0
        assert retry_after_s(reply(("x-ratelimit-reset", str(DATE_S + 45)))) is None

    def test_a_unix_time_of_1970_is_seconds_from_now_under_the_wrong_name(self) -> None:
        assert retry_after_s(reply(("x-ratelimit-reset", "58"))) == 58

    @pytest.mark.parametrize(
        ("field", "expected"),
        [
            ('"default";r=0;t=30', 30),
            ('"default"; r=0; t=30', 30),
            ('"default";t=30;r=0', 30),
            ('"default";r=0;t=30;pk=:AAA=:', 30),
            ('"burst";r=0;t=5, "daily";r=0;t=3600', 3600),
            ('"burst";r=0;t=5, "daily";r=17;t=3600', 5),
            ('"odd, ;r=9;t=1";r=0;t=30', 30),
            ('"default";r=0;t=999999999', None),
            ('"default";r=50;t=30', None),
            ('"default";t=30', None),
            ('"default";r=0', None),
            ('"default";r=0;t=-3', None),
            ("30", None),
            ("", None),
        ],
    )
    def test_the_drafts_field_counts_where_nothing_remains(self, field: str, expected: float | None) -> None:
        assert retry_after_s(reply(("ratelimit", field))) == expected

    def test_the_drafts_field_may_come_in_several_lines(self) -> None:
        assert retry_after_s(reply(("ratelimit", '"a";r=0;t=3'), ("ratelimit", '"b";r=0;t=9'))) == 9

    @pytest.mark.parametrize(
        ("reset", "remaining"),
        [
            ("x-ratelimit-reset-after", "x-ratelimit-remaining"),
            ("ratelimit-reset", "ratelimit-remaining"),
            ("x-sib-ratelimit-reset", "x-sib-ratelimit-remaining"),
            ("x-ratelimit-reset", "x-ratelimit-remaining"),
        ],
    )
    def test_the_end_of_a_window_with_calls_left_in_it_is_no_order_to_wait(self, reset: str, remaining: str) -> None:
        assert retry_after_s(reply((reset, "30"), (remaining, "12"), status=503)) is None
        assert retry_after_s(reply((reset, "30"), (remaining, "0"))) == 30


def test_a_reply_that_says_nothing_asks_for_nothing() -> None:
    assert retry_after_s(reply(body=b'{"code": 20429}')) is None


NAMES = (
    "date", "retry-after", "ratelimit", "ratelimit-reset", "ratelimit-remaining", "x-sib-ratelimit-reset",
    "x-ratelimit-reset", "x-ratelimit-reset-after", "x-ratelimit-remaining",
)  # fmt: skip
texts = st.text(max_size=40) | st.from_regex(
    r"[A-Z][a-z]{2,5},? ?[0-9]{1,3}[ -][A-Z][a-z]{2}[ -][0-9]{1,6} [0-9:.]{0,9} ?[A-Z+-]{0,4}"
)


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.sampled_from(NAMES), texts), max_size=4),
    st.binary(max_size=40) | st.text(max_size=20).map(lambda text: ('{"retry_after": ' + text).encode("utf-8", "replace")),
)
def test_no_junk_ever_raises_or_leaves_the_range(headers: list[tuple[str, str]], body: bytes) -> None:
    found = retry_after_s(reply(*headers, body=body))

    assert found is None or 0 <= found <= CAP_S
