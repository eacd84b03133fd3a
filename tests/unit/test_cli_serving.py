"""What `up` and `sandbox` print for the person who started them."""

from __future__ import annotations

import os
import subprocess

import pytest

from sendwright.cli.serving import curl_line
from sendwright.settings import address_of


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


def test_the_line_to_try_sends_nothing_where_real_people_would_get_it() -> None:
    words = _as_the_shell_reads_it(curl_line("http://127.0.0.1:8420", "$K", sandbox=False))

    assert words[-1] == "http://127.0.0.1:8420/v1/providers"
    assert "-d" not in words
