"""What goes out, from what was asked for."""

from __future__ import annotations

import pytest

from sendwright.engine.render import render, text_of
from sendwright.model.content import ChatContent, Content, EmailContent, PushContent, SmsContent
from sendwright.model.parcel import Parcel, Step
from sendwright.model.said import Said

from .engine_world import Vendor, World, in_virtual_time

CONTENT = Said(title="Maintenance", body="We are away.", url="https://example.org")


def parcel(channel: str, content: Content = CONTENT) -> Parcel:
    return Parcel(id="msg_1", tenant="default", steps=(Step(channel, "somebody"),), content=content, at=0)


@in_virtual_time
async def test_a_title_is_said_once_in_its_own_place_or_in_the_text() -> None:
    async with World(Vendor(channels=("sms", "email")), started=False) as world:
        account = world.fleet.accounts["one"]
        sms, email = (render(parcel(channel), account, 0) for channel in ("sms", "email"))
    assert (sms.title, sms.body) == (None, "Maintenance\nWe are away.\nhttps://example.org")
    assert (email.title, email.body, email.url) == ("Maintenance", "We are away.", "https://example.org")


@in_virtual_time
async def test_a_text_of_its_own_for_sms_replaces_the_whole_text() -> None:
    content = Said(title="Maintenance", body="We are away.", sms=SmsContent(body="Away on Sunday", sender="Acme"))
    async with World(Vendor(), started=False) as world:
        out = render(parcel("sms", content), world.fleet.accounts["one"], 0)
    assert (out.title, out.body, out.sender) == (None, "Away on Sunday", "Acme")


@pytest.mark.parametrize(
    ("content", "text"),
    [(Said(title="Only this"), "Only this"), (Said(body="Only that"), "Only that"), (Said(html="<p>…</p>"), "")],
)
def test_an_sms_says_what_there_is_to_say(content: Content, text: str) -> None:
    assert text_of(content, "sms") == text


@in_virtual_time
async def test_what_a_channel_says_of_its_own_stands_before_what_is_said_to_all() -> None:
    content = Said(
        title="Maintenance",
        body="We are away.",
        html="<p>We are away.</p>",
        email=EmailContent(subject="Away on Sunday", text="Away.", reply_to="help@example.org", sender="ops@example.org"),
        push=PushContent(body="Away!", badge=1),
        telegram=ChatContent(body="Away on Telegram"),
    )
    async with World(Vendor(channels=("email", "push", "telegram", "sms")), started=False) as world:
        account = world.fleet.accounts["one"]
        email, push, telegram, sms = (render(parcel(c, content), account, 5_000) for c in ("email", "push", "telegram", "sms"))
    assert (email.title, email.body, email.html, email.sender) == (
        "Away on Sunday",
        "Away.",
        "<p>We are away.</p>",
        "ops@example.org",
    )
    assert email.own == content.email
    assert (push.title, push.body, push.own) == ("Maintenance", "Away!", content.push)
    assert (telegram.title, telegram.body) == (None, "Away on Telegram")
    assert (sms.own, sms.now) == (None, 5.0)
