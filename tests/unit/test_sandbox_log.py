"""What the sandbox's log keeps, counts and gives up."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sendwright.sandbox import log as log_module
from sendwright.sandbox.log import Entry, MessageLog, Noted

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def entry(log: MessageLog, *, taken: bool = True, body: str = "", ref: str | None = None) -> Entry:
    verdict = "taken" if taken else "refused"
    return Entry(log.next_seq, NOON, "sandbox", "a", verdict, taken, 202, body=body, ref=ref or f"r{log.next_seq}")


def test_old_requests_give_way_and_stay_counted() -> None:
    log = MessageLog(shown_max=3)
    for _ in range(10):
        log.note(entry(log))

    assert [noted.entry.seq for noted in log.after(0, 100)] == [8, 9, 10]
    assert (log.stats().taken, log.stats().first_seq, log.stats().last_seq) == (10, 8, 10)
    assert (log.find("r7"), log.find("r8") is None) == (None, False)


def test_content_in_memory_is_bounded() -> None:
    big = "x" * (log_module.SHOWN_BYTES_MAX // 2)
    log = MessageLog()
    for _ in range(4):
        log.note(entry(log, body=big))

    assert len(log.after(0, 100)) == 2


def test_refused_request_is_not_found_by_its_id() -> None:
    log = MessageLog()
    log.note(entry(log, taken=False, ref="r"))

    assert log.find("r") is None


def test_line_is_in_the_file_when_note_returns(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = MessageLog(path)
    log.note(entry(log, body="ünï\n\x00"))

    [line] = [json.loads(line) for line in path.read_bytes().splitlines()]

    assert (line["seq"], line["body"], line["at"], line["taken"]) == (1, "ünï\n\x00", "2026-11-22T12:00:00Z", True)
    assert path.stat().st_mode & 0o077 == 0
    log.close()


def test_numbers_go_on_after_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b'{"seq":41,"taken":true}\n{"seq":42,"bo')
    log = MessageLog(path)
    log.note(entry(log))
    log.close()

    assert [line[:10] for line in path.read_bytes().splitlines()] == [b'{"seq":41,', b'{"seq":42,', b'{"seq":42,']
    assert json.loads(path.read_bytes().splitlines()[-1])["ref"] == "r42"


def test_message_comes_to_its_states_in_time() -> None:
    log = MessageLog()
    noted = Noted(entry(log), [], ("sent", "delivered"), 10.0)

    seen = [noted.state(NOON + timedelta(seconds=s)) for s in (0, 9, 10, 19, 20, 1000)]

    assert seen == ["", "", "sent", "sent", "delivered", "delivered"]


def test_reset_keeps_what_is_in_flight_and_the_numbers() -> None:
    log = MessageLog()
    log.opened()
    log.note(entry(log))
    log.reset()
    log.note(entry(log))

    stats = log.stats()
    assert (stats.in_flight, stats.most_in_flight, stats.taken, stats.first_seq) == (1, 1, 1, 2)
