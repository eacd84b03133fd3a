"""What a message said, shown to who may look."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from sendwright.model.content import Attachment, EmailContent
from sendwright.model.parcel import Step
from sendwright.model.said import Said
from sendwright.model.states import MessageState
from sendwright.providers.contract import Capabilities

from .api_world import World


async def shown(world: World, content: Said, **members: Any) -> dict[str, Any]:
    notification, (message,) = world.born(**members)
    world.rows.notifications[notification] = replace(world.rows.notifications[notification], content=content)
    answer = await world.client.get(f"/v1/messages/{message}/content")
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json()
    return found


async def test_a_text_is_shown_as_its_channel_says_it() -> None:
    found = await shown(World(), Said(title="Away", body="We are away.", url="https://example.org/"))
    assert (found["channel"], found["title"], found["body"]) == ("sms", None, "Away\nWe are away.\nhttps://example.org/")


async def test_templates_are_filled_in_with_what_was_fixed_of_the_person() -> None:
    content = Said(body="Hello {{ recipient.id }}, {{ order }} is on its way.", data={"order": "7"}, notification={"id": "ntf_1"})
    found = await shown(World(), content, about={"id": "ada"})
    assert found["body"] == "Hello ada, 7 is on its way."


async def test_what_cannot_be_filled_in_says_nothing_and_tells_why() -> None:
    world = World()
    notification, (message,) = world.born(state=MessageState.FAILED, reason="content")
    content = Said(title="For {{ who }}", body="Hello {{ order }}.", data={"who": "Ada"}, notification={"id": "ntf_1"})
    world.rows.notifications[notification] = replace(world.rows.notifications[notification], content=content)
    answer = await world.client.get(f"/v1/messages/{message}/content")
    assert (answer.status, answer.json()["code"], answer.faults()) == (409, "unfillable", {("#/content/body", "invalid_template")})
    assert "{{" not in answer.body.decode()


async def test_whom_it_was_for_is_part_of_what_it_said_and_forgotten_with_the_person() -> None:
    world = World()
    notification, (message,) = world.born(steps=(Step("sms", ""),))
    content = Said(body="Hello {{ recipient.id }}.", data={}, notification={"id": "ntf_1"})
    world.rows.notifications[notification] = replace(world.rows.notifications[notification], content=content)
    answer = await world.client.get(f"/v1/messages/{message}/content")
    assert (answer.status, answer.json()["code"]) == (410, "content_gone")


async def test_of_files_there_are_the_names_alone() -> None:
    email = EmailContent(subject="Bill", attachments=[Attachment("bill.pdf", "Y2FuYXJ5", "application/pdf")])
    found = await shown(World(), Said(body="See the file.", email=email), steps=(Step("email", "ada@example.org"),))
    assert (found["title"], found["files"]) == ("Bill", [{"filename": "bill.pdf", "content_type": "application/pdf", "size": 6}])
    assert "Y2FuYXJ5" not in str(found)


async def test_what_is_forgotten_is_gone(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    notification, (message,) = world.born()
    world.rows.notifications[notification] = replace(world.rows.notifications[notification], content=Said())
    answer = await world.client.get(f"/v1/messages/{message}/content")
    assert (answer.status, answer.json()["code"]) == (410, "content_gone")


async def test_who_looked_is_in_the_log_and_what_was_said_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    await shown(World(), Said(body="canary"))
    said = capsys.readouterr()
    assert "content_shown" in said.out + said.err
    assert "canary" not in said.out + said.err


async def test_what_was_shortened_is_shown_as_it_was_sent_and_by_how_much() -> None:
    world = World()
    world.vendor.can = Capabilities(("sms",), body_max=50)
    body = "We are away, and will be for quite a while now."
    long = Said(title="Away", body=body, url="https://example.org/", overflow="shorten")
    found = await shown(world, long)
    assert found["body"] == "Away\nWe are away, and will...\nhttps://example.org/"
    assert found["shortened"] == {"title": 0, "body": 26}
    whole = await shown(world, replace(long, body="Short."))
    assert (whole["body"], whole["shortened"]) == ("Away\nShort.\nhttps://example.org/", None)
    refused = await shown(world, replace(long, overflow=None))
    assert (refused["body"].endswith("now.\nhttps://example.org/"), refused["shortened"]) == (True, None)


async def test_a_preview_tells_what_would_be_left_out_and_what_would_be_refused() -> None:
    world = World()
    world.vendor.can = Capabilities(("sms",), segments_max=1)
    types = {"short": "Hello", "refused": "x" * 161, "cut": "x" * 161}
    for name, body in types.items():
        content = {"body": body} | ({"sms": {"overflow": "shorten"}} if name == "cut" else {})
        assert (await world.client.request("PUT", f"/v1/types/{name}", json={"content": content})).status == 200
    seen = {}
    for name in types:
        answer = await world.client.post(f"/v1/types/{name}/preview", {"data": {}})
        seen[name] = next(one for one in answer.json()["channels"] if one["channel"] == "sms")
    assert (seen["short"]["errors"], seen["short"]["shortened"]) == ([], None)
    assert [(one["code"], one["detail"]) for one in seen["refused"]["errors"]] == [("too_long", "the text is longer than 1 part")]
    assert (seen["cut"]["errors"], seen["cut"]["body"]) == ([], "x" * 157 + "...")
    assert (seen["cut"]["shortened"], seen["cut"]["segments"]["count"]) == ({"title": 0, "body": 4}, 1)


@pytest.mark.parametrize("value", ["cut", "{{ x }}", 1])
async def test_what_is_to_be_done_with_a_long_text_is_one_of_two_things_and_no_template(value: object) -> None:
    world = World()
    content = {"body": "x", "overflow": value, "push": {"overflow": value, "badge": "{{ x }}"}}
    for answer in (
        await world.client.request("PUT", "/v1/types/order", json={"content": content}),
        await world.client.post(
            "/v1/notifications", {"to": {"phone": "+14155550123"}, "content": content, "data": {"x": "shorten"}}
        ),
    ):
        assert answer.status == 422
        assert {error["pointer"] for error in answer.json()["errors"]} == {
            "#/content/overflow",
            "#/content/push/overflow",
            "#/content/push/badge",
        }
