"""Mistakes in calls that carry several messages."""

from __future__ import annotations

from tests.mutants.planting import Edit, Mutant

COACH = "unit/test_engine_coach.py::test_"


def _planted(name: str, old: str, new: str, test: str) -> Mutant:
    return Mutant(f"a shared call: {name}", [Edit("engine/coach.py", old, new)], [COACH + test])


MUTANTS = [
    _planted(
        "it carries one whose claim is not granted yet",
        "request = self._account.provider.build_all(outs)",
        "request = self._account.provider.build_all(list(self._seats.values()))",
        "a_call_goes_without_those_whose_claim_takes_too_long_and_nobody_is_written_unclaimed",
    ),
    _planted(
        "one that is refused sinks the others",
        "[Part(outcome) for outcome in outcomes]",
        '[Part(min(outcomes, key=lambda outcome: type(outcome).__name__ == "Accepted"))] * len(outs)',
        "one_that_is_refused_sinks_no_other",
    ),
    _planted(
        "the loss of a claim is not noticed",
        "        if self._seats:\n            self._look()\n",
        "        if self._seats:\n            pass\n",
        "who_is_refused_its_claim_is_waited_for_no_longer",
    ),
    _planted(
        "its place is given back while one is left",
        "        if self._seats:\n            self._look()\n",
        "        if len(self._seats) > 1:\n            self._look()\n",
        "the_last_who_is_left_of_a_call_keeps_its_place_and_its_line",
    ),
    _planted(
        "it goes with the first that is claimed",
        "self._riders.keys() >= self._seats.keys()",
        "self._seats.keys() >= self._riders.keys()",
        "messages_share_calls_and_each_has_its_own_attempt_and_reference",
    ),
    _planted(
        "nobody looks again before the first byte",
        "not rider.heard.done() and rider.seat.fit()",
        "not rider.heard.done()",
        "who_expires_while_others_are_claimed_is_not_in_the_call",
    ),
    _planted(
        "one that can't be written puts all in doubt",
        "        except ValueError:  #",
        "        except KeyError:  #",
        "a_call_that_cannot_be_written_costs_only_the_message_that_is_to_blame",
    ),
    _planted(
        "each of its messages speaks of the connection that failed",
        "self.speaker is seat and not seat.used",
        "self.speaker is seat",
        "one_connection_that_fails_is_one_word_on_the_providers_health_however_many_wait_for_it",
    ),
    _planted(
        "it may be the probe of an ill provider",
        "if slot is not None and slot.probe:",
        "if slot is not None and slot.probe < 0:",
        "a_place_that_turns_out_to_be_a_probe_is_for_one_message_alone",
    ),
    _planted(
        "what is held travels with what would be sent again",
        "parcel.priority, parcel.on_doubt, wish.together",
        'parcel.priority, "", wish.together',
        "what_would_be_sent_again_is_never_with_what_must_be_held",
    ),
    _planted(
        "refused as a whole, it goes again as a whole",
        "scope=Scope.CALL, alone=True",
        "scope=Scope.CALL",
        "of_a_call_that_is_refused_as_a_whole_each_goes_again_alone",
    ),
    _planted(
        "content that changed meanwhile is not noticed",
        "not isinstance(request, Passenger) or request.together != self._together",
        "not isinstance(request, Passenger)",
        "who_says_something_else_by_the_time_of_the_call_does_not_travel_with_it",
    ),
]
