"""Attempts that may have been made of messages that are in doubt."""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from sendwright.model.records import AttemptRecord

_ATTEMPT = """insert into attempts
(id, message, number, step, channel, provider, state, started_at, deadline_at, finished_at, reason, detail)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"""
_MESSAGE = "update messages set number = ?2, channel = ?3, provider = ?4 where id = ?1"


def suppose(db: apsw.Connection, attempts: Sequence[AttemptRecord]) -> None:
    """Writes them, each as the last of its message."""
    for a in attempts:
        at = a.started_at, a.deadline_at, a.finished_at
        db.execute(_ATTEMPT, (a.id, a.message, a.number, a.step, a.channel, a.provider, a.state.value, *at, a.reason, a.detail))
        db.execute(_MESSAGE, (a.message, a.number, a.channel, a.provider))
