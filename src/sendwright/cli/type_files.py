"""Types as files: `NAME.toml` or `NAME.json`, with long texts in files beside it; and layouts, likewise, in the folder `layouts`
among them.

A file holds what is put: the body of `PUT /v1/types/{name}`. Inside of its content, `{"file": "NAME.email.html"}` in the place of a
text takes that from the file of this name in the same folder. Here a layout is called `layouts/NAME`.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sendwright.errors import OperatorError

Body = dict[str, Any]
_DEFAULTS: Body = {"description": "", "category": "transactional", "priority": "normal", "schema": None, "plan": None, "ttl": None}
_LAYOUT_DEFAULTS: Body = {"description": "", "html": None, "text": None, "locales": {}}
LAYOUTS = "layouts/"
"""What the names of layouts begin with."""
_OF_THE_STORE = ("name", "version", "created_at")
LONG = 80
"""Characters from which a text gets a file of its own; HTML and texts of several lines always do."""


def names_in(folder: Path) -> list[str]:
    """The layouts that a folder holds, and then the types. Raises `OperatorError` where it can't be read, or one is there
    twice."""
    if not folder.is_dir():
        raise OperatorError(f"{folder} is no folder")
    layouts = folder / LAYOUTS
    return [*(f"{LAYOUTS}{name}" for name in (_names_in(layouts) if layouts.is_dir() else ())), *_names_in(folder)]


def _names_in(folder: Path) -> list[str]:
    names = [path.stem for path in folder.iterdir() if path.suffix in (".toml", ".json") and path.is_file()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise OperatorError(f"{', '.join(twice)}: there as TOML and as JSON; one must go")
    return sorted(names)


def read(folder: Path, name: str) -> Body:
    """A type or layout as it is to be put. Raises `OperatorError` with what is wrong with its files."""
    toml, plain = folder / f"{name}.toml", folder / f"{name}.json"
    path = toml if toml.is_file() else plain
    try:
        text = path.read_text("utf-8")
        body = tomllib.loads(text) if path is toml else json.loads(text)
    except (OSError, ValueError) as error:
        raise OperatorError(f"{path}: {error.strerror if isinstance(error, OSError) else error}") from error
    if not isinstance(body, dict):
        raise OperatorError(f"{path}: must hold an object")
    if name.startswith(LAYOUTS):
        return {key: _joined(part, lambda file: _text_of(path.parent, path, file)) for key, part in body.items()}
    if "content" in body:
        body["content"] = _joined(body["content"], lambda file: _text_of(folder, path, file))
    return body


def write(folder: Path, name: str, body: Mapping[str, Any]) -> list[Path]:
    """Writes a type or layout as JSON, its long texts beside it. Returns the files."""
    if (folder / f"{name}.toml").exists():
        raise OperatorError(f"{folder / name}.toml is there, and says something else: what is pulled is written as JSON")
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    files: dict[str, str] = {}
    defaults = _LAYOUT_DEFAULTS if name.startswith(LAYOUTS) else _DEFAULTS
    slim = {key: value for key, value in plain(name, body).items() if defaults.get(key, UNSAID) != value}
    if name.startswith(LAYOUTS):
        slim = {key: _parted(part, (name, key), files) if key != "description" else part for key, part in slim.items()}
    else:
        slim["content"] = _parted(slim.get("content", {}), (name,), files)
    files[f"{name}.json"] = json.dumps(slim, indent=2, ensure_ascii=False) + "\n"
    for file, text in files.items():
        (folder / file).write_text(text, "utf-8", newline="")
    return [folder / file for file in sorted(files)]


UNSAID = object()


def plain(name: str, body: Mapping[str, Any]) -> Body:
    """A type or layout by what it says alone, so that one of a file and one of the store can be compared."""
    said = {key: value for key, value in body.items() if key not in _OF_THE_STORE}
    if name.startswith(LAYOUTS):
        return {**_LAYOUT_DEFAULTS, **said, "locales": _pruned(said.get("locales") or {})}
    return {**_DEFAULTS, **said, "content": _pruned(said.get("content"))}


def differences(here: Any, there: Any, path: str = "#") -> Iterator[str]:
    """Pointers of what differs."""
    if isinstance(here, dict) and isinstance(there, dict):
        for key in sorted({*here, *there}):
            yield from differences(here.get(key), there.get(key), f"{path}/{key}")
    elif here != there:
        yield path


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: inner for key, part in value.items() if (inner := _pruned(part)) not in (None, {}, [])}
    return [_pruned(part) for part in value] if isinstance(value, list) else value


def _joined(value: Any, text_of: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        if set(value) == {"file"} and isinstance(value["file"], str):
            return text_of(value["file"])
        return {key: _joined(part, text_of) for key, part in value.items()}
    return [_joined(part, text_of) for part in value] if isinstance(value, list) else value


def _text_of(folder: Path, path: Path, file: str) -> str:
    if Path(file).name != file:
        raise OperatorError(f"{path}: {file[:100]} must be a file of the same folder")
    try:
        return (folder / file).read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"{path}: {file}: {error.strerror if isinstance(error, OSError) else 'it is not UTF-8'}") from error


def _parted(value: Any, path: tuple[str, ...], files: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _parted(part, (*path, key), files) for key, part in value.items()}
    if isinstance(value, str) and (path[-1] == "html" or len(value) > LONG or "\n" in value):
        stem = path[:-1] if path[-1] == "html" or (path[-1] == "text" and path[0].startswith(LAYOUTS)) else path
        file = ".".join([*stem, "html" if path[-1] == "html" else "txt"])
        files[file] = value
        return {"file": file.removeprefix(LAYOUTS)}
    return value
