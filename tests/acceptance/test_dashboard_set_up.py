"""The dashboard's pages on types, people, suppressions, keys, endpoints and tenants, in a real browser over a real process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from .browser import Window, open_browser
from .harness import ADMIN_KEY, House
from .test_dashboard import _FAINT, HOSTILE

pytestmark = pytest.mark.slow

PHONE: dict[str, Any] = {"viewport": {"width": 375, "height": 812}, "device_scale_factor": 2, "has_touch": True}
MAIL = "<style>h1 { color: rgb(200, 0, 0) }</style><h1>Shipped, {{ name }}</h1><p style='background: rgb(0, 0, 200)'>On its way</p>"
ACTIVE = "<script>document.title = 'ran'</script><img src='https://elsewhere.example/pixel.png' onerror='alert(1)'>"


class Place:
    """A house with one of everything, and hostile words wherever somebody else writes them."""

    def __init__(self, folder: Path) -> None:
        self.house = House(folder, '[providers.box]\nkind = "console"\n')
        self.endpoint = ""

    def furnish(self) -> None:
        self.house.start()
        for version in ("Hello", "Dear"):
            content = {
                "title": f"{version} {{{{ name }}}}",
                "body": f"{version} {{{{ name }}}},\nyour order {{{{ order.id }}}} is on its way.",
                "url": "https://example.com/orders",
                "email": {"html": MAIL},
                "sms": {"body": "Order {{ order.id }} is on its way, {{ name }} 漢"},
            }
            doc = {"description": "Sent when a parcel leaves", "content": content, "plan": {"channels": ["push", "sms", "email"]}}
            self._done("PUT", "/v1/types/order.shipped", doc)
        self._done("PUT", "/v1/types/active", {"content": {"email": {"html": MAIL + ACTIVE}}})
        self._done("PUT", "/v1/types/code", {"priority": "critical", "content": {"body": "{{ code }}"}})
        people = [
            {"id": f"user {words}", "slack": f"U{words}", "email": f"user{number}@example.org", "phone": f"+1415555010{number}"}
            for number, words in enumerate(HOSTILE)
        ]
        self._done("POST", "/v1/recipients/batch", {"recipients": people})
        for words in HOSTILE:
            self._done("POST", "/v1/keys", {"name": f"key {words}", "scopes": ["read"]})
        self._done("POST", "/v1/suppressions", {"address": f"S{HOSTILE[0]}", "channel": "slack", "reason": "blocked"})
        made = self._done("POST", "/v1/endpoints", {"url": "https://hooks.invalid/sendwright", "description": HOSTILE[1]})
        self.endpoint = made["id"]
        for number in range(3):
            body = {"to": {"id": f"user {HOSTILE[0]}", "phone": f"+1415555011{number}"}, "content": {"body": "Hello"}}
            self._done("POST", "/v1/notifications", body)

    def _done(self, method: str, path: str, body: object) -> Any:
        status, answer = self.house.api(method, path, body)
        assert status < 300, answer
        return answer

    @property
    def paths(self) -> dict[str, str]:
        return {
            "types": "/types",
            "type": "/types/order.shipped",
            "type-new": "/types/-new",
            "compare": "/types/order.shipped/compare",
            "people": "/people",
            "person": "/people/one?id=user%20%3Cscript%3Ealert(1)%3C%2Fscript%3E",
            "suppressions": "/suppressions",
            "endpoints": "/endpoints",
            "endpoint": f"/endpoints/{self.endpoint}",
            "keys": "/keys",
            "tenant": "/tenant",
        }


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("set-up"))
    try:
        made.furnish()
        yield made
    finally:
        made.house.stop()


@pytest.fixture
def window(place: Place, browser: Browser) -> Iterator[Window]:
    opened = Window(browser, place.house.url)
    signed_in(opened)
    yield opened
    assert opened.checked() == []
    opened.close()


def signed_in(window: Window) -> Page:
    page = window.go("/dashboard/sign-in")
    page.get_by_label("Key").fill(ADMIN_KEY)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/dashboard?note=signed_in")
    return page


def says(window: Window, words: str) -> None:
    """The page says it, or does so soon: a click may still be leading there."""
    window.page.get_by_text(words).first.wait_for()


def test_a_preview_follows_what_is_typed_and_faults_stand_beside_their_places(place: Place, window: Window) -> None:
    page = window.go("/dashboard/types/order.shipped")
    subject = page.locator("#p-email + .mail-head .said")
    assert subject.inner_text() == "Dear name"
    page.locator("#f-data").fill('{"name": "<img src=x onerror=alert(1)>", "order": {"id": 7}}')
    subject.get_by_text("Dear <img src=x onerror=alert(1)>").wait_for()
    page.locator("#f-email_subject").fill("{{ nobody }}")
    fault = page.locator("#fault-email_subject .fault")
    fault.wait_for()
    assert "not defined" in fault.inner_text()
    assert page.locator("#f-email_subject").get_attribute("aria-invalid") == "true"
    window.picture("type-fault")
    page.locator("#f-email_subject").fill("Now {{ name }}")
    fault.wait_for(state="detached")
    assert "Now <img src=x onerror=alert(1)>" in page.locator("#preview").inner_text()
    page.get_by_role("button", name="Save as version 3").click()
    says(window, "Saved as version 3")
    assert place.house.api("GET", "/v1/types/order.shipped")[1]["content"]["email"]["subject"] == "Now {{ name }}"


def test_a_mail_is_seen_with_its_styles_and_runs_and_loads_nothing(place: Place, browser: Browser) -> None:
    window = Window(browser, place.house.url)
    signed_in(window)
    failed: list[tuple[str, str | None]] = []
    window.page.on("requestfailed", lambda request: failed.append((request.url, request.failure)))
    page = window.go("/dashboard/types/active")
    frame = page.frame_locator("iframe.mail")
    assert frame.locator("h1").inner_text() == "Shipped, name"
    colours = frame.locator("h1").evaluate(
        "e => [getComputedStyle(e).color, getComputedStyle(e.nextElementSibling).backgroundColor]"
    )
    assert colours == ["rgb(200, 0, 0)", "rgb(0, 0, 200)"]
    assert frame.locator("h1").evaluate("e => [e.ownerDocument.title, self.origin]") == ["", "null"]
    assert page.locator(".mail-form").is_hidden()
    assert failed == [("https://elsewhere.example/pixel.png", "csp")]
    assert not any(complaint.startswith("dialog") for complaint in window.complaints)
    window.close()


def test_a_key_is_shown_once_copied_and_is_gone_when_one_comes_back(window: Window, browser: Browser) -> None:
    window.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = window.go("/dashboard/keys")
    page.get_by_text("Make a key").click()
    page.locator("#f-name").fill("ci")
    page.get_by_label("send", exact=True).check()
    page.get_by_role("button", name="Make the key").click()
    shown = page.locator("#secret").inner_text()
    window.picture("key-made")
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == shown
    page.reload()
    assert page.locator("#secret").count() == 0
    assert page.get_by_role("row", name="ci").count() == 1  # coming anew made no second one
    page.get_by_text("Make a key").click()
    page.locator("#f-name").fill("ci-2")
    page.get_by_label("read", exact=True).check()
    page.get_by_role("button", name="Make the key").click()
    shown = page.locator("#secret").inner_text()
    page.get_by_role("link", name="Types").click()
    page.go_back()
    page.wait_for_url("**/dashboard/keys")
    assert shown not in page.content()
    window.expects_dialogs = True
    page.get_by_role("row", name="ci-2").get_by_role("button", name="Revoke").click()
    says(window, "The key is revoked")


def test_one_acts_for_another_tenant_on_every_page_until_one_turns_back(place: Place, window: Window) -> None:
    window.expects_dialogs = True
    page = window.go("/dashboard/tenant")
    page.get_by_role("combobox", name="Tenant").fill("acme")
    page.get_by_role("button", name="Act for this tenant").click()
    says(window, "You act for another tenant now")
    for path in ("/types", "/people", "/suppressions", "/endpoints", "/keys", "/messages", ""):
        window.go(f"/dashboard{path}")
        assert "You act for the tenant acme." in window.text(), path
    window.picture("acting")
    window.go("/dashboard/types")
    says(window, "No types yet")
    assert page.goto(f"{window.url}/dashboard/endpoints/{place.endpoint}").status == 404  # type: ignore[union-attr]
    window.complaints = [each for each in window.complaints if "404" not in each]  # the browser says so
    page.get_by_role("button", name="Back to default").click()
    says(window, "You act for your own tenant again")
    window.go("/dashboard/types")
    says(window, "order.shipped")


def test_people_are_erased_and_suppressions_lifted_after_a_question(place: Place, window: Window) -> None:
    page = window.go("/dashboard/people")
    id_ = f"user {HOSTILE[1]}"
    page.get_by_role("link", name=id_).click()
    says(window, "u•••@example.org")
    page.get_by_label("Type the id to confirm").fill(id_)
    page.get_by_role("button", name="Erase").click()
    says(window, "The person is erased")
    assert place.house.api("GET", "/v1/recipients")[1]["data"][0]["id"] != id_
    window.expects_dialogs = True
    page = window.go("/dashboard/suppressions")
    page.get_by_text("Put an address on the list").click()
    page.locator("#a-address").fill("ada@example.org")
    page.get_by_role("button", name="Send nothing there").click()
    says(window, "Nothing is sent to that address any more.")
    page.locator("#f-address").fill("ada@example.org")
    page.get_by_role("button", name="Look up").click()
    found = page.locator("section[aria-labelledby=found]")
    window.picture("suppressions-found")
    found.get_by_role("button", name="Lift").click()
    says(window, "It is off the list")
    assert "a•••@example.org" in window.asked[-1]
    assert "ada%40" not in page.url


def test_an_endpoint_is_made_tested_and_given_a_new_secret(place: Place, window: Window) -> None:
    window.expects_dialogs = True
    page = window.go(f"/dashboard/endpoints/{place.endpoint}")
    page.get_by_role("button", name="Send a test").click()
    says(window, "It did not take the test event")
    page.get_by_role("button", name="New secret").click()
    assert page.locator("#secret").inner_text().startswith("whsec_")
    window.picture("endpoint-secret")
    page.reload()
    assert page.locator("#secret").count() == 0


@pytest.mark.parametrize(("theme", "options"), [("light", {}), ("dark", PHONE)])
def test_every_page_is_readable_labelled_and_no_wider_than_the_screen(
    place: Place, browser: Browser, theme: Any, options: dict[str, Any]
) -> None:
    window = Window(browser, place.house.url, color_scheme=theme, **options)
    signed_in(window)
    for name, path in place.paths.items():
        page = window.go(f"/dashboard{path}")
        page.evaluate("document.querySelectorAll('details').forEach((e) => (e.open = true))")
        window.picture(f"{theme}-{name}")
        assert page.evaluate(_FAINT) == [], path
        assert page.evaluate(_NAMELESS) == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"], path  # type: ignore[index]
        assert page.locator("main img, main script, main svg, main b, [onerror], [onload]").count() == 0, path
    assert window.checked() == []
    window.close()


def test_without_scripts_a_type_is_previewed_and_saved_and_a_key_made(place: Place, browser: Browser) -> None:
    window = Window(browser, place.house.url, java_script_enabled=False)
    page = window.go("/dashboard/sign-in")
    page.get_by_label("Key").fill(ADMIN_KEY)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Types").click()
    page.get_by_role("link", name="New type").click()
    page.locator("#f-name").fill("by-hand")
    page.locator("#f-email_html").fill("<p>Hi {{ name }}</p>")
    page.get_by_role("button", name="Preview").first.click()
    page.get_by_role("button", name="Show the HTML").first.click()
    assert page.frame_locator("iframe.mail").first.locator("p").inner_text() == "Hi Ada"
    page.get_by_role("button", name="Save").click()
    says(window, "Saved as version 1")
    window.close()


_NAMELESS = r"""() => {
  const named = (e) => e.labels?.length || e.ariaLabel || e.closest("label") || e.type === "hidden";
  const fields = [...document.querySelectorAll("main input, main select, main textarea")].filter((e) => !named(e));
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  const twice = ids.filter((id, n) => ids.indexOf(id) !== n);
  const lost = [...document.querySelectorAll("[aria-describedby], [aria-labelledby]")]
    .flatMap((e) => `${e.getAttribute("aria-describedby") ?? ""} ${e.getAttribute("aria-labelledby") ?? ""}`.trim().split(/\s+/))
    .filter((id) => !document.getElementById(id));
  const headings = [...document.querySelectorAll("main h1")].length === 1 ? [] : ["h1"];
  return [...fields.map((e) => e.outerHTML.slice(0, 80)), ...twice, ...lost, ...headings];
}"""
"""Fields without a label, ids that stand twice, references to nothing."""
