"""The table of states: their ranks, and which may follow which.

`docs/states.md`, the CHECK constraints of every schema and the filters of the API come from this table. A code is
rank × 10 + position, so that comparing codes compares ranks, and within a rank the order of the table. Codes are
what stores keep; names are what people see.

An attempt is a lattice: states only join upwards, so late, repeated and reordered evidence is harmless. A message's
state is a fold over its attempts and its plan (`policy/fold.py`); `MESSAGE_MOVES` is what that fold may do.
"""

from __future__ import annotations

from enum import IntEnum


class _Named(IntEnum):
    @property
    def label(self) -> str:
        return self.name.lower()

    def __str__(self) -> str:
        return self.label


class MessageState(_Named):
    """One message's state. `rank` orders them as in the contract's table."""

    ACCEPTED = 0
    SCHEDULED = 10
    DIGESTING = 11
    QUEUED = 20
    SENDING = 21
    IN_DOUBT = 30
    SENT = 40
    FAILED = 50
    EXPIRED = 51
    CANCELLED = 52
    SUPPRESSED = 53
    DELIVERED = 60
    READ = 70

    @property
    def rank(self) -> int:
        return self.value // 10

    @property
    def settled(self) -> bool:
        """Nothing more will be done unless a receipt, a person or a replay asks."""
        return self.value >= MessageState.IN_DOUBT


class AttemptState(_Named):
    """One attempt's state; a later evidence joins by the greater value."""

    SENDING = 0
    IN_DOUBT = 1
    SENT = 2
    REJECTED = 3
    FAILED = 4
    DELIVERED = 5
    READ = 6

    def join(self, other: AttemptState) -> AttemptState:
        return max(self, other)


_M = MessageState
_ENDED = {_M.FAILED, _M.EXPIRED, _M.CANCELLED, _M.SUPPRESSED}
_WAITING = {_M.SCHEDULED, _M.QUEUED}
_PROVEN = {_M.SENT, _M.DELIVERED, _M.READ}

MESSAGE_MOVES: dict[MessageState, frozenset[MessageState]] = {
    _M.ACCEPTED: frozenset({_M.SCHEDULED, _M.DIGESTING, _M.QUEUED, _M.IN_DOUBT} | _ENDED),
    _M.SCHEDULED: frozenset({_M.QUEUED, _M.SENDING, _M.IN_DOUBT} | _PROVEN | _ENDED),
    _M.DIGESTING: frozenset({_M.SCHEDULED, _M.QUEUED} | _ENDED),
    _M.QUEUED: frozenset({_M.SCHEDULED, _M.SENDING, _M.IN_DOUBT} | _PROVEN | _ENDED),
    _M.SENDING: frozenset({_M.IN_DOUBT} | _WAITING | _PROVEN | _ENDED),
    _M.IN_DOUBT: frozenset(_WAITING | _PROVEN | {_M.FAILED, _M.EXPIRED, _M.CANCELLED, _M.SENDING}),
    _M.SENT: frozenset({_M.DELIVERED, _M.READ, _M.FAILED, _M.SENDING, _M.EXPIRED, _M.IN_DOUBT} | _WAITING),
    _M.FAILED: frozenset({_M.SENDING} | _WAITING | _PROVEN),
    _M.EXPIRED: frozenset({_M.SENDING} | _WAITING | _PROVEN),
    _M.CANCELLED: frozenset(_WAITING | _PROVEN),
    _M.SUPPRESSED: frozenset(_WAITING | _PROVEN),
    _M.DELIVERED: frozenset({_M.READ}),
    _M.READ: frozenset(),
}
"""From each state, those it may move to. Leaving `failed`, `expired`, `cancelled` and `suppressed` takes evidence
(a receipt that proves a provider took it) or a person (a replay)."""


def may_move(before: MessageState, after: MessageState) -> bool:
    return before == after or after in MESSAGE_MOVES[before]


def notification_state(messages: list[MessageState]) -> MessageState:
    """The lowest rank among its messages, within a rank the first of the table; `accepted` while there are none."""
    return min(messages, default=MessageState.ACCEPTED)


def message_state(label: str) -> MessageState:
    """The state of that name; KeyError for another word."""
    return MessageState[label.upper()]
