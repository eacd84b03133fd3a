"""What people type, read: durations, times, addresses to listen on, and whom a notification goes to."""

# ruff: noqa: PLC0415 -- only the command that is given such a word needs its reader

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import click

FIELDS = {"sms": "phone"} | {
    name: name
    for name in ("email", "phone", "whatsapp", "instagram", "messenger", "telegram", "line", "slack", "discord", "teams", "webhook")
}
"""The member of an inline recipient that `NAME:address` fills, by NAME: a channel's, or the member's own."""

_DURATION = re.compile(r"[0-9]{1,9}[smhd]")


class Addressee:
    """One `--to`. `channel` is the one that it names itself, as `whatsapp:…` does."""

    def __init__(self, wire: str | dict[str, Any], channel: str | None = None) -> None:
        self.wire = wire
        self.channel = channel

    def __repr__(self) -> str:
        return "Addressee(…)"


def addressee(text: str) -> Addressee:
    """Reads one `--to`; wrong usage for JSON that is no object, and for an address that is empty."""
    if text.lstrip().startswith("{"):
        return Addressee(_inline(text))
    name, colon, rest = text.partition(":")
    if colon and name in ("push", "webpush"):
        raise click.BadParameter(f'write {name} addresses as JSON, such as {{"push": [{{"token": "…", "kind": "fcm"}}]}}')
    if colon and name in {*FIELDS, "id"}:
        if not rest:
            raise click.BadParameter(f"there is no address behind {name}:")
        return Addressee(rest) if name == "id" else Addressee({FIELDS[name]: rest}, "sms" if name == "phone" else name)
    if text.startswith("+"):
        return Addressee({"phone": text})
    if "@" in text[1:]:
        return Addressee({"email": text})
    if not text:
        raise click.BadParameter("is empty")
    return Addressee(text)


def _inline(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        raise click.BadParameter("begins as JSON and is none") from None
    if not isinstance(value, dict):
        raise click.BadParameter("is no JSON object")
    return value


def duration_s(text: str) -> float:
    """`90s`, `10m`, `36h`, `7d`, as seconds."""
    from sendwright.policy.duration import duration_ms

    try:
        return duration_ms(text) / 1000
    except ValueError:
        raise click.BadParameter("expected a duration such as 90s, 10m, 36h or 7d") from None


def moment(text: str) -> str:
    """A time as the API takes it, of RFC 3339 or of a duration: that long ago."""
    from sendwright.policy.duration import duration_ms, instant_ms

    try:
        if _DURATION.fullmatch(text):
            then = max(datetime.now(UTC) - timedelta(milliseconds=duration_ms(text)), datetime.fromtimestamp(0, UTC))
            return then.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        instant_ms(text)
    except (ValueError, OverflowError):
        raise click.BadParameter("expected a time such as 2026-11-22T08:00:00Z, or how long ago: 90s, 10m, 36h, 7d") from None
    return text


def until(text: str) -> str:
    """A time as the API takes it, of RFC 3339 or of a duration: so long from now."""
    from sendwright.policy.duration import duration_ms, instant_ms

    try:
        if _DURATION.fullmatch(text):
            then = datetime.now(UTC) + timedelta(milliseconds=duration_ms(text))
            return then.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        instant_ms(text)
    except (ValueError, OverflowError):
        raise click.BadParameter("expected a time such as 2026-11-22T08:00:00Z, or how long from now: 90s, 10m, 36h, 7d") from None
    return text


def scopes(text: str) -> list[str]:
    """What a key may do, with commas between."""
    from sendwright.model.api_key import SCOPES

    found = [word.strip() for word in text.split(",")]
    if unknown := [word for word in found if word not in SCOPES]:
        raise click.BadParameter(f"{unknown[0] or 'nothing'} is no scope: {', '.join(SCOPES)}")
    return list(dict.fromkeys(found))


def names(text: str) -> list[str]:
    """Names with commas between."""
    found = [word.strip() for word in text.split(",")]
    if not all(found):
        raise click.BadParameter("expected names with commas between")
    return found


def together(some: Iterable[list[str]]) -> list[str]:
    """Those of an option that may be given several times, each once."""
    return list(dict.fromkeys(name for names_ in some for name in names_))


def listen(text: str) -> str:
    """A host and a port to listen on."""
    from sendwright.settings.kinds import Bad, host_port

    try:
        host_port(text)
    except Bad as fault:
        raise click.BadParameter(str(fault)) from None
    return text
