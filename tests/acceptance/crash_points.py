"""The names of all crash points, read from the engine's source."""

from __future__ import annotations

import ast
from pathlib import Path

import sendwright.engine

ENGINE = Path(sendwright.engine.__file__).parent
STORIES = ("accept", "plan", "deliver", "defer", "coach", "settle", "observe", "schedule", "repair", "sieve", "worker", "hands")


def crash_points() -> list[str]:
    """In the order of the stories, each once."""
    names: dict[str, None] = {}
    for story in STORIES:
        for node in ast.walk(ast.parse((ENGINE / f"{story}.py").read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "crashpoint":
                argument = node.args[0]
                assert isinstance(argument, ast.Constant)
                names[argument.value] = None
    return list(names)
