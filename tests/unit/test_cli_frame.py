"""What every command has: help with examples that work, `--config`, the exit codes, and a quick start."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from sendwright.cli.root import root
from tests.unit.cli_server import run

DOCS = Path(__file__).parents[2] / "docs" / "cli.md"


def _commands(group: click.Group = root, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))


COMMANDS = dict(_commands())
EXAMPLES = [(path, example) for path, command in COMMANDS.items() for example in command.examples]  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_of_this_version_are_there_and_no_other() -> None:
    top = [
        "up",
        "api",
        "worker",
        "scheduler",
        "migrate",
        "move",
        "check",
        "send",
        "show",
        "list",
        "tail",
        "providers",
        "route",
        "types",
        "recipients",
        "suppressions",
        "endpoints",
        "dead",
        "doubts",
        "keys",
        "audit",
        "backup",
        "restore",
        "sandbox",
    ]

    assert list(root.commands) == top
    assert {path for path in COMMANDS if len(path) == 2} == {
        *(("providers", name) for name in ("list", "disable", "enable", "test")),
        *(("recipients", name) for name in ("list", "show", "put", "erase", "export")),
        *(("suppressions", name) for name in ("list", "add", "lookup", "lift")),
        *(("endpoints", name) for name in ("list", "create", "update", "delete", "rotate", "test", "deliveries", "replay")),
        *(("types", name) for name in ("list", "push", "pull", "diff")),
        *(("dead", name) for name in ("list", "replay", "drop")),
        *(("doubts", name) for name in ("list", "resolve")),
        *(("keys", name) for name in ("list", "create", "revoke")),
    }


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_examples_and_takes_a_settings_file(path: tuple[str, ...]) -> None:
    shown = run(*path, "--help")

    assert shown.exit_code == 0
    assert "--config FILE" in shown.stdout
    assert "Examples:\n  sendwright " in shown.stdout


@pytest.mark.parametrize(("path", "example"), EXAMPLES, ids=[example for _, example in EXAMPLES])
def test_every_example_in_the_help_is_right_usage(path: tuple[str, ...], example: str) -> None:
    name, *args = shlex.split(example)
    command: click.Command = root
    while isinstance(command, click.Group) and args and args[0] in command.commands:
        command = command.commands[args.pop(0)]

    with command.make_context("x", args) as ctx:
        assert ctx.command is command

    assert name == "sendwright"
    assert command in {COMMANDS[path], *(COMMANDS[p] for p in COMMANDS if p[: len(path)] == path)}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_and_option_is_on_the_page(path: tuple[str, ...]) -> None:
    page = DOCS.read_text(encoding="utf-8")

    assert f"`{' '.join(path)}" in page
    for parameter in COMMANDS[path].params:
        assert all(f"`{flag}" in page for flag in parameter.opts if flag.startswith("--")), parameter.opts


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "show",
        "send --to +1500555000",
        "send --body x",
        "send --to +15005550009 --body x --wait read",
        "send --to +15005550009 --body x --timeout soon",
        "send --to +15005550009 --body x --priority low",
        "list --limit 0",
        "list --since yesterday",
        "providers disable",
        "dead replay",
        "dead replay msg_1 --all",
        "dead drop --all --channel sms",
        "doubts resolve msg_1",
        "doubts resolve msg_1 --as read",
        "up --listen nowhere",
        "sandbox --latency-ms -1",
        "tail --limit none",
    ],
)
def test_wrong_usage_ends_with_2_and_says_so_on_stderr_alone(line: str) -> None:
    ended = run(*shlex.split(line))

    assert ended.exit_code == 2
    assert ended.stdout == ""
    assert "Error: " in ended.stderr


def test_help_is_there_without_loading_an_engine_a_server_or_a_parser_of_numbers() -> None:
    heavy = "asyncio apsw uvicorn starlette uvloop msgspec rich phonenumbers http.client ssl"
    code = f"import sys, sendwright.cli; print(*[m for m in {heavy.split()!r} if m in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == ""


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "sendwright", "--version"], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("sendwright ")


@pytest.mark.parametrize("line", ["up", "check", "sandbox --listen 127.0.0.1:0", "list", "providers disable x"])
def test_every_fault_of_the_settings_is_on_a_line_of_its_own(line: str, folder: Path) -> None:
    # Given
    (folder / "bad.toml").write_text('[api]\nlisten = "nowhere"\n[worker]\nconcurrency = "many"\n[nonsense]\n')

    # When
    ended = run(*line.split(), "--config", "bad.toml")

    # Then
    assert ended.exit_code == 1
    assert ended.stdout == ""
    assert {"api.listen", "worker.concurrency", "nonsense"} <= {text.strip().split(":")[0] for text in ended.stderr.splitlines()}


def test_the_settings_file_may_be_named_before_the_inner_command_too(folder: Path) -> None:
    (folder / "bad.toml").write_text("[nonsense]\n")

    ended = run("providers", "--config", "bad.toml", "disable", "x")

    assert ended.exit_code == 1
    assert "nonsense" in ended.stderr


@pytest.mark.parametrize("line", ["up", "check", "sandbox --listen 127.0.0.1:0"])
def test_a_providers_own_faults_stop_what_works_from_the_settings(line: str, folder: Path) -> None:
    (folder / "bad.toml").write_text('[providers.p]\nkind = "twilio"\nfrm = "+15005550006"\n')

    ended = run(*line.split(), "--config", "bad.toml")

    assert ended.exit_code == 1
    assert "providers.p.account_sid" in ended.stderr
    assert "providers.p.frm" in ended.stderr
