"""AWS Signature Version 4, over headers: the arithmetic alone, for adapters of AWS's services.

Read in November 2026: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

A request is written in one canonical way and hashed; what is signed is that hash, with the moment and the scope, by a key
derived for the day, the region and the service. Paths are encoded once more than on the wire, as for every service but S3.
Pure, and it never raises for what it is given.
"""

from __future__ import annotations

import hashlib
import hmac
import posixpath
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import quote, unquote, urlsplit

from msgspec import Struct
from msgspec.structs import replace

from sendwright.providers.contract import HttpRequest, Secret

ALGORITHM = "AWS4-HMAC-SHA256"
_UNRESERVED = "-_.~"

Headers = Iterable[tuple[str, str]]


class Credentials(Struct, frozen=True):
    """Who signs. `token` goes with temporary keys."""

    access_key_id: str
    secret: Secret
    token: Secret | None = None


class Scope(Struct, frozen=True):
    """What a signature is good for."""

    region: str
    service: str
    at: float
    """Unix seconds; AWS takes what is within five minutes of its own clock."""

    @property
    def moment(self) -> str:
        return datetime.fromtimestamp(self.at, UTC).strftime("%Y%m%dT%H%M%SZ")

    @property
    def text(self) -> str:
        return f"{self.moment[:8]}/{self.region}/{self.service}/aws4_request"


def signed(request: HttpRequest, credentials: Credentials, scope: Scope) -> HttpRequest:
    """The request with `Host`, `X-Amz-Date`, with `X-Amz-Security-Token` for temporary keys, and with `Authorization`."""
    url = urlsplit(request.url)
    headers = [*request.headers, ("Host", url.netloc), ("X-Amz-Date", scope.moment)]
    if credentials.token is not None:
        headers.append(("X-Amz-Security-Token", credentials.token.reveal()))
    written = canonical(request.method, url.path, url.query, headers, request.body)
    return replace(request, headers=(*headers, ("Authorization", authorization(written, headers, credentials, scope))))


def canonical(method: str, path: str, query: str, headers: Headers, body: bytes, *, normalize: bool = True) -> str:
    """The one way of writing a request. `path` and `query` as on the wire; without `normalize`, `.` and `..` stay."""
    named = _named(headers)
    return "\n".join((
        method,
        quote(_normal(path) if normalize else path or "/", safe=f"/{_UNRESERVED}"),
        _query(query),
        *(f"{name}:{value}" for name, value in named.items()),
        "",
        ";".join(named),
        hashlib.sha256(body).hexdigest(),
    ))  # fmt: skip


def to_sign(written: str, scope: Scope) -> str:
    """What is signed of a request in canonical form."""
    return "\n".join((ALGORITHM, scope.moment, scope.text, hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()))


def authorization(written: str, headers: Headers, credentials: Credentials, scope: Scope) -> str:
    """The value of `Authorization`."""
    key = b"AWS4" + credentials.secret.reveal().encode()
    for part in scope.text.split("/"):
        key = _hmac(key, part)
    signature = _hmac(key, to_sign(written, scope)).hex()
    names = ";".join(_named(headers))
    return f"{ALGORITHM} Credential={credentials.access_key_id}/{scope.text}, SignedHeaders={names}, Signature={signature}"


def _named(headers: Headers) -> dict[str, str]:
    """Names in lower case and in order, values of one name joined, blanks in them made single."""
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(" ".join(value.split()))
    return {name: ",".join(values[name]) for name in sorted(values)}


def _normal(path: str) -> str:
    """Without `.`, `..` and empty segments (RFC 3986, 5.2.4)."""
    ends = path.endswith(("/", "/.", "/.."))
    found = posixpath.normpath("/" + path.lstrip("/"))
    return found + "/" if ends and found != "/" else found


def _query(query: str) -> str:
    pairs = [part.partition("=")[::2] for part in query.split("&") if part]
    return "&".join(f"{name}={value}" for name, value in sorted((_encoded(name), _encoded(value)) for name, value in pairs))


def _encoded(text: str) -> str:
    return quote(unquote(text), safe=_UNRESERVED)


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
