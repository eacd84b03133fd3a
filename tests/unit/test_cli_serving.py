"""What `up` and `sandbox` print for the person who started them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sendwright.cli import serving
from sendwright.cli.serving import curl_line
from sendwright.sandbox.options import SandboxOptions
from sendwright.settings import address_of
from tests.unit.cli_server import run


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8420"),
        ("0.0.0.0", "http://127.0.0.1:8420"),
        ("::", "http://[::1]:8420"),
        ("notify.internal", "http://notify.internal:8420"),
    ],
)
def test_an_address_that_listens_everywhere_is_called_on_this_machine(host: str, address: str) -> None:
    assert address_of(host, 8420) == address


def _as_the_shell_reads_it(line: str) -> list[str]:
    """The words of the line, by a shell in which curl only repeats them."""
    script = f"curl() {{ printf '%s\\n' \"$@\"; }}; {line}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, env=os.environ | {"K": "the-key"})
    return done.stdout.splitlines()


def test_the_line_to_try_sends_where_that_reaches_the_sandbox_alone() -> None:
    words = _as_the_shell_reads_it(curl_line("http://127.0.0.1:8420", "$K", sandbox=True))

    assert words[-1] == "http://127.0.0.1:8420/v1/notifications"
    assert "Authorization: Bearer the-key" in words
    assert '{"to":{"phone":"+15005550009"},"content":{"body":"Hello"}}' in words


@pytest.mark.parametrize("config", [None, "[retry]\nbase_s = 2\n"])
def test_the_sandbox_starts_without_a_file_and_with_a_right_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str | None
) -> None:
    # given
    monkeypatch.chdir(tmp_path)
    if config is not None:
        (tmp_path / "sendwright.toml").write_text(config)
    served: list[SandboxOptions] = []

    async def serve(options: SandboxOptions) -> int:
        served.append(options)
        return 0

    monkeypatch.setattr(serving, "_serve_sandbox", serve)
    # when
    ended = run("sandbox", "--listen", "127.0.0.1:9000")
    # then
    assert (ended.exit_code, [(options.host, options.port) for options in served]) == (0, [("127.0.0.1", 9000)])


def test_the_line_to_try_sends_nothing_where_real_people_would_get_it() -> None:
    words = _as_the_shell_reads_it(curl_line("http://127.0.0.1:8420", "$K", sandbox=False))

    assert words[-1] == "http://127.0.0.1:8420/v1/providers"
    assert "-d" not in words
