"""The page: a phone and a mailbox that show what arrived, the newest requests with their verdicts, the faults in force.

Rendered here, whole and in part; the script only asks for the part again and swaps it in. Every value goes through
`escape`, whatever it is, so that content and vendors' words show as text. Only a mail's HTML is shown as what it is, in a
frame that has no origin, runs nothing and loads nothing from elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from html import escape
from pathlib import Path

import msgspec
from msgspec import Struct

from sendwright.sandbox.faults import Faults
from sendwright.sandbox.log import Entry, MessageLog, Noted, Reported

SHOWN = 50
"""How many of the newest requests are shown."""
_TEXT_MAX = 2_000

_STATIC = Path(__file__).with_name("static")
SCRIPT = (_STATIC / "page.js").read_bytes()
STYLE = (_STATIC / "page.css").read_bytes()

_MAIL = "email"
_PUSHED = frozenset({"push", "webpush"})
_WRITE_BACK = frozenset({"whatsapp_cloud", "messenger", "instagram", "telegram", "slack"})
"""Kinds whose people can write back."""
_TICKS = {"sent": "✓", "delivered": "✓✓", "read": "✓✓", "failed": "✗"}


class Seen(Struct, frozen=True):
    """What the page is made of."""

    log: MessageLog
    faults: Faults
    prefix: str
    """The path that it is mounted under."""
    smtp: tuple[str, int] | None
    """Where mails are taken by SMTP."""


def whole(seen: Seen) -> bytes:
    """The page."""
    at = escape(seen.prefix)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f'<title>Sendwright sandbox</title><link rel="stylesheet" href="{at}/page.css">'
        f'<script src="{at}/page.js" defer></script></head><body>'
        "<header><h1>Sandbox</h1><p>What a vendor would have been asked to send. Nothing here reaches anybody.</p></header>"
        f'<main id="shown" data-fragment="{at}/fragment" data-reply="{at}/reply">{fragment(seen).decode()}</main></body></html>\n'
    ).encode()


def fragment(seen: Seen) -> bytes:
    """What changes: counters, the apps of those who were written to, requests, faults."""
    newest = seen.log.newest(SHOWN)
    taken = [noted for noted in newest if noted.entry.taken]
    parts = (_counters(seen.log), _phone(taken), _mailbox(taken, seen.prefix), _requests(newest), _faults(seen.faults), _made(seen))
    return "".join(parts).encode()


def mail(html: str) -> bytes:
    """A mail's HTML as its reader's program has it: for a frame, under a policy of its own that lets nothing run or load."""
    return html.encode("utf-8", "replace")


def mark(log: MessageLog) -> bytes:
    """An entity tag for the fragment. Counts of faults are used up with a request, which the log's version shows."""
    return f'"{log.run}-{log.version}-{log.stats().in_flight}"'.encode()


def _counters(log: MessageLog) -> str:
    stats = log.stats()
    cells = {"taken": stats.taken, "requests": stats.requests, "in flight": stats.in_flight} | stats.by_verdict
    return (
        '<dl id="of-counters" class="counters">'
        + "".join(f"<div><dt>{_said_of(k)}</dt><dd>{v:,}</dd></div>" for k, v in cells.items())
        + "</dl>"
    )


def _phone(taken: list[Noted]) -> str:
    """A lock screen for what is pushed, and a thread for everybody who was written to otherwise."""
    pushed = [noted for noted in taken if noted.entry.channel in _PUSHED]
    threads: dict[str, list[Noted]] = {}
    for noted in reversed(taken):
        if noted.entry.channel not in _PUSHED and noted.entry.channel != _MAIL:
            threads.setdefault(noted.entry.to, []).append(noted)
    shown = (_lock_screen(pushed) if pushed else "") + "".join(_thread(to, mine[::-1]) for to, mine in threads.items())
    empty = '<p class="empty">Nothing has arrived yet.</p>'
    head = '<section id="of-phone" class="phone" tabindex="0" aria-labelledby="phone"><h2 id="phone">Phone</h2>'
    return f"{head}{shown or empty}</section>"


def _lock_screen(pushed: list[Noted]) -> str:
    cards = "".join(_card(noted) for noted in reversed(pushed))
    return f'<article class="lock"><h3>Lock screen</h3><ol>{cards}</ol></article>'


def _card(noted: Noted) -> str:
    entry = noted.entry
    app = "browser" if entry.channel == "webpush" else "app"
    extras = "".join(f'<span class="extra">{_text(x)}</span>' for x in (entry.url, *entry.media) if x)
    title = f'<strong dir="auto">{_text(entry.title)}</strong>' if entry.title else ""
    head = f'<header><span class="badge">{app}</span> <bdi dir="ltr">{_text(entry.to)}</bdi> {_time(entry.at)}</header>'
    return f'<li class="card">{head}{title}<p dir="auto">{_text(entry.body)}</p>{extras}</li>'


def _mailbox(taken: list[Noted], prefix: str) -> str:
    mails = "".join(_letter(noted, prefix) for noted in reversed(taken) if noted.entry.channel == _MAIL)
    empty = '<p class="empty">No mail has arrived yet.</p>'
    return f'<section id="of-mails" class="mailbox" aria-labelledby="mails"><h2 id="mails">Mailbox</h2>{mails or empty}</section>'


def _letter(noted: Noted, prefix: str) -> str:
    """One mail. Its HTML is in a frame that runs nothing and is loaded when the mail is opened."""
    entry = noted.entry
    lines = [("From", entry.sender or ""), ("To", entry.to), *([("Copies", ", ".join(entry.copies))] if entry.copies else [])]
    fields = "".join(f'<div><dt>{name}</dt><dd dir="ltr">{_text(value)}</dd></div>' for name, value in lines)
    files = "".join(f"<li>{_text(file)}</li>" for file in entry.media)
    page = f'<iframe sandbox loading="lazy" title="The mail as HTML" src="{escape(prefix)}/mail?seq={entry.seq}"></iframe>'
    link = f'<span class="extra">{_text(entry.url)}</span>' if entry.url else ""
    ticks = "".join(_receipt(r) for r in noted.receipts)
    subject = f'<strong dir="auto">{_text(entry.title or "(no subject)")}</strong>'
    summary = f'{subject} <bdi dir="ltr">{_text(entry.to)}</bdi> {_time(entry.at)} {ticks}'
    return (
        f'<details class="letter" data-seq="{entry.seq}"><summary>{summary}</summary><dl>{fields}</dl>'
        f'{page if entry.html else ""}<h4>Text</h4><p dir="auto">{_text(entry.body)}</p>{link}'
        f"{f'<h4>Attachments</h4><ul>{files}</ul>' if files else ''}</details>"
    )


def _thread(to: str, messages: Sequence[Noted]) -> str:
    bubbles = "".join(_bubble(m) + "".join(_written(text) for text in m.written) for m in messages)
    last = messages[-1].entry
    return f'<article><h3 dir="ltr">{_text(to)}</h3><ol>{bubbles}</ol>{_back(last) if last.kind in _WRITE_BACK else ""}</article>'


def _written(text: str) -> str:
    return f'<li class="bubble back"><p dir="auto">{_text(text)}</p></li>'


def _back(last: Entry) -> str:
    """What the person writes back with; the script posts it."""
    name = f'aria-label="Write back to {_text(last.channel)}"'
    box = f'<input name="text" maxlength="1000" autocomplete="off" {name} placeholder="Write back, such as STOP">'
    return f'<form class="back" data-seq="{last.seq}" data-to="{_text(last.to)}">{box}<button>Send</button><output></output></form>'


def _bubble(noted: Noted) -> str:
    entry = noted.entry
    title = f'<strong dir="auto">{_text(entry.title)}</strong>' if entry.title else ""
    extras = "".join(f'<span class="extra">{_text(x)}</span>' for x in (entry.url, *entry.media, entry.unsubscribe_url) if x)
    ticks = "".join(_receipt(r) for r in noted.receipts)
    badge = f'<span class="badge">{_text(entry.channel)}</span>'
    said = f'{title}<p dir="auto">{_text(entry.body)}</p>{extras}'
    return f'<li class="bubble">{said}<footer>{badge} {_time(entry.at)} UTC {ticks}</footer></li>'


def _receipt(receipt: Reported) -> str:
    answer = receipt.note or ("unanswered" if receipt.answer is None else f"callback answered {receipt.answer}")
    tick = _TICKS.get(receipt.state, "·")
    return f'<span class="receipt {_text(receipt.state)}" title="{_text(answer)}">{tick} {_text(receipt.state)}</span> '


def _requests(newest: list[Noted]) -> str:
    head = "".join(
        f'<th scope="col">{h}</th>' for h in ("#", "at (UTC)", "kind", "channel", "to", "verdict", "status", "reference")
    )
    rows = "".join(_row(noted.entry) for noted in reversed(newest))
    return (
        '<section id="of-requests" aria-labelledby="requests"><h2 id="requests">Requests</h2>'
        f'<div class="wide" tabindex="0" role="region" aria-labelledby="requests">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _row(entry: Entry) -> str:
    status = "none" if entry.status is None else entry.status
    taken = "" if entry.taken == (entry.verdict == "taken") else " (taken)"
    to, reference, verdict = _text(entry.to), _text(entry.reference or ""), _text(entry.verdict)
    cells = (
        f"<td>{entry.seq}</td><td>{_time(entry.at)}</td><td>{_text(entry.kind)}</td><td>{_text(entry.channel)}</td>",
        f'<td title="{to}"><bdi dir="ltr">{to}</bdi></td>',
        f'<td class="verdict {verdict}">{_said_of(entry.verdict)}{taken}</td><td>{status}</td>',
        f'<td class="reference" title="{reference}">{reference}</td>',
    )
    return f"<tr>{''.join(cells)}</tr>"


def _said_of(verdict: str) -> str:
    return _text(verdict.replace("_", " "))


def _faults(faults: Faults) -> str:
    sheet = faults.sheet()
    rules = "".join(f"<li><code>{_text(_said(rule))}</code></li>" for rule in sheet.rules)
    none = "<p>None: every message is treated as it should be.</p>"
    return (
        '<section id="of-faults" aria-labelledby="faults"><h2 id="faults">Faults in force</h2>'
        f"{f'<ol>{rules}</ol>' if rules else none}"
        f"<h3>Receipts</h3><p><code>{_text(_said(faults.receipts, whole=True))}</code></p></section>"
    )


def _made(seen: Seen) -> str:
    """What an adapter that is pointed here needs of the sandbox."""
    at = escape(seen.prefix)
    mails = f"<code>{_text(seen.smtp[0])}:{seen.smtp[1]}</code>" if seen.smtp else "nowhere: no address was given for them"
    links = (
        ("sendgrid/public-key", "SendGrid's verification key"),
        ("fcm/service-account.json", "a service account of Firebase's"),
        ("webpush/subscription.json", "a browser's subscription"),
    )
    shown = "".join(f'<li><a href="{at}/{path}">{name}</a></li>' for path, name in links)
    head = '<section id="of-keys" aria-labelledby="keys"><h2 id="keys">For your adapters</h2>'
    return f"{head}<ul>{shown}</ul><p>Mails are taken by SMTP on {mails}.</p></section>"


def _said(struct: msgspec.Struct, *, whole: bool = False) -> str:
    return json.dumps(_told(struct, whole=whole), ensure_ascii=False)


def _told(struct: msgspec.Struct, *, whole: bool) -> dict[str, object]:
    """What is out of the ordinary about it, or all of it."""
    told: dict[str, object] = {}
    for field in msgspec.structs.fields(struct):
        value = getattr(struct, field.name)
        if whole or value != field.default:
            told[field.encode_name] = _told(value, whole=whole) if isinstance(value, msgspec.Struct) else value
    return told


def _time(at: datetime) -> str:
    return f'<time datetime="{_text(at.isoformat())}">{at:%H:%M:%S}</time>'


def _text(value: str) -> str:
    return escape(value if len(value) <= _TEXT_MAX else value[:_TEXT_MAX] + "…", quote=True)
