"""deliver, where what is said is filled in: from what the parcel carries, the same each time, or refused at once."""

from __future__ import annotations

import msgspec
import pytest

from sendwright.errors import Unavailable
from sendwright.model.notification import Payload, Priority
from sendwright.model.parcel import FIRST, VERSION, WITH_DATA, Parcel, intake_lane, lane, unbundle
from sendwright.model.states import MessageState

from .engine_world import EMAIL, PHONE, REFUSED, TENANT, UNWELL, Vendor, World, in_virtual_time

ADA = {"id": "ada", "phone": PHONE, "email": EMAIL, "locale": "pt-BR"}
CONTENT = {"title": "Order {{ number }}", "body": "Hello {{ recipient.id }}, {{ items|join(' and ') }} come."}
DATA = {"number": 7, "items": ["tea", "cups"]}
TOLD = "Order 7\nHello ada, tea and cups come."


@in_virtual_time
async def test_texts_are_filled_in_with_the_data_the_recipient_and_the_notification() -> None:
    one = Vendor()
    async with World(one) as world:
        content = {"body": "{{ greeting }} {{ recipient.phone }} {{ notification.metadata.shop }} {{ notification.id[:4] }}"}
        notification = await world.post(ADA, content=content, data={"greeting": "Hi"}, metadata={"shop": "north"})
        await world.settled(notification, MessageState.SENT)
        assert [call.body for call in one.calls] == [f"Hi {PHONE} north ntf_"]


@in_virtual_time
async def test_without_data_braces_are_braces() -> None:
    one = Vendor()
    async with World(one) as world:
        notification = await world.post(content={"body": "Write {{ name }} there."})
        await world.settled(notification, MessageState.SENT)
        assert one.calls[0].body == "Write {{ name }} there."


@in_virtual_time
async def test_a_retry_and_the_next_step_say_the_same() -> None:
    one, mail = Vendor("one"), Vendor("mail", channels=("email",))
    one.says(UNWELL, REFUSED)
    async with World(one, mail) as world:
        notification = await world.post(ADA, channels=["sms", "email"], content=CONTENT, data=DATA)
        await world.settled(notification, MessageState.SENT)
        assert [call.body for call in one.calls] == [TOLD, TOLD]
        assert [call.body for call in mail.calls] == [TOLD.partition("\n")[2]]


@in_virtual_time
async def test_what_waits_and_what_is_sent_again_by_hand_is_filled_in_too() -> None:
    one = Vendor()
    async with World(one) as world:
        notification = await world.post(ADA, content=CONTENT, data=DATA, send_at=world.instant(30))
        await world.settled(notification, MessageState.SENT)
        row = world.message(notification)
        assert await world.ledger.revive(TENANT, row.id, world.clock.now_ms(), row)
        world.promoter.poke()
        await world.until(lambda: len(one.calls) == 2)
        assert [call.body for call in one.calls] == [TOLD, TOLD]


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        ({"body": "Hello {{ nobody }}"}, "#/content/body: line 1: a name is not defined"),
        (
            {"body": "a", "email": {"subject": "\n{{ number }} {{ nothing }}"}},
            "#/content/email/subject: line 2: a name is not defined",
        ),
        (
            {"body": "{% for i in range(9999) %}{% for i in range(9999) %}{% endfor %}{% endfor %}"},
            "#/content/body: line 1: takes too long, or grows too large",
        ),
        ({"body": "{{ nobody }}", "title": "{{ nobody }}"}, "#/content/title: line 1: a name is not defined (and 1 more)"),
        ({"body": "x", "url": "{{ link }}"}, "#/content/url: must begin with http, https, mailto, tel"),
        ({"body": "x", "title": "{{ broken }}"}, "#/content/title: must not hold line breaks or NUL"),
        ({"body": "{{ '' }}"}, "#/content: must have a title, a body, html or media"),
    ],
)
@in_virtual_time
async def test_what_can_not_be_filled_in_fails_at_once_without_an_attempt(content: dict[str, object], detail: str) -> None:
    one, mail = Vendor("one"), Vendor("mail", channels=("email",))
    async with World(one, mail) as world:
        data = {**DATA, "link": "javascript:alert(1)", "broken": "a\r\nBcc: b@example.org"}
        notification = await world.post(ADA, channels=["sms", "email"], content=content, data=data)
        await world.settled(notification, MessageState.FAILED)
        row = world.message(notification)
        assert (row.reason, row.detail, row.number, row.dead) == ("content", detail, 0, True)
        assert (one.calls, mail.calls, world.attempts(notification)) == ([], [], [])


@in_virtual_time
async def test_what_is_said_on_no_channel_of_the_message_need_not_be_right() -> None:
    one = Vendor()
    async with World(one) as world:
        content = {"body": "Hello {{ number }}", "email": {"subject": "{{ nothing }}"}}
        notification = await world.post(ADA, channels=["sms"], content=content, data=DATA)
        await world.settled(notification, MessageState.SENT)
        assert one.calls[0].body == "Hello 7"


@in_virtual_time
async def test_a_parcel_with_templates_is_of_a_version_that_says_so_and_others_are_as_they_were() -> None:
    async with World(Vendor(), started=False) as world:
        await world.post(ADA, content=CONTENT, data=DATA, priority="high")
        await world.post(ADA, content={"body": "plain"})
        for priority, version in ((Priority.HIGH, WITH_DATA), (Priority.NORMAL, FIRST)):
            intake = await world.bus.take(intake_lane(priority))
            assert (b'"v":2' in intake.body) == (version == WITH_DATA)
            await world.planner.plan(intake)
            bundle = await world.bus.take(lane("sms", priority))
            (parcel,) = unbundle(Parcel, bundle.body)
            assert parcel.v == version
            assert (b'"about"' in bundle.body) == (version == WITH_DATA)
            await world.bus.give_back(bundle)
        await world.start()


@in_virtual_time
async def test_templates_wait_until_nobody_is_left_who_would_send_them_as_they_stand() -> None:
    async with World(Vendor()) as world:
        world.accepting._reads = lambda: VERSION - 1
        raw = msgspec.json.encode({"to": ADA, "content": CONTENT, "data": DATA})
        with pytest.raises(Unavailable, match="version before") as error:
            await world.accepting.accept(TENANT, msgspec.json.decode(raw, type=Payload), raw, None)
        assert not error.value.maybe
        await world.post(ADA)
