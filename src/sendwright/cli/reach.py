"""Where the running process is and with which key to call it; and the settings, for the commands that work from them."""

# ruff: noqa: PLC0415 -- settings and providers take a tenth of a second, which no help page should wait for

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sendwright.cli.frame import data_folder, settings_file
from sendwright.errors import OperatorError, SettingsError

if TYPE_CHECKING:
    from sendwright.cli.api import Api
    from sendwright.providers.contract import Secret
    from sendwright.settings import Loaded

URL = "SENDWRIGHT_URL"
KEY = "SENDWRIGHT_KEY"


def reach() -> Api:
    """The API of the running process. The settings are read only where the environment leaves something open."""
    from sendwright.cli.api import Api
    from sendwright.providers.contract import Secret
    from sendwright.settings import load

    url, key = os.environ.get(URL), os.environ.get(KEY)
    if url and key:
        return Api(base_of(url), Secret(key.strip()))
    try:
        loaded = load(settings_file(), os.environ, data_folder())
    except SettingsError as error:
        where = f"{URL} and {KEY}"
        raise SettingsError([*error.faults, (where, "set both, and this command needs no settings")]) from None
    return api_of(loaded)


def api_of(loaded: Loaded) -> Api:
    """The API of these settings' process, by the environment first."""
    from sendwright.cli.api import Api
    from sendwright.providers.contract import Secret

    url, key = os.environ.get(URL), os.environ.get(KEY)
    from sendwright.settings import address_of

    base = base_of(url) if url else address_of(*loaded.settings.listens_on())
    return Api(base, Secret(key.strip()) if key else kept_key(loaded))


def kept_key(loaded: Loaded) -> Secret:
    """The admin key of the settings or the data folder."""
    from sendwright.settings import kept_admin_key

    key = kept_admin_key(loaded.settings.data, loaded.settings)
    if key is None:
        place = loaded.settings.data / "admin_key"
        raise OperatorError(f"there is no key: {place} does not exist. Name the data folder with --data, or set {KEY}")
    return key


def base_of(url: str) -> str:
    """A checked base address from the environment."""
    from sendwright.settings.kinds import Bad, web_url

    try:
        return web_url(url)
    except Bad as fault:
        raise OperatorError(f"{URL}: {fault}") from None


def load_checked(data: Path | None, listen: str | None = None) -> Loaded:
    """The settings with every provider's own, as a process is started with them. Raises `SettingsError`."""
    from sendwright.settings import load

    return load(settings_file(), os.environ, data, listen, check_provider=_provider_faults)


def _provider_faults(name: str, table: dict[str, Any]) -> Iterable[tuple[str, str]]:
    from sendwright.providers import registry

    try:
        registry.make(name, table)
    except SettingsError as error:
        return error.faults
    return ()
