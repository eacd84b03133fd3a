"""The pages behind the links: looking changes nothing, one press does, and whoever has no link learns nothing."""

from __future__ import annotations

import re
from typing import Any

import pytest
from msgspec.structs import replace

from sendwright.engine.deliver import BEGIN_S
from sendwright.errors import StoreDown
from sendwright.model.parcel import Step
from sendwright.model.people import EVERYBODY, Suppression
from sendwright.model.said import Said
from sendwright.policy.suppression import Marker, suppression
from sendwright.policy.unsubscribing import Links, Subscribed
from sendwright.web.unsubscribe import page

from .api_world import NOW, World
from .asgi_client import Response

ADA = "Ada.Lovelace@example.org"
FORM = "application/x-www-form-urlencoded"
ONE_CLICK = b"List-Unsubscribe=One-Click"
AGAIN = b"subscribe=again"
MULTIPART = b'--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n'


class Mailed:
    """A world in which somebody got a marketing mail, and its link."""

    def __init__(self, channel: str = "email", address: str = ADA) -> None:
        self.world = World()
        _, (self.message,) = self.world.born(steps=(Step("push", "a-token"), Step(channel, address)))
        self.address = address
        self.path = self.world.services.links.made("default", channel, address, self.message).removeprefix(
            "https://notify.example.com"
        )

    async def look(self, more: str = "") -> Response:
        return await self.world.stranger.get(self.path + more)

    async def post(self, body: bytes = ONE_CLICK, kind: str = FORM, **more: Any) -> Response:
        return await self.world.stranger.request("POST", self.path, body=body, headers={"content-type": kind}, **more)

    @property
    def listed(self) -> list[Suppression]:
        return list(self.world.people.store.tables.suppressions.rows.values())


def button(answer: Response) -> tuple[str, str]:
    """The one field of the page's form."""
    ((name, value),) = re.findall(rb'name="([\w-]+)" value="([\w-]+)"', answer.body)
    return name.decode(), value.decode()


def shown(answer: Response) -> str:
    (title,) = re.findall("<h1>(.*?)</h1>", answer.body.decode())
    return str(title)


async def test_looking_shows_a_button_and_whose_address_it_is_about_and_changes_nothing() -> None:
    mailed = Mailed()
    for method in ("GET", "HEAD"):
        answer = await mailed.world.stranger.request(method, mailed.path)
        assert answer.status == 200
    answer = await mailed.look("?utm_source=mail&fbclid=1")
    assert (shown(answer), button(answer)) == ("Unsubscribe?", ("List-Unsubscribe", "One-Click"))
    text = answer.body.decode()
    assert "a•••@example.org" in text
    assert "lovelace" not in text.lower()
    assert (mailed.listed, mailed.world.clock.slept) == ([], 0)


async def test_the_page_needs_no_script_and_lets_nothing_in() -> None:
    answer = await Mailed().look()
    text, headers = answer.body.decode(), answer.headers
    assert '<html lang="en">' in text
    assert not re.search(r"<script|<img|<link|https?://| on\w+=| style=", text)
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["content-security-policy"] == page.CSP.decode()
    assert "script" not in headers["content-security-policy"]
    assert (headers["cache-control"], headers["referrer-policy"], headers["x-robots-tag"], headers["content-language"]) == (
        "no-store", "no-referrer", "noindex", "en",
    )  # fmt: skip
    assert "set-cookie" not in headers


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (ONE_CLICK, FORM),
        (ONE_CLICK, f"{FORM}; charset=utf-8"),
        (b"list-unsubscribe=one-click&x=1", FORM),
        (MULTIPART, "multipart/form-data; boundary=b"),
        (MULTIPART, 'Multipart/Form-Data; Boundary="b"'),
    ],
)
async def test_one_click_unsubscribes_at_once_without_a_cookie_a_key_or_a_redirect(body: bytes, kind: str) -> None:
    mailed = Mailed()
    answer = await mailed.post(body, kind)
    assert (answer.status, shown(answer)) == (200, "You are unsubscribed")
    (row,) = mailed.listed
    assert (row.tenant, row.channel, row.category, row.reason, row.source, row.expires_at) == (
        "default", "email", "marketing", "opted_out", "unsubscribe", None,
    )  # fmt: skip
    assert (row.mark, row.masked, row.created_at) == (mailed.world.services.marker.address(ADA), "a•••@example.org", NOW)
    assert mailed.world.clock.ms - NOW >= BEGIN_S * 1000  # no call that was claimed before can begin any more
    (found,) = (await mailed.world.client.post("/v1/suppressions/lookup", json={"address": ADA})).json()["data"]
    assert (found["source"], found["category"], found["shared"]) == ("unsubscribe", "marketing", False)


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"", FORM), (b"List-Unsubscribe", FORM), (b"List-Unsubscribe=No", FORM), (b"\xff\x00&=&", FORM), (b"a=1&" * 50, FORM),
     (b"{}", "application/json"), (b"--b", "multipart/form-data"), (b"\xff" * 99, 'multipart/form-data; boundary=""'),
     (MULTIPART, "multipart/form-data; boundary=c"),
     (MULTIPART.replace(b'"List-Unsubscribe"', b"(" * 4000), "multipart/form-data; boundary=b"),
     (MULTIPART, "multipart/form-data; boundary=" + "(" * 4000)],
)  # fmt: skip
async def test_a_post_that_asks_for_nothing_changes_nothing(body: bytes, kind: str) -> None:
    mailed = Mailed()
    answer = await mailed.post(body, kind)
    assert (answer.status, button(answer), mailed.listed) == (400, ("List-Unsubscribe", "One-Click"), [])
    assert (await mailed.post(b"x" * 9000)).status == 413


async def test_who_presses_twice_is_listed_once_and_the_second_time_is_not_written() -> None:
    mailed = Mailed()
    await mailed.post()
    before = mailed.listed
    mailed.world.clock.ms += 60_000
    mailed.world.people.suppressions.unsubscribe = broken  # type: ignore[method-assign]
    answer = await mailed.post()
    assert (answer.status, shown(answer), mailed.listed) == (200, "You are unsubscribed", before)
    assert shown(await mailed.look()) == "You are unsubscribed"


async def test_the_page_offers_to_undo_it_and_that_takes_off_what_the_link_put_there_and_nothing_else() -> None:
    mailed = Mailed()
    marker, add = mailed.world.services.marker, mailed.world.people.suppressions.add
    others = [
        suppression(marker, "default", "email", ADA, "opted_out", "complaint", NOW, "marketing"),
        suppression(marker, "default", "sms", ADA, "opted_out", "manual", NOW),
        suppression(marker, "acme", "email", ADA, "opted_out", "unsubscribe", NOW, "marketing"),
        suppression(marker, EVERYBODY, "email", "other@example.org", "invalid_address", "bounce", NOW),
    ]
    for row in others:
        await add(row)
    left = await mailed.post()
    assert len(mailed.listed) == 5
    name, value = button(left)
    answer = await mailed.post(f"{name}={value}".encode())
    assert (answer.status, shown(answer)) == (200, "That is undone")  # the complaint holds
    assert sorted(row.id for row in mailed.listed) == sorted(row.id for row in others)
    await mailed.world.people.suppressions.lift("default", others[0].id)
    for _ in range(2):
        answer = await mailed.post(AGAIN)
        assert (shown(answer), button(answer)) == ("You are subscribed again", ("List-Unsubscribe", "One-Click"))
    assert shown(await mailed.post()) == "You are unsubscribed"


async def test_every_token_that_is_none_of_ours_gets_one_answer_and_reaches_no_store() -> None:
    mailed = Mailed()
    token = mailed.path.rpartition("/")[2]
    forged = Links("https://x", [b"f" * 32], Marker(b"f" * 32)).token(
        Subscribed("default", "email", "0" * 32, "marketing", mailed.message)
    )
    mailed.world.rows.message = mailed.world.people.suppressions.find = broken  # type: ignore[method-assign, assignment]
    seen = set()
    for bad in ("x", "%20", "%2e%2e", forged, token[:-1], token + "A", token[1:], token.swapcase(), "A" * 5000, "é"):
        for method, body in (("GET", None), ("POST", ONE_CLICK), ("POST", AGAIN), ("POST", b"x")):
            answer = await mailed.world.stranger.request(method, f"/u/{bad}", body=body, headers={"content-type": FORM})
            seen.add((answer.status, answer.body, tuple(sorted(set(answer.headers) - {"request-id"}))))
    ((status, body, _),) = seen
    assert (status, b"can\xe2\x80\x99t be used" in body, mailed.world.clock.slept, mailed.listed) == (404, True, 0, [])
    assert (await mailed.world.stranger.request("DELETE", mailed.path)).status == 405


async def broken(*_: Any) -> Any:
    raise StoreDown("the store is away")


async def test_while_the_store_is_away_nothing_is_promised() -> None:
    mailed = Mailed()
    mailed.world.people.suppressions.find = broken  # type: ignore[method-assign]
    for answer in (await mailed.look(), await mailed.post(), await mailed.post(AGAIN), await mailed.post(b"x")):
        assert (answer.status, shown(answer), answer.headers["retry-after"]) == (503, "That did not work", "60")
    assert mailed.listed == []


async def test_of_an_erased_person_and_of_a_forgotten_message_the_link_does_the_same() -> None:
    for forget in ("erased", "forgotten"):
        mailed = Mailed()
        rows = mailed.world.rows.messages
        if forget == "erased":
            mailed.world.born(steps=(Step("email", ""),))
            assert rows[mailed.message].steps == (Step("email", ""),)
        else:
            rows.clear()
        for answer in (await mailed.look(), await mailed.post()):
            assert answer.status == 200
            assert "the address that the message came to" in answer.body.decode()
        assert [(row.mark, row.masked) for row in mailed.listed] == [(mailed.world.services.marker.address(ADA), "•••")]
        assert (await mailed.post(AGAIN)).status == 200
        assert mailed.listed == []


async def test_after_the_secret_key_was_changed_an_old_link_lists_by_the_new_one_and_undoes_both() -> None:
    old, new = b"o" * 32, b"k" * 32
    world = World()
    _, (message,) = world.born(steps=(Step("email", ADA),))
    path = "/u/" + Links("", [old], Marker(old)).made("default", "email", ADA, message).rpartition("/")[2]
    earlier = World(links=Links("", [old], Marker(old)), marker=Marker(old))
    assert (await world.stranger.get(path)).status == 404
    both = World(links=Links("https://notify.example.com", [new, old], Marker(new, (old,))), marker=Marker(new, (old,)))
    for each in (earlier, both):
        each.rows.messages.update(world.rows.messages)
    headers = {"content-type": FORM}
    await earlier.stranger.request("POST", path, body=ONE_CLICK, headers=headers)
    for row in earlier.people.store.tables.suppressions.rows.values():
        await both.people.suppressions.add(row)
    assert shown(await both.stranger.get(path)) == "You are unsubscribed"
    await both.stranger.request("POST", path, body=AGAIN, headers=headers)
    rows = both.people.store.tables.suppressions.rows
    assert not rows
    await both.stranger.request("POST", path, body=ONE_CLICK, headers=headers)
    assert [row.mark for row in rows.values()] == [Marker(new).address(ADA)]


async def test_whoever_may_read_sees_that_a_message_has_a_link_and_not_the_link() -> None:
    world = World()
    type_ = {"category": "marketing", "content": {"body": "Stop: {{ unsubscribe_url }}", "url": "{{ unsubscribe_url }}"}}
    assert (await world.client.request("PUT", "/v1/types/sale", json=type_)).status == 200
    said = (await world.client.post("/v1/types/sale/preview", json={"data": {}})).json()["channels"]
    assert {part["body"] for part in said if part["channel"] == "email"} == {"Stop: https://notify.example.com/u/***"}
    for category, status, shown in (
        ("marketing", 200, ("body", "Stop: https://notify.example.com/u/***")),
        ("transactional", 409, ("code", "unfillable")),
    ):
        notification, (message,) = world.born(steps=(Step("email", ADA),), about={})
        row = world.rows.notifications[notification]
        content = Said(body="Stop: {{ unsubscribe_url }}", data={})
        world.rows.notifications[notification] = replace(row, category=category, content=content)
        answer = await world.client.get(f"/v1/messages/{message}/content")
        assert (answer.status, shown in answer.json().items()) == (status, True)
    await world.client.request("PUT", "/v1/types/receipt", json={**type_, "category": "transactional"})
    said = (await world.client.post("/v1/types/receipt/preview", json={"data": {}})).json()["channels"]
    assert {fault["pointer"] for part in said for fault in part["errors"]} == {"#/content/body", "#/content/url"}
