"""What a process has taken from SQS and what becomes of it when SQS does not answer; no SQS in sight."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from sendwright.drivers.bus.sqs.bodies import Letter
from sendwright.drivers.bus.sqs.hands import Hand, Hands
from sendwright.errors import BusDown

from .virtual_time import in_virtual_time

VISIBILITY_S = 8


class _Queue:
    """Releases nothing while it is `away`."""

    name = "sms-normal"

    def __init__(self) -> None:
        self.away = True
        self.released: list[str] = []
        self.release = SimpleNamespace(submit=self._submit)

    def _submit(self, entry: Mapping[str, Any]) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.away:
            future.set_exception(BusDown("away"))
        else:
            self.released.append(entry["ReceiptHandle"])
            future.set_result(None)
        return future


def _received(hands: Hands, queue: Any) -> Hand:
    hand = hands.received(queue, {"MessageId": "m", "ReceiptHandle": "r"}, Letter("", "sms.normal", 1, b"[1]"))
    assert hand is not None
    return hand


@in_virtual_time
async def test_what_nobody_came_for_is_forgotten_though_it_could_not_be_given_back() -> None:
    queue, hands = _Queue(), Hands(VISIBILITY_S, lambda _: None, lambda _: True)
    hand = _received(hands, queue)
    beating = asyncio.create_task(hands.beat())
    await asyncio.sleep(VISIBILITY_S)
    assert hands.all() == []
    assert hands.found(hand.tag) is None
    # and when it comes again, it is a new one
    again = _received(hands, queue)
    assert again.tag != hand.tag
    assert hands.found(again.tag) is again
    beating.cancel()


@in_virtual_time
async def test_who_gives_back_what_he_took_may_do_so_again_where_it_failed() -> None:
    queue, hands = _Queue(), Hands(VISIBILITY_S, lambda _: None, lambda _: False)
    hand = _received(hands, queue)
    with pytest.raises(BusDown):
        await hands.give_back(hand)
    assert hands.found(hand.tag) is hand
    queue.away = False
    await hands.give_back(hand)
    assert queue.released == ["r"]
    assert hands.found(hand.tag) is None
