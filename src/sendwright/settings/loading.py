"""From what was given to frozen settings: each leaf finds its row, is checked by its kind, and joins its section.

Every fault is listed, none stops the search: unknown keys with the nearest name, wrong values, providers that their
adapter refuses, and then what contradicts (`relations.py`). A fault's text never holds a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from sendwright.errors import SettingsError
from sendwright.policy.replying import Texts
from sendwright.providers.contract import EVERY_CHANNEL
from sendwright.settings import kinds, relations, shapes, sources
from sendwright.settings.engines import EngineUrl
from sendwright.settings.kinds import Bad
from sendwright.settings.shapes import Loaded, ProviderTable, RouteSettings, Settings
from sendwright.settings.sources import Fault, Given, Keys
from sendwright.settings.table import (
    COMMON,
    NOT_YET,
    PROVIDER_LISTS,
    PROVIDER_NAME,
    PROVIDER_NOT_YET,
    PROVIDER_NUMBERS,
    REPLIES,
    ROUTE,
    SECTIONS,
    SETTINGS,
    Setting,
)

DEFAULT_DATA = Path("data")
LATER = "not supported yet by this version"

UNREAD = "unread"
"""Stands for a provider's value that could not be read, so that its adapter does not call it missing."""

CheckProvider = Callable[[str, dict[str, Any]], Iterable[Fault]]
"""Given a provider's name and table, what is wrong with it: (where, what), the key's name or the whole path as where."""

_ROWS: dict[Keys, Setting] = {(row.section, *row.name.split(".")): row for row in SETTINGS}
_TABLES = {path[:depth] for path in _ROWS for depth in range(1, len(path))}
_NAMED = {"providers": "providers.twilio-main", "routes": "routes.sms", "replies": "replies.telegram"}
_STRUCTS: dict[str, type] = {section.name: getattr(shapes, section.name.capitalize()) for section in SECTIONS}
_NAMED_ROWS = {"routes": {row.name: row for row in ROUTE}, "replies": {row.name: row for row in REPLIES}}
_COMMON_ROWS = {row.name: row for row in COMMON}


def _no_check(_name: str, _table: dict[str, Any]) -> Iterable[Fault]:
    return ()


def load(
    config: Path | None,
    env: Mapping[str, str],
    data: Path | None = None,
    listen: str | None = None,
    *,
    check_provider: CheckProvider = _no_check,
    channels: Sequence[str] = EVERY_CHANNEL,
) -> Loaded:
    """The settings of the file (`config`, else ./sendwright.toml where there is one), with `env` over it and `listen`
    over both. Raises `SettingsError` with every fault. `channels` are those that exist, plugins' included."""
    try:
        file, tables = sources.read_file(config)
    except ValueError as problem:
        raise SettingsError([(str(config or sources.DEFAULT_FILE), str(problem))]) from None
    leaves, unresolved = _given(file, tables, env, listen)
    reading = _Reading(unresolved, data or DEFAULT_DATA)
    for path, leaf in leaves.items():
        reading.take(path, leaf)
    settings = reading.settings(check_provider)
    reading.faults += relations.contradictions(settings, channels, reading.sound)
    if reading.faults:
        raise SettingsError(list(dict.fromkeys(reading.faults)))
    reading.sources["data"] = "default" if data is None else "command line --data"
    return Loaded(settings=settings, sources=reading.sources, file=file)


def _given(
    file: Path | None, tables: dict[str, Any], env: Mapping[str, str], listen: str | None
) -> tuple[dict[Keys, Given], dict[Keys, Fault]]:
    leaves = sources.flatten(tables, str(file))
    leaves = sources.overlay(leaves, sources.open_tables(sources.from_environment(env, tables), _is_table))
    leaves, unresolved = sources.resolve(leaves, env)
    if listen is not None:
        leaves["api", "listen"] = Given(listen, "command line --listen", "--listen", text=True, outside=True)
        unresolved.pop(("api", "listen"), None)
    return leaves, unresolved


def _is_table(path: Keys) -> bool:
    return path in _TABLES or (path[0] in _NAMED and len(path) == 2)


class _Reading:
    """What has been read so far: values by row, providers, routes, origins, faults."""

    def __init__(self, unresolved: Mapping[Keys, Fault], data: Path) -> None:
        self.faults = list(unresolved.values())
        self.data = data
        self.sources: dict[str, str] = {row.key: "default" for row in SETTINGS}
        self._values: dict[str, Any] = {row.key: _default(row) for row in SETTINGS}
        self._providers: dict[str, ProviderTable] = {}
        self._tables: dict[str, dict[str, dict[str, Any]]] = {"routes": {}, "replies": {}}
        self._unsound: set[str] = {".".join(path) for path in unresolved}
        for path in unresolved:
            if path[0] == "providers" and len(path) > 1:
                self._providers[path[1]] = ProviderTable()

    def sound(self, *keys: str) -> bool:
        """False when one of these could not be read: then what contradicts it is not worth saying."""
        return not self._unsound.intersection(keys)

    def take(self, path: Keys, leaf: Given) -> None:
        """Sorts one leaf in, or notes what is wrong with it."""
        row = _ROWS.get(path)
        if path[0] in NOT_YET:
            self._fault(path[:1], leaf, f"[{path[0]}] is {LATER}")
        elif path[0] in _NAMED:
            self._take_named(path, leaf)
        elif row is not None:
            self._values[row.key] = self._read(row, row.key, leaf)
            self.sources[row.key] = leaf.source
        elif path not in _TABLES:
            self._fault(path if path[0] in _STRUCTS else path[:1], leaf, _unknown(path))
        elif leaf.value != {}:
            self._fault(path, leaf, "expected a table")

    def _take_named(self, path: Keys, leaf: Given) -> None:
        if len(path) <= 2 and leaf.value != {}:
            self._fault(path, leaf, f"expected a table, such as [{_NAMED[path[0]]}]")
        elif len(path) >= 2 and path[0] == "providers":
            self._take_provider(path[1], path[2:], leaf)
        elif len(path) >= 2:
            self._take_entry(path[0], path[1], path[2:], leaf)

    def _take_provider(self, name: str, keys: Keys, leaf: Given) -> None:
        table = self._providers.setdefault(name, ProviderTable())
        if not re.fullmatch(PROVIDER_NAME, name):
            self._fault(
                ("providers", name), leaf, "a provider's name is a small letter, then small letters, digits and -, 63 in all"
            )
        elif keys and keys[0] in PROVIDER_NOT_YET:
            self._fault(("providers", name, keys[0]), leaf, f"`{keys[0]}` is {LATER}")
        elif keys:
            key = ".".join(("providers", name, *keys))
            row = _COMMON_ROWS.get(keys[0]) if len(keys) == 1 else None
            value = self._read(row, key, leaf) if row else _provider_value(keys, leaf)
            _put(table, keys, value)
            self.sources[key] = leaf.source

    def _take_entry(self, section: str, name: str, keys: Keys, leaf: Given) -> None:
        """Of a route, or of what is answered to replies."""
        table, rows = self._tables[section].setdefault(name, {}), _NAMED_ROWS[section]
        row = rows.get(".".join(keys))
        if row is not None:
            key = f"{section}.{name}.{row.name}"
            table[row.name] = self._read(row, key, leaf)
            self.sources[key] = leaf.source
        elif keys:
            self._fault((section, name, *keys), leaf, f"unknown key{_nearest(keys[0], rows)}")

    def _read(self, row: Setting, key: str, leaf: Given) -> Any:
        """The leaf's value as the row's kind wants it; the default when it is not that, with a fault. Where there is no
        default, an empty text means: not set."""
        if leaf.value == "" and row.default is None:
            return None
        try:
            return row.kind.of_text(leaf.value) if leaf.text else row.kind.of_file(leaf.value)
        except Bad as problem:
            self.faults.append((leaf.where, str(problem)))
            self._unsound.add(key)
            return _default(row)

    def _fault(self, path: Keys, leaf: Given, what: str) -> None:
        key = ".".join(path)
        self.faults.append((leaf.where if leaf.outside else key, what))
        self._unsound.add(key)

    def settings(self, check_provider: CheckProvider) -> Settings:
        """The frozen settings, faults or not; what could not be read has its default."""
        default_url = EngineUrl(f"sqlite:///{self.data}/sendwright.db")
        for key in ("bus.url", "store.url"):
            self._values[key] = self._values[key] or default_url
        for name, table in self._providers.items():
            self._check(name, table, check_provider)
        routes = {channel: self._route(channel, given) for channel, given in self._tables["routes"].items()}
        return Settings(
            **{section.name: self._section(section.name) for section in SECTIONS},
            providers=self._providers,
            routes=routes,
            replies={name: Texts(**given) for name, given in self._tables["replies"].items()},
            data=self.data,
        )

    def _check(self, name: str, table: ProviderTable, check_provider: CheckProvider) -> None:
        prefix = f"providers.{name}"
        if not self.sound(prefix):
            return
        unread = {key.removeprefix(prefix + ".") for key in self._unsound if key.startswith(prefix + ".")}
        known = {key: value for key, value in table.items() if value is not None}
        whole = dict.fromkeys(unread - PROVIDER_NOT_YET - _COMMON_ROWS.keys(), UNREAD) | known
        for where, what in check_provider(name, whole):
            full = where if where == prefix or where.startswith(prefix + ".") else f"{prefix}.{where}".rstrip(".")
            if self.sound(full):
                self.faults.append((full, what))

    def _route(self, channel: str, given: dict[str, Any]) -> RouteSettings:
        key = f"routes.{channel}"
        if given.get("providers") is None and self.sound(key, f"{key}.providers"):
            self.faults.append((key, "names no providers"))
        return RouteSettings(providers=given.get("providers") or (), policy=given.get("policy", "order"))

    def _section(self, name: str) -> Any:
        members: dict[str, Any] = {}
        for row in SETTINGS:
            if row.section != name:
                continue
            entry = row.name.partition(".")[2]
            value = self._values[row.key]
            if not entry:
                members[row.attribute] = value
            elif value is not None:
                members.setdefault(row.attribute, {})[entry] = value
        return _STRUCTS[name](**members)


def _put(table: dict[str, Any], keys: Keys, value: Any) -> None:
    for key in keys[:-1]:
        table = table.setdefault(key, {})
    table[keys[-1]] = value


def _default(row: Setting) -> Any:
    """A row's default as the program wants it."""
    if row.default is None or row.kind.shape == "list":
        return row.default
    return row.kind.of_file(row.default)


def _provider_value(keys: Keys, leaf: Given) -> Any:
    """A provider's own setting. What came as text stays text, unless that setting is known to be something else."""
    if not leaf.text or len(keys) > 1:
        return leaf.value
    try:
        if keys[0] in PROVIDER_LISTS:
            return list(kinds.TEXTS.of_text(leaf.value))
        return PROVIDER_NUMBERS[keys[0]].of_text(leaf.value) if keys[0] in PROVIDER_NUMBERS else leaf.value
    except Bad:
        return leaf.value


def _unknown(path: Keys) -> str:
    row = next((_ROWS[path[:depth]] for depth in range(2, len(path)) if path[:depth] in _ROWS), None)
    if row is not None:
        return f"expected {row.kind.label} and not a table"
    name = ".".join(path[1:] if path[0] in _STRUCTS else path[:1])
    homes = [f"[{home.section}]" for home in SETTINGS if home.name == name]
    if homes:
        return f"unknown key here; it belongs to {' or '.join(homes)}"
    if path[0] not in _STRUCTS:
        return f"unknown section{_nearest(path[0], {*_STRUCTS, *_NAMED})}"
    return f"unknown key{_nearest(name, ('.'.join(known[1:]) for known in _ROWS if known[0] == path[0]))}"


def _nearest(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name.lower(), sorted(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""
