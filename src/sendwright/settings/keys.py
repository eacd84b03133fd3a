"""The two keys of an installation: the admin key and the secret key, given in the settings or made at the first start.

A made key lies in the data folder, readable by its owner alone, and appears whole or not at all: it is written beside
its place, synced, and linked there only if nobody else has made one meanwhile. A file that exists is never written. How an API
key is written: model/api_key.py.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from sendwright.errors import OperatorError
from sendwright.model.api_key import API_KEY, RANDOM_BYTES, api_key_id, written
from sendwright.providers.contract import Secret
from sendwright.settings.kinds import KEY_LENGTH_MIN
from sendwright.settings.shapes import Settings

ADMIN_KEY_FILE = "admin_key"
SECRET_KEY_FILE = "secret_key"  # noqa: S105 - a file's name


class Keys(Struct, frozen=True):
    """The keys in force. `created`: the admin key was made just now, and is to be shown this once."""

    admin_key: Secret
    secret_key: Secret
    created: bool
    notes: tuple[str, ...] = ()
    """What the operator should mend; harmless to print."""


def data_keys(data: Path, settings: Settings) -> Keys:
    """The keys of the settings, else those of the data folder, made where there are none. Raises `OperatorError`."""
    admin, secret = settings.api.admin_key, settings.secrets.key
    created = False
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if admin is None:
            admin, created = _kept(data / ADMIN_KEY_FILE, make_api_key)
        if secret is None:
            secret, _ = _kept(data / SECRET_KEY_FILE, lambda: secrets.token_urlsafe(48))
        return Keys(admin, secret, created, tuple(_notes(data)))
    except OSError as error:
        raise OperatorError(f"the data folder {data} can't be used: {error.strerror}") from error


def kept_admin_key(data: Path, settings: Settings) -> Secret | None:
    """The admin key for a command that calls a running process: never makes one. Raises `OperatorError`."""
    if settings.api.admin_key is not None:
        return settings.api.admin_key
    try:
        return _read(data / ADMIN_KEY_FILE)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OperatorError(f"{data / ADMIN_KEY_FILE} can't be read: {error.strerror}") from error


def make_api_key() -> str:
    """A new API key."""
    return written(secrets.token_bytes(RANDOM_BYTES))


def _kept(file: Path, make: Callable[[], str]) -> tuple[Secret, bool]:
    """The file's key, made if there is none, and whether this call made it."""
    try:
        return _read(file), False
    except FileNotFoundError:
        return (_read(file), True) if _create(file, make()) else (_read(file), False)


def _read(file: Path) -> Secret:
    try:
        text = file.read_text(encoding="ascii").strip()
    except UnicodeDecodeError:
        text = ""
    mistyped = text.startswith(API_KEY) and api_key_id(text) is None
    if len(text) < KEY_LENGTH_MIN or mistyped:
        raise OperatorError(f"{file} holds no whole key: restore it from a backup, or remove it to have a new one made")
    return Secret(text)


def _create(file: Path, key: str) -> bool:
    """Puts a key there, synced to disk; False when somebody else has just done so."""
    beside = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as out:
            out.write(key + "\n")
            out.flush()
            os.fsync(out.fileno())
        return _place(beside, file)
    finally:
        beside.unlink(missing_ok=True)


def _place(beside: Path, file: Path) -> bool:
    try:
        os.link(beside, file)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links: a rename is whole as well, if not safe against a rival
        beside.rename(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True


def _notes(data: Path) -> list[str]:
    notes = []
    for path, mode in ((data, 0o700), (data / ADMIN_KEY_FILE, 0o600), (data / SECRET_KEY_FILE, 0o600)):
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            notes.append(f"{path} is open to others: chmod {mode:o} {path}")
    return notes
