"""When events are posted again, when an endpoint is given up, and what is kept of its answers."""

from __future__ import annotations

from itertools import accumulate

import pytest
from msgspec.structs import replace

from sendwright.model.endpoint import FAILING, GONE, PAUSED, Endpoint, posting_id
from sendwright.policy.posting import GAP_MS, GIVE_UP_MS, JITTER, SAID_MAX, WAITS_S, excerpt, judged, wait_s

NOW = 1_795_000_000_000
HEALTHY = Endpoint("end_1", "acme", "https://example.org/", "", (), b"", None, None, None, NOW, 0)


def test_the_schedule_is_the_one_that_the_standard_recommends() -> None:
    # Its table's second column, as h:mm:ss since the start
    since = ["0:00:05", "0:05:05", "0:35:05", "2:35:05", "7:35:05", "17:35:05", "31:35:05", "51:35:05", "75:35:05"]
    waits = [wait_s(tries, None, 0.0) for tries in range(1, 10)]
    assert [f"{s // 3600}:{s // 60 % 60:02}:{s % 60:02}" for s in accumulate(int(wait or 0) for wait in waits)] == since
    assert wait_s(10, None, 0.0) is None


def test_waits_are_spread_upward_and_never_less_than_what_was_asked_for() -> None:
    assert wait_s(2, None, 0.999) == pytest.approx(300 * (1 + JITTER * 0.999))
    assert wait_s(1, 120.0, 0.0) == 120
    assert wait_s(3, 120.0, 0.0) == WAITS_S[2]
    assert wait_s(1, 10.0**9, 0.0) == WAITS_S[0], "nobody means thirty years"


def test_one_that_is_gone_is_given_up_at_once() -> None:
    after = judged(HEALTHY, NOW, ok=False, gone=True)
    assert (after.disabled_for, after.version) == (GONE, 2)


def test_one_that_fails_for_five_days_is_given_up_and_not_a_moment_before() -> None:
    endpoint, at = HEALTHY, NOW
    while at - NOW < GIVE_UP_MS:
        endpoint = judged(endpoint, at, ok=False, gone=False)
        assert endpoint.disabled_for is None
        at += 86_400_000
    assert judged(endpoint, at, ok=False, gone=False).disabled_for == FAILING


def test_a_success_ends_the_row_of_failures() -> None:
    failing = judged(HEALTHY, NOW, ok=False, gone=False)
    assert judged(failing, NOW + 5, ok=True, gone=False) == HEALTHY
    assert judged(HEALTHY, NOW, ok=True, gone=False) is HEALTHY


def test_silence_is_no_failure_so_that_a_gap_begins_a_new_row() -> None:
    failing = judged(HEALTHY, NOW, ok=False, gone=False)
    after = judged(failing, NOW + GIVE_UP_MS, ok=False, gone=False)
    assert (after.failing_since, after.disabled_for) == (NOW + GIVE_UP_MS, None)
    assert judged(failing, NOW + GAP_MS, ok=False, gone=False).failing_since == NOW


def test_what_somebody_switched_off_stays_so_for_that_reason() -> None:
    paused = replace(HEALTHY, disabled_for=PAUSED)
    assert judged(paused, NOW, ok=False, gone=True).disabled_for == PAUSED


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"<h1>Not\r\n found</h1>\x00\x1b[31m", "<h1>Not found</h1> [31m"),
        (b"no ada@example.org here, call +1 (415) 555-0123", "no ••• here, call •••"),
        (b"token=whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "•••"),
        (b"Gr\xc3\xbc\xc3\x9fe \xff", "Grüße \N{REPLACEMENT CHARACTER}"),
        (b"ok " * 500, ("ok " * 100)[:SAID_MAX]),
    ],
)
def test_of_an_answer_one_line_is_kept_without_addresses_and_keys(body: bytes, shown: str) -> None:
    assert excerpt(body) == shown


def test_an_address_at_the_cut_is_masked_before_it_is_cut() -> None:
    assert "ada" not in excerpt(b"x " * 98 + b"ada.lovelace@example.org")


def test_a_posting_has_one_id_for_each_endpoint_and_event_without_a_dot() -> None:
    ids = {posting_id(endpoint, seq) for endpoint in ("end_1", "end_11") for seq in (1, 11)}
    assert len(ids) == 4
    assert posting_id("end_1", 1) in ids
    assert not any("." in id_ for id_ in ids)
