"""The strict SQS fake as a server of its own, for processes that share it, and a producer's hand on it.

It outlives whatever is killed, as Amazon's would; its faults come from a seed and may be set while it runs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.acceptance.harness import Process, call, free_port, wait_until
from tests.conformance.sqs_fake_queues import ACCOUNT

PREFIX = "r-"


class Sqs:
    """A `several.Broker`. `faults` as in `sqs_fake_queues.Faults`."""

    def __init__(self, folder: Path, *, seed: int = 1, **faults: float) -> None:
        port = free_port()
        command = [sys.executable, "-m", "tests.conformance.sqs_fake", "--port", str(port), "--seed", str(seed)]
        for name, rate in faults.items():
            command += [f"--{name.replace('_', '-')}", str(rate)]
        self._endpoint = f"http://127.0.0.1:{port}"
        self.process = Process(command, folder / "sqs.out", cwd=Path(__file__).parents[2])
        wait_until(self.counts, 20, "the SQS fake is up")
        self.url = f"sqs://?region=eu-central-1&prefix={PREFIX}&endpoint={self._endpoint}"

    def counts(self) -> dict[str, Any]:
        """What was asked of it, what it did to that, and what is left in its queues."""
        counts: dict[str, Any] = call("GET", self._endpoint + "/_fake/counts")[1]
        return counts

    def left(self) -> int:
        """Messages of all queues, visible or in somebody's hand."""
        return sum(sum(queue.values()) for queue in self.counts()["queues"].values())

    def publish(self, body: bytes, message_id: str | None) -> None:
        """SQS gives the id itself; `message_id` must be None."""
        assert message_id is None
        self.send("intake", body.decode())

    def send(self, lane: str, body: str) -> str:
        """Puts a message on the queue of a lane, spelled as it is there, once or (where an answer is lost) more often; its id."""
        return str(self.asked("SendMessage", queue=lane, MessageBody=body)["MessageId"])

    def asked(self, action: str, *, queue: str, **members: Any) -> Any:
        """Asks as often as it takes, as any client does."""
        members["QueueUrl"] = f"{self._endpoint}/{ACCOUNT}/{PREFIX}{queue}"
        headers = {
            "X-Amz-Target": f"AmazonSQS.{action}",
            "Content-Type": "application/x-amz-json-1.0",
            "Authorization": "AWS4-HMAC-SHA256 Credential=test",
        }

        def answered() -> Any:
            status, answer = call("POST", self._endpoint + "/", members, headers)
            return status == 200 and (answer, True)

        return wait_until(answered, 20, f"{action} of {queue}")[0]

    def clean(self) -> None:
        self.process.kill()
