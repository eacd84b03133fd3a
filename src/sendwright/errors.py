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

from collections.abc import Sequence


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
