"""Mistakes in the statements of the PostgreSQL store, and in what is made of their rows."""

from __future__ import annotations

from tests.mutants.planting import Edit, Mutant

LEDGER = "conformance/test_ledger.py::test_"
WAITING = "conformance/test_waiting.py::test_"
FLEET = "conformance/test_postgres.py::test_"
PLANS = "drivers/store/postgres/plans.py"


def _planted(name: str, old: str, new: str, *tests: str, over: str = "postgres") -> Mutant:
    return Mutant(f"postgres: {name}", [Edit("drivers/store/postgres/queries.sql", old, new)], tests, over)


MUTANTS = [
    _planted(
        "a claim under any epoch",
        "\n    and c.epoch >= (select value from epoch)",
        "",
        LEDGER + "a_claim_under_an_older_epoch_is_refused_and_one_under_the_new_is_granted",
    ),
    _planted(
        "a claim that compares no number",
        "where m.id = c.id and m.number = c.number and m.step",
        "where m.id = c.id and m.step",
        LEDGER + "a_parcel_of_an_older_number_is_refused",
        WAITING + "a_promoted_parcel_that_was_claimed_twice_is_sent_once",
    ),
    _planted(
        "a claim from before a person had it sent again",
        "and m.step = c.step and m.since = c.since",
        "and m.step = c.step",
        "conformance/test_ledger_rounds.py::test_a_parcel_from_before_a_person_had_it_sent_again_is_of_no_use",
    ),
    _planted(
        "not expired yet in its last millisecond",
        "m.expires_at > c.now",
        "m.expires_at >= c.now",
        LEDGER + "a_message_is_expired_from_the_very_millisecond_on",
    ),
    _planted(
        "a claim that leaves its wait",
        "select place, null::text from won, gone union",
        "select place, null::text from won union",
        LEDGER + "a_claim_takes_a_scheduled_message_and_deletes_its_wait",
    ),
    _planted(
        "messages that are read and not locked",
        "select {message} from messages m where m.id = any($1::text[]) order by m.id for update;",
        "select {message} from messages m where m.id = any($1::text[]) order by m.id;",
        "conformance/test_races.py::test_a_message_is_never_cancelled_and_sent",
    ),
    _planted(
        "due whoever has leased it",
        "w.due_at <= $1\n      and (w.leased_until is null or w.leased_until < now() or w.holder = $2)",
        "w.due_at <= $1",
        FLEET + "what_another_has_leased_is_not_due_until_the_lease_runs_out",
        over="",
    ),
    _planted(
        "pulled whoever has leased it",
        "and w.tenant = c.tenant\n      and (w.leased_until is null or w.leased_until < now() or w.holder = $2)",
        "and w.tenant = c.tenant",
        FLEET + "schedulers_that_pull_of_the_same_tenants_never_get_the_same",
        over="",
    ),
    _planted(
        "due whenever asked",
        "w.due_at is not null and w.due_at <= $1\n",
        "w.due_at is not null and $1::bigint > 0\n",
        WAITING + "a_wait_is_due_from_its_very_millisecond_on",
    ),
    _planted(
        "due, and not skipped where another has it in hand",
        "order by w.due_at, w.message limit $3 for update skip locked",
        "order by w.due_at, w.message limit $3 for update",
        FLEET + "who_looks_for_work_waits_for_nobody_who_has_some[due]",
        over="",
    ),
    _planted(
        "pulled, and not skipped where another has it in hand",
        "order by w.serial limit c.most for update skip locked",
        "order by w.serial limit c.most for update",
        FLEET + "who_looks_for_work_waits_for_nobody_who_has_some[parked]",
        over="",
    ),
    _planted(
        "unheard of, and not skipped where another has it in hand",
        "order by look_at limit $2 for update skip locked",
        "order by look_at limit $2 for update",
        FLEET + "who_looks_for_work_waits_for_nobody_who_has_some[unheard]",
        over="",
    ),
    _planted(
        "promoted whichever wait it was",
        "where w.message = c.message and w.serial = c.serial returning",
        "where w.message = c.message returning",
        WAITING + "a_message_that_was_parked_anew_since_it_was_read_keeps_its_new_wait",
    ),
    _planted(
        "parked anew under the older time",
        "key = excluded.key, due_at = excluded.due_at, kind",
        "key = excluded.key, kind",
        "conformance/test_ledger_steps.py::test_parking_anew_replaces_the_time",
    ),
    _planted(
        "events shown while others may come before them",
        "pg_snapshot_xmin(pg_current_snapshot())",
        "pg_snapshot_xmax(pg_current_snapshot())",
        FLEET + "no_event_is_shown_while_another_process_may_yet_write_one_before_it",
        over="",
    ),
    _planted(
        "of two plans over a cancellation both are written",
        "process, number from notifications where id = any($1::text[]) order by id for update;",
        "process, number from notifications where id = any($1::text[]) order by id;",
        FLEET + "of_two_plans_that_found_a_row_one_wins_and_both_are_told_the_same",
        over="",
    ),
    _planted(
        "planned over a cancellation that nobody looked at",
        "where not notifications.planned and $49::boolean",
        "where not notifications.planned",
        LEDGER + "a_notification_that_was_cancelled_before_is_born_cancelled",
    ),
    Mutant(
        "postgres: planned where retention took what was found, and nothing is locked",
        [
            Edit(PLANS, "    if len(existing) < len(plans):\n", "    if len(existing) > len(plans):\n"),
            Edit(PLANS, "existing[plan.id]\n", "existing.get(plan.id, ('', None, False, None, None))\n"),
        ],
        [FLEET + "a_cancellation_after_retention_took_the_one_before_stops_the_plan"],
    ),
    _planted(
        "a number that is written once more",
        "select * from unnest($1::text[], $2::bigint[], $3::text[]) on conflict do nothing;",
        "select * from unnest($1::text[], $2::bigint[], $3::text[]);",
        FLEET + "the_recount_knows_the_numbers_of_what_another_process_published_again",
        over="",
    ),
    _planted(
        "a key that whoever asks takes",
        "where keys.at < excluded.at - $7::bigint\n",
        "",
        FLEET + "a_key_that_three_processes_are_given_at_once_stands_for_one_notification",
        over="",
    ),
    _planted(
        "a key that is taken over for another body",
        "k.fingerprint = c.fingerprint and not k.published",
        "not k.published",
        FLEET + "a_key_that_a_crash_left_pending_is_not_taken_over_for_another_body",
        over="",
    ),
    _planted(
        "a key that is released though it is published",
        "and owner = $4 and not published;",
        "and owner = $4;",
        FLEET + "a_key_is_released_by_who_has_it_while_it_is_pending",
        over="",
    ),
    _planted(
        "cells of a rate that are cut twice",
        "from rates where provider = $1 for update)",
        "from rates where provider = $1)",
        "conformance/test_accord.py::test_of_many_at_once_no_two_get_the_same_cell",
    ),
    _planted(
        "a probe for whoever wants it",
        "where b.version = $2 and (not $9::boolean",
        "where $2::bigint >= 0 and (not $9::boolean",
        "conformance/test_accord.py::test_of_many_who_want_the_probe_one_has_it",
        "conformance/test_accord.py::test_a_breaker_is_moved_by_who_knows_its_version",
    ),
    _planted(
        "a reference that every provider shares",
        "join attempts a on a.provider = c.provider and a.ref = c.ref",
        "join attempts a on a.ref = c.ref",
        "conformance/test_ledger_observe.py::test_a_reference_belongs_to_its_provider",
    ),
    _planted(
        "retention that takes what is not over",
        "select bool_or(m.state < 30) as open",
        "select false as open",
        "conformance/test_sweeper.py::test_one_message_that_is_not_settled_keeps_its_notification_whole",
    ),
    _planted(
        "a day that is over too soon",
        "and (state < 30 or updated_at >= $5)",
        "and updated_at >= $5",
        FLEET + "retention_drops_days_that_are_over_and_sweeps_the_others_row_by_row",
        over="",
    ),
    _planted(
        "events over the head of who writes in this database",
        "min(a.number) as oldest",
        "null::bigint as oldest",
        FLEET + "no_event_is_shown_while_another_process_may_yet_write_one_before_it",
        over="",
    ),
    _planted(
        "events that a writer elsewhere holds back",
        "case when there.hidden then",
        "case when there.hidden or true then",
        FLEET + "who_writes_into_another_database_of_the_server_holds_no_event_back",
        over="",
    ),
]
