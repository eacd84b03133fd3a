"""`recipients`: the directory of people; writing one, showing one, handing out all that is known of one, erasing one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from sendwright.cli.frame import Command, Group, wants_json
from sendwright.cli.reach import reach
from sendwright.cli.shown import clean, put, put_json, put_table, say

_EXAMPLES = (
    "sendwright recipients",
    "sendwright recipients put ada --email ada@example.org --phone +14155550123 --locale pt-BR",
    "sendwright recipients export ada",
    "sendwright recipients erase ada --yes",
)
_EXPORT_PAGE = 100


@click.group("recipients", cls=Group, examples=_EXAMPLES)
@click.pass_context
def recipients(ctx: click.Context) -> None:
    """The directory of people. Alone it lists them."""
    if ctx.invoked_subcommand is None:
        _list(50)


@recipients.command("list", cls=Command, examples=("sendwright recipients list --limit 500 --json",))
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many.")
def list_recipients(limit: int) -> None:
    """List recipients by id, addresses masked."""
    _list(limit)


def _list(limit: int) -> None:
    listed = reach().listed("/v1/recipients", {}, limit)
    if wants_json():
        put_json(listed)
        return
    put_table(("recipient", "addresses", "locale", "timezone", "updated"), [_row(row) for row in listed["data"]])
    if not listed["data"]:
        say("nothing")


def _row(row: dict[str, Any]) -> list[object]:
    return [row["id"], " ".join(_addresses(row)), row["locale"], row["timezone"], row["updated_at"]]


def _addresses(row: dict[str, Any]) -> Iterator[str]:
    """As `channel:address`; of devices how many there are."""
    for name, value in row.items():
        if name in ("id", "locale", "timezone", "created_at", "updated_at") or not value:
            continue
        yield f"{name}:{len(value)}" if isinstance(value, list) else f"{name}:{value}"


@recipients.command("show", cls=Command, examples=("sendwright recipients show ada --json",))
@click.argument("id_", metavar="ID")
def show(id_: str) -> None:
    """One recipient, with all addresses."""
    _print(reach().get(_path(id_)))


@recipients.command(
    "put",
    cls=Command,
    examples=(
        "sendwright recipients put ada --email ada@example.org",
        "sendwright recipients put ada --merge --locale de",
        "sendwright recipients put ada --file ada.json",
    ),
)
@click.argument("id_", metavar="ID")
@click.option("--file", metavar="FILE", help="The members as a JSON object; `-` reads stdin.")
@click.option("--email", metavar="ADDRESS", help="Its address.")
@click.option("--phone", metavar="NUMBER", help="Its telephone number.")
@click.option("--locale", metavar="NAME", help="Its language, such as pt-BR.")
@click.option("--timezone", metavar="NAME", help="Its time zone, such as Europe/Lisbon.")
@click.option("--merge", is_flag=True, help="Change what is given and leave the rest; the recipient must be known.")
def write(id_: str, file: str | None, *, merge: bool, **given: str | None) -> None:
    """Write a recipient: what is not given is not known any more, unless `--merge` is."""
    members = ({} if file is None else _object(file)) | {name: value for name, value in given.items() if value is not None}
    if not members:
        raise click.UsageError("Name members, or a --file of them.")
    _print(reach().ask("PATCH" if merge else "PUT", _path(id_), body=members))


def _object(name: str) -> dict[str, Any]:
    try:
        with click.open_file(name, "rb") as file:
            value = json.load(file)
    except OSError as error:
        raise click.UsageError(f"The file can't be read: {error.strerror}.") from None
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise click.UsageError("The file holds no JSON object.")
    return value


@recipients.command("erase", cls=Command, examples=("sendwright recipients erase ada --yes",))
@click.argument("id_", metavar="ID")
@click.option("--yes", is_flag=True, help="It can't be undone: say so.")
def erase(id_: str, *, yes: bool) -> None:
    """Erase a person everywhere, and cancel what waits for them."""
    if not yes:
        raise click.UsageError("It can't be undone: say --yes.")
    erased = reach().ask("DELETE", _path(id_), within_s=600)
    if wants_json():
        put_json(erased)
    else:
        put(clean(f"{erased['id']} is erased: {erased['messages']} messages, {erased['cancelled']} cancelled"))


@recipients.command("export", cls=Command, examples=("sendwright recipients export ada", "sendwright recipients export ada --json"))
@click.argument("id_", metavar="ID")
def export(id_: str) -> None:
    """Everything that is known of a person: an object a line as it comes, or one list with `--json`."""
    entries = _exported(f"{_path(id_)}/export")
    if wants_json():
        put_json(list(entries))
        return
    for entry in entries:
        put_json(entry, indent=None)


def _exported(path: str) -> Iterator[dict[str, Any]]:
    api, cursor = reach(), None
    while True:
        page = api.get(path, {"limit": _EXPORT_PAGE, "cursor": cursor})
        yield from page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _path(id_: str) -> str:
    from sendwright.cli.api import part  # noqa: PLC0415 -- not for a help page

    return f"/v1/recipients/{part(id_)}"


def _print(row: dict[str, Any]) -> None:
    if wants_json():
        put_json(row)
        return
    for name, value in row.items():
        if value:
            put(clean(f"{name} {json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value}"))
