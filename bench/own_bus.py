"""The bus of a campaign, which is one of two: a RabbitMQ of its own, which may be killed, or the strict SQS fake, which stands for
Amazon, outlives everybody, and misbehaves all along instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from tests.acceptance.several import Broker as Shared
from tests.acceptance.several import Rabbit, Way
from tests.acceptance.sqs_process import FAULTS, Sqs, SqsServer, sqs_server
from tests.conformance.rabbit_broker import Broker, server_scripts

RABBITMQ, SQS = "rabbitmq", "sqs"


class OwnBus(Protocol):
    """Running."""

    @property
    def port(self) -> int:
        """On 127.0.0.1, for a line to it that is faulty."""
        ...

    @property
    def mortal(self) -> Mapping[str, Callable[[], None]]:
        """What of it may be killed; each comes back when it answers again."""
        ...

    def share(self, name: str, way: Way) -> Shared:
        """A part of it for a fleet of that name, which reaches it by `way`."""
        ...

    def said(self) -> list[str]:
        """What it did meanwhile that whoever reads an account should know."""
        ...


class OwnRabbit:
    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    @property
    def port(self) -> int:
        return self._broker.port

    @property
    def mortal(self) -> Mapping[str, Callable[[], None]]:
        return {"broker": self._kill}

    def share(self, name: str, way: Way) -> Shared:
        return Rabbit(self._broker.url, way, f"{name}.")

    def said(self) -> list[str]:
        return []

    def _kill(self) -> None:
        self._broker.kill()
        self._broker.start()


class OwnSqs:
    def __init__(self, server: SqsServer) -> None:
        self._server = server
        self._told: dict[str, int] = {}

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def mortal(self) -> Mapping[str, Callable[[], None]]:
        return {}

    def share(self, name: str, way: Way) -> Shared:
        return Sqs(self._server, way, f"{name}-")

    def said(self) -> list[str]:
        done = self._server.counts()["done_to"]
        since = {what: count - self._told.get(what, 0) for what, count in done.items()}
        self._told = done
        return ["the queues misbehaved: " + ", ".join(f"{what} {since[what]}" for what in sorted(since) if since[what])]


@contextmanager
def _own_rabbit(folder: Path) -> Iterator[OwnRabbit]:
    scripts = server_scripts()
    if scripts is None:
        raise SystemExit("no rabbitmq-server in the PATH")
    broker = Broker(scripts, folder)
    try:
        broker.start()
        yield OwnRabbit(broker)
    finally:
        broker.kill()


@contextmanager
def _own_sqs(folder: Path, seed: int) -> Iterator[OwnSqs]:
    with sqs_server(folder, seed=seed, **FAULTS) as server:
        yield OwnSqs(server)


BUSES: Mapping[str, Callable[[Path, int], AbstractContextManager[OwnBus]]] = {
    RABBITMQ: lambda folder, _: _own_rabbit(folder),
    SQS: _own_sqs,
}
"""By the name of an engine: started in a folder, with a seed; ended."""
