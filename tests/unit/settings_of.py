"""Settings of a text and an environment, loaded in the working directory (which the tests make a fresh one)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sendwright.errors import SettingsError
from sendwright.settings import Loaded, load

KEY = "k" * 32


def loaded(toml: str = "", env: Mapping[str, str] | None = None, **options: Any) -> Loaded:
    Path("given.toml").write_text(toml, encoding="utf-8")
    return load(Path("given.toml"), env or {}, **options)


def faults(toml: str = "", env: Mapping[str, str] | None = None, **options: Any) -> dict[str, str]:
    """What was refused, by where."""
    with pytest.raises(SettingsError) as refused:
        loaded(toml, env, **options)
    return dict(refused.value.faults)
