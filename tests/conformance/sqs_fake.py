"""A strict Amazon SQS of our own, with everything that the real one may do to a client: `python -m tests.conformance.sqs_fake`.

It speaks the JSON protocol (`X-Amz-Target: AmazonSQS.…`, application/x-amz-json-1.0) over HTTP/1.1 on 127.0.0.1, holds to
the limits, refuses members it doesn't know, and draws its faults (`Faults`) from a seeded generator. Signatures must be
there and are not verified. While it runs, `POST /_fake/faults` with a JSON object sets rates, `GET /_fake/counts` tells what
was asked for, what was done to it and what is left.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any, Self

import msgspec

from tests.conformance.sqs_fake_queues import (
    ACCOUNT,
    DEFAULTS,
    ENTRY_ID,
    NAME,
    SIZE_MAX,
    FakeQueue,
    Faults,
    Refusal,
    invalid,
    md5,
    now,
    shown,
    weight,
)

MEMBERS = {
    "CreateQueue": {"QueueName", "Attributes", "tags"},
    "GetQueueUrl": {"QueueName", "QueueOwnerAWSAccountId"},
    "GetQueueAttributes": {"QueueUrl", "AttributeNames"},
    "SetQueueAttributes": {"QueueUrl", "Attributes"},
    "ListQueues": {"QueueNamePrefix", "MaxResults", "NextToken"},
    "DeleteQueue": {"QueueUrl"},
    "PurgeQueue": {"QueueUrl"},
    "SendMessage": {"QueueUrl", "MessageBody", "DelaySeconds", "MessageAttributes"},
    "SendMessageBatch": {"QueueUrl", "Entries"},
    "ReceiveMessage": {
        "QueueUrl",
        "MaxNumberOfMessages",
        "WaitTimeSeconds",
        "VisibilityTimeout",
        "AttributeNames",
        "MessageSystemAttributeNames",
        "MessageAttributeNames",
    },
    "DeleteMessage": {"QueueUrl", "ReceiptHandle"},
    "DeleteMessageBatch": {"QueueUrl", "Entries"},
    "ChangeMessageVisibility": {"QueueUrl", "ReceiptHandle", "VisibilityTimeout"},
    "ChangeMessageVisibilityBatch": {"QueueUrl", "Entries"},
}
ENTRIES = {
    "SendMessageBatch": {"Id", "MessageBody", "DelaySeconds", "MessageAttributes"},
    "DeleteMessageBatch": {"Id", "ReceiptHandle"},
    "ChangeMessageVisibilityBatch": {"Id", "ReceiptHandle", "VisibilityTimeout"},
}


class _Dropped(Exception):
    """No answer: the connection ends."""


class SqsFake:
    """The server: `async with SqsFake(seed=1) as fake`, then `fake.url`. `fake.faults` may be set at any time."""

    def __init__(self, *, seed: int = 0, faults: Faults | None = None, port: int = 0, region: str = "eu-central-1") -> None:
        self.faults = faults or Faults()
        self.queues: dict[str, FakeQueue] = {}
        self.asked: Counter[str] = Counter()
        self.done_to: Counter[str] = Counter()
        self.on_request: Callable[[str, dict[str, Any]], str | None] | None = None
        """For a test that wants a certain fault at a certain request: called with the action and its members, answers
        `throttle`, `error`, `drop`, `hang`, or any but the first with `-after` when the request shall be done before."""
        self.on_entry: Callable[[str, dict[str, Any]], dict[str, Any] | None] | None = None
        """The same for an entry of a batch: what fails, as the answer has it, instead of being done."""
        self.chance = random.Random(seed)
        self._port = port
        self._region = region
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port, limit=4 * SIZE_MAX)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    def counts(self) -> dict[str, Any]:
        lanes = {name: dict(zip(("visible", "in_flight"), queue.counts(now()), strict=True)) for name, queue in self.queues.items()}
        return {"asked": dict(self.asked), "done_to": dict(self.done_to), "queues": lanes}

    # HTTP

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, _Dropped):
            writer.transport.abort()
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._connections.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ")
        headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines[1:] if line)}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        extra: dict[str, str] = {}
        try:
            if path.startswith("/_fake/"):
                status, answer = 200, self._control(method, path, raw)
            else:
                status, answer = 200, await self._request(method, headers, raw, reader)
        except Refusal as error:
            status, answer = error.status, {"__type": f"com.amazonaws.sqs#{error.shape}", "message": error.detail}
            extra["x-amzn-query-error"] = f"{error.code};{'Sender' if error.status < 500 else 'Receiver'}"
        body = json.dumps(answer).encode()
        head = [f"HTTP/1.1 {status} -", "Content-Type: application/x-amz-json-1.0", f"Content-Length: {len(body)}"]
        head += [f"{key}: {value}" for key, value in extra.items()]
        writer.write("\r\n".join([*head, "x-amzn-RequestId: 0", "", ""]).encode() + body)
        await writer.drain()
        return headers.get("connection", "").lower() != "close"

    def _control(self, method: str, path: str, raw: bytes) -> Any:
        if (method, path) == ("GET", "/_fake/counts"):
            return self.counts()
        if (method, path) == ("POST", "/_fake/faults"):
            self.faults = msgspec.convert({**msgspec.to_builtins(self.faults), **json.loads(raw)}, Faults)
            return msgspec.to_builtins(self.faults)
        raise Refusal("UnknownOperationException", path, status=404)

    async def _request(self, method: str, headers: dict[str, str], raw: bytes, reader: asyncio.StreamReader) -> Any:
        service, _, action = headers.get("x-amz-target", "").partition(".")
        if method != "POST" or service != "AmazonSQS" or action not in MEMBERS:
            raise Refusal("UnknownOperationException", action or "no X-Amz-Target")
        if headers.get("content-type") != "application/x-amz-json-1.0":
            raise Refusal("SerializationException", "Content-Type")
        if not headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 Credential="):
            raise Refusal("MissingAuthenticationToken", "Request is missing Authentication Token", status=403)
        members = json.loads(raw or b"{}")
        if not isinstance(members, dict) or (unknown := members.keys() - MEMBERS[action]):
            raise Refusal(
                "SerializationException", f"unknown members: {sorted(unknown) if isinstance(members, dict) else raw[:20]!r}"
            )
        self.asked[action] += 1
        fault = self._drawn(action, members)
        if self.faults.delay_s:
            await asyncio.sleep(self.chance.random() * self.faults.delay_s)
        if fault is None or fault.endswith("-after"):
            answer = await self._act(action, members, reader)
        if fault is None:
            return answer
        self.done_to[fault] += 1
        if fault.startswith("hang"):
            await reader.read()  # until the client has had enough
        if fault.startswith(("drop", "hang")):
            raise _Dropped
        if fault == "throttle":
            raise self.chance.choice(
                (Refusal("RequestThrottled", "Rate exceeded"), Refusal("ThrottlingException", "Rate exceeded"))
            )
        shape, status = self.chance.choice((("InternalFailure", 500), ("ServiceUnavailable", 503)))
        raise Refusal(shape, "try again", status=status)

    def _drawn(self, action: str, members: dict[str, Any]) -> str | None:
        if self.on_request is not None and (fault := self.on_request(action, members)) is not None:
            return fault
        for name in ("throttle", "error", "drop", "hang"):
            if self.chance.random() < getattr(self.faults, name):
                return name + ("-after" if name != "throttle" and self.chance.random() < 0.5 else "")
        return None

    # actions

    async def _act(self, action: str, members: dict[str, Any], reader: asyncio.StreamReader) -> Any:
        if action == "CreateQueue":
            return self._create(members)
        if action == "ListQueues":
            prefix = members.get("QueueNamePrefix", "")
            return {"QueueUrls": [self._url_of(name) for name in self.queues if name.startswith(prefix)]}
        if action == "GetQueueUrl":
            return {"QueueUrl": self._url_of(self._queue(members.get("QueueName", "")).name)}
        queue = self._queue(str(members.get("QueueUrl", "")).removeprefix(f"{self.url}/{ACCOUNT}/"))
        if action == "ReceiveMessage":
            return await self._receive(queue, members, reader)
        if action in ENTRIES:
            return self._batch(action, queue, members)
        if action == "GetQueueAttributes":
            return {"Attributes": self._attributes(queue, members.get("AttributeNames", ()))}
        if action == "SetQueueAttributes":
            queue.attributes.update(_sound(members.get("Attributes", {})))
        elif action == "DeleteQueue":
            del self.queues[queue.name]
        elif action == "PurgeQueue":
            queue.messages.clear()
        else:
            return self._single(action.removesuffix("Batch"), queue, members)
        return {}

    def _single(self, action: str, queue: FakeQueue, members: dict[str, Any]) -> dict[str, Any]:
        if action == "SendMessage":
            message = queue.send(members)
            return {"MessageId": message.id, "MD5OfMessageBody": md5(message.body)}
        if action == "DeleteMessage":
            queue.delete(members.get("ReceiptHandle", ""), self.faults, self.chance)
        else:
            queue.change(members.get("ReceiptHandle", ""), members.get("VisibilityTimeout"))
        return {}

    def _create(self, members: dict[str, Any]) -> dict[str, Any]:
        name, attributes = members.get("QueueName", ""), _sound(members.get("Attributes") or {})
        if not NAME.fullmatch(name):
            raise invalid("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
        there = self.queues.get(name)
        if there is not None and any(there.attributes.get(key) != value for key, value in attributes.items()):
            raise Refusal(
                "QueueNameExists", "A queue already exists with the same name and a different value", "QueueAlreadyExists"
            )
        made = there or FakeQueue(name, attributes, self._region, self.done_to)
        if made.redrive is not None and not any(queue.arn == made.redrive[0] for queue in self.queues.values()):
            raise invalid("RedrivePolicy: the dead letter target does not exist")
        self.queues[name] = made
        return {"QueueUrl": self._url_of(name)}

    def _attributes(self, queue: FakeQueue, asked: Any) -> dict[str, str]:
        visible, in_flight = queue.counts(now())
        every = {
            **queue.attributes,
            "QueueArn": queue.arn,
            "ApproximateNumberOfMessages": str(visible),
            "ApproximateNumberOfMessagesNotVisible": str(in_flight),
            "ApproximateNumberOfMessagesDelayed": "0",
            "CreatedTimestamp": str(queue.created_at),
        }
        return {key: value for key, value in every.items() if "All" in asked or key in asked}

    async def _receive(self, queue: FakeQueue, members: dict[str, Any], reader: asyncio.StreamReader) -> dict[str, Any]:
        most, wait = members.get("MaxNumberOfMessages", 1), members.get("WaitTimeSeconds", 0)
        visibility = members.get("VisibilityTimeout", int(queue.attributes["VisibilityTimeout"]))
        if not 1 <= most <= 10 or not 0 <= wait <= 20 or not 0 <= visibility <= 43_200:
            raise invalid("MaxNumberOfMessages, WaitTimeSeconds or VisibilityTimeout is out of range")
        until = now() + wait
        while not reader.at_eof():  # nobody is there any more: nothing is taken
            news = queue.news
            taken, dead = queue.take(most, visibility, self.faults, self.chance)
            for one in dead:
                self._dead_queue(queue).put(one)
            if taken:
                return {"Messages": [shown(one, members) for one in taken]}
            at = now()
            later = min((one.visible_at for one in queue.messages.values() if one.visible_at > at), default=until)
            if at >= until:
                break
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), max(0.005, min(until, later, at + 0.25) - at))
        return {}

    def _dead_queue(self, queue: FakeQueue) -> FakeQueue:
        assert queue.redrive is not None
        return next(one for one in self.queues.values() if queue.redrive and one.arn == queue.redrive[0])

    def _batch(self, action: str, queue: FakeQueue, members: dict[str, Any]) -> dict[str, Any]:
        entries = members.get("Entries") or []
        prefix = "AWS.SimpleQueueService."
        if not entries:
            raise Refusal("EmptyBatchRequest", "There should be at least one entry in the request.", prefix + "EmptyBatchRequest")
        if len(entries) > 10:
            raise Refusal("TooManyEntriesInBatchRequest", "Maximum is 10.", prefix + "TooManyEntriesInBatchRequest")
        ids = [entry.get("Id", "") for entry in entries]
        if not all(isinstance(id_, str) and ENTRY_ID.fullmatch(id_) for id_ in ids):
            raise Refusal("InvalidBatchEntryId", "A batch entry id is not valid", prefix + "InvalidBatchEntryId")
        if len(set(ids)) < len(ids):
            raise Refusal("BatchEntryIdsNotDistinct", "An id is repeated", prefix + "BatchEntryIdsNotDistinct")
        if any(entry.keys() - ENTRIES[action] for entry in entries):
            raise Refusal("SerializationException", "an entry has unknown members")
        if action == "SendMessageBatch" and sum(map(weight, entries)) > SIZE_MAX:
            raise Refusal("BatchRequestTooLong", "Batch requests cannot be longer", prefix + "BatchRequestTooLong")
        answer: dict[str, Any] = {"Successful": [], "Failed": []}
        for entry in entries:
            self._entry(action, queue, entry, answer)
        return {key: value for key, value in answer.items() if value}

    def _entry(self, action: str, queue: FakeQueue, entry: dict[str, Any], answer: dict[str, Any]) -> None:
        forced = self.on_entry(action, entry) if self.on_entry is not None else None
        if forced is not None:
            answer["Failed"].append({"Id": entry["Id"], **forced})
            return
        fault = next((name for name in ("entry", "unmentioned") if self.chance.random() < getattr(self.faults, name)), None)
        try:
            if fault is None or self.chance.random() < 0.5:
                done = self._single(action.removesuffix("Batch"), queue, {key: entry[key] for key in entry if key != "Id"})
        except Refusal as error:
            answer["Failed"].append({"Id": entry["Id"], "SenderFault": True, "Code": error.code, "Message": error.detail})
            return
        if fault is None:
            answer["Successful"].append({"Id": entry["Id"], **done})
            return
        self.done_to[fault] += 1
        if fault == "entry":
            code = self.chance.choice(("InternalError", "ServiceUnavailable"))
            answer["Failed"].append({"Id": entry["Id"], "SenderFault": False, "Code": code, "Message": "try again"})

    def _queue(self, name: str) -> FakeQueue:
        queue = self.queues.get(name)
        if queue is None:
            code = "AWS.SimpleQueueService.NonExistentQueue"
            raise Refusal("QueueDoesNotExist", "The specified queue does not exist.", code)
        return queue

    def _url_of(self, name: str) -> str:
        return f"{self.url}/{ACCOUNT}/{name}"


def _sound(attributes: dict[str, str]) -> dict[str, str]:
    for key, value in attributes.items():
        if key in DEFAULTS:
            _, least, most = DEFAULTS[key]
            if not value.isdecimal() or not least <= int(value) <= most:
                raise Refusal("InvalidAttributeValue", f"Invalid value for the parameter {key}.")
        elif key not in {"RedrivePolicy", "Policy"}:
            raise Refusal("InvalidAttributeName", f"Unknown Attribute {key}.")
    return attributes


async def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.sqs_fake", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--seed", type=int, default=0)
    for name in Faults.__struct_fields__:
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=0.0, help="a rate from 0 to 1, or seconds at most")
    given = vars(parser.parse_args())
    port, seed = given.pop("port"), given.pop("seed")
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with SqsFake(seed=seed, port=port, faults=Faults(**given)) as fake:
        sys.stdout.write(f"{fake.url}\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(_main())
