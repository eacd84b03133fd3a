"""Whether a request bears the signature that AWS would ask for: Signature Version 4, judged, and AWS's name for what is wrong.

Facts: docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html, read November 2026. There is one pair of
keys, and it is public on purpose: it guards nothing, it lets a caller practise signing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import UTC, datetime
from urllib.parse import quote, unquote

from sendwright.sandbox.wire import Request

ACCESS_KEY_ID = "AKIASENDWRIGHTSANDBX"
SECRET_ACCESS_KEY = "sandbox"  # noqa: S105 - published, see above
SKEW_S = 300

Refused = tuple[str, str]
"""AWS's name of an error, and its words."""

_HEADER = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<id>[^/,\s]+)/(?P<scope>(?P<day>\d{8})/[a-z0-9-]+/(?P<service>[a-z0-9-]+)/aws4_request), *"
    r"SignedHeaders=(?P<names>[a-z0-9;-]+), *Signature=(?P<signature>[0-9a-f]{64})",
    re.ASCII,
)
_MISSING = ("MissingAuthenticationTokenException", "Missing Authentication Token")
_INCOMPLETE = (
    "IncompleteSignatureException",
    "Authorization header requires Credential, SignedHeaders, Signature, Host, X-Amz-Date.",
)
_UNKNOWN = ("UnrecognizedClientException", "The security token included in the request is invalid.")
_INVALID = "InvalidSignatureException"
_MISMATCH = (
    _INVALID,
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key.",
)


def refused(request: Request, service: str, now: float) -> Refused | None:
    """What AWS finds wrong with a request to `service`; None for one that is rightly signed."""
    given = request.header(b"authorization")
    if not given:
        return _MISSING
    found = _HEADER.fullmatch(given)
    if found is None or not {"host", "x-amz-date"} <= set(found["names"].split(";")):
        return _INCOMPLETE
    if found["id"] != ACCESS_KEY_ID:
        return _UNKNOWN
    if found["service"] != service:
        return _INVALID, f"Credential should be scoped to correct service: '{service}'."
    moment = request.header(b"x-amz-date")
    at = _seconds(moment)
    if at is None or moment[:8] != found["day"]:
        return _INVALID, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP"
    if abs(now - at) > SKEW_S:
        order = "earlier" if at < now else "later"
        return _INVALID, f"Signature expired: {moment} is now {order} than {datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}"
    expected = _signature(found["scope"], moment, _canonical(request, found["names"]))
    return None if hmac.compare_digest(expected, found["signature"]) else _MISMATCH


def _canonical(request: Request, names: str) -> str:
    """The one way of writing the request. The path is encoded once more than on the wire, as for every service but S3."""
    pairs = sorted(tuple(_encoded(unquote(part)) for part in pair.partition("=")[::2]) for pair in request.query.split("&") if pair)
    fields = [f"{name}:{' '.join(request.header(name.encode()).split())}" for name in names.split(";")]
    path = quote(request.prefix + request.path, safe="/-_.~")
    query = "&".join(f"{name}={value}" for name, value in pairs)
    return "\n".join((request.method, path, query, *fields, "", names, hashlib.sha256(request.body).hexdigest()))


def _signature(scope: str, moment: str, canonical: str) -> str:
    key = b"AWS4" + SECRET_ACCESS_KEY.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode('utf-8', 'surrogateescape')).hexdigest()}"
    return hmac.digest(key, text.encode(), hashlib.sha256).hex()


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")


def _seconds(moment: str) -> float | None:
    try:
        return datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
