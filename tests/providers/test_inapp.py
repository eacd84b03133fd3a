"""In-app: what lies in the inbox of what is said."""

from __future__ import annotations

import pytest

from sendwright.model.content import Action, InappContent
from sendwright.providers.contract import Accepted, InboxItem, Later, Media, Outgoing, Reply, Unsure
from sendwright.providers.registry import make
from tests.conformance.kinds import Samples, outgoing

INAPP = make("inbox-main", {"kind": "inapp"})


def samples() -> Samples:
    """For the suite that every kind passes."""
    return Samples(
        raw={"kind": "inapp"},
        outgoing=outgoing(channel="inapp", address="ada", tenant="acme"),
        accepted=Reply(201, body=b"msg_1"),
        refused_key=Reply(401),
        extra_replies=(Reply(200), Reply(201), Reply(201, body=b"no id")),
    )


def test_an_item_shows_what_is_said_and_bears_the_messages_id() -> None:
    out = outgoing(
        channel="inapp",
        address="ada",
        tenant="acme",
        title="Shipped",
        body="Your order is on its way.",
        url="https://example.org/7",
        actions=(Action("track", "Track", "https://example.org/track"),),
        own=InappContent(icon="https://example.org/i.png", data={"order": 7}),
    )
    item = INAPP.build(out)
    assert isinstance(item, InboxItem)
    assert (item.id, item.tenant, item.recipient, item.attempt) == (out.message, "acme", "ada", out.attempt)
    assert (item.said.title, item.said.body, item.said.url) == ("Shipped", "Your order is on its way.", "https://example.org/7")
    assert (item.said.icon, item.said.data) == ("https://example.org/i.png", {"order": 7})
    assert item.said.actions == out.actions
    assert "order" not in repr(item)


def test_the_first_picture_is_the_icon_where_there_is_none() -> None:
    media = (Media("https://example.org/a.pdf", "application/pdf"), Media("https://example.org/b.png"))
    item = INAPP.build(outgoing(channel="inapp", media=media))
    assert isinstance(item, InboxItem)
    assert item.said.icon == "https://example.org/b.png"


def test_nothing_to_say_is_no_item() -> None:
    with pytest.raises(ValueError, match="a title or a body"):
        INAPP.build(Outgoing("att_1", "msg_1", "inapp", "ada", ""))


def test_it_is_sent_once_it_lies_there() -> None:
    assert INAPP.parse(Reply(201, body=b"msg_1")) == Accepted("msg_1")
    assert isinstance(INAPP.parse(Reply(201)), Unsure)
    assert isinstance(INAPP.parse(Reply(503)), Later)
