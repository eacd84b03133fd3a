"""When an event is posted again to an endpoint, when an endpoint is given up, and what is kept of its answers.

The schedule is the one that Standard Webhooks recommends (spec/standard-webhooks.md, "Deliverability and reliability", read in
November 2026): at once, then 5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 hours after the try before. `draw` lies in [0, 1).
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from sendwright.model.endpoint import FAILING, GONE, Endpoint
from sendwright.policy.retry import believed_s

WAITS_S = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds after the first try, the second, and so on."""
JITTER = 0.1
"""Above each, so that what failed together does not come back together."""
GIVE_UP_MS = 5 * 86_400_000
"""So long everything fails before an endpoint is switched off."""
GAP_MS = 2 * 86_400_000
"""A failure that comes so long after the one before begins a new row: with nothing to post, nothing was shown to fail."""
SAID_MAX = 200
"""Characters of an answer that are kept."""

_READ_MAX = 4096
_PERSONAL = re.compile(
    r"""[^\s@"'<>,;:=]+@[^\s@"'<>,;:=]+          # an email address
    |\+?[0-9][0-9().\-\ ]{5,}[0-9]               # a telephone number
    |[A-Za-z0-9_\-+/=.~]{24,}                    # a key, a token, a signature
    """,
    re.VERBOSE,
)


def wait_s(tries: int, asked_s: float | None, draw: float) -> float | None:
    """Seconds from the `tries`-th failure to the next try, never less than the answer asked for; None when that was the last."""
    if tries > len(WAITS_S):
        return None
    return max(WAITS_S[tries - 1], believed_s(asked_s)) * (1 + JITTER * draw)


def judged(endpoint: Endpoint, at: int, *, ok: bool, gone: bool) -> Endpoint:
    """The endpoint after a try at that time (ms)."""
    if ok:
        return replace(endpoint, failing_since=None, failed_at=None) if endpoint.failing_since is not None else endpoint
    since, before = endpoint.failing_since, endpoint.failed_at
    if since is None or before is None or at - before > GAP_MS:
        since = at
    verdict = GONE if gone else FAILING if at - since >= GIVE_UP_MS else None
    disabled = endpoint.disabled_for or verdict
    version = endpoint.version + (disabled != endpoint.disabled_for)
    failed_at = max(at, before or 0)
    return replace(endpoint, failing_since=since, failed_at=failed_at, disabled_for=disabled, version=version)


def excerpt(body: bytes) -> str:
    """The beginning of an answer on one line, without what looks like an address, a number or a key."""
    text = body[:_READ_MAX].decode("utf-8", "replace")
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return _PERSONAL.sub("•••", line)[:SAID_MAX]
