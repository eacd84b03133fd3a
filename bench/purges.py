"""Lanes that an operator purges. What is lost with a channel's lane is found by its rows and sent; what is lost with an intake lane
is named: what has a key by its id, what has none as gaps in the numbers of the API that took it.

`[bus] lost_after`, ten minutes by default, is a few seconds here.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

from tests.acceptance.harness import Oracle, sms, twilio, wait_until
from tests.acceptance.several import Several

from bench.doors import Doors
from bench.own_engines import Engines, fleet
from bench.several_verdict import Account, account, settle_all

LOST_S = 3
SHORT = f'[bus]\nlost_after = "{LOST_S}s"\n'
FOUND_S = 90.0
OTHER = "email"


def other_channel(oracle: Oracle) -> str:
    """A provider for a channel that nobody is written to on: a worker that delivers on it alone only plans."""
    return f'[providers.box]\nkind = "sandbox"\nurl = "{oracle.url}"\nchannels = ["{OTHER}"]\n'


def shortened(house: Several) -> None:
    """The engines' tables are written by the house: the waiting time joins its own."""
    config = house.config.read_text()
    house.config.write_text(config.replace("[bus]\n", SHORT, 1))


async def purge_channel_lane(engines: Engines, folder: Path, *, count: int) -> Account:
    """Everything is planned and lies on its lane, no worker takes it, and it is purged."""
    oracle = Oracle(folder)
    try:
        async with fleet(engines, folder, twilio(oracle) + other_channel(oracle)) as house:
            shortened(house)
            # given a worker that plans and delivers nothing: of another channel
            await asyncio.to_thread(house.start_api)
            house.start_worker("--channels", OTHER)
            doors = await _posted(house, range(count), keyed=True)
            planned = "select count(*) from messages where state = 20 and id not in (select message from waits)"
            await asyncio.to_thread(wait_until, lambda: house.ask(planned)[0][0] == count, FOUND_S, "all are on the lane")
            # when
            purged = await asyncio.to_thread(house.broker.purge, "sms.normal")
            await asyncio.to_thread(house.start_worker)
            house.start_scheduler()
            began = time.monotonic()
            await asyncio.to_thread(settle_all, house, doors, FOUND_S)
            # then
            made = await asyncio.to_thread(account, f"a channel's lane is purged under {count} messages", house, oracle, doors)
            made.notes.append(f"{purged} bundles purged; all sent {time.monotonic() - began:.0f} s later, lost after {LOST_S} s")
            if not purged:
                made.faults.append("nothing was on the lane")
            if made.doubled:
                made.faults.append(f"{len(made.doubled)} doubled")
            return made
    finally:
        oracle.stop()


async def purge_intake_lane(engines: Engines, folder: Path, *, count: int) -> Account:
    """No worker runs, and the intake is purged under half of the posts."""
    oracle = Oracle(folder)
    try:
        async with fleet(engines, folder, twilio(oracle)) as house:
            shortened(house)
            await asyncio.to_thread(lambda: [house.start_api() for _ in range(2)])
            await asyncio.to_thread(wait_until, lambda: house.api_at(1, "GET", "/readyz")[0] == 200, FOUND_S, "both are ready")
            planner = house.start_worker()
            first = await _posted(house, range(-1, 0), keyed=True)  # before the first that is planned, the recount looks for no key
            await asyncio.to_thread(settle_all, house, first, FOUND_S)
            await asyncio.to_thread(planner.stop)
            lost = await _posted(house, range(0, count, 2), keyed=True)
            unkeyed = await _posted(house, range(1, count, 2), keyed=False)
            purged = await asyncio.to_thread(house.broker.purge, "intake.normal")
            await asyncio.to_thread(house.start_worker)
            kept = await _posted(house, range(count, 2 * count), keyed=True)
            await asyncio.to_thread(settle_all, house, kept, FOUND_S)
            made = Account(f"the intake is purged under {count} posts", accepted=len(kept.accepted))
            await asyncio.to_thread(_named, made, house, set(lost.accepted.values()), len(unkeyed.accepted))
            made.notes.append(f"{purged} bundles purged")
            return made
    finally:
        oracle.stop()


def _named(made: Account, house: Several, keyed: set[str], unkeyed: int) -> None:
    """The recount names what was purged, exactly: each key's id, and a gap for every number, by the API that gave it."""

    def violations() -> list[dict[str, str]]:
        found: list[dict[str, str]] = house.api("GET", "/v1/audit")[1]["violations"]
        return found

    def complete() -> bool:
        kinds = Counter(row["kind"] for row in violations())
        return kinds["lost"] >= len(keyed) and kinds["gap"] >= len(keyed) + unkeyed

    try:
        wait_until(complete, FOUND_S, "the recount names them", every_s=1)
    except AssertionError as error:
        made.faults.append(str(error))
    found = violations()
    named = {row["id"] for row in found if row["kind"] == "lost"}
    gaps = Counter(row["id"] for row in found if row["kind"] == "gap")
    made.notes.append(f"{len(named)} named by id, gaps by API: {sorted(gaps.values())}")
    if named != keyed:
        made.faults.append(f"{len(keyed)} had a key, named were {len(named & keyed)} of them and {len(named - keyed)} others")
    if gaps.total() != len(keyed) + unkeyed or len(gaps) != len(house.apis):
        made.faults.append(f"{len(keyed) + unkeyed} numbers are missing, the gaps are {dict(gaps)}")
    made.faults += [f"audit: {row}" for row in found if row["kind"] not in {"lost", "gap"}]


async def _posted(house: Several, numbers: range, *, keyed: bool) -> Doors:
    doors, at_once = Doors(house.urls), asyncio.Semaphore(16)

    async def one(number: int) -> None:
        async with at_once:
            await doors.post(number, sms(number), key=f"key-{number}" if keyed else None)

    await asyncio.gather(*(one(number) for number in numbers))
    doors.close()
    return doors
