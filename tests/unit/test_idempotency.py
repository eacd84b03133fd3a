"""The same request once; another one under the same key never."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendwright.model.records import Conflict, Running
from sendwright.policy.idempotency import Fresh, KeyRow, Replay, Republish, canonical, clean_key, fingerprint, verdict

NOW = 1_795_000_000_000
SAME = b"\x01" * 16
OTHER = b"\x02" * 16

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def reversed_keys(value: object) -> object:
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(value)}
    return [reversed_keys(member) for member in value] if isinstance(value, list) else value


class TestFingerprint:
    @pytest.mark.slow
    @given(values)
    def test_spelling_does_not_matter(self, value: object) -> None:
        plain = json.dumps(value).encode()
        airy = json.dumps(reversed_keys(value), indent=3, ensure_ascii=False).encode()

        assert fingerprint(plain) == fingerprint(airy)
        assert len(fingerprint(plain)) == 16

    @pytest.mark.slow
    @given(values, values)
    def test_bodies_are_the_same_exactly_when_their_canonical_spelling_is(self, a: object, b: object) -> None:
        same = canonical(a) == canonical(b)

        assert same is (fingerprint(json.dumps(a).encode()) == fingerprint(json.dumps(b).encode()))

    @pytest.mark.slow
    @given(values)
    def test_the_canonical_spelling_is_json_of_the_same_value(self, value: object) -> None:
        assert json.loads(canonical(value)) == value

    @pytest.mark.parametrize(
        ("a", "b"),
        [
            (b'{"n":1}', b'{"n":1.0}'),
            (b'{"n":100}', b'{"n":1e2}'),
            (b'{"n":0}', b'{"n":-0.0}'),
            (b'{"n":0.1}', b'{"n":0.10}'),
            (b'{"n":10000000000000000000000}', b'{"n":1e22}'),
            (b'{"s":"\\u00e9\\/"}', '{"s":"é/"}'.encode()),
            (b'{"a":1,"b":{"c":2,"d":3}}', b' { "b" : {"d":3, "c":2} , "a":1 } '),
        ],
    )
    def test_equal_values_are_the_same_request(self, a: bytes, b: bytes) -> None:
        assert fingerprint(a) == fingerprint(b)

    @pytest.mark.parametrize(
        ("a", "b"),
        [
            (b'{"n":1}', b'{"n":"1"}'),
            (b'{"n":1}', b'{"n":true}'),
            (b'{"n":0}', b'{"n":null}'),
            (b'{"n":null}', b"{}"),
            (b'{"n":[1,2]}', b'{"n":[2,1]}'),
            (b'{"n":1}', b'{"n":1.5}'),
            (b'{"n":9007199254740992}', b'{"n":9007199254740993}'),
            (b'{"s":"e"}', '{"s":"é"}'.encode()),
            (b'{"a":{"b":1}}', b'{"a":{},"b":1}'),
        ],
    )
    def test_other_values_are_another_request(self, a: bytes, b: bytes) -> None:
        assert fingerprint(a) != fingerprint(b)

    @pytest.mark.parametrize(
        "body", [b'{"a":1,"idempotency_key":"k1"}', b'{"idempotency_key":"k2","a":1}', b'{"\\u0069dempotency_key":"k1","a":1}']
    )
    def test_the_key_in_a_body_is_no_part_of_the_request(self, body: bytes) -> None:
        assert fingerprint(body) == fingerprint(b'{"a":1}')

    def test_what_is_named_like_the_key_elsewhere_is_part_of_the_request(self) -> None:
        bodies = [b'{"metadata":{"idempotency_key":"k%d"}}' % n for n in range(2)]
        assert len({fingerprint(body) for body in (*bodies, b'{"metadata":{}}')}) == 3
        assert fingerprint(b'["idempotency_key"]') != fingerprint(b"[]")

    @pytest.mark.parametrize("body", [b"", b"{", b'{"n":NaN}', b'{"n":1e400}', b'"\xff"'])
    def test_what_is_no_json_value_is_refused(self, body: bytes) -> None:
        with pytest.raises(ValueError, match=r".+"):
            fingerprint(body)


class TestVerdict:
    @pytest.mark.parametrize(
        ("published", "alive", "age_ms", "same", "found"),
        [
            (True, True, 0, True, Replay("ntf_1")),
            (True, False, 10**9, True, Replay("ntf_1")),
            (True, True, 0, False, Conflict()),
            (False, True, 0, False, Conflict()),
            (False, False, 10**9, False, Conflict()),
            (False, True, 0, True, Running()),
            (False, True, 4_999, True, Running()),
            (False, True, 5_000, True, Republish("ntf_1")),
            (False, False, 0, True, Republish("ntf_1")),
            (False, True, -4_999, True, Running()),
            (False, True, -5_000, True, Republish("ntf_1")),
        ],
    )
    def test_every_case_of_a_known_key(self, published: bool, alive: bool, age_ms: int, same: bool, found: object) -> None:
        row = KeyRow("ntf_1", SAME, published, "api-1", NOW - age_ms)

        assert verdict(row, SAME if same else OTHER, NOW, owner_alive=alive) == found

    def test_an_unknown_key_is_fresh(self) -> None:
        assert verdict(None, SAME, NOW, owner_alive=False) == Fresh()

    def test_one_who_must_wait_is_told_a_second(self) -> None:
        assert verdict(KeyRow("ntf_1", SAME, False, "api-1", NOW), SAME, NOW, owner_alive=True) == Running(after_s=1.0)  # noqa: FBT003


class TestKeys:
    @pytest.mark.parametrize(
        ("header", "key"),
        [
            ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
            ('"8e03978e"', "8e03978e"),
            ('  "8e03978e" ', "8e03978e"),
            ("order 17", "order 17"),
            ("bestellung-ü", "bestellung-ü"),
            ('"', '"'),
            ('"open', '"open'),
            ('""x""', '"x"'),
            ("k" * 255, "k" * 255),
            ('"' + "k" * 255 + '"', "k" * 255),
            ("k" * 256, None),
            ("", None),
            ("   ", None),
            ('""', None),
            ("a\nb", None),
            ("a\x00b", None),
            ("a\x7fb", None),
            ("a\u200bb", None),
            ("a\ud800b", None),
        ],
    )
    def test_a_key_is_1_to_255_printable_characters_with_or_without_quotes(self, header: str, key: str | None) -> None:
        assert clean_key(header) == key

    @given(st.text(max_size=300))
    def test_what_is_taken_is_taken_again_as_it_is_and_quoted(self, header: str) -> None:
        key = clean_key(header)

        if key is not None:
            assert 1 <= len(key) <= 255
            assert clean_key(f'"{key}"') == key
