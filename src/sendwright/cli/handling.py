"""`dead` and `doubts`: what came to no end, and what nobody knows the end of; and what a person does about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from sendwright.cli import words
from sendwright.cli.frame import Command, Group, wants_json
from sendwright.cli.looking import put_messages, say_more
from sendwright.cli.reach import reach
from sendwright.cli.shown import clean, put, put_json, put_table, reason_text, say

DEFAULT_LIMIT = 50


def _filters(command: Callable[..., None]) -> Callable[..., None]:
    """The filters of the dead letters, as options."""
    options = (
        click.option("--notification", metavar="ID", help="Of this notification."),
        click.option("--channel", metavar="NAME", help="On this channel."),
        click.option("--provider", metavar="NAME", help="With this provider."),
        click.option("--recipient", metavar="ID", help="To this recipient."),
        click.option("--since", type=words.moment, metavar="TIME", help="From this time on: RFC 3339, or how long ago (36h)."),
        click.option("--until", type=words.moment, metavar="TIME", help="Before this time."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group(
    "dead",
    cls=Group,
    examples=("sendwright dead", "sendwright dead replay --provider twilio-main --since 2h", "sendwright dead drop --all"),
)
@click.pass_context
def dead(ctx: click.Context) -> None:
    """Messages that exhausted every step, and parcels that no worker could handle. Alone it lists them."""
    if ctx.invoked_subcommand is None:
        _list_dead(DEFAULT_LIMIT, {})


@dead.command("list", cls=Command, examples=("sendwright dead list --channel sms --since 24h --json",))
@_filters
@click.option("--limit", type=click.IntRange(min=1), default=DEFAULT_LIMIT, show_default=True, metavar="N", help="At most so many.")
def list_dead(limit: int, **filters: str | None) -> None:
    """List dead letters, newest first, and count their causes.

    Below them come the parcels that no worker could handle, whatever the filters say.
    """
    _list_dead(limit, filters)


def _list_dead(limit: int, filters: dict[str, str | None]) -> None:
    listed = reach().listed("/v1/dead", filters, limit)
    if wants_json():
        put_json(listed)
        return
    rows = [
        [
            row["id"],
            row["channel"],
            row["provider"],
            row["address"],
            row["recipient"],
            row["updated_at"],
            reason_text(row["reason"]),
        ]
        for row in listed["data"]
    ]
    put_table(("message", "channel", "provider", "to", "recipient", "updated", "reason"), rows)
    if listed["causes"]:
        put()
        put_table(
            ("count", "channel", "provider", "reason"),
            [[cause["count"], cause["channel"], cause["provider"], cause["reason"]] for cause in listed["causes"]],
        )
    if listed["parcels"]:
        if listed["data"] or listed["causes"]:
            put()
        put_table(
            ("parcel", "lane", "at", "bytes", "problem"),
            [[row["id"], row["lane"], row["at"], row["size"], row["problem"]] for row in listed["parcels"]],
        )
    if listed["data"] or not listed["parcels"]:
        say_more(listed)


@dead.command(
    "replay",
    cls=Command,
    examples=(
        "sendwright dead replay msg_06etk2v9w8d1qg3bzr5m7xk4cj2f0ahy00",
        "sendwright dead replay par_9f86d081884c7d659a2feaa0c55ad015",
        "sendwright dead replay --provider twilio-main --since 2h",
        "sendwright dead replay --all",
    ),
)
@click.argument("ids", nargs=-1, metavar="[ID]…")
@click.option("--all", "everything", is_flag=True, help="All messages.")
@_filters
def replay(ids: tuple[str, ...], everything: bool, **filters: str | None) -> None:
    """Send dead letters again, by ids or by filters; parcels by their ids alone.

    Exit 1 when one that was named is not dead, never had an address, is past its deadline, or is a parcel that is no JSON.
    """
    _handle("replay", ids, everything, filters)


@dead.command(
    "drop",
    cls=Command,
    examples=("sendwright dead drop msg_06etk2v9w8d1qg3bzr5m7xk4cj2f0ahy00", "sendwright dead drop --until 30d"),
)
@click.argument("ids", nargs=-1, metavar="[ID]…")
@click.option("--all", "everything", is_flag=True, help="All messages.")
@_filters
def drop(ids: tuple[str, ...], everything: bool, **filters: str | None) -> None:
    """Take dead letters off the list, by ids or by filters. Messages stay failed; parcels, by their ids alone, are gone."""
    _handle("drop", ids, everything, filters)


def _handle(what: str, ids: tuple[str, ...], everything: bool, filters: dict[str, str | None]) -> None:
    given = {name: value for name, value in filters.items() if value is not None}
    if sum((bool(ids), everything, bool(given))) != 1:
        raise click.UsageError("Name ids, or filters, or --all: exactly one of the three.")
    body: dict[str, Any] = {"ids": list(ids)} if ids else {"filters": given}
    handled = reach().ask("POST", f"/v1/dead/{what}", body=body, within_s=300)
    if wants_json():
        put_json(handled)
    else:
        why = ", ".join(f"{count} {clean(cause)}" for cause, count in handled.get("skipped_for", {}).items())
        skipped = f"{handled['skipped']}{f' ({why})' if why else ''}"
        put(f"{'replayed' if what == 'replay' else 'dropped'} {handled['done']}, skipped {skipped}")
    if handled["more"]:
        say("there are more: run it again")
    if ids and handled["skipped"]:
        click.get_current_context().exit(1)


@click.group(
    "doubts",
    cls=Group,
    examples=("sendwright doubts", "sendwright doubts resolve msg_06etk2v9w8d1qg3bzr5m7xk4cj2f0ahy00 --as sent"),
)
@click.pass_context
def doubts(ctx: click.Context) -> None:
    """Messages that a provider may or may not have taken. Alone it lists them."""
    if ctx.invoked_subcommand is None:
        _list_doubts(DEFAULT_LIMIT)


@doubts.command("list", cls=Command, examples=("sendwright doubts list --json",))
@click.option("--limit", type=click.IntRange(min=1), default=DEFAULT_LIMIT, show_default=True, metavar="N", help="At most so many.")
def list_doubts(limit: int) -> None:
    """List messages in doubt, newest first."""
    _list_doubts(limit)


def _list_doubts(limit: int) -> None:
    put_messages(reach().listed("/v1/messages", {"state": "in_doubt"}, limit))


@doubts.command(
    "resolve",
    cls=Command,
    examples=(
        "sendwright doubts resolve msg_06etk2v9w8d1qg3bzr5m7xk4cj2f0ahy00 --as sent",
        "sendwright doubts resolve msg_06etk2v9w8d1qg3bzr5m7xk4cj2f0ahy00 --as resend",
        "sendwright doubts resolve --channel sms --since 24h --as resend",
    ),
)
@click.argument("id_", required=False, metavar="[ID]")
@click.option(
    "--as", "verdict", required=True, type=click.Choice(["sent", "resend", "failed"]), help="What became of it, or is to."
)
@click.option("--all", "everything", is_flag=True, help="All doubts.")
@_filters
def resolve(id_: str | None, verdict: str, *, everything: bool, **filters: str | None) -> None:
    """Settle a doubt by your word: it was sent, send it again (perhaps twice), or it failed. By its id; or many, by filters.

    Of many, those that are settled meanwhile, or can't be sent again, are left alone and counted.
    """
    given = {name: value for name, value in filters.items() if value is not None}
    if sum((id_ is not None, everything, bool(given))) != 1:
        raise click.UsageError("Name an id, or filters, or --all: exactly one of the three.")
    if id_ is not None:
        moved = _resolved(id_, verdict)
        put_json(moved) if wants_json() else put(clean(f"{moved['id']} {moved['state']}"))
        return
    done, skipped = _resolved_all(given, verdict)
    if wants_json():
        put_json({"resolved": done, "skipped": skipped})
    else:
        put(f"resolved {done}, skipped {skipped}" if skipped else f"resolved {done}")


def _resolved_all(filters: dict[str, str], verdict: str) -> tuple[int, int]:
    """Page by page; how many were, and how many could not be."""
    from sendwright.cli.api import Refused  # noqa: PLC0415

    api, done, skipped, cursor = reach(), 0, 0, None
    while True:
        page = api.get("/v1/messages", {**filters, "state": "in_doubt", "limit": DEFAULT_LIMIT, "cursor": cursor})
        for row in page["data"]:
            try:
                _resolved(row["id"], verdict)
                done += 1
            except Refused:
                skipped += 1
        cursor = page["next_cursor"]
        if cursor is None:
            return done, skipped


def _resolved(id_: str, verdict: str) -> Any:
    from sendwright.cli.api import part  # noqa: PLC0415

    return reach().ask("POST", f"/v1/messages/{part(id_)}/resolve", body={"as": verdict})
