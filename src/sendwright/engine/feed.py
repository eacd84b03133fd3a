"""Where a tenant's events end, for whoever begins to follow them with what happens next."""

from __future__ import annotations

from sendwright.engine.ports import Records


async def newest(records: Records, tenant: str) -> int:
    """The number of the tenant's newest event, found by halving: about forty look-ups in an index."""
    low, high = 0, 1
    while rows := await records.events(tenant, high, 1):
        low, high = rows[0].seq, rows[0].seq * 2
    while low < high:
        middle = (low + high) // 2
        rows = await records.events(tenant, middle, 1)
        low, high = (rows[0].seq, high) if rows else (low, middle)
    return low
