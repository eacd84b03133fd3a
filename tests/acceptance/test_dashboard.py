"""The dashboard in a real browser, over a real process: what people see, what they may do, and what no page lets through."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from .browser import Window, open_browser
from .harness import ADMIN_KEY, House, Oracle, wait_until
from .raw_http import ScriptedVendor
from .world import FAST, World, sandbox_account, text, twilio_account

pytestmark = pytest.mark.slow

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "\"'><svg/onload=alert(3)>",
    "</title></textarea></script><script>alert(4)</script>",
    "javascript:alert(5)",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "'-alert(6)-'",
    "\u202e\u2066<b>backwards</b>",
)
"""What others write, hoping that a page runs it."""
STATES = {"delivered", "read", "sent", "failed", "scheduled", "cancelled", "in_doubt", "queued"}


class Scene:
    """A house with fifty messages in eight states, one of them after three attempts, and a vendor whose words are hostile."""

    def __init__(self, folder: Path) -> None:
        self.oracle = Oracle(folder)
        self.vendor = ScriptedVendor(_rude)
        providers = twilio_account(self.oracle.url, "twilio-main") + twilio_account(self.oracle.url, "twilio-second", "b")
        providers += sandbox_account(self.oracle.url, "mail-eu", ["email"]) + sandbox_account(self.vendor.url, "rude", ["push"])
        providers += '[routes.sms]\nproviders = ["twilio-main", "twilio-second"]\n'
        self.house = House(folder, providers, FAST)
        self.world = World(folder, self.house, self.oracle)
        self.thrice = ""
        self.furnished_at = ""
        """What is older was there at the beginning."""

    def furnish(self) -> None:
        self.house.start()
        world = self.world
        world.all_come_to(world.post_all([text() for _ in range(16)]), "delivered")
        self.oracle.faults([], {"sequence": ["sent", "delivered", "read"]})
        world.all_come_to(world.post_all([text() for _ in range(7)]), "read")
        self.oracle.faults([], {"sequence": []})
        world.all_come_to(world.post_all([text(metadata={"order": "1234"}) for _ in range(6)]), "sent")
        world.all_come_to(world.post_all([text("+15005550001") for _ in range(4)]), "failed")
        self.oracle.faults([{"do": "reset_after", "count": 3}], {"sequence": []})
        doubts = [text(on_doubt="hold") for _ in range(3)]
        world.all_come_to(world.post_all(doubts), "in_doubt")
        later = (datetime.now(UTC) + timedelta(days=2)).isoformat()
        world.all_come_to(world.post_all([text(send_at=later) for _ in range(4)]), "scheduled")
        cancelled = world.post_all([text(send_at=later) for _ in range(3)])
        world.all_come_to(cancelled, "scheduled")
        for message in cancelled:
            self.house.api("POST", f"/v1/messages/{message}/cancel")
        self.house.api("PATCH", "/v1/providers/mail-eu", {"enabled": False})
        waiting = [
            {"to": {"id": "ada", "email": "ada@example.org"}, "content": {"title": "Hello", "body": "Later"}} for _ in range(6)
        ]
        world.all_come_to(world.post_all(waiting), "queued")
        self.oracle.faults([{"do": "status", "status": 503, "count": 2}], {"sequence": ["sent", "delivered"]})
        self.thrice = world.post(text())
        assert len(world.comes_to(self.thrice, "delivered")["attempts"]) == 3
        self.furnished_at = instant()

    def hostile(self) -> list[str]:
        """Messages whose every word is hostile: ids, metadata, bodies, and what their vendor says."""
        bodies = [
            {
                "to": {"id": f"user {words}", "push": [{"token": f"token-{words}", "kind": "fcm"}]},
                "content": {"title": f"title {words}", "body": f"body {words}"},
                "metadata": {f"name {words}": f"value {words}"},
                "channels": ["push"],
            }
            for words in HOSTILE
        ]
        messages = self.world.post_all(bodies)
        self.world.all_come_to(messages, "failed")
        return messages

    def stop(self) -> None:
        self.world.stop()
        self.vendor.stop()


def instant() -> str:
    """A whole second that has just begun, as a field for a time has it."""
    time.sleep(1.01 - time.time() % 1)
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _rude(request: bytes) -> bytes:
    """Refuses in the words of what it was asked to send."""
    asked = json.loads(request.partition(b"\r\n\r\n")[2])
    said = json.dumps({"code": "blocked", "detail": "refused " + str(asked.get("title", "")).removeprefix("title ")}).encode()
    return b"HTTP/1.1 422 No\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Scene]:
    made = Scene(tmp_path_factory.mktemp("dashboard"))
    try:
        made.furnish()
        yield made
    finally:
        made.stop()


@pytest.fixture
def window(scene: Scene, browser: Browser) -> Iterator[Window]:
    """Signed in by a key; whatever the test does, the browser must have had nothing to complain of."""
    opened = Window(browser, scene.house.url)
    signed_in(opened)
    yield opened
    assert opened.checked() == []
    opened.close()


def signed_in(window: Window) -> Page:
    page = window.go("/")
    page.get_by_label("Key").fill(ADMIN_KEY)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/dashboard?note=signed_in")
    return page


def link_of(house: House) -> str:
    found = re.search(r"dashboard +http://\S+?(/dashboard/sign-in\?link=\S+)", house.output())
    assert found is not None, house.output()
    return found[1]


def test_the_printed_link_signs_in_once_and_by_its_button_alone(scene: Scene, browser: Browser) -> None:
    # given: a preview looks at the link before its owner does
    link = link_of(scene.house)
    for _ in range(2):
        line = http.client.HTTPConnection("127.0.0.1", scene.house.port, timeout=10)
        line.request("GET", link)
        assert line.getresponse().status == 200
        line.close()
    # when
    first, second = Window(browser, scene.house.url), Window(browser, scene.house.url)
    first.go(link)
    first.picture("sign-in-link")
    first.page.get_by_role("button", name="Sign in to the dashboard").click()
    first.page.wait_for_url("**/dashboard?note=signed_in")
    second.go(link)
    second.page.get_by_role("button", name="Sign in to the dashboard").click()
    # then
    assert "You are signed in" in first.text()
    assert "This link has been used, or is over" in second.text()
    assert first.checked() == []
    first.close()
    second.close()


def test_a_wrong_key_is_told_so_and_the_cookie_is_kept_from_scripts(scene: Scene, browser: Browser) -> None:
    window = Window(browser, scene.house.url)
    page = window.go("/dashboard/messages")
    window.picture("sign-in")
    assert page.url.endswith("/dashboard/sign-in")
    page.get_by_label("Key").fill("swk_wrong")
    page.get_by_role("button", name="Sign in").click()
    assert "That is not a key that works here" in window.text()
    signed_in(window)
    (cookie,) = window.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("sendwright_session", True, "Strict")
    assert page.evaluate("document.cookie") == ""
    window.close()


def test_fifty_messages_in_eight_states_are_on_one_page(scene: Scene, window: Window) -> None:
    def states() -> list[str]:
        page = window.go(f"/dashboard/messages?until={scene.furnished_at}")
        return [badge.replace(" ", "_") for badge in page.locator("tbody .row-link .badge").all_inner_texts()]

    wait_until(lambda: set(states()) == STATES, 10, "they are in eight states")  # some may just be sent again by another test
    assert len(states()) == 50
    window.go("/dashboard/messages")
    window.picture("messages")


def test_the_list_is_filtered_and_goes_on_page_by_page(scene: Scene, window: Window) -> None:
    page = window.go("/dashboard/messages")
    page.get_by_label("State").select_option("failed")
    page.get_by_role("button", name="Filter").click()
    assert set(page.locator("tbody .row-link .badge").all_inner_texts()) == {"failed"}
    assert "invalid address" in window.text()
    page.get_by_label("State").select_option("")
    page.get_by_label("Recipient id").fill("ada")
    page.get_by_role("button", name="Filter").click()
    assert page.locator("tbody tr").count() == 6
    assert "a•••@example.org" in window.text()
    assert "ada@example.org" not in page.content()
    window.go("/dashboard/messages?recipient=nobody")
    assert "No message fits" in window.text()
    window.picture("messages-none")
    since = instant()
    scene.world.all_come_to(scene.world.post_all([text() for _ in range(60)]), "delivered")
    seen: list[str] = []
    page = window.go(f"/dashboard/messages?state=delivered&since={since}")
    while True:
        seen += [str(link.get_attribute("href")) for link in page.locator("tbody .row-link").all()]
        if not page.get_by_role("link", name="Older").count():
            break
        page.get_by_role("link", name="Older").click()
    assert len(seen) == len(set(seen)) == 60


def test_a_message_shows_its_three_attempts_and_its_timeline(scene: Scene, window: Window) -> None:
    page = window.go(f"/dashboard/messages/{scene.thrice}")
    window.picture("message")
    rows = page.locator("section[aria-labelledby=attempts] tbody tr")
    assert rows.count() == 3
    assert [row.locator(".badge").inner_text() for row in rows.all()] == ["failed", "failed", "delivered"]
    assert {"twilio-main", "twilio-second"} <= set(page.locator("tbody .via").all_inner_texts())
    assert page.locator(".timeline li").count() >= 3
    assert "Show the content" in window.text()
    assert "text " not in page.locator(".facts").inner_text()
    page.get_by_role("link", name="Show the content").click()
    assert re.search(r"\btext \d+", page.locator(".said").inner_text())
    assert f'"message": "{scene.thrice}"' in scene.house.output()  # it is noted that somebody looked


def test_what_others_wrote_is_text_wherever_it_stands(scene: Scene, window: Window) -> None:
    """Had any of it become a part of a page, an element would be there that is none of ours, or a dialog would have come up."""
    for message in scene.hostile():
        page = window.go(f"/dashboard/messages/{message}?content=shown")
        words = page.locator(".said").first.inner_text().removeprefix("title ").strip("\u202e\u2066")
        for place in (".said", ".facts dt", ".facts dd", ".vendor"):
            assert any(words in each for each in page.locator(place).all_inner_texts()), place
    window.picture("hostile-message")
    for path in ("/dashboard/messages?channel=push", "/dashboard/dead", "/dashboard", "/dashboard/providers/rude"):
        page = window.go(path)
        page.wait_for_timeout(100)
        assert page.locator("img, main script, svg, b, textarea, [onerror], [onload]").count() == 0
    assert "user <img src=x onerror=alert(2)>" in window.go("/dashboard/messages?channel=push").inner_text("body")
    window.go("/dashboard/messages?" + "&".join(f"state=<script>alert({n})</script>" for n in (1,)))
    assert "has a value that is not allowed" in window.text()


def test_a_message_is_cancelled_sent_again_and_settled_by_buttons(scene: Scene, window: Window) -> None:
    world = scene.world
    window.expects_dialogs = True
    later = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    message = world.post(text(send_at=later))
    world.comes_to(message, "scheduled")
    page = window.go(f"/dashboard/messages/{message}")
    page.get_by_role("button", name="Cancel").click()
    assert "it will never be sent" in window.text()
    assert world.state(message) == "cancelled"
    page.get_by_role("button", name="Send again").click()
    world.comes_to(message, "delivered")
    window.go("/dashboard/doubts")
    window.picture("doubts")
    row = page.locator("tbody tr").first
    doubt = str(row.get_by_role("link").get_attribute("href")).rpartition("/")[2]
    row.get_by_role("button", name="Sent", exact=True).click()
    assert page.url.endswith("/dashboard/doubts?note=resolved")
    assert world.state(doubt) == "sent"
    assert len(window.asked) == 2


def test_a_provider_is_switched_off_and_on_and_tested(scene: Scene, window: Window) -> None:
    window.expects_dialogs = True
    page = window.go("/dashboard/providers")
    window.picture("providers")
    page.get_by_role("row", name="twilio-second").get_by_role("button", name="Switch off").click()
    assert scene.world.provider("twilio-second")["enabled"] is False
    page.get_by_role("row", name="twilio-second").get_by_role("button", name="Switch on").click()
    assert scene.world.provider("twilio-second")["enabled"] is True
    page.get_by_role("link", name="twilio-main").click()
    page.get_by_role("button", name="Send a test").click()
    assert "name whom a test may go to" in window.text()
    page.get_by_label("To").fill("+15005550010")
    page.get_by_role("button", name="Send a test").click()
    assert "accepted, as SM" in window.text()
    window.picture("provider")
    window.complaints = [each for each in window.complaints if "422" not in each]  # the browser says so of the refused test


def test_dead_letters_are_sent_again_by_cause_and_dropped_by_choice(scene: Scene, window: Window) -> None:
    window.expects_dialogs = True
    world = scene.world
    failed = world.post_all([text("+15005550001") for _ in range(3)])
    world.all_come_to(failed, "failed")
    page = window.go("/dashboard/dead")
    window.picture("dead")
    page.get_by_role("link", name="invalid address").first.click()
    page.locator(f"input[value={failed[0]}]").check()
    page.get_by_role("button", name="Drop the chosen").click()
    assert "Dropped: 1." in window.text()
    before = {row["id"] for row in scene.house.pages("/v1/dead")}
    assert failed[0] not in before
    cause = page.get_by_role("row", name=re.compile("^unreachable|^invalid address|^blocked")).first
    cause.get_by_role("button", name="Send again").click()
    assert "Sent again: " in window.text()


def test_everything_is_reached_by_keyboard_and_the_place_is_seen(scene: Scene, window: Window) -> None:
    page = window.go("/dashboard")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    window.picture("skip-link")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page = window.go("/dashboard")
    reached = []
    for _ in range(30):
        page.keyboard.press("Tab")
        element = "document.activeElement"
        if page.evaluate(f"{element} === document.body"):
            break  # once round
        reached.append(page.evaluate(f"({element}.innerText || {element}.ariaLabel || '').trim().split('\\n')[0]"))
        outline = page.evaluate(f"getComputedStyle({element}).outlineStyle")
        assert outline == "solid", reached[-1]
    assert [name for name in reached if name in ("Overview", "Messages", "Providers", "Sessions")] == [
        "Overview", "Messages", "Providers", "Sessions",
    ]  # fmt: skip
    page.keyboard.press("Shift+Tab")
    page.get_by_role("link", name="Messages", exact=True).focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/dashboard/messages")


def test_the_overview_counts_and_comes_anew_by_itself(scene: Scene, window: Window) -> None:
    page = window.go("/dashboard?window=15m")

    def accepted() -> int:
        return int(page.locator(".figures dd").first.evaluate("e => e.firstChild.textContent").replace(",", ""))

    before = accepted()
    assert before >= 50
    assert page.locator(".chart canvas").count() == 2
    window.picture("overview")
    scene.world.all_come_to(scene.world.post_all([text() for _ in range(5)]), "delivered")

    def grown() -> bool:
        page.wait_for_timeout(200)
        stats = scene.house.api("GET", "/v1/stats?window=15m")[1]
        return accepted() == stats["total"]["accepted"] >= before + 5

    wait_until(grown, 20, "the figures come anew")
    assert page.locator(".chart canvas").count() == 2
    assert page.get_by_role("row", name="mail-eu").get_by_text("off").count() == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_themes_are_readable(scene: Scene, browser: Browser, theme: Any) -> None:
    """Every text stands out from its ground by 4.5 to 1 (WCAG 2.2, 1.4.3)."""
    window = Window(browser, scene.house.url, color_scheme=theme)
    signed_in(window)
    for name, path in {"overview": "", "messages": "/messages", "message": f"/messages/{scene.thrice}", "dead": "/dead"}.items():
        page = window.go(f"/dashboard{path}")
        window.picture(f"{theme}-{name}")
        assert page.evaluate(_FAINT) == []
    assert window.checked() == []
    window.close()


def test_the_button_changes_the_theme_and_it_is_remembered(window: Window) -> None:
    page = window.go("/dashboard")
    page.get_by_role("button", name="Theme: auto").click()
    page.get_by_role("button", name="Theme: light").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(14, 16, 20)"
    window.go("/dashboard/messages")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_on_a_phone_nothing_is_wider_than_the_screen(scene: Scene, browser: Browser) -> None:
    window = Window(browser, scene.house.url, viewport={"width": 390, "height": 844}, device_scale_factor=2, has_touch=True)
    signed_in(window)
    pages = ("", "/messages", f"/messages/{scene.thrice}", "/doubts", "/dead", "/providers", "/providers/twilio-main", "/sessions")
    for path in pages:
        page = window.go(f"/dashboard{path}")
        window.picture(f"phone{path.replace('/', '-')[:12]}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
    assert window.checked() == []
    window.close()


def test_without_scripts_every_form_still_works(scene: Scene, browser: Browser) -> None:
    window = Window(browser, scene.house.url, java_script_enabled=False)
    page = window.go("/")
    page.get_by_label("Key").fill(ADMIN_KEY)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Providers").first.click()
    page.get_by_role("row", name="twilio-second").get_by_role("button", name="Switch off").click()
    assert scene.world.provider("twilio-second")["enabled"] is False
    page.get_by_role("row", name="twilio-second").get_by_role("button", name="Switch on").click()
    page.get_by_role("button", name="Sign out").click()
    assert page.url.endswith("/dashboard/sign-in")
    window.close()


def test_a_session_that_is_ended_elsewhere_is_over_here_too(scene: Scene, browser: Browser, window: Window) -> None:
    other = Window(browser, scene.house.url)
    signed_in(other)
    page = window.go("/dashboard/sessions")
    window.picture("sessions")
    newest = page.locator("tbody tr", has_not_text="this one").first
    newest.get_by_role("button", name="End").click()
    assert "That session is over" in window.text()
    assert other.go("/dashboard/messages").url.endswith("/dashboard/sign-in")
    other.close()


_FAINT = r"""() => {
  const parse = (text) => (text.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.textContent.trim() || !element.checkVisibility() || element.closest(".hidden, .skip, option")) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(ground(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faint.push(`${texts.currentNode.textContent.trim()} ${contrast.toFixed(2)}`);
  }
  return faint;
}"""
