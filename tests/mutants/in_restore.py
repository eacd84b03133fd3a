"""Mistakes in what becomes of a restored store: something is sent a second time, or nobody hears of it."""

from __future__ import annotations

from tests.mutants.planting import Edit, Mutant

RESTORE = "conformance/test_restore.py::test_"
ALL = RESTORE + "all_that_may_have_been_sent_since_is_in_doubt_and_nothing_else"
SETTLED = RESTORE + "what_is_held_is_settled_by_a_late_receipt_or_by_a_person"
KILLED = RESTORE + "killed_in_between_nobody_starts_before_it_was_begun_again"
KNOWN = RESTORE + "a_file_is_known_for_a_copy"
BIRTH = "conformance/test_ledger.py::test_what_is_in_doubt_at_birth_has_the_attempt_that_may_have_been_made"
PLAN = "unit/test_engine_plan.py::test_what_was_accepted_before_the_store_was_restored_is_in_doubt_at_birth"


def _planted(name: str, file: str, old: str, new: str, *tests: str, over: str = "") -> Mutant:
    return Mutant(name, [Edit(file, old, new)], tests, over)


MUTANTS = [
    _planted(
        "restore: what is to come is held with what is due",
        "drivers/restore/file.py",
        "and w.due_at > ?3)",
        "and w.due_at > ?3 + 1000000000)",
        ALL,
        over="sqlite",
    ),
    _planted(
        "restore: an attempt that was open stays open",
        "drivers/restore/database.py",
        "await db.execute(_OPEN, last, doubt, now, reason, detail, open_)",
        "pass",
        ALL,
        over="postgres",
    ),
    _planted(
        "restore: the waits stay, and are promoted",
        "drivers/restore/file.py",
        'db.execute("delete from waits where message = ?1", (row.id,))',
        "pass",
        ALL,
        over="sqlite",
    ),
    _planted(
        "restore: the attempt has another number than the one that was made",
        "drivers/restore/doubting.py",
        "row.number + 1",
        "row.number + 2",
        SETTLED,
        over="sqlite",
    ),
    _planted(
        "restore: the supposed attempt is not its message's last",
        "drivers/store/postgres/supposed.py",
        "    await db.execute(_MESSAGES,",
        "    _ = (_MESSAGES,",
        ALL,
        over="postgres",
    ),
    _planted(
        "restore: who starts meanwhile is not kept out",
        "drivers/store/postgres/migrate.py",
        "select exists (select from fence where holding)",
        "select exists (select from fence where holding and at = 0)",
        RESTORE + "a_database_that_is_being_restored_is_opened_by_nobody",
    ),
    _planted(
        "restore: a copy is not marked",
        "drivers/embedded.py",
        "mark(copy, COPIED,",
        "mark(copy, FENCE,",
        KNOWN,
    ),
    _planted(
        "restore: an older file in its place is not known",
        "drivers/store/sqlite/fence.py",
        "beside(lock) > (marked(db, BEAT) or 0)",
        "beside(lock) > (marked(db, BEAT) or 0) + 1000000000",
        KNOWN,
    ),
    _planted(
        "plan: what lay on the intake of a restored store is sent",
        "engine/plan.py",
        "if plan.at <= self._fence_at:",
        "if plan.at < 0:",
        PLAN,
    ),
    _planted(
        "plan: a doubt at birth without its attempt",
        "drivers/store/sqlite/operations.py",
        "suppose(db, [attempt for plan in plans for attempt in supposed_of(plan)])",
        "pass",
        BIRTH,
        over="sqlite",
    ),
]
