"""Whom a notification goes to: each recipient once."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sendwright.model.notification import Payload, Recipient

PHONE = {"phone": "+14155552671"}


def recipients(*to: Any) -> list[str | Recipient]:
    raw = msgspec.json.encode({"to": list(to), "content": {"body": "hello"}})
    return msgspec.json.decode(raw, type=Payload).recipients()


def test_a_bare_id_and_an_inline_recipient_of_that_id_alone_are_one() -> None:
    assert recipients("bob", {"id": "bob"}) == recipients({"id": "bob"}, "bob") == [Recipient(id="bob")]
    assert recipients("bob", "bob") == ["bob"]


def test_the_one_keeps_the_place_of_the_first() -> None:
    assert recipients("bob", "ada", {"id": "bob"}) == [Recipient(id="bob"), "ada"]


def test_one_id_is_one_person_whatever_else_is_said_of_them_and_the_later_word_counts() -> None:
    inline = {"id": "bob", **PHONE}
    assert recipients("bob", inline) == recipients(inline, "bob") == [Recipient(id="bob", phone=PHONE["phone"])]
    two = recipients(inline, "ada", {"id": "bob", "email": "bob@example.org", "phone": "+14155550000"})
    assert two == [Recipient(id="bob", phone="+14155550000", email="bob@example.org"), "ada"]


@pytest.mark.parametrize(
    "to",
    [
        ["bob", "Bob"],
        [{"id": "bob", **PHONE}, PHONE],
        [{"id": "bob", **PHONE}, {"id": "ada", **PHONE}],
        [PHONE, {**PHONE, "locale": "de"}],
        [{"email": "+14155552671@example.org"}, PHONE],
    ],
)
def test_who_differs_in_anything_else_gets_a_message_of_their_own(to: list[Any]) -> None:
    assert len(recipients(*to)) == len(to)


def test_an_id_that_is_written_as_an_inline_recipient_would_be_is_nobody_else() -> None:
    fields = [None] * len(Recipient.__struct_fields__)
    fields[2] = PHONE["phone"]
    fields[Recipient.__struct_fields__.index("push")] = []
    assert len(recipients(str(fields), PHONE)) == 2
