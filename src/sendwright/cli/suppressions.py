"""`suppressions`: who must not be sent to; putting somebody on the list, looking an address up, lifting."""

from __future__ import annotations

import sys
from typing import Any

import click

from sendwright.cli import words
from sendwright.cli.frame import Command, Group, wants_json
from sendwright.cli.reach import reach
from sendwright.cli.shown import clean, put, put_json, put_table, say

_EXAMPLES = (
    "sendwright suppressions",
    "sendwright suppressions add ada@example.org --channel email --category marketing",
    "sendwright suppressions lookup +14155550123",
    "sendwright suppressions lift sup_0123",
)
_REASONS = click.Choice(("opted_out", "blocked", "invalid_address", "unreachable"))


@click.group("suppressions", cls=Group, examples=_EXAMPLES)
@click.pass_context
def suppressions(ctx: click.Context) -> None:
    """Who must not be sent to, why, until when. Alone it lists them."""
    if ctx.invoked_subcommand is None:
        _list({}, 50)


@suppressions.command(
    "list",
    cls=Command,
    examples=("sendwright suppressions list --channel sms --limit 500", "sendwright suppressions list --shared --json"),
)
@click.option("--channel", metavar="NAME", help="Only on that channel.")
@click.option("--reason", type=_REASONS, help="Only for that reason.")
@click.option("--shared", is_flag=True, help="Those that hold for every tenant; by a key of the tenant default.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many.")
def list_suppressions(channel: str | None, reason: str | None, limit: int, *, shared: bool) -> None:
    """List suppressions by id, addresses masked."""
    _list({"channel": channel, "reason": reason, "shared": True if shared else None}, limit)


def _list(query: dict[str, Any], limit: int) -> None:
    _print(reach().listed("/v1/suppressions", query, limit))


@suppressions.command(
    "add",
    cls=Command,
    examples=(
        "sendwright suppressions add +14155550123",
        "sendwright suppressions add ada@example.org --channel email --category marketing --expires-at 90d",
    ),
)
@click.argument("address")
@click.option("--channel", metavar="NAME", help="On that channel alone.  [default: on every one]")
@click.option("--reason", type=_REASONS, help="Why.  [default: opted_out]")
@click.option("--category", type=click.Choice(("all", "marketing")), help="`marketing` leaves alone what is transactional.")
@click.option("--expires-at", type=words.until, metavar="TIME", help="Until when: RFC 3339, or so long (90d).  [default: no end]")
def add(address: str, **given: str | None) -> None:
    """Send nothing more to an address; it is done when no call to it can begin any more. `-` reads it from stdin."""
    body = {name: value for name, value in given.items() if value is not None}
    _print_one(reach().ask("POST", "/v1/suppressions", body={"address": _typed(address), **body}))


@suppressions.command("lookup", cls=Command, examples=("sendwright suppressions lookup +14155550123 --channel sms",))
@click.argument("address")
@click.option("--channel", metavar="NAME", help="What holds on that channel.  [default: on any]")
def lookup(address: str, channel: str | None) -> None:
    """What forbids sending to an address. `-` reads it from stdin."""
    body = {"address": _typed(address)} | ({} if channel is None else {"channel": channel})
    _print(reach().ask("POST", "/v1/suppressions/lookup", body=body))


@suppressions.command("lift", cls=Command, examples=("sendwright suppressions lift sup_0123",))
@click.argument("ids", nargs=-1, required=True, metavar="ID…")
def lift(ids: tuple[str, ...]) -> None:
    """Take suppressions off the list."""
    from sendwright.cli.api import part  # noqa: PLC0415 -- not for a help page

    api = reach()
    for id_ in ids:
        api.ask("DELETE", f"/v1/suppressions/{part(id_)}")
        put_json({"id": id_, "lifted": True}, indent=None) if wants_json() else put(clean(f"{id_} is lifted"))


def _typed(address: str) -> str:
    return sys.stdin.readline().strip() if address == "-" else address


def _print(listed: dict[str, Any]) -> None:
    if wants_json():
        put_json(listed)
        return
    headers = ("suppression", "channel", "address", "reason", "source", "category", "shared", "created", "expires")
    put_table(headers, [_row(row) for row in listed["data"]])
    if not listed["data"]:
        say("nothing")


def _print_one(row: dict[str, Any]) -> None:
    if wants_json():
        put_json(row)
    else:
        put(clean(f"{row['id']} {row['address']} {row['channel'] or 'every channel'} {row['reason']} ({row['category']})"))


def _row(row: dict[str, Any]) -> list[object]:
    shown = ("address", "reason", "source", "category", "shared", "created_at", "expires_at")
    return [row["id"], row["channel"] or "every one", *(row[name] for name in shown)]
