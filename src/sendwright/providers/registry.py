"""Finds the kinds of provider, and makes accounts of them from settings.

A built-in kind is a file of this room, named as the kind is; a plugin's is an entry point of the group
`sendwright.providers`. Nothing lists them, so a new one changes nothing else, and an account loads no other kind's file. A
plugin that can't be loaded is named in `survey().broken` and hides nobody; a name is had by whoever comes first, and the
built-in ones come first.

Settings are checked here, all of them at once: every key that is unknown, missing, of the wrong type or at odds with
another one is its own fault, and no fault ever holds a value.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pkgutil import iter_modules
from typing import Any

import msgspec
from msgspec import NODEFAULT, Struct

from sendwright.errors import SettingsError
from sendwright.providers.contract import CommonSettings, Provider, Secret

GROUP = "sendwright.providers"

ROOM = "sendwright.providers"
SHARED = frozenset(
    {
        *(
            "answers",
            "chat",
            "contract",
            "exchange",
            "expiry",
            "forms",
            "jose",
            "letter",
            "mail",
            "meta",
            "mime",
            "plain",
            "redaction",
        ),
        *("registry", "secret", "signing", "sigv4", "sns", "styling", "throttle"),
    }
)
"""Files of this room that are no kind: what several kinds lean on."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}", re.ASCII)
_BASE_URL = re.compile(r"https?://[^\s/?#@\x00-\x20\x7f]+(/[^\s?#\x00-\x20\x7f]*)?", re.ASCII | re.IGNORECASE)
_RATE = re.compile(r"[1-9][0-9]{0,8}/(s|min|h|day)", re.ASCII)

Fault = tuple[str, str]


class Survey(Struct, frozen=True):
    """The kinds that work, and why the others don't, by name."""

    kinds: dict[str, type[Provider]]
    broken: dict[str, str]


def kinds() -> dict[str, type[Provider]]:
    """Every kind that works, by name, in the order of their names."""
    return dict(survey().kinds)


@cache
def built_in() -> dict[str, str]:
    """The modules of the kinds that come with the product, by name. Loads none of them."""
    files = iter_modules(import_module(ROOM).__path__)
    return {file.name: f"{ROOM}.{file.name}" for file in files if file.name not in SHARED}


@cache
def find(name: str) -> type[Provider] | None:
    """The kind of that name; None where there is none, or it can't be loaded. Loads no other."""
    values = [built_in()[name]] if name in built_in() else [point.value for point in entry_points(group=GROUP, name=name)]
    return examine_one(name, values[0])[0] if values else None


@cache
def survey() -> Survey:
    """What is installed. Looked up once per process."""
    return examine(entry_points(group=GROUP))


def examine(found: Iterable[EntryPoint]) -> Survey:
    """Loads the built-in kinds and the entry points, each on its own: what fails is noted and left out."""
    wanted = [*built_in().items(), *sorted((point.name, point.value) for point in found if not _ours(point))]
    good: dict[str, type[Provider]] = {}
    broken: dict[str, str] = {}
    for name, value in dict.fromkeys(wanted):
        if name in good:
            broken[f"{name} ({value})"] = "another one has this name already"
            continue
        kind, problem = examine_one(name, value)
        if kind is None:
            broken[name] = problem
        else:
            good[name] = kind
    return Survey(dict(sorted(good.items())), broken)


def _ours(point: EntryPoint) -> bool:
    """A built-in kind as earlier versions declared it, in the metadata of an installation that was never renewed."""
    return built_in().get(point.name) == point.value.partition(":")[0]


def examine_one(name: str, value: str) -> tuple[type[Provider] | None, str]:
    """The kind, or why it can't be loaded. `value` is `module:attribute`, or a module that holds one kind of its own."""
    try:
        return _load(name, value), ""
    except Exception as error:  # noqa: BLE001 -- a plugin may fail in any way, and the others must work
        return None, f"{type(error).__name__}: {error}"


def make(name: str, raw: Mapping[str, Any]) -> Provider:
    """The account `[providers.<name>]`. Raises `SettingsError` with every fault of its settings."""
    where = f"providers.{name}"
    faults: list[Fault] = []
    if _NAME.fullmatch(name) is None:
        faults.append((where, "a name is a-z, then up to 62 of a-z, 0-9 and -"))
    kind = find(word) if isinstance(word := raw.get("kind"), str) else None
    if kind is None:
        raise SettingsError([*faults, (f"{where}.kind", _no_kind(word))])
    values, found = _values(kind.settings_type, raw)
    faults += [(f"{where}.{key}", what) for key, what in found]
    if faults:
        raise SettingsError(faults)
    return kind(name, kind.settings_type(**values))


def _values(shape: type[CommonSettings], raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """The fields of the settings, decoded one by one, and what is wrong with them."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(shape)}
    faults = [(key, _unknown(key, fields)) for key in raw if key not in fields]
    given: dict[str, Any] = {}
    for key, field in fields.items():
        if key in raw:
            try:
                given[key] = msgspec.convert(raw[key], field.type, strict=False, dec_hook=_decode)
            except msgspec.ValidationError as error:
                given[key] = None
                faults.append((key, _fault_of(error)))
        elif field.default is NODEFAULT and field.default_factory is NODEFAULT:
            faults.append((key, "is missing"))
    faults += _common_faults(given)
    faults += shape.contradictions(given)
    return {fields[key].name: value for key, value in given.items()}, faults


def _common_faults(given: Mapping[str, Any]) -> list[Fault]:
    base_url, rate = given.get("base_url"), given.get("rate")
    concurrency, timeout_s = given.get("concurrency"), given.get("timeout_s")
    faults = []
    if base_url is not None and _BASE_URL.fullmatch(base_url) is None:
        faults.append(("base_url", "must be http:// or https://, a host, and at most a path"))
    if rate is not None and _RATE.fullmatch(rate.replace(" ", "")) is None:
        faults.append(("rate", "must be a number and /s, /min, /h or /day"))
    if concurrency is not None and concurrency < 1:
        faults.append(("concurrency", "must be 1 or more"))
    if timeout_s is not None and not 0 < timeout_s <= 3600:
        faults.append(("timeout_s", "must be more than 0 and at most 3600"))
    return faults


def _load(name: str, value: str) -> type[Provider]:
    module, _, attribute = value.partition(":")
    loaded = import_module(module)
    kind = getattr(loaded, attribute) if attribute else _only_kind(vars(loaded), module)
    if not (isinstance(kind, type) and issubclass(kind, Provider)):
        raise TypeError("not a Provider")
    if kind.kind != name:
        raise TypeError(f"calls itself {kind.kind!r}")
    if not issubclass(kind.settings_type, CommonSettings):
        raise TypeError("its settings are no CommonSettings")
    return kind


def _only_kind(names: Mapping[str, Any], module: str) -> object:
    """The one kind that a module defines; what it imported is not its own."""
    own = [value for value in names.values() if isinstance(value, type) and value.__module__ == module and "kind" in vars(value)]
    return own[0] if len(own) == 1 else None


def _no_kind(word: object) -> str:
    if word is None:
        return "is missing"
    known = ", ".join(survey().kinds)
    if not isinstance(word, str):
        return f"must be one of {known}"
    if word in survey().broken:
        return f"the plugin {word!r} can't be loaded: {survey().broken[word]}"
    return f"no kind is called {word!r}; there are {known}"


def _unknown(key: str, fields: Iterable[str]) -> str:
    near: Sequence[str] = difflib.get_close_matches(key, list(fields), 1)
    return f"is not a setting; did you mean `{near[0]}`?" if near else "is not a setting"


def _fault_of(error: msgspec.ValidationError) -> str:
    """msgspec's words up to the place that it names, without what it calls the value's path."""
    text = str(error).split(" - at ")[0]
    return text[:1].lower() + text[1:]


def _decode(kind: type, value: object) -> object:
    if kind is Secret and isinstance(value, str):
        return value if isinstance(value, Secret) else Secret(value)
    raise TypeError("Expected `str`" if kind is Secret else "Unexpected type")
