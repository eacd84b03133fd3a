"""The pages as HTML: one style, allowed by its hash, one form, and words. Phones and screen readers read them, without a script.

What is shown of an address is masked: whoever was passed the mail sees the page too.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from html import escape
from typing import NamedTuple

from sendwright.engine.unsubscribe import Subscription
from sendwright.policy.unsubscribing import FIELD, ONE_CLICK

TYPE = "text/html; charset=utf-8"
LANGUAGE = "en"
Said = Callable[[Subscription], str]


class Field(NamedTuple):
    """The one field of a form."""

    name: str
    value: str


LEAVE = Field(FIELD, ONE_CLICK.partition("=")[2])
AGAIN = Field("subscribe", "again")

_STYLE = """
:root { color-scheme: light dark; --back: #f4f4f5; --card: #fff; --text: #18181b; --quiet: #52525b; --line: #71717a;
  --press: #1d4ed8; --on-press: #fff; }
@media (prefers-color-scheme: dark) { :root { --back: #18181b; --card: #27272a; --text: #fafafa; --quiet: #d4d4d8; --line: #a1a1aa;
  --press: #93c5fd; --on-press: #172554; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; min-height: 100svh; display: grid; place-items: center; padding: 1rem;
  background: var(--back); color: var(--text); font: 1.0625rem/1.55 system-ui, sans-serif; }
main { width: 100%; max-width: 30rem; padding: clamp(1.25rem, 6vw, 2.5rem); background: var(--card); border-radius: 1rem; }
h1 { margin: 0 0 .75rem; font-size: 1.5rem; line-height: 1.25; }
p { margin: 0 0 1rem; overflow-wrap: anywhere; } p:last-child, form:last-child { margin-bottom: 0; }
form { margin: 1.5rem 0; }
.quiet { color: var(--quiet); font-size: .9375rem; }
button { width: 100%; min-height: 3rem; padding: .5rem 1.25rem; border: 1px solid var(--press); border-radius: .625rem;
  background: var(--press); color: var(--on-press); font: inherit; font-weight: 600; cursor: pointer; }
button.second { background: transparent; border-color: var(--line); color: inherit; }
button:focus-visible { outline: 3px solid var(--text); outline-offset: 2px; }
@media (forced-colors: active) { main { border: 1px solid; } }
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CSP = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'".encode()


def asking(found: Subscription) -> str:
    """Nothing has happened yet."""
    return _page(
        "Unsubscribe?",
        f"<p>Press the button, and no more marketing messages will be sent {_where(found)}.</p>",
        _form(LEAVE, "Unsubscribe"),
        '<p class="quiet">Messages that are not marketing, such as receipts and passwords, still come.</p>',
    )


def left(found: Subscription) -> str:
    """Done; and how to undo it."""
    return _page(
        "You are unsubscribed",
        f"<p>No more marketing messages will be sent {_where(found)}.</p>",
        '<p class="quiet">A mistake?</p>',
        _form(AGAIN, "Subscribe again", second=True),
    )


def back(found: Subscription) -> str:
    """Undone, as far as that is this page's to undo."""
    if found.barred:
        more = "They are held back for another reason too. Whoever sent you the message can tell you more."
        undone = f"<p>You are no longer unsubscribed from marketing messages {_where(found)}.</p>"
        return _page("That is undone", undone, f"<p>{more}</p>")
    return _page(
        "You are subscribed again",
        f"<p>Marketing messages may be sent {_where(found)}.</p>",
        _form(LEAVE, "Unsubscribe", second=True),
    )


def _where(found: Subscription) -> str:
    return f"to <strong>{escape(found.address)}</strong>" if found.address else "to the address that the message came to"


def _form(field: Field, label: str, *, second: bool = False) -> str:
    hidden = f'<input type="hidden" name="{field.name}" value="{field.value}">'
    shape = ' class="second"' if second else ""
    return f'<form method="post">{hidden}<button type="submit"{shape}>{label}</button></form>'


def _page(title: str, *parts: str) -> str:
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="robots" content="noindex"><title>{title}</title><style>{_STYLE}</style>'
    )
    body = f"<main><h1>{title}</h1>{''.join(parts)}</main>"
    return f'<!doctype html><html lang="{LANGUAGE}"><head>{head}</head><body>{body}</body></html>'


GONE = _page(
    "This link can’t be used",
    "<p>It may have been cut off on its way. Please press the link in the message itself, or answer the message.</p>",
)
BUSY = _page("That did not work", "<p>Nothing has changed. Please try again in a minute.</p>")
