"""Mistakes in access tokens, in what a made-up push service may say, and in what Apprise's words mean."""

from __future__ import annotations

from tests.mutants.planting import Edit, Mutant

TOKENS = "unit/test_engine_tokens.py::test_"
TOKENS_PY = "engine/tokens.py"


def _planted(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, [Edit(file, old, new)], tests)


MUTANTS = [
    _planted(
        "tokens: everybody who waits fetches one",
        TOKENS_PY,
        "        if kept.fetching is None or kept.fetching.done():\n",
        "        if True:\n",
        TOKENS + "a_crowd_is_one_fetch",
    ),
    _planted(
        "tokens: who gives up waiting ends the fetch",
        TOKENS_PY,
        "await asyncio.shield(self._fetched(account, kept))",
        "await self._fetched(account, kept)",
        TOKENS + "who_gives_up_waiting_takes_the_fetch_from_nobody",
    ),
    _planted(
        "tokens: renewed when they have ended",
        TOKENS_PY,
        "kept.renew_at = began + life_s - ahead_s * (1 + JITTER * self._draw())",
        "kept.renew_at = began + life_s",
        TOKENS + "a_token_in_use_is_followed_by_the_next_before_it_ends",
    ),
    _planted(
        "tokens: used to their last second and beyond",
        TOKENS_PY,
        "kept.good_until = began + life_s - min(LEAST_S, life_s / 2)",
        "kept.good_until = began + life_s + 5",
        TOKENS + "no_message_goes_out_with_a_token_that_may_have_ended",
    ),
    _planted(
        "tokens: a refused one is kept",
        TOKENS_PY,
        "before, kept.refused, kept.token = kept.refused, True, None",
        "before, kept.refused = kept.refused, True",
        TOKENS + "a_refused_token_is_dropped_and_the_message_goes_with_the_next",
    ),
    _planted(
        "tokens: one refusal after the other is forgiven",
        TOKENS_PY,
        "return outcome if before else Later(outcome.detail, ill=False)",
        "return Later(outcome.detail, ill=False)",
        TOKENS + "where_the_next_token_is_refused_too_it_is_the_accounts_fault",
    ),
    _planted(
        "webpush: a made-up push service is believed",
        "providers/webpush.py",
        "        if shared or not isinstance(answer, Reply):\n",
        "        if True:\n",
        "providers/test_webpush.py::test_a_made_up_push_service_can_not_shut_the_channel",
    ),
    _planted(
        "webpush: one salt for all",
        "providers/webpush.py",
        "ec.derive_private_key(number, ec.SECP256R1()), entropy[-_SALT:])",
        "ec.derive_private_key(number, ec.SECP256R1()), bytes(_SALT))",
        "providers/test_webpush.py::test_key_and_salt_are_those_of_the_chance_that_was_given",
    ),
    _planted(
        "fcm: a missing key for Apple costs our token",
        "providers/fcm.py",
        ' and _code(error if isinstance(error, dict) else {}) != "THIRD_PARTY_AUTH_ERROR"',
        "",
        "providers/test_fcm.py::test_only_a_word_about_our_token_costs_it",
    ),
    _planted(
        "apprise: a no is taken for a yes",
        "drivers/egress/apprise.py",
        "return Reply(200) if taken else",
        "return Reply(200) if True else",
        "conformance/test_egress_apprise.py::test_a_no_may_have_left_bytes_so_it_is_lost",
    ),
    _planted(
        "apprise: a late thread gives its place away",
        "drivers/egress/apprise.py",
        '            return Lost("wait", "timed out")\n',
        '            self._free.release()\n            return Lost("wait", "timed out")\n',
        "conformance/test_egress_apprise.py::test_no_more_threads_run_than_there_are_places_and_a_late_one_keeps_its_own",
    ),
]
