"""The page: a phone that shows what arrived, the newest requests with their verdicts, the faults in force.

Rendered here, whole and in part; the script only asks for the part again and swaps it in. Every value goes through
`escape`, whatever it is, so that content and vendors' words show as text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from html import escape
from pathlib import Path

import msgspec

from sendwright.sandbox.faults import Faults
from sendwright.sandbox.log import Entry, MessageLog, Noted, Reported

SHOWN = 50
"""How many of the newest requests are shown."""
_TEXT_MAX = 2_000

_STATIC = Path(__file__).with_name("static")
SCRIPT = (_STATIC / "page.js").read_bytes()
STYLE = (_STATIC / "page.css").read_bytes()

_TICKS = {"sent": "✓", "delivered": "✓✓", "read": "✓✓", "failed": "✗"}


def whole(prefix: str, log: MessageLog, faults: Faults) -> bytes:
    """The page; `prefix` is the path that it is mounted under."""
    at = escape(prefix)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f'<title>Sendwright sandbox</title><link rel="stylesheet" href="{at}/page.css">'
        f'<script src="{at}/page.js" defer></script></head><body>'
        "<header><h1>Sandbox</h1><p>What a vendor would have been asked to send. Nothing here reaches anybody.</p></header>"
        f'<main id="shown" data-fragment="{at}/fragment">{fragment(log, faults).decode()}</main></body></html>\n'
    ).encode()


def fragment(log: MessageLog, faults: Faults) -> bytes:
    """What changes: counters, phone, requests, faults."""
    newest = log.newest(SHOWN)
    return "".join((_counters(log), _phone(newest), _requests(newest), _faults(faults))).encode()


def mark(log: MessageLog) -> bytes:
    """An entity tag for the fragment. Counts of faults are used up with a request, which the log's version shows."""
    return f'"{log.run}-{log.version}-{log.stats().in_flight}"'.encode()


def _counters(log: MessageLog) -> str:
    stats = log.stats()
    cells = {"taken": stats.taken, "requests": stats.requests, "in flight": stats.in_flight} | stats.by_verdict
    return '<dl class="counters">' + "".join(f"<div><dt>{_said_of(k)}</dt><dd>{v:,}</dd></div>" for k, v in cells.items()) + "</dl>"


def _phone(newest: list[Noted]) -> str:
    threads: dict[str, list[Noted]] = {}
    for noted in reversed(newest):
        if noted.entry.taken:
            threads.setdefault(noted.entry.to, []).append(noted)
    shown = "".join(_thread(to, reversed(messages)) for to, messages in threads.items())
    empty = '<p class="empty">Nothing has arrived yet.</p>'
    head = '<section class="phone" tabindex="0" aria-labelledby="phone"><h2 id="phone">Phone and mailbox</h2>'
    return f"{head}{shown or empty}</section>"


def _thread(to: str, messages: Iterable[Noted]) -> str:
    return f'<article><h3 dir="ltr">{_text(to)}</h3><ol>{"".join(_bubble(m) for m in messages)}</ol></article>'


def _bubble(noted: Noted) -> str:
    entry = noted.entry
    title = f'<strong dir="auto">{_text(entry.title)}</strong>' if entry.title else ""
    extras = "".join(f'<span class="extra">{_text(x)}</span>' for x in (entry.url, *entry.media) if x)
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
        f'<section aria-labelledby="requests"><h2 id="requests">Requests</h2><div class="wide" tabindex="0" role="region" '
        f'aria-labelledby="requests"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>'
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
        f'<section aria-labelledby="faults"><h2 id="faults">Faults in force</h2>{f"<ol>{rules}</ol>" if rules else none}'
        f"<h3>Receipts</h3><p><code>{_text(_said(faults.receipts, whole=True))}</code></p></section>"
    )


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
