"""The statements and the schema of the embedded store."""

from __future__ import annotations

from importlib.resources import files

from sendwright.drivers.store.named import codes, named
from sendwright.model.states import AttemptState, MessageState

MESSAGE_COLUMNS = (
    "m.id, m.tenant, m.state, m.step, m.number, json(m.steps), m.priority, m.on_doubt, m.accepted_at, m.updated_at, m.calls,"
    " m.backoff_s, json(m.round), m.recipient, m.channel, m.address, m.provider, m.token, m.expires_at, m.reason, m.detail,"
    " m.doubled, m.dead, m.since, json(m.about),"
    " json((select json_array(x.kind, x.due_at, x.key, x.name, x.until, x.serial) from waits x where x.message = m.id))"
)
"""A `MessageRecord`, field by field."""

ATTEMPT_COLUMNS = (
    "a.id, a.message, a.number, a.step, a.channel, a.provider, a.state, a.started_at, a.deadline_at, a.finished_at,"
    " a.owner, a.ref, a.reason, a.detail, a.twice, a.repeats, a.call_id"
)
"""An `AttemptRecord`, field by field."""


SUPPRESSION_COLUMNS = "s.id, s.tenant, s.channel, s.mark, s.masked, s.reason, s.source, s.created_at, s.category, s.expires_at"
"""A `Suppression`, field by field."""


def _filled(text: str) -> str:
    text = text.replace("{suppression}", SUPPRESSION_COLUMNS)
    return text.replace("{message}", MESSAGE_COLUMNS).replace("{attempt}", ATTEMPT_COLUMNS)


SQL = named(_filled((files(__package__) / "queries.sql").read_text("utf-8")))


def schema() -> str:
    text = (files(__package__) / "schema.sql").read_text("utf-8")
    return text.replace("{message_states}", codes(MessageState)).replace("{attempt_states}", codes(AttemptState))
