"""What the gateway is told, and what its answers mean: a provider is tested without a network."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sendwright_pager import TEXT_MAX, Pager

from sendwright.errors import SettingsError
from sendwright.providers.contract import Accepted, HttpRequest, Later, Outgoing, Reason, Rejected, Reply, TooLong, Unsure
from sendwright.providers.registry import make

RAW = {"kind": "pager", "base_url": "http://gateway.example.com:8080/", "key": "canary-key"}
PAGER = make("pager-main", RAW)


def out(**over: Any) -> Outgoing:
    values = {"attempt": "att_1", "message": "msg_1", "channel": "pager", "address": "on-call", "body": "Pump 3 has stopped"}
    return Outgoing(**(values | {"idempotency_key": "key-1"} | over))


def test_the_entry_point_leads_to_it() -> None:
    assert isinstance(PAGER, Pager)


def test_a_page_is_said_in_few_words() -> None:
    request = PAGER.build(out())
    assert isinstance(request, HttpRequest)
    assert (request.method, request.url) == ("POST", "http://gateway.example.com:8080/pages")
    assert dict(request.headers)["Authorization"] == "Bearer canary-key"
    assert json.loads(request.body) == {"to": "on-call", "text": "Pump 3 has stopped", "key": "key-1"}
    assert "canary" not in repr((PAGER.settings, request))


@pytest.mark.parametrize("bad", [{"channel": "sms"}, {"address": "a b"}, {"address": ""}])
def test_what_is_no_page_is_refused(bad: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        PAGER.build(out(**bad))


def test_what_does_not_fit_is_too_long() -> None:
    PAGER.build(out(body="x" * TEXT_MAX))
    with pytest.raises(TooLong):
        PAGER.build(out(body="x" * (TEXT_MAX + 1)))


def test_what_the_answers_mean() -> None:
    assert PAGER.parse(Reply(202, body=b'{"page": "p-1"}')) == Accepted("p-1")
    assert isinstance(PAGER.parse(Reply(202)), Unsure)
    assert PAGER.parse(Reply(422, body=b'{"why": "no such pager"}')) == Rejected(Reason.INVALID_ADDRESS, "no such pager")
    assert isinstance(PAGER.parse(Reply(503)), Later)


def test_a_gateway_without_an_address_is_a_fault() -> None:
    with pytest.raises(SettingsError) as refusal:
        make("pager-main", {"kind": "pager", "key": "k"})
    assert [where for where, _ in refusal.value.faults] == ["providers.pager-main.base_url"]
