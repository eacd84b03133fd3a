"""Templates into pages. They are ours alone: what callers and vendors wrote is only ever a value, and is escaped."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

import jinja2
import msgspec

from sendwright.model.stats import COUNTED_MAX
from sendwright.policy.duration import instant_ms
from sendwright.policy.segments import segments_of
from sendwright.web.api.shapes import AttemptView

_KINDS = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
_STATES = {
    "accepted": "wait",
    "scheduled": "wait",
    "digesting": "wait",
    "queued": "wait",
    "sending": "move",
    "in_doubt": "doubt",
    "sent": "move",
    "failed": "bad",
    "rejected": "bad",
    "expired": "bad",
    "cancelled": "off",
    "suppressed": "off",
    "delivered": "good",
    "read": "good",
    "closed": "good",
    "half_open": "doubt",
    "open": "bad",
    "pending": "wait",
    "gone": "bad",
    "failing": "bad",
    "paused": "off",
    "on": "good",
    "over": "off",
}
"""The tone of a word's badge; the word itself always stands in it."""


def static_files() -> dict[str, tuple[str, bytes]]:
    """Media type and bytes by name: our own, and what is vendored with its licence."""
    root = files(__package__) / "static"
    found = [file for folder in (root, root / "vendor") for file in folder.iterdir()]
    kinds = ((file, _KINDS.get(file.name.rpartition(".")[2])) for file in found)
    return {file.name: (kind, file.read_bytes()) for file, kind in kinds if kind is not None}


class Rendering:
    """The templates, and what they may call."""

    def __init__(self, static: Mapping[str, tuple[str, bytes]]) -> None:
        self._marks = {name: hashlib.sha256(body).hexdigest()[:12] for name, (_, body) in static.items()}

    def page(self, template: str, values: Mapping[str, Any]) -> bytes:
        page = _templates().get_template(template, globals={"static": self._static})
        return page.render(values).encode("utf-8", "replace")

    def _static(self, name: str) -> str:
        """The address of a file, another one when its content is another."""
        return f"/dashboard/static/{name}?v={self._marks[name]}"


@lru_cache(maxsize=1)
def _templates() -> jinja2.Environment:
    """One for a process, however many applications it builds: what was compiled is kept there."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__, "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals |= {"took": took_ms}
    templates.filters |= {
        "tone": lambda word: _STATES.get(word, "wait"),
        "words": lambda word: str(word).replace("_", " "),
        "number": lambda value: f"{value:,}",
        "capped": capped,
        "ms": shown_ms,
        "seconds": shown_s,
        "share": shown_share,
        "parts": segments_of,
        "json": lambda value: msgspec.json.encode(value).decode(),
        "moment": lambda text: text[:19].replace("T", " "),
        "ago": shown_ago,
    }
    return templates


def capped(count: int) -> str:
    """A count that may have stopped."""
    return str(count) if count < COUNTED_MAX else f"{COUNTED_MAX - 1}+"


def shown_ms(value: float | None) -> str:
    if value is None:
        return "—"
    return f"{value:,.0f} ms" if value < 10_000 else shown_s(value / 1000)


def shown_s(value: float) -> str:
    """A duration in the largest unit that leaves two digits."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if value >= 2 * length:
            return f"{value / length:,.0f} {unit}"
    return f"{value:,.0f} s" if value >= 10 or value == int(value) else f"{value:,.1f} s"


def shown_share(value: float | None) -> str:
    """A share as per cent; only all is 100 %."""
    if value is None:
        return "—"
    tenths = int(value * 1000 + (0.5 if value < 0.999 else 0))
    return f"{tenths // 10} %" if tenths % 10 == 0 else f"{tenths / 10:.1f} %"


def shown_ago(text: str, now: int) -> str:
    """How long ago a time was, or how far it is ahead."""
    away = (now - instant_ms(text)) / 1000
    if abs(away) < 1:
        return "now"
    return f"{shown_s(round(away) or 1)} ago" if away > 0 else f"in {shown_s(round(-away) or 1)}"


def took_ms(attempt: AttemptView) -> float | None:
    """How long a call took; None while it is under way."""
    return None if attempt.finished_at is None else instant_ms(attempt.finished_at) - instant_ms(attempt.started_at)
