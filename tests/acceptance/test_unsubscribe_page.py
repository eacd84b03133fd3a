"""The page behind a link to unsubscribe, in a real browser: on a desk and on a phone in the dark, with script and without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from sendwright.testing import Server

from .browser import Window, open_browser

pytestmark = pytest.mark.slow

PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 720}, "is_mobile": True, "has_touch": True}
EYES: dict[str, dict[str, Any]] = {
    "desk": {},
    "phone-dark-without-script": {**PHONE, "color_scheme": "dark", "java_script_enabled": False},
}
TITLES = ("Unsubscribe?", "You are unsubscribed", "You are subscribed again")


@pytest.fixture(scope="module")
def link() -> Iterator[str]:
    with Server() as server, server.client() as client:
        client.send({"email": "ada@example.org"}, content={"body": "Tea is cheap."}, channels=["email"], category="marketing")
        (mail,) = server.wait_for(1)
        yield mail.unsubscribe_url or ""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


def test_a_person_unsubscribes_and_comes_back_by_two_presses_wherever_they_read(browser: Browser, link: str) -> None:
    for name, eyes in EYES.items():
        window = Window(browser, link, **eyes)
        page = window.go("")
        for title in TITLES:
            assert (page.title(), page.get_by_role("heading", level=1).inner_text()) == (title, title)
            assert page.url == link  # no redirect, and a reload asks for the same
            assert "a•••@example.org" in window.text()
            window.picture(f"unsubscribe-{name}-{TITLES.index(title)}")
            button = page.get_by_role("button")
            box = button.bounding_box()
            assert box is not None
            assert box["height"] >= 44  # WCAG 2.2, 2.5.5
            assert 0 <= box["x"] <= box["x"] + box["width"] <= eyes.get("viewport", {"width": 1360})["width"]
            page.keyboard.press("Tab")
            assert button.evaluate("button => button === document.activeElement")
            if title != TITLES[-1]:
                with page.expect_navigation():
                    page.keyboard.press("Enter")
        assert window.complaints == []
        if eyes.get("java_script_enabled", True):
            assert window.checked() == []
        window.close()


def test_a_link_that_is_none_of_ours_shows_a_page_too(browser: Browser, link: str) -> None:
    window = Window(browser, link[:-1])
    page = window.go("")
    assert page.title() == "This link can’t be used"
    assert page.get_by_role("button").count() == 0
    window.picture("unsubscribe-gone")
    window.close()
