"""Mistakes about people: whom a message goes to, who must not be sent to, and what is left of somebody who was erased."""

from __future__ import annotations

from tests.mutants.planting import Edit, Mutant

DIRECTORY = "conformance/test_directory.py::test_"
LIST = "conformance/test_suppressions.py::test_"
EARNED = "conformance/test_suppressions_earned.py::test_"
RACES = "conformance/test_races_people.py::test_"
ACQUAINT = "unit/test_engine_acquaint.py::test_"
HEAR = "unit/test_engine_hear.py::test_"


def _planted(name: str, file: str, old: str, new: str, *tests: str, over: str = "") -> Mutant:
    return Mutant(f"people: {name}", [Edit(file, old, new)], tests, over)


MUTANTS = [
    _planted(
        "postgres: a suppression beside a claim that has read the list",
        "drivers/store/postgres/suppressions.py",
        '    await db.execute("lock table suppressions in access exclusive mode")\n',
        "    pass\n",
        RACES + "nothing_is_claimed_once_the_suppression_is_answered",
        LIST + "a_claim_that_waited_for_the_list_sees_what_was_written_there",
        over="postgres",
    ),
    _planted(
        "postgres: evidence beside a claim that has read the list",
        "drivers/store/postgres/outcomes.py",
        "        await locked_list(db)\n",
        "        pass\n",
        RACES + "evidence_and_a_claim_for_the_same_address_have_one_order",
        over="postgres",
    ),
    _planted(
        "postgres: what is on the list is claimed",
        "drivers/store/postgres/queries.sql",
        "    and c.hindered is null\n",
        "",
        LIST + "a_claim_is_refused_by_what_forbids_it_and_by_nothing_else",
        over="postgres",
    ),
    _planted(
        "postgres: what holds for marketing holds for all",
        "drivers/store/postgres/queries.sql",
        "n.id = 'ntf_' || substr(c.id, 5, 32) and n.category = s.category",
        "n.id = 'ntf_' || substr(c.id, 5, 32)",
        LIST + "a_claim_is_refused_by_what_forbids_it_and_by_nothing_else",
        over="postgres",
    ),
    _planted(
        "postgres: two who write one recipient lose each other's words",
        "drivers/store/postgres/queries.sql",
        "join recipients r on r.tenant = c.tenant and r.id = c.id order by c.place for update of r;",
        "join recipients r on r.tenant = c.tenant and r.id = c.id order by c.place;",
        "conformance/test_postgres_races.py::test_two_who_write_one_recipient_at_once_lose_nothing_of_each_other",
    ),
    _planted(
        "a claim that was granted is lost to the list",
        "drivers/store/moves.py",
        "    if message is not None and holds_claim(message, claim.token, number):\n",
        "    if False:\n",
        LIST + "a_claim_that_was_granted_before_its_answer_was_lost_is_granted_again",
    ),
    _planted(
        "under the newest key alone",
        "policy/suppression.py",
        "return tuple(_mark(key, text) for key in self._keys)",
        "return tuple(_mark(key, text) for key in self._keys[:1])",
        LIST + "under_an_older_key_it_is_found_too",
    ),
    _planted(
        "a repeat puts back whom somebody has lifted",
        "drivers/store/moves.py",
        "    if news or noted:\n",
        "    if True:\n",
        EARNED + "a_receipt_that_is_repeated_does_not_list_again_whom_somebody_has_lifted",
    ),
    _planted(
        "a wrong number is on the list",
        "policy/suppression.py",
        '    (Reason.OPTED_OUT, "sms"): "stop",\n',
        '    (Reason.OPTED_OUT, "sms"): "stop",\n    (Reason.INVALID_ADDRESS, "sms"): "bounce",\n',
        EARNED + "evidence_lists_an_address_for_some_reasons",
    ),
    _planted(
        "an older word overwrites a newer one",
        "policy/directory.py",
        "return change.guarded and updated_at is not None and updated_at > change.at",
        "return False",
        DIRECTORY + "a_guarded_change_does_nothing_where_the_directory_was_written_later",
    ),
    _planted(
        "an address is left in the plan",
        "drivers/store/erasing.py",
        'return tuple(Step(step.channel, "") for step in message.steps)',
        "return message.steps",
        DIRECTORY + "what_waits_for_an_erased_person_is_never_sent_and_says_no_more_who_it_was_for",
    ),
    _planted(
        "what is on its way to somebody erased is sent",
        "engine/acquaint.py",
        "    if (tenant, id_) in erased:\n        return id_\n",
        "",
        ACQUAINT + "what_was_accepted_for_somebody_who_is_erased_before_it_is_planned_is_never_sent",
    ),
    _planted(
        "a stop holds for one tenant",
        "engine/hear.py",
        "suppression(self._marker, EVERYBODY, said.channel",
        'suppression(self._marker, "another", said.channel',
        HEAR + "after_a_stop_nothing_is_sent_on_that_channel_until_a_start",
    ),
]
