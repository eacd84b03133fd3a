"""How long a reply asks us to stay away: one reader for every vendor's dialect.

Pure, and for provider files to use in `parse`. Knows no vendor and no clock: where a dialect names a moment (an
HTTP-date, an epoch), "now" is the reply's own `Date`, so that the vendor's clock is measured with the vendor's clock.
A moment without a `Date` says nothing that can be trusted, and is not read.

The first that says something wins:
  1. `Retry-After`, seconds or HTTP-date (RFC 9110, 10.2.3); it takes precedence over what follows
     (draft-ietf-httpapi-ratelimit-headers, section 5.2). Fractions are read too: vendors send them
  2. the body's `parameters.retry_after` (Telegram) or `retry_after` (Discord), in seconds
  3. `RateLimit: "default";r=0;t=30` (the same draft): the longest `t` of the policies with nothing left
  4. `X-RateLimit-Reset-After` (Discord), `RateLimit-Reset` (Resend), `X-Sib-RateLimit-Reset` (Brevo): seconds from now
  5. `X-RateLimit-Reset` (SendGrid, MailerSend): a Unix time

3 to 5 tell when a window ends, which is an order to wait only while nothing remains of it: a 503 may carry them too.
"""

from __future__ import annotations

import math
import re
from datetime import UTC
from email.utils import parsedate_to_datetime

import msgspec

from sendwright.providers.contract import Reply

CAP_S = 86_400.0
"""Longest wait that is believed, in seconds: quotas are by the day at most. More is a mistake, and as good as no word: a
provider is not left alone for a day because of one header."""

_BODY_MAX = 65_536
_NUMBER = re.compile(r"[+-]?[0-9]{1,64}(\.[0-9]{0,64})?([eE][+-]?[0-9]{1,4})?")
_REMAINING = re.compile(r";\s*r=([0-9]{1,15})(?=\s*(;|$))")
_RESET = re.compile(r";\s*t=([0-9]{1,15})(?=\s*(;|$))")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_DELTAS = (
    ("x-ratelimit-reset-after", "x-ratelimit-remaining"),
    ("ratelimit-reset", "ratelimit-remaining"),
    ("x-sib-ratelimit-reset", "x-sib-ratelimit-remaining"),
)
_YEAR_S = 31_536_000
"""A "Unix time" below it is a moment in 1970: some send seconds from now under the epoch's name."""


def retry_after_s(reply: Reply) -> float | None:
    """Seconds to stay away, from 0 to `CAP_S`; None where the reply says nothing, or nothing that makes sense. Never
    raises, whatever the bytes."""
    asked = _retry_after(reply)
    for read in (_body, _ratelimit, _deltas, _epoch):
        if asked is not None:
            break
        asked = read(reply)
    return None if asked is None or asked > CAP_S else max(asked, 0.0)


def _retry_after(reply: Reply) -> float | None:
    text = reply.header("retry-after")
    if text is None:
        return None
    seconds = _number(text)
    return seconds if seconds is not None else _until(_moment(text), reply)


def _body(reply: Reply) -> float | None:
    if not reply.body or len(reply.body) > _BODY_MAX or b"retry_after" not in reply.body:
        return None
    try:
        document = msgspec.json.decode(reply.body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    parameters = document.get("parameters")
    inner = _number(parameters.get("retry_after")) if isinstance(parameters, dict) else None
    return inner if inner is not None else _number(document.get("retry_after"))


def _ratelimit(reply: Reply) -> float | None:
    fields = ",".join(value for name, value in reply.headers if name == "ratelimit")
    resets = [int(reset[1]) for policy in _QUOTED.sub('""', fields).split(",") if (reset := _spent(policy))]
    return float(max(resets)) if resets else None


def _spent(policy: str) -> re.Match[str] | None:
    remaining = _REMAINING.search(policy)
    return _RESET.search(policy) if remaining and int(remaining[1]) == 0 else None


def _deltas(reply: Reply) -> float | None:
    for reset, remaining in _DELTAS:
        seconds = _number(reply.header(reset))
        if seconds is not None and not _is_left(reply.header(remaining)):
            return seconds
    return None


def _epoch(reply: Reply) -> float | None:
    at = _number(reply.header("x-ratelimit-reset"))
    if at is None or _is_left(reply.header("x-ratelimit-remaining")):
        return None
    return at if at < _YEAR_S else _until(at, reply)


def _until(at: float | None, reply: Reply) -> float | None:
    now = _moment(reply.header("date"))
    return None if at is None or now is None else at - now


def _is_left(remaining: str | None) -> bool:
    return (_number(remaining) or 0) > 0


def _number(value: object) -> float | None:
    """A JSON number, or text in its shape; infinite where it is larger than a float can say."""
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value := value.strip()) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else 0.0


def _moment(text: str | None) -> float | None:
    """Unix seconds of an HTTP-date in any of its three forms (RFC 9110, 5.6.7), or None."""
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
