"""The machine's own credentials behind the egress: found by AWS's own chain, renewed by it, and shown to nobody."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

from sendwright.drivers.egress.gate import Gate, Route
from sendwright.providers.contract import Answer, ConsoleLine, Lost, OwnCredentials, Reply
from tests.ports import free_port

ASKED = OwnCredentials("aws")
LIMIT_S = 20.0


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No source but those that a test gives."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return tmp_path


async def asked(gate: Gate) -> Answer:
    line = await gate.open("ses-main", ASKED, LIMIT_S)
    try:
        return await line.send(ASKED, LIMIT_S)
    finally:
        line.release()


def gate() -> Gate:
    return Gate({"ses-main": Route()})


def keys_of(answer: Answer) -> dict[str, str | None]:
    assert isinstance(answer, Reply)
    assert answer.status == 200
    found: dict[str, str | None] = json.loads(answer.body)
    return found


async def test_where_no_source_has_any_it_says_so() -> None:
    assert await asked(gate()) == Reply(404)


async def test_a_file_that_changes_is_read_anew(nothing_of_this_machine: Path) -> None:
    asking, file = gate(), nothing_of_this_machine / "credentials"
    for key in ("AKIA0000000000000001", "AKIA0000000000000002"):
        file.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = secret\n")
        found = keys_of(await asked(asking))
        assert found == {"access_key_id": key, "secret_access_key": "secret", "session_token": None}


async def test_variables_come_before_files(nothing_of_this_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (nothing_of_this_machine / "credentials").write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA0000000000000003")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    assert keys_of(await asked(gate()))["session_token"] == "token"


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[datetime]]:
    """Stands for a container's agent. Each visit takes the next end of what it gives; the list is what is left of them."""
    ends: list[datetime] = []

    class Agent(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            end = ends.pop(0)
            said = {
                "AccessKeyId": f"ASIA{len(ends):016}",
                "SecretAccessKey": "secret",
                "Token": "token",
                "Expiration": end.isoformat(),
            }
            body = json.dumps(said).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Agent)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{server.server_port}/role")
    yield ends
    server.shutdown()
    server.server_close()


async def test_a_role_is_asked_again_ahead_of_its_end_and_not_before(container: list[datetime]) -> None:
    now, asking = datetime.now(UTC), gate()
    container += [now + timedelta(minutes=4), now + timedelta(hours=6), now + timedelta(hours=12)]
    await asked(asking)
    assert keys_of(await asked(asking))["session_token"] == "token"
    assert len(container) == 1, "what ends in four minutes is followed at once"
    for _ in range(3):
        await asked(asking)
    assert len(container) == 1, "what is good for hours is kept"


async def test_without_the_library_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    assert await asked(gate()) == Reply(501)


async def test_a_broken_file_is_no_credentials_and_is_not_quoted(nothing_of_this_machine: Path) -> None:
    (nothing_of_this_machine / "config").write_text("canary [not a file of theirs\n")
    answer = await asked(gate())
    assert isinstance(answer, Reply)
    assert answer.status == 404
    assert b"canary" not in answer.body


async def test_an_agent_that_is_away_may_come_back_and_is_no_lack_of_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{free_port()}/role")
    monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.RETRY_ATTEMPTS", 1)
    answer = await asked(gate())
    assert isinstance(answer, Reply)
    assert answer.status == 503


async def test_whatever_breaks_in_the_library_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(_: object) -> None:
        raise KeyError("canary")

    monkeypatch.setattr("botocore.session.Session.get_credentials", breaks)
    assert await asked(gate()) == Reply(503, body=b"KeyError")


async def test_who_asks_while_one_is_under_way_waits_for_that_and_nobody_elses_work_does(monkeypatch: pytest.MonkeyPatch) -> None:
    asking, may, calls = gate(), Event(), []

    def slow(_: object) -> None:
        calls.append(1)
        assert may.wait(LIMIT_S)

    monkeypatch.setattr("botocore.session.Session.get_credentials", slow)
    for _ in range(40):
        line = await asking.open("ses-main", ASKED, LIMIT_S)
        assert await line.send(ASKED, 0.001) == Lost("wait", "timed out")
    assert await asyncio.to_thread(lambda: "free") == "free"
    may.set()
    assert await asked(asking) == Reply(404)
    assert len(calls) == 1


async def test_it_carries_nothing_else() -> None:
    line = await gate().open("ses-main", ASKED, LIMIT_S)
    with pytest.raises(ValueError, match="own credentials"):
        await line.send(ConsoleLine("x"), LIMIT_S)
