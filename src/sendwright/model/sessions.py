"""Who is signed in to the dashboard: a row each, and one for each sign-in link that nobody has used yet.

A row is found by the hash of what the browser holds (or of the link's secret), and keeps the key that was signed in with,
sealed so that only that browser opens it. Whoever reads the table learns neither.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Session(Struct, frozen=True):
    """Times are ms since 1970."""

    id: str
    """64 hexadecimal digits: the hash of the secret."""
    kind: Literal["session", "link"]
    tenant: str
    sealed: bytes
    way: Literal["key", "link"]
    """What was signed in with."""
    made_at: int
    seen_at: int
    until: int
    """The end that no use puts off."""

    def __repr__(self) -> str:
        return f"Session({self.kind}, {self.tenant}, {self.id[:8]})"
