"""What the operator is told of the providers: which changes of a breaker, and how long before its end of a credential. Pure.

A breaker is told of when it opens and when it closes, and of nothing in between: probes, however many fail, are no news. That the
account is to blame is told beside the opening, once until it closes. So openings and closings alternate.
"""

from __future__ import annotations

import hashlib
import math

import msgspec

from sendwright.model.ids import notice_id
from sendwright.model.notices import CLOSED, EXPIRING, MISCONFIGURED, OPENED, About, Credential, Notice, Stand
from sendwright.policy.duration import rfc3339

DAY_MS = 86_400_000
DAYS = (30, 14, 7, 3, 1, 0)
"""So many days before its end a credential is told of, and when it is over."""
PAST_MS = 30 * DAY_MS
"""Of what ended so long ago nobody is told any more."""


def of_breaker(about: About, before: Stand, after: Stand, at: int, reason: str | None) -> tuple[Notice, ...]:
    """What to tell when a breaker that was known as `before` becomes `after`. `reason` is of the closed list, or our own words."""
    types = []
    if after.shut and not before.shut:
        types.append(OPENED)
    if after.shut and after.misconfigured and not (before.shut and before.misconfigured):
        types.append(MISCONFIGURED)
    if before.shut and not after.shut:
        types.append(CLOSED)
    told = msgspec.json.encode({**msgspec.to_builtins(about), "reason": reason or None}).decode()
    return tuple(Notice(notice_id(at, _hash(about.provider, type_, at)), type_, at, told) for type_ in types)


def days_left(ends_at: int, now: int) -> int:
    """Whole days, of which the last one counts until it is over; 0 from the end on."""
    return max(0, math.ceil((ends_at - now) / DAY_MS))


def due(credential: Credential, now: int) -> int | None:
    """Of how many days it is to be told now; None when that has been told, or there is nothing to tell."""
    if credential.ends_at is None or credential.ends_at < now - PAST_MS:
        return None
    reached = min((days for days in DAYS if days_left(credential.ends_at, now) <= days), default=None)
    return None if reached is None or (credential.told is not None and credential.told <= reached) else reached


def of_credential(about: About, setting: str, ends_at: int, days: int, now: int) -> Notice:
    """What is told so many days before the end. Its id is a function of provider, end and days."""
    told = {**msgspec.to_builtins(about), "setting": setting, "expires_at": rfc3339(ends_at), "days_left": days_left(ends_at, now)}
    id_ = notice_id(ends_at - days * DAY_MS, _hash(about.provider, ends_at, days))
    return Notice(id_, EXPIRING, now, msgspec.json.encode(told).decode())


def _hash(*parts: str | int) -> bytes:
    return hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=14).digest()
