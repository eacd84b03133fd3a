"""SMTP as bytes: answers are read the same however they are cut, and junk is a fault and not an answer."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sendwright.drivers.egress.smtp_wire import (
    ANSWER_CAP,
    LINE_CAP,
    MailOrigin,
    Said,
    SaidReader,
    encode,
    lacking,
    mail_from,
    offered,
    sign_in,
)
from sendwright.providers.contract import MailRequest, Secret

TALK = (
    b"220 mail.example.com ESMTP\r\n250-mail.example.com\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 8BITMIME\r\n"
    b"250 2.1.0 Ok\r\n550-5.1.1 nobody\r\n550 5.1.1 is here\r\n354\r\n250\n421 4.3.2 bye\r\n"
)
READ = [
    Said(220, None, ("mail.example.com ESMTP",)),
    Said(250, None, ("mail.example.com", "PIPELINING", "SIZE 1000", "8BITMIME")),
    Said(250, "2.1.0", ("Ok",)),
    Said(550, "5.1.1", ("nobody", "is here")),
    Said(354, None, ("",)),
    Said(250, None, ("",)),
    Said(421, "4.3.2", ("bye",)),
]
REQUEST = MailRequest("mail.example.com", 25, "none", "a@example.com", ("b@example.org",), b"a: b\r\n\r\nc\r\n")


@given(st.sets(st.integers(1, len(TALK) - 1)))
def test_answers_are_read_the_same_however_they_are_cut(cuts: set[int]) -> None:
    reader, edges = SaidReader(), [0, *sorted(cuts), len(TALK)]
    said = [answer for start, end in pairwise(edges) for answer in reader.feed(TALK[start:end])]
    assert (said, reader.fault, reader.begun) == (READ, "", False)


@given(st.lists(st.binary(max_size=60) | st.sampled_from([b"\r\n", b"250 ", b"250-", b"\n", b"354 x\r\n"]), max_size=20))
def test_no_bytes_raise_and_after_a_fault_nothing_is_read(pieces: list[bytes]) -> None:
    reader = SaidReader()
    for piece in pieces:
        faulty = bool(reader.fault)
        said = reader.feed(piece)
        assert not (faulty and said)
        assert all(200 <= answer.code < 600 for answer in said)


def test_an_enhanced_code_of_another_class_is_none() -> None:
    assert SaidReader().feed(b"550 2.1.1 odd\r\n250 5.0.0 odd\r\n") == [
        Said(550, None, ("2.1.1 odd",)),
        Said(250, None, ("5.0.0 odd",)),
    ]


def test_an_answer_without_end_is_a_fault() -> None:
    for endless in (b"250 " + b"x" * LINE_CAP, b"250-x\r\n" * (ANSWER_CAP // 4)):
        reader = SaidReader()
        assert reader.feed(endless) == []
        assert reader.fault == "too large"


def test_what_a_server_offers_is_read_in_any_case() -> None:
    assert offered(Said(250, None, ("mail.example.com", "size 10", "Auth PLAIN LOGIN", "", "PIPELINING"))) == {
        "SIZE": "10",
        "AUTH": "PLAIN LOGIN",
        "PIPELINING": "",
    }


def test_a_limit_that_can_not_be_read_is_none() -> None:
    mail = encode(REQUEST)
    assert [lacking(mail, {"SIZE": limit}) is None for limit in ("", "0", "x", "-5", "٣", "9" * 30, "9", "10", "1000")] == [
        *[True] * 6,
        *[False] * 2,
        True,
    ]


def test_what_names_the_mail_can_not_end_the_word() -> None:
    words = mail_from(encode(REQUEST.__class__(*_values(REQUEST, envid="a b=c+d\r\nRCPT é"))), {"DSN": ""})
    assert words == b"MAIL FROM:<a@example.com> ENVID=a+20b+3Dc+2Bd+0D+0ARCPT+20?\r\n"


def _values(request: MailRequest, **over: object) -> list[object]:
    return [over.get(name, getattr(request, name)) for name in request.__struct_fields__]


def test_nobody_signs_in_by_what_is_not_known() -> None:
    origin = MailOrigin("smtps", "mail.example.com", 465, "shop", Secret("hunter2hunter2"))
    assert sign_in("CRAM-MD5 XOAUTH2", origin) is None
    assert "hunter2" not in repr(origin)
