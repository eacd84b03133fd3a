"""What a process knows of a lane on RabbitMQ without asking, and how calls become bundles; no broker in sight."""

from __future__ import annotations

import asyncio

import pytest

from sendwright.drivers.bus.rabbitmq.gauge import KNOWN_MAX, OVERRULED_AFTER, Gauge, Seen
from sendwright.drivers.bus.rabbitmq.publisher import BUNDLE_BYTES, Call, cut
from sendwright.drivers.bus.rabbitmq.topology import DEAD, INGRESS, Names, arguments, prefetch_of, priority_of
from sendwright.engine.shortcut import BUNDLES_MAX
from sendwright.engine.worker import PLANS_AT_ONCE
from sendwright.errors import BusDown
from sendwright.model.notification import Priority
from sendwright.model.parcel import PARCELS_MAX, intake_lane, split


def published(gauge: Gauge, name: str, count: int, at: int = 1000) -> None:
    gauge.publishing(name)
    gauge.published(name, Seen(count, at))


def test_what_was_published_here_is_known_exactly() -> None:
    gauge = Gauge()
    published(gauge, "a", 3, 1000)
    published(gauge, "b", 1, 2000)
    assert (gauge.parcels(), gauge.oldest()) == (4, 1000)
    gauge.came("a", Seen(3, 1000))
    assert (gauge.parcels(), gauge.oldest()) == (1, 2000)


def test_a_bundle_that_comes_before_its_confirm_is_counted_once() -> None:
    gauge = Gauge()
    gauge.publishing("a")
    gauge.came("a", Seen(3, 1000))
    gauge.published("a", Seen(3, 1000))
    assert (gauge.parcels(), gauge.oldest()) == (0, None)


def test_what_goes_back_is_the_oldest_again() -> None:
    gauge = Gauge()
    published(gauge, "a", 3, 1000)
    published(gauge, "b", 1, 2000)
    gauge.came("a", Seen(3, 1000))
    gauge.went_back("a", Seen(3, 1000))
    gauge.went_back("a", Seen(3, 1000))
    assert (gauge.parcels(), gauge.oldest()) == (4, 1000)


def test_others_bundles_count_as_full_until_one_was_seen() -> None:
    gauge = Gauge()
    gauge.counted(2, gauge.moves, 5000)
    assert (gauge.parcels(), gauge.oldest()) == (2 * PARCELS_MAX, 5000)
    gauge.came("theirs", Seen(4, 4000))
    assert gauge.parcels() == 4


def test_the_age_of_what_others_published_is_bounded_by_what_came_before_it() -> None:
    gauge = Gauge()
    gauge.counted(2, gauge.moves, 5000)
    gauge.came("theirs", Seen(1, 7000))
    assert gauge.oldest() == 7000


def test_what_others_took_is_forgotten_oldest_first() -> None:
    gauge = Gauge()
    published(gauge, "a", 3, 1000)
    published(gauge, "b", 1, 2000)
    gauge.counted(1, gauge.moves, 5000)
    assert (gauge.parcels(), gauge.oldest()) == (1, 2000)


def test_a_look_that_crossed_with_something_is_void_but_not_for_ever() -> None:
    gauge = Gauge()
    for _ in range(OVERRULED_AFTER):
        moves = gauge.moves
        published(gauge, f"n{moves}", 1)
        gauge.counted(0, moves, 5000)
        assert gauge.parcels() > 0
    moves = gauge.moves
    published(gauge, "last", 1)
    gauge.counted(0, moves, 5000)
    assert gauge.parcels() == 0


def test_a_long_lane_is_known_by_name_only_so_far() -> None:
    gauge = Gauge()
    for number in range(KNOWN_MAX + 5):
        published(gauge, str(number), 2, number)
    assert gauge.parcels() == 2 * (KNOWN_MAX + 5)
    assert len(gauge._broker) == KNOWN_MAX


def test_a_failed_publish_counts_for_nothing() -> None:
    gauge = Gauge()
    gauge.publishing("a")
    gauge.unpublished("a")
    assert gauge.parcels() == 0


async def call(*parcels: bytes) -> Call:
    return Call("sms.normal", parcels, asyncio.get_running_loop().create_future(), 1.0, urgent=False)


async def test_calls_share_bundles_and_keep_their_order() -> None:
    first, second = await call(b"1", b"2"), await call(b"3")
    (one,) = cut([first, second])
    assert split(one.body) == [b"1", b"2", b"3"]
    assert one.calls == (first, second)
    assert (first.left, second.left) == (1, 1)


async def test_a_call_over_two_bundles_is_confirmed_by_both() -> None:
    large = await call(*[b"1"] * (PARCELS_MAX + 1))
    assert [one.count for one in cut([large])] == [PARCELS_MAX, 1]
    large.confirmed()
    assert not large.future.done()
    large.confirmed()
    assert large.future.done()


async def test_a_bundle_is_closed_by_its_bytes_and_one_large_parcel_goes_alone() -> None:
    big = b'"' + b"x" * BUNDLE_BYTES + b'"'
    assert [one.count for one in cut([await call(b"1", big, b"2", b"3")])] == [1, 1, 2]


async def test_a_call_of_which_nothing_was_sent_fails_without_a_maybe() -> None:
    unsent, sent = await call(b"1"), await call(b"2")
    cut([sent])
    for one in (unsent, sent):
        one.fail("away")
    failures = [one.future.exception() for one in (unsent, sent)]
    assert [isinstance(one, BusDown) and one.maybe for one in failures] == [False, True]


def test_every_queue_says_its_delivery_limit_and_all_but_the_last_where_the_dead_go() -> None:
    names = Names("p.")
    for lane in ("sms.high", "intake.bulk", "inbound", INGRESS):
        found = arguments(names, lane)
        assert found["x-queue-type"] == "quorum"
        assert found["x-delivery-limit"] > 0
        assert found["x-dead-letter-exchange"] == "p.sendwright.dead"
    assert "x-dead-letter-exchange" not in arguments(names, DEAD)
    assert arguments(names, DEAD)["x-delivery-limit"] > 1_000_000


def test_names_carry_the_prefix() -> None:
    names = Names("staging.")
    assert names.queue("sms.high") == "staging.sms.high"
    assert names.lane("staging.sms.high") == "sms.high"
    assert names.public == "staging.sendwright"


def test_a_lanes_priority_is_its_last_word() -> None:
    assert priority_of("sms.bulk") == Priority.BULK
    assert priority_of("inbound") == Priority.HIGH
    assert prefetch_of("sms.critical") > prefetch_of("sms.bulk")
    assert prefetch_of("sms.critical") > prefetch_of("intake.critical") > prefetch_of("intake.bulk")


@pytest.mark.parametrize("aside", [False, True])
@pytest.mark.parametrize("priority", Priority, ids=lambda priority: priority.label)
def test_a_process_is_sent_what_the_short_way_holds_and_twice_what_it_plans_at_once(priority: Priority, *, aside: bool) -> None:
    assert prefetch_of(intake_lane(priority, aside=aside)) >= BUNDLES_MAX + 2 * PLANS_AT_ONCE
