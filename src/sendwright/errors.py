"""Every exception that this package raises on purpose, by whose fault it is.

    SendwrightError
    ├── OperatorError        the operator's: settings, keys, files
    │   ├── SettingsError    every fault of the settings at once
    │   ├── StoreUnusable    wrong version, other process, damaged
    │   └── BusUnusable      another's queue under our name, refused by the broker
    ├── CallerError          the caller's: becomes a problem document
    ├── Unavailable          ours, for now: nothing was done, or repeating is safe
    │   ├── StoreDown
    │   └── BusDown
    └── Unreachable          the other side's: provably nothing was sent
        └── Denied           the recipient's: an address that users may not have called

Results are values; these are for what a story can't go on after. No message of theirs ever holds a secret, an
address or content.
"""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Sequence
from pathlib import PurePath

FRAMES = 5
"""So many places are named of where something broke."""


class SendwrightError(Exception):
    """The root."""


class OperatorError(SendwrightError):
    """Something that the operator can mend; its text says what."""


class SettingsError(OperatorError):
    """Faults of the settings, all of them: `faults` are (where, what)."""

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(f"{where}: {what}" for where, what in faults))


class StoreUnusable(OperatorError):
    """The store can't be used as it is."""


class BusUnusable(OperatorError):
    """The bus can't be used as it is."""


class CallerError(SendwrightError):
    """A request that can't be taken; `problem` is the status, code and detail that the caller gets."""

    def __init__(self, status: int, code: str, detail: str, errors: Sequence[dict[str, str]] = ()) -> None:
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        super().__init__(f"{status} {code}")


class Unavailable(SendwrightError):
    """A promise could not be made durable. `maybe` tells that it may have happened all the same."""

    def __init__(self, detail: str, *, maybe: bool = False) -> None:
        self.maybe = maybe
        super().__init__(detail)


class StoreDown(Unavailable):
    """The store did not take it."""


class BusDown(Unavailable):
    """The bus did not take it."""


class Unreachable(SendwrightError):
    """No connection: nothing of the request has left. `phase` is `resolve`, `connect`, `tls` or `pool`, which is ours."""

    def __init__(self, phase: str, detail: str) -> None:
        self.phase = phase
        self.detail = detail
        super().__init__(f"{phase}: {detail}")


class Denied(Unreachable):
    """The address is a user's and leads where users may not call. It does not get better by waiting."""

    def __init__(self, detail: str) -> None:
        super().__init__("resolve", f"denied: {detail}")


def where(error: BaseException) -> str:
    """What broke and where, innermost first (`KeyError at pager.py:57 < coach.py:231`), without what it was about: messages of
    foreign exceptions may quote secrets, addresses or content."""
    frames = [f"{PurePath(frame.f_code.co_filename).name}:{line}" for frame, line in traceback.walk_tb(error.__traceback__)]
    found = " < ".join(itertools.islice(reversed(frames), FRAMES))
    return f"{type(error).__name__} at {found}" if found else type(error).__name__
