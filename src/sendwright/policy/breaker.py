"""The circuit breaker of one provider: when nobody calls it, when one probe does, and how it comes back.

A `Breaker` is a value; every function returns the next one. `now` is in seconds on one clock (its zero is anybody's).

  closed     calls go out. Opens after `failures` in a row, or when at least `share` of at least `calls_min` calls
             within the last `window_s` failed; at once on a misconfiguration, and says why
  open       nothing goes out until a probe is due: first after `probe_s`, then twice as long each time, to
             `probe_max_s`
  half_open  exactly one probe is on its way, by its number. Its success closes, its failure opens again, and so does
             its silence at its deadline: a breaker never stays open because a prober died

Calls that began before it opened still report afterwards. They are no probes: they neither close it nor count again.
After closing it is loaded gently (`ramp`): a tenth of its concurrency, twice that after each good window of `ramp_s`.
When it opens again before that is over (and within `probe_max_s`), the interval goes on growing from where it was, so
that a provider which flaps is probed, not stormed.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from sendwright.model.accord import Bar, Change

_BUCKETS = 10
_RAMP_FROM = 0.1


class State(StrEnum):
    """As people see it in `breaker`."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Permit(StrEnum):
    """Whether a call may go out. `PROBE`: this one, once `began_probe` has said so."""

    YES = "yes"
    NO = "no"
    PROBE = "probe"


class Health(StrEnum):
    """What one call says of its provider (policy/reaction.py reads it off the outcome)."""

    GOOD = "good"
    BAD = "bad"
    NEUTRAL = "neutral"
    MISCONFIGURED = "misconfigured"


class BreakerSettings(Struct, frozen=True):
    """The settings' `[breaker]`, and what they leave alone."""

    failures: int = 5
    share: float = 0.5
    window_s: float = 10
    probe_s: float = 1
    calls_min: int = 20
    probe_max_s: float = 30
    ramp_s: float = 1


class Bucket(Struct, frozen=True, array_like=True):
    """The calls of a tenth of the window; `index` counts tenths on the clock."""

    index: int
    good: int = 0
    bad: int = 0


class Breaker(Struct, frozen=True):
    """One provider's health, as a value. A new one is closed and unloaded of all history."""

    settings: BreakerSettings = BreakerSettings()
    state: State = State.CLOSED
    why: str = ""
    """Why it last opened, for people."""
    misconfigured: bool = False
    """It is open because the account was refused: a person must look, not only time pass."""
    failed_in_row: int = 0
    buckets: tuple[Bucket, ...] = ()
    interval_s: float = 0
    """The latest interval between probes; 0 when there was none yet."""
    probe_at: float = 0
    """While open: when the next probe is due."""
    probe: int = 0
    """The number of the latest probe, from 1."""
    probe_until: float = 0
    """While half open: when the probe counts as lost."""
    probes_before: int = 0
    """The number of the last probe before it opened: that one's success, however late, is older news."""
    closed_at: float = 0
    ramp_share: float = 1
    ramp_since: float = 0
    ramp_good: bool = False
    """The current ramp window has seen a success (a failure starts it anew)."""


def may_call(b: Breaker, now: float) -> Permit:
    if b.state == State.CLOSED:
        return Permit.YES
    b = lost_probe(b, now)
    return Permit.PROBE if b.state == State.OPEN and now >= b.probe_at else Permit.NO


def next_probe_at(b: Breaker) -> float | None:
    """When a probe may be due next, should nobody report before; None while closed."""
    if b.state == State.CLOSED:
        return None
    return lost_probe(b, b.probe_until).probe_at


def ramp(b: Breaker, now: float) -> float:
    """The share of its concurrency that it may be given, in (0, 1]."""
    return _ramped(b, now).ramp_share


def began_probe(b: Breaker, now: float, deadline_at: float) -> Breaker:
    """A probe goes out, and will have reported by `deadline_at`. Its number is the result's `probe`.

    Unchanged (the number stays) when no probe is due: only one of many may have it.
    """
    if may_call(b, now) != Permit.PROBE:
        return b
    return replace(lost_probe(b, now), state=State.HALF_OPEN, probe=b.probe + 1, probe_until=deadline_at)


def lost_probe(b: Breaker, now: float) -> Breaker:
    """Opens again at the probe's deadline, when that has passed in silence. Every other function sees to it as well."""
    if b.state != State.HALF_OPEN or now < b.probe_until:
        return b
    return _opened(b, b.probe_until, b.why)


def renewed(b: Breaker, probe: int, now: float, deadline_at: float) -> Breaker:
    """The probe of that number only leaves now: another deadline, unless it was given up meanwhile."""
    b = lost_probe(b, now)
    return replace(b, probe_until=deadline_at) if is_probe(b, probe) else b


def withdrawn(b: Breaker, probe: int) -> Breaker:
    """The probe of that number was not made after all, and says nothing: the next message may make it, at once."""
    return replace(b, state=State.OPEN, probe_until=0) if is_probe(b, probe) else b


def adopted(b: Breaker, bar: Bar, now: float) -> Breaker:
    """As the fleet holds it, when somebody else moved it last; the bar's times are on this clock. A probe that others make has
    a number that nobody here was given; what closed elsewhere is loaded gently here too."""
    if not bar.shut:
        return b if b.state == State.CLOSED else _closed(replace(b, interval_s=bar.interval_s), now)
    shut = Breaker(
        settings=b.settings,
        state=State.OPEN,
        why=bar.why,
        misconfigured=bar.misconfigured,
        interval_s=bar.interval_s,
        probe_at=bar.probe_at,
        probe=b.probe,
        probes_before=b.probe if b.state == State.CLOSED else b.probes_before,
    )
    if now >= bar.probe_until:
        return shut
    return replace(shut, state=State.HALF_OPEN, interval_s=bar.interval_s / 2, probe=b.probe + 1, probe_until=bar.probe_until)


def change(b: Breaker, now: float) -> Change:
    """What the fleet is told of it."""
    b = lost_probe(b, now)
    if b.state == State.CLOSED:
        return Change(shut=False, interval_s=b.interval_s)
    if b.state == State.OPEN:
        return Change(shut=True, why=b.why, misconfigured=b.misconfigured, interval_s=b.interval_s, probe_in_s=b.probe_at - now)
    lost = lost_probe(b, b.probe_until)
    return Change(
        shut=True,
        why=b.why,
        misconfigured=b.misconfigured,
        interval_s=lost.interval_s,
        probe_in_s=lost.probe_at - now,
        probing_s=b.probe_until - now,
    )


def reported(b: Breaker, health: Health, now: float, *, probe: int = 0, why: str = "") -> Breaker:
    """What any call came to. `probe` is its number when it was one; `why` is for people, and holds no secret."""
    match health:
        case Health.GOOD:
            return succeeded(b, now, probe=probe)
        case Health.BAD:
            return failed(b, now, probe=probe, why=why)
        case Health.MISCONFIGURED:
            return misconfigured(b, now, probe=probe, why=why)
        case Health.NEUTRAL:
            return answered(b, now, probe=probe)


def succeeded(b: Breaker, now: float, *, probe: int = 0) -> Breaker:
    """A call came back well. A probe's closes, even one that was given up: it began after the opening."""
    if b.state != State.CLOSED:
        return _closed(b, now) if probe > b.probes_before else lost_probe(b, now)
    b = _ramped(b, now)
    return replace(b, failed_in_row=0, buckets=_counted(b, now, good=1, bad=0), ramp_good=True)


def answered(b: Breaker, now: float, *, probe: int = 0) -> Breaker:
    """A call came back with a word that says nothing of health (a rate limit): enough for a probe, nothing for the count."""
    return succeeded(b, now, probe=probe) if probe and b.state != State.CLOSED else lost_probe(b, now)


def failed(b: Breaker, now: float, *, probe: int = 0, why: str = "") -> Breaker:
    """A call showed the provider ill."""
    b = lost_probe(b, now)
    if b.state != State.CLOSED:
        return _opened(b, now, why or b.why) if is_probe(b, probe) else b
    in_row, buckets = b.failed_in_row + 1, _counted(b, now, good=0, bad=1)
    b = replace(b, failed_in_row=in_row, buckets=buckets, ramp_since=max(now, b.ramp_since), ramp_good=False)
    if in_row >= b.settings.failures:
        return _opened(b, now, why or f"{in_row} failures in a row")
    bad = sum(bucket.bad for bucket in buckets)
    calls = bad + sum(bucket.good for bucket in buckets)
    if calls >= b.settings.calls_min and bad >= b.settings.share * calls:
        return _opened(b, now, why or f"{bad} of {calls} calls failed")
    return b


def misconfigured(b: Breaker, now: float, *, probe: int = 0, why: str = "") -> Breaker:
    """The account was refused: opens at once. Time may still mend it (a key switched back on), so it is probed."""
    b = lost_probe(b, now)
    if b.state != State.CLOSED and not is_probe(b, probe):
        return replace(b, misconfigured=True, why=why or b.why)
    return replace(_opened(b, now, why or "misconfigured"), misconfigured=True)


def is_probe(b: Breaker, probe: int) -> bool:
    """Whether the probe of that number is the one that is on its way."""
    return b.state == State.HALF_OPEN and probe == b.probe


def _opened(b: Breaker, now: float, why: str) -> Breaker:
    closed = b.state == State.CLOSED
    well = closed and (_ramped(b, now).ramp_share >= 1 or now >= b.closed_at + b.settings.probe_max_s)
    interval = b.settings.probe_s if well or not b.interval_s else min(2 * b.interval_s, b.settings.probe_max_s)
    return Breaker(
        settings=b.settings,
        state=State.OPEN,
        why=why,
        misconfigured=b.misconfigured,
        interval_s=interval,
        probe_at=now + interval,
        probe=b.probe,
        probes_before=b.probe if closed else b.probes_before,
    )


def _closed(b: Breaker, now: float) -> Breaker:
    return Breaker(
        settings=b.settings,
        interval_s=b.interval_s,
        probe=b.probe,
        closed_at=now,
        ramp_share=_RAMP_FROM,
        ramp_since=now,
    )


def _ramped(b: Breaker, now: float) -> Breaker:
    """One step up, when the current window is over and was good."""
    if b.ramp_share >= 1 or not b.ramp_good or now < b.ramp_since + b.settings.ramp_s:
        return b
    return replace(b, ramp_share=min(1.0, 2 * b.ramp_share), ramp_since=now, ramp_good=False)


def _counted(b: Breaker, now: float, good: int, bad: int) -> tuple[Bucket, ...]:
    """The last tenths of the window, with this call in the current one. A clock that steps back stays in the latest."""
    index = int(now * _BUCKETS // b.settings.window_s)
    current = Bucket(index, good, bad)
    kept = b.buckets
    if kept and kept[-1].index >= index:
        last = kept[-1]
        current, kept = Bucket(last.index, last.good + good, last.bad + bad), kept[:-1]
    if kept and kept[0].index <= current.index - _BUCKETS:
        kept = tuple(bucket for bucket in kept if bucket.index > current.index - _BUCKETS)
    return (*kept, current)
