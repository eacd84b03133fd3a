"""The whole product in this process: API, workers, scheduler and sandbox in a thread of their own, over a file of their own."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Self

import msgspec
from msgspec import Struct

from sendwright.app.parts import Parts
from sendwright.app.running import EVERYTHING
from sendwright.app.serve import Started, serve_until
from sendwright.client import AsyncSendwright, Sendwright
from sendwright.settings import Loaded, load
from sendwright.testing.clock import FrozenClock

STARTED_S = 30.0
ENDED_S = 60.0
LOOK_S = 0.02


class Sent(Struct, frozen=True, kw_only=True, rename={"sender": "from"}):
    """One message that a provider took."""

    channel: str
    to: str
    body: str = ""
    title: str | None = None
    html: str | None = None
    url: str | None = None
    media: Sequence[str] = ()
    sender: str | None = None
    unsubscribe_url: str | None = None
    """Of marketing, by which its recipient unsubscribes."""
    ref: str | None = None

    def __repr__(self) -> str:
        return f"Sent({self.channel})"


class Server:
    """A running Sendwright. Use it in a `with`, or `start` and `stop` it.

    `settings` are those of the settings file by section (`{"retry": {"base_s": 0.1}}`); `clock` is what it goes by instead of the
    machine's. Without providers in the settings every channel goes to the sandbox."""

    def __init__(self, settings: Mapping[str, Mapping[str, Any]] | None = None, *, clock: FrozenClock | None = None) -> None:
        self.clock = clock
        self.url = ""
        self.key = ""
        self._settings = dict(settings or {})
        self._stack = ExitStack()
        self._sandbox = ""
        self._seen = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._draining: asyncio.Event | None = None

    def __repr__(self) -> str:
        return f"Server({self.url})"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when it is ready. Raises what kept it from starting (`SettingsError` with every fault, for one)."""
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise

    def _start(self) -> None:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="sendwright-testing-")))
        loaded = _loaded(folder, self._settings)
        begun: Future[tuple[Parts, str | None]] = Future()
        thread = Thread(target=self._run, args=(loaded, begun), name="sendwright", daemon=True)
        thread.start()
        self._stack.callback(thread.join, ENDED_S)
        self._stack.callback(self._drain)
        parts, address = begun.result(STARTED_S)
        self.url, self.key = address or "", parts.keys.admin_key.reveal()
        self._sandbox = parts.sandbox_url or ""

    def stop(self) -> None:
        """Finishes what is in flight, and ends."""
        self._stack.close()

    def client(self, **more: Any) -> Sendwright:
        """A client of it, to be closed by who asked; `more` as `Sendwright` takes it."""
        return Sendwright(self.url, self.key, **more)

    def async_client(self, **more: Any) -> AsyncSendwright:
        """The same for asyncio."""
        return AsyncSendwright(self.url, self.key, **more)

    def sent(self, *, channel: str | None = None, to: str | None = None) -> list[Sent]:
        """What the sandbox took since the last `reset`, in its order."""
        lines = self._ask("GET", f"/log?after={self._seen}&limit=10000").splitlines()
        taken = [msgspec.json.decode(line, type=_Line) for line in lines]
        return [
            line.sent
            for line in taken
            if line.taken and channel in (None, line.channel) and to in (None, line.to)
        ]  # fmt: skip

    def wait_for(self, count: int, *, within_s: float = 10.0, channel: str | None = None, to: str | None = None) -> list[Sent]:
        """The same, once there are so many. Raises `TimeoutError`."""
        give_up = time.monotonic() + within_s
        while len(found := self.sent(channel=channel, to=to)) < count:
            if time.monotonic() > give_up:
                raise TimeoutError(f"{len(found)} of {count} messages were sent within {within_s:g} s")
            time.sleep(LOOK_S)
        return found

    def faults(self, *rules: Mapping[str, Any], **more: Any) -> None:
        """Has the sandbox misbehave by these rules alone; none: not at all. docs/sandbox.md has what they can say."""
        self._ask("PUT", "/faults", json.dumps({"rules": list(rules), **more}).encode())

    def reset(self) -> None:
        """Forgets what was sent, and every fault."""
        self._ask("POST", "/reset", b"")
        self._seen = int(json.loads(self._ask("GET", "/stats"))["last_seq"])

    def _run(self, loaded: Loaded, begun: Future[tuple[Parts, str | None]]) -> None:
        """The thread."""

        async def run() -> None:
            self._loop, self._draining = asyncio.get_running_loop(), asyncio.Event()
            tell: Started = lambda parts, address, _link: begun.set_result((parts, address))  # noqa: E731
            await serve_until(self._draining, loaded, EVERYTHING, tell, clock=self.clock)

        try:
            asyncio.run(run())
        except BaseException as error:
            if begun.done():
                raise
            begun.set_exception(error)

    def _drain(self) -> None:
        if self._loop is not None and self._draining is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._draining.set)

    def _ask(self, method: str, path: str, body: bytes | None = None) -> str:
        if not self._sandbox:
            raise RuntimeError("its settings leave no channel to the sandbox")
        request = urllib.request.Request(self._sandbox + path, data=body, method=method)  # noqa: S310 -- our own address
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            said: bytes = answer.read()
            return said.decode()


class _Line(Sent, frozen=True, kw_only=True, rename={"sender": "from"}):
    """One of the sandbox's log."""

    taken: bool = False

    @property
    def sent(self) -> Sent:
        return Sent(**{name: getattr(self, name) for name in Sent.__struct_fields__})


def _loaded(folder: Path, settings: Mapping[str, Mapping[str, Any]]) -> Loaded:
    """On free ports, over a folder of its own, whatever environment the tests run in."""
    free: Mapping[str, Any] = {"listen": "127.0.0.1:0"}
    sections = {"api": free, "sandbox": free, **settings}
    for section in ("api", "sandbox"):
        sections[section] = {**free, **sections[section]}
    config = folder / "sendwright.toml"
    config.write_text("\n".join(line for name, members in sections.items() for line in _tables(name, members)) + "\n")
    return load(config, {}, folder / "data")


def _tables(path: str, members: Mapping[str, Any]) -> list[str]:
    """A table of TOML, and those within it. Strings, numbers, truth and lists of them are written there as in JSON."""
    plain = {name: value for name, value in members.items() if not isinstance(value, Mapping)}
    lines = [f"[{path}]", *(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in plain.items())]
    for name, value in members.items():
        if isinstance(value, Mapping):
            lines += _tables(f"{path}.{name}", value)
    return lines
