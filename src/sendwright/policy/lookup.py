"""When a provider is asked what became of a message that it took and never reported of.

The first time a while after the call, then each time that the silence has lasted twice as long, until it is three days old:
nobody reports later than that (Twilio keeps retrying a carrier for hours, not days). At most nine times in all.
"""

from __future__ import annotations

FIRST_MS = 15 * 60_000
UNTIL_MS = 72 * 3_600_000


def next_look(started_at: int, now: int) -> int | None:
    """When it is asked again, having been asked now; None: never, the silence has lasted too long. In ms since 1970.

    A call that seems to have begun in the future, by a clock that was set back since, is asked about as one of just now."""
    age = max(FIRST_MS, now - started_at)
    return now + age if 2 * age <= UNTIL_MS else None


def is_first(started_at: int, look_at: int) -> bool:
    """Whether a look that was due at `look_at` is the first one after its call."""
    return look_at - started_at <= FIRST_MS
