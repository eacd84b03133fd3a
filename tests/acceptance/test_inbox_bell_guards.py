"""The bell in a real browser: what no page lets through, what it asks for and when, and how it looks."""

from __future__ import annotations

import http.server
import json
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.ports import free_port

from .bell import INBOX, Bell, Person
from .browser import Window, open_browser
from .harness import ADMIN_KEY, House, wait_until

pytestmark = pytest.mark.slow

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "\"'><svg/onload=alert(3)>",
    "</span></li></template><script>alert(4)</script>",
    "javascript:alert(5)",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "&lt;b&gt;&#x3c;i&#x3e;",
    "\u202e\u2066<b>backwards</b>",
)
"""What others write, hoping that a page runs it."""
EVIL_LINKS = (
    "javascript:alert(6)",
    "JaVaScRiPt:alert(7)",
    "data:text/html,<script>alert(8)</script>",
    "vbscript:x",
    "file:///etc",
    "//x",
)
REFUSED = re.compile(r"Failed to load resource: the server responded with a status of 401")
AWAY = re.compile(r"Failed to load resource: net::ERR_|net::ERR_")
_FRESH = """() => {
  window.asked = 0;
  document.querySelector("sendwright-inbox").getToken = async () => { window.asked += 1; return window.fresh(); };
}"""
_TAKE_OVER = """(token) => {
  window.heard = [];
  document.querySelector("sendwright-inbox").token = token;
  return document.querySelector("sendwright-inbox").shadowRoot.textContent;
}"""
_HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, value: hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
_MEASURE = """() => {
  const root = document.querySelector("sendwright-inbox").shadowRoot;
  const weights = [0.2126, 0.7152, 0.0722];
  const linear = (c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const lightness = (text) => text.match(/[\\d.]+/g).slice(0, 3).reduce((sum, c, i) => sum + linear(c / 255) * weights[i], 0);
  const panel = root.querySelector(".panel");
  const back = lightness(getComputedStyle(panel).backgroundColor);
  const contrast = (selector) => {
    const front = lightness(getComputedStyle(root.querySelector(selector)).color);
    return (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
  };
  const { left, right, bottom } = panel.getBoundingClientRect();
  const scroll = root.querySelector(".scroll");
  return {
    left, right, bottom, back, width: innerWidth, height: innerHeight,
    wide: scroll.scrollWidth - scroll.clientWidth, page: document.documentElement.scrollWidth - innerWidth,
    contrasts: [".title", ".title + .at", ".tabs [aria-selected=false]"].map(contrast),
  };
}"""
"""Where the panel is, whether anything is wider than its place, and contrasts by WCAG 2.2, section 1.4.3."""
PHONE = {"viewport": {"width": 360, "height": 720}, "is_mobile": True, "has_touch": True}
LOOKS: Mapping[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "phone": PHONE,
    "phone-dark": {**PHONE, "color_scheme": "dark"},
}


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


def test_what_others_write_is_text(window: Window, ada: Person) -> None:
    for words in HOSTILE:
        ada.post(f"title {words}", f"body {words}", actions=[{"id": words, "label": f"do {words}"}])
    bell = Bell(window, ada)
    bell.open()
    expect(bell.rows).to_have_count(len(HOSTILE))
    for row, words in zip(bell.rows.all(), reversed(HOSTILE), strict=True):
        assert row.locator(".title").text_content() == f"title {words}"
        assert row.locator(".body").text_content() == f"body {words}"
        assert row.get_by_role("button", name=f"do {words}").count() == 1
        assert row.locator("script, img, iframe, b, a").count() == 0
    window.picture("bell-hostile")


def test_an_address_of_another_scheme_is_neither_followed_nor_shown(window: Window, ada: Person) -> None:
    for _ in EVIL_LINKS:
        ada.post()

    def bent(route: Route) -> None:
        page = route.fetch().json()
        for item, link in zip(page["data"], EVIL_LINKS, strict=True):
            item |= {"url": link, "icon": link, "title": link, "actions": [{"id": "evil", "label": "Do it", "url": link}]}
        route.fulfill(json=page)

    window.page.route(re.compile(r"/v1/inbox\?"), bent)
    bell = Bell(window, ada)
    bell.hears("sendwright-nothing")
    bell.open()
    expect(bell.rows).to_have_count(len(EVIL_LINKS))
    assert bell.panel.locator("a, img, [href], [src]").count() == 0
    for row in bell.rows.all():
        row.locator(".main").click()
        row.get_by_role("button", name="Do it").click()
    assert bell.page.url == f"{ada.house.url}/inbox/demo"


def test_a_new_token_is_asked_for_when_the_old_one_is_over(house: House, browser: Browser, ada: Person) -> None:
    window = Window(browser, house.url)
    window.page.expose_function("fresh", lambda: next(tokens))
    tokens = iter([ada.fresh("2s"), ada.fresh()])
    window.go("/inbox/demo")
    window.page.evaluate(_FRESH)
    badge = window.page.locator("sendwright-inbox .badge")
    ada.post()
    expect(badge).to_have_text("1")
    wait_until(lambda: window.page.evaluate("window.asked") == 2, 20, "it asked again")
    ada.post()
    expect(badge).to_have_text("2")
    assert window.page.evaluate("window.asked") == 2
    assert [said for said in window.checked() if not REFUSED.search(said)] == []
    window.close()


def test_without_a_good_token_one_is_signed_out_and_another_token_helps(house: House, browser: Browser, ada: Person) -> None:
    ada.post()
    window = Window(browser, house.url)
    bell = Bell(window, ada, token="swr_made_up")
    expect(bell.page.locator("#stands")).to_contain_text("not valid")
    bell.open()
    expect(bell.panel.get_by_text("You are signed out")).to_be_visible()
    asked: list[str] = []
    bell.page.on("request", lambda request: asked.append(request.url))
    bell.page.wait_for_timeout(2500)
    assert asked == [], "it does not go on asking"
    bell.page.keyboard.press("Escape")
    bell.page.get_by_label("Recipient's token").fill(ada.token)
    bell.page.get_by_role("button", name="Use it").click()
    bell.counts(1)
    assert [said for said in window.checked() if not REFUSED.search(said)] == []
    window.close()


def test_another_persons_token_shows_nothing_of_the_first(window: Window, ada: Person) -> None:
    ada.post("For Ada alone")
    bell = Bell(window, ada)
    bell.open()
    expect(bell.row("For Ada alone")).to_be_visible()
    assert "For Ada alone" not in bell.page.evaluate(_TAKE_OVER, Person(ada.house).token), "it is gone at once"
    expect(bell.panel.get_by_text("You're all caught up")).to_be_visible()
    expect(bell.rows).to_have_count(0)
    bell.counts(0)


def test_an_answer_that_comes_after_the_person_has_changed_is_not_heard(window: Window, ada: Person) -> None:
    ada.post("The first")
    ada.post("The second")
    other = Person(ada.house)

    def late(route: Route) -> None:
        answer = route.fetch()
        window.page.evaluate(_TAKE_OVER, other.token)
        route.fulfill(response=answer)

    window.page.route("**/v1/inbox/mark", late)
    bell = Bell(window, ada)
    bell.counts(2)
    bell.hears("sendwright-count")
    bell.open()
    bell.tool("The first", "Mark as read")
    expect(bell.panel.get_by_text("You're all caught up")).to_be_visible()
    bell.page.wait_for_timeout(500)
    assert {heard["unread"] for heard in bell.heard()} == {0}
    expect(bell.rows).to_have_count(0)


def test_a_tab_that_nobody_sees_asks_for_nothing(window: Window, ada: Person) -> None:
    bell = Bell(window, ada)
    bell.counts(0)
    expect(bell.page.locator("#stands")).to_contain_text("0 unread of 0")
    ada.post()
    bell.counts(1)
    bell.page.evaluate(_HIDE, True)  # noqa: FBT003 — the page's own argument
    asked: list[str] = []
    bell.page.on("request", lambda request: asked.append(request.url))
    ada.post()
    bell.page.wait_for_timeout(2500)
    assert asked == []
    bell.counts(1)
    bell.page.evaluate(_HIDE, False)  # noqa: FBT003 — the page's own argument
    bell.counts(2)
    assert asked == [f"{ada.house.url}/v1/inbox/stream"]


def test_it_comes_back_after_the_server_was_away(house: House, browser: Browser, ada: Person) -> None:
    window = Window(browser, house.url)
    bell = Bell(window, ada)
    ada.post()
    bell.counts(1)
    bell.open()
    house.stop()
    expect(bell.panel.get_by_text("No connection")).to_be_visible()
    window.picture("bell-away")
    house.start()
    ada.post("After the restart")
    bell.counts(2, within_s=45)
    expect(bell.row("After the restart")).to_be_visible()
    expect(bell.panel.get_by_text("No connection")).to_be_hidden()
    assert [said for said in window.checked() if not AWAY.search(said)] == []
    window.close()


def test_a_mark_that_fails_is_taken_back(house: House, browser: Browser, ada: Person) -> None:
    ada.post()
    window = Window(browser, house.url)
    bell = Bell(window, ada)
    bell.counts(1)
    bell.open()
    window.page.route("**/v1/inbox/mark", lambda route: route.abort())
    bell.tool("Shipped", "Archive")
    expect(bell.panel.get_by_text("That did not work")).to_be_visible()
    expect(bell.row("Shipped")).to_be_visible()
    bell.counts(1)
    assert [said for said in window.checked() if not AWAY.search(said)] == []
    window.close()


@pytest.mark.parametrize("name", LOOKS)
def test_it_fits_and_can_be_read(house: House, browser: Browser, ada: Person, name: str) -> None:
    ada.post(
        "A" * 300, "wide" * 200, actions=[{"id": "a", "label": "A rather long label of an action"}, {"id": "b", "label": "No"}]
    )
    ada.post(None, "Nothing but a body")
    window = Window(browser, house.url, **LOOKS[name])
    bell = Bell(window, ada)
    bell.open()
    expect(bell.rows).to_have_count(2)
    window.picture(f"bell-{name}")
    measured = bell.page.evaluate(_MEASURE)
    assert measured["left"] >= 0
    assert measured["right"] <= measured["width"]
    assert measured["bottom"] <= measured["height"]
    assert (measured["wide"], measured["page"]) == (0, 0)
    assert min(measured["contrasts"]) >= 4.5
    assert (measured["back"] < 0.1) is name.endswith("dark")
    assert window.checked() == []
    window.close()


@contextmanager
def another_origin(port: int, files: Mapping[str, tuple[str, str]], policy: str) -> Iterator[str]:
    """A page of another origin: its address. `files`: type and text by path."""

    class Door(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            media, text = files[self.path]
            self.send_response(200)
            self.send_header("Content-Type", media)
            self.send_header("Content-Security-Policy", policy)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *said: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Door)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.shutdown()
        server.server_close()
        serving.join()


def test_a_page_of_another_origin_under_a_strict_policy_embeds_it(tmp_path: Path, browser: Browser) -> None:
    port = free_port()
    house = House(tmp_path, INBOX)
    written = house.config.read_text()
    house.config.write_text(written.replace("[api]\n", f'[api]\ninbox_origins = ["http://127.0.0.1:{port}"]\n', 1))
    house.start()
    ada = Person(house)
    page = (
        "<!doctype html><html lang=en><link rel=icon href='data:,'>"
        f'<script type="module" src="{house.url}/inbox/sendwright-inbox.js"></script>'
        '<sendwright-inbox></sendwright-inbox><script type="module" src="/own.js"></script>'
    )
    script = f"document.querySelector('sendwright-inbox').getToken = async () => '{ada.token}';"
    policy = (
        f"default-src 'none'; script-src 'self' {house.url}; connect-src {house.url}; img-src data:; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    with another_origin(port, {"/": ("text/html", page), "/own.js": ("text/javascript", script)}, policy) as address:
        window = Window(browser, address)
        window.go("/")
        badge = window.page.locator("sendwright-inbox .badge")
        message = ada.post()
        expect(badge).to_have_text("1")
        window.page.locator("sendwright-inbox button.bell").click()
        window.page.locator("sendwright-inbox .main").click()
        expect(badge).to_be_hidden()
        wait_until(lambda: ada.state(message) == "read", 10, "it is read")
        assert [said for said in window.checked() if not said.startswith(f"request: {house.url}/")] == []
        window.close()
    house.stop()


def test_the_walk_through_of_the_page_works_word_by_word(house: House, window: Window) -> None:
    page = (Path(__file__).parents[2] / "docs" / "inbox.md").read_text()
    steps = re.findall(r"^```sh\n(.*?)^```$", page.split("five minutes\n")[1].split("\n## ")[0], re.MULTILINE | re.DOTALL)
    started, opened, posted, shown = (
        step.replace("http://127.0.0.1:8420", house.url).replace("$(cat data/admin_key)", ADMIN_KEY) for step in steps
    )
    assert started == "make up\n"

    def typed(step: str) -> str:
        return subprocess.run(["bash", "-euc", step], capture_output=True, text=True, check=True, timeout=30).stdout

    window.page.goto(typed(opened).strip())
    expect(window.page.get_by_text("The inbox is open: 0 unread of 0.")).to_be_visible()
    assert json.loads(typed(posted))["state"] == "accepted"
    expect(window.page.locator("sendwright-inbox .badge")).to_have_text("1")
    window.page.locator("sendwright-inbox button.bell").click()
    window.page.get_by_role("dialog").get_by_role("button", name="Shipped").click()
    wait_until(lambda: json.loads(typed(shown))["data"][0]["state"] == "read", 10, "it is read")
