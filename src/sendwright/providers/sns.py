"""Messages of Amazon SNS over HTTPS: what is signed, by which certificate, and whether it holds. For adapters of AWS's services.

Read in November 2026:
  https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
  https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html

Only some members of a message are signed, and they are what `message_of` lets through. The certificate's address is not: so it
must be on the host of the topic's own region, and of the name that SNS gives its certificates. The host is Amazon's by TLS, which
is what makes the certificate Amazon's. Pure.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from urllib.parse import urlsplit

from sendwright.providers.answers import json_object

OLDEST_S = 3600
"""Age of a message that is still taken, in seconds: SNS gives up within that time."""
AHEAD_S = 300
NOTIFICATION = "Notification"
SUBSCRIPTION = "SubscriptionConfirmation"
UNSUBSCRIPTION = "UnsubscribeConfirmation"

_TOPIC = re.compile(
    r"arn:aws[a-z-]{0,10}:sns:(?P<region>[a-z]{2}(?:-[a-z]+){1,3}-[0-9]{1,2}):[0-9]{12}:[A-Za-z0-9_.-]{1,256}", re.ASCII
)
_CERTIFICATE = re.compile(r"/SimpleNotificationService-[0-9a-f]{32}\.pem", re.ASCII)
_SIGNATURE = re.compile(r"[A-Za-z0-9+/]{340,700}={0,2}", re.ASCII)
"""Of an RSA key of 2,048 to 4,096 bits, in base64."""
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z", re.ASCII)

_OF_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_OF_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_SIGNED = {NOTIFICATION: _OF_NOTIFICATION, SUBSCRIPTION: _OF_CONFIRMATION, UNSUBSCRIPTION: _OF_CONFIRMATION}
"""The members that are signed, in the order in which they are. A subject is not in every notification."""
_VERSIONS = frozenset({"1", "2"})
"""Of signatures: over SHA-1, and over SHA-256."""


def topic_of(arn: str) -> re.Match[str] | None:
    """A topic's name, with its `region`; None for anything else."""
    return _TOPIC.fullmatch(arn)


def message_of(body: bytes, topic_arn: str, now: float) -> dict[str, str] | None:
    """The message, if it claims to be one of this topic's, of this hour, and names addresses that are SNS's own. Its signature is
    not looked at."""
    said = {name: value for name, value in json_object(body).items() if isinstance(value, str)}
    names, topic = _SIGNED.get(said.get("Type", "")), topic_of(topic_arn)
    if names is None or topic is None or said.get("TopicArn") != topic_arn or said.get("SignatureVersion") not in _VERSIONS:
        return None
    if any(name not in said for name in names if name != "Subject") or not _SIGNATURE.fullmatch(said.get("Signature", "")):
        return None
    age_s = _age(said["Timestamp"], now)
    if age_s is None or not -AHEAD_S <= age_s <= OLDEST_S:
        return None
    host = f"sns.{topic['region']}.amazonaws.com" + (".cn" if topic["region"].startswith("cn-") else "")
    certificate = said.get("SigningCertURL", "")
    if not (_is_at(certificate, host) and _CERTIFICATE.fullmatch(path_of(certificate))):
        return None
    return said if names is _OF_NOTIFICATION or _is_at(said["SubscribeURL"], host) else None


def is_signed(said: dict[str, str], certificate: bytes, now: float) -> bool:
    """Whether the message of `message_of` bears the signature of the certificate's key, in PEM, and that is good at `now`."""
    from cryptography import x509  # noqa: PLC0415 -- megabytes, which only few accounts need
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import padding, rsa  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA1, SHA256  # noqa: PLC0415

    try:
        found = x509.load_pem_x509_certificate(certificate)
        key, moment = found.public_key(), datetime.fromtimestamp(now, UTC)
        if not isinstance(key, rsa.RSAPublicKey) or not found.not_valid_before_utc <= moment <= found.not_valid_after_utc:
            return False
        given = base64.b64decode(said["Signature"], validate=True)
        if base64.b64encode(given).decode() != said["Signature"]:
            return False
        digest = SHA1() if said["SignatureVersion"] == "1" else SHA256()  # noqa: S303 -- what version 1 is made of
        key.verify(given, signed_text(said).encode("utf-8", "surrogatepass"), padding.PKCS1v15(), digest)
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True


def signed_text(said: dict[str, str]) -> str:
    """What is signed of a message: names and values by turns, a line each."""
    return "".join(f"{name}\n{said[name]}\n" for name in _SIGNED[said["Type"]] if name in said)


def path_of(url: str) -> str:
    """Path and query of an address that `message_of` let through."""
    found = urlsplit(url)
    return found.path + (f"?{found.query}" if found.query else "")


def _is_at(url: str, host: str) -> bool:
    """By its text alone, so that no two readers can disagree on where it leads."""
    return url.isascii() and url.isprintable() and url.startswith(f"https://{host}/") and not {" ", "\\", "#"} & set(url)


def _age(timestamp: str, now: float) -> float | None:
    try:
        return now - datetime.fromisoformat(timestamp).timestamp() if _MOMENT.fullmatch(timestamp) else None
    except (ValueError, OverflowError):
        return None
