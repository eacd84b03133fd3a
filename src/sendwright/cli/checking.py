"""`check`: the settings, where each comes from, and whether what they name can be used. It changes nothing."""

# ruff: noqa: PLC0415 -- an engine is imported where it is tried, never for a help page

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sendwright.cli.frame import Command, data_folder, wants_json
from sendwright.cli.reach import load_checked
from sendwright.cli.shown import clean, put, put_json, put_table

if TYPE_CHECKING:
    from sendwright.cli.findings import Found
    from sendwright.settings import Row


@click.command("check", cls=Command, examples=("sendwright check", "sendwright check --config /etc/sendwright.toml --json"))
def check() -> None:
    """Validate and print the settings, try store and providers.

    Secrets are masked. A provider is tried by a connection to its host; nothing is sent. A store that a running
    process holds is asked for there. Exit 1 when something fails; warnings alone exit 0.
    """
    from sendwright.cli import findings
    from sendwright.settings import describe

    loaded = load_checked(data_folder())
    found = findings.examine(loaded)
    rows = [*describe(loaded), *found.switched]
    if wants_json():
        put_json(_as_json(rows, found))
    else:
        _print(rows, found)
    if not found.ok:
        click.get_current_context().exit(1)


def _as_json(rows: list[Row], found: Found) -> dict[str, object]:
    return {
        "ok": found.ok,
        "settings": [{"name": row.name, "value": row.value, "unit": row.unit, "source": row.source} for row in rows],
        "checks": [{"name": tried.name, "ok": tried.ok, "detail": tried.detail} for tried in found.tried],
        "warnings": found.warnings,
    }


def _print(rows: list[Row], found: Found) -> None:
    put_table(("setting", "value", "from"), [[row.name, row.value, row.source] for row in rows])
    put()
    for tried in found.tried:
        put(clean(f"{'ok      ' if tried.ok else 'FAILED  '}{tried.name}: {tried.detail}"))
    for warning in found.warnings:
        put(clean(f"warning {warning}"))
