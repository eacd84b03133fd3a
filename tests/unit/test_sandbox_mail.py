"""The email vendors as the sandbox plays them: what is taken and refused, in their words, and what is reported. No socket.

Signatures are judged by this file's own arithmetic over the public key that the sandbox shows.
"""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from sendwright.providers.contract import Accepted, Hook, Outgoing, Verdict
from sendwright.providers.contract import Reply as Answered
from sendwright.providers.registry import make
from sendwright.sandbox.desk import Desk
from sendwright.sandbox.faults import FaultSheet, Match, ReceiptPlan, Rule
from sendwright.sandbox.log import Entry, MessageLog
from sendwright.sandbox.options import SandboxOptions
from sendwright.sandbox.receipts import Receipts
from sendwright.sandbox.wire import Headers, Reply, Request

SENDGRID = "/sendgrid/v3/mail/send"
EVENTS = "/sendgrid/v3/user/webhooks/event/settings"
CALLBACK = "http://127.0.0.1:9/v1/hooks/mails"
ADA, BEA = "ada@example.com", "bea@example.com"


def envelope(to: str = ADA, attempt: str = "att_1", **more: Any) -> dict[str, Any]:
    return {"to": [{"email": to}], "custom_args": {"sendwright_attempt": attempt}, **more}


def mail(*envelopes: dict[str, Any], **more: Any) -> dict[str, Any]:
    parts = [{"type": "text/plain", "value": "Shipped."}, {"type": "text/html", "value": "<p>Shipped.</p>"}]
    said = {"personalizations": list(envelopes) or [envelope()], "from": {"email": "shop@example.com", "name": "Shop"}}
    return {**said, "subject": "Order 7", "content": parts, **more}


@pytest.fixture
def desk() -> Desk:
    return Desk(SandboxOptions(), MessageLog())


def ask(desk: Desk, method: str, path: str, said: object, *, key: str = "SG.key", kind: str = "application/json") -> Reply:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    headers = {b"authorization": f"Bearer {key}".encode() if key else b"", b"content-type": kind.encode(), b"host": b"127.0.0.1"}
    turn = desk.handle(Request(method, path, "", headers, body))
    desk.ended(turn)
    assert isinstance(turn.answer, Reply)
    return turn.answer


def post(desk: Desk, said: object, **more: str) -> Reply:
    return ask(desk, "POST", SENDGRID, said, **more)


def error(reply: Reply) -> dict[str, Any]:
    (found,) = json.loads(reply.body)["errors"]
    assert set(found) == {"message", "field", "help"}
    return dict(found)


def entries(desk: Desk) -> list[Entry]:
    return [noted.entry for noted in desk.log.newest(2000)]


def header(headers: Headers, name: bytes) -> str:
    return next((value.decode() for key, value in headers if key == name), "")


# SendGrid, what is taken


def test_a_mail_is_taken_with_an_id_and_written_down_as_a_mailbox_shows_it(desk: Desk) -> None:
    file = {"content": base64.b64encode(b"x" * 300).decode(), "filename": "invoice.pdf", "type": "application/pdf"}
    answer = post(desk, mail(envelope(cc=[{"email": BEA}]), attachments=[file]))
    assert (answer.status, answer.body) == (202, b"")
    (entry,) = entries(desk)
    assert (entry.kind, entry.channel, entry.to, entry.sender) == ("sendgrid", "email", ADA, "Shop <shop@example.com>")
    assert (entry.title, entry.body, entry.html) == ("Order 7", "Shipped.", "<p>Shipped.</p>")
    assert (list(entry.copies), list(entry.media)) == ([BEA], ["invoice.pdf (300 bytes)"])
    assert (entry.reference, entry.ref, entry.taken) == ("att_1", header(answer.headers, b"x-message-id"), True)
    assert "SG.key" not in str(entry.account)


def test_a_thousand_envelopes_are_a_thousand_messages_of_one_id_and_one_more_is_refused(desk: Desk) -> None:
    many = [envelope(f"p{n}@example.com", f"att_{n}") for n in range(1000)]
    answer = post(desk, mail(*many))
    assert (answer.status, desk.log.stats().taken, desk.log.stats().in_flight) == (202, 1000, 0)
    assert [entry.seq for entry in entries(desk)] == list(range(1, 1001))
    assert {entry.ref for entry in entries(desk)} == {header(answer.headers, b"x-message-id")}
    assert [entry.reference for entry in entries(desk)] == [f"att_{n}" for n in range(1000)]

    assert error(post(desk, mail(*many, envelope())))["field"] == "personalizations"
    assert desk.log.stats().taken == 1000


def test_a_large_mail_is_read_and_a_larger_one_refused_in_sendgrids_words(desk: Desk) -> None:
    assert desk.body_max(SENDGRID) > 30_000_000 > desk.body_max("/v1/messages")
    answer = post(desk, b"x" * 30_000_001)
    assert (answer.status, error(answer)["message"]) == (413, "The JSON payload is too large.")


# SendGrid, what is refused


def test_what_sendgrid_refuses_is_refused_by_the_field_and_as_a_whole(desk: Desk) -> None:
    cases: list[tuple[Any, str | None]] = [
        (mail(personalizations=[]), "personalizations"),
        (mail(envelope(), envelope("nobody")), "personalizations.1.to.0.email"),
        (mail({"to": []}), "personalizations.0.to"),
        (mail(envelope(cc=[{"email": "Ada@example.com"}])), "personalizations.0.cc"),
        (mail(envelope(), {"to": [{"email": BEA}], "bcc": [{"email": 5}]}), "personalizations.1.bcc.0.email"),
        (mail(envelope(bcc=[{"email": f"b{n}@example.com"} for n in range(1000)])), "personalizations"),
        (mail(**{"from": {"name": "Shop"}}), "from.email"),
        (mail(subject=""), "subject"),
        (mail(content=[]), "content"),
        (mail(content=[{"type": "text/plain", "value": ""}]), "content.0.value"),
        (mail(personalizations=[5]), "personalizations.0.to"),
        (b"{", None),
        (b"[" * 100_000, None),
    ]
    for said, field in cases:
        answer = post(desk, said)
        assert (answer.status, error(answer)["field"]) == (400, field), said
    assert desk.log.stats().taken == 0


def test_without_a_key_or_as_a_form_of_another_site_nothing_is_taken(desk: Desk) -> None:
    assert post(desk, mail(), key="").status == 401
    assert post(desk, mail(), kind="text/plain").status == 400
    assert desk.log.stats().by_verdict == {"refused": 2}


def test_faults_are_told_in_sendgrids_words(desk: Desk) -> None:
    cases = [
        (Rule("status", status=401), "The provided authorization grant is invalid, expired, or revoked"),
        (Rule("status", status=401, code="Maximum credits exceeded"), "Maximum credits exceeded"),
        (Rule("status", status=403), "The from address does not match a verified Sender Identity."),
        (Rule("status", status=413), "The JSON payload is too large."),
        (Rule("status", status=500), "internal server error"),
    ]
    for rule, words in cases:
        desk.faults.put(FaultSheet((rule,)))
        answer = post(desk, mail())
        assert (answer.status, error(answer)["message"]) == (rule.status, words)
    assert desk.log.stats().taken == 0


def test_a_429_says_by_which_second_its_window_ends_and_never_retry_after(desk: Desk) -> None:
    for given, seconds in ((None, 60), ("7", 7)):
        desk.faults.put(FaultSheet((Rule("status", status=429, retry_after=given),)))
        before = int(time.time())
        answer = post(desk, mail())
        assert before + seconds <= int(header(answer.headers, b"x-ratelimit-reset")) <= int(time.time()) + seconds
        assert (header(answer.headers, b"x-ratelimit-remaining"), header(answer.headers, b"retry-after")) == ("0", "")


def test_a_rule_for_one_of_many_meets_their_call_once_and_all_of_them(desk: Desk) -> None:
    desk.faults.put(FaultSheet((Rule("reset_after", match=Match(to_prefix="bea"), count=1),)))
    turn = desk.handle(
        Request("POST", SENDGRID, "", {b"authorization": b"Bearer k", b"content-type": b"application/json"},
                json.dumps(mail(envelope(), envelope(BEA, "att_2"))).encode())
    )  # fmt: skip
    desk.ended(turn)
    assert [(entry.verdict, entry.taken, entry.status) for entry in entries(desk)] == [("reset_after", True, None)] * 2
    assert post(desk, mail(envelope(BEA))).status == 202


def test_a_call_whose_lines_can_not_be_written_is_taken_for_none(tmp_path: Path) -> None:
    log = MessageLog(tmp_path / "log")
    desk = Desk(SandboxOptions(), log)
    log.close()
    log._file = 10_000_000
    answer = post(desk, mail(envelope(), envelope(BEA)))
    assert (answer.status, error(answer)["message"], log.stats().taken) == (500, "internal server error", 0)


# SendGrid, what is reported


def public_key(desk: Desk) -> str:
    answer = ask(desk, "PATCH", f"{EVENTS}/signed/{subscribed(desk)}", {"enabled": True})
    return str(json.loads(answer.body)["public_key"])


def subscribed(desk: Desk, url: str = CALLBACK) -> str:
    answer = ask(desk, "POST", EVENTS, {"enabled": True, "url": url, "delivered": True})
    assert answer.status == 201
    return str(json.loads(answer.body)["id"])


def reports(desk: Desk, monkeypatch: pytest.MonkeyPatch, said: object) -> list[tuple[Headers, bytes]]:
    """What would be posted of the messages of a call, in the order of its states."""
    posts: list[tuple[Headers, bytes]] = []

    def begin(self: Receipts, dialect: Any, asked: Any, noted: Any, fate: Any = None) -> None:
        states = fate or self._fate(self.faults.receipts)
        posts.extend(dialect.receipt(asked, noted, state) for state in states if asked.callback_url)

    monkeypatch.setattr(Receipts, "begin", begin)
    assert post(desk, said).status == 202
    return list(posts)


def judged(public: str, headers: Headers, body: bytes) -> list[dict[str, Any]]:
    """The events, once SendGrid's signature over the timestamp and the very bytes has been found good."""
    key = load_der_public_key(base64.b64decode(public))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    signature = base64.b64decode(header(headers, b"x-twilio-email-event-webhook-signature"))
    stamp = header(headers, b"x-twilio-email-event-webhook-timestamp").encode()
    key.verify(signature, stamp + body, ec.ECDSA(SHA256()))
    with pytest.raises(InvalidSignature):
        key.verify(signature, stamp + body.rstrip(), ec.ECDSA(SHA256()))
    return list(json.loads(body))


def test_events_come_as_a_signed_array_and_echo_the_callers_arguments(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    public = public_key(desk)
    desk.faults.put(FaultSheet((), ReceiptPlan(("sent", "delivered", "read", "failed"))))
    posts = reports(desk, monkeypatch, mail(envelope(cc=[{"email": BEA}])))
    ref = entries(desk)[0].ref
    told = [judged(public, *each) for each in posts]
    assert [[event["email"] for event in events] for events in told] == [[ADA, BEA]] * 4
    assert [events[0]["event"] for events in told] == ["processed", "delivered", "open", "bounce"]
    for event in (event for events in told for event in events):
        assert (event["sendwright_attempt"], event["sg_message_id"].partition(".")[0]) == ("att_1", ref)
    assert len({event["sg_event_id"] for events in told for event in events}) == 8


def test_who_opted_out_is_taken_and_dropped(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    public = public_key(desk)
    desk.faults.put(FaultSheet((), ReceiptPlan(("delivered",)), (ADA,)))
    posts = reports(desk, monkeypatch, mail(envelope(), envelope(BEA, "att_2")))
    assert [(entry.verdict, entry.taken) for entry in entries(desk)] == [("dropped", False), ("taken", True)]
    events = [judged(public, *each)[0] for each in posts]
    assert [(event["event"], event["email"]) for event in events] == [("dropped", ADA), ("delivered", BEA)]
    assert events[0]["reason"] == "Unsubscribed Address"


def test_nothing_is_reported_before_a_webhook_is_set_or_after_a_reset(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(desk, "POST", EVENTS, {"url": "ftp://x"}).status == 400
    assert ask(desk, "POST", EVENTS, {"url": CALLBACK}, key="").status == 401
    assert ask(desk, "GET", f"{EVENTS}/other", b"").status == 404
    assert reports(desk, monkeypatch, mail()) == []
    subscribed(desk)
    assert len(reports(desk, monkeypatch, mail())) == 2
    desk.reset()
    assert reports(desk, monkeypatch, mail()) == []


def test_keys_outlive_a_restart_where_a_file_keeps_them_and_nowhere_else(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    kept = [public_key(Desk(SandboxOptions(keys_path=str(path)), MessageLog())) for _ in range(2)]
    assert kept[0] == kept[1]
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["keys.json"]
    path.write_text("[]")
    with pytest.raises(OSError, match="something else"):
        Desk(SandboxOptions(keys_path=str(path)), MessageLog())
    assert public_key(Desk(SandboxOptions(), MessageLog())) != public_key(Desk(SandboxOptions(), MessageLog()))


def test_the_adapter_sends_to_it_and_believes_what_it_reports(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = {"kind": "sendgrid", "api_key": "SG.key", "from": "shop@example.com", "webhook_public_key": public_key(desk)}
    adapter = make("mails", raw | {"base_url": "http://127.0.0.1:8425/sendgrid"})
    out = Outgoing("att_9", "msg_9", "email", ADA, "Shipped.", title="Order 7", now=time.time())
    request: Any = adapter.build(out)
    assert request.url == f"http://127.0.0.1:8425{SENDGRID}"
    posts = reports(desk, monkeypatch, request.body)
    answer = post(desk, request.body)
    outcome = adapter.parse(Answered(answer.status, tuple((k.decode(), v.decode()) for k, v in answer.headers), answer.body))
    assert isinstance(outcome, Accepted)
    assert len(posts) == 2
    for headers, body in posts:
        hook = Hook("POST", CALLBACK, (), tuple((k.decode(), v.decode()) for k, v in headers), body, time.time())
        assert adapter.verify(hook) is Verdict.GOOD
        assert [receipt.attempt for receipt in adapter.events(hook)] == ["att_9"]
