"""The bell in a real browser, over a real process: what people see and do, with the mouse and without."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, expect

from .bell import INBOX, Bell, Person
from .browser import Window, open_browser
from .harness import House, call, wait_until

pytestmark = pytest.mark.slow

_COUNT_RINGS = """() => {
  window.rings = 0;
  const root = document.querySelector("sendwright-inbox").shadowRoot;
  root.addEventListener("animationstart", (event) => { window.rings += event.animationName === "ring"; });
}"""
_HEAR_ACTIONS = """() => {
  window.heard = [];
  document.addEventListener("sendwright-action", (event) => window.heard.push(event.detail));
}"""
_IN_GERMAN = """() => {
  document.documentElement.lang = "de";
  const labels = { title: "Mitteilungen", bellUnread: "{count} ungelesene Mitteilungen", now: "eben" };
  document.querySelector("sendwright-inbox").labels = labels;
}"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("bell"), INBOX)
    house.start()
    yield house
    house.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def ada(house: House) -> Person:
    return Person(house)


@pytest.fixture
def window(house: House, browser: Browser) -> Iterator[Window]:
    """Whatever the test does, the browser must have had nothing to complain of."""
    opened = Window(browser, house.url)
    yield opened
    assert opened.checked() == []
    opened.close()


def test_the_bell_rings_while_the_page_is_open_and_says_so(window: Window, ada: Person) -> None:
    ada.post("The first")
    bell = Bell(window, ada)
    bell.counts(1)
    bell.page.evaluate(_COUNT_RINGS)
    message = ada.post("The second")
    bell.counts(2)
    wait_until(lambda: bell.page.evaluate("window.rings"), 10, "the bell's swinging")
    assert bell.page.evaluate("window.rings") == 1
    expect(bell.page.locator("sendwright-inbox [role=status][aria-live=polite]")).to_have_text("2 unread")
    assert ada.state(message) == "sent", "what nobody looked at is not delivered"
    window.picture("bell-closed")


def test_who_wants_no_motion_sees_none(house: House, browser: Browser, ada: Person) -> None:
    window = Window(browser, house.url, reduced_motion="reduce")
    bell = Bell(window, ada)
    bell.counts(0)
    ada.post()
    bell.counts(1)
    bell.open()
    moving = """() => document.querySelector("sendwright-inbox").shadowRoot.getAnimations().length"""
    assert bell.page.evaluate(moving) == 0
    assert window.checked() == []
    window.close()


def test_what_is_shown_is_delivered_and_what_is_clicked_is_read(window: Window, ada: Person) -> None:
    message = ada.post(body="Line one.\nLine two.")
    bell = Bell(window, ada)
    bell.counts(1)
    bell.open()
    expect(bell.row("Shipped")).to_contain_text("Line one.\nLine two.")
    wait_until(lambda: ada.state(message) == "delivered", 10, "it is delivered")
    bell.row("Shipped").get_by_role("button", name="Shipped").click()
    bell.counts(0)
    wait_until(lambda: ada.state(message) == "read", 10, "it is read")
    window.picture("bell-read")


def test_a_new_one_comes_into_the_open_panel_and_one_that_was_read_elsewhere_is_shown_so(window: Window, ada: Person) -> None:
    first = ada.post("The first")
    bell = Bell(window, ada)
    bell.open()
    expect(bell.rows).to_have_count(1)
    ada.post("The second")
    expect(bell.rows).to_have_count(2)
    expect(bell.rows.nth(0)).to_contain_text("The second")
    headers = {"Authorization": f"Bearer {ada.token}"}
    call("POST", f"{ada.house.url}/v1/inbox/mark", {"as": "read", "ids": [first]}, headers)
    bell.counts(1)
    expect(bell.row("The first")).not_to_contain_text("Unread")
    expect(bell.row("The second")).to_contain_text("Unread")


def test_the_address_of_an_item_is_followed_after_it_was_read(window: Window, ada: Person) -> None:
    message = ada.post(url=f"{ada.house.url}/inbox/demo?", title="A link")
    bell = Bell(window, ada)
    bell.open()
    link = bell.row("A link").get_by_role("link")
    assert link.get_attribute("rel") == "noopener noreferrer"
    link.click()
    bell.page.wait_for_url("**/inbox/demo?")
    wait_until(lambda: ada.state(message) == "read", 10, "it is read")


def test_a_page_may_go_its_own_way_instead(window: Window, ada: Person) -> None:
    ada.post(url=f"{ada.house.url}/inbox/demo?", title="A link")
    bell = Bell(window, ada)
    bell.hears("sendwright-item")
    bell.open()
    bell.row("A link").get_by_role("link").click()
    bell.counts(0)
    assert [heard["item"]["title"] for heard in bell.heard()] == ["A link"]
    assert not bell.page.url.endswith("?")


def test_archive_undo_and_restore(window: Window, ada: Person) -> None:
    ada.post("Keep me")
    ada.post("Archive me")
    bell = Bell(window, ada)
    bell.open()
    bell.tool("Archive me", "Archive")
    expect(bell.rows).to_have_count(1)
    wait_until(lambda: [item["title"] for item in ada.items("archived")] == ["Archive me"], 5, "it is archived")
    bell.panel.get_by_role("button", name="Undo").click()
    expect(bell.rows).to_have_count(2)
    assert ada.items("archived") == []
    bell.tool("Archive me", "Archive")
    expect(bell.rows).to_have_count(1)
    bell.tab("Archived")
    bell.tool("Archive me", "Move back to the inbox")
    expect(bell.panel.get_by_text("Nothing archived")).to_be_visible()
    bell.tab("All")
    expect(bell.rows).to_have_count(2)
    assert [item["title"] for item in ada.items("all")] == ["Archive me", "Keep me"]


@pytest.mark.parametrize("name", ["1 hour", "Tomorrow", "Next week"])
def test_snooze_and_restore(window: Window, ada: Person, name: str) -> None:
    ada.post("Not now")
    bell = Bell(window, ada)
    bell.counts(1)
    bell.open()
    bell.tool("Not now", "Snooze")
    bell.row("Not now").get_by_role("button", name=name).click()
    expect(bell.panel.get_by_text("You're all caught up")).to_be_visible()
    bell.counts(0)
    (item,) = wait_until(lambda: ada.items("snoozed"), 5, "it is snoozed")
    left = datetime.fromisoformat(item["snoozed_until"]) - datetime.now(UTC)
    low, high = {"1 hour": (0.9, 1.1), "Tomorrow": (8, 34), "Next week": (8, 178)}[name]
    assert timedelta(hours=low) < left < timedelta(hours=high)
    bell.tab("Snoozed")
    expect(bell.row("Not now")).to_contain_text("Until")
    bell.tool("Not now", "Move back to the inbox")
    bell.counts(1)
    assert ada.items("snoozed") == []


def test_mark_all_as_read_and_one_as_unread_again(window: Window, ada: Person) -> None:
    for title in ("One", "Two", "Three"):
        ada.post(title)
    bell = Bell(window, ada)
    bell.counts(3)
    bell.open()
    bell.panel.get_by_role("button", name="Mark all as read").click()
    bell.counts(0)
    wait_until(lambda: ada.items("unread") == [], 5, "all are read")
    bell.tool("Two", "Mark as unread")
    bell.counts(1)
    bell.tab("Unread")
    expect(bell.rows).to_have_count(1)
    expect(bell.row("Two")).to_be_visible()
    bell.tool("Two", "Mark as read")
    expect(bell.panel.get_by_text("Nothing unread")).to_be_visible()


def test_an_action_is_dispatched_with_its_item_and_its_address_followed(window: Window, ada: Person) -> None:
    there = f"{ada.house.url}/inbox/demo?"
    message = ada.post(actions=[{"id": "ok", "label": "Agree"}, {"id": "more", "label": "See more", "url": there}])
    bell = Bell(window, ada)
    bell.page.evaluate(_HEAR_ACTIONS)
    bell.open()
    bell.panel.get_by_role("button", name="Agree").click()
    (heard,) = bell.heard()
    assert (heard["item"]["id"], heard["action"]) == (message, {"id": "ok", "label": "Agree", "url": None})
    bell.counts(0)
    bell.panel.get_by_role("link", name="See more").click()
    bell.page.wait_for_url("**/inbox/demo?")


def test_tabs_are_a_tablist(window: Window, ada: Person) -> None:
    ada.post()
    bell = Bell(window, ada)
    bell.open()
    tabs = bell.panel.get_by_role("tablist").get_by_role("tab")
    expect(tabs).to_have_count(4)
    for name, empty in (("Archived", "Nothing archived"), ("Snoozed", "Nothing snoozed"), ("All", None), ("Unread", None)):
        bell.tab(name)
        expect(bell.panel.get_by_role("tab", name=name)).to_have_attribute("aria-selected", "true")
        expect(bell.panel.locator("[role=tab][aria-selected=true]")).to_have_count(1)
        expect(bell.panel.get_by_role("tabpanel", name=name)).to_be_visible()
        if empty:
            expect(bell.panel.get_by_text(empty)).to_be_visible()
            window.picture(f"bell-{name.lower()}-empty")
        else:
            expect(bell.rows).to_have_count(1)


def test_the_keyboard_alone_is_enough(window: Window, ada: Person) -> None:
    messages = [ada.post(title, actions=[{"id": "ok", "label": "Agree"}]) for title in ("Third", "Second", "First")]
    bell = Bell(window, ada)
    bell.counts(3)
    press = bell.page.keyboard.press
    bell.page.locator("#theme").focus()
    press("Tab")
    expect(bell.button).to_be_focused()
    press("Enter")
    expect(bell.rows).to_have_count(3)
    assert bell.focus() == "|tab-all"
    press("ArrowDown")
    assert bell.focus() == "First|main"
    press("Enter")
    wait_until(lambda: ada.state(messages[2]) == "read", 10, "it is read")
    assert bell.focus() == "First|main", "the keyboard stays where it is"
    press("ArrowDown")
    press("ArrowRight")
    assert bell.focus() == "Second|action ok"
    press("End")
    assert bell.focus() == "Third|main"
    press("Home")
    press("ArrowDown")
    for _ in range(4):
        press("Tab")
    assert bell.focus() == "Second|archive", "Tab goes through the controls of the row that the keyboard is on"
    press("Space")
    expect(bell.rows).to_have_count(2)
    wait_until(lambda: bell.focus() == "Third|main", 5, "the neighbour has the keyboard")
    press("Tab")
    press("Tab")
    press("Tab")
    press("Enter")
    wait_until(lambda: bell.focus() == "Third|snoozeHour", 5, "the times have the keyboard")
    press("Escape")
    assert bell.focus() == "Third|snooze"
    expect(bell.panel).to_be_visible()
    for _ in range(3):
        press("ArrowUp")
    assert bell.focus() == "|tab-all"
    press("ArrowLeft")
    assert bell.focus() == "|tab-snoozed"
    press("Home")
    press("ArrowRight")
    press("ArrowRight")
    assert bell.focus() == "|tab-archived"
    expect(bell.row("Second")).to_be_visible()
    for _ in range(12):
        press("Tab")
        assert bell.focus() != "", "the keyboard does not leave the panel"
    press("Escape")
    expect(bell.panel).to_be_hidden()
    expect(bell.button).to_be_focused()
    press("Space")
    expect(bell.panel).to_be_visible()
    bell.page.get_by_text("Your app").click()
    expect(bell.panel).to_be_hidden()


def test_more_is_loaded_while_one_scrolls(window: Window, ada: Person) -> None:
    content = [{"title": f"Number {number}", "body": "One of many."} for number in range(45)]
    wishes = [{"to": {"id": ada.id}, "channels": ["inapp"], "content": said} for said in content]
    assert ada.house.api("POST", "/v1/notifications/batch", {"notifications": wishes})[0] == 202
    bell = Bell(window, ada)
    bell.counts(45)
    bell.open()
    expect(bell.rows).to_have_count(20)
    for known in (40, 45):
        bell.rows.last.scroll_into_view_if_needed()
        expect(bell.rows).to_have_count(known)
    titles = [title.text_content() for title in bell.rows.locator(".title").all()]
    assert sorted(titles, key=str) == sorted((said["title"] for said in content), key=str)
    bell.rows.last.locator(".main").click()
    bell.counts(44)
    expect(bell.rows).to_have_count(45)


def test_its_words_can_be_others(window: Window, ada: Person) -> None:
    ada.post()
    bell = Bell(window, ada)
    bell.counts(1)
    bell.page.evaluate(_IN_GERMAN)
    expect(bell.button).to_have_accessible_name("1 ungelesene Mitteilungen")
    bell.button.click()
    panel = bell.page.get_by_role("dialog", name="Mitteilungen")
    expect(panel.get_by_text("eben")).to_be_visible()
    expect(panel.get_by_role("tab", name="Archived")).to_be_visible()
