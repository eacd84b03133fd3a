"""`restore`: a backup takes its place, and what may have been sent since it was made is held."""

# ruff: noqa: PLC0415 -- engines are imported where they are used, never for a help page

from __future__ import annotations

import time
from pathlib import Path

import click

from sendwright.cli.frame import Command, data_folder, wants_json
from sendwright.cli.reach import load_checked
from sendwright.cli.shown import put_json, say

EVERY_S = 2.0
"""How often it is said how far it has come."""


@click.command(
    "restore",
    cls=Command,
    examples=(
        "sendwright restore /backup/sendwright.db",
        "sendwright restore --config /etc/sendwright.toml",
        "sendwright restore --nothing-sent /backup/sendwright.db",
    ),
)
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False), metavar="[FILE]")
@click.option("--nothing-sent", is_flag=True, help="Nothing was sent since the copy was made: hold nothing.")
def restore(file: Path | None, *, nothing_sent: bool) -> None:
    """Put a backup into the data folder, and hold in doubt what may have been sent since it was made.

    Without FILE it holds what waits in the store of the settings: a file that is there already, or a database that was restored
    by its own tools. Nothing may run meanwhile. What was scheduled for a time to come goes on waiting for it. `sendwright
    doubts` lists what is held, and settles it by your word. It may be killed at any moment: started again, it goes on."""
    import asyncio

    from sendwright.app import restoring
    from sendwright.errors import OperatorError, Unavailable

    settings = load_checked(data_folder()).settings
    said = 0.0

    def told(held: int) -> None:
        nonlocal said
        if time.monotonic() - said >= EVERY_S:
            said = time.monotonic()
            say(f"held {held:,}")

    try:
        held = asyncio.run(restoring.restore(settings, file, told, nothing_sent=nothing_sent))
    except Unavailable as error:
        raise OperatorError(f"{error}. Start `restore` again, and it goes on") from error
    if wants_json():
        put_json({"held": held})
    elif nothing_sent:
        say("Nothing is held: start it, and what waits goes on")
    else:
        say(f"Held {held:,} messages in doubt: they may have been sent since. Start it; `sendwright doubts` lists and settles them")
