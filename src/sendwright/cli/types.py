"""`types`: kinds of notifications, and their layouts, as files that can be kept beside the code that sends them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from sendwright.cli.frame import Command, Group, wants_json
from sendwright.cli.reach import reach
from sendwright.cli.shown import clean, put, put_json, put_table, say
from sendwright.errors import SendwrightError

_EXAMPLES = (
    "sendwright types",
    "sendwright types pull",
    "sendwright types diff",
    "sendwright types push order.shipped",
)
_DIR = click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("types"),
    show_default=True,
    metavar="DIR",
    help="The folder of the types' files.",
)
_NAMES = click.argument("names", nargs=-1, metavar="[NAME]...")


@click.group("types", cls=Group, examples=_EXAMPLES)
@click.pass_context
def types(ctx: click.Context) -> None:
    """Look at types, and carry them between files and the store. Alone it lists them."""
    if ctx.invoked_subcommand is None:
        _list()


@types.command("list", cls=Command, examples=("sendwright types list --json",))
def list_types() -> None:
    """List types, the newest version of each."""
    _list()


def _list() -> None:
    listed = reach().listed("/v1/types", {})
    if wants_json():
        put_json(listed)
        return
    headers = ("type", "version", "put", "category", "priority", "description")
    rows = [
        [row["name"], row["version"], row["created_at"], row["category"], row["priority"], row["description"]]
        for row in listed["data"]
    ]
    put_table(headers, rows)
    if not rows:
        say("nothing")


@types.command("push", cls=Command, examples=("sendwright types push", "sendwright types push order.shipped --dir notifications"))
@_NAMES
@_DIR
def push(names: Sequence[str], folder: Path) -> None:
    """Put the types and layouts of a folder into the store, all of them or those that are named.

    A layout is called layouts/NAME, and lies in the folder layouts. What says something else than its newest version gets a
    new one. What is refused does not stop the others; exit 1 then.
    """
    from sendwright.cli.type_files import differences, names_in, plain, read  # noqa: PLC0415

    stored, failed, done = _stored(), False, []
    for name in names or names_in(folder):
        try:
            body = read(folder, name)
            if name in stored and not any(differences(plain(name, body), plain(name, stored[name]))):
                found, what = stored[name], "unchanged"
            else:
                found, what = reach().ask("PUT", _path(name), body=body), "put"
        except SendwrightError as error:
            say(f"{name}: {error}")
            failed = True
            continue
        done.append({"name": name, "version": found["version"], "what": what})
        if not wants_json():
            put(clean(f"{name} version {found['version']} {what}"))
    if wants_json():
        put_json({"data": done})
    if failed:
        click.get_current_context().exit(1)


@types.command("pull", cls=Command, examples=("sendwright types pull", "sendwright types pull order.shipped --dir notifications"))
@_NAMES
@_DIR
def pull(names: Sequence[str], folder: Path) -> None:
    """Write the types and layouts of the store into a folder, all of them or those that are named.

    Files that say the same are left alone. Long texts, and HTML, get files of their own.
    """
    from sendwright.cli.type_files import differences, names_in, plain, read, write  # noqa: PLC0415

    stored = _stored()
    missing = [name for name in names if name not in stored]
    if missing:
        raise click.UsageError(f"no such type: {', '.join(missing)}")
    here = names_in(folder) if folder.is_dir() else []
    for name in names or stored:
        if name in here and not any(differences(plain(name, read(folder, name)), plain(name, stored[name]))):
            continue
        for path in write(folder, name, stored[name]):
            put(clean(str(path)))


@types.command("diff", cls=Command, examples=("sendwright types diff", "sendwright types diff --dir notifications"))
@_NAMES
@_DIR
def diff(names: Sequence[str], folder: Path) -> None:
    """Tell what a folder's types and layouts say otherwise than the store's. Exit 1 where something differs.

    `+` is in the folder alone, `-` in the store alone, `~` differs, with the places.
    """
    from sendwright.cli.type_files import differences, names_in, plain, read  # noqa: PLC0415

    stored, here = _stored(), names_in(folder)
    found: list[dict[str, Any]] = []
    for name in names or sorted({*stored, *here}):
        if name in stored and name in here:
            places = list(differences(plain(name, read(folder, name)), plain(name, stored[name])))
            if places:
                found.append({"name": name, "differs": "both", "places": places})
        elif name in stored or name in here:
            found.append({"name": name, "differs": "store" if name in stored else "folder", "places": []})
    if wants_json():
        put_json({"data": found})
    for one in () if wants_json() else found:
        sign = {"both": "~", "store": "-", "folder": "+"}[one["differs"]]
        put(clean(f"{sign} {one['name']} {' '.join(one['places'])}".rstrip()))
    if found:
        click.get_current_context().exit(1)


def _stored() -> dict[str, dict[str, Any]]:
    """The newest versions, by name."""
    from sendwright.cli.type_files import LAYOUTS  # noqa: PLC0415 -- not for a help page

    layouts = {f"{LAYOUTS}{row['name']}": row for row in reach().listed("/v1/layouts", {})["data"]}
    return {**layouts, **{row["name"]: row for row in reach().listed("/v1/types", {})["data"]}}


def _path(name: str) -> str:
    from sendwright.cli.api import part  # noqa: PLC0415 -- not for a help page
    from sendwright.cli.type_files import LAYOUTS  # noqa: PLC0415

    return f"/v1/layouts/{part(name[len(LAYOUTS) :])}" if name.startswith(LAYOUTS) else f"/v1/types/{part(name)}"
