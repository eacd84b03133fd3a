"""Memory of `sendwright up`: at rest, and with many messages queued behind a provider that is switched off.

    python -m bench.memory [--queued 100000]

They are accepted first, by a process that does nothing else; then the provider is switched off, and a new `up` plans
and parks them all. What cannot be sent now waits in the store and should not be held in memory.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import psutil
from tests.acceptance.harness import House, twilio

from bench import report
from bench.measure import MB, Row, load_average, until, words
from bench.ours import WARM, Door, all_accepted, caller, ended, in_lanes, outcomes, pid_of
from bench.provider import MockProvider
from sendwright.drivers.store.sqlite.writer import connect

QUEUED = 100_000
LONGEST_S = 3600
REST_S = 2.0


def queued(provider: MockProvider, count: int) -> dict[str, float]:
    settings = twilio(provider)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory(prefix="sendwright-bench-") as folder:
        place = Path(folder)
        rest = _at_rest(provider, House(place, settings))
        _accept(Door(place, settings), count)
        house = House(place, settings)
        try:
            began = time.monotonic()
            house.start()
            held, peak = _parked(house)
            seconds = time.monotonic() - began
            house.stop()
        finally:
            ended(house)
        _check(house, count)
        return {
            "queued": count,
            "rest_mb": rest / MB,
            "queued_mb": held / MB,
            "peak_mb": peak / MB,
            "bytes_each": (held - rest) / count,
            "file_mb": _file(house).stat().st_size / MB,
            "seconds": seconds - REST_S,
        }


def _at_rest(provider: MockProvider, house: House) -> int:
    """Its memory after a few messages."""
    try:
        house.start()
        with caller(house) as posting:
            posting.ready()
            provider.reset(0)
            posting.ask(WARM, 60)
        until(lambda: outcomes(house) >= WARM, 30, "warm")
        time.sleep(REST_S)
        rss = memory(house)
        house.stop()
        return rss
    finally:
        ended(house)


def _accept(door: Door, count: int) -> None:
    try:
        door.start()
        with caller(door) as posting:
            posting.ready()
            all_accepted(posting.ask(count, LONGEST_S))
        status, answer = door.api("PATCH", "/v1/providers/twilio-main", {"enabled": False})
        if status != 200:
            raise RuntimeError(f"the provider could not be switched off: {status} {answer}")
        door.stop()
    finally:
        ended(door)


def _parked(house: House) -> tuple[int, int]:
    """Its memory once nothing is on a lane any more, and the most that it was."""
    peak = memory(house)

    def over() -> bool:
        nonlocal peak
        peak = max(peak, memory(house))
        return in_lanes(house) == 0

    until(over, LONGEST_S, "all are parked", every_s=0.5)
    time.sleep(REST_S)
    return memory(house), max(peak, memory(house))


def _check(house: House, count: int) -> None:
    """Every one of them waits, and none was sent."""
    db = connect(_file(house), readonly=True)
    try:
        waiting = db.execute("select count(*) from waits").get
    finally:
        db.close()
    if waiting != count:
        raise RuntimeError(f"{waiting} of {count} messages wait")


def _file(house: House) -> Path:
    return house.folder / "data" / "sendwright.db"


def memory(house: House) -> int:
    """Bytes that are resident."""
    return int(psutil.Process(pid_of(house)).memory_info().rss)


def row(provider: MockProvider, count: int) -> Row:
    load = load_average()
    try:
        return Row("memory", report.OURS, 0, 1, load, queued(provider, count))
    except Exception as error:
        return Row("memory", report.OURS, 0, 1, load, error=words(error))


def main() -> None:
    asking = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    asking.add_argument("--queued", type=int, default=QUEUED)
    given = asking.parse_args()
    with tempfile.TemporaryDirectory() as folder, MockProvider(Path(folder)) as provider:
        report.show([row(provider, given.queued)])


if __name__ == "__main__":
    main()
