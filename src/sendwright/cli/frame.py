"""What every command has: `--config`, examples in its help, `--json` and `--data` where they mean something, exit codes.

The three options are remembered for the whole call, so that `providers --config F disable NAME` and
`providers disable NAME --config F` are the same. What goes wrong on purpose ends here: its text to stderr, exit 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from sendwright.cli.shown import say
from sendwright.errors import SendwrightError, SettingsError

_CONFIG = "sendwright.config"
_DATA = "sendwright.data"
_JSON = "sendwright.json"


def settings_file() -> Path | None:
    """The file of `--config`, if one was named."""
    found: Path | None = click.get_current_context().meta.get(_CONFIG)
    return found


def data_folder() -> Path | None:
    """The folder of `--data`, if one was named."""
    found: Path | None = click.get_current_context().meta.get(_DATA)
    return found


def wants_json() -> bool:
    """Whether `--json` was given."""
    return bool(click.get_current_context().meta.get(_JSON))


def _remembered(key: str, flags: Sequence[str], text: str, **more: Any) -> click.Option:
    def remember(ctx: click.Context, _parameter: click.Parameter, value: Any) -> None:
        if value:
            ctx.meta[key] = value

    return click.Option(list(flags), expose_value=False, callback=remember, help=text, **more)


def _shared(*, json: bool, data: bool) -> list[click.Parameter]:
    options: list[click.Parameter] = []
    if json:
        options.append(_remembered(_JSON, ["--json"], "Print JSON.", is_flag=True))
    if data:
        text = "The data folder, which holds the admin key.  [default: data]"
        options.append(_remembered(_DATA, ["--data"], text, type=click.Path(file_okay=False, path_type=Path), metavar="DIR"))
    text = "The settings file.  [default: sendwright.toml, where there is one]"
    options.append(_remembered(_CONFIG, ["--config"], text, type=click.Path(path_type=Path), metavar="FILE"))
    return options


def _write_examples(formatter: click.HelpFormatter, examples: Sequence[str]) -> None:
    if examples:
        with formatter.section("Examples"):
            for example in examples:
                formatter.write(f"{'':{formatter.current_indent}}{example}\n")


class Command(click.Command):
    """A command. `examples` are whole lines for its help; `json` and `data` say whether it takes these options."""

    def __init__(self, *args: Any, examples: Sequence[str], json: bool = True, data: bool = True, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.examples = tuple(examples)
        self.params += _shared(json=json, data=data)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _write_examples(formatter, self.examples)


class Group(click.Group):
    """A command with commands under it; alone it does its first one's work."""

    def __init__(self, *args: Any, examples: Sequence[str], **settings: Any) -> None:
        super().__init__(*args, **{"invoke_without_command": True, **settings})
        self.examples = tuple(examples)
        self.params += _shared(json=True, data=True)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _write_examples(formatter, self.examples)


class Root(click.Group):
    """The outermost one: lists commands in their own order, and turns what was raised on purpose into exit 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SendwrightError as error:
            _tell(error)
            raise click.exceptions.Exit(1) from None


def _tell(error: SendwrightError) -> None:
    """Why it failed, on stderr: every fault of the settings on a line of its own."""
    if not isinstance(error, SettingsError):
        say(f"sendwright: {error}")
        return
    say(f"sendwright: the settings have {len(error.faults)} fault{'' if len(error.faults) == 1 else 's'}:")
    for where, what in error.faults:
        say(f"  {where}: {what}")
