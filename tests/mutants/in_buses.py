"""Mistakes in bundles, their confirms and their acknowledgements."""

from __future__ import annotations

from tests.mutants.planting import Edit, Mutant

RABBIT = "conformance/test_rabbitmq.py::test_"
BUS = "conformance/test_bus.py::test_"
SQS = "conformance/test_sqs.py::test_"
WORKER = "unit/test_engine_worker.py::test_"
SHORT = "unit/test_engine_shortcut.py::test_"
DEADLY = "unit/test_engine_deadly.py::test_"


def _planted(name: str, file: str, old: str, new: str, *tests: str, over: str = "") -> Mutant:
    return Mutant(name, [Edit(file, old, new)], tests, over)


MUTANTS = [
    _planted(
        "worker: what ends its taker is never taken alone",
        "engine/worker.py",
        "if delivery.redelivered and await self._sieve.suspected(delivery):",
        "if False and await self._sieve.suspected(delivery):",
        DEADLY + "a_parcel_that_ends_whoever_takes_it_is_kept_and_the_others_of_its_bundle_are_sent",
    ),
    _planted(
        "planner: what came again is planned as a whole",
        "engine/plan.py",
        "drafts = None if delivery.redelivered else self._read(delivery.body)",
        "drafts = self._read(delivery.body)",
        DEADLY + "a_notification_that_ends_whoever_plans_it_is_kept_and_the_others_of_its_bundle_are_sent",
    ),
    _planted(
        "observer: receipts acknowledged before they have joined",
        "engine/observe.py",
        "        sightings = None if delivery.redelivered else _readable(delivery)\n",
        "        await self._bus.done(delivery)\n        sightings = None if delivery.redelivered else _readable(delivery)\n",
        "unit/test_engine_observe.py::test_receipts_that_were_taken_by_a_process_that_died_are_joined_by_the_next",
        "unit/test_engine_observe.py::test_while_the_store_is_down_receipts_wait_and_are_joined_when_it_is_back",
    ),
    _planted(
        "ingress: acknowledged before it is durable",
        "engine/ingest.py",
        "                await self.one(*body_of(message))\n                await persist(",
        "                asyncio.ensure_future(self.one(*body_of(message)))\n                await persist(",
        "unit/test_ingress.py::test_it_is_acknowledged_after_it_is_durable_and_not_when_it_is_cut_off",
    ),
    _planted(
        "desk: a publish whose confirm was lost has happened",
        "drivers/queue_desk.py",
        "            elif isinstance(failed, BusDown) and failed.maybe and loop.time() < until:\n"
        "                self._later(self._again(offer, parcel, number, until, answer))\n",
        "            elif isinstance(failed, BusDown) and failed.maybe and loop.time() < until:\n"
        "                _answer(answer, Taken(offer.id))\n",
        "unit/test_queue_desk.py",
    ),
    _planted(
        "rabbitmq: a publish confirmed with its first bundle",
        "drivers/bus/rabbitmq/publisher.py",
        "        if self.left == 0 and not self.future.done():\n",
        "        if not self.future.done():\n",
        "unit/test_rabbitmq_account.py::test_a_call_over_two_bundles_is_confirmed_by_both",
    ),
    _planted(
        "rabbitmq: an acknowledgement that covers all before it",
        "drivers/bus/rabbitmq/consumer.py",
        "arrived.channel.basic_ack(arrived.delivery_tag, wait=False)",
        "arrived.channel.basic_ack(arrived.delivery_tag, multiple=True, wait=False)",
        BUS + "done_with_a_later_one_leaves_the_earlier_to_come_again",
        over="rabbitmq",
    ),
    _planted(
        "sqs: a publish confirmed with its first bundle",
        "drivers/bus/sqs/bus.py",
        "        if self.left or self.future.done():\n",
        "        if self.future.done():\n",
        SQS + "a_publish_of_several_bundles_is_durable_with_the_last_of_them",
    ),
    _planted(
        "sqs: what was sent twice is deleted once",
        "drivers/bus/sqs/hands.py",
        "for handle in list(hand.handles.values()))",
        "for handle in list(hand.handles.values())[:1])",
        SQS + "what_was_sent_twice_and_has_come_twice_is_deleted_with_the_first_done",
    ),
    _planted(
        "worker: a bundle done with its first parcel",
        "engine/hands.py",
        "        if self._left == 0:\n",
        "        if self._left >= 0:\n",
        WORKER + "a_bundle_is_done_with_its_last_parcel_and_not_with_its_first",
    ),
    _planted(
        "shortcut: a bundle done as soon as it is taken",
        "engine/shortcut.py",
        "        self._bundles += 1\n",
        "        self._bundles += 1\n        self._done(delivery)\n",
        SHORT + "killed_on_the_way_what_is_not_claimed_goes_over_its_lane",
        SHORT + "the_bundle_is_done_when_its_parcels_are_claimed_and_not_before",
    ),
    _planted(
        "shortcut: past what waits on the lane",
        "engine/shortcut.py",
        "hand is not None and hand.idle and",
        "hand is not None and",
        SHORT + "it_fits_where_the_hand_has_room_beside_what_its_taker_may_bring",
        SHORT + "a_worker_that_stops_takes_nothing_on",
    ),
    _planted(
        "shortcut: a hand without a bound",
        "engine/shortcut.py",
        " and hand.fits(count)",
        "",
        SHORT + "behind_what_waits_on_its_lane_a_message_goes_over_it",
    ),
    _planted(
        "shortcut: as many bundles as there are",
        "engine/shortcut.py",
        " and self._bundles < BUNDLES_MAX",
        "",
        SHORT + "those_that_a_slow_provider_holds_up_leave_room_to_plan_the_others",
    ),
    _planted(
        "shortcut: what can't be put aside is forgotten",
        "engine/shortcut.py",
        "partial(self._end, self._back, delivery)",
        "partial(self._end, self._done, delivery)",
        SHORT + "where_a_parcel_can_neither_be_delivered_nor_put_aside_its_bundle_comes_again",
    ),
    _planted(
        "planner: done though its parcels are on their way",
        "engine/plan.py",
        "            if await self._went_short(lanes, delivery, shortcut):\n                return\n",
        "            await self._went_short(lanes, delivery, shortcut)\n",
        SHORT + "the_bundle_is_done_when_its_parcels_are_claimed_and_not_before",
    ),
    _planted(
        "worker: a bundle done before anything is committed",
        "engine/worker.py",
        "            if not parcels:\n",
        "            if parcels:\n",
        WORKER + "killed_before_the_claim_the_next_process_takes_the_bundle_again",
        WORKER + "while_the_store_is_down_bundles_are_kept_and_nothing_is_written",
    ),
    _planted(
        "worker: what broke is never given back",
        "engine/worker.py",
        "            self._work(self._give_back(delivery))\n        finally:\n            self._way.leave(way)",
        "            pass\n        finally:\n            self._way.leave(way)",
        WORKER + "a_story_that_breaks_gives_its_bundle_back_and_tells",
    ),
    _planted(
        "rabbitmq: no mandatory",
        "drivers/bus/rabbitmq/publisher.py",
        "mandatory=True",
        "mandatory=False",
        RABBIT + "what_no_queue_takes_is_an_error_and_the_next_try_mends_it",
    ),
    _planted(
        "rabbitmq: no confirms",
        "drivers/bus/rabbitmq/publisher.py",
        "connection.channel(timeout=RPC_S)",
        "connection.channel(publisher_confirms=False, timeout=RPC_S)",
        RABBIT + "what_no_queue_takes_is_an_error_and_the_next_try_mends_it",
    ),
    _planted(
        "rabbitmq: a confirm that did not come is a no",
        "drivers/bus/rabbitmq/publisher.py",
        '"RabbitMQ did not confirm it in time", maybe=True',
        '"RabbitMQ did not confirm it in time", maybe=False',
        RABBIT + "a_confirm_that_does_not_come_is_a_maybe_though_nobody_looks_before_its_own_time_is_over",
    ),
    _planted(
        "rabbitmq: acknowledged as it comes",
        "drivers/bus/rabbitmq/consumer.py",
        "partial(self._arrived, channel), timeout=RPC_S)",
        "partial(self._arrived, channel), no_ack=True, timeout=RPC_S)",
        BUS + "what_was_taken_and_not_done_comes_again_after_a_crash",
        over="rabbitmq",
    ),
    _planted(
        "rabbitmq: given back to nobody",
        "drivers/bus/rabbitmq/consumer.py",
        "requeue=True",
        "requeue=False",
        BUS + "what_is_given_back_comes_again_first_and_redelivered",
        over="rabbitmq",
    ),
    _planted(
        "rabbitmq: done and never acknowledged",
        "drivers/bus/rabbitmq/consumer.py",
        "await _answered(arrived.channel, arrived.channel.basic_ack(arrived.delivery_tag, wait=False))",
        "pass",
        BUS + "what_is_done_never_comes_again",
        over="rabbitmq",
    ),
    _planted(
        "sqs: visibility is not renewed",
        "drivers/bus/sqs/hands.py",
        "                self._extend(hand, loop.time())\n",
        "                pass\n",
        SQS + "heart_beats_keep_what_is_worked_on_from_others",
    ),
    _planted(
        "sqs: an entry without a verdict was taken",
        "drivers/bus/sqs/batches.py",
        'self._failed(entry, CallFailed(self._action, "no verdict", repeat=True, maybe=True))',
        "entry.future.set_result(None)",
        SQS + "an_entry_that_no_list_mentions_is_sent_again_and_comes_once",
    ),
    _planted(
        "sqs: a ghost taken for a new one",
        "drivers/bus/sqs/hands.py",
        "        if key in self._lately:\n",
        "        if not key:\n",
        SQS + "a_ghost_of_what_was_done_is_deleted_quietly",
    ),
    _planted(
        "sqs: what comes again does not say so",
        "drivers/bus/sqs/bus.py",
        "redelivered=hand.received > 1",
        "redelivered=False",
        BUS + "what_is_given_back_comes_again_first_and_redelivered",
        over="sqs",
    ),
]
