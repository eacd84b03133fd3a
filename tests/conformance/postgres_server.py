"""The PostgreSQL that the suites run over: a database of their own per process, on the server of `POSTGRES_URL`.

It is made anew and migrated once, and emptied before each test: by `delete`, which takes a few milliseconds where `truncate` of as
many tables takes a hundred.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from sendwright.drivers.store.postgres.migrate import migrate

SERVER = os.environ.get("POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
NAME = f"sendwright_test_{re.sub('[^a-z0-9]', '', os.environ.get('PYTEST_XDIST_WORKER', 'main'))}_{os.getpid()}"
UNSYNCED = {"synchronous_commit": "off"}
TABLES = (
    "notifications",
    "messages",
    "attempts",
    "waits",
    "events",
    "strays",
    "keys",
    "processes",
    "repeats",
    "switches",
    "routes",
    "api_keys",
    "inbox",
    "recipients",
    "erasures",
    "suppressions",
    "replies",
    "types",
    "layouts",
    "endpoints",
    "postings",
    "dead_parcels",
    "trials",
    "rates",
    "breakers",
    "credentials",
    "standings",
    "sessions",
    "fence",
)
_EMPTY = "; ".join([*(f"delete from {table}" for table in TABLES), "update epoch set value = 1 where value <> 1"])

_made = False


def postgres_url() -> str:
    """Of the database of this process."""
    return urlunsplit(urlsplit(SERVER)._replace(path=f"/{NAME}"))


async def make_postgres() -> None:
    """Makes the database, once."""
    global _made
    if not _made:
        await _make()
        _made = True


async def empty_postgres(db: Any) -> None:
    """Leaves nothing in it."""
    await db.execute(_EMPTY)


async def _make() -> None:
    try:
        db = await asyncpg.connect(SERVER)
    except OSError:
        if "CI" in os.environ or "POSTGRES_URL" in os.environ:
            raise
        pytest.skip("there is no PostgreSQL here: POSTGRES_URL names one")
    try:
        for (name,) in await db.fetch("select datname from pg_database where datname like 'sendwright_test_%'"):
            if not _alive(int(name.rpartition("_")[2])):
                with contextlib.suppress(asyncpg.PostgresError):  # another process cleans up, too
                    await db.execute(f"drop database if exists {name} with (force)")
        await db.execute(f"create database {NAME}")
    finally:
        await db.close()
    await migrate(postgres_url())


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
