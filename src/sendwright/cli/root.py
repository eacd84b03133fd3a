"""The command itself: its name, its version, and the commands it knows, in the order in which one needs them."""

from __future__ import annotations

import click

import sendwright
from sendwright.cli.backing import backup
from sendwright.cli.checking import check
from sendwright.cli.endpoints import endpoints
from sendwright.cli.frame import Root
from sendwright.cli.handling import dead, doubts
from sendwright.cli.keying import keys
from sendwright.cli.looking import audit, list_messages, show, tail
from sendwright.cli.moving import move
from sendwright.cli.ordering import route
from sendwright.cli.providing import providers
from sendwright.cli.recipients import recipients
from sendwright.cli.restoring import restore
from sendwright.cli.sending import send
from sendwright.cli.serving import api, migrate, sandbox, scheduler, up, worker
from sendwright.cli.suppressions import suppressions
from sendwright.cli.types import types

COMMANDS: tuple[click.Command, ...] = (
    up,
    api,
    worker,
    scheduler,
    migrate,
    move,
    check,
    send,
    show,
    list_messages,
    tail,
    providers,
    route,
    types,
    recipients,
    suppressions,
    endpoints,
    dead,
    doubts,
    keys,
    audit,
    backup,
    restore,
    sandbox,
)


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(sendwright.__version__, prog_name="sendwright", message="%(prog)s %(version)s")
def root() -> None:
    """Notification infrastructure that you run yourself.

    `up` starts everything; the others look at it and steer it. They call SENDWRIGHT_URL (else the settings' listen
    address) with SENDWRIGHT_KEY (else the admin key of the settings or of the data folder).

    Exit codes: 0 done, 1 failed or refused, 2 wrong usage.
    """


for _command in COMMANDS:
    root.add_command(_command)


def main() -> None:
    """The entry point; ends the process with the command's exit code."""
    root(prog_name="sendwright")
