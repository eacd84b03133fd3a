"""What a message said, shown to who may look."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from sendwright.model.content import Attachment, EmailContent
from sendwright.model.parcel import Step
from sendwright.model.said import Said

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
