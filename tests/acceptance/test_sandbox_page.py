"""The sandbox's page in a browser: each app's view of what arrived, and what a hostile mail can do there."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.ports import free_port

from .browser import Window, open_browser
from .harness import Oracle, call

pytestmark = pytest.mark.slow

HOSTILE = """<style>body { font-family: Georgia, serif; color: #123456 }</style><h1>Your order is on its way</h1>
<p>It <b>left</b> our warehouse.</p><script>top.hacked = 1; document.title = "hacked"</script>
<img src="https://elsewhere.example/pixel.png" onerror="parent.hacked = 1">
<form action="/reset" method="post"><button id="reset">Press</button></form>
<a id="away" href="https://elsewhere.example/" target="_top">A link</a>"""


class Shown:
    """A sandbox with something of everything."""

    def __init__(self, folder: Path) -> None:
        self.mails = free_port()
        self.oracle = Oracle(folder, more=("--smtp", f"127.0.0.1:{self.mails}"))
        self.native("sms", "+4915112345678", "Your code is 4711")
        self.native("telegram", "@ada", "Shipped: <b>not bold</b>")
        self.native("push", "device-1", "Shipped.", title="Order 7", url="https://shop.example/7")
        self.native("webpush", "ada", "<img src=x onerror=alert(1)>", title="From the <i>browser</i>")
        self.native("email", "bea@example.com", "Only text", title="Plain")
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = "Shop <shop@example.com>", "ada@example.com", "Order <7> & more"
        mail.set_content("Your order is on its way.")
        mail.add_alternative(HOSTILE, subtype="html")
        mail.add_attachment(b"x" * 300, maintype="application", subtype="pdf", filename="<bill>.pdf")
        with smtplib.SMTP("127.0.0.1", self.mails, timeout=10) as client:
            client.send_message(mail)

    def native(self, channel: str, to: str, body: str, **more: Any) -> None:
        said = {"channel": channel, "to": to, "body": body, "idempotency_key": f"{channel}-{to}", "reference": "r", **more}
        assert call("POST", f"{self.oracle.url}/v1/messages", said, {"Authorization": "Bearer sandbox"})[0] == 202


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    made = Shown(tmp_path_factory.mktemp("page"))
    yield made
    made.oracle.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as made:
        yield made


def test_each_app_shows_what_arrived_as_text_in_light_in_dark_and_on_a_phone(shown: Shown, browser: Browser) -> None:
    phone = {"width": 390, "height": 844}
    for name, options in (("light", {}), ("dark", {"color_scheme": "dark"}), ("phone", {"viewport": phone})):
        window = Window(browser, shown.oracle.url, **options)
        page = window.go("/")
        said = page.locator(".card").first.inner_text()
        assert "From the <i>browser</i>" in said
        assert "<img src=x onerror=alert(1)>" in said
        assert "https://shop.example/7" in page.locator(".card").nth(1).inner_text()
        assert page.locator(".bubble p").all_inner_texts() == ["Shipped: <b>not bold</b>", "Your code is 4711"]
        assert page.locator(".letter strong").all_inner_texts() == ["Order <7> & more", "Plain"]
        page.locator(".letter summary").first.click()
        page.frame_locator(".letter iframe").locator("h1").wait_for()
        opened = page.locator(".letter").first.inner_text()
        for words in ("Shop <shop@example.com>", "ada@example.com", "Your order is on its way.", "<bill>.pdf (300 bytes)"):
            assert words in opened
        assert f"127.0.0.1:{shown.mails}" in page.locator("#of-keys").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "nothing sticks out"
        window.picture(f"sandbox-{name}")
        window.close()


def test_a_hostile_mail_is_shown_and_can_do_nothing(shown: Shown, browser: Browser) -> None:
    window = Window(browser, shown.oracle.url)
    failed: dict[str, str | None] = {}
    window.page.on("requestfailed", lambda request: failed.update({request.url: request.failure}))
    page = window.go("/")
    page.locator(".letter summary").first.click()
    assert page.locator(".letter iframe").get_attribute("sandbox") == ""
    frame = page.frame_locator(".letter iframe")
    frame.locator("h1").wait_for()
    assert "Georgia" in frame.locator("body").evaluate("(body) => getComputedStyle(body).fontFamily"), "its own style is its own"
    frame.locator("#reset").click()
    frame.locator("#away").click()
    page.wait_for_timeout(200)
    assert (page.url, page.title()) == (f"{shown.oracle.url}/", "Sendwright sandbox")
    assert page.evaluate("window.hacked") is None
    assert call("GET", f"{shown.oracle.url}/stats")[1]["taken"] == 6, "nothing was reset"
    elsewhere = {url: why for url, why in failed.items() if not url.startswith(shown.oracle.url)}
    assert elsewhere == {"https://elsewhere.example/pixel.png": "csp"}, "nothing was asked of anybody else"

    alone = window.go(str(page.locator(".letter iframe").get_attribute("src")))
    assert alone.title() != "hacked"
    assert alone.evaluate("window.origin") == "null"
    window.close()


def test_an_open_mail_stays_open_while_others_arrive(shown: Shown, browser: Browser) -> None:
    window = Window(browser, shown.oracle.url)
    page = window.go("/")
    page.locator(".letter summary").last.click()
    shown.native("sms", "+4915112345679", "One more")
    page.get_by_text("One more").wait_for()
    assert re.search(r"\bopen\b", page.locator(".letter").last.evaluate("(mail) => mail.outerHTML.slice(0, 60)"))
    shown.native("email", "cleo@example.com", "New", title="Newer")
    page.locator(".letter strong", has_text="Newer").wait_for()
    assert page.locator(".letter").last.get_attribute("open") is not None
    assert page.locator(".letter").first.get_attribute("open") is None
    assert window.checked() == []
    window.close()
