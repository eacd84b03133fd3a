"""What every switchboard promises (engine/ports.py, Switchboard)."""

from __future__ import annotations

import asyncio

from sendwright.model.records import Claimed, Order, Refused, Switch
from tests.conformance.backends import UnderTest, every_backend
from tests.conformance.builders import claim, planned

backend = every_backend()


async def test_nothing_is_switched_at_first(backend: UnderTest) -> None:
    epoch, switches = await backend.switchboard.read()
    assert list(switches) == []
    assert epoch == 1


async def test_what_is_set_is_read_with_its_epoch(backend: UnderTest) -> None:
    switch = Switch("twilio-main", enabled=False, weight=0, rate="10/s", concurrency=7)
    epoch = await backend.switchboard.set(switch)
    assert await backend.switchboard.read() == (epoch, [switch])


async def test_every_setting_raises_the_epoch_even_to_the_same(backend: UnderTest) -> None:
    before, _ = await backend.switchboard.read()
    epochs = [await backend.switchboard.set(Switch("twilio-main", enabled=False)) for _ in range(3)]
    assert before < epochs[0] < epochs[1] < epochs[2]


async def test_settings_at_the_same_time_get_different_epochs(backend: UnderTest) -> None:
    epochs = await asyncio.gather(*(backend.switchboard.set(Switch(f"provider-{number}", weight=1)) for number in range(20)))
    assert len(set(epochs)) == 20
    epoch, switches = await backend.switchboard.read()
    assert epoch == max(epochs)
    assert {switch.provider for switch in switches} == {f"provider-{number}" for number in range(20)}


async def test_the_last_setting_of_a_provider_replaces_the_one_before(backend: UnderTest) -> None:
    await backend.switchboard.set(Switch("twilio-main", enabled=False, weight=3))
    await backend.switchboard.set(Switch("vonage-eu", enabled=True))
    await backend.switchboard.set(Switch("twilio-main", rate="5/min"))
    _, switches = await backend.switchboard.read()
    found = {switch.provider: switch for switch in switches}
    assert found == {
        "twilio-main": Switch("twilio-main", rate="5/min"),
        "vonage-eu": Switch("vonage-eu", enabled=True),
    }


async def test_what_is_not_set_stays_as_it_is(backend: UnderTest) -> None:
    await backend.switchboard.set(Switch("twilio-main", enabled=False, rate="5/s"))
    await backend.switchboard.set(Switch("twilio-main", concurrency=3), ("concurrency",))
    await backend.switchboard.set(Switch("twilio-main", rate=None), ("rate",))
    before = await backend.switchboard.read()
    assert before[1] == [Switch("twilio-main", enabled=False, concurrency=3)]
    assert await backend.switchboard.set(Switch("twilio-main"), ()) > before[0]
    assert (await backend.switchboard.read())[1] == before[1]


async def test_of_two_who_switch_different_members_at_the_same_time_neither_loses(backend: UnderTest) -> None:
    for turn in range(10):
        name = f"provider-{turn}"
        await asyncio.gather(
            backend.switchboard.set(Switch(name, enabled=False), ("enabled",)),
            backend.switchboard.set(Switch(name, rate="5/s"), ("rate",)),
            backend.switchboard.set(Switch(name, concurrency=turn + 1), ("concurrency",)),
        )
        _, switches = await backend.switchboard.read()
        found = {switch.provider: switch for switch in switches}
        assert found[name] == Switch(name, enabled=False, rate="5/s", concurrency=turn + 1)


async def test_switches_and_epoch_survive_a_crash(backend: UnderTest) -> None:
    epoch = await backend.switchboard.set(Switch("twilio-main", enabled=False))
    again = await backend.restart()
    assert await again.switchboard.read() == (epoch, [Switch("twilio-main", enabled=False)])
    assert await again.switchboard.set(Switch("twilio-main")) > epoch


async def test_a_claim_holds_the_newest_epoch_or_is_refused_and_leaves_no_attempt(backend: UnderTest) -> None:
    # given
    parcel = await planned(backend.ledger)
    older, _ = await backend.switchboard.read()
    await backend.switchboard.set(Switch("twilio-main", weight=2))
    newer = await backend.switchboard.set(Switch("twilio-main", weight=3))
    # when, then
    for stale in (older, newer - 1):
        assert await backend.ledger.claim(claim(parcel, epoch=stale)) == Refused("epoch")
    assert list(await backend.records.attempts(parcel.id)) == []
    assert isinstance(await backend.ledger.claim(claim(parcel, epoch=newer)), Claimed)


# Routes


async def test_an_order_is_read_until_it_is_forgotten_and_each_time_the_epoch_rises(backend: UnderTest) -> None:
    board = backend.switchboard
    assert list(await board.orders()) == []
    sms, email = Order("sms", ("vonage-eu", "twilio-main")), Order("email", ("ses",))
    epochs = [await board.reorder(order) for order in (sms, email)]
    assert await board.orders() == [email, sms]
    epochs.append(await board.reorder(Order("sms", ("twilio-main",))))
    assert await board.orders() == [email, Order("sms", ("twilio-main",))]
    epochs += [await board.reorder(Order("sms", None)), await board.reorder(Order("sms", None))]
    assert await board.orders() == [email]
    assert epochs == sorted(set(epochs))
    assert await board.read() == (epochs[-1], [])


async def test_orders_and_switches_at_the_same_time_get_different_epochs_and_survive_a_crash(backend: UnderTest) -> None:
    board = backend.switchboard
    orders = [board.reorder(Order(f"channel-{number}", ("one", "two"))) for number in range(5)]
    epochs = await asyncio.gather(*orders, *(board.set(Switch("one", weight=number)) for number in range(5)))
    assert len(set(epochs)) == 10
    again = (await backend.restart()).switchboard
    assert [order.channel for order in await again.orders()] == [f"channel-{number}" for number in range(5)]
    assert (await again.read())[0] == max(epochs)


async def test_a_claim_of_before_an_order_is_refused(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    older, _ = await backend.switchboard.read()
    newer = await backend.switchboard.reorder(Order("sms", ("vonage-eu",)))
    assert await backend.ledger.claim(claim(parcel, epoch=older)) == Refused("epoch")
    assert isinstance(await backend.ledger.claim(claim(parcel, epoch=newer)), Claimed)
