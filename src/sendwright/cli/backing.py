"""`backup`: a copy of the embedded store in a file, while everything goes on."""

from __future__ import annotations

from pathlib import Path

import click

from sendwright.cli.frame import Command, wants_json
from sendwright.cli.reach import reach
from sendwright.cli.shown import put_json, say
from sendwright.errors import OperatorError

_EXAMPLES = ("sendwright backup /backup/sendwright.db", "sendwright backup --force /backup/sendwright.db")


@click.command("backup", cls=Command, examples=_EXAMPLES)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def backup(file: Path, *, force: bool) -> None:
    """Copy the embedded store of a running Sendwright into FILE, whole and consistent.

    The copy is checked and synced before it takes its name. The keys in the data folder are not in it: keep admin_key and
    secret_key beside it, or nobody reads what is sealed."""
    from sendwright.app.backups import sync  # noqa: PLC0415 -- help must not wait for it

    if file.exists() and not force:
        raise OperatorError(f"{file} is there already; --force replaces it")
    part = file.with_name(file.name + ".part")
    try:
        size = reach().download("/v1/backup", part)
        _check(part)
        part.replace(file)
        sync(file.parent)
    finally:
        part.unlink(missing_ok=True)
    if wants_json():
        put_json({"file": str(file), "size": size})
    else:
        say(f"{file}: {size:,} bytes")


def _check(path: Path) -> None:
    """Raises `OperatorError` for what came and is no whole database."""
    import apsw  # noqa: PLC0415 -- help must not wait for it

    try:
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        found = [row[0] for row in db.execute("pragma quick_check")]
        db.close()
    except apsw.Error:
        found = ["it is no database"]
    if found != ["ok"]:
        raise OperatorError(f"what came is not whole: {found[0]}")
