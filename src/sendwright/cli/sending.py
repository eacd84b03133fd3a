"""`send`: one notification, followed until its messages have come where they should."""

from __future__ import annotations

import secrets
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from sendwright.cli import words
from sendwright.cli.frame import Command, wants_json
from sendwright.cli.reach import reach
from sendwright.cli.shown import clean, put, put_json, reason_text, say

if TYPE_CHECKING:
    from sendwright.cli.api import Api

POSTS_MAX = 3
"""How often a post whose answer was lost, or that could not be made durable, is made: always under the same key."""


@click.command(
    "send",
    cls=Command,
    examples=(
        'sendwright send --to +15005550009 --body "Your code is 424242" --priority critical',
        'sendwright send --to ada@example.org --title Welcome --body "Hello, Ada" --wait delivered --timeout 2m',
        'sendwright send --to user-42 --channel push,sms,email --body "Your parcel is here"',
        'sendwright send --to telegram:123456 --to whatsapp:+4915112345678 --body "Hello"',
        """sendwright send --to '{"phone": "+15005550009", "locale": "de"}' --body Hallo --json""",
    ),
)
@click.option(
    "--to",
    required=True,
    multiple=True,
    type=words.addressee,
    metavar="WHOM",
    help="A number (+…), an email address, a recipient's id (or id:…), CHANNEL:ADDRESS, or JSON. May be repeated.",
)
@click.option("--channel", multiple=True, metavar="NAME,…", help="Channels in their order; repeated or with commas.")
@click.option("--body", required=True, metavar="TEXT", help="What to say; - reads it from stdin.")
@click.option("--title", metavar="TEXT", help="The title, or the subject.")
@click.option("--priority", type=click.Choice(["critical", "high", "normal", "bulk"]), help="[default: normal]")
@click.option("--category", type=click.Choice(["transactional", "marketing"]), help="[default: transactional]")
@click.option("--on-doubt", type=click.Choice(["resend", "hold"]), help="What to do when an answer was lost.")
@click.option("--idempotency-key", metavar="KEY", help="Makes a repeated command the same notification.")
@click.option("--wait", type=click.Choice(["sent", "delivered"]), default="sent", show_default=True, help="Follow it until then.")
@click.option("--timeout", type=words.duration_s, default="30s", show_default=True, metavar="TIME", help="How long to follow it.")
def send(
    to: tuple[words.Addressee, ...],
    channel: tuple[str, ...],
    body: str,
    title: str | None,
    priority: str | None,
    category: str | None,
    on_doubt: str | None,
    idempotency_key: str | None,
    wait: str,
    timeout: float,
) -> None:
    """Send one notification and follow it.

    Exit 0 when every message came to the awaited state, 1 when one ended otherwise or the time was up.
    """
    from sendwright.cli.following import Follow  # noqa: PLC0415 -- not for a help page

    text = sys.stdin.read().rstrip("\n") if body == "-" else body
    asked = {"title": title, "body": text}
    payload = {
        "to": [one.wire for one in to] if len(to) > 1 else to[0].wire,
        "content": {name: value for name, value in asked.items() if value is not None},
        "channels": _channels(to, channel),
        "priority": priority,
        "category": category,
        "on_doubt": on_doubt,
    }
    api = reach()
    taken = post(api, {name: value for name, value in payload.items() if value}, idempotency_key or secrets.token_hex(16))
    say(f"{taken['id']} accepted, {_count(taken['message_count'])}")
    follow = Follow(api, taken["id"], taken["message_count"], wait, timeout, say)
    view = follow.run()
    _print(view, follow.reached)
    if not follow.reached:
        click.get_current_context().exit(1)


def post(api: Api, payload: dict[str, Any], key: str) -> dict[str, Any]:
    """Posts it; again where it may or may not have been taken, so that one command is one notification."""
    from sendwright.cli.api import NoAnswer, Refused  # noqa: PLC0415

    for tried in range(1, POSTS_MAX + 1):
        try:
            answer: dict[str, Any] = api.ask("POST", "/v1/notifications", body=payload, headers={"Idempotency-Key": key})
        except (NoAnswer, Refused) as error:
            again = error.maybe if isinstance(error, NoAnswer) else error.status in (409, 503)
            if tried == POSTS_MAX or not again:
                raise
            say(f"{str(error).splitlines()[0]}; asking again under the same key")
            time.sleep(tried)
        else:
            return answer
    raise AssertionError("the last try returns or raises")


def _channels(to: tuple[words.Addressee, ...], named: tuple[str, ...]) -> list[str]:
    """Those that were named; else the one that every recipient names itself, as in `whatsapp:+49…`."""
    channels = [name.strip() for text in named for name in text.split(",") if name.strip()]
    own = {one.channel for one in to}
    alone = next(iter(own)) if len(own) == 1 else None
    return channels or ([alone] if alone else [])


def _count(messages: int) -> str:
    return f"{messages} message{'' if messages == 1 else 's'}"


def _print(view: dict[str, Any], reached: bool) -> None:
    if wants_json():
        put_json(view)
    else:
        for message in view["messages"]:
            put(_line(message))
    if not reached:
        say(f"{view['id']} is {view['state']}; look at it with: sendwright show {view['id']}")


def _line(message: dict[str, Any]) -> str:
    via = f" {message['channel']} by {message['provider']}" if message["provider"] else ""
    ref = next((a["ref"] for a in reversed(message["attempts"]) if a["ref"]), None)
    why = reason_text(message["reason"])
    return clean(f"{message['id']} {message['state']}{via}{f' ref {ref}' if ref else ''}{f' {why}' if why else ''}")
