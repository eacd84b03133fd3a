"""Which Python `make install` takes: the first on PATH, unless another of its version is clearly quicker."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "interpreter"


def said(tmp_path: Path, *interpreters: tuple[str, str]) -> subprocess.CompletedProcess[str]:
    """Each is a name and the line that its probe prints; they lie on PATH in this order, nothing of the machine's does."""
    folders = []
    for number, (name, line) in enumerate(interpreters):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / name).write_text(f"#!/bin/sh\n{f'echo {line}' if line else 'exit 1'}\n")
        (folder / name).chmod(0o755)
        folders.append(str(folder))
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("awk", "sh"):
        (tools / tool).symlink_to(f"/usr/bin/{tool}")
    return subprocess.run(
        ["/bin/bash", str(SCRIPT)], env={"PATH": ":".join([*folders, str(tools)])}, capture_output=True, text=True, timeout=30
    )


@pytest.mark.parametrize(
    ("interpreters", "chosen"),
    [
        ([("python3.11", "3.11 0.020 /a"), ("python3.11", "3.11 0.019 /b")], "/a"),
        ([("python3.11", "3.11 0.020 /a"), ("python3.11", "3.11 0.012 /b")], "/b"),
        ([("python3.11", "3.11 0.020 /a"), ("python3.11", "3.11 0.012 /b"), ("python3.11", "3.11 0.011 /c")], "/b"),
        ([("python3.11", ""), ("python3.11", "3.11 0.030 /b")], "/b"),
        ([("python3.11", ""), ("python3.12", "3.12 0.030 /b")], "/b"),
        ([("python3.12", "3.12 0.010 /a"), ("python3.11", "3.11 0.030 /b")], "/b"),
        ([("python3", "3.13 0.010 /a"), ("python3", "3.11 0.005 /b")], "/a"),
    ],
    ids=["hardly quicker", "quicker", "quickest but hardly", "broken shim", "next name", "3.11 first", "another version"],
)
def test_the_first_stays_unless_another_of_its_version_is_clearly_quicker(
    tmp_path: Path, interpreters: list[tuple[str, str]], chosen: str
) -> None:
    answer = said(tmp_path, *interpreters)
    assert (answer.stdout.strip(), answer.returncode) == (chosen, 0)


def test_without_any_it_says_what_is_wanted(tmp_path: Path) -> None:
    answer = said(tmp_path, ("python3.11", ""))
    assert answer.returncode == 1
    assert "3.11 or newer" in answer.stderr
