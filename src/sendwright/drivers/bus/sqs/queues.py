"""One queue of SQS: found or made when it is first needed, checked, and its four batch actions.

Made are standard queues that keep messages for 14 days, with a redrive policy to the dead queue. A queue that is there
already is taken as it is only where its attributes are what they would be: another redrive policy would lose what we count
on to be kept, silently and weeks later. Visibility and waiting are told with every poll, so those of the queue don't matter.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from sendwright.drivers.bus.sqs.address import SqsAddress
from sendwright.drivers.bus.sqs.batches import Batches
from sendwright.drivers.bus.sqs.calls import NO_QUEUE, CallFailed, Calls
from sendwright.errors import OperatorError

RETENTION_S = 14 * 86_400
"""The longest there is. A dead bundle's time counts from when it was sent, not from when it died."""
LINGER_S = 0.01
"""How long a `done` waits for others, so that ten cost one call."""
NOT_HELD = frozenset(("ReceiptHandleIsInvalid", "InvalidParameterValue", "MessageNotInflight", "InvalidIdFormat"))
"""The receipt handle is none any more: the message is visible again, in other hands, or deleted."""
_EXISTS = frozenset(("QueueNameExists", "QueueAlreadyExists"))
_SYSTEM = ("ApproximateReceiveCount", "SentTimestamp")


class Queue:
    """A queue by its name."""

    def __init__(self, calls: Calls, address: SqsAddress, name: str, dead: Queue | None, *, ours: bool = True) -> None:
        """`dead` is where bundles go that are handed out too often; None for a queue that keeps them. One that is not `ours`
        is shared with producers: it is made plainly, and its attributes are theirs."""
        self.name = name
        self._calls = calls
        self._address = address
        self._dead = dead
        self._ours = ours
        self._url: str | None = None
        self._seen: str | None = None
        """The same, not yet checked: enough to count what is in it."""
        self._finding = asyncio.Lock()
        within_s, chance = address.within_s, calls.chance
        self.send = Batches("SendMessageBatch", self._send, chance, within_s=within_s, size_max=address.size_max)
        self.delete = Batches("DeleteMessageBatch", self._delete, chance, within_s=within_s, linger_s=LINGER_S, harmless=NOT_HELD)
        self.release = Batches("ChangeMessageVisibilityBatch", self._change, chance, within_s=within_s, harmless=NOT_HELD)
        self.extend = Batches("ChangeMessageVisibilityBatch", self._change, chance, within_s=address.visibility_s / 4)

    @property
    def batches(self) -> tuple[Batches, ...]:
        return (self.send, self.delete, self.release, self.extend)

    async def url(self) -> str:
        """Finds the queue, or makes it, and checks it. Raises `OperatorError` where it differs, `CallFailed` otherwise."""
        if self._url is None:
            async with self._finding:
                if self._url is None:
                    self._url = await self._found() or await self._made()
        return self._url

    async def arn(self) -> str:
        found = await self._calls.patiently("get_queue_attributes", QueueUrl=await self.url(), AttributeNames=["QueueArn"])
        return str(found["Attributes"]["QueueArn"])

    async def visible(self) -> int:
        """About how many messages could be taken now; 0 where there is no such queue. Makes none."""
        try:
            if self._url is None and self._seen is None:
                self._seen = str((await self._calls.patiently("get_queue_url", QueueName=self.name))["QueueUrl"])
            asked = ["ApproximateNumberOfMessages"]
            found = await self._calls.patiently("get_queue_attributes", QueueUrl=self._url or self._seen, AttributeNames=asked)
        except CallFailed as error:
            if error.code in NO_QUEUE:
                self._url = self._seen = None
                return 0
            raise
        return int(found["Attributes"]["ApproximateNumberOfMessages"])

    async def exists(self) -> bool:
        """Whether there is such a queue. Makes none. Raises `CallFailed`."""
        try:
            await self._calls.patiently("get_queue_url", QueueName=self.name)
        except CallFailed as error:
            if error.code in NO_QUEUE:
                return False
            raise
        return True

    async def receive(self, most: int, *, attributes: bool = False) -> list[dict[str, Any]]:
        """One poll for at most that many messages. Raises `CallFailed`; what was taken then comes again by itself."""
        members: dict[str, Any] = {"MessageAttributeNames": ["All"]} if attributes else {}
        try:
            answer = await self._calls.call(
                "receive_message",
                extra_s=self._address.wait_s,
                QueueUrl=await self.url(),
                MaxNumberOfMessages=most,
                WaitTimeSeconds=self._address.wait_s,
                VisibilityTimeout=self._address.visibility_s,
                MessageSystemAttributeNames=list(_SYSTEM),
                **members,
            )
        except CallFailed as error:
            self._lost(error)
            raise
        return list(answer.get("Messages") or ())

    async def _send(self, entries: list[dict[str, Any]]) -> dict[str, Any]:
        return await self._batch("send_message_batch", entries)

    async def _delete(self, entries: list[dict[str, Any]]) -> dict[str, Any]:
        return await self._batch("delete_message_batch", entries)

    async def _change(self, entries: list[dict[str, Any]]) -> dict[str, Any]:
        return await self._batch("change_message_visibility_batch", entries)

    async def _batch(self, action: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
        try:
            return await self._calls.call(action, QueueUrl=await self.url(), Entries=entries)
        except CallFailed as error:
            self._lost(error)
            raise

    def _lost(self, error: CallFailed) -> None:
        """Somebody deleted the queue: it is made anew for the next try."""
        if error.code in NO_QUEUE:
            self._url = None

    async def _found(self) -> str | None:
        try:
            url = str((await self._calls.patiently("get_queue_url", QueueName=self.name))["QueueUrl"])
        except CallFailed as error:
            if error.code in NO_QUEUE:
                return None
            raise
        if self._ours:
            found = await self._calls.patiently("get_queue_attributes", QueueUrl=url, AttributeNames=["All"])
            self._check(found["Attributes"], await self._wanted())
        return url

    async def _made(self) -> str:
        wanted = await self._wanted() if self._ours else {"MessageRetentionPeriod": str(RETENTION_S)}
        try:
            return str((await self._calls.patiently("create_queue", QueueName=self.name, Attributes=wanted))["QueueUrl"])
        except CallFailed as error:
            if error.code not in _EXISTS:
                raise
        url = await self._found()  # another process was faster
        if url is None:
            raise CallFailed("create_queue", "QueueNameExists", repeat=True, maybe=False)
        return url

    async def _wanted(self) -> dict[str, str]:
        wanted = {
            "DelaySeconds": "0",
            "MaximumMessageSize": str(self._address.size_max),
            "MessageRetentionPeriod": str(RETENTION_S),
        }
        if self._dead is not None:
            policy = {"deadLetterTargetArn": await self._dead.arn(), "maxReceiveCount": str(self._address.receives_max)}
            wanted["RedrivePolicy"] = json.dumps(policy)
        return wanted

    def _check(self, found: Mapping[str, str], wanted: Mapping[str, str]) -> None:
        differences = [
            f"{name} is {found.get(name) or 'not set'}, expected {value}"
            for name, value in wanted.items()
            if not _as_wanted(name, found.get(name, ""), value)
        ]
        if found.get("RedrivePolicy") and "RedrivePolicy" not in wanted:
            differences.append("RedrivePolicy is set, expected none: nothing may take dead bundles away")
        if differences:
            faults = "; ".join(differences)
            raise OperatorError(f"the SQS queue {self.name} is not as it must be: {faults}. Change it so, or choose another prefix")


def _as_wanted(name: str, found: str, wanted: str) -> bool:
    if name == "MaximumMessageSize":
        return int(found or 0) >= int(wanted)
    if name == "RedrivePolicy":
        have, want = json.loads(found or "{}"), json.loads(wanted)
        return bool({key: str(have.get(key)) for key in want} == want)
    return found == wanted
