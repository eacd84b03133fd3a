"""Mistakes in what is told of messages, providers and credentials: twice, too late, or not at all."""

from __future__ import annotations

from tests.mutants.planting import Edit, Mutant

OBSERVE = "conformance/test_ledger_observe.py::test_"
CONCORD = "unit/test_engine_concord.py::test_"
BULLETIN = "unit/test_engine_bulletin.py::test_"
REMINDER = "unit/test_engine_reminder.py::test_"
NOTICES = "conformance/test_notices.py::test_"
ACCORD = "conformance/test_accord.py::test_"
ONCE = OBSERVE + "what_a_receipt_reports_beside_a_state_is_told_once_however_often_it_comes"


def _planted(name: str, file: str, old: str, new: str, *tests: str, over: str = "") -> Mutant:
    return Mutant(name, [Edit(file, old, new)], tests, over)


MUTANTS = [
    _planted(
        "folio: what is told once is told again in one flush",
        "drivers/store/folio.py",
        "self.known |= {(message, type_)} if type_ in ONCE else set()",
        "pass",
        ONCE,
        over="sqlite",
    ),
    _planted(
        "folio: what was told before is not looked for",
        "drivers/store/moves.py",
        "return any(sighting.happened and sighting.happened != Happening.BOUNCED for sighting in sightings)",
        "return False",
        ONCE,
        over="sqlite",
    ),
    _planted(
        "moves: every repeat of a bounce is told",
        "drivers/store/moves.py",
        "if bounced and first:",
        "if bounced:",
        OBSERVE + "a_bounce_is_told_before_what_comes_of_it_and_once_of_each_attempt",
        over="sqlite",
    ),
    _planted(
        "concord: what was known of the breaker is forgotten",
        "engine/concord.py",
        "self._version, self._known = bar.version, Stand(bar.shut, bar.misconfigured)",
        "self._version = bar.version",
        CONCORD + "however_many_open_it_and_probe_it_each_change_of_the_fleets_is_told_once",
    ),
    _planted(
        "concord: it is told before the change is made",
        "drivers/store/memory_accord.py",
        "        now, bar = self._clock.monotonic(), self._bars.get(provider)\n",
        "        self._keep(notices)\n        now, bar = self._clock.monotonic(), self._bars.get(provider)\n",
        CONCORD + "what_is_told_is_neither_lost_nor_doubled_with_who_made_the_change",
        ACCORD + "what_is_told_of_a_change_is_told_with_it_or_not_at_all",
    ),
    _planted(
        "accord: events without the change",
        "drivers/store/postgres/queries.sql",
        "  from moved, unnest($11::integer[]",
        "  from unnest($11::integer[]",
        ACCORD + "what_is_told_of_a_change_is_told_with_it_or_not_at_all",
    ),
    _planted(
        "bulletin: a process begins as if nothing had been open",
        "engine/bulletin.py",
        "            self._note(account, BEGUN)\n",
        "            pass\n",
        BULLETIN + "after_a_sudden_death_what_was_open_is_closed_and_that_is_told",
    ),
    _planted(
        "bulletin: what the store did not take is dropped",
        "engine/bulletin.py",
        "                await self._clock.sleep(AGAIN_S)\n",
        "                return\n",
        BULLETIN + "what_the_store_did_not_take_is_written_when_it_does_in_order_and_once",
    ),
    _planted(
        "reminder: everybody asks",
        "engine/reminder.py",
        "if await self._credentials.put(taken):",
        "if await self._credentials.put(taken) or True:",
        REMINDER + "of_many_processes_one_asks_once_a_day_and_each_mark_is_told_once_over_restarts",
    ),
    _planted(
        "reminder: what was told of the last end counts for the next",
        "engine/reminder.py",
        "replace(credential, ends_at=ends_at, told=None)",
        "replace(credential, ends_at=ends_at)",
        REMINDER + "a_renewed_credential_begins_anew_and_one_without_an_end_is_never_told_of",
    ),
    _planted(
        "credentials: whoever comes late writes too",
        "drivers/store/sqlite/notices.py",
        "if before.version != c.version:",
        "if False:",
        NOTICES + "what_is_known_of_a_credential_is_changed_by_who_knew_it_with_what_is_told_or_not_at_all",
        over="sqlite",
    ),
    _planted(
        "sweeper: notices are kept for ever",
        "drivers/store/sqlite/sweeper.py",
        'db.execute(SQL["notices_delete"], (ids.floor(ids.NOTICE, asked.rows_before),))',
        "pass",
        NOTICES + "what_was_told_is_forgotten_by_its_age",
        over="sqlite",
    ),
]
