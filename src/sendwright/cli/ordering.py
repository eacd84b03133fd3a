"""`route`: in which order a channel's providers are asked; setting that at run time, and going back to the settings."""

from __future__ import annotations

from typing import Any

import click

from sendwright.cli.frame import Command, wants_json
from sendwright.cli.reach import reach
from sendwright.cli.shown import put_json, put_table, say

_EXAMPLES = (
    "sendwright route",
    "sendwright route sms",
    "sendwright route sms --order vonage-eu,twilio-main",
    "sendwright route sms --reset",
)
_FROM = {"run_time": "run time"}


@click.command("route", cls=Command, examples=_EXAMPLES)
@click.argument("channel", required=False)
@click.option("--order", metavar="A,B", help="Ask these providers, first choice first; the others of the channel get nothing.")
@click.option("--reset", is_flag=True, help="Go back to the settings' order.")
def route(channel: str | None, order: str | None, *, reset: bool) -> None:
    """Look at a channel's route, or set its order everywhere within a second. Without a channel, list all routes."""
    from sendwright.cli.api import part  # noqa: PLC0415 -- not for a help page

    if order is not None and reset:
        raise click.UsageError("--order and --reset exclude one another.")
    if channel is None:
        if order is not None or reset:
            raise click.UsageError("Name the channel.")
        _print(reach().listed("/v1/routes", {}), many=True)
        return
    api, path = reach(), f"/v1/routes/{part(channel)}"
    if order is not None:
        _print(api.ask("PUT", path, body={"providers": [name.strip() for name in order.split(",") if name.strip()]}))
        return
    if reset:
        api.ask("DELETE", path)
    _print(api.get(path))


def _print(found: dict[str, Any], *, many: bool = False) -> None:
    if wants_json():
        put_json(found)
        return
    rows = found["data"] if many else [found]
    put_table(("channel", "policy", "providers", "left out", "from"), [_row(each) for each in rows])
    if not rows:
        say("nothing")


def _row(found: dict[str, Any]) -> list[object]:
    names = (",".join(found[member]) for member in ("providers", "left_out"))
    return [found["channel"], found["policy"], *names, _FROM.get(found["source"], found["source"])]
