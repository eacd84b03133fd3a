"""The effective settings as rows to print: name, value with secrets masked, unit, origin, help.

A provider's own settings are masked unless they are known to be no secret in any kind, so that a plugin's secret is
never shown for want of a list.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from sendwright.settings import kinds
from sendwright.settings.engines import EngineUrl
from sendwright.settings.shapes import Loaded, Settings
from sendwright.settings.table import COMMON, PROVIDER_SHOWN, REPLIES, ROUTE, SETTINGS, Setting

MASK = "***"
UNSET = ""


class Row(Struct, frozen=True):
    """One effective setting. `value` is as one would write it in TOML, `***` for a secret, empty when it is not set."""

    name: str
    value: str
    unit: str
    source: str
    help: str


def describe(loaded: Loaded) -> list[Row]:
    """Every setting in the order of the table, then providers, routes and answers in the order of the file."""
    settings = loaded.settings
    data = Row("data", toml(str(settings.data)), "", loaded.sources["data"], "The folder of database and keys.")
    table = [Row(row.key, _shown(row, value(settings, row)), row.unit, loaded.sources[row.key], row.help) for row in SETTINGS]
    return [data, *table, *_providers(loaded), *_routes(loaded), *_replies(loaded)]


def value(settings: Settings, row: Setting) -> Any:
    """What the settings hold for a row; None when it is not set."""
    held = getattr(getattr(settings, row.section), row.attribute)
    entry = row.name.partition(".")[2]
    return held.get(entry) if entry else held


def toml(given: object) -> str:
    """A value as one would write it in TOML."""
    if isinstance(given, list | tuple):
        return f"[{', '.join(toml(item) for item in given)}]"
    if isinstance(given, dict):
        return f"{{ {', '.join(f'{json.dumps(str(name))} = {toml(item)}' for name, item in given.items())} }}" if given else "{}"
    if isinstance(given, bool):
        return str(given).lower()
    if isinstance(given, float):
        return f"{given:g}" if abs(given) < 1e6 else repr(given)
    if isinstance(given, int):
        return str(given)
    return json.dumps(str(given), ensure_ascii=False)


def duration(seconds: int) -> str:
    """Seconds as people write them, in the largest unit that leaves no rest."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _shown(row: Setting, held: Any) -> str:
    if held is None or (row.secret and not held):
        return UNSET
    if row.secret:
        return MASK if not isinstance(held, tuple) else f"[{', '.join(MASK for _ in held)}]"
    if isinstance(held, EngineUrl):
        return toml(held.shown)
    return toml(duration(held) if row.kind is kinds.DURATION else held)


def _providers(loaded: Loaded) -> Iterator[Row]:
    helps = {row.name: row for row in COMMON}
    for provider, table in loaded.settings.providers.items():
        for name, held in table.items():
            if held is None:
                continue
            row = helps.get(name)
            key = f"providers.{provider}.{name}"
            yield Row(key, _of_provider(name, held), row.unit if row else "", _origin(loaded, key), row.help if row else "")


def _of_provider(name: str, held: Any) -> str:
    return toml(held) if name in PROVIDER_SHOWN else MASK


def _origin(loaded: Loaded, key: str) -> str:
    """The origin of a value; of a table, those of its entries."""
    if key in loaded.sources:
        return loaded.sources[key]
    inner = [source for name, source in loaded.sources.items() if name.startswith(key + ".")]
    return ", ".join(dict.fromkeys(inner))


def _routes(loaded: Loaded) -> Iterator[Row]:
    for channel, route in loaded.settings.routes.items():
        for row in ROUTE:
            key = f"routes.{channel}.{row.name}"
            yield Row(key, toml(getattr(route, row.name)), row.unit, loaded.sources.get(key, "default"), row.help)


def _replies(loaded: Loaded) -> Iterator[Row]:
    for name, texts in loaded.settings.replies.items():
        for row in REPLIES:
            key, text = f"replies.{name}.{row.name}", getattr(texts, row.name)
            if text is not None:
                yield Row(key, toml(text), row.unit, loaded.sources.get(key, "default"), row.help)
