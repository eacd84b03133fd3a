"""Where values are written: the file, the environment over it, the command line over both, and `${…}` inside them.

Everything here ends in one tree of `Given` leaves under their path (`("api", "listen")`), each with its origin.
Nothing here knows what a setting means; that is `loading.py`. Faults are collected, never raised, and never hold a
value: any value may be a secret.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from sendwright.settings.kinds import literal

PREFIX = "SENDWRIGHT_"
DEFAULT_FILE = Path("sendwright.toml")

Fault = tuple[str, str]
Keys = tuple[str, ...]

_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_FILE = "file:"


class Given(Struct, frozen=True):
    """A value as it was given. `text`: it came as text and has yet to be read as what its kind asks for."""

    value: Any
    source: str
    where: str
    """What a fault points at: the key in the file, or the variable's or option's name."""
    text: bool = False
    outside: bool = False
    """Given outside the file, so that `where` is no key."""

    def __repr__(self) -> str:
        return f"Given({self.where})"


def read_file(config: Path | None) -> tuple[Path | None, dict[str, Any]]:
    """The file that holds, and its tables. Raises `ValueError` with a text for the operator."""
    file = config or DEFAULT_FILE
    try:
        return file, tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if config is None:
            return None, {}
        raise ValueError("there is no such file") from None
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"is not TOML: {error}") from None
    except (ValueError, RecursionError):
        raise ValueError("is not TOML that can be read: a number too long, or too many levels") from None


def flatten(tables: Mapping[str, Any], source: str) -> dict[Keys, Given]:
    """The leaves of nested tables, in their order. An empty table is a leaf, so that it is not overlooked."""
    leaves: dict[Keys, Given] = {}

    def walk(value: object, path: Keys) -> None:
        if isinstance(value, dict) and (value or not path):
            for name, inner in value.items():
                walk(inner, (*path, name))
        else:
            leaves[path] = Given(value, source, ".".join(path))

    walk(dict(tables), ())
    return leaves


def from_environment(env: Mapping[str, str], file: Mapping[str, Any]) -> dict[Keys, Given]:
    """The variables that are settings: those with `__`. A provider named in the file is recognised first."""
    return {
        keys: Given(env[name], f"environment {name}", name, text=True, outside=True)
        for name in sorted(env)
        if name.startswith(PREFIX) and "__" in name
        for keys in [_keys(name.removeprefix(PREFIX).lower(), _names(file))]
    }


def _names(file: Mapping[str, Any]) -> list[str]:
    providers = file.get("providers")
    return sorted(providers, key=len, reverse=True) if isinstance(providers, dict) else []


def _keys(rest: str, names: Iterable[str]) -> Keys:
    head, _, tail = rest.partition("__")
    if head == "replies":  # by a provider's name too
        name, _, key = tail.partition("__")
        return (head, *([name.replace("_", "-")] if name else []), *_parts(key))
    if head != "providers":
        return tuple(rest.split("__"))
    for name in names:
        written = name.lower().replace("-", "_")
        if tail == written or tail.startswith(written + "__"):
            return ("providers", name, *_parts(tail[len(written) + 2 :]))
    name, _, key = tail.partition("__")
    return ("providers", name.replace("_", "-"), *_parts(key))


def _parts(text: str) -> list[str]:
    return text.split("__") if text else []


def open_tables(leaves: Mapping[Keys, Given], is_table: Callable[[Keys], bool]) -> dict[Keys, Given]:
    """Variables that name a whole table (`SENDWRIGHT_RETRY__TTL='{ default = "72h" }'`), taken apart into its leaves."""
    opened: dict[Keys, Given] = {}
    for path, given in leaves.items():
        table = literal(given.value, None) if is_table(path) else None
        if isinstance(table, dict) and table:
            for inner, leaf in flatten(table, given.source).items():
                opened[path + inner] = Given(leaf.value, given.source, given.where, outside=True)
        else:
            opened[path] = given
    return opened


def overlay(under: Mapping[Keys, Given], over: Mapping[Keys, Given]) -> dict[Keys, Given]:
    """Both, the second winning: a leaf replaces what lies at, above or below its place."""
    merged = dict(under)
    for path, given in over.items():
        if path not in merged:
            merged = {kept: leaf for kept, leaf in merged.items() if kept[: len(path)] != path and path[: len(kept)] != kept}
        merged[path] = given
    return merged


def resolve(leaves: Mapping[Keys, Given], env: Mapping[str, str]) -> tuple[dict[Keys, Given], dict[Keys, Fault]]:
    """The leaves with every `${NAME}` and `${file:/path}` replaced, and the faults of those that could not be."""
    resolved: dict[Keys, Given] = {}
    faults: dict[Keys, Fault] = {}
    for path, given in leaves.items():
        try:
            value, replaced = _resolve(given.value, env)
        except _Unresolved as problem:
            faults[path] = (given.where, str(problem))
        else:
            resolved[path] = structs.replace(given, value=value, text=given.text or replaced)
    return resolved, faults


class _Unresolved(Exception):
    """A reference that leads nowhere."""


def _resolve(value: object, env: Mapping[str, str]) -> tuple[Any, bool]:
    if isinstance(value, str):
        text = _REFERENCE.sub(lambda match: _one(match, env), value)
        return text, text != value
    if isinstance(value, list):
        return [_resolve(item, env)[0] for item in value], False
    if isinstance(value, dict):
        return {name: _resolve(item, env)[0] for name, item in value.items()}, False
    return value, False


def _one(match: re.Match[str], env: Mapping[str, str]) -> str:
    if match[1] is None:
        return "${"
    name, closed = match[1], match[2]
    if closed and name.startswith(_FILE):
        return _content(name.removeprefix(_FILE))
    if not closed or not _NAME.fullmatch(name):
        raise _Unresolved("holds a ${ that is neither ${NAME} nor ${file:/path}; write $${ where it is meant as it stands")
    if name not in env:
        raise _Unresolved(f"the environment variable {name} is not set")
    return env[name]


def _content(path: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise _Unresolved(f"the file {path} can't be read: {error.strerror}") from None
    except ValueError:
        raise _Unresolved(f"the file {path!r} is not text in UTF-8") from None
    return text.removesuffix("\n").removesuffix("\r")
