"""The way in, and what guards every page: links, keys, sessions, cookies, forms of strangers, headers."""

from __future__ import annotations

import dataclasses
import re

import pytest

from sendwright.providers.contract import Secret
from sendwright.web.dashboard.app import PAGES, with_dashboard
from sendwright.web.dashboard.place import place_of, require_own
from sendwright.web.dashboard.signing_in import IDLE_MS, LIFE_MS, LINK_MS, SEEN_MS
from sendwright.web.dashboard.throttle import AT_ONCE, EVERY_S, REMEMBERED, Throttle

from .api_world import KEY
from .dashboard_world import HOST, ORIGIN, Desk, concrete

HTTPS = {"host": "notify.example.com", "origin": "https://notify.example.com"}
OTHERS = [page for page in PAGES if page.method == "POST"]


# Links


async def test_a_link_shows_a_button_and_only_the_button_uses_it_up() -> None:
    desk = Desk()
    link = await desk.link()
    for _ in range(3):
        assert (await desk.browser.get(link)).status == 200
    secret = link.partition("link=")[2]
    assert f'name="link" value="{secret}"' in desk.browser.page
    entered = await desk.browser.post("/dashboard/sign-in", {"link": secret}, csrf=None)
    assert (await desk.browser.follow(entered)).status == 200
    other = desk.another()
    assert (await other.post("/dashboard/sign-in", {"link": secret}, csrf=None)).status == 401
    assert "This link has been used, or is over" in other.text


async def test_a_link_is_over_after_its_time() -> None:
    desk = Desk()
    secret = (await desk.link()).partition("link=")[2]
    desk.world.clock.ms += LINK_MS
    assert (await desk.browser.post("/dashboard/sign-in", {"link": secret}, csrf=None)).status == 401


async def test_a_link_is_no_session_and_a_session_is_no_link() -> None:
    desk = Desk()
    desk.browser.cookie = f"sendwright_session={(await desk.link()).partition('link=')[2]}"
    assert (await desk.browser.get("/dashboard")).headers["location"] == "/dashboard/sign-in"
    other = desk.another()
    await other.sign_in()
    assert other.cookie is not None
    secret = other.cookie.partition("=")[2]
    assert (await desk.browser.post("/dashboard/sign-in", {"link": secret}, csrf=None)).status == 401


async def test_the_secret_of_a_link_stands_as_text_whatever_it_is() -> None:
    desk = Desk()
    await desk.browser.get("/dashboard/sign-in?link=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script>alert" not in desk.browser.page


# Keys


async def test_a_wrong_key_gets_nobody_in() -> None:
    desk = Desk()
    answer = await desk.browser.post("/dashboard/sign-in", {"key": "wrong"}, csrf=None)
    assert (answer.status, desk.browser.cookie) == (401, None)
    assert "wrong" not in desk.browser.page


async def test_who_tries_too_often_waits_and_may_then_try_again() -> None:
    desk = Desk()
    answers = [await desk.browser.post("/dashboard/sign-in", {"key": f"wrong-{n}"}, csrf=None) for n in range(AT_ONCE + 1)]
    assert [answer.status for answer in answers] == [401] * AT_ONCE + [429]
    refused = await desk.browser.post("/dashboard/sign-in", {"key": KEY}, csrf=None)
    assert (refused.status, refused.headers["retry-after"]) == (429, "6")
    desk.world.clock.ms += round(EVERY_S * 1000)
    await desk.browser.sign_in()


def test_a_throttle_is_kept_by_address_and_has_a_bound() -> None:
    throttle = Throttle()
    for _ in range(AT_ONCE):
        throttle.failed("one", 0.0)
    assert throttle.wait_s("one", 0.0) == pytest.approx(EVERY_S)
    assert throttle.wait_s("another", 0.0) == 0
    for n in range(REMEMBERED):
        throttle.failed(f"crowd-{n}", 1.0)
    assert throttle.wait_s("one", 1.0) == 0


# Sessions


async def test_nobody_sees_a_page_without_a_session() -> None:
    desk = Desk()
    for page in PAGES:
        verb = desk.browser.get if page.method == "GET" else desk.browser.post
        answer = await verb(concrete(page.path))
        assert (answer.status, answer.headers["location"]) == (303, "/dashboard/sign-in"), page.path
        assert answer.body == b""


async def test_a_part_of_a_page_sends_its_whole_page_to_the_door() -> None:
    answer = await Desk().browser.get("/dashboard/live", hx_request="true")
    assert (answer.status, answer.headers["hx-redirect"]) == (401, "/dashboard/sign-in")


async def test_signing_in_makes_a_new_secret_each_time_and_ends_the_session_before() -> None:
    desk = Desk()
    await desk.browser.sign_in()
    first = desk.browser.cookie
    await desk.browser.post("/dashboard/sign-in", {"key": KEY}, csrf=None)
    assert desk.browser.cookie != first
    assert len(await desk.world.sessions.all_of("default")) == 1
    desk.browser.cookie = first
    assert (await desk.browser.get("/dashboard")).status == 303


async def test_a_secret_that_somebody_planted_is_nobodys_session() -> None:
    desk = Desk()
    desk.browser.cookie = "sendwright_session=planted"
    entered = await desk.browser.post("/dashboard/sign-in", {"key": KEY}, csrf=None)
    assert entered.status == 303
    assert desk.browser.cookie not in (None, "sendwright_session=planted")


async def test_a_session_is_over_when_it_rests_and_at_its_end_in_any_case() -> None:
    desk = Desk()
    await desk.browser.sign_in()
    for _ in range(LIFE_MS // (IDLE_MS - 1000)):
        desk.world.clock.ms += IDLE_MS - 1000
        assert (await desk.browser.get("/dashboard")).status == 200
    desk.world.clock.ms += IDLE_MS - 1000
    assert (await desk.browser.get("/dashboard")).status == 303
    assert await desk.world.sessions.all_of("default") == []
    await desk.browser.sign_in()
    desk.world.clock.ms += IDLE_MS
    assert (await desk.browser.get("/dashboard")).status == 303


async def test_a_page_that_is_left_open_does_not_keep_a_session_alive() -> None:
    desk = Desk()
    await desk.browser.sign_in()
    for _ in range(IDLE_MS // SEEN_MS):
        desk.world.clock.ms += SEEN_MS
        last = await desk.browser.get("/dashboard/live", hx_request="true")
    assert last.status == 401


async def test_sessions_are_ended_one_by_one_all_at_once_and_by_signing_out() -> None:
    desk = Desk()
    first, second, third = desk.browser, desk.another(), desk.another()
    for each in (first, second, third):
        await each.sign_in()
    rows = {session.id for session in await desk.world.sessions.all_of("default")}
    await first.get("/dashboard/sessions")
    own = re.search(r"<code>(\w{8})</code> <span class=\"badge move\">this one", first.page)
    assert own is not None
    (other, *_) = [id_ for id_ in rows if not id_.startswith(own[1])]
    await first.post(f"/dashboard/sessions/{other}/end")
    assert sorted([(await each.get("/dashboard")).status for each in (second, third)]) == [200, 303]
    assert (await first.post(f"/dashboard/sessions/{other}/end")).status == 404
    await first.post("/dashboard/sessions/end-all")
    assert [(await each.get("/dashboard")).status for each in (first, second, third)] == [303] * 3
    await first.sign_in()
    kept = first.cookie
    out = await first.post("/dashboard/sign-out")
    assert out.headers["location"] == "/dashboard/sign-in"
    first.cookie = kept
    assert (await first.get("/dashboard")).status == 303


async def test_a_session_may_what_its_key_may_and_sees_its_keys_tenant() -> None:
    desk = Desk()
    _, reader = await desk.world.warden.made("default", "reader", ("read",))
    _, (message,) = desk.world.born()
    await desk.browser.sign_in(reader)
    await desk.browser.get(f"/dashboard/messages/{message}")
    assert "Send again" not in desk.browser.text
    assert "Only a key with the scope admin" in desk.browser.text
    assert (await desk.browser.get(f"/dashboard/messages/{message}?content=shown")).status == 403
    for page in OTHERS:
        if page.scope != "read":
            assert (await desk.browser.post(concrete(page.path))).status == 403, page.path
    assert (desk.world.book.asked, desk.world.crew.patches) == ([], [])
    _, stranger = await desk.world.warden.made("acme", "stranger", ("send", "read", "admin"))
    other = desk.another()
    await other.sign_in(stranger)
    assert (await other.get(f"/dashboard/messages/{message}")).status == 404
    await other.get("/dashboard/messages")
    assert "No messages yet" in other.text
    assert (await other.post("/dashboard/providers/twilio-main/switch", {"to": "off"})).status == 403  # it concerns all tenants
    await other.post("/dashboard/sessions/end-all")
    assert (await desk.browser.get("/dashboard")).status == 200


async def test_a_key_that_may_not_read_gets_nobody_in() -> None:
    desk = Desk()
    _, sender = await desk.world.warden.made("default", "sender", ("send",))
    assert (await desk.browser.post("/dashboard/sign-in", {"key": sender}, csrf=None)).status == 403
    assert desk.browser.cookie is None


async def test_a_session_is_over_with_its_key() -> None:
    desk = Desk()
    key, text = await desk.world.warden.made("default", "reader", ("read",))
    await desk.browser.sign_in(text)
    assert (await desk.browser.get("/dashboard")).status == 200
    await desk.world.warden.revoke("default", key.id)
    assert (await desk.browser.get("/dashboard")).status == 303
    assert await desk.world.sessions.all_of("default") == []


async def test_a_session_is_over_when_the_admin_key_is_another() -> None:
    desk = Desk()
    await desk.browser.sign_in()
    services = dataclasses.replace(desk.world.services, admin_key=Secret("another-admin-key-of-thirty-two-characters"))
    desk.browser.turn_to(with_dashboard(services, desk.world.app))
    assert (await desk.browser.get("/dashboard")).status == 303


async def test_pages_count_against_the_rate_of_their_key() -> None:
    desk = Desk()
    _, text = await desk.world.warden.made("default", "reader", ("read",), rate="2/min")
    await desk.browser.post("/dashboard/sign-in", {"key": text}, csrf=None)
    assert [(await desk.browser.get("/dashboard/sessions")).status for _ in range(3)] == [200, 200, 429]


async def test_the_store_holds_nothing_that_lets_anybody_in() -> None:
    desk = Desk()
    link = (await desk.link()).partition("link=")[2]
    await desk.browser.sign_in()
    assert desk.browser.cookie is not None
    secret = desk.browser.cookie.partition("=")[2]
    rows = list(desk.world.sessions._store.tables.sessions.rows.values())
    assert len(rows) == 2
    for row in rows:
        for shown in (row.id, row.sealed.hex(), row.sealed.decode("latin-1"), repr(row)):
            assert KEY not in shown
            assert secret not in shown
            assert link not in shown
    desk.browser.cookie = f"sendwright_session={rows[0].id}"
    assert (await desk.browser.get("/dashboard")).status == 303


# Forms of strangers


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example", "sec_fetch_site": "cross-site"},
        {"origin": "https://evil.example", "sec_fetch_site": "same-origin"},
        {"origin": "null", "sec_fetch_site": "cross-site"},
        {"origin": "null", "sec_fetch_site": "none"},
        {"origin": "null", "sec_fetch_site": ""},
        {"origin": f"{ORIGIN}0", "sec_fetch_site": "same-site"},
    ],
)
async def test_a_form_of_another_place_changes_nothing_though_it_knows_the_token(headers: dict[str, str]) -> None:
    desk = Desk()
    await desk.browser.sign_in()
    for page in OTHERS:
        assert (await desk.browser.post(concrete(page.path), **headers)).status == 403, page.path
    assert desk.world.book.asked == []
    assert desk.world.crew.patches == []
    assert len(await desk.world.sessions.all_of("default")) == 1


@pytest.mark.parametrize("csrf", [None, "0" * 64, "é"])
async def test_a_form_without_its_token_changes_nothing(csrf: str | None) -> None:
    desk = Desk()
    await desk.browser.sign_in()
    for page in OTHERS:
        assert (await desk.browser.post(concrete(page.path), csrf=csrf)).status == 403
    assert len(await desk.world.sessions.all_of("default")) == 1


async def test_the_token_of_another_session_is_none() -> None:
    desk = Desk()
    other = desk.another()
    await desk.browser.sign_in()
    await other.sign_in()
    assert desk.browser.csrf != other.csrf
    assert (await desk.browser.post("/dashboard/sign-out", csrf=other.csrf)).status == 403


async def test_nobody_is_signed_in_by_a_form_of_another_place() -> None:
    desk = Desk()
    answer = await desk.browser.post("/dashboard/sign-in", {"key": KEY}, csrf=None, sec_fetch_site="cross-site")
    assert (answer.status, desk.browser.cookie) == (403, None)


async def test_a_body_that_is_no_form_is_refused() -> None:
    desk = Desk()
    await desk.browser.sign_in()
    assert (await desk.browser.post("/dashboard/sign-out", content_type="text/plain")).status == 415
    assert (await desk.browser.post("/dashboard/sign-out", {"x": "y" * (256 << 10)})).status == 413
    assert (await desk.browser.post("/dashboard/sign-out", {"x": ["y"] * 2_001})).status == 400


async def test_nothing_changes_on_get() -> None:
    desk = Desk()
    await desk.browser.sign_in()
    pages = {page.path for page in PAGES if page.method == "GET"}
    for page in OTHERS:
        if page.path not in pages:
            assert (await desk.browser.get(concrete(page.path))).status in (404, 405), page.path
    assert desk.world.book.asked == []


# Places


@pytest.mark.parametrize(
    ("host", "public", "origin", "secure"),
    [
        (HOST, "http://127.0.0.1:8420", ORIGIN, False),
        ("localhost:8420", "https://notify.example.com", "http://localhost:8420", False),
        ("[::1]:8420", "http://127.0.0.1:8420", "http://[::1]:8420", False),
        ("notify.example.com", "https://notify.example.com", "https://notify.example.com", True),
        ("notify.example.com:443", "https://notify.example.com/base", "https://notify.example.com", True),
        ("Notify.Example.com:8443", "https://notify.example.com:8443", "https://notify.example.com:8443", True),
    ],
)
def test_there_is_a_dashboard_here(host: str, public: str, origin: str, secure: bool) -> None:
    place = place_of({b"host": host.encode()}, public)
    assert (place.origin, place.secure) == (origin, secure)
    require_own({b"origin": origin.encode()}, place)


@pytest.mark.parametrize(
    ("host", "public"),
    [
        ("evil.example", "https://notify.example.com"),
        ("10.0.0.5:8420", "http://10.0.0.5:8420"),
        ("notify.example.com", "http://notify.example.com"),
        ("notify.example.com:8420", "https://notify.example.com"),
        ("127.0.0.1.evil.example", "http://127.0.0.1:8420"),
        ("localhost.evil.example:8420", "http://127.0.0.1:8420"),
        ("[::1", "http://127.0.0.1:8420"),
        ("127.0.0.1:x", "http://127.0.0.1:8420"),
        ("", "http://127.0.0.1:8420"),
    ],
)
async def test_there_is_none_where_others_could_read_along(host: str, public: str) -> None:
    desk = Desk(public_url=public)
    for path in ("/", "/dashboard", "/dashboard/sign-in"):
        answer = await desk.browser.get(path, host=host)
        assert (answer.status, "ssh -L" in desk.browser.page) == (421, True)
    assert (await desk.browser.post("/dashboard/sign-in", {"key": KEY}, csrf=None, host=host)).status == 421


# Cookies and headers


async def test_the_cookie_is_plain_on_loopback_and_bound_to_its_host_elsewhere() -> None:
    for public, host, name, more in (
        ("http://127.0.0.1:8420", HOST, "sendwright_session", ""),
        ("https://notify.example.com", "notify.example.com", "__Host-sendwright_session", "; Secure"),
    ):
        desk = Desk(public_url=public)
        answer = await desk.browser.post("/dashboard/sign-in", {"key": KEY}, csrf=None, host=host)
        found = re.fullmatch(
            rf"{name}=([\w-]{{43}}); Path=/; Max-Age=43200; HttpOnly; SameSite=Strict{more}", answer.headers["set-cookie"]
        )
        assert found is not None, answer.headers["set-cookie"]
    plain = f"sendwright_session={found[1]}"
    assert (await desk.browser.get("/dashboard", host="notify.example.com", cookie=plain)).status == 303


async def test_every_page_has_the_same_guards() -> None:
    desk = Desk(public_url="https://notify.example.com")
    desk.browser = desk.another(**HTTPS)
    await desk.browser.sign_in()
    given = await desk.furnish()
    pages = [concrete(page.path, **given) for page in PAGES if page.method == "GET"]
    for path in (*pages, "/dashboard/sign-in", "/dashboard/nowhere", "/"):
        headers = (await desk.browser.get(path)).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["strict-transport-security"] == "max-age=31536000"
        policy = headers["content-security-policy"]
        assert "unsafe" not in policy
        for rule in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
            assert rule in policy


async def test_no_page_holds_a_script_or_a_style_and_none_comes_from_elsewhere() -> None:
    desk = Desk()
    await desk.browser.sign_in()
    given = await desk.furnish()
    for page in PAGES:
        if page.method == "GET":
            await desk.browser.get(concrete(page.path, **given))
            assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?! src=\"/dashboard/static/)", desk.browser.page)
            assert not re.search(r"(src|href|action)=\"(?!/|\?|#)", desk.browser.page)


async def test_static_files_are_kept_and_only_those_that_are_there() -> None:
    desk = Desk()
    await desk.browser.get("/dashboard/sign-in")
    files = re.findall(r'"(/dashboard/static/[^"]+)"', desk.browser.page)
    assert len(files) >= 6
    for path in files:
        answer = await desk.browser.get(path.replace("&amp;", "&"))
        assert (answer.status, answer.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
    for path in ("app.py", "..%2fapp.py", "base.html", ""):
        assert (await desk.browser.get(f"/dashboard/static/{path}")).status in (303, 404)
    assert "MIT" in (await desk.browser.get("/dashboard/static/uPlot.LICENSE.txt")).body.decode()


async def test_neither_the_key_nor_the_token_reaches_a_repr() -> None:
    desk = Desk(metrics_key=Secret("m" * 32))
    await desk.browser.sign_in()
    (session,) = await desk.world.sessions.all_of("default")
    assert KEY not in repr(desk.world.services)
    assert session.id not in repr(session)
