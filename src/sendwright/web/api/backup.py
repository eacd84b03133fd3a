"""A copy of the embedded store, as it is now."""

from __future__ import annotations

from sendwright.web.api.problems import Refusal
from sendwright.web.api.table import Ask, Stream


async def get_backup(ask: Ask) -> Stream:
    """Everything, of every tenant. Where the store is PostgreSQL, its own tools copy it."""
    backup = ask.services.backup
    if backup is None:
        raise Refusal(409, "not_embedded", "The store is a PostgreSQL: copy it with its own tools (pg_dump, or a base backup).")
    headers = ((b"content-disposition", b'attachment; filename="sendwright.db"'),)
    return Stream(await backup(), "application/vnd.sqlite3", headers)
