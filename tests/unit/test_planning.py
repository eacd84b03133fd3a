"""What a notification becomes: deadlines and births, by tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from sendwright.model.ids import IdMint
from sendwright.model.notification import Recipient, Stored
from sendwright.model.parcel import Intake
from sendwright.model.records import Plan
from sendwright.model.states import MessageState
from sendwright.policy.duration import instant_ms, rfc3339
from sendwright.policy.planning import plan_of

NOW = instant_ms("2026-11-22T17:05:59Z")
MINUTE, HOUR = 60_000, 3_600_000
TTL_MS = {"default": 72 * HOUR, "critical": 10 * MINUTE}
EPOCH = "1970-01-01T00:00:00Z"


def planned(met: Sequence[str | Recipient] | None = None, **said: Any) -> Plan:
    raw = msgspec.json.encode({"to": {"phone": "+14155550123"}, "content": {"body": "Hello"}, **said})
    id_ = IdMint(b"a secret for tests, 32 bytes long").notification("acme", NOW, b"123456789")
    intake = Intake(id=id_, tenant="acme", at=NOW, body=msgspec.Raw(raw), process="p", number=1, key=None, trace=None)
    return plan_of(intake, msgspec.json.decode(raw, type=Stored), {"sms", "email"}, TTL_MS, met)


@pytest.mark.parametrize(
    ("said", "expires_at"),
    [
        ({}, NOW + 72 * HOUR),
        ({"priority": "critical"}, NOW + 10 * MINUTE),
        ({"ttl": "5m"}, NOW + 5 * MINUTE),
        ({"ttl": "5m", "send_at": rfc3339(NOW + HOUR)}, NOW + HOUR + 5 * MINUTE),
        ({"send_at": rfc3339(NOW + HOUR)}, NOW + HOUR + 72 * HOUR),
        ({"expires_at": rfc3339(NOW + HOUR)}, NOW + HOUR),
        # a time that is past means now
        ({"ttl": "5m", "send_at": rfc3339(NOW)}, NOW + 5 * MINUTE),
        ({"ttl": "5m", "send_at": rfc3339(NOW - HOUR)}, NOW + 5 * MINUTE),
        ({"priority": "critical", "send_at": rfc3339(NOW - HOUR)}, NOW + 10 * MINUTE),
        ({"ttl": "5m", "send_at": EPOCH}, NOW + 5 * MINUTE),
    ],
)
def test_a_time_to_live_counts_from_when_it_may_go(said: dict[str, Any], expires_at: int) -> None:
    assert planned(**said).expires_at == expires_at


@pytest.mark.parametrize(
    ("send_at", "state"),
    [
        (NOW + 1, MessageState.SCHEDULED),
        (NOW, MessageState.QUEUED),
        (NOW - HOUR, MessageState.QUEUED),
        (0, MessageState.QUEUED),
    ],
)
def test_only_what_may_not_go_yet_waits(send_at: int, state: MessageState) -> None:
    plan = planned(send_at=rfc3339(send_at))
    assert [birth.state for birth in plan.births] == [state]
    assert plan.send_at == send_at


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("bob", "unknown_recipient"),
        ({"id": "bob"}, "unknown_recipient"),
        (["bob", {"id": "bob"}], "unknown_recipient"),
        ([{"id": "bob"}, "bob"], "unknown_recipient"),
        ({"id": "bob", "locale": "de", "timezone": "Europe/Berlin"}, "unknown_recipient"),
        ({"id": "bob", "telegram": "1"}, "no_address"),
        ({"telegram": "1"}, "no_address"),
    ],
)
def test_who_is_only_named_is_unknown_and_whose_addresses_do_not_fit_has_none(to: Any, reason: str) -> None:
    (birth,) = planned(to=to).births
    assert (birth.state, birth.reason) == (MessageState.FAILED, reason)


def test_who_is_only_named_is_known_in_the_app() -> None:
    (birth,) = planned(to=["bob", {"id": "bob"}], channels=["inapp"]).births
    assert [(step.channel, step.address) for step in birth.steps] == [("inapp", "bob")]


def test_on_a_channel_that_a_plugin_added_the_address_is_the_recipients_id() -> None:
    (birth,) = planned(to=[{"id": "on-call", "phone": "+14155550123"}], channels=["pager"]).births
    assert [(step.channel, step.address) for step in birth.steps] == [("pager", "on-call")]
    (birth,) = planned(to=[{"phone": "+14155550123", "locale": "pt-BR"}], channels=["locale"]).births
    assert birth.steps == ()


def test_what_is_filled_in_of_a_person_is_what_the_directory_knows() -> None:
    ada = Recipient(id="ada", phone="+14155550123", locale="pt-BR")
    plan = planned([ada, "kim"], to=["ada", "kim"], content={"body": "Hello {{ recipient.id }}"}, data={"n": 1})
    assert [birth.about for birth in plan.births] == [{"id": "ada", "phone": "+14155550123", "locale": "pt-BR"}, None]
