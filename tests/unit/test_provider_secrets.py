"""Our own secrets in what vendors say: masked in whatever writing they come back, and whoever wrote the adapter."""

from __future__ import annotations

import json
from urllib.parse import quote, unquote

import pytest

from sendwright.providers.contract import Accepted, AttemptState, Hook, Inbound, Outcome, Receipt, Reply, Unsure
from sendwright.providers.forms import form_of
from sendwright.providers.registry import make
from sendwright.providers.twilio import Twilio

TOKEN = "auth-token/0123456789"
SID = "SM" + "0" * 32
ACCOUNT = make("main", {"kind": "twilio", "account_sid": "AC" + "0" * 32, "auth_token": TOKEN, "from": "+15005550006"})
OTHERWISE = {
    "escaped slash": TOKEN.replace("/", "\\/"),
    "escaped letters": "".join(f"\\u{ord(letter):04x}" for letter in TOKEN),
    "at the cut": "x" * 190 + TOKEN.replace("/", "\\/"),
}


@pytest.mark.parametrize("written", OTHERWISE.values(), ids=OTHERWISE)
@pytest.mark.parametrize("member", ["message", "error_message"])
def test_a_secret_that_is_quoted_in_another_writing_is_not_kept(written: str, member: str) -> None:
    taken = member == "error_message"
    body = f'{{"code": 20003, "sid": "{SID}", "status": "failed", "{member}": "not by {written}, no"}}'.encode()
    assert TOKEN.encode() not in body
    outcome = ACCOUNT.read(Reply(201 if taken else 400, (), body))
    assert outcome.detail  # type: ignore[union-attr]
    assert "auth-token" not in outcome.detail  # type: ignore[union-attr]


def test_what_a_callback_quotes_of_our_secrets_is_not_kept() -> None:
    body = form_of([("MessageSid", SID), ("MessageStatus", "failed"), ("ErrorMessage", f"not by {TOKEN}")])
    (receipt,) = ACCOUNT.reports(Hook("POST", "https://x/", (), (), body, 0.0))
    assert receipt.detail == "failed not by ***"


def test_what_a_reply_quotes_of_our_secrets_is_not_kept() -> None:
    body = form_of([("MessageSid", SID), ("SmsStatus", "received"), ("From", "+14155550123"), ("Body", f"is it {TOKEN}?")])
    (reply,) = ACCOUNT.reports(Hook("POST", "https://x/", (), (), body, 0.0))
    assert reply == Inbound("sms", "+14155550123", "is it ***?", SID)


class Careless(Twilio):
    """An adapter that keeps what it finds."""

    def parse(self, answer: Reply) -> Outcome:
        return Accepted(json.loads(answer.body)) if answer.status == 201 else Unsure(json.loads(answer.body))

    def events(self, hook: Hook) -> list[Receipt]:
        return [Receipt(AttemptState.FAILED, None, unquote(hook.body.decode()), None, unquote(hook.body.decode()))]


def test_an_adapter_that_forgets_about_secrets_keeps_none_either() -> None:
    careless = Careless("careless", ACCOUNT.settings)
    quoted = '"' + OTHERWISE["escaped slash"] + '"'
    assert careless.read(Reply(201, (), quoted.encode())) == Accepted("***")
    assert careless.read(Reply(500, (), quoted.encode())) == Unsure("***")
    (receipt,) = careless.reports(Hook("POST", "https://x/", (), (), quote(TOKEN, safe="").encode(), 0.0))
    assert (receipt.ref, receipt.detail) == ("***", "***")
