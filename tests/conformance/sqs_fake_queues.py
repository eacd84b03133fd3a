"""The queues of the SQS fake: messages, receipt handles, visibility and redrive as the documentation says, limits enforced.

Where AWS leaves something open, this takes the answer that is worse for the client: an old receipt handle deletes nothing
and says it did; a handle that is over can't be extended. Time is the event loop's; nothing survives the process.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import re
import time
import uuid
from collections import Counter
from typing import Any

from msgspec import Struct

SIZE_MAX = 1024 * 1024
IN_FLIGHT_MAX = 120_000
VISIBILITY_MAX_S = 43_200
ACCOUNT = "000000000000"
ENTRY_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
FORBIDDEN = re.compile("[^\x09\x0a\x0d\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
DEFAULTS = {
    "VisibilityTimeout": ("30", 0, VISIBILITY_MAX_S),
    "MaximumMessageSize": (str(SIZE_MAX), 1024, SIZE_MAX),
    "MessageRetentionPeriod": ("345600", 60, 1_209_600),
    "DelaySeconds": ("0", 0, 900),
    "ReceiveMessageWaitTimeSeconds": ("0", 0, 20),
}


class Faults(Struct):
    """How often what goes wrong: probabilities, each drawn where it applies."""

    duplicate: float = 0
    """A message that was handed out is handed out again at once, or a little later."""
    expire: float = 0
    """Its visibility timeout is over long before its time."""
    ghost: float = 0
    """A deleted message is handed out once more."""
    reorder: float = 0
    """A poll takes from anywhere in the queue."""
    short: float = 0
    """A poll brings fewer than there are, or none."""
    entry: float = 0
    """An entry of a batch fails by nobody's fault, taken or not."""
    unmentioned: float = 0
    """An entry is in neither list of the answer, taken or not."""
    throttle: float = 0
    error: float = 0
    """500 or 503, done or not."""
    drop: float = 0
    """The connection is dropped without an answer, done or not."""
    hang: float = 0
    """No answer comes, and the connection stays, done or not."""
    delay_s: float = 0
    """Longest time that an answer takes on top."""


class Refusal(Exception):
    """An error of the whole request: the shape's name, and the code of the old protocol."""

    def __init__(self, shape: str, detail: str, code: str = "", status: int = 400) -> None:
        self.shape, self.detail, self.status = shape, detail, status
        self.code = code or shape
        super().__init__(shape)


def invalid(detail: str) -> Refusal:
    return Refusal("InvalidParameterValueException", detail, "InvalidParameterValue")


class Message:
    def __init__(self, body: str, attributes: dict[str, Any], visible_at: float) -> None:
        self.id = str(uuid.uuid4())
        self.body = body
        self.attributes = attributes
        self.sent_at = int(time.time() * 1000)
        self.first_at = 0
        self.received = 0
        self.received_at = 0.0
        self.visible_at = visible_at
        self.handle = ""
        self.deleted = False


class FakeQueue:
    def __init__(self, name: str, attributes: dict[str, str], region: str, done_to: Counter[str]) -> None:
        """`done_to`: what it counts its faults in."""
        self.name = name
        self._done_to = done_to
        self.arn = f"arn:aws:sqs:{region}:{ACCOUNT}:{name}"
        self.attributes = {**{key: default for key, (default, _, _) in DEFAULTS.items()}, **attributes}
        self.messages: dict[str, Message] = {}
        self.handles: dict[str, Message] = {}
        self.news = asyncio.Event()
        self.created_at = int(time.time())

    @property
    def redrive(self) -> tuple[str, int] | None:
        policy = json.loads(self.attributes.get("RedrivePolicy") or "{}")
        return (policy["deadLetterTargetArn"], int(policy["maxReceiveCount"])) if policy else None

    def counts(self, now: float) -> tuple[int, int]:
        """Visible, and in flight."""
        visible = sum(one.visible_at <= now for one in self.messages.values())
        return visible, len(self.messages) - visible

    def put(self, message: Message) -> None:
        self.messages[message.id] = message
        self.wake()

    def wake(self) -> None:
        self.news.set()
        self.news = asyncio.Event()

    def send(self, entry: dict[str, Any]) -> Message:
        """Raises `Refusal`, of this entry."""
        body, attributes = entry.get("MessageBody", ""), entry.get("MessageAttributes") or {}
        if not isinstance(body, str) or not body:
            raise Refusal("MissingParameter", "The request must contain the parameter MessageBody.")
        if FORBIDDEN.search(body):
            raise Refusal("InvalidMessageContents", "Message contains characters outside the allowed set.")
        if len(attributes) > 10:
            raise invalid("Number of message attributes exceeds the allowed maximum")
        if weight(entry) > int(self.attributes["MaximumMessageSize"]):
            raise invalid(f"Message must be shorter than {self.attributes['MaximumMessageSize']} bytes.")
        delay = int(entry.get("DelaySeconds", self.attributes["DelaySeconds"]))
        if not 0 <= delay <= 900:
            raise invalid("DelaySeconds must be >= 0 and <= 900.")
        message = Message(body, attributes, now() + delay)
        self.put(message)
        return message

    def take(self, most: int, visibility_s: int, faults: Faults, chance: random.Random) -> tuple[list[Message], list[Message]]:
        """What is handed out, and what goes to the dead queue instead."""
        at = now()
        ready = [one for one in self.messages.values() if one.visible_at <= at]
        if chance.random() < faults.reorder and len(ready) > 1:
            self._done_to["reorder"] += 1
            chance.shuffle(ready)
        if self.counts(at)[1] >= IN_FLIGHT_MAX:
            raise Refusal("OverLimit", "Too many messages in flight")
        if ready and chance.random() < faults.short:
            self._done_to["short"] += 1
            most = chance.randrange(most)
        taken, dead = [], []
        for one in ready:
            if len(taken) == most:
                break
            if self.redrive is not None and one.received >= self.redrive[1]:
                del self.messages[one.id]
                dead.append(one)
                continue
            taken.append(one)
            self._hand_out(one, at, visibility_s, faults, chance)
        return taken, dead

    def _hand_out(self, one: Message, at: float, visibility_s: int, faults: Faults, chance: random.Random) -> None:
        one.received += 1
        one.first_at = one.first_at or int(time.time() * 1000)
        one.received_at = at
        one.handle = f"AQEB{uuid.uuid4().hex}+/{self.name}=="
        self.handles[one.handle] = one
        one.visible_at = at + visibility_s
        if one.deleted:
            del self.messages[one.id]  # a ghost comes once
        elif chance.random() < faults.duplicate:
            self._done_to["duplicate"] += 1
            one.visible_at = at + chance.random() * 0.2
        elif chance.random() < faults.expire:
            self._done_to["expire"] += 1
            one.visible_at = at + chance.random() * visibility_s / 2
        if one.visible_at < at + visibility_s:
            asyncio.get_running_loop().call_at(one.visible_at, self.wake)

    def delete(self, handle: str, faults: Faults, chance: random.Random) -> None:
        one = self._of(handle)
        if one.handle != handle or one.deleted:
            return  # "the request succeeds, but the message will not be deleted"; twice is harmless
        one.deleted = True
        if chance.random() < faults.ghost:
            self._done_to["ghost"] += 1
            one.visible_at = now()
            self.wake()
        else:
            self.messages.pop(one.id, None)

    def change(self, handle: str, visibility_s: Any) -> None:
        if not isinstance(visibility_s, int) or not 0 <= visibility_s <= VISIBILITY_MAX_S:
            raise invalid("VisibilityTimeout must be between 0 and 43200")
        one, at = self._of(handle), now()
        if one.deleted or one.handle != handle or one.visible_at <= at or one.id not in self.messages:
            raise invalid("Message does not exist or is not available for visibility timeout change.")
        if at + visibility_s > one.received_at + VISIBILITY_MAX_S:
            raise invalid("Total VisibilityTimeout for the message is beyond the limit [43200 seconds]")
        one.visible_at = at + visibility_s
        if not visibility_s:
            self.wake()

    def _of(self, handle: str) -> Message:
        one = self.handles.get(handle)
        if one is None:
            raise Refusal("ReceiptHandleIsInvalid", "The input receipt handle is invalid.")
        return one


def shown(one: Message, members: dict[str, Any]) -> dict[str, Any]:
    """A message as a poll's answer has it."""
    asked = {*members.get("MessageSystemAttributeNames", ()), *members.get("AttributeNames", ())}
    system = {
        "ApproximateReceiveCount": str(one.received),
        "SentTimestamp": str(one.sent_at),
        "ApproximateFirstReceiveTimestamp": str(one.first_at),
        "SenderId": "AIDAFAKE",
    }
    found: dict[str, Any] = {"MessageId": one.id, "ReceiptHandle": one.handle, "Body": one.body, "MD5OfBody": md5(one.body)}
    if attributes := {key: value for key, value in system.items() if key in asked or "All" in asked}:
        found["Attributes"] = attributes
    names = set(members.get("MessageAttributeNames", ()))
    if names and (theirs := {key: value for key, value in one.attributes.items() if key in names or names & {"All", ".*"}}):
        found["MessageAttributes"] = theirs
    return found


def weight(entry: dict[str, Any]) -> int:
    """Bytes of a message, its attributes' names, types and values included."""
    size = len(entry.get("MessageBody", "").encode("utf-8", "surrogatepass"))
    for name, value in (entry.get("MessageAttributes") or {}).items():
        size += (
            len(name.encode()) + len(value.get("DataType", "")) + len(value.get("StringValue") or value.get("BinaryValue") or "")
        )
    return size


def md5(text: str) -> str:
    return hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def now() -> float:
    return asyncio.get_running_loop().time()
