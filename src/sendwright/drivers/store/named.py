"""Named statements: `-- name: …` blocks of a file, each with its purpose on the next line."""

from __future__ import annotations

import re

from sendwright.model.states import AttemptState, MessageState

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def named(text: str) -> dict[str, str]:
    """The statements of a file, by name."""
    parts = _NAME.split(text)
    return {name: body.strip().rstrip(";") for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def codes(table: type[MessageState | AttemptState]) -> str:
    """The codes of a table of states, for a check constraint."""
    return ", ".join(str(state.value) for state in table)
