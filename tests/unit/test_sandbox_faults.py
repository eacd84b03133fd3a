"""Which misbehaviour a message meets."""

from __future__ import annotations

import random

import pytest

from sendwright.sandbox.faults import Faults, FaultSheet, Match, ReceiptPlan, Rule, Whom

SMS = Whom("twilio", "AC1", "sms", "+4915112345678")


def faults(*rules: Rule, latency_ms: float = 0) -> Faults:
    made = Faults(random.Random(1), latency_ms, ReceiptPlan(), frozenset({"+1"}))
    made.put(FaultSheet(rules))
    return made


@pytest.mark.parametrize(
    ("match", "meets"),
    [
        (Match(), True),
        (Match("*", "*", "*", "*"), True),
        (Match(kind="twilio", account="AC1", channel="sms", to_prefix="+49"), True),
        (Match(kind="sandbox"), False),
        (Match(account="AC2"), False),
        (Match(channel="email"), False),
        (Match(to_prefix="+33"), False),
    ],
)
def test_rule_meets_when_everything_it_names_is_so(match: Match, meets: bool) -> None:
    assert match.meets(SMS) is meets


def test_latencies_add_up_and_the_first_other_rule_decides() -> None:
    drawn = faults(
        Rule("latency", latency_ms=100),
        Rule("latency", latency_ms=50),
        Rule("status", latency_ms=10, status=500),
        Rule("hang"),
        latency_ms=1,
    ).draw(SMS)

    assert drawn.rule is not None
    assert drawn.rule.do == "status"
    assert drawn.delay_s == pytest.approx(0.161)


def test_count_is_used_up_by_those_that_were_met_alone() -> None:
    made = faults(Rule("hang", match=Match(kind="twilio"), count=1))

    unmet = made.draw(Whom("sandbox", "", "", ""))
    first, second = made.draw(SMS), made.draw(SMS)

    assert unmet.rule is None
    assert first.rule is not None
    assert second.rule is None
    assert made.sheet().rules == ()


def test_share_of_nothing_never_acts_and_of_all_always() -> None:
    never, always = faults(Rule("hang", share=0)), faults(Rule("hang", share=1))

    assert all(never.draw(SMS).rule is None for _ in range(200))
    assert all(always.draw(SMS).rule is not None for _ in range(200))


def test_share_acts_about_that_often() -> None:
    made = faults(Rule("hang", share=0.3))

    acted = sum(made.draw(SMS).rule is not None for _ in range(10_000))

    assert 2_800 < acted < 3_200


def test_what_is_not_said_in_a_sheet_is_as_at_the_start() -> None:
    made = faults()
    made.put(FaultSheet((), ReceiptPlan(("read",)), ("+2",)))
    said = (made.receipts.sequence, made.opted_out)
    made.put(FaultSheet())

    assert said == (("read",), frozenset({"+2"}))
    assert (made.receipts.sequence, made.opted_out) == (("sent", "delivered"), frozenset({"+1"}))


@pytest.mark.parametrize(
    ("rule", "takes"),
    [
        (Rule("status"), False),
        (Rule("hang"), False),
        (Rule("reset_before"), False),
        (Rule("reset_after"), True),
        (Rule("html"), True),
        (Rule("hang", taken=True), True),
        (Rule("drip", taken=False), False),
    ],
)
def test_deed_takes_the_message_or_not(rule: Rule, takes: bool) -> None:
    assert rule.takes is takes
