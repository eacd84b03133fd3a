"""Everything that is known of a person, handed out page by page, and to nobody else."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace
from structlog.testing import capture_logs

from sendwright.model.ids import attempt_id, reply_id
from sendwright.model.inbox import Item, ItemContent, Mark
from sendwright.model.parcel import Step
from sendwright.model.people import Change, Heard
from sendwright.model.records import AttemptRecord
from sendwright.model.said import Said
from sendwright.model.states import AttemptState
from sendwright.policy.suppression import suppression

from .api_world import NOW, World

PATH = "/v1/recipients/ada/export"
PHONE, OLDER = "+14155550123", "+14155550124"


async def told(world: World, path: str = PATH, limit: int = 50) -> list[dict[str, Any]]:
    """All pages together."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = await world.client.get(f"{path}?limit={limit}{cursor}")
        assert answer.status == 200, answer.body
        page = answer.json()
        found += page["data"]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def known(world: World) -> None:
    """Ada, with something of every kind; and Eve, of whom nothing may be told."""
    marker, people = world.services.marker, world.people
    for id_, phone in (("ada", PHONE), ("eve", "+14155559999")):
        await people.directory.write([Change("default", id_, {"phone": phone, "locale": "pt"}, NOW, "")])
        steps = (Step("sms", phone if id_ == "eve" else OLDER),)
        for number in range(3):
            _, (name,) = world.born(recipient=id_, number=number + (10 if id_ == "eve" else 0), steps=steps)
            attempt = (attempt_id(name, 1), name, 1, 0, "sms", "twilio-main", AttemptState.SENT, NOW, NOW + 10)
            world.rows.attempt_rows.append(AttemptRecord(*attempt, ref=f"SM-{id_}-{number}"))
        for number, mark in enumerate((None, Mark.ARCHIVED, Mark.READ)):
            item = Item(f"msg_{id_}{number}", "default", id_, NOW + number, "inbox-main", "att_1", ItemContent(body=f"for {id_}"))
            await world.inbox.add(item)
            if mark is not None:
                await world.inbox.mark("default", id_, [item.id], mark, NOW)
        for number, address in enumerate((phone, OLDER if id_ == "ada" else phone)):
            ref = f"SM-{id_}-{number}"
            said = (reply_id(NOW, "p", ref), "default", "p", ref, marker.address(address), NOW, f'{{"text":"of {id_} {number}"}}')
            await people.suppressions.hear(Heard(*said))
            await people.suppressions.add(suppression(marker, "default", "sms", address, "opted_out", "manual", NOW))


async def test_everything_is_told_once_whatever_the_size_of_a_page_and_nothing_of_anybody_else() -> None:
    world = World()
    await known(world)
    with capture_logs() as lines:
        whole = await told(world)
    assert [(line["event"], line["tenant"]) for line in lines] == [("person_exported", "default")]
    assert "ada" not in str(lines)
    assert [each["kind"] for each in whole] == ["recipient", *["message"] * 3, *["inbox"] * 3, *["reply"] * 2, *["suppression"] * 2]
    assert all(each["kind"] in each for each in whole)
    person, message = whole[0]["recipient"], whole[1]
    assert (person["id"], person["phone"], person["locale"]) == ("ada", PHONE, "pt")
    assert (message["message"]["address"], message["content"]["body"]) == (OLDER, "hello")
    assert message["message"]["attempts"][0]["ref"] == "SM-ada-2"
    assert {each["inbox"]["body"] for each in whole if "inbox" in each} == {"for ada"}
    assert {each["reply"]["data"]["text"] for each in whole if "reply" in each} == {"of ada 0", "of ada 1"}
    assert "eve" not in str(whole)
    assert "+14155559999" not in str(whole)
    for limit in (1, 2):
        assert await told(world, limit=limit) == whole


async def test_what_a_message_said_is_null_once_it_is_forgotten() -> None:
    world = World()
    notification, _ = world.born(recipient="ada")
    world.rows.notifications[notification] = replace(world.rows.notifications[notification], content=Said())
    (entry,) = await told(world)
    assert (entry["kind"], entry["content"]) == ("message", None)


async def test_one_whom_only_the_inbox_or_the_messages_know_is_known_and_nobody_is_404() -> None:
    world = World()
    assert (await world.client.get(PATH)).status == 404
    item = Item("msg_1", "default", "ada", NOW, "inbox-main", "att_1", ItemContent(body="x"))
    await world.inbox.add(item)
    await world.inbox.mark("default", "ada", ["msg_1"], Mark.ARCHIVED, NOW)
    assert [each["kind"] for each in await told(world)] == ["inbox"]
    assert (await world.neighbour.get(PATH)).status == 404
    assert (await world.client.get("/v1/recipients/eve/export")).status == 404


async def test_a_cursor_of_another_persons_leads_nowhere_and_no_page_is_larger_than_a_hundred() -> None:
    world = World()
    await known(world)
    cursor = (await world.client.get(f"{PATH}?limit=1")).json()["next_cursor"]
    assert (await world.client.get(f"/v1/recipients/eve/export?limit=1&cursor={cursor}")).status == 422
    assert (await world.client.get(f"{PATH}?limit=101")).status == 422


async def test_after_an_erasure_nothing_is_left_of_what_was_said_back_from_an_older_address_either() -> None:
    world = World()
    await known(world)
    marks = [mark for address in (PHONE, OLDER) for mark in world.services.marker.addresses(address)]
    assert len(await world.services.records.said_back("default", marks, 9)) == 2
    assert (await world.client.request("DELETE", "/v1/recipients/ada")).status == 200
    assert await world.services.records.said_back("default", marks, 9) == []
    others = world.services.marker.addresses("+14155559999")
    assert len(await world.services.records.said_back("default", others, 9)) == 2
