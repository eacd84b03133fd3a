"""A real browser: the Chromium that is installed, without a window, and with an ear for everything that it complains about.

`CHROMIUM` names another one. Where there is none the tests are skipped by name; with `CI=true` that is a failure. Pages are kept as
pictures in the folder that `SCREENSHOTS` names, for whoever wants to look.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, expect, sync_playwright

from .faults import missing

PATIENCE_MS = 30_000
"""How long a page may take to come to what is expected of it."""
expect.set_options(timeout=PATIENCE_MS)

_VIOLATIONS = """() => {
  window.violations = [];
  document.addEventListener("securitypolicyviolation", (e) => window.violations.push(`${e.violatedDirective} ${e.blockedURI}`));
}"""


def chromium() -> str:
    """Where it is."""
    named = (
        os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    )
    if named is None or not Path(named).exists():
        missing("Chromium")
    assert named is not None
    return named


@contextmanager
def open_browser() -> Iterator[Browser]:
    path = chromium()
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=arguments, timeout=2 * PATIENCE_MS)
        try:
            yield browser
        finally:
            browser.close()


class Window:
    """One person's window. `complaints` are what the console said in anger, dialogs that nobody asked for, breaches of the policy
    and requests to anywhere else."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.url = url
        self.context = browser.new_context(**{"viewport": {"width": 1360, "height": 900}, **options})
        self.context.set_default_timeout(PATIENCE_MS)
        self.context.add_init_script(f"({_VIOLATIONS})()")
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.asked: list[str] = []
        """Dialogs that were expected, and agreed to."""
        self.expects_dialogs = False
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("dialog", self._dialog)
        self.page.on("request", self._request)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text}")

    def _dialog(self, dialog: Dialog) -> None:
        if self.expects_dialogs:
            self.asked.append(dialog.message)
            dialog.accept()
        else:
            self.complaints.append(f"dialog: {dialog.message}")
            dialog.dismiss()

    def _request(self, request: Any) -> None:
        if not request.url.startswith(self.url):
            self.complaints.append(f"request: {request.url}")

    def go(self, path: str) -> Page:
        self.page.goto(self.url + path)
        return self.page

    def checked(self) -> list[str]:
        """All complaints until now."""
        return [*self.complaints, *self.page.evaluate("window.violations")]

    def picture(self, name: str) -> None:
        folder = os.environ.get("SCREENSHOTS")
        if folder is not None:
            self.page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)

    def text(self) -> str:
        return self.page.inner_text("body")

    def close(self) -> None:
        self.page.unroute_all(behavior="ignoreErrors")  # an answer that a test bends may still be on its way
        self.context.close()
