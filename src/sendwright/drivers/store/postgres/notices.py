"""What the operator is told of the providers, over PostgreSQL: events in the statement that changes what they tell of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sendwright.drivers.store.postgres.connections import Connections, NoPartition
from sendwright.drivers.store.postgres.partitions import Partitions
from sendwright.drivers.store.postgres.rows import clean, columns, day_of
from sendwright.model.notices import OPERATOR, Credential, Notice


class PostgresCredentials:
    """ports.Credentials."""

    def __init__(self, connections: Connections, partitions: Partitions) -> None:
        self._connections = connections
        self._partitions = partitions

    async def known(self) -> Mapping[str, Credential]:
        return {row[0]: Credential(*row) for row in await self._connections.read("credentials")}

    async def put(self, credential: Credential, notices: Sequence[Notice] = ()) -> bool:
        c = credential
        stated = (c.provider, c.version, c.ends_at, c.ask_at, c.told)
        return bool(await told(self._connections, self._partitions, "put", "credential_put", stated, notices))


async def told(
    connections: Connections,
    partitions: Partitions,
    method: str,
    statement: str,
    args: Sequence[Any],
    notices: Sequence[Notice],
) -> list[Any]:
    """The rows of a statement of which these events come. It makes the partitions that they need, where there is none."""
    rows = [(day_of(notice.id), notice.at, notice.type, notice.id, clean(notice.told)) for notice in notices]
    try:
        return await connections.statement(method, statement, *args, OPERATOR, *columns(rows, 5))
    except NoPartition:
        await partitions.make(notice.id for notice in notices)
        return await connections.statement(method, statement, *args, OPERATOR, *columns(rows, 5))
