"""The strict SQS fake as a server of its own, for processes that share it, and a producer's and an operator's hand on it.

It outlives whatever is killed, as Amazon's would; its faults come from a seed and may be set while it runs.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sendwright.drivers.bus.sqs.address import spelled
from sendwright.drivers.bus.sqs.bodies import read_letter, written
from sendwright.model.parcel import split
from tests.acceptance.harness import Process, call, free_port, wait_until
from tests.conformance.sqs_backends import credentials
from tests.conformance.sqs_fake_queues import ACCOUNT

PREFIX = "r-"
HELD_S = 5
"""How long what an operator takes is kept from others."""
FAULTS = {
    "duplicate": 0.05,
    "expire": 0.02,
    "ghost": 0.02,
    "reorder": 0.3,
    "short": 0.1,
    "entry": 0.05,
    "unmentioned": 0.02,
    "throttle": 0.03,
    "error": 0.02,
    "drop": 0.02,
}
"""What it does to whoever uses it, all the while. As in `sqs_fake_queues.Faults`."""


class SqsServer:
    """A process. `faults` as in `sqs_fake_queues.Faults`."""

    def __init__(self, folder: Path, *, seed: int = 1, **faults: float) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "tests.conformance.sqs_fake", "--port", str(self.port), "--seed", str(seed)]
        for name, rate in faults.items():
            command += [f"--{name.replace('_', '-')}", str(rate)]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._process = Process(command, folder / "sqs.out", cwd=Path(__file__).parents[2])
        wait_until(self.counts, 20, "the SQS fake is up")

    def counts(self) -> dict[str, Any]:
        """What was asked of it, what it did to that, and what is left in its queues."""
        counts: dict[str, Any] = call("GET", self.endpoint + "/_fake/counts")[1]
        return counts

    def end(self) -> None:
        self._process.kill()


@contextmanager
def sqs_server(folder: Path, *, seed: int = 1, **faults: float) -> Iterator[SqsServer]:
    """Running, and with credentials for it in the environment of whoever is started meanwhile."""
    with credentials():
        server = SqsServer(folder, seed=seed, **faults)
        try:
            yield server
        finally:
            server.end()


class Sqs:
    """A `several.Broker`: the queues of a server that have this prefix. The processes reach it by a `way`."""

    def __init__(self, server: SqsServer, way: Callable[[str], str] = str, prefix: str = PREFIX) -> None:
        self._server = server
        self._prefix = prefix
        self.url = f"sqs://?region=eu-central-1&prefix={prefix}&endpoint={way(server.endpoint)}"

    def counts(self) -> dict[str, Any]:
        return self._server.counts()

    def left(self) -> int:
        """Messages of all its queues, visible or in somebody's hand."""
        queues = self.counts()["queues"].items()
        return sum(sum(queue.values()) for name, queue in queues if name.startswith(self._prefix))

    def publish(self, body: bytes, message_id: str | None) -> None:
        """SQS gives the id itself; `message_id` must be None."""
        assert message_id is None
        self.send("intake", body.decode())

    def send(self, queue: str, body: str) -> str:
        """Puts a message on a queue, its prefix left out, once or (where an answer is lost) more often; its id."""
        return str(self.asked("SendMessage", queue=queue, MessageBody=body)["MessageId"])

    def purge(self, lane: str) -> int:
        queue = spelled(lane)
        lay = self._lying(queue)
        self.asked("PurgeQueue", queue=queue)
        return lay

    def replace(self, lane: str, change: Callable[[list[bytes]], list[bytes]]) -> int:
        """Takes all of them before it puts one back; what an answer that was lost had taken is waited for. A bundle that the
        server hands out again all the same, after it was deleted, comes unchanged."""
        queue, found = spelled(lane), dict[str, dict[str, Any]]()
        while len(found) < self._lying(queue):
            for message in self._taken(queue):
                found[message["MessageId"]] = message  # the newest receipt handle is the one that counts
        letters = {letter.id: letter for letter in (read_letter(message["Body"], lane) for message in found.values())}
        for letter in letters.values():
            assert letter.id, "not a bundle of ours"
            assert letter.check is None, "a bundle that is kept aside"
            self.send(queue, written(secrets.token_hex(12), letter.lane, change(split(letter.body))))
        for message in found.values():
            self.asked("DeleteMessage", queue=queue, ReceiptHandle=message["ReceiptHandle"])
        return len(letters)

    def asked(self, action: str, *, queue: str, **members: Any) -> Any:
        """Asks as often as it takes, as any client does."""
        members["QueueUrl"] = f"{self._server.endpoint}/{ACCOUNT}/{self._prefix}{queue}"
        headers = {
            "X-Amz-Target": f"AmazonSQS.{action}",
            "Content-Type": "application/x-amz-json-1.0",
            "Authorization": "AWS4-HMAC-SHA256 Credential=test",
        }

        def answered() -> Any:
            status, answer = call("POST", self._server.endpoint + "/", members, headers)
            return status == 200 and (answer, True)

        return wait_until(answered, 20, f"{action} of {queue}")[0]

    def clean(self) -> None:
        """Its queues go with the server."""

    def _lying(self, queue: str) -> int:
        return sum(self.counts()["queues"][self._prefix + queue].values())

    def _taken(self, queue: str) -> list[dict[str, Any]]:
        answer = self.asked("ReceiveMessage", queue=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1, VisibilityTimeout=HELD_S)
        messages: list[dict[str, Any]] = answer.get("Messages", [])
        return messages
