"""restore: before a restored store is started, what waits in it is held in doubt: it may have been sent since the copy was made.

It may be killed at any line, and begun again: nobody starts on the store before it is over.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

from sendwright.app.backups import sync
from sendwright.app.engines import require
from sendwright.app.parts import make_providers, routes_of
from sendwright.drivers.restore.doubting import PAGE, Restored
from sendwright.drivers.restore.file import known_for_a_copy, mark_copy, open_file
from sendwright.errors import OperatorError
from sendwright.settings import Settings

Told: TypeAlias = Callable[[int], None]
"""Told how many are held by now."""


async def restore(settings: Settings, copy: Path | None, told: Told, *, nothing_sent: bool = False) -> int:
    """Puts the copy in the place of the settings' file, where there is one, and holds in doubt what may have been sent since; how
    many that were. `nothing_sent`: nothing has been, so nothing is held.

    Raises `OperatorError` for what the operator must mend, `Unavailable` while the database is down: then it is started again."""
    if copy is not None:
        _put_in_place(settings, copy)
    alone = _alone(routes_of(settings, make_providers(settings, "http://sandbox.invalid")))
    async with _opened(settings) as restored:
        if nothing_sent:
            await restored.release(None)
            return 0
        return await _hold(restored, alone, told)


async def resume(settings: Settings, routes: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """Before the embedded file is worked with: where it is known for a copy, holds what may have been sent since. What the operator
    should know of it."""
    path = settings.store.url.path
    if not known_for_a_copy(path):
        return ()
    with open_file(path) as file:
        held = await _hold(file, _alone(routes), lambda _: None)
    if not held:
        return ()
    return (f"{path.name} is a copy that was restored: {held} messages may have been sent since it was made, and are in doubt",)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Restored]:
    if not settings.embedded:
        require(settings.store.url.engine)
        from sendwright.drivers.restore.database import open_database  # noqa: PLC0415 — an extra

        async with open_database(settings.store.url) as database:
            yield database
        return
    path = settings.store.url.path
    if not path.exists():
        raise OperatorError(f"{path} is not there: name the copy, `sendwright restore FILE`")
    with open_file(path) as file:
        yield file


async def _hold(restored: Restored, alone: Mapping[str, str], told: Told) -> int:
    now = await restored.begin()
    held = await _held(restored, now, alone, told)
    await restored.release(now)
    return held


async def _held(restored: Restored, now: int, providers: Mapping[str, str], told: Told) -> int:
    held, after = 0, ""
    while True:
        rows, last = await restored.page(after, now)
        for start in range(0, len(rows), PAGE):
            page = rows[start : start + PAGE]
            await restored.hold(page, now, providers)
            held += len(page)
            told(held)
        if last is None:
            return held
        after = last


def _alone(routes: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Of each channel the provider that it has, where it has one alone."""
    return {channel: names[0] for channel, names in routes.items() if len(names) == 1}


def _put_in_place(settings: Settings, copy: Path) -> None:
    """Whole and synced before it has its name. Raises `OperatorError` where a file is there already."""
    if not settings.embedded:
        raise OperatorError(
            "a database is restored by its own tools; then `sendwright restore`, without a file, holds what waits in it"
        )
    path = settings.store.url.path
    if path.exists():
        raise OperatorError(
            f"{path} is there already: move it away, with the -wal and -shm beside it; or, where it is that copy, name no file"
        )
    if not copy.is_file():
        raise OperatorError(f"{copy} is no file")
    log = copy.with_name(copy.name + "-wal")
    if log.exists() and log.stat().st_size > 0:
        raise OperatorError(f"{log} holds a part of {copy}: copy both into the data folder, and name no file")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        shutil.copyfile(copy, part)
        part.chmod(0o600)
        mark_copy(part)
        sync(part)
        part.rename(path)
        sync(path.parent)
    except OSError as error:
        raise OperatorError(f"{copy} can't be copied to {path}: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
