"""The keys that the sandbox signs with, or judges by, where a vendor's scheme has pairs of them: made when they are first needed.

With a file they are kept there, so that what was copied into a settings file holds after a restart; the file is the owner's alone.
Without one they last as long as the process. They guard nothing: who has one can play a vendor to whoever believes this sandbox.
`cryptography` is loaded by the first key that is asked for.
"""

from __future__ import annotations

import base64
import errno
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.x509 import Certificate

_YEARS = timedelta(days=3650)


class Keyring:
    """Private keys by name, as PEM."""

    def __init__(self, path: str | Path | None = None) -> None:
        """Raises OSError where the file can't be read, or is something else."""
        self._path = None if path is None else Path(path)
        self._kept: dict[str, str] = {}
        self._loaded: dict[str, object] = {}
        if self._path is not None and self._path.exists():
            self._kept = _read(self._path)

    def __repr__(self) -> str:
        return f"Keyring({len(self._kept)})"

    def curve(self, name: str) -> EllipticCurvePrivateKey:
        """A key on P-256."""
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 -- see above

        key = self._loaded.get(name) or self._load(name)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            key = ec.generate_private_key(ec.SECP256R1())
            self._keep(name, pem_of(key), key)
        return key

    def rsa(self, name: str) -> RSAPrivateKey:
        """A key of 2048 bits."""
        from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 -- see above

        key = self._loaded.get(name) or self._load(name)
        if not isinstance(key, rsa.RSAPrivateKey):
            key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
            self._keep(name, pem_of(key), key)
        return key

    def certificate(self, name: str, host: str) -> bytes:
        """The certificate of that RSA key, issued by itself for `host`, in PEM."""
        from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 -- see above

        kept = self._kept.get(f"{name}.certificate")
        if kept is None:
            kept = _issued(self.rsa(name), host).public_bytes(Encoding.PEM).decode()
            self._keep(f"{name}.certificate", kept, None)
        return kept.encode()

    def chance(self, name: str, size: int) -> bytes:
        """Bytes that stay the same."""
        kept = self._kept.get(name)
        if kept is None:
            kept = base64.b64encode(os.urandom(size)).decode()
            self._keep(name, kept, None)
        return base64.b64decode(kept)

    def _load(self, name: str) -> object:
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 -- see above

        kept = self._kept.get(name)
        if kept is None:
            return None
        self._loaded[name] = key = load_pem_private_key(kept.encode(), password=None)
        return key

    def _keep(self, name: str, text: str, key: object) -> None:
        self._kept[name] = text
        if key is not None:
            self._loaded[name] = key
        if self._path is None:
            return
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(file, "wb") as out:
            out.write(msgspec.json.format(msgspec.json.encode(self._kept)))
        beside.replace(self._path)


def _read(path: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except ValueError:
        raise OSError(errno.EINVAL, "the file of keys holds something else") from None


def pem_of(key: EllipticCurvePrivateKey | RSAPrivateKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat  # noqa: PLC0415 -- see above

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _issued(key: RSAPrivateKey, host: str) -> Certificate:
    from cryptography import x509  # noqa: PLC0415 -- see above
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)]), datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1)).not_valid_after(now + _YEARS)
    return made.sign(key, SHA256())
