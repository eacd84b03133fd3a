"""A read-only connection with a thread of its own: what people look at never waits for the writer, nor it for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import apsw

from sendwright.drivers.store.sqlite.writer import connect
from sendwright.errors import StoreDown

T = TypeVar("T")


class Reader:
    """Runs functions over the connection, one at a time, each within one snapshot."""

    def __init__(self, path: Path, name: str) -> None:
        self._db = connect(path, readonly=True)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)

    def run(self, function: Callable[[apsw.Connection], T]) -> Awaitable[T]:
        """The function's result. Raises `StoreDown` when the file can't be read."""
        return asyncio.get_running_loop().run_in_executor(self._pool, self._read, function)

    def _read(self, function: Callable[[apsw.Connection], T]) -> T:
        try:
            self._db.execute("begin")
            try:
                return function(self._db)
            finally:
                self._db.execute("commit")
        except apsw.Error as error:
            raise StoreDown(f"{type(error).__name__} while reading the database file") from error

    def close(self) -> None:
        self._pool.shutdown(wait=True)
        self._db.close()
