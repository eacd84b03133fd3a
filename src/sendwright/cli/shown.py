"""How things are printed: data on stdout, all else on stderr; tables drawn on a terminal, plain columns otherwise.

What vendors and callers wrote is shown without its control characters: nothing that was sent may steer a terminal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click

NOTHING = "-"
"""Stands for what is empty, so that columns can be counted."""


def put(text: str = "") -> None:
    """A line of data."""
    click.echo(text)


def put_json(value: object, *, indent: int | None = 2) -> None:
    """A value as JSON; `indent` None makes it one line."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=indent))


def say(text: str) -> None:
    """A line for a person, beside the data."""
    click.echo(text, err=True)


def clean(value: object) -> str:
    """One line of text that steers no terminal; `-` for nothing."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value))


def put_table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Rows under headers. Without rows, nothing: an empty answer is empty output."""
    cells = [[clean(cell) for cell in row] for row in rows]
    if not cells:
        return
    if sys.stdout.isatty():
        _draw(headers, cells)
        return
    widths = [max(len(line[n]) for line in [list(headers), *cells]) for n in range(len(headers))]
    for line in [[header.upper() for header in headers], *cells]:
        put("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _draw(headers: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich import box  # noqa: PLC0415 -- a tenth of a second that only a terminal's reader needs
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in headers:
        table.add_column(header, overflow="fold", no_wrap=header == headers[0])
    for line in cells:
        table.add_row(*(Text(cell) for cell in line))
    Console(file=sys.stdout, highlight=False).print(table)


def reason_text(reason: dict[str, Any] | None) -> str:
    """`code`, or `code: the vendor's words`."""
    if not reason:
        return ""
    return f"{reason['code']}: {reason['detail']}" if reason.get("detail") else str(reason["code"])
