"""A mail as bytes: whatever is said, it is one mail with the parts and fields that it was given, and nothing else."""

from __future__ import annotations

import base64
import email
import email.header
import email.policy
import re
import string
from email.message import EmailMessage
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendwright.model.content import Attachment
from sendwright.providers.mime import Mail, Mailbox, compose, mailbox

MAIL = Mail(
    id="att_1",
    at=1_790_000_000.0,
    sender=Mailbox("Shop", "shop@example.com"),
    to=Mailbox("", "ada@example.org"),
    subject="Parcel",
    text="It is here.",
)
FIELDS = [
    "date",
    "message-id",
    "from",
    "to",
    "cc",
    "reply-to",
    "subject",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
]

evil = st.sampled_from(
    ["\r\n", "\n", "\r", "\0", "\x85", "\u2028", "\x0b", "\x0c", "\x1c", ".", "\r\n.\r\n", "\r\nX-Evil: 1", "=?utf-8?q?a?="]
)
evil |= st.sampled_from(
    ["--=_", "\r\n--=_" + "0" * 32, '"', "\\", "<", ">", ",", ";", "(", ":", "From ", " ", "\t", "é", "🎉", "x" * 1200]
)
texts = st.lists(evil | st.text(max_size=8), max_size=8).map("".join).filter(lambda text: not re.search("[\ud800-\udfff]", text))


def parsed(raw: bytes) -> EmailMessage:
    message = email.message_from_bytes(raw, policy=email.policy.SMTP)
    assert isinstance(message, EmailMessage)
    return message


def sound(raw: bytes) -> None:
    """CR LF alone, no line too long, no field that the product did not write."""
    assert raw.count(b"\r\n") == raw.count(b"\r") == raw.count(b"\n")
    assert b"\0" not in raw
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    head = raw.partition(b"\r\n\r\n")[0].decode()
    for line in re.sub(r"\r\n[ \t]", " ", head).split("\r\n"):
        assert line.partition(":")[0].lower() in {*FIELDS, "x-given"}, line


def seen(text: str) -> str:
    """As a header shows it: what can't be seen is a blank."""
    return " ".join(re.sub(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+", " ", text).split())


def decoded(raw: bytes, name: str) -> str:
    """The field, its encoded words read, by the oldest and plainest of the library's readers."""
    value = email.message_from_bytes(raw, policy=email.policy.compat32)[name] or ""
    return " ".join(str(email.header.make_header(email.header.decode_header(value))).split())


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(subject=texts, field=texts, name=texts)
def test_no_field_can_add_a_field_and_each_is_read_as_it_was_said(subject: str, field: str, name: str) -> None:
    sender = Mailbox(name, "shop@example.com")
    raw = compose(msgspec.structs.replace(MAIL, subject=subject, fields={"X-Given": field}, sender=sender, cc=(sender, sender)))
    sound(raw)
    assert raw.isascii()
    assert decoded(raw, "subject") == seen(subject)
    assert decoded(raw, "x-given") == seen(field)
    found = parsed(raw)
    assert [box.addr_spec for box in found["From"].addresses] == ["shop@example.com"]
    assert [box.addr_spec for box in found["Cc"].addresses] == ["shop@example.com"] * 2


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(text=texts, html=texts, filename=texts, kind=texts, content=st.binary(max_size=60))
def test_no_text_and_no_file_can_become_another_part(text: str, html: str, filename: str, kind: str, content: bytes) -> None:
    file = Attachment(filename, base64.b64encode(content).decode(), kind)
    raw = compose(msgspec.structs.replace(MAIL, text=text, html=html, attachments=[file, file]))
    sound(raw)
    assert raw.isascii()
    found = parsed(raw)
    kinds = [part.get_content_type() for part in found.walk()]
    assert kinds == ["multipart/mixed", "multipart/alternative", "text/plain", "text/html", *["application/octet-stream"] * 2]
    assert [part.get_payload(decode=True) for part in found.iter_attachments()] == [content] * 2
    bodies = [found.get_body((which,)) for which in ("plain", "html")]
    assert [_lines(body.get_payload(decode=True).decode()) for body in bodies if body is not None] == [_lines(text), _lines(html)]


def _lines(text: str) -> list[str]:
    """As CR, LF and CR LF end them."""
    lines = re.split("\r\n|\r|\n", text or "\n")
    return lines[:-1] if lines[-1] == "" else lines


@settings(max_examples=300, deadline=None)
@given(text=texts | st.text(alphabet=string.printable, max_size=30))
def test_an_address_is_one_or_is_refused(text: str) -> None:
    for written in (text, f"{text}@example.org", f"a@{text}", f"Name <{text}>"):
        try:
            box = mailbox(written)
        except ValueError:
            continue
        assert re.fullmatch(r"[^\s<>,;:\"()\[\]\\@]+@[A-Za-z0-9_.-]+", box.address)
        sound(compose(msgspec.structs.replace(MAIL, to=box)))


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("a@example.org", ("", "a@example.org")),
        (" Ada Example <a@example.org> ", ("Ada Example", "a@example.org")),
        ('"Example, Ada" <a@example.org>', ("Example, Ada", "a@example.org")),
        ("<a@example.org>", ("", "a@example.org")),
        ("root@localhost", ("", "root@localhost")),
        ("a+b@Bücher.example", ("", "a+b@xn--bcher-kva.example")),
    ],
)
def test_a_mailbox_is_an_address_with_or_without_a_name(text: str, box: tuple[str, str]) -> None:
    assert mailbox(text) == box


def test_the_same_mail_is_the_same_bytes_and_another_attempt_is_another() -> None:
    whole = msgspec.structs.replace(MAIL, html="<p>x</p>", attachments=[Attachment("a", "eA==")])
    assert compose(whole) == compose(whole)
    assert compose(whole) != compose(msgspec.structs.replace(whole, id="att_2"))


def test_a_boundary_is_made_of_the_attempt_and_stands_in_no_text() -> None:
    boundary = parsed(compose(msgspec.structs.replace(MAIL, html="x"))).get_boundary()
    assert boundary is not None
    raw = compose(msgspec.structs.replace(MAIL, text=f"--{boundary}--\r\n", html=f"--{boundary}"))
    assert [part.get_content_type() for part in parsed(raw).walk()] == ["multipart/alternative", "text/plain", "text/html"]


@pytest.mark.parametrize(
    "over",
    [
        {"id": "att 1"},
        {"id": ""},
        {"id": "a>\r\nX: y"},
        {"text": "\ud800"},
        {"html": "\udfff"},
        {"at": float("nan")},
        {"fields": {"Bcc": "x"}},
    ],
)
def test_what_can_not_be_said_is_refused(over: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        compose(msgspec.structs.replace(MAIL, **over))


def test_no_repr_shows_what_is_said_or_to_whom() -> None:
    assert repr(MAIL) == "Mail('att_1')"
    assert repr(MAIL.to) == "Mailbox()"
