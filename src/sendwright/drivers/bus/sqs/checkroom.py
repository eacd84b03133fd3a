"""Where a parcel is kept that is too large to travel: its bus message carries only the key (a claim check)."""

from __future__ import annotations

import itertools
from typing import Protocol

from sendwright.errors import StoreDown


class Checkroom(Protocol):
    """A store's part: raw bodies under keys of its own. Raises `StoreDown` when it can't be asked."""

    async def keep(self, body: bytes) -> str:
        """Durable when it returns. The key is printable ASCII, at most 200 characters, without blanks."""
        ...

    async def fetch(self, key: str) -> bytes | None:
        """None when nothing is kept under the key (any more)."""
        ...

    async def drop(self, key: str) -> None:
        """Forgets it. Harmless when repeated."""
        ...


class MemoryCheckroom:
    """Checkroom, for tests: shared by every bus that is given the same one."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self._numbers = itertools.count(1)

    async def keep(self, body: bytes) -> str:
        key = f"kept-{next(self._numbers)}"
        self.kept[key] = body
        return key

    async def fetch(self, key: str) -> bytes | None:
        return self.kept.get(key)

    async def drop(self, key: str) -> None:
        self.kept.pop(key, None)


class LateCheckroom:
    """Stands for a store's that is opened after the bus. Until then it can't be asked."""

    def __init__(self) -> None:
        self.behind: Checkroom | None = None

    async def keep(self, body: bytes) -> str:
        return await self._there().keep(body)

    async def fetch(self, key: str) -> bytes | None:
        return await self._there().fetch(key)

    async def drop(self, key: str) -> None:
        await self._there().drop(key)

    def _there(self) -> Checkroom:
        if self.behind is None:
            raise StoreDown("the store is not open yet")
        return self.behind
