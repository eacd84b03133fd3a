"""Mistakes in the stories: the last look before the first byte, and repair."""

from __future__ import annotations

from tests.mutants.planting import Edit, Mutant

DELIVER = "unit/test_engine_deliver.py::test_"
LEDGER = "conformance/test_ledger.py::test_"
REPAIR = "unit/test_engine_repair.py::test_"


def _planted(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, [Edit(file, old, new)], tests)


MUTANTS = [
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
        "        await self._refused(parcel, answer)\n        return None\n",
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
        "sqlite: repair judges a millisecond late",
        "drivers/store/sqlite/operations.py",
        "if deadline <= now or not alive",
        "if deadline < now or not alive",
        "conformance/test_ledger_hands.py::test_a_deadline_has_passed_from_its_very_millisecond_on",
    ),
    _planted(
        "postgres: repair asks for no owner",
        "drivers/store/postgres/changing.py",
        'if deadline <= now or not alive(owner or ""))',
        "if deadline <= now)",
        "conformance/test_ledger_hands.py::test_the_attempt_of_a_dead_owner_becomes_doubted_and_its_message_waits_for_patience",
    ),
]
