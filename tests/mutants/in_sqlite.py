"""Mistakes in the statements of the embedded store."""

from __future__ import annotations

from tests.mutants.planting import Edit, Mutant

LEDGER = "conformance/test_ledger.py::test_"
WAITING = "conformance/test_waiting.py::test_"


def _planted(name: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(f"sqlite: {name}", [Edit("drivers/store/sqlite/queries.sql", old, new)], tests, "sqlite")


MUTANTS = [
    _planted(
        "a claim under any epoch",
        "\n  and (c.value->>5) >= (select value from meta where name = 'epoch');",
        ";",
        LEDGER + "a_claim_under_an_older_epoch_is_refused_and_one_under_the_new_is_granted",
    ),
    _planted(
        "a claim that compares no number",
        "where messages.id = c.value->>0 and messages.number = c.value->>1 and messages.step",
        "where messages.id = c.value->>0 and messages.step",
        LEDGER + "a_parcel_of_an_older_number_is_refused",
        LEDGER + "of_fifty_claimers_at_the_same_time_one_is_granted",
        "conformance/test_waiting.py::test_a_promoted_parcel_that_was_claimed_twice_is_sent_once",
    ),
    _planted(
        "a claim that compares no step",
        "and messages.step = c.value->>2 and messages.since",
        "and messages.since",
        LEDGER + "a_parcel_of_another_step_is_refused_as_of_another_number",
    ),
    _planted(
        "a claim in whatever state",
        "(messages.state in (10, 20) or (messages.state = 21 and messages.token is null))",
        "true",
        LEDGER + "a_message_that_ended_is_refused_by_its_state",
    ),
    _planted(
        "not expired yet in its last millisecond",
        "messages.expires_at > c.value->>4",
        "messages.expires_at >= c.value->>4",
        LEDGER + "a_message_is_expired_from_the_very_millisecond_on",
    ),
    _planted(
        "promoted whichever wait it was",
        "on w.message = c.value->>0 and w.serial = c.value->>1);",
        "on w.message = c.value->>0);",
        WAITING + "a_message_that_was_parked_anew_since_it_was_read_keeps_its_new_wait",
    ),
    _planted(
        "promoted out of whatever state",
        "where messages.id = c.value->>0 and messages.state = 10;",
        "where messages.id = c.value->>0;",
        WAITING + "a_promoted_doubt_stays_sending_and_can_be_claimed",
    ),
    _planted(
        "due whenever asked",
        "due_at is not null and due_at <= ?2 order by",
        "due_at is not null order by",
        WAITING + "a_wait_is_due_from_its_very_millisecond_on",
    ),
    _planted(
        "due a millisecond late",
        "due_at <= ?2 order by due_at, message",
        "due_at < ?2 order by due_at, message",
        WAITING + "a_wait_is_due_from_its_very_millisecond_on",
    ),
    _planted(
        "retention that takes what is not over",
        "(m.state < 30 or m.updated_at >= ?2));\n\n-- name: forget_numbers",
        "m.updated_at >= ?2);\n\n-- name: forget_numbers",
        "conformance/test_sweeper.py::test_one_message_that_is_not_settled_keeps_its_notification_whole",
    ),
    _planted(
        "retention that takes what has just moved",
        "(m.state < 30 or m.updated_at >= ?2));\n\n-- name: forget_numbers",
        "m.state < 30);\n\n-- name: forget_numbers",
        "conformance/test_sweeper.py::test_a_late_receipt_makes_it_young_again",
        "conformance/test_sweeper.py::test_what_was_sent_long_after_it_was_accepted_is_kept_as_long_as_any_other",
    ),
    _planted(
        "a key that every tenant shares",
        "on k.tenant = c.value->>0 and k.key",
        "on k.key",
        "conformance/test_intake.py::test_keys_of_different_tenants_are_different_keys",
    ),
    _planted(
        "unheard of at once",
        "look_at is not null and look_at <= ?1 order by",
        "look_at is not null order by",
        "conformance/test_ledger_unheard.py::"
        "test_one_that_was_not_reported_is_found_when_its_time_has_come_and_then_not_before_it_is_twice_as_old",
    ),
]
