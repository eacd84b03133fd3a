"""An online copy of the embedded store: made beside the file while work goes on, told in chunks, and taken away again."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import BinaryIO

CHUNK = 1 << 20


def backup_of(copied: Callable[[Path], Awaitable[None]], folder: Path) -> Callable[[], Awaitable[AsyncIterator[bytes]]]:
    """What a backup is asked for by. The copy needs as much room in the folder as the file."""

    async def backup() -> AsyncIterator[bytes]:
        place = Path(tempfile.mkdtemp(prefix=".backup-", dir=folder))
        try:
            await copied(place / "copy.db")
            file = (place / "copy.db").open("rb")
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        shutil.rmtree(place, ignore_errors=True)  # it is open: what it holds stays until it is closed, and no longer
        return _chunks(file)

    return backup


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    with file:
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            yield chunk


def sync(path: Path) -> None:
    """A file's bytes, or a folder's names, are on the disk. Raises `OSError`."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
