"""`endpoints`: the operator's own services, to which events are posted; what went there, and posting it again."""

from __future__ import annotations

from typing import Any

import click

from sendwright.cli import words
from sendwright.cli.frame import Command, Group, wants_json
from sendwright.cli.reach import reach
from sendwright.cli.shown import clean, put, put_json, put_table, say

_EXAMPLES = (
    "sendwright endpoints",
    "sendwright endpoints create --url https://orders.example.com/hooks --types message.failed,message.delivered",
    "sendwright endpoints deliveries end_0123 --state failed",
    "sendwright endpoints replay end_0123 --all",
)


@click.group("endpoints", cls=Group, examples=_EXAMPLES)
@click.pass_context
def endpoints(ctx: click.Context) -> None:
    """Your own services, to which events are posted. Alone it lists them."""
    if ctx.invoked_subcommand is None:
        _list()


@endpoints.command("list", cls=Command, examples=("sendwright endpoints list --json",))
def list_endpoints() -> None:
    """List endpoints, newest first, and how they stand."""
    _list()


def _list() -> None:
    listed = reach().listed("/v1/endpoints", {})
    if wants_json():
        put_json(listed)
        return
    headers = ("endpoint", "url", "types", "enabled", "disabled for", "failing since", "description")
    put_table(headers, [_row(endpoint) for endpoint in listed["data"]])
    if not listed["data"]:
        say("nothing")


def _row(endpoint: dict[str, Any]) -> list[object]:
    types = ",".join(endpoint["types"]) or "every one"
    shown = ("enabled", "disabled_for", "failing_since", "description")
    return [endpoint["id"], endpoint["url"], types, *(endpoint[name] for name in shown)]


@endpoints.command(
    "create",
    cls=Command,
    examples=(
        "sendwright endpoints create --url https://orders.example.com/hooks",
        "sendwright endpoints create --url https://orders.example.com/hooks --types message.failed --json",
    ),
)
@click.option("--url", required=True, metavar="URL", help="Where events are posted.")
@click.option("--types", type=words.names, multiple=True, metavar="A,B", help="Only events of these types.  [default: every one]")
@click.option("--description", metavar="TEXT", help="What it is for.")
@click.option("--disabled", is_flag=True, help="Post nothing yet.")
def create(types: tuple[list[str], ...], *, disabled: bool, **given: str | None) -> None:
    """Make an endpoint, and print its secret: the only time that anybody can.

    The secret alone goes to stdout.
    """
    wish: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    wish |= {"types": words.together(types)} if types else {}
    wish |= {"enabled": False} if disabled else {}
    _with_secret(reach().ask("POST", "/v1/endpoints", body=wish))


@endpoints.command(
    "update",
    cls=Command,
    examples=("sendwright endpoints update end_0123 --disable", "sendwright endpoints update end_0123 --types message.failed"),
)
@click.argument("id_", metavar="ID")
@click.option("--url", metavar="URL", help="Where events are posted from now on.")
@click.option("--types", type=words.names, multiple=True, metavar="A,B", help="Only events of these types; `all` is every one.")
@click.option("--description", metavar="TEXT", help="What it is for.")
@click.option("--enable/--disable", "enabled", default=None, help="Go on where it stopped, or pause.")
def update(id_: str, types: tuple[list[str], ...], **given: object) -> None:
    """Change an endpoint; what is not named stays."""
    patch: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if types:
        wanted = words.together(types)
        patch["types"] = [] if wanted == ["all"] else wanted
    if not patch:
        raise click.UsageError("Name what is to change.")
    _print(reach().ask("PATCH", _path(id_), body=patch))


@endpoints.command("delete", cls=Command, examples=("sendwright endpoints delete end_0123",))
@click.argument("ids", nargs=-1, required=True, metavar="ID…")
def delete(ids: tuple[str, ...]) -> None:
    """Forget endpoints, and all that is on its way there."""
    api = reach()
    for id_ in ids:
        api.ask("DELETE", _path(id_))
        put_json({"id": id_, "deleted": True}, indent=None) if wants_json() else put(clean(f"{id_} is deleted"))


@endpoints.command("rotate", cls=Command, examples=("sendwright endpoints rotate end_0123",))
@click.argument("id_", metavar="ID")
def rotate(id_: str) -> None:
    """Give an endpoint a new secret, and print it; the one of before signs too for a day.

    The secret alone goes to stdout.
    """
    _with_secret(reach().ask("POST", f"{_path(id_)}/rotate"))


@endpoints.command("test", cls=Command, examples=("sendwright endpoints test end_0123",))
@click.argument("id_", metavar="ID")
def test(id_: str) -> None:
    """Post a test event now, and say what came of it. Exit 1 unless it was taken."""
    trial = reach().ask("POST", f"{_path(id_)}/test", within_s=120)
    if wants_json():
        put_json(trial)
    else:
        came = "taken" if trial["ok"] else "not taken"
        put(clean(f"{id_} {came} status {trial['status'] or '-'} in {trial['ms']} ms {trial['detail']}".rstrip()))
    if not trial["ok"]:
        click.get_current_context().exit(1)


@endpoints.command(
    "deliveries",
    cls=Command,
    examples=("sendwright endpoints deliveries end_0123", "sendwright endpoints deliveries end_0123 --state failed --limit 500"),
)
@click.argument("id_", metavar="ID")
@click.option("--state", type=click.Choice(("pending", "delivered", "failed")), help="Only those.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many.")
def deliveries(id_: str, state: str | None, limit: int) -> None:
    """What was posted to an endpoint and what came of it, the newest event first."""
    listed = reach().listed(f"{_path(id_)}/deliveries", {"state": state}, limit)
    if wants_json():
        put_json(listed)
        return
    headers = ("delivery", "type", "at", "state", "tries", "next try", "last status", "last answer")
    put_table(headers, [_delivery(delivery) for delivery in listed["data"]])
    if not listed["data"]:
        say("nothing")


def _delivery(delivery: dict[str, Any]) -> list[object]:
    last = delivery["tries"][-1] if delivery["tries"] else {"status": None, "detail": None}
    shown = ("id", "type", "timestamp", "state", "try_count", "next_try_at")
    return [*(delivery[name] for name in shown), last["status"], last["detail"]]


@endpoints.command(
    "replay",
    cls=Command,
    examples=("sendwright endpoints replay end_0123 --all", "sendwright endpoints replay end_0123 evt_4567"),
)
@click.argument("id_", metavar="ID")
@click.argument("deliveries_", nargs=-1, metavar="[DELIVERY…]")
@click.option("--all", "everything", is_flag=True, help="All that failed.")
def replay(id_: str, deliveries_: tuple[str, ...], *, everything: bool) -> None:
    """Post again what is over: these deliveries, or all that failed."""
    if bool(deliveries_) == everything:
        raise click.UsageError("Name deliveries, or say --all.")
    api, done = reach(), []
    while True:
        answer = api.ask("POST", f"{_path(id_)}/replay", body={"ids": list(deliveries_)} if deliveries_ else {})
        done += answer["ids"]
        if not answer["more"]:
            break
    if wants_json():
        put_json({"ids": done, "more": False})
    else:
        put(f"{len(done)} posted again")


def _path(id_: str) -> str:
    from sendwright.cli.api import part  # noqa: PLC0415 -- not for a help page

    return f"/v1/endpoints/{part(id_)}"


def _print(endpoint: dict[str, Any]) -> None:
    if wants_json():
        put_json(endpoint)
        return
    stands = "enabled" if endpoint["enabled"] else f"disabled ({endpoint['disabled_for']})"
    put(clean(f"{endpoint['id']} {endpoint['url']} is {stands}"))


def _with_secret(made: dict[str, Any]) -> None:
    if wants_json():
        put_json(made)
        return
    put(clean(made["secret"]))
    say(clean(f"{made['id']} is posted to {made['url']}. Keep its secret: nobody can show it again."))
