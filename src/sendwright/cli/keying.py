"""`keys`: making them, looking who has one, revoking them."""

from __future__ import annotations

from typing import Any

import click

from sendwright.cli import words
from sendwright.cli.frame import Command, Group, wants_json
from sendwright.cli.reach import reach
from sendwright.cli.shown import clean, put, put_json, put_table, say

_EXAMPLES = (
    "sendwright keys",
    'sendwright keys create --name "orders service" --tenant acme --scopes send,read',
    "sendwright keys revoke swk_06etk2v9",
)


@click.group("keys", cls=Group, examples=_EXAMPLES)
@click.pass_context
def keys(ctx: click.Context) -> None:
    """API keys: who may call, for which tenant, and what they may do. Alone it lists them."""
    if ctx.invoked_subcommand is None:
        _list()


@keys.command("list", cls=Command, examples=("sendwright keys list --json",))
def list_keys() -> None:
    """List keys, newest first: those of every tenant by the admin key, else those of the key's own."""
    _list()


def _list() -> None:
    listed = reach().listed("/v1/keys", {})
    if wants_json():
        put_json(listed)
        return
    put_table(("key", "name", "tenant", "scopes", "rate", "created", "expires", "last used"), [_row(key) for key in listed["data"]])
    if not listed["data"]:
        say("nothing")


def _row(key: dict[str, Any]) -> list[object]:
    return [
        key["id"],
        key["name"],
        key["tenant"],
        ",".join(key["scopes"]),
        key["rate"],
        key["created_at"],
        key["expires_at"],
        key["last_used_at"],
    ]


@keys.command(
    "create",
    cls=Command,
    examples=(
        'sendwright keys create --name "orders service" --scopes send',
        "sendwright keys create --name dashboards --tenant acme --scopes read --expires-at 90d",
        "sendwright keys create --name campaign --tenant acme --scopes send,read --rate 100/s --json",
    ),
)
@click.option("--name", required=True, metavar="TEXT", help="What it is for.")
@click.option("--scopes", type=words.scopes, required=True, multiple=True, metavar="A,B", help="What it may do: send, read, admin.")
@click.option("--tenant", metavar="NAME", help="Whose it is.  [default: that of the key you call with]")
@click.option("--expires-at", type=words.until, metavar="TIME", help="Until when: RFC 3339, or so long (90d).  [default: no end]")
@click.option("--rate", metavar="N/UNIT", help="Most calls: 100/s, 600/min, 5000/h, 10000/day.  [default: no limit]")
def create(scopes: tuple[list[str], ...], **given: str | None) -> None:
    """Make a key, and print it: the only time that anybody can.

    The key alone goes to stdout.
    """
    wish: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    wish["scopes"] = words.together(scopes)
    made = reach().ask("POST", "/v1/keys", body=wish)
    if wants_json():
        put_json(made)
        return
    put(clean(made["key"]))
    say(clean(f"{made['id']} is tenant {made['tenant']}'s and may {', '.join(made['scopes'])}. Keep it: nobody can show it again."))


@keys.command("revoke", cls=Command, examples=("sendwright keys revoke swk_06etk2v9",))
@click.argument("ids", nargs=-1, required=True, metavar="ID…")
def revoke(ids: tuple[str, ...]) -> None:
    """Revoke keys, by their ids: nobody calls with them any more, everywhere within a second."""
    from sendwright.cli.api import part  # noqa: PLC0415 -- not for a help page
    from sendwright.model.api_key import ID_LENGTH, api_key_id  # noqa: PLC0415

    for given in ids:
        id_ = given if api_key_id(given) is None else given[:ID_LENGTH]  # of a whole key, no more than its id goes into an address
        reach().ask("DELETE", f"/v1/keys/{part(id_)}")
        put_json({"id": id_, "revoked": True}, indent=None) if wants_json() else put(clean(f"{id_} is revoked"))
