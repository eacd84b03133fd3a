"""The command line: `sendwright COMMAND`.

`up`, `check` and `sandbox` work from the settings; every other command is a client of a running process and speaks
HTTP to it, nothing else. Data goes to stdout, all else to stderr; exit 0 is done, 1 failed or refused, 2 wrong usage.

This room decides nothing that the API doesn't: it asks, waits and shows. `--help` must answer at once, so modules here
import click and the standard library's light parts at their top, and an engine only inside the command that needs it.
"""

from sendwright.cli.root import main

__all__ = ["main"]
