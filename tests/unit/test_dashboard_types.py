"""Types on the dashboard: what a form makes of them, what they would say, their faults beside their places, and their versions."""

from __future__ import annotations

import re
from html import unescape

import msgspec
import pytest

from sendwright.model.types import TypeBody
from sendwright.web.dashboard.comparing import LINES_MAX, compared
from sendwright.web.dashboard.type_form import FIELDS, as_document, as_fields

from .dashboard_world import Browser, Desk

FORM = {"category": "transactional", "priority": "normal", "data": '{"name": "Ada"}', "recipient": ""}
WHOLE = {
    "description": "Sent on its way",
    "category": "marketing",
    "priority": "high",
    "ttl": "36h",
    "schema": {"type": "object", "properties": {"name": {"type": "string"}}},
    "plan": {"channels": ["push", "sms"]},
    "content": {
        "title": "T",
        "body": "\nB\n  {{ name }}",
        "html": "<p>every</p>",
        "url": "https://example.com/",
        "media": [{"url": "https://example.com/a.png"}],
        "email": {"subject": "S", "html": "<p>{{ name }}</p>", "text": "t", "headers": {"X-Kind": "news"}},
        "sms": {"body": "s", "from": "ACME"},
        "push": {"title": "p", "body": "q", "badge": 3},
        "locales": {"de": {"title": "Hallo"}},
    },
}


@pytest.fixture
async def desk() -> Desk:
    made = Desk()
    await made.browser.sign_in()
    await made.browser.get("/dashboard/types/-new")
    return made


async def saved(browser: Browser, name: str = "order.shipped", **fields: str) -> None:
    await browser.follow(await browser.post("/dashboard/types/-save", {**FORM, "name": name, **fields}))


def fault_of(browser: Browser, name: str) -> str:
    found = re.search(rf'id="fault-{name}"[^>]*>(.*?)</div>', browser.page)
    assert found is not None, name
    return unescape(re.sub("<[^>]*>", " ", found[1])).strip()


def test_a_type_goes_through_the_form_and_comes_out_as_it_was() -> None:
    for doc in (WHOLE, {"content": {"body": "b"}}, {"content": {"email": {"html": "<p>x</p>"}}}):
        body = msgspec.convert(doc, TypeBody)
        raw, faults = as_document(as_fields(body))
        assert faults == {}
        assert msgspec.json.decode(raw, type=TypeBody) == body


def test_what_has_a_field_may_not_stand_in_the_rest_as_well() -> None:
    _, faults = as_document({"title": "a", "sms_body": "b", "more": '{"title": "c", "sms": 5}'})
    assert faults == {"more": ["#/content/title has a field of its own above", "#/content/sms/body has a field of its own above"]}
    _, faults = as_document({"schema": "{", "plan": "[1", "more": "[]"})
    assert sorted(faults) == ["more", "plan", "schema"]


def test_two_versions_are_compared_field_by_field_and_line_by_line() -> None:
    labels = {"a": "A", "b": "B", "c": "C"}
    (part,) = compared({"a": "same", "b": "one\ntwo\nthree", "c": ""}, {"a": "same", "b": "one\n2\nthree", "c": ""}, labels)
    assert (part.label, [tuple(line) for line in part.lines]) == (
        "B",
        [("same", "one"), ("gone", "two"), ("come", "2"), ("same", "three")],
    )
    long = "x\n" * (LINES_MAX + 5)
    (part,) = compared({"a": long, "b": "", "c": ""}, {"a": long + "y", "b": "", "c": ""}, labels)
    assert {line.tone for line in part.lines} == {"gone", "come"}


async def test_a_type_is_made_changed_and_shown_with_its_versions(desk: Desk) -> None:
    await saved(desk.browser, title="Hello {{ name }}", body="<b>Shipped</b>")
    assert "Saved as version 1" in desk.browser.text
    assert "Hello {{ name }}" in unescape(desk.browser.page)
    await saved(desk.browser, version="1", newest="1", title="Dear {{ name }}", body="<b>Shipped</b>\r\non time")
    assert "Saved as version 2" in desk.browser.text
    stored = await desk.world.types.get("default", "order.shipped", None)
    assert stored is not None
    assert (stored.version, stored.body.content.body) == (2, "<b>Shipped</b>\non time")
    await saved(desk.browser, version="2", newest="2", title="Dear {{ name }}", body="<b>Shipped</b>\non time")
    assert "none was made" in desk.browser.text
    await desk.browser.get("/dashboard/types/order.shipped?version=1")
    assert "not the newest" in desk.browser.text
    assert "Hello name" in desk.browser.text  # what its template asks for is filled in by its own name
    await desk.browser.get("/dashboard/types/order.shipped/compare?from=1&to=2")
    assert "Every channel: Title − gone: Hello {{ name }} + new: Dear {{ name }}" in desk.browser.text
    assert "<b>" not in desk.browser.page
    assert (await desk.browser.get("/dashboard/types/order.shipped?version=9")).status == 404
    assert (await desk.browser.get("/dashboard/types/order.shipped/compare?to=9")).status == 404
    await desk.browser.get("/dashboard/types")
    assert "order.shipped 2 transactional normal" in desk.browser.text


async def test_every_fault_stands_beside_its_place_and_nothing_is_saved_or_lost(desk: Desk) -> None:
    given = {
        "name": "Bad Name",
        "ttl": "soon",
        "title": "Hi {{ name",
        "url": "javascript:alert(1)",
        "email_html": "{% for x %}",
        "schema": '{"type": "nonsense"}',
        "plan": '{"channels": ["pigeon"]}',
        "more": '{"telegram": {"body": 5}}',
    }
    answer = await desk.browser.post("/dashboard/types/-save", {**FORM, **given})
    assert answer.status == 422
    for name in given:
        assert fault_of(desk.browser, name), name
    assert "#/content/telegram/body" in fault_of(desk.browser, "more")
    for name, text in given.items():
        assert text in unescape(desk.browser.page), name
    assert await desk.world.types.get("default", "Bad Name", None) is None
    assert 'href="javascript' not in desk.browser.page


async def test_who_was_overtaken_overwrites_nothing(desk: Desk) -> None:
    await saved(desk.browser, body="one")
    await saved(desk.browser, version="1", newest="1", body="two")
    for newest in ("1", ""):
        answer = await desk.browser.post(
            "/dashboard/types/-save", {**FORM, "name": "order.shipped", "newest": newest, "body": "mine"}
        )
        assert answer.status == 422
        assert re.search("changed meanwhile|a type already", fault_of(desk.browser, "name"))
        assert "mine" in desk.browser.page
    stored = await desk.world.types.get("default", "order.shipped", None)
    assert stored is not None
    assert stored.version == 2


async def test_the_preview_says_what_every_channel_would_and_keeps_the_data(desk: Desk) -> None:
    said = {"title": "Hi {{ name }}", "body": "Grüße, {{ name }} 漢", "email_html": "<p style='color:red'>{{ name }}</p>"}
    answer = await desk.browser.post(
        "/dashboard/types/-preview", {**FORM, **said, "data": '{"name": "<i>Ada</i>"}', "recipient": "{}"}
    )
    assert answer.status == 200
    assert "frame-src 'self'" in answer.headers["content-security-policy"]
    text = desk.browser.text
    assert "Hi <i>Ada</i> Grüße, <i>Ada</i> 漢" in text
    assert "1 segment, UCS-2" in text
    assert "not in the GSM alphabet: 漢" in text
    assert '<input type="hidden" name="html" value="&lt;p style=' in desk.browser.page
    assert "<i>" not in desk.browser.page
    assert '{"name": "<i>Ada</i>"}' in unescape(desk.browser.page)
    assert re.search(r'<iframe class="mail" name="mail" sandbox title="[^"]+"', desk.browser.page)
    assert await desk.world.types.list("default", 9, None) is not None


async def test_a_script_gets_the_part_and_the_faults_for_their_places(desk: Desk) -> None:
    wrong = {**FORM, "title": "{{ nobody }}", "data": '{"name"', "body": "b"}
    answer = await desk.browser.post("/dashboard/types/-preview", wrong, hx_request="true")
    assert answer.status == 200
    assert "<html" not in desk.browser.page
    assert fault_of(desk.browser, "data") == "is not JSON"
    await desk.browser.post("/dashboard/types/-preview", {**wrong, "data": "{}"}, hx_request="true")
    assert "not defined" in fault_of(desk.browser, "title")
    assert len(re.findall('hx-swap-oob="true"', desk.browser.page)) == len(FIELDS) + 3


async def test_data_is_held_to_the_schema(desk: Desk) -> None:
    schema = '{"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "examples": ["Grace"]}}}'
    await desk.browser.post("/dashboard/types/-preview", {**FORM, "body": "b", "schema": schema, "data": '{"name": 5}'})
    assert "#/data/name" in fault_of(desk.browser, "data")
    await saved(desk.browser, body="Hi {{ name }}", schema=schema)
    assert "Hi Grace" in desk.browser.text


async def test_who_may_only_look_sees_what_is_stored_and_nothing_else(desk: Desk) -> None:
    await saved(desk.browser, body="stored {{ name }}")
    _, key = await desk.world.warden.made("default", "reader", ("read",))
    reader = desk.another()
    await reader.sign_in(key)
    await reader.get("/dashboard/types/order.shipped")
    assert not re.search("Save as|New type|>Delete<", reader.page)
    form = {**FORM, "name": "order.shipped", "version": "1", "body": "own words {{ name }}"}
    await reader.post("/dashboard/types/-preview", form, hx_request="true")
    assert "stored Ada" in reader.text
    assert "own words" not in reader.text
    assert (await reader.post("/dashboard/types/-save", form)).status == 403
    assert (await reader.get("/dashboard/types/-new")).status == 403


async def test_a_type_is_deleted_and_another_tenants_is_not_there(desk: Desk) -> None:
    await saved(desk.browser, body="b")
    _, key = await desk.world.warden.made("acme", "stranger", ("send", "read", "admin"))
    stranger = desk.another()
    await stranger.sign_in(key)
    await stranger.get("/dashboard/types")
    assert "No types yet" in stranger.text
    for path in ("/dashboard/types/order.shipped", "/dashboard/types/order.shipped/compare"):
        assert (await stranger.get(path)).status == 404
    assert (await stranger.post("/dashboard/types/-delete", {"name": "order.shipped"})).status == 404
    await stranger.get("/dashboard/types/-new")
    assert (await stranger.post("/dashboard/types/-preview", {**FORM, "name": "order.shipped", "version": "1"})).status == 404
    await desk.browser.follow(await desk.browser.post("/dashboard/types/-delete", {"name": "order.shipped"}))
    assert "No types yet" in desk.browser.text


async def test_a_mail_comes_back_under_a_policy_that_lets_it_do_nothing(desk: Desk) -> None:
    html = "<script>alert(1)</script><p style='color:red'>Hi</p>"
    answer = await desk.browser.post("/dashboard/mail", {"html": html})
    assert answer.body.decode() == html
    policy = answer.headers["content-security-policy"]
    for rule in ("sandbox;", "default-src 'none'", "form-action 'none'", "base-uri 'none'", "frame-ancestors 'self'"):
        assert rule in policy
    assert not re.search("allow-|script-src|connect-src|frame-src|https?:", policy)
    assert (await desk.browser.post("/dashboard/mail", {"html": html}, csrf="0" * 64)).status == 403
    assert (await desk.browser.get("/dashboard/mail")).status == 405


async def test_only_pages_that_show_a_mail_have_room_for_a_frame_and_only_for_ours(desk: Desk) -> None:
    await desk.furnish()
    _, (message,) = desk.world.born()
    for path, frames in (
        ("/dashboard", False),
        ("/dashboard/types", False),
        ("/dashboard/types/order.shipped", True),
        (f"/dashboard/messages/{message}", False),
        (f"/dashboard/messages/{message}?content=shown", True),
    ):
        policy = (await desk.browser.get(path)).headers["content-security-policy"]
        assert ("frame-src" in policy) is frames, path
        assert not frames or policy.endswith("frame-src 'self'")
        assert "frame-ancestors 'none'" in policy
