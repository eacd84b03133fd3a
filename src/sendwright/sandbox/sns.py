"""Amazon SNS as far as a mail's events need it: a topic that one endpoint subscribes to, confirms, and is posted to, signed.

Facts: docs.aws.amazon.com/sns/latest/api (Subscribe, ConfirmSubscription), /dg/sns-message-and-json-formats.html,
/dg/sns-verify-signature-of-message.html, read November 2026. The certificate is made here and names the host that SNS would have
it on; a receiver whose SNS is this sandbox fetches it here, by its path. Who subscribed last, and has confirmed, is told.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode

import msgspec
from msgspec import Struct

from sendwright.sandbox.keyring import Keyring
from sendwright.sandbox.places import usable
from sendwright.sandbox.sigv4 import refused
from sendwright.sandbox.wire import Headers, Reply, Request

KEY = "sns"

Announce = Callable[[str, Headers, bytes], None]
"""Posts something that is no receipt: address, headers, body."""

_TOPIC = re.compile(r"arn:aws[a-z-]{0,10}:sns:([a-z0-9-]{3,32}):[0-9]{12}:[A-Za-z0-9_.-]{1,256}", re.ASCII)
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_XML: Headers = ((b"content-type", b"text/xml"),)
_PEM: Headers = ((b"content-type", b"application/x-pem-file"),)


class Topic(Struct, frozen=True):
    """What somebody subscribed to."""

    arn: str
    region: str
    endpoint: str
    token: str

    def __repr__(self) -> str:
        return "Topic()"


class Sns:
    """The topic of one sandbox."""

    def __init__(self, keyring: Keyring, announce: Announce) -> None:
        self._keyring = keyring
        self._announce = announce
        self._waiting: Topic | None = None
        self.topic: Topic | None = None
        """The one that is told: its endpoint has confirmed."""

    def __repr__(self) -> str:
        return "Sns()"

    def answer(self, request: Request, path: str) -> Reply | None:
        """The certificate, a subscription, its confirmation; None for what SNS has not."""
        if path == self._certificate_path() and request.method == "GET":
            return Reply(200, self._certificate(), _PEM)
        if path not in {"", "/"}:
            return None
        said = dict(parse_qsl(request.query if request.method == "GET" else request.body.decode("utf-8", "replace")))
        match request.method, said.get("Action"):
            case "GET", "ConfirmSubscription":
                return self._confirm(said)
            case "POST", "Subscribe":
                return self._subscribe(request, said)
            case _:
                return None

    def _subscribe(self, request: Request, said: Mapping[str, str]) -> Reply:
        fault = refused(request, "sns", time.time())
        if fault is not None:
            return _fault(403, *fault)
        found, endpoint = _TOPIC.fullmatch(said.get("TopicArn", "")), said.get("Endpoint", "")
        if found is None or not usable(endpoint) or said.get("Protocol") != endpoint.partition(":")[0]:
            return _fault(400, "InvalidParameter", "Invalid parameter: TopicArn, Protocol or Endpoint")
        self._waiting = topic = Topic(found[0], found[1], endpoint, os.urandom(32).hex())
        wish = {"Action": "ConfirmSubscription", "TopicArn": topic.arn, "Token": topic.token}
        words = f"You have chosen to subscribe to the topic {topic.arn}.\nTo confirm the subscription, visit the SubscribeURL."
        more = {"Message": words, "Token": topic.token, "SubscribeURL": f"{_host(topic)}/?{urlencode(wish)}"}
        self._announce(endpoint, *self.message("SubscriptionConfirmation", topic, more))
        return _xml("Subscribe", "<SubscriptionArn>pending confirmation</SubscriptionArn>")

    def _confirm(self, said: Mapping[str, str]) -> Reply:
        topic = self._waiting
        if topic is None or (said.get("TopicArn"), said.get("Token")) != (topic.arn, topic.token):
            return _fault(400, "InvalidParameter", "Invalid parameter: Token")
        self.topic = topic
        return _xml("ConfirmSubscription", f"<SubscriptionArn>{topic.arn}:{uuid.UUID(int=0)}</SubscriptionArn>")

    def message(self, kind: str, topic: Topic, more: Mapping[str, str]) -> tuple[Headers, bytes]:
        """A signed message: headers and body."""
        said = {
            "Type": kind,
            "MessageId": str(uuid.uuid4()),
            "TopicArn": topic.arn,
            **more,
            "Timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "SignatureVersion": "1",
        }
        text = "".join(f"{name}\n{said[name]}\n" for name in _SIGNED[kind] if name in said)
        said |= {"Signature": self._signed(text), "SigningCertURL": _host(topic) + self._certificate_path()}
        headers = (
            (b"content-type", b"text/plain; charset=UTF-8"),
            (b"x-amz-sns-message-type", kind.encode()),
            (b"x-amz-sns-message-id", said["MessageId"].encode()),
            (b"x-amz-sns-topic-arn", topic.arn.encode()),
        )
        return headers, msgspec.json.encode(said)

    def _signed(self, text: str) -> str:
        from cryptography.hazmat.primitives.asymmetric import padding  # noqa: PLC0415 -- as in keyring.py
        from cryptography.hazmat.primitives.hashes import SHA1  # noqa: PLC0415

        key = self._keyring.rsa(KEY)
        return base64.b64encode(key.sign(text.encode(), padding.PKCS1v15(), SHA1())).decode()  # noqa: S303 - what version 1 is

    def _certificate(self) -> bytes:
        return self._keyring.certificate(KEY, "sns.amazonaws.com")

    def _certificate_path(self) -> str:
        return f"/SimpleNotificationService-{hashlib.sha256(self._certificate()).hexdigest()[:32]}.pem"


def _host(topic: Topic) -> str:
    return f"https://sns.{topic.region}.amazonaws.com" + (".cn" if topic.region.startswith("cn-") else "")


def _xml(action: str, inner: str) -> Reply:
    body = f'<{action}Response xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><{action}Result>{inner}</{action}Result></{action}Response>'
    return Reply(200, body.encode(), _XML)


def _fault(status: int, code: str, words: str) -> Reply:
    body = f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{words}</Message></Error></ErrorResponse>"
    return Reply(status, body.encode(), _XML)
