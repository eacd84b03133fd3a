"""Mistakes in the stories: the last look before the first byte, and repair."""

from __future__ import annotations

from tests.mutants.planting import Edit, Mutant

DELIVER = "unit/test_engine_deliver.py::test_"
HANDS = "conformance/test_ledger_hands.py::test_"
LEDGER = "conformance/test_ledger.py::test_"
REPAIR = "unit/test_engine_repair.py::test_"


def _planted(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, [Edit(file, old, new)], tests)


MUTANTS = [
    _planted(
        "postgres: a claim whose answer was lost is a stranger's",
        "drivers/store/postgres/outcomes.py",
        "            elif row is None or not holds_claim(row, claim.token, claim.parcel.number + 1):\n",
        "            else:\n",
        LEDGER + "the_same_token_is_granted_again_since_its_answer_may_have_been_lost",
    ),
    _planted(
        "postgres: the epoch rises beside a claim that has read it",
        "drivers/store/postgres/switchboard.py",
        '    await db.execute("lock table epoch in access exclusive mode")\n',
        "",
        "conformance/test_races.py::test_no_claim_is_granted_under_an_older_epoch_once_the_switch_is_answered",
    ),
    _planted(
        "a provider that was taken out of its route after the claim is written to",
        "engine/deliver.py",
        " or not self._fleet.on_route(ready.parcel.channel, account.name)",
        "",
        "unit/test_engine_routes.py::test_taken_out_between_claim_and_write_nothing_is_written_to_it",
    ),
    _planted(
        "postgres: a receipt that crossed its reference is looked for once",
        "drivers/store/postgres/outcomes.py",
        "        if strays:\n            await self._look_again",
        "        if False:\n            await self._look_again",
        "conformance/test_races_evidence.py::test_a_receipt_and_the_answer_that_it_overtakes_both_count",
    ),
    _planted(
        "postgres: retention does not look again once it has the lock",
        "drivers/store/postgres/sweeper.py",
        'old, said = _past(await db.fetch(SQL["sweep_look"], locked, *spans), content_before, rows_before)',
        "old, said = locked, []",
        "conformance/test_postgres.py::test_what_is_sent_again_while_retention_looks_at_it_is_kept",
    ),
    _planted(
        "the accord: a probe without its lease is made all the same",
        "engine/concord.py",
        "        return self._probe is not None and until <= self._probe.until\n",
        "        return True\n",
        "unit/test_engine_concord.py::test_a_probe_that_would_outlast_its_lease_is_left_to_others",
    ),
    _planted(
        "the accord: a probe is used up by who has no cell for it",
        "engine/concord.py",
        "now < probe.until:\n            return True\n",
        "now < probe.until:\n            self.probes()\n            return True\n",
        "unit/test_engine_concord.py::test_a_probe_that_the_rate_does_not_let_through_yet_is_made_when_it_does",
    ),
    _planted(
        "processes that share a store go each by its own machine's clock",
        "engine/store_time.py",
        "return int(self._store.there(self.monotonic()) * 1000)",
        "return self._clock.now_ms()",
        "unit/test_store_time.py::test_a_machine_whose_clock_is_wrong_from_the_start_goes_by_the_stores",
    ),
    _planted(
        "a key of the future counts as known",
        "model/parcel.py",
        "return self.bound_until <= now + BOUND_MS + APART_MS\n",
        "return True\n",
        "unit/test_parcels.py::test_a_doubt_of_a_clock_that_was_ahead_binds_to_nobody_and_no_repeat_counts_as_known",
    ),
    _planted(
        "a parcel that is no JSON takes its bundle with it",
        "model/parcel.py",
        "return _torn(body) or [body]\n",
        "return [body]\n",
        "unit/test_parcels.py::test_a_parcel_that_is_no_json_but_ends_takes_no_other_with_it",
    ),
    _planted(
        "sqlite: a key's body is not compared",
        "drivers/store/sqlite/desk.py",
        "same = held[1] == offer.fingerprint.hex()",
        "same = True",
        "conformance/test_intake.py::test_the_same_key_with_another_fingerprint_is_a_conflict_and_changes_nothing",
    ),
    _planted(
        "egress: what broke after the first byte counts as never sent",
        "drivers/egress/http.py",
        'self._settle(Lost("write" if phase == "wait" and self._unwritten else phase, detail))',
        'self._settle(NotSent("late", detail))',
        "conformance/test_egress.py::test_what_breaks_after_the_first_byte_is_lost",
    ),
    _planted(
        "deliver: written however long the claim took",
        "engine/deliver.py",
        "        if now - claimed_at > BEGIN_S:\n",
        "        if now - claimed_at > 3600:\n",
        DELIVER + "a_call_is_begun_within_half_a_second_of_its_claim_or_not_at_all",
        DELIVER + "a_claim_whose_answer_was_lost_for_long_is_not_written_but_routed_again",
    ),
    _planted(
        "deliver: a refused claim is written all the same",
        "engine/deliver.py",
        "        await self._defer.refused(parcel, answer)\n        return None\n",
        "        return Held(parcel, account, '', 0, token, ready.slot.probe, self._clock.monotonic())\n",
        DELIVER + "the_same_parcel_many_times_at_once_is_one_call",
    ),
    _planted(
        "repair: no lease after an outage",
        "engine/repair.py",
        "        if blind:\n            self._grace_until",
        "        if False:\n            self._grace_until",
        REPAIR + "after_an_outage_the_living_have_a_full_lease_and_then_the_stuck_are_found",
        REPAIR + "an_outage_of_the_store_doubts_nobody_who_lives",
        REPAIR + "a_short_outage_in_which_a_deadline_passes_doubts_nobody_who_lives",
    ),
    _planted(
        "stores: a decision without its token",
        "policy/fold.py",
        "return message.token is None or message.token == token",
        "return True",
        LEDGER + "the_token_of_a_refused_claimer_does_not_settle",
    ),
    _planted(
        "stores: a decision for an older number",
        "policy/fold.py",
        "    if message.number != number:\n        return False\n    if message.state == MessageState.SENDING",
        "    if message.state == MessageState.SENDING",
        "conformance/test_ledger_settle.py::test_a_decision_for_an_older_number_is_fenced_though_the_token_is_the_same",
    ),
    _planted(
        "fold: what was cancelled while an answer was lost goes on once that is refuted",
        "policy/fold.py",
        "return message.state == MessageState.IN_DOUBT and message.detail == STOPPED",
        "return False",
        HANDS + "a_receipt_settles_a_doubt_that_was_cancelled_and_nothing_more_is_sent",
    ),
    _planted(
        "fold: a late answer decides on what was cancelled",
        "policy/fold.py",
        " and not is_stopped(message)\n",
        "\n",
        HANDS + "an_answer_that_comes_after_the_cancel_decides_nothing_more",
    ),
    _planted(
        "stores: a doubt past its deadline is sent again",
        "drivers/store/changes.py",
        " or not row.addressed or row.late(self.now):\n",
        " or not row.addressed:\n",
        HANDS + "a_doubt_that_is_over_its_time_is_settled_by_a_word_but_not_sent_again",
    ),
    _planted(
        "postgres: a message that moves on keeps where it was",
        "drivers/store/postgres/queries.sql",
        ",\n    channel = c.channel, address = c.address, provider = c.provider\n",
        "\n",
        "conformance/test_ledger_steps.py::test_a_message_that_waits_at_its_next_step_goes_where_that_step_goes",
    ),
    _planted(
        "repair judges a millisecond late",
        "policy/fold.py",
        "    return deadline_at <= now or void\n",
        "    return deadline_at < now or void\n",
        "conformance/test_ledger_hands.py::test_a_deadline_has_passed_from_its_very_millisecond_on",
    ),
    _planted(
        "repair: who has more time than a stepped clock rests is taken for one of the future",
        "policy/fold.py",
        " and deadline_at - started_at <= CALM_MS\n",
        "\n",
        "conformance/test_ledger_hands.py::test_what_began_by_a_clock_that_was_ahead_is_out_of_time",
    ),
    _planted(
        "fold: a late refusal fails a repeat that was made after it",
        "policy/fold.py",
        "if a is told[-1] or a.state != AttemptState.REJECTED or a.ref is not None]",
        "]",
        "unit/test_fold.py::test_a_refusal_that_comes_late_says_nothing_of_the_repeat_that_was_made_after_it",
    ),
    _planted(
        "postgres: repair asks for no owner",
        "drivers/store/postgres/changing.py",
        'if out_of_time(began, ends, now, void) or not alive(owner or "")\n',
        "if out_of_time(began, ends, now, void)\n",
        "conformance/test_ledger_hands.py::test_the_attempt_of_a_dead_owner_becomes_doubted_and_its_message_waits_for_patience",
    ),
]
