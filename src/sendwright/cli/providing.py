"""`providers`: how they stand, their switches, and a test message through one of them."""

from __future__ import annotations

from typing import Any

import click

from sendwright.cli.frame import Command, Group, wants_json
from sendwright.cli.reach import reach
from sendwright.cli.shown import clean, put, put_json, put_table, say

_EXAMPLES = (
    "sendwright providers",
    "sendwright providers disable twilio-main",
    "sendwright providers enable twilio-main",
    "sendwright providers test sandbox",
    "sendwright providers test twilio-main --to +15005550009",
)


@click.group("providers", cls=Group, examples=_EXAMPLES)
@click.pass_context
def providers(ctx: click.Context) -> None:
    """Look at providers, switch them, try one. Alone it lists them."""
    if ctx.invoked_subcommand is None:
        _list()


@providers.command("list", cls=Command, examples=("sendwright providers list --json",))
def list_providers() -> None:
    """List providers and how they stand."""
    _list()


def _list() -> None:
    listed = reach().listed("/v1/providers", {})
    if wants_json():
        put_json(listed)
        return
    headers = (
        "provider",
        "kind",
        "channels",
        "enabled",
        "breaker",
        "success",
        "latency",
        "in flight",
        "rate",
        "credential",
        "reason",
    )
    put_table(headers, [_row(standing) for standing in listed["data"]])
    if not listed["data"]:
        say("nothing")


def _row(standing: dict[str, Any]) -> list[object]:
    from sendwright.providers.contract import EVERY_CHANNEL  # noqa: PLC0415 -- not for a help page

    share, latency = standing["success_rate"], standing["latency_ms"]
    return [
        standing["name"],
        standing["kind"],
        "every one" if set(standing["channels"]) >= set(EVERY_CHANNEL) else ",".join(standing["channels"]),
        standing["enabled"],
        standing["breaker"],
        None if share is None else f"{share:.0%}",
        None if latency is None else f"{latency:g} ms",
        standing["in_flight"],
        standing["rate"],
        _life(standing.get("credential")),
        standing["reason"],
    ]


def _life(credential: dict[str, Any] | None) -> str | None:
    """How long the credential is still good."""
    if credential is None:
        return None
    left = credential["days_left"]
    return f"{left} day{'s' if left != 1 else ''} left" if left else "over"


@providers.command("disable", cls=Command, examples=("sendwright providers disable twilio-main",))
@click.argument("name")
def disable(name: str) -> None:
    """Send nothing more through a provider, everywhere within a second."""
    _switch(name, enabled=False)


@providers.command("enable", cls=Command, examples=("sendwright providers enable twilio-main",))
@click.argument("name")
def enable(name: str) -> None:
    """Use a provider again."""
    _switch(name, enabled=True)


def _switch(name: str, *, enabled: bool) -> None:
    from sendwright.cli.api import part  # noqa: PLC0415

    standing = reach().ask("PATCH", f"/v1/providers/{part(name)}", body={"enabled": enabled})
    if wants_json():
        put_json(standing)
    else:
        put(f"{clean(standing['name'])} is {'enabled' if standing['enabled'] else 'disabled'}")


@providers.command(
    "test",
    cls=Command,
    examples=("sendwright providers test sandbox", "sendwright providers test twilio-main --to +15005550009"),
)
@click.argument("name")
@click.option("--to", metavar="ADDRESS", help="Where it goes; a sandbox and a console need none.")
def test(name: str, to: str | None) -> None:
    """Send one real test message through one provider alone, on a channel that the address fits.

    Exit 1 unless it was accepted.
    """
    from sendwright.cli.api import Refused, part  # noqa: PLC0415

    try:
        trial = reach().ask("POST", f"/v1/providers/{part(name)}/test", body={} if to is None else {"to": to}, within_s=120)
    except Refused as refused:
        if to is not None or refused.status != 422:
            raise
        raise click.UsageError(f"{name} reaches people: name with --to whom a test may go to.") from None
    if wants_json():
        put_json(trial)
    else:
        ref = f" ref {trial['ref']}" if trial["ref"] else ""
        put(clean(f"{name} {trial['outcome']}{ref}{': ' + trial['detail'] if trial['detail'] else ''}"))
    if trial["outcome"] != "accepted":
        click.get_current_context().exit(1)
