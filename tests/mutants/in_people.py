"""Mistakes about people: whom a message goes to, who must not be sent to, and what is left of somebody who was erased."""

from __future__ import annotations

from tests.mutants.planting import Edit, Mutant

DIRECTORY = "conformance/test_directory.py::test_"
LIST = "conformance/test_suppressions.py::test_"
EARNED = "conformance/test_suppressions_earned.py::test_"
RACES = "conformance/test_races_people.py::test_"
ACQUAINT = "unit/test_engine_acquaint.py::test_"
HEAR = "unit/test_engine_hear.py::test_"
LINKS = "unit/test_unsubscribing.py::test_"
PAGE = "unit/test_api_unsubscribe.py::test_"
RESPOND = "unit/test_engine_respond.py::test_"


def _planted(name: str, file: str, old: str, new: str, *tests: str, over: str = "") -> Mutant:
    return Mutant(f"people: {name}", [Edit(file, old, new)], tests, over)


MUTANTS = [
    _planted(
        "a mail of any category carries a link to unsubscribe",
        "engine/render.py",
        "if parcel.category != MARKETING or not parcel.address:",
        "if not parcel.address:",
        LINKS + "every_kind_of_mail_carries_the_link_where_it_is_marketing_and_nowhere_else",
    ),
    _planted(
        "a token is good in more writings than one",
        "policy/unsubscribing.py",
        " and _written(raw) == token else None",
        " else None",
        LINKS + "a_token_that_was_changed_in_any_bit_is_none_of_ours",
    ),
    _planted(
        "whoever looks at the page is unsubscribed",
        "web/unsubscribe/calls.py",
        'found = await _story(ask).stands(ask.params["token"])',
        'found = await _story(ask).leave(ask.params["token"])',
        PAGE + "looking_shows_a_button_and_whose_address_it_is_about_and_changes_nothing",
    ),
    _planted(
        "who subscribes again is taken off whatever else holds for marketing",
        "policy/unsubscribing.py",
        'f"{MARKETING}\\0link"',
        "MARKETING",
        PAGE + "the_page_offers_to_undo_it_and_that_takes_off_what_the_link_put_there_and_nothing_else",
    ),
    _planted(
        "postgres: an unsubscription is told as often as it is pressed",
        "drivers/store/postgres/queries.sql",
        "  and not exists (select from events e where e.subject = c.subject and e.day = c.day and e.type = c.type)\n",
        "",
        LIST + "who_leaves_by_the_link_of_a_message_is_listed_and_that_is_told_once_of_it",
        over="postgres",
    ),
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
    Mutant(
        "people: postgres: two who write one recipient lose each other's words",
        [  # either of them alone would still have the second wait: to reserve a row that somebody is changing waits for that
            Edit(
                "drivers/store/postgres/queries.sql",
                "unnest($1::text[], $2::text[]) c (tenant, id)\non conflict (tenant, id) do nothing;",
                "unnest($1::text[], $2::text[]) c (tenant, id)\n"
                "where not exists (select from recipients r where r.tenant = c.tenant and r.id = c.id)\n"
                "on conflict (tenant, id) do nothing;",
            ),
            Edit(
                "drivers/store/postgres/queries.sql",
                "join recipients r on r.tenant = c.tenant and r.id = c.id order by c.place for update of r;",
                "join recipients r on r.tenant = c.tenant and r.id = c.id order by c.place;",
            ),
        ],
        ["conformance/test_postgres_races.py::test_two_who_write_one_recipient_at_once_lose_nothing_of_each_other"],
        "",
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
        "policy/suppression.py",
        "return suppression(marker, EVERYBODY, channel, address, Reason.OPTED_OUT.value, _LIFTED[how], now)\n",
        'return suppression(marker, "another", channel, address, Reason.OPTED_OUT.value, _LIFTED[how], now)\n',
        HEAR + "after_a_stop_nothing_is_sent_on_that_channel_until_a_start",
    ),
    _planted(
        "an answer is let through the stop at every call",
        "engine/deliver.py",
        "parcel.content.answers is not None and parcel.number == 0",
        "parcel.content.answers is not None",
        RESPOND + "a_confirmation_is_let_through_at_its_first_call_alone",
    ),
    _planted(
        "a reply that was heard and not answered stays so",
        "engine/hear.py",
        "(hearing.fresh or again)",
        "hearing.fresh",
        RESPOND + "an_answer_is_not_lost_with_the_process_that_was_to_accept_it_and_not_said_twice_after_it",
    ),
    _planted(
        "postgres: of two words the one counts that came later",
        "drivers/store/postgres/suppressions.py",
        "    return bool(found)\n",
        "    return False\n",
        LIST + "of_stops_and_starts_the_latest_said_counts_in_whatever_order_they_come",
        over="postgres",
    ),
    _planted(
        "what was made before an erasure is written after it, over postgres",
        "drivers/store/postgres/queries.sql",
        "where id = $1 and seen = $2 and version = $3 returning id;",
        "where id = $1 and seen = $2 and $3::bigint is not null returning id;",
        RACES + "nothing_is_told_of_somebody_who_is_erased_while_it_is_written_down",
        over="postgres",
    ),
    _planted(
        "an erasure waits for nobody who writes postings",
        "drivers/store/postgres/directory.py",
        '    await db.execute(SQL["erase_drafts"], tenant)\n',
        "",
        RACES + "nothing_is_told_of_somebody_who_is_erased_while_it_is_written_down",
        over="postgres",
    ),
    _planted(
        "what was made before an erasure is written after it, over sqlite",
        "drivers/store/sqlite/directory.py",
        '        db.execute(SQL["erase_drafts"], (tenant,))\n',
        "",
        "conformance/test_endpoints.py::test_what_was_made_of_events_before_a_person_was_erased_is_not_written",
        over="sqlite",
    ),
]
