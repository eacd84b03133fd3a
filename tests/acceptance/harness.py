"""Real processes for tests and campaigns: a sandbox as the oracle, Sendwright itself, and a caller that keeps a ledger.

Everything listens on 127.0.0.1 on free ports, and only processes started here are ended. The oracle's log and the
caller's ledger outlive every kill, so that at the end three accounts can be joined: what was answered 202, what the
store says, and what the provider took.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from sendwright.model import ids
from tests.ports import free_port

ACCOUNT = "AC" + "0" * 32
TOKEN = "sandbox-auth-token"
ADMIN_KEY = "test-admin-key-of-thirty-two-characters-or-more"
READY_S = 60.0


def call(method: str, url: str, body: object | None = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """One request, its status and parsed answer; connection errors raise OSError."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})}, method=method)
    try:
        raw, status = _answered(request)
    except http.client.HTTPException as error:  # it died in the middle of its answer
        raise ConnectionError(type(error).__name__) from error
    try:
        return status, json.loads(raw) if raw else None
    except ValueError:
        return status, raw


def _answered(request: urllib.request.Request) -> tuple[bytes, int]:
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.read(), reply.status
    except urllib.error.HTTPError as error:
        return error.read(), error.code


def wait_until(check: Any, within_s: float, what: str, every_s: float = 0.05) -> Any:
    """The first true answer of `check`; AssertionError when there is none in time."""
    deadline = time.monotonic() + within_s
    while True:
        with contextlib.suppress(OSError):
            found = check()
            if found:
                return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {within_s} s")
        time.sleep(every_s)


class Process:
    """A child process whose output goes to a file; `stderr` may go elsewhere."""

    def __init__(
        self, command: list[str], log: Path, env: dict[str, str] | None = None, cwd: Path | None = None, stderr: int | None = None
    ) -> None:
        stderr = subprocess.STDOUT if stderr is None else stderr
        with log.open("ab") as out:
            self.child = subprocess.Popen(command, stdout=out, stderr=stderr, env=os.environ | (env or {}), cwd=cwd)

    def kill(self) -> None:
        self.child.kill()
        self.child.wait()

    def stop(self, within_s: float = 30) -> int:
        """SIGTERM, and its exit code."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        return self.child.wait(within_s)


@dataclass
class Taken:
    """What the oracle took: attempts by message, as often as they came."""

    by_message: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def joined(cls, *books: Taken) -> Taken:
        """What several took, as one."""
        taken = cls()
        for book in books:
            for message, attempts in book.by_message.items():
                taken.by_message[message] += attempts
        return taken

    @property
    def doubled(self) -> dict[str, list[str]]:
        return {message: attempts for message, attempts in self.by_message.items() if len(attempts) > 1}


class Oracle:
    """A sandbox in a process of its own."""

    def __init__(self, folder: Path, *, latency_ms: int = 0, receipts: bool = True, more: Sequence[str] = ()) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "oracle.jsonl"
        command = [sys.executable, "-m", "sendwright", "sandbox", "--listen", f"127.0.0.1:{self.port}", "--log", str(self.log)]
        command += ["--latency-ms", str(latency_ms)]
        command += [] if receipts else ["--no-receipts"]
        command += more
        self.process = Process(command, folder / "oracle.out")
        wait_until(lambda: call("GET", self.url + "/healthz")[0] == 200, READY_S, "the sandbox is up")

    def faults(self, rules: list[dict[str, Any]], receipts: dict[str, Any] | None = None) -> None:
        body: dict[str, Any] = {"rules": rules}
        if receipts is not None:
            body["receipts"] = receipts
        status, answer = call("PUT", self.url + "/faults", body)
        assert status in {200, 204}, answer

    def stats(self) -> dict[str, Any]:
        stats: dict[str, Any] = call("GET", self.url + "/stats")[1]
        return stats

    def taken(self, channel: str | None = None) -> Taken:
        """By its log, which it wrote before it answered; of one channel alone, where one is named. A line that it is in the
        middle of writing is read the next time."""
        taken = Taken()
        *lines, _ = self.log.read_bytes().split(b"\n") if self.log.exists() else [b""]
        for line in lines:
            entry = json.loads(line)
            if entry["taken"] and entry.get("reference") and channel in {None, entry["channel"]}:
                taken.by_message[ids.message_of(entry["reference"])].append(entry["reference"])
        return taken

    def stop(self) -> None:
        self.process.kill()


class House:
    """`sendwright up`, restartable over one data folder. `bent` starts it by bent.py, with those things bent; `around` is
    a command that runs the one after it in its own place; `python` is another interpreter than this one."""

    def __init__(
        self,
        folder: Path,
        providers: str,
        extra: str = "",
        *,
        data: Path | None = None,
        bent: dict[str, Any] | None = None,
        around: Sequence[str] = (),
        python: str = sys.executable,
    ) -> None:
        self.folder = folder
        self._python = python
        self.data = data or folder / "data"
        self._bent = bent
        self._around = around
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = folder / "sendwright.toml"
        self.config.write_text(
            f'[api]\nlisten = "127.0.0.1:{self.port}"\nadmin_key = "{ADMIN_KEY}"\n'
            f'[sandbox]\nlisten = "127.0.0.1:{free_port()}"\n{extra}\n{providers}'
        )
        self.process: Process | None = None
        self.starts = 0

    def start(self, env: dict[str, str] | None = None, *, ready: bool = True, stderr: int | None = None) -> float:
        """Starts it; returns the seconds to readiness."""
        began = time.monotonic()
        program = ["-m", "sendwright"] if self._bent is None else [str(Path(__file__).with_name("bent.py"))]
        command = [*self._around, self._python, *program, "up", "--config", str(self.config), "--data", str(self.data)]
        bent = {} if self._bent is None else {"SENDWRIGHT_BENT": json.dumps(self._bent)}
        self.process = Process(command, self.folder / "house.out", bent | (env or {}), stderr=stderr)
        self.starts += 1
        if ready:
            self.wait_ready()
        return time.monotonic() - began

    def wait_ready(self, within_s: float = READY_S) -> None:
        def answers() -> bool:
            assert self.process is not None
            if self.process.child.poll() is not None:
                raise AssertionError(f"it ended with {self.process.child.returncode}: {self.output()[-2000:]}")
            return call("GET", self.url + "/readyz")[0] == 200

        wait_until(answers, within_s, "Sendwright is ready")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.child.pid

    def ended(self, within_s: float = 30) -> int:
        """Waits until it ends by itself; its exit code."""
        assert self.process is not None
        return self.process.child.wait(within_s)

    @property
    def dead(self) -> bool:
        return self.process is not None and self.process.child.poll() is not None

    @contextlib.contextmanager
    def database(self) -> Iterator[apsw.Connection]:
        """The file itself, as a foreign program sees it."""
        db = apsw.Connection(str(self.data / "sendwright.db"), flags=apsw.SQLITE_OPEN_READWRITE)
        db.set_busy_timeout(5000)
        try:
            yield db
        finally:
            db.close()

    def output(self) -> str:
        return (self.folder / "house.out").read_text(errors="replace")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()

    def stop(self) -> int:
        assert self.process is not None
        return self.process.stop()

    def api(self, method: str, path: str, body: object | None = None, **headers: str) -> tuple[int, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return call(method, self.url + path, body, {"Authorization": f"Bearer {ADMIN_KEY}", **named})

    def pages(self, path: str) -> list[dict[str, Any]]:
        """All rows of a list."""
        rows: list[dict[str, Any]] = []
        cursor = None
        joint = "&" if "?" in path else "?"
        while True:
            status, page = self.api("GET", f"{path}{joint}limit=100" + (f"&cursor={cursor}" if cursor else ""))
            assert status == 200, page
            rows += page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return rows

    def counts(self) -> dict[str, int]:
        counts: dict[str, int] = self.api("GET", "/v1/audit")[1]["by_state"]
        return counts


def twilio(oracle: Oracle, *, name: str = "twilio-main", concurrency: int = 200, extra: str = "", receipts: bool = True) -> str:
    """A provider's table. Without `receipts` it has an API key, which signs no callbacks: a doubt waits for nothing."""
    proof = f'auth_token = "{TOKEN}"' if receipts else f'api_key_sid = "SK{TOKEN}"\napi_key_secret = "{TOKEN}"'
    return (
        f'[providers.{name}]\nkind = "twilio"\naccount_sid = "{ACCOUNT}"\n{proof}\nfrom = "+15005550006"\n'
        f'base_url = "{oracle.url}"\nconcurrency = {concurrency}\n{extra}\n'
    )


def sms(number: int, **more: Any) -> dict[str, Any]:
    return {"to": {"phone": f"+1415{5550000 + number % 9999:07d}"}, "content": {"body": f"message {number}"}, **more}


class Caller:
    """Posts from an event loop and keeps a ledger of every 202; tries again, with the same key, when it heard nothing."""

    def __init__(self, house: House, ledger: Path) -> None:
        self._house = house
        self._ledger = os.open(ledger, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_DSYNC, 0o600)
        self.accepted: dict[str, str] = {}
        """Key to id."""
        self.maybe: set[str] = set()
        """Keys of posts that were never answered: they may exist or not."""

    async def post(self, key: str, body: dict[str, Any], *, keyed: bool = True) -> str | None:
        """The id, once it was answered 202. Keyed posts are repeated until they are."""
        raw = json.dumps(body).encode()
        head = (
            f"POST /v1/notifications HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\nConnection: close\r\n"
        ) + (f"Idempotency-Key: {key}\r\n" if keyed else "")
        while True:
            status, answer = await self._exchange(head.encode() + b"\r\n" + raw)
            if status == 202:
                self._note(key, answer["id"])
                return str(answer["id"])
            if status is None and not keyed:
                self.maybe.add(key)
                return None
            if status is not None and status not in {409, 503}:
                raise AssertionError(f"{status}: {answer}")
            await asyncio.sleep(0.05)

    async def _exchange(self, request: bytes) -> tuple[int | None, Any]:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._house.port)
        except OSError:
            return 503, None
        try:
            writer.write(request)
            raw = await asyncio.wait_for(reader.read(), 30)
            head, _, body = raw.partition(b"\r\n\r\n")
            return (int(head.split()[1]), json.loads(body)) if body else (None, None)
        except (OSError, ValueError, IndexError, TimeoutError):
            return None, None
        finally:
            writer.close()

    def _note(self, key: str, id_: str) -> None:
        os.write(self._ledger, f"{key} {id_}\n".encode())
        before = self.accepted.setdefault(key, id_)
        assert before == id_, f"key {key} stands for {before} and {id_}"
