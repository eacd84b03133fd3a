"""The capacity model: what goes in comes out, queues are what rates make of them, and more of the narrowest helps."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace
from simulation.capacity import BUSY, DAY_S, STEP_S, Costs, Load, Size, asked, lines, main, needed, shape, simulate

COSTS = Costs(api=0.0001, worker=0.001, postgres=0.0005, rabbitmq=0.0002, plan_share=0.5)
HOUR = 3600


@pytest.mark.parametrize("peak", [1.0, 2.0, 5.0, 20.0])
def test_a_days_curve_has_mean_one_and_the_peak_that_was_asked_for(peak: float) -> None:
    values = [shape(at_s - DAY_S / 2, peak) for at_s in range(0, DAY_S, 300)]

    assert sum(values) / len(values) == pytest.approx(1, rel=0.03)
    assert max(values) == pytest.approx(peak, rel=1e-6)
    assert min(values) > 0


def test_everything_that_is_let_in_is_sent_or_waits() -> None:
    load = Load(5e7, peak=5, outage_at_s=11 * HOUR, outage_s=2 * HOUR)

    day = simulate(load, Size(apis=2, workers=3, postgres_cores=3, rabbitmq_cores=2), COSTS)

    last = day.minutes[-1]
    assert day.accepted == pytest.approx(day.sent + last.intake + last.queue)
    assert day.accepted + day.refused == pytest.approx(5e7, rel=0.03)


def test_no_pool_ever_works_more_than_it_has_and_each_does_what_its_costs_say() -> None:
    load, size = Load(2e7, peak=1), Size(apis=2, workers=2, postgres_cores=2, rabbitmq_cores=2)

    minute = simulate(load, size, COSTS).minutes[100]

    rate = 2e7 / DAY_S
    assert minute.busy["worker"] == pytest.approx(rate * COSTS.worker / 2)
    assert minute.busy["postgres"] == pytest.approx(rate * COSTS.postgres / 2)
    assert minute.busy["rabbitmq"] == pytest.approx(rate * COSTS.rabbitmq / 2)
    assert minute.busy["api"] == pytest.approx(rate * COSTS.api / 2)


def test_too_few_workers_queue_and_the_intake_is_never_refused_for_them() -> None:
    load = Load(1.5e8, peak=1)

    day = simulate(load, Size(apis=2, workers=1, postgres_cores=8, rabbitmq_cores=4), COSTS)

    assert day.refused == 0
    assert day.minutes[-1].left == pytest.approx(1 / COSTS.worker, rel=0.01)
    assert day.bottleneck == ("worker", pytest.approx(1.0))
    assert day.deepest == day.minutes[-1]


def test_too_few_apis_refuse_and_nothing_queues() -> None:
    day = simulate(Load(2e9, peak=1), Size(apis=1, workers=40, postgres_cores=40, rabbitmq_cores=40), COSTS)

    assert day.accepted / DAY_S == pytest.approx(1 / COSTS.api)
    assert day.refused > 0
    assert day.deepest.queue == 0


def test_an_outage_queues_what_comes_and_is_drained_at_what_is_over() -> None:
    rate = 100.0
    load = Load(rate * DAY_S, peak=1, outage_at_s=6 * HOUR, outage_s=HOUR)

    day = simulate(load, Size(apis=1, workers=1, postgres_cores=1, rabbitmq_cores=1, provider_rate=200), COSTS)

    assert day.deepest.intake + day.deepest.queue == pytest.approx(rate * HOUR, rel=0.01)
    assert day.drained_s(7 * HOUR) == pytest.approx(HOUR, rel=0.02), "backlog over what the limit leaves beside what comes"
    assert math.isinf(day.slowest.wait_s), "while all providers are down nobody can say how long"


def test_a_slow_provider_is_a_matter_of_places_and_not_of_cores() -> None:
    load = Load(100 * DAY_S, peak=1)

    day = simulate(load, Size(workers=1, concurrency=100, answer_s=2.0), COSTS)

    assert day.minutes[-1].left == pytest.approx(50)
    assert day.minutes[-1].busy["worker"] < 0.2


@pytest.mark.parametrize("per_day", [1e5, 1e6, 1e7, 1e8, 1e9])
def test_what_is_needed_carries_the_peak_without_a_queue_and_leaves_room(per_day: float) -> None:
    load = Load(per_day)
    size = needed(load, COSTS)

    day = simulate(load, size, COSTS)

    assert day.refused == 0
    assert day.slowest.wait_s < STEP_S
    assert day.bottleneck[1] <= BUSY + 0.01
    assert min(size.apis, size.workers) >= 2


def test_one_worker_less_at_the_peak_still_carries_it_where_there_are_several() -> None:
    load = Load(1e8)
    size = needed(load, COSTS)

    day = simulate(load, replace(size, workers=size.workers - 1), COSTS)

    assert size.workers > 4
    assert day.slowest.wait_s < STEP_S


def test_faster_cores_and_fewer_of_them_are_the_same() -> None:
    load = Load(5e7)

    slow = simulate(load, Size(apis=2, workers=8, postgres_cores=4, rabbitmq_cores=2), COSTS)
    fast = simulate(load, Size(apis=1, workers=4, postgres_cores=2, rabbitmq_cores=1, speed=2.0, concurrency=2000), COSTS)

    assert [minute.left for minute in slow.minutes] == pytest.approx([minute.left for minute in fast.minutes])


def test_the_command_takes_what_is_named_and_as_much_of_the_rest_as_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    load, size, _, days = asked(["--per-day", "1e8", "--workers", "40", "--outage-at-h", "11", "--outage-min", "30"])

    assert (load.per_day, load.outage_at_s, load.outage_s, days) == (1e8, 11 * HOUR, 1800, 1.0)
    assert size.workers == 40
    assert size.apis == needed(load).apis
    main(["--per-day", "1e6", "--outage-at-h", "11", "--outage-min", "30"])
    printed = capsys.readouterr().out
    assert "drained" in printed
    assert "nearest to its end" in printed
    assert len([line for line in printed.splitlines() if line.startswith("| ")]) == 25
    assert list(lines(simulate(Load(1e6), needed(Load(1e6))), Load(1e6), needed(Load(1e6))))
