"""SMTP: the mail that is said, and what servers' answers mean. What happens on the line: tests/conformance/test_egress_smtp.py."""

from __future__ import annotations

import base64
import email
import email.policy
from email.message import EmailMessage
from typing import Any

import msgspec
import pytest

from sendwright.errors import SettingsError
from sendwright.model.content import Action, Attachment, EmailContent
from sendwright.providers.contract import (
    Accepted,
    Later,
    Lost,
    MailReply,
    MailRequest,
    Media,
    Misconfigured,
    NotSent,
    Outgoing,
    Provider,
    Reason,
    RecipientReply,
    Rejected,
    Scope,
    Secret,
    Unsure,
)
from sendwright.providers.registry import make
from tests.conformance.kinds import PHONE, SECRET_MARK, Samples, outgoing

RAW = {"kind": "smtp", "host": "mail.example.com", "from": "shop@example.com"}
SMTP = make("post", RAW)
OUT = Outgoing(
    attempt="att_1",
    message="msg_1",
    channel="email",
    address="ada@example.org",
    body="Your parcel is here.",
    title="Parcel",
    now=1_790_000_000.0,
)


def samples() -> Samples:
    """For the suite that every kind passes."""
    password = f"{SECRET_MARK}-of-the-shop"
    return Samples(
        raw=RAW | {"username": "shop", "password": password},
        outgoing=outgoing(channel="email", address=f"{PHONE}@example.org"),
        accepted=MailReply("content", 250, "2.0.0", "Ok: queued as 4dGq2k0zCvz"),
        refused_key=MailReply("auth", 535, "5.7.8", "Error: authentication failed"),
        secrets=(password,),
    )


def account(**over: Any) -> Provider:
    return make("post", {key: value for key, value in (RAW | over).items() if value is not None})


def sent(provider: Provider = SMTP, **over: Any) -> MailRequest:
    request = provider.build(msgspec.structs.replace(OUT, **over))
    assert isinstance(request, MailRequest)
    return request


def read(request: MailRequest) -> EmailMessage:
    message = email.message_from_bytes(request.message, policy=email.policy.SMTP)
    assert isinstance(message, EmailMessage)
    return message


def said(part: Any) -> str:
    return str(part.get_content()).replace("\r\n", "\n").rstrip("\n")


# The mail


def test_a_plain_mail_says_who_to_whom_when_and_what() -> None:
    request, mail = sent(), read(sent())
    assert (request.sender, request.recipients) == ("shop@example.com", ("ada@example.org",))
    assert {name: str(mail[name]) for name in ("From", "To", "Subject", "Date", "Message-ID", "MIME-Version")} == {
        "From": "shop@example.com",
        "To": "ada@example.org",
        "Subject": "Parcel",
        "Date": "Mon, 21 Sep 2026 14:13:20 +0000",
        "Message-ID": "<att_1@example.com>",
        "MIME-Version": "1.0",
    }
    assert mail.get_content_type() == "text/plain"
    assert said(mail) == "Your parcel is here."


def test_the_message_id_names_the_attempt_and_the_domain_of_who_sends() -> None:
    assert read(sent(attempt="att_2", sender="Billing <bill@pay.example.net>"))["Message-ID"] == "<att_2@pay.example.net>"


def test_a_name_of_the_account_stands_before_its_own_address_alone() -> None:
    named = account(from_name="Example, Shop")
    assert read(sent(named))["From"].addresses[0].display_name == "Example, Shop"
    assert str(read(sent(named, sender="bill@example.com"))["From"]) == "bill@example.com"
    assert sent(named, sender="Bill <bill@example.com>").sender == "bill@example.com"


def test_text_and_html_are_alternatives_the_richer_one_last() -> None:
    mail = read(sent(html="<p>Your <b>parcel</b> is here.</p>"))
    assert mail.get_content_type() == "multipart/alternative"
    assert [(part.get_content_type(), said(part)) for part in mail.iter_parts()] == [
        ("text/plain", "Your parcel is here."),
        ("text/html", "<p>Your <b>parcel</b> is here.</p>"),
    ]


def test_html_alone_gets_a_text() -> None:
    mail = read(sent(body="", html="<h1>Hi &amp; welcome</h1><p>See <a href='https://example.com/x'>here</a></p>"))
    text = mail.get_body(("plain",))
    assert text is not None
    assert said(text) == "Hi & welcome\n\nSee here (https://example.com/x)"


def test_a_title_that_stands_in_for_a_missing_text_is_not_the_text_of_the_html() -> None:
    text = read(sent(body="Parcel", title="Parcel", html="<p>It is here</p>")).get_body(("plain",))
    assert text is not None
    assert said(text) == "It is here"


def test_style_sheets_go_into_the_elements_where_the_account_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    document = "<style>p{color:red}</style><p>Hi</p>"
    plain, styled = (read(sent(which, html=document)).get_body(("html",)) for which in (SMTP, account(inline_css=True)))
    assert plain is not None
    assert styled is not None
    assert said(plain) == document
    assert '<p style="color: red;">Hi</p>' in said(styled)

    monkeypatch.setattr("sendwright.providers.styling.find_spec", lambda _: None)
    with pytest.raises(SettingsError, match="extra `email`"):
        account(inline_css=True)


def test_links_and_media_stand_under_the_text_unless_they_are_in_it() -> None:
    mail = read(
        sent(
            body="See https://example.com/a",
            url="https://example.com/a",
            actions=(Action("yes", "Confirm", "https://example.com/yes"),),
            media=(Media("https://example.com/b.png"),),
        )
    )
    assert said(mail) == "See https://example.com/a\n\nConfirm: https://example.com/yes\nhttps://example.com/b.png"


def test_without_a_title_the_first_line_is_the_subject() -> None:
    assert read(sent(title=None, body="First\nSecond"))["Subject"] == "First"


def test_copies_are_shown_and_blind_ones_are_not() -> None:
    own = EmailContent(cc=["Bob <bob@example.org>", "ada@example.org"], bcc=["eve@example.org"], reply_to="help@example.com")
    request = sent(own=own)
    assert request.recipients == ("ada@example.org", "bob@example.org", "eve@example.org")
    assert str(read(request)["Cc"]) == "Bob <bob@example.org>, ada@example.org"
    assert str(read(request)["Reply-To"]) == "help@example.com"
    assert b"eve" not in request.message


def test_attachments_travel_inside() -> None:
    file = Attachment("Rechnung März.pdf", base64.b64encode(b"\x00\r\n.\r\n%PDF").decode(), "application/pdf")
    mail = read(sent(html="<p>x</p>", own=EmailContent(attachments=[file, Attachment("a/../b", "", "multipart/mixed")])))
    assert mail.get_content_type() == "multipart/mixed"
    assert [(part.get_filename(), part.get_content_type(), part.get_content()) for part in mail.iter_attachments()] == [
        ("Rechnung März.pdf", "application/pdf", b"\x00\r\n.\r\n%PDF"),
        ("a_.._b", "application/octet-stream", b""),
    ]


def test_an_attachment_that_is_no_base64_is_refused() -> None:
    with pytest.raises(ValueError, match="not base64"):
        sent(own=EmailContent(attachments=[Attachment("a", "%%%")]))


def test_further_fields_are_said_and_the_products_own_are_not_to_be_had() -> None:
    assert read(sent(own=EmailContent(headers={"X-Order": "4711", "List-ID": "<a.example.com>"})))["X-Order"] == "4711"
    for name in ("Bcc", "from", "Content-Type", "Resent-To", "Message-ID", "X Y", "X:"):
        with pytest.raises(ValueError, match="may not be set"):
            sent(own=EmailContent(headers={name: "x"}))


def test_the_account_signs_in_where_it_has_a_password() -> None:
    request = sent(account(username="shop", password="hunter2hunter2", tls="tls"))
    assert (request.host, request.port, request.tls) == ("mail.example.com", 465, "tls")
    assert (request.username, request.password) == ("shop", Secret("hunter2hunter2"))
    assert (sent().port, sent(account(tls="none")).port, sent(account(port=2525)).port) == (587, 25, 2525)
    assert (sent().username, sent().password) == (None, None)


@pytest.mark.parametrize(
    ("address", "written", "utf8"),
    [
        ("ada@bücher.example", "ada@xn--bcher-kva.example", False),
        ("ada@straße.example", "ada@xn--strae-oqa.example", False),
        ("jürgen@bücher.example", "jürgen@xn--bcher-kva.example", True),
    ],
)
def test_only_what_stands_before_the_at_needs_smtputf8(address: str, written: str, utf8: bool) -> None:
    request = sent(address=address)
    assert (request.recipients, request.utf8) == ((written,), utf8)
    assert request.message.isascii() is not utf8


def test_other_letters_are_ascii_on_the_wire() -> None:
    request = sent(title="Paket für Zoë 📦 " * 20, body="Grüße\n.\nFrom here\n" + "x" * 2000, sender="Zoë Shop <shop@example.com>")
    mail = read(request)
    assert request.message.isascii()
    assert not request.utf8
    assert mail["Subject"] == ("Paket für Zoë 📦 " * 20).strip()
    assert mail["From"].addresses[0].display_name == "Zoë Shop"
    assert said(mail) == "Grüße\n.\nFrom here\n" + "x" * 2000
    assert max(map(len, request.message.split(b"\r\n"))) <= 998


NO_ADDRESSES = [
    *(
        "",
        "ada",
        "@example.org",
        "ada@",
        "<ada@example.org",
        ".a@b.c",
        "a b@example.org",
        "a@b c",
        "a,b@c.d",
        "a@b@c.d",
        '"a b"@c.d',
    ),
    *(
        "a\r\nb@example.org",
        "a@b>\r\nRCPT TO:<c@d",
        "a" * 65 + "@b.c",
        "ada@-x.example",
        "ada@x..y",
        "a@\ud800.example",
        "\ud800@b.c",
    ),
]


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_an_address_that_can_not_be_is_refused_and_not_repeated(address: str) -> None:
    for over in ({"address": address}, {"own": EmailContent(bcc=[address])}, {"own": EmailContent(reply_to=address or "x")}):
        with pytest.raises(ValueError) as refusal:
            sent(**over)
        assert not address or len(address) < 3 or address not in str(refusal.value)


def test_a_mail_that_says_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="neither"):
        sent(body="", title=None)


# What servers say


def told(phase: str, code: int, enhanced: str | None = None, text: str = "so it said", *others: RecipientReply) -> Any:
    return SMTP.read(MailReply(phase, code, enhanced, text, others))


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("Ok: queued as 4dGq2k0zCvz", "4dGq2k0zCvz"),
        ("OK id=1tQx2K-000000001bC-2jXz", "1tQx2K-000000001bC-2jXz"),
        ("OK  1732798000 a640c23a62f3a-abc - gsmtp", None),
        ("", None),
    ],
)
def test_2xx_to_the_content_is_acceptance(text: str, ref: str | None) -> None:
    assert told("content", 250, "2.0.0", text) == Accepted(ref)


def test_copies_that_were_refused_are_told_and_change_nothing() -> None:
    others = (
        RecipientReply("ada@example.org", 250),
        RecipientReply("bob@example.org", 550, "5.1.1", "<bob@example.org> unknown"),
        RecipientReply("eve@example.org", 250),
        RecipientReply("kim@example.org", 452, "4.2.2", "full"),
    )
    outcome = told("content", 250, "2.0.0", "queued as A1", *others)
    assert outcome == Accepted("A1", "not to b•••@example.org (550 <b•••@example.org> unknown), k•••@example.org (452 full)")


@pytest.mark.parametrize(
    ("phase", "code", "enhanced", "scope", "ill"),
    [
        ("mail", 421, "4.3.2", Scope.ACCOUNT, True),
        ("rcpt", 421, "4.7.0", Scope.ACCOUNT, True),
        ("content", 421, None, Scope.ACCOUNT, True),
        ("rcpt", 450, "4.2.1", Scope.RECIPIENT, False),
        ("rcpt", 451, "4.7.1", Scope.RECIPIENT, False),  # greylisted
        ("rcpt", 452, "4.2.2", Scope.RECIPIENT, False),
        ("rcpt", 450, None, Scope.RECIPIENT, False),
        ("rcpt", 451, "4.3.0", Scope.ACCOUNT, True),
        ("rcpt", 450, "4.4.3", Scope.ACCOUNT, True),
        ("mail", 451, "4.7.1", Scope.ACCOUNT, False),
        ("data", 451, None, Scope.ACCOUNT, True),
        ("content", 452, "4.3.1", Scope.ACCOUNT, True),
        ("content", 450, "4.7.1", Scope.ACCOUNT, False),
    ],
)
def test_4xx_is_later_and_says_whom_it_is_about(phase: str, code: int, enhanced: str | None, scope: Scope, ill: bool) -> None:
    outcome = told(phase, code, enhanced)
    assert isinstance(outcome, Later)
    assert (outcome.scope, outcome.ill, outcome.called) == (scope, ill, True)


@pytest.mark.parametrize(
    ("phase", "code", "enhanced", "reason", "scope"),
    [
        ("rcpt", 550, "5.1.1", Reason.INVALID_ADDRESS, Scope.RECIPIENT),
        ("content", 550, "5.1.1", Reason.INVALID_ADDRESS, Scope.RECIPIENT),
        ("rcpt", 550, "5.1.2", Reason.INVALID_ADDRESS, Scope.RECIPIENT),
        ("rcpt", 501, "5.1.3", Reason.INVALID_ADDRESS, Scope.RECIPIENT),
        ("rcpt", 550, "5.1.6", Reason.INVALID_ADDRESS, Scope.RECIPIENT),
        ("rcpt", 556, "5.1.10", Reason.INVALID_ADDRESS, Scope.RECIPIENT),
        ("rcpt", 550, "5.2.1", Reason.UNREACHABLE, Scope.RECIPIENT),
        ("rcpt", 552, "5.2.2", Reason.UNREACHABLE, Scope.RECIPIENT),
        ("rcpt", 550, "5.4.1", Reason.UNREACHABLE, Scope.RECIPIENT),
        ("rcpt", 554, "5.7.1", Reason.BLOCKED, Scope.SENDER),
        ("content", 550, "5.7.26", Reason.BLOCKED, Scope.SENDER),
        ("mail", 553, "5.7.1", Reason.BLOCKED, Scope.SENDER),
        ("mail", 550, "5.1.8", Reason.REJECTED, Scope.SENDER),
        ("mail", 550, "5.1.1", Reason.REJECTED, Scope.SENDER),
        ("mail", 552, "5.3.4", Reason.CONTENT, Scope.SENDER),
        ("mail", 552, None, Reason.CONTENT, Scope.SENDER),
        ("content", 554, "5.6.0", Reason.CONTENT, Scope.CONTENT),
        ("content", 552, "5.2.3", Reason.TOO_LONG, Scope.RECIPIENT),
        ("rcpt", 550, None, Reason.UNREACHABLE, Scope.RECIPIENT),
        ("rcpt", 550, "5.0.0", Reason.UNREACHABLE, Scope.RECIPIENT),
        ("rcpt", 553, None, Reason.INVALID_ADDRESS, Scope.RECIPIENT),
        ("content", 554, None, Reason.REJECTED, Scope.SENDER),
        ("data", 503, "5.5.1", Reason.REJECTED, Scope.SENDER),
        ("offer", 0, "5.6.7", Reason.INVALID_ADDRESS, Scope.SENDER),
        ("offer", 0, "5.3.4", Reason.CONTENT, Scope.SENDER),
        ("offer", 0, "5.6.3", Reason.CONTENT, Scope.CONTENT),
    ],
)
def test_5xx_is_a_refusal_with_a_reason_and_a_scope(
    phase: str, code: int, enhanced: str | None, reason: Reason, scope: Scope
) -> None:
    outcome = told(phase, code, enhanced)
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, outcome.scope) == (reason, scope)


@pytest.mark.parametrize(
    ("phase", "code"), [("auth", 535), ("auth", 534), ("auth", 504), ("auth", 0), ("mail", 530), ("rcpt", 530)]
)
def test_who_may_not_sign_in_is_misconfigured(phase: str, code: int) -> None:
    assert isinstance(told(phase, code), Misconfigured)


@pytest.mark.parametrize("code", [0, 199, 354, 300, 999])
def test_an_answer_that_is_none_is_unsure_after_the_content_and_later_before_it(code: int) -> None:
    assert isinstance(told("content", code), Unsure)
    assert isinstance(told("rcpt", code), Later)


def test_words_are_kept_without_addresses() -> None:
    outcome = told("rcpt", 550, "5.1.1", "<ada@example.org>: Recipient\naddress rejected")
    assert outcome.detail == "550 5.1.1 <a•••@example.org>: Recipient␊address rejected"


@pytest.mark.parametrize("phase", ["mail", "rcpt", "data"])
def test_an_envelope_that_broke_off_is_later_and_counts_as_a_call(phase: str) -> None:
    assert SMTP.read(NotSent(phase, "closed")) == Later(f"{phase}: closed")


def test_a_content_that_nobody_answered_is_unsure() -> None:
    assert SMTP.read(Lost("wait", "closed")) == Unsure("wait: closed")


def test_it_reports_nothing_back() -> None:
    can = SMTP.capabilities
    assert (can.receipts, can.lookups, can.idempotency_s, can.channels) == (False, False, 0, ("email",))


# Settings


def test_every_fault_of_its_settings_is_told_without_the_password() -> None:
    bad = {
        "kind": "smtp",
        "host": "mail example",
        "port": 0,
        "tls": "canary-ssl",
        "from": "canary",
        "password": "canarypassword",
        "base_url": "http://x",
        "from_name": "",
    }
    with pytest.raises(SettingsError) as refusal:
        make("post", bad)
    told = {where.removeprefix("providers.post.") for where, _ in refusal.value.faults}
    assert told == {"host", "port", "tls", "from", "username", "base_url", "from_name"}
    assert "canary" not in str(refusal.value)


@pytest.mark.parametrize(
    ("over", "fault"),
    [
        ({"host": "mail.example.com"}, True),
        ({"host": "10.0.0.5"}, True),
        ({"host": "mail.example.com", "allow_clear_auth": True}, False),
        ({"host": "localhost"}, False),
        ({"host": "127.0.0.1"}, False),
        ({"host": "::1"}, False),
    ],
)
def test_a_password_goes_unencrypted_to_this_machine_only_unless_the_operator_says_so(over: dict[str, Any], fault: bool) -> None:
    raw = RAW | {"tls": "none", "username": "shop", "password": "hunter2hunter2"} | over
    if fault:
        with pytest.raises(SettingsError, match="unencrypted"):
            make("post", raw)
    else:
        make("post", raw)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(SettingsError) as refusal:
        make("post", {"kind": "smtp"})
    assert refusal.value.faults == (("providers.post.host", "is missing"), ("providers.post.from", "is missing"))
