"""The lock file has what pyproject asks for: `make install` installs from it alone."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

HERE = Path(__file__).parents[2]


def _name(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]).lower()


def test_everything_that_is_asked_for_is_locked() -> None:
    project = tomllib.loads((HERE / "pyproject.toml").read_text())
    asked = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    locked = set(re.findall(r"^([a-z0-9-]+)==", (HERE / "requirements.lock").read_text(), re.MULTILINE))

    assert {_name(requirement) for requirement in asked} - locked == set()
