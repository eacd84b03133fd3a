"""`show`, `list`, `tail`, `audit`: looking, without changing anything."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from sendwright.cli import words
from sendwright.cli.frame import Command, wants_json
from sendwright.cli.reach import reach
from sendwright.cli.shown import clean, put, put_json, put_table, reason_text, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sendwright.cli.api import Api

AUDIT_S = 600.0
"""How long a recount of a large store may take, in seconds."""
AGAIN_S = 1.0
"""How long `tail` waits before it comes back to a stream that ended, in seconds."""


@click.command(
    "show",
    cls=Command,
    examples=(
        "sendwright show ntf_06etk2v9w8d1qg3bzr5m7xk4cj2f0ahy",
        "sendwright show msg_06etk2v9w8d1qg3bzr5m7xk4cj2f0ahy00 --json",
    ),
)
@click.argument("id_", metavar="ID")
def show(id_: str) -> None:
    """Show a notification's timeline.

    Its messages, their attempts, their events and what they wait for. Takes a message's ID too.
    """
    from sendwright.cli.api import part  # noqa: PLC0415

    api = reach()
    if id_.startswith("msg_"):
        message = api.get(f"/v1/messages/{part(id_)}")
        put_json(message) if wants_json() else _put_message(message)
        return
    view = _whole(api, f"/v1/notifications/{part(id_)}")
    if wants_json():
        put_json(view)
        return
    _put_notification(view)
    for message in view["messages"]:
        put()
        _put_message(message)


def _whole(api: Api, path: str) -> dict[str, Any]:
    view: dict[str, Any] = api.get(path)
    cursor = view["messages_cursor"]
    while cursor is not None:
        page = api.get(path, {"cursor": cursor})
        view["messages"] += page["messages"]
        cursor = page["messages_cursor"]
    return {**view, "messages_cursor": None}


def _put_notification(view: Mapping[str, Any]) -> None:
    counts = ", ".join(f"{count} {state}" for state, count in view["counts"].items())
    put(clean(f"{view['id']}  {view['state']}{f'  ({counts})' if counts else ''}"))
    about = {
        "priority": view["priority"],
        "category": view["category"],
        "created": view["created_at"],
        "not before": view["send_at"],
        "expires": view["expires_at"],
    }
    _put_facts(about | {f"metadata {name}": value for name, value in view["metadata"].items()})


def _put_message(message: Mapping[str, Any]) -> None:
    put(clean(f"{message['id']}  {message['state']}"))
    waits = message["waiting_for"]
    until = f" until {waits['until']}" if waits and waits["until"] else ""
    about = {
        "to": message["address"],
        "recipient": message["recipient"],
        "channel": message["channel"],
        "provider": message["provider"],
        "waits for": f"{waits['kind']} {waits['name'] or ''}".rstrip() + until if waits else None,
        "reason": reason_text(message["reason"]),
    }
    _put_facts(about)
    for entry in _told(message):
        put(f"  {entry}")


def _put_facts(facts: Mapping[str, object]) -> None:
    for name, value in facts.items():
        if value is not None and value != "":
            put(f"  {clean(name)}: {clean(value)}")


def _told(message: Mapping[str, Any]) -> list[str]:
    """Attempts and events, in the order of their times."""
    events = [(entry["at"], clean(f"{entry['at']}  {entry['event']}  {entry['detail']}").rstrip()) for entry in message["timeline"]]
    attempts = [(attempt["started_at"], clean(_attempt(attempt))) for attempt in message["attempts"]]
    return [text for _, text in sorted([*events, *attempts], key=lambda told: told[0])]


def _attempt(attempt: Mapping[str, Any]) -> str:
    words_ = [
        f"{attempt['started_at']}  attempt {attempt['number']}  {attempt['channel']} by {attempt['provider']}  {attempt['state']}"
    ]
    if attempt["ref"]:
        words_.append(f"ref {attempt['ref']}")
    if attempt.get("call_id"):
        words_.append(f"in {attempt['call_id']}")
    if attempt["reason"]:
        words_.append(reason_text(attempt["reason"]))
    if attempt["finished_at"]:
        words_.append(f"(answered {attempt['finished_at']})")
    return "  ".join(words_)


@click.command(
    "list",
    cls=Command,
    examples=(
        "sendwright list --state failed --since 24h",
        "sendwright list --channel sms --provider twilio-main --limit 500 --json",
        "sendwright list --doubled",
    ),
)
@click.option("--notification", metavar="ID", help="Of this notification.")
@click.option("--state", metavar="STATE", help="In this state, such as queued or failed.")
@click.option("--channel", metavar="NAME", help="On this channel.")
@click.option("--provider", metavar="NAME", help="With this provider.")
@click.option("--recipient", metavar="ID", help="To this recipient.")
@click.option("--since", type=words.moment, metavar="TIME", help="From this time on: RFC 3339, or how long ago (36h).")
@click.option("--until", type=words.moment, metavar="TIME", help="Before this time.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, metavar="N", help="At most so many.")
@click.option("--doubled", is_flag=True, help="Only what may have been sent twice.")
def list_messages(doubled: bool, limit: int, **filters: str | None) -> None:
    """List messages, newest first; addresses are masked."""
    put_messages(reach().listed("/v1/messages", {**filters, "doubled": True if doubled else None}, limit))


def put_messages(listed: dict[str, Any]) -> None:
    """A list of messages, as a table or as the API's answer."""
    if wants_json():
        put_json(listed)
        return
    headers = ("message", "state", "channel", "provider", "to", "recipient", "updated", "reason")
    rows = [
        [m["id"], m["state"], m["channel"], m["provider"], m["address"], m["recipient"], m["updated_at"], reason_text(m["reason"])]
        for m in listed["data"]
    ]
    put_table(headers, rows)
    say_more(listed)


def say_more(listed: Mapping[str, Any]) -> None:
    """Says that a list goes on, or is empty."""
    if not listed["data"]:
        say("nothing")
    elif listed["next_cursor"] is not None:
        say(f"the first {len(listed['data'])}; there are more (--limit)")


@click.command(
    "tail",
    cls=Command,
    examples=(
        "sendwright tail",
        "sendwright tail --types message.failed,message.in_doubt",
        "sendwright tail --limit 10 --json",
    ),
)
@click.option("--types", metavar="TYPE,…", help="Only these types of event, such as message.failed.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="End after so many.")
def tail(types: str | None, limit: int | None) -> None:
    """Print events as they happen, a line each, until interrupted. With --json, an object a line.

    A stream that breaks is taken up again where it broke.
    """
    count = 0
    try:
        for told in _events(reach(), types):
            put_json({"id": told.id, **told.body}, indent=None) if wants_json() else put(_event(told.body))
            count += 1
            if count == limit:
                return
    except KeyboardInterrupt:
        return


def _events(api: Api, types: str | None) -> Iterator[Any]:
    """Events without an end. The first connection must come about; later ones are waited for."""
    from sendwright.cli.api import NoAnswer  # noqa: PLC0415

    after: str | None = None
    began = False
    while True:
        try:
            for told in api.events(types, after):
                after, began = told.id or after, True
                yield told
            began = True
        except NoAnswer as error:
            if not (began or error.maybe):
                raise
            began = True
            say(f"{str(error).splitlines()[0]}; trying again")
        time.sleep(AGAIN_S)


def _event(body: Mapping[str, Any]) -> str:
    data = body.get("data") or {}
    about = data.get("message") or data.get("notification") or data.get("provider") or ""
    detail = (
        f"{data['setting']} until {data['expires_at']}" if "setting" in data else data.get("detail") or data.get("reason") or ""
    )
    return clean(f"{body.get('timestamp', '')}  {body.get('type', '')}  {about}  {detail}").rstrip()


@click.command("audit", cls=Command, examples=("sendwright audit", "sendwright audit --json"))
def audit() -> None:
    """Recount everything by two independent ways.

    Exit 1 when something is neither settled nor in flight; each such id is named on a line.
    """
    counted = reach().get("/v1/audit", within_s=AUDIT_S)
    if wants_json():
        put_json(counted)
    else:
        put(f"accepted {counted['accepted']}, planned {counted['planned']}, waiting to be planned {counted['waiting']}")
        states = ", ".join(f"{count} {state}" for state, count in counted["by_state"].items())
        put(clean(f"messages {counted['messages']}{f': {states}' if states else ''}"))
        for found in counted["violations"]:
            put(clean(f"violation {found['kind']} {found['id']}: {found['detail']}"))
    if counted["violations"]:
        say(f"{len(counted['violations'])} violations")
        click.get_current_context().exit(1)
    say("everything is accounted for")
