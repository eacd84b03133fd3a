"""The engine's crash points, bent for a simulation: whoever passes one may die there, at once and without any clean-up."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sendwright.engine
from sendwright.engine import crash
from simulation.loop import OWNER

_MODULES = [
    importlib.import_module(f"sendwright.engine.{found.name}") for found in pkgutil.iter_modules(sendwright.engine.__path__)
]
STORIES = [module for module in _MODULES if module is not crash and hasattr(module, "crashpoint")]


class Killed(BaseException):
    """It is dead. What unwinds by this runs in a life of which nothing gets through any more."""


def passed(name: str) -> None:
    """In place of `crashpoint`."""
    life: Any = OWNER.get()
    if life is None or life.fuse is None:
        return
    life.fuse -= 1
    if life.fuse <= 0:
        life.world.killed_at(life, name)
        raise Killed


@contextmanager
def bent() -> Iterator[None]:
    """While a simulation runs."""
    originals = [(module, module.crashpoint) for module in STORIES]
    for module in STORIES:
        module.crashpoint = passed  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for module, original in originals:
            module.crashpoint = original  # type: ignore[attr-defined]
