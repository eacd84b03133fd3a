"""Planting one mistake in a copy of the product, and running a few tests over it.

The tests run in a process of their own, whose `sendwright` is the copy; a plugin that lies beside the copy makes sure of
that, for the product itself is installed as well.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
LIMIT_S = 240
"""A mistake may make a test hang; each test has its own, lower limit."""
FAILED = 1
"""pytest's exit code for: tests ran, and some failed. Every other is no catch: nothing collected, the product not importable."""
NOT_THE_COPY = 70

_PLUGIN = f"""
from pathlib import Path

def pytest_sessionfinish(session):
    import sendwright
    if Path(sendwright.__file__).parents[1] != Path(__file__).parent / "src":
        session.exitstatus = {NOT_THE_COPY}
"""


class Edit(NamedTuple):
    """In this file, this text, which stands there once, becomes that."""

    file: str
    """Below src/sendwright."""
    old: str
    new: str


class Mutant(NamedTuple):
    name: str
    edits: Sequence[Edit]
    tests: Sequence[str]
    """Below tests; at least one of them has to fail."""
    over: str = ""
    """A pytest expression that chooses among their parameters: a backend."""


class Ran(NamedTuple):
    code: int
    """pytest's exit code."""
    failed: Sequence[str]
    """Node ids."""
    said: str
    """The end of what it printed."""


def copy_to(place: Path) -> None:
    """The product as it is, to be edited in `place`. What is compiled comes along: it is known by its source's time and size."""
    shutil.copytree(ROOT / "src", place / "src")
    (place / "only_the_copy.py").write_text(_PLUGIN)


def plant(place: Path, edit: Edit) -> None:
    """Raises `AssertionError` where the text does not stand exactly once."""
    path = place / "src" / "sendwright" / edit.file
    source = path.read_text()
    count = source.count(edit.old)
    assert count == 1, f"{edit.old!r} stands {count} times in {edit.file}"
    path.write_text(source.replace(edit.old, edit.new))


def run(place: Path, tests: Sequence[str], over: str = "") -> Ran:
    """These tests, over the copy in `place`, until the first that fails."""
    options = ["-x", "-q", "-rf", "--timeout", "60", "-p", "only_the_copy", "-p", "no:schemathesis", "-p", "no:cacheprovider"]
    chosen = ["-k", over] if over else []
    within = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    within |= {"PYTHONPATH": f"{place / 'src'}{os.pathsep}{place}", "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *chosen, *(f"tests/{test}" for test in tests)],
        cwd=ROOT,
        env=within,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    return Ran(ran.returncode, re.findall(r"^FAILED (\S+)", ran.stdout, re.MULTILINE), ran.stdout[-3000:] + ran.stderr[-1000:])
