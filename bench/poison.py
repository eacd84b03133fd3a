"""A poisonous parcel in every bundle, of the intake and of a channel's lane: each is a dead letter, and nobody else is.

The bundles are taken off the bus while no worker takes them, and put back with one parcel more.
"""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

from tests.acceptance.harness import Oracle, sms, twilio, wait_until
from tests.acceptance.several import Several

from bench.doors import Doors
from bench.own_engines import Engines, fleet
from bench.purges import OTHER, other_channel
from bench.several_verdict import Account, account, settle_all

POISONS = (b'{"v":99,"id":"ntf_later"}', b"[]", b'{"id":5}', b'"\\ud800"', b"null", b'{"v":1,"id":"' + b"x" * 5000 + b'"}')
WITHIN_S = 60.0


async def poison(engines: Engines, folder: Path, *, count: int) -> Account:
    oracle = Oracle(folder)
    try:
        async with fleet(engines, folder, twilio(oracle) + other_channel(oracle)) as house:
            await asyncio.to_thread(house.start_api)
            await asyncio.to_thread(wait_until, lambda: house.api("GET", "/readyz")[0] == 200, WITHIN_S, "it is ready")
            doors, at_once = Doors(house.urls), asyncio.Semaphore(32)

            async def one(number: int) -> None:
                async with at_once:
                    await doors.post(number, sms(number), key=f"key-{number}")

            await asyncio.gather(*(one(number) for number in range(count)))
            doors.close()
            # given: in every bundle of the intake, and, when that is planned, in every bundle of the channel's lane
            intake = await asyncio.to_thread(_poisoned, house, "intake.normal")
            planner = house.start_worker("--channels", OTHER)
            queued = "select count(*) from messages where state = 20"
            await asyncio.to_thread(wait_until, lambda: house.ask(queued)[0][0] == count, WITHIN_S, "all are planned")
            await asyncio.to_thread(_dead, house, intake)
            await asyncio.to_thread(planner.stop)
            lane = await asyncio.to_thread(_poisoned, house, "sms.normal")
            # when
            await asyncio.to_thread(house.start_worker)
            house.start_scheduler()
            await asyncio.to_thread(settle_all, house, doors, WITHIN_S)
            dead = await asyncio.to_thread(_dead, house, intake + lane)
            # then
            made = await asyncio.to_thread(account, f"a poison in every bundle of {count} posts", house, oracle, doors)
            made.notes.append(f"{intake} bundles of the intake and {lane} of the channel's lane, {dead} dead letters")
            if dead != intake + lane:
                made.faults.append(f"{dead} dead letters of {intake + lane} poisons")
            made.faults += [f"doubled: {message}" for message in made.doubled]
            return made
    finally:
        oracle.stop()


def _poisoned(house: Several, lane: str) -> int:
    """Adds a parcel to every bundle that lies on a lane; how many those were."""
    kinds, numbers = itertools.cycle(POISONS), itertools.count()

    def worse(parcels: list[bytes]) -> list[bytes]:
        # each poison is another one, since the same bytes are one dead letter
        return [*parcels, b"[%d,%s]" % (next(numbers), next(kinds))]

    return house.broker.replace(lane, worse)


def _dead(house: Several, expected: int) -> int:
    """How many dead parcels there are, once there are as many as expected, or too late."""

    def count() -> int:
        return int(house.ask("select count(*) from dead_parcels")[0][0])

    try:
        wait_until(lambda: count() >= expected, 20, "all poisons are dead letters")
    except AssertionError:
        return count()
    return count()
