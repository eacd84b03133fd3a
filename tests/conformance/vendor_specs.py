"""The vendors' own machine-readable specs, from the folder that `VENDOR_SPECS` names. They are never copied here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def vendor_spec(name: str) -> Path:
    """The file `<vendor>/<spec>` of that folder. Where it is missing the test is skipped by name, or fails with `CI=true`."""
    folder = os.environ.get("VENDOR_SPECS", "")
    path = Path(folder) / name
    if folder and path.is_file():
        return path
    what = f"VENDOR_SPECS names no folder that holds {name}"
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)
