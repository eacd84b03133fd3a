"""The tenant switch: who may, what every page then shows and does, and what it never lets happen by mistake."""

from __future__ import annotations

import re

import pytest

from sendwright.model.sessions import Session
from sendwright.web.dashboard.signing_in import IDLE_MS, LIFE_MS

from .dashboard_world import Browser, Desk, concrete


@pytest.fixture
async def desk() -> Desk:
    made = Desk()
    await made.browser.sign_in()
    await made.browser.get("/dashboard/tenant")
    return made


async def turned(browser: Browser, tenant: str) -> None:
    await browser.follow(await browser.post("/dashboard/tenant", {"tenant": tenant}))


async def test_every_page_says_for_whom_one_acts_and_shows_that_tenants(desk: Desk) -> None:
    _, (message,) = desk.world.born()
    await desk.world.neighbour.request("PUT", "/v1/recipients/theirs", json={"slack": "U1"})
    await turned(desk.browser, "acme")
    for path in ("", "/messages", "/doubts", "/dead", "/providers", "/types", "/people", "/suppressions", "/endpoints", "/keys",
                 "/sessions", "/tenant", f"/messages/{message}"):  # fmt: skip
        answer = await desk.browser.get(f"/dashboard{path}")
        assert "You act for the tenant acme" in desk.browser.text, path
        assert answer.status == (404 if path.startswith("/messages/") else 200)
    await desk.browser.get("/dashboard/people")
    assert "theirs" in desk.browser.text
    await turned(desk.browser, "")
    assert "You act for" not in desk.browser.text.replace("You act for your own tenant again", "")
    assert (await desk.browser.get(f"/dashboard/messages/{message}")).status == 200


async def test_what_is_done_is_done_for_that_tenant(desk: Desk) -> None:
    await turned(desk.browser, "acme")
    await desk.browser.post("/dashboard/keys", {"name": "theirs", "scopes": "read"})
    await desk.browser.post("/dashboard/endpoints", {"url": "https://hooks.example.com/a"})
    assert [key.tenant for key in await desk.world.warden.page(None, 9, None)] == ["acme"]
    assert len(await desk.world.endpoints.page("acme", 9)) == 1
    assert (await desk.browser.post("/dashboard/keys", {"name": "x", "scopes": "read", "tenant": "default"})).status == 403


async def test_while_one_acts_for_nobody_in_particular_everybodys_keys_are_seen(desk: Desk) -> None:
    for tenant in ("acme", "default", "umbrella"):
        await desk.world.warden.made(tenant, f"key-of-{tenant}", ("read",))
    await desk.browser.get("/dashboard/keys")
    assert {"key-of-acme", "key-of-default", "key-of-umbrella"} <= set(desk.browser.text.split())
    await turned(desk.browser, "acme")
    await desk.browser.get("/dashboard/keys")
    assert set(re.findall(r"key-of-\w+", desk.browser.text)) == {"key-of-acme"}
    await desk.browser.get("/dashboard/tenant")
    assert set(re.findall(r'<option value="(\w+)">', desk.browser.page)) == {"acme", "default", "umbrella"}


async def test_a_key_of_one_tenant_never_sees_the_switch(desk: Desk) -> None:
    for tenant in ("acme", "default"):
        _, key = await desk.world.warden.made(tenant, "admin", ("send", "read", "admin"))
        browser = desk.another(sendwright_tenant="default")  # no browser says it, and it counts for nothing
        await browser.sign_in(key)
        await browser.get("/dashboard/sessions")
        assert "/dashboard/tenant" not in browser.page
        assert (await browser.get("/dashboard/tenant")).status == 404
        assert (await browser.post("/dashboard/tenant", {"tenant": "umbrella"})).status == 404
        await browser.get("/dashboard/keys")
        assert f"Tenant {tenant}" in browser.text


async def test_a_form_that_was_opened_for_one_tenant_is_not_taken_for_another(desk: Desk) -> None:
    window, other = desk.browser, desk.another()
    other.cookie = window.cookie
    await other.get("/dashboard/keys")
    before = other.csrf
    await turned(window, "acme")
    other.cookie = window.cookie  # one browser has one cookie
    answer = await other.post("/dashboard/keys", {"name": "meant for default", "scopes": "read"}, csrf=before)
    assert (answer.status, "Open the page anew" in other.text) == (403, True)
    assert await desk.world.warden.page(None, 9, None) == []


async def test_the_figures_of_an_open_overview_do_not_turn_into_another_tenants(desk: Desk) -> None:
    await desk.browser.get("/dashboard")
    live = re.search(r'hx-get="(/dashboard/live[^"]+)"', desk.browser.page)
    assert live is not None
    path = live[1].replace("&amp;", "&")
    assert "hx-refresh" not in (await desk.browser.get(path, hx_request="true")).headers
    await desk.browser.get("/dashboard/tenant")
    await turned(desk.browser, "acme")
    answer = await desk.browser.get(path, hx_request="true")
    assert answer.headers["hx-refresh"] == "true"
    assert "Accepted" not in desk.browser.text


async def test_what_is_no_tenants_name_is_refused_and_nothing_turns(desk: Desk) -> None:
    for name in ("BAD", "a b", "<script>", "é", "x" * 64):
        assert (await desk.browser.post("/dashboard/tenant", {"tenant": name})).status == 422
        assert "<script>" not in desk.browser.page.replace("<script src", "")
    await desk.browser.get("/dashboard")
    assert "You act for" not in desk.browser.text


async def test_turning_neither_keeps_the_old_secret_nor_puts_off_the_end(desk: Desk) -> None:
    before = desk.browser.cookie
    desk.world.clock.ms += IDLE_MS - 1
    await turned(desk.browser, "acme")
    after = desk.browser.cookie
    assert before != after
    desk.browser.cookie = before
    assert (await desk.browser.get("/dashboard")).status == 303
    desk.browser.cookie = after
    assert [session.tenant for session in await desk.world.sessions.all_of("default")] == ["default"]
    assert await desk.world.sessions.all_of("acme") == []
    for _ in range((LIFE_MS - 1) // (IDLE_MS - 1) - 1):
        desk.world.clock.ms += IDLE_MS - 1
        assert (await desk.browser.get("/dashboard")).status == 200
    desk.world.clock.ms += IDLE_MS - 1
    assert (await desk.browser.get("/dashboard")).status == 303


async def test_a_session_that_is_ended_while_it_turns_does_not_go_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    found = desk.world.sessions.find

    async def ended_right_after(id_: str) -> Session | None:
        session = await found(id_)
        await desk.world.sessions.end("default")
        return session

    monkeypatch.setattr(desk.world.sessions, "find", ended_right_after)
    answer = await desk.browser.post("/dashboard/tenant", {"tenant": "acme"})
    assert answer.status == 403
    assert "set-cookie" not in answer.headers
    assert await desk.world.sessions.all_of("default") == []


async def test_signing_out_ends_the_session_whoever_it_acts_for_and_ending_all_ends_that_tenants(desk: Desk) -> None:
    _, key = await desk.world.warden.made("acme", "theirs", ("read",))
    theirs = desk.another()
    await theirs.sign_in(key)
    await turned(desk.browser, "acme")
    await desk.browser.get("/dashboard/sessions")
    assert (await desk.browser.post("/dashboard/sessions/end-all")).headers["location"].startswith("/dashboard/sessions")
    assert [(await each.get("/dashboard")).status for each in (theirs, desk.browser)] == [303, 200]
    await desk.browser.post("/dashboard/sign-out")
    assert await desk.world.sessions.all_of("default") == []


async def test_ids_of_the_own_tenant_are_not_there_while_one_acts_for_another(desk: Desk) -> None:
    given = await desk.furnish()
    await desk.browser.get("/dashboard/tenant")
    await turned(desk.browser, "acme")
    for path in ("/dashboard/messages/{id}", "/dashboard/endpoints/{endpoint}", "/dashboard/types/{type}", "/dashboard/people/one"):
        assert (await desk.browser.get(concrete(path, **given))).status == 404, path
