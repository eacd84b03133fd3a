"""How long a message waits before it is tried again.

Two voices: our own backoff (decorrelated jitter, after the AWS Architecture Blog's "Exponential Backoff And Jitter",
which spreads a crowd and keeps a floor under each), and what a provider asked for, which is never undercut. The random
number is an argument: `draw` lies in [0, 1).
"""

from __future__ import annotations

JITTER = 0.2
"""Above what a provider asked for: those it turned away at one moment must not all come back at one moment."""


ASKED_MAX_S = 86_400.0
"""What a provider asks for is believed up to a day. More than that is a mistake, and no word about its load."""


def believed_s(asked_s: float | None) -> float:
    """The wait that a provider asked for; 0 for one that makes no sense."""
    return asked_s if asked_s is not None and 0 < asked_s <= ASKED_MAX_S else 0.0


def decorrelated(previous_s: float, base_s: float, cap_s: float, draw: float) -> float:
    """The next backoff in seconds: between `base_s` and three times the previous one, at most `cap_s`.

    `previous_s` is 0 before the first; that one lies between `base_s` and three times it, so that it is spread too.
    """
    highest_s = 3 * max(previous_s, base_s)
    return min(cap_s, base_s + draw * (highest_s - base_s))


def wait_s(
    previous_s: float, asked_s: float | None, base_s: float, cap_s: float, draw: float, *, remaining_s: float | None = None
) -> float | None:
    """Seconds until the next try; None when even the shortest allowed would end at or after expiry.

    Never less than `asked_s` (the longest that a provider asked for, believed up to a day), and up to a fifth more;
    `cap_s` bounds our own backoff only.
    `remaining_s` is the time to expiry, None where there is none. Where our own backoff or the jitter would pass it
    but the provider's word and `base_s` would not, the message gets its last try before it expires.
    """
    asked_s = believed_s(asked_s)
    wait = max(decorrelated(previous_s, base_s, cap_s, draw), asked_s * (1 + JITTER * draw))
    if remaining_s is None or wait < remaining_s:
        return wait
    shortest = max(asked_s, min(base_s, cap_s))
    return None if shortest >= remaining_s else shortest + draw * (remaining_s - shortest)
