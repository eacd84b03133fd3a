"""Keys, endpoints, suppressions and people: what their pages show, what their forms ask of the API's handlers, and who may."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from sendwright.providers.contract import Reply

from .dashboard_world import EVENT, Browser, Desk

LONG_AGO = "2001-01-01T00:00"


@pytest.fixture
async def desk() -> Desk:
    made = Desk()
    await made.browser.sign_in()
    return made


async def other_tenant(desk: Desk, *scopes: str) -> Browser:
    _, key = await desk.world.warden.made("acme", "stranger", scopes or ("send", "read", "admin"))
    browser = desk.another()
    await browser.sign_in(key)
    return browser


# Keys


async def test_a_key_is_shown_by_the_answer_that_makes_it_and_by_no_page(desk: Desk) -> None:
    await desk.browser.get("/dashboard/keys")
    form = {"name": "<i>ci</i>", "scopes": ["send", "read"], "rate": "100/s", "expires_at": "2030-01-01T00:00"}
    made = await desk.browser.post("/dashboard/keys", form)
    found = re.search(r"swk_[0-9a-z]{48}", desk.browser.page)
    assert (made.status, made.headers["cache-control"]) == (201, "no-store")
    assert found is not None
    assert "data-once" in desk.browser.page
    assert "<i>" not in desk.browser.page
    other = desk.another()
    await other.sign_in(found[0])
    await desk.browser.get("/dashboard/keys")
    assert found[0] not in desk.browser.page
    assert found[0][:12] in desk.browser.page
    assert "default send, read 100/s now never in 1,140 d" in desk.browser.text


async def test_what_is_wrong_with_a_key_is_said_beside_its_place_and_what_was_typed_stays(desk: Desk) -> None:
    await desk.browser.get("/dashboard/keys")
    answer = await desk.browser.post("/dashboard/keys", {"name": "kept", "tenant": "BAD NAME", "rate": "often"})
    assert answer.status == 422
    for name in ("tenant", "rate", "scopes"):
        assert re.search(rf'id="fault-{name}"><p class="fault">', desk.browser.page), name
    assert 'value="kept"' in desk.browser.page
    form = {"name": "x", "scopes": "read", "expires_at": LONG_AGO}
    assert (await desk.browser.post("/dashboard/keys", form)).status == 422
    assert re.search(r'id="fault-expires_at"><p class="fault">is past', desk.browser.page)
    assert await desk.world.warden.page(None, 9, None) == []


async def test_a_key_gives_no_more_than_it_has_and_sees_its_tenants_keys_alone(desk: Desk) -> None:
    await desk.world.warden.made("default", "ours", ("read",))
    stranger = await other_tenant(desk, "read", "admin")
    await stranger.get("/dashboard/keys")
    assert ">ours<" not in stranger.page
    assert 'value="send"' not in stranger.page
    assert (await stranger.post("/dashboard/keys", {"name": "more", "scopes": ["send"], "tenant": "default"})).status == 403
    assert {key.name for key in await desk.world.warden.page(None, 9, None)} == {"stranger", "ours"}


async def test_a_key_is_revoked_and_another_tenants_is_not_there(desk: Desk) -> None:
    key, text = await desk.world.warden.made("default", "ours", ("read",))
    stranger = await other_tenant(desk)
    await stranger.get("/dashboard/keys")
    assert (await stranger.post("/dashboard/keys/revoke", {"id": key.id})).status == 404
    await desk.browser.get("/dashboard/keys")
    await desk.browser.follow(await desk.browser.post("/dashboard/keys/revoke", {"id": key.id}))
    assert "The key is revoked" in desk.browser.text
    assert (await desk.another().post("/dashboard/sign-in", {"key": text}, csrf=None)).status == 401


# Endpoints


async def test_an_endpoint_is_made_and_its_secret_stands_on_that_answer_alone(desk: Desk) -> None:
    await desk.browser.get("/dashboard/endpoints")
    made = await desk.browser.post(
        "/dashboard/endpoints", {"url": "https://hooks.example.com/a", "types": ["message.sent", "nonsense"]}
    )
    assert made.status == 422
    assert re.search(r'id="fault-types"><p class="fault">', desk.browser.page)
    made = await desk.browser.post("/dashboard/endpoints", {"url": "https://hooks.example.com/a", "types": ["message.sent"]})
    assert made.status == 201
    (secret,) = re.findall(r"whsec_[\w+/=]+", desk.browser.page)
    await desk.browser.get("/dashboard/endpoints")
    assert secret not in desk.browser.page
    assert "https://hooks.example.com/a on message.sent" in desk.browser.text


async def test_an_endpoint_is_tested_switched_changed_rotated_and_deleted(desk: Desk) -> None:
    given = await desk.furnish()
    path = f"/dashboard/endpoints/{given['endpoint']}"
    await desk.browser.get(path)
    assert (await desk.browser.post(f"{path}/test")).status == 200
    assert "It took the test event , status 204" in desk.browser.text
    desk.world.out.answer = Reply(500, {}, b"<b>no</b>")
    await desk.browser.post(f"{path}/test")
    assert "It did not take the test event , status 500" in desk.browser.text
    assert "<b>" not in desk.browser.page
    await desk.browser.follow(await desk.browser.post(f"{path}/switch", {"to": "off"}))
    assert "paused" in desk.browser.text
    await desk.browser.follow(await desk.browser.post(f"{path}/switch", {"to": "on"}))
    assert "paused" not in desk.browser.text
    assert (await desk.browser.post(f"{path}/switch", {"to": "sideways"})).status == 400
    assert (await desk.browser.post(path, {"url": "nowhere"})).status == 422
    await desk.browser.follow(await desk.browser.post(path, {"url": "https://hooks.example.com/b", "types": "message.read"}))
    assert "https://hooks.example.com/b" in desk.browser.text
    assert (await desk.browser.post(f"{path}/rotate")).status == 200
    assert len(re.findall(r"whsec_[\w+/=]+", desk.browser.page)) == 1
    await desk.browser.get(path)
    assert "whsec_" not in desk.browser.page
    assert "The old secret signs too in 24 h" in desk.browser.text
    await desk.browser.follow(await desk.browser.post(f"{path}/delete"))
    assert (await desk.browser.get(path)).status == 404


async def test_deliveries_are_shown_with_their_tries_and_posted_again(desk: Desk) -> None:
    given = await desk.furnish()
    path = f"/dashboard/endpoints/{given['endpoint']}"
    await desk.browser.get(f"{path}?state=failed")
    assert EVENT in desk.browser.page
    assert "500, 12 ms" in desk.browser.text
    await desk.browser.get(f"{path}?state=delivered")
    assert EVENT not in desk.browser.page
    assert (await desk.browser.post(f"{path}/replay")).headers["location"].endswith("note=nothing_chosen")
    chosen = await desk.browser.post(f"{path}/replay", {"id": EVENT})
    assert chosen.headers["location"].endswith("note=posted_again&done=1")
    failed = await desk.browser.post(f"{path}/replay", {"failed": "all"})
    assert failed.headers["location"].endswith("note=posted_again&done=0")
    assert (await desk.browser.post(f"{path}/replay", {"id": "<b>"})).status == 422


async def test_another_tenants_endpoint_is_not_there_by_any_form(desk: Desk) -> None:
    path = f"/dashboard/endpoints/{(await desk.furnish())['endpoint']}"
    stranger = await other_tenant(desk)
    assert (await stranger.get(path)).status == 404
    await stranger.get("/dashboard/endpoints")
    for deed, form in (("/test", {}), ("/switch", {"to": "off"}), ("/rotate", {}), ("/delete", {}), ("/replay", {"failed": "all"}),
                       ("", {"url": "https://evil.example.com/"})):  # fmt: skip
        assert (await stranger.post(path + deed, form)).status == 404, deed
    assert desk.world.out.posts == []


# Suppressions


async def test_an_address_is_put_on_the_list_looked_up_and_lifted_and_is_never_shown_whole(desk: Desk) -> None:
    await desk.browser.get("/dashboard/suppressions")
    form = {"address": "+14155550123", "channel": "sms", "reason": "blocked", "category": "all", "expires_at": "2030-01-01T00:00"}
    added = await desk.browser.post("/dashboard/suppressions/add", form)
    assert added.headers["location"] == "/dashboard/suppressions?note=suppressed"
    await desk.browser.follow(added)
    assert "+1•••0123 sms blocked manual all" in desk.browser.text
    assert "14155550123" not in desk.browser.page
    await desk.browser.post("/dashboard/suppressions", {"address": "+1 415 555 0123", "channel": "sms"})
    assert desk.browser.text.count("+1•••0123 sms blocked") == 2  # what was found, and the list
    await desk.browser.post("/dashboard/suppressions", {"address": "ada@example.org"})
    assert "Nothing: the address may be sent to." in desk.browser.text
    row = re.search(r'name="id" value="([^"]+)"', desk.browser.page)
    assert row is not None
    await desk.browser.follow(await desk.browser.post("/dashboard/suppressions/lift", {"id": row[1]}))
    assert "Nobody is on the list" in desk.browser.text
    assert (await desk.browser.post("/dashboard/suppressions/lift", {"id": row[1]})).status == 404


async def test_filters_of_the_list_are_those_of_the_api(desk: Desk) -> None:
    for address, source in (("ada@example.org", "bounce"), ("bob@example.org", "manual")):
        await desk.world.client.post("/v1/suppressions", {"address": address, "channel": "email", "source": source})
    await desk.browser.get("/dashboard/suppressions?source=bounce&channel=email&reason=")
    assert "a•••@example.org" in desk.browser.text
    assert "b•••@example.org" not in desk.browser.text
    await desk.browser.get("/dashboard/suppressions?reason=nonsense")
    assert "reason has a value that is not allowed" in desk.browser.text


async def test_every_fault_of_an_address_is_beside_its_place(desk: Desk) -> None:
    await desk.browser.get("/dashboard/suppressions")
    form = {"address": "+1", "channel": "sms", "reason": "blocked", "expires_at": LONG_AGO}
    assert (await desk.browser.post("/dashboard/suppressions/add", form)).status == 422
    assert re.search(r'id="a-fault"><p class="fault">must be a possible number', desk.browser.page)
    assert re.search(r'id="fault-expires_at"><p class="fault">is past', desk.browser.page)
    assert (await desk.browser.post("/dashboard/suppressions", {"address": ""})).status == 422


async def test_who_may_only_look_adds_and_lifts_nothing_and_other_tenants_see_nothing(desk: Desk) -> None:
    await desk.world.client.post("/v1/suppressions", {"address": "ada@example.org"})
    await desk.browser.get("/dashboard/suppressions")
    row = re.search(r'name="id" value="([^"]+)"', desk.browser.page)
    assert row is not None
    stranger = await other_tenant(desk)
    await stranger.get("/dashboard/suppressions")
    assert "Nobody is on the list" in stranger.text
    assert (await stranger.post("/dashboard/suppressions/lift", {"id": row[1]})).status == 404
    _, key = await desk.world.warden.made("default", "reader", ("read",))
    reader = desk.another()
    await reader.sign_in(key)
    await reader.get("/dashboard/suppressions")
    assert "Lift" not in reader.text
    assert "Put an address" not in reader.text


# People


async def test_a_person_is_shown_with_masked_addresses_and_their_messages(desk: Desk) -> None:
    await desk.world.client.request("PUT", "/v1/recipients/ada", json={"email": "ada@example.org", "phone": "+14155550123"})
    _, (message,) = desk.world.born(recipient="ada")
    await desk.browser.get("/dashboard/people")
    assert "ada email a•••@example.org phone +1•••0123" in desk.browser.text
    await desk.browser.get("/dashboard/people/one?id=ada")
    assert desk.world.rows.pages[-1].recipient == "ada"
    assert message in desk.browser.page
    assert "email a•••@example.org" in desk.browser.text
    assert not re.search("ada@example|14155550123", desk.browser.page)


@pytest.mark.parametrize("id_", ["a/b", "..", "?#&=+ %", "<b>ada</b>", "ادا"])
async def test_a_person_may_be_called_anything(desk: Desk, id_: str) -> None:
    await desk.world.client.request("PUT", f"/v1/recipients/{quote(id_, safe='')}", json={"slack": "U1"})
    await desk.browser.get("/dashboard/people")
    link = re.search(r'href="(/dashboard/people/one\?id=[^"]+)"', desk.browser.page)
    assert link is not None
    assert (await desk.browser.get(link[1])).status == 200
    assert f"{id_} Messages" in desk.browser.text if "<" not in id_ else "<b>" not in desk.browser.page
    await desk.browser.follow(await desk.browser.post("/dashboard/people/erase", {"id": id_, "typed": id_}))
    assert "The person is erased" in desk.browser.text
    assert "Nobody yet" in desk.browser.text


async def test_a_person_is_erased_only_when_the_id_is_typed_in(desk: Desk) -> None:
    await desk.world.client.request("PUT", "/v1/recipients/ada", json={"slack": "U1"})
    await desk.browser.get("/dashboard/people/one?id=ada")
    for typed in ("", "Ada", "bob"):
        assert (await desk.browser.post("/dashboard/people/erase", {"id": "ada", "typed": typed})).status == 422
        assert "does not match" in desk.browser.text
    assert (await desk.browser.get("/dashboard/people/one?id=ada")).status == 200
    stranger = await other_tenant(desk)
    await stranger.get("/dashboard/people")
    assert "ada" not in stranger.text
    assert (await stranger.get("/dashboard/people/one?id=ada")).status == 404
    await stranger.post("/dashboard/people/erase", {"id": "ada", "typed": "ada"})
    assert (await desk.browser.get("/dashboard/people/one?id=ada")).status == 200


async def test_a_nul_in_an_address_or_a_form_reaches_no_store() -> None:
    desk = Desk()
    await desk.browser.sign_in()
    await desk.browser.get("/dashboard/people")
    assert (await desk.browser.get("/dashboard/people/one?id=a%00")).status == 400
    assert (await desk.browser.get("/dashboard/messages?provider=a%00")).status == 400
    assert (await desk.browser.get("/dashboard/types/a%00")).status == 404
    assert (await desk.browser.post("/dashboard/suppressions", {"address": "a\0b", "channel": "slack"})).status == 400
