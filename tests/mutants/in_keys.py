"""Mistakes about keys: who is let in, for how long, and what is another tenant's."""

from __future__ import annotations

from tests.mutants.planting import Edit, Mutant

WARDEN = "unit/test_engine_warden.py::test_"
MATRIX = "unit/test_key_matrix.py::test_"
KEYS = "unit/test_api_keys.py::test_"
RING = "conformance/test_keyring.py::test_"


def _planted(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, [Edit(file, old, new)], tests)


MUTANTS = [
    _planted(
        "keys: what was found is believed until it is asked for again",
        "engine/warden.py",
        "if known is None or now - known.asked_at >= FRESH_S or not",
        "if known is None or not",
        WARDEN + "a_revocation_is_obeyed_at_once_here_and_within_a_second_elsewhere",
        WARDEN + "while_the_store_does_not_answer_nobody_is_let_in_by_what_may_be_revoked",
    ),
    _planted(
        "keys: an answer counts from when it came",
        "engine/warden.py",
        "            fresh[id_] = _Known(key, asked_at, known)\n",
        "            fresh[id_] = _Known(key, self._clock.monotonic(), known)\n",
        WARDEN + "a_slow_answer_counts_from_when_it_was_asked_for",
    ),
    _planted(
        "keys: an answer from before a revocation is believed after it",
        "engine/warden.py",
        "if key is None or self._gone.get(id_, UNUSED) >= asked_at:",
        "if key is None:",
        WARDEN + "an_answer_that_was_asked_for_before_a_revocation_is_not_believed_after_it",
    ),
    _planted(
        "keys: the id alone lets in",
        "engine/warden.py",
        "            same |= hmac.compare_digest(digest_of(raw, pepper), key.digest)\n",
        "            same |= bool(raw)\n",
        WARDEN + "a_wrong_secret_with_a_good_checksum_is_refused_and_is_no_use_of_the_key",
    ),
    _planted(
        "keys: nobody looks at the time",
        "engine/warden.py",
        "return same and key.lives(self._clock.now_ms())",
        "return same",
        MATRIX + "no_key_a_revoked_an_expired_a_mistyped_and_a_made_up_one_are_all_refused_alike",
    ),
    _planted(
        "keys: a mistyped key is looked up",
        "model/api_key.py",
        "return key[:ID_LENGTH] if hmac.compare_digest(_checksum(core), checksum) else None",
        "return key[:ID_LENGTH] if checksum else None",
        WARDEN + "a_mistyped_key_is_refused_without_asking_the_store",
    ),
    _planted(
        "keys: the digest is kept without the secret key",
        "model/api_key.py",
        'return hmac.digest(pepper, key, "sha256")',
        "return hashlib.sha256(key).digest()",
        WARDEN + "a_key_that_was_made_under_an_older_secret_key_is_still_read",
    ),
    _planted(
        "keys: a made key acts for whom it likes",
        "web/api/auth.py",
        '    if not known.root and b"sendwright-tenant" in headers:\n',
        "    if False:\n",
        MATRIX + "a_made_key_acts_for_nobody_else_and_does_not_say_for_whom",
    ),
    _planted(
        "keys: what concerns all is anybody's who may steer",
        "web/api/endpoint.py",
        "        if call.of_all:\n",
        "        if False:\n",
        MATRIX + "what_concerns_all_tenants_takes_a_key_of_the_operators_tenant",
    ),
    _planted(
        "keys: a route takes any scope",
        "web/api/auth.py",
        "        if scope not in self.scopes:\n",
        "        if not self.scopes:\n",
        MATRIX + "a_key_with_one_scope_may_do_what_takes_that_scope_and_nothing_else",
    ),
    _planted(
        "keys: a key gives more than it has",
        "web/api/keys.py",
        "        if scope not in ask.caller.scopes:\n",
        "        if False:\n",
        KEYS + "a_key_gives_no_scope_that_it_lacks_and_no_tenant_but_its_own_and_hears_of_both",
    ),
    _planted(
        "keys: the short way counts nothing",
        "web/api/hot.py",
        "_lines(*self._keys.counted(caller)) if caller.key is not None else",
        "_lines() if caller.key is not None else",
        KEYS + "the_short_way_counts_a_call_once_and_shows_what_is_left",
    ),
    _planted(
        "sqlite: another tenant's key is revoked",
        "drivers/store/sqlite/queries.sql",
        "delete from api_keys where id = ?2 and (?1 is null or tenant = ?1);",
        "delete from api_keys where id = ?2 and (?1 is null or true);",
        RING + "what_was_revoked_is_found_nowhere_and_only_its_own_tenant_revokes_it",
    ),
    _planted(
        "postgres: a last use goes back in time",
        "drivers/store/postgres/queries.sql",
        "set used_at = greatest(k.used_at, u.at)",
        "set used_at = u.at",
        RING + "the_last_use_only_moves_forward_and_brings_nobody_back",
    ),
]
