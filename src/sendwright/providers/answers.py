"""What an answer means by its HTTP status alone, where the vendor's own words say nothing more exact.

An adapter reads its vendor's codes first and falls back on `by_status`; where a vendor documents another meaning,
the adapter says so, with the address of the page. Pure.

    429, 425                   later, and no sign of illness: it counts and asks us to wait
    503                        later
    401, 402, 403, 405, 407    misconfigured: the account or its address, never the message
    301, 302, 307, 308         misconfigured: we follow no redirect, and by these the request was not carried out
    413, 414, 431              rejected, too long
    other 4xx                  rejected
    408, 409, 500, 502, 504    unsure, and so is everything else: it may have been carried out
"""

from __future__ import annotations

from typing import Any

import msgspec

from sendwright.model.outcomes import Later, Misconfigured, Outcome, Reason, Rejected, Scope, Unsure
from sendwright.providers.contract import Reply
from sendwright.providers.throttle import retry_after_s

_WAIT = frozenset({425, 429})
_ACCOUNT = frozenset({401, 402, 403, 405, 407, 301, 302, 307, 308})
_TOO_LONG = frozenset({413, 414, 431})
_UNSURE = frozenset({408, 409})


def by_status(reply: Reply, words: str = "") -> Outcome:
    """The outcome of an answer that is no success; `words` are the vendor's, already fit to be kept."""
    status = reply.status
    detail = f"HTTP {status}: {words}" if words else f"HTTP {status}"
    if status in _WAIT or status == 503:
        return later(reply, detail, ill=status == 503)
    if status in _ACCOUNT:
        return Misconfigured(detail)
    if status in _TOO_LONG:
        return Rejected(Reason.TOO_LONG, detail)
    if 400 <= status < 500 and status not in _UNSURE:
        return Rejected(Reason.REJECTED, detail)
    return Unsure(detail)


def later(reply: Reply, detail: str, *, ill: bool = False, scope: Scope = Scope.ACCOUNT) -> Later:
    """`Later`, with the wait that the answer asks for, in whichever dialect."""
    return Later(detail, retry_after_s(reply), scope=scope, ill=ill)


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body; empty for anything else. Never raises."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
