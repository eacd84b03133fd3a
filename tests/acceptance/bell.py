"""A person with an inbox, and the bell of theirs in a browser's window: what the tests of the element ask of both."""

from __future__ import annotations

from itertools import count
from typing import Any

from playwright.sync_api import Locator, Page, expect

from .browser import Window
from .harness import House, call, wait_until

INBOX = '[providers.inbox]\nkind = "inapp"\n'
PEOPLE = (f"person-{number}" for number in count())
_FOCUS = """() => {
  const on = document.querySelector("sendwright-inbox").shadowRoot.activeElement;
  return on ? `${on.closest("li")?.querySelector(".title")?.textContent ?? ""}|${on.dataset.do ?? on.id ?? ""}` : "";
}"""
_HEAR = """(name) => {
  window.heard = [];
  document.addEventListener(name, (event) => { window.heard.push(event.detail); event.preventDefault(); });
}"""


class Person:
    """Somebody with an inbox of their own, and what the API knows of it."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.id = next(PEOPLE)
        self.token = self.fresh()

    def fresh(self, ttl: str = "1h") -> str:
        status, made = self.house.api("POST", f"/v1/recipients/{self.id}/token", {"ttl": ttl})
        assert status == 201, made
        return str(made["token"])

    def post(self, title: str | None = "Shipped", body: str = "Your order is on its way.", **more: Any) -> str:
        """The message's id, as soon as it lies there."""
        content = {"body": body, **({} if title is None else {"title": title}), **more}
        wish = {"to": {"id": self.id}, "channels": ["inapp"], "content": content}
        status, taken = self.house.api("POST", "/v1/notifications", wish)
        assert status == 202, taken
        rows = wait_until(lambda: self.rows(taken["id"]), 20, "it lies there")
        return str(rows[0]["id"])

    def rows(self, notification: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.house.api("GET", f"/v1/notifications/{notification}")[1]["messages"]
        return rows if rows and rows[0]["state"] not in {"accepted", "queued", "sending"} else []

    def state(self, message: str) -> str:
        return str(self.house.api("GET", f"/v1/messages/{message}")[1]["state"])

    def items(self, view: str) -> list[dict[str, Any]]:
        answer = call("GET", f"{self.house.url}/v1/inbox?view={view}", headers={"Authorization": f"Bearer {self.token}"})[1]
        found: list[dict[str, Any]] = answer["data"]
        return found


class Bell:
    """The element in a window, on the demo page."""

    def __init__(self, window: Window, person: Person, *, token: str | None = None) -> None:
        self.window = window
        self.page: Page = window.page
        window.go(f"/inbox/demo#token={token or person.token}")
        self.button = self.page.locator("sendwright-inbox button.bell")
        self.badge = self.page.locator("sendwright-inbox .badge")
        self.panel = self.page.get_by_role("dialog", name="Notifications")
        self.rows: Locator = self.panel.get_by_role("listitem")

    def counts(self, unread: int, within_s: float = 10) -> None:
        if unread:
            expect(self.badge).to_have_text(str(unread), timeout=within_s * 1000)
            expect(self.button).to_have_accessible_name(f"Notifications, {unread} unread")
        else:
            expect(self.badge).to_be_hidden(timeout=within_s * 1000)
            expect(self.button).to_have_accessible_name("Notifications")

    def open(self) -> None:
        self.button.click()
        expect(self.panel).to_be_visible()

    def row(self, title: str) -> Locator:
        return self.rows.filter(has_text=title)

    def tool(self, title: str, name: str) -> None:
        self.row(title).hover()
        self.row(title).get_by_role("button", name=name, exact=True).click()

    def tab(self, name: str) -> None:
        self.panel.get_by_role("tab", name=name).click()

    def focus(self) -> str:
        """What the keyboard is on, in the element."""
        return str(self.page.evaluate(_FOCUS))

    def hears(self, name: str) -> None:
        """Keeps what the element dispatches of this name, and goes along no link."""
        self.page.evaluate(_HEAR, name)

    def heard(self) -> list[Any]:
        found: list[Any] = self.page.evaluate("window.heard")
        return found
