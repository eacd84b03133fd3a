"""`move`: from the embedded file to engines that processes share."""

# ruff: noqa: PLC0415 -- engines are imported where they are used, never for a help page

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sendwright.cli.frame import Command, data_folder, wants_json
from sendwright.cli.reach import load_checked
from sendwright.cli.shown import put_json, put_table, say

if TYPE_CHECKING:
    from sendwright.app.moving import Report

EVERY_S = 2.0
"""How often it is said how far it has come."""


class _Progress:
    """Says how far each stage has come: now and then, and when it is done."""

    def __init__(self) -> None:
        self._said = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done >= total or now - self._said >= EVERY_S:
            self._said = now
            say(f"{stage:14} {done:,} of {total:,}")


@click.command(
    "move",
    cls=Command,
    examples=(
        "sendwright move --config /etc/sendwright.toml --dry-run",
        "sendwright move --config /etc/sendwright.toml --data /var/lib/sendwright",
        "sendwright move --from /var/lib/sendwright/sendwright.db",
    ),
)
@click.option(
    "--from", "file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="The SQLite file.  [default: sendwright.db of the data folder]",
)  # fmt: skip
@click.option("--dry-run", "dry", is_flag=True, help="Look at both sides, and write nothing.")
@click.option("--abandon", is_flag=True, help="Give up a move that has begun: the file may be used again.")
def move(file: Path | None, *, dry: bool, abandon: bool) -> None:
    """Move everything from embedded SQLite to the PostgreSQL and the broker of the settings.

    The file must be at rest, the database migrated and empty, and none of its processes running. It may be killed at any
    moment: started again, it goes on. Ids, keys, numbers and what waits survive.
    """
    import asyncio

    from sendwright.app import moving
    from sendwright.errors import OperatorError, Unavailable

    settings = load_checked(data_folder()).settings
    file = file or settings.data / "sendwright.db"
    if abandon:
        moving.abandon(file)
        say(f"{file} may be used again. The database that it was to be moved to holds a part of it: make that anew")
        return
    if settings.embedded:
        raise OperatorError(
            "`move` needs engines to move to: set [store] url to postgresql://… and [bus] url to amqp://… or sqs://…. "
            "--from, or --data, names the file to move"
        )
    try:
        report = asyncio.run(moving.move(settings, file, _Progress(), dry=dry))
    except Unavailable as error:
        raise OperatorError(f"{error}. Nothing is lost: start `move` again, and it goes on") from error
    _show(report, dry=dry)


def _show(report: Report, *, dry: bool) -> None:
    if wants_json():
        put_json(
            {
                "dry_run": dry,
                "moved_before": report.since is not None,
                "counts": {each.name: {"file": each.here, "moved": each.there} for each in report.counted},
                "notes": list(report.notes),
            }
        )
    elif dry:
        put_table(("what", "file"), [(each.name, each.here) for each in report.counted])
    else:
        put_table(("what", "file", "moved"), [(each.name, each.here, each.there) for each in report.counted])
    for note in report.notes:
        say(f"note: {note}")
    if dry:
        say("Nothing was written. `sendwright move` without --dry-run moves it")
    elif report.since is not None:
        say("It was moved before: nothing to do")
    else:
        say("Moved. Start `sendwright api`, `worker` and `scheduler`, or `up`, on the new engines; `sendwright audit` recounts")
