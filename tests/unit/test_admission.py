"""What is let in at the door, and how everything that is wrong is listed."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendwright.model.notification import Payload
from sendwright.policy.admission import Admitted, Refused, Rules, admit, faults, plain
from sendwright.policy.strict_json import Malformed, parse, too_deep, twice_named

NOW = 1_795_000_000_000
LIVE = frozenset({"sms", "email", "push", "inapp", "webhook"})
BODY = {"body": "hello"}


def judge(doc: Any, **rules: Any) -> Admitted | Refused:
    raw = doc if isinstance(doc, bytes) else json.dumps(doc).encode()
    return admit(raw, Rules(**rules), LIVE, NOW)


def found(doc: Any, **rules: Any) -> set[tuple[str, str]]:
    verdict = judge(doc, **rules)
    assert isinstance(verdict, Refused)
    assert verdict.status == 422
    return {(fault.pointer, fault.code) for fault in verdict.faults}


def test_a_right_payload_is_admitted_as_it_came() -> None:
    raw = b'{"to": {"phone": "+14155552671"}, "content": {"body": "hello"}}'
    verdict = judge(raw)
    assert isinstance(verdict, Admitted)
    assert verdict.raw is raw
    assert verdict.payload.content.body == "hello"


def test_a_number_written_for_people_is_e164_behind_the_door() -> None:
    verdict = judge({"to": ["ada", {"phone": "+1 (415) 555-2671", "id": "u"}], "content": BODY, "metadata": {"a": "b"}})
    assert isinstance(verdict, Admitted)
    inside = json.loads(verdict.raw)
    assert inside["to"] == ["ada", {"phone": "+14155552671", "id": "u"}]
    assert inside["metadata"] == {"a": "b"}
    assert msgspec.json.decode(verdict.raw, type=Payload).recipients() == verdict.payload.recipients()


def test_every_fault_is_listed_at_once() -> None:
    doc = {
        "to": [{"phone": "12345"}, {"email": "a@b"}, 5],
        "content": {"title": "a\r\nBcc: z", "url": "javascript:alert(1)", "colour": "red"},
        "channels": ["fax", "telegram"],
        "priority": "urgent",
        "send_at": "tomorrow",
        "metadata": {"n": 1},
        "nonsense": True,
    }
    assert found(doc) == {
        ("#/to/0/phone", "invalid_phone"),
        ("#/to/1/email", "invalid_email"),
        ("#/to/2", "invalid_type"),
        ("#/content/title", "header_injection"),
        ("#/content/url", "link_scheme"),
        ("#/content/colour", "unknown_field"),
        ("#/channels/0", "unknown_channel"),
        ("#/channels/1", "no_provider"),
        ("#/priority", "unknown_priority"),
        ("#/send_at", "invalid_time"),
        ("#/metadata/n", "invalid_type"),
        ("#/nonsense", "unknown_field"),
    }


@pytest.mark.parametrize(
    ("doc", "expected"),
    [
        ({}, {("#/to", "required"), ("#/content", "required")}),
        ([], {("#", "invalid_type")}),
        ({"to": [], "content": BODY}, {("#/to", "too_few")}),
        ({"to": ["a"] * 1001, "content": BODY}, {("#/to", "too_many")}),
        ({"to": {}, "content": BODY}, {("#/to", "no_address")}),
        ({"to": {"locale": "en"}, "content": BODY}, {("#/to", "no_address")}),
        ({"to": "", "content": BODY}, {("#/to", "too_short")}),
        ({"to": " ", "content": BODY}, {("#/to", "invalid_recipient")}),
        ({"to": "u", "content": {}}, {("#/content", "empty")}),
        ({"to": "u", "content": {"sms": {"from": "X"}}}, {("#/content", "empty")}),
        ({"to": "u", "content": BODY, "channels": None}, {("#/channels", "invalid_type")}),
        ({"to": "u", "content": BODY, "channels": []}, {("#/channels", "too_few")}),
        ({"to": "u", "content": BODY, "channels": ["sms", "sms"]}, {("#/channels", "duplicate")}),
        ({"to": {"telegram": "1"}, "content": BODY}, {("#/to", "no_provider")}),
        ({"to": {"webhook": "https://x.example/"}, "content": BODY}, {("#/to", "no_provider")}),
        ({"to": {"email": "a@x.org", "timezone": "Mars/Base"}, "content": BODY}, {("#/to/timezone", "invalid_zone")}),
        ({"to": {"email": "a@x.org", "locale": "???"}, "content": BODY}, {("#/to/locale", "invalid_locale")}),
        ({"to": {"webhook": "https://10.0.0.1/"}, "content": BODY, "channels": ["webhook"]}, {("#/to/webhook", "private_address")}),
        ({"to": {"push": [{"token": "a"}, {"token": "b"}]}, "content": BODY}, {("#/to/push", "not_supported")}),
        ({"to": "u", "content": BODY, "ttl": "0s"}, {("#/ttl", "invalid_duration")}),
        ({"to": "u", "content": BODY, "ttl": "366d"}, {("#/ttl", "invalid_duration")}),
        ({"to": "u", "content": BODY, "ttl": "5m", "expires_at": "2030-01-01T00:00:00Z"}, {("#/ttl", "conflict")}),
        ({"to": "u", "content": BODY, "expires_at": "2020-01-01T00:00:00Z"}, {("#/expires_at", "expired")}),
        ({"to": "u", "content": BODY, "send_at": "2030-01-01T00:00:00Z"}, {("#/send_at", "too_far")}),
        ({"to": "u", "content": BODY, "send_at": "0001-01-01T00:00:00+14:00"}, {("#/send_at", "invalid_time")}),
        ({"to": "u", "content": BODY, "send_at": "1969-12-31T23:59:59Z"}, {("#/send_at", "invalid_time")}),
        ({"to": "u", "content": BODY, "expires_at": "9999-12-31T23:59:59-12:00"}, {("#/expires_at", "invalid_time")}),
        ({"to": "u", "content": BODY, "metadata": {str(n): "" for n in range(51)}}, {("#/metadata", "too_many")}),
        ({"to": "u", "content": BODY, "metadata": {"": "x"}}, {("#/metadata", "invalid_name")}),
        ({"to": "u", "content": BODY, "metadata": {"k": "x" * 1001}}, {("#/metadata/k", "too_long")}),
        ({"to": "u", "content": BODY, "idempotency_key": "x" * 256}, {("#/idempotency_key", "too_long")}),
        ({"to": "u", "content": BODY, "idempotency_key": "a\nb"}, {("#/idempotency_key", "invalid_idempotency_key")}),
        ({"to": "u", "content": {"body": "a\0b"}}, {("#/content/body", "invalid_character")}),
        ({"to": "u", "content": {**BODY, "sms": {"from": "A\nB"}}}, {("#/content/sms/from", "header_injection")}),
        (
            {"to": "u", "content": {**BODY, "media": [{"url": "https://x.org/a", "filename": "a\r"}]}},
            {("#/content/media/0/filename", "header_injection")},
        ),
        ({"to": "u", "content": {**BODY, "messenger": {"tag": "ADS"}}}, {("#/content/messenger/tag", "invalid_value")}),
        (
            {"to": "u", "content": {**BODY, "instagram": {"tag": "ACCOUNT_UPDATE"}, "telegram": {"tag": "HUMAN_AGENT"}}},
            {("#/content/instagram/tag", "invalid_value"), ("#/content/telegram/tag", "unknown_field")},
        ),
        ({"to": "u", "content": {**BODY, "media": [{"url": "mailto:x@x.org"}]}}, {("#/content/media/0/url", "link_scheme")}),
        (
            {"to": "u", "content": {**BODY, "actions": [{"id": "a", "label": "b", "url": "data:,x"}]}},
            {("#/content/actions/0/url", "link_scheme")},
        ),
    ],
)
def test_a_fault_is_named_by_its_place_and_code(doc: Any, expected: set[tuple[str, str]]) -> None:
    assert found(doc) == expected


@pytest.mark.parametrize("member", ["plan", "digest"])
def test_what_this_version_lacks_is_refused_and_never_ignored(member: str) -> None:
    assert (f"#/{member}", "not_supported") in found({"to": "u", "content": BODY, member: {}})


def test_content_or_a_type_is_one_fault() -> None:
    assert found({"to": "u"}) == {("#/content", "required")}
    assert found({"to": "u", "type": "order.shipped"}) == {("#/type", "unknown_type")}
    assert found({"to": "u", "type": "order.shipped", "content": BODY}) == {("#/type", "unknown_type"), ("#/content", "conflict")}


@pytest.mark.parametrize("channel", ["line", "discord", "teams"])
def test_overrides_of_channels_without_any_are_not_supported_yet(channel: str) -> None:
    assert found({"to": "u", "content": {channel: {"body": "x"}}}) == {(f"#/content/{channel}", "not_supported")}


@pytest.mark.parametrize(
    "own",
    [
        {
            "email": {
                "subject": "Hello",
                "text": "x",
                "from": "Ada <ada@example.org>",
                "cc": ["b@example.org"],
                "headers": {"X-A": "1"},
            }
        },
        {"email": {"text": "x", "attachments": [{"filename": "a.pdf", "content_type": "application/pdf", "content": "JVBERg=="}]}},
        {"whatsapp": {"template": {"name": "order_shipped", "language": "en_US", "params": ["Ada"]}}},
        {"push": {"body": "x", "image": "https://example.org/a.png", "badge": 3, "data": {"order": "7"}}},
        {"slack": {"body": "x", "blocks": [{"type": "divider"}]}},
        {"inapp": {"body": "x", "url": "https://example.org/"}},
        {"webhook": {"type": "order.shipped", "data": {"order": 7}}},
        *({chat: {"body": "x"}} for chat in ("instagram", "messenger", "telegram", "webpush")),
    ],
    ids=lambda own: next(iter(own)),
)
def test_a_content_may_say_something_else_for_a_channel_alone(own: dict[str, Any]) -> None:
    answer = judge({"to": "u", "content": own})
    assert isinstance(answer, Admitted)
    assert answer.payload.content.own(next(iter(own))) is not None


@pytest.mark.parametrize(
    ("email", "where", "code"),
    [
        ({"text": "x", "subject": "a\r\nBcc: b@example.org"}, "subject", "header_injection"),
        ({"text": "x", "from": "Ada <ada@example.org>\nX: y"}, "from", "header_injection"),
        ({"text": "x", "from": "nobody"}, "from", "invalid_email"),
        ({"text": "x", "reply_to": "a@example.org, b@example.org"}, "reply_to", "invalid_email"),
        ({"text": "x", "cc": ["a@example.org", "nobody"]}, "cc/1", "invalid_email"),
        ({"text": "x", "bcc": ["<a@example.org"]}, "bcc/0", "invalid_email"),
        ({"text": "x", "headers": {"Bcc": "a@example.org"}}, "headers/Bcc", "invalid_header"),
        ({"text": "x", "headers": {"X-A b": "1"}}, "headers/X-A%20b", "invalid_header"),
        ({"text": "x", "headers": {"X-A": "1\r\nBcc: a@example.org"}}, "headers/X-A", "header_injection"),
        ({"text": "x", "attachments": [{"filename": "a\nb", "content": "eA=="}]}, "attachments/0/filename", "header_injection"),
        ({"text": "x", "attachments": [{"filename": "a", "content": "not base64!"}]}, "attachments/0/content", "invalid_base64"),
        ({"text": "x", "html": 5}, "html", "invalid_type"),
        ({"text": "x", "to": "a@example.org"}, "to", "unknown_field"),
    ],
)
def test_an_email_is_judged_like_a_letter_that_others_must_trust(email: dict[str, Any], where: str, code: str) -> None:
    assert found({"to": "u", "content": {"email": email}}) == {(f"#/content/email/{where}", code)}


def test_links_of_every_channels_own_content_are_judged() -> None:
    own = {"push": {"body": "x", "image": "javascript:x"}, "inapp": {"body": "x", "url": "javascript:x", "icon": "ftp://x/"}}
    wrong = {"#/content/push/image", "#/content/inapp/url", "#/content/inapp/icon"}
    assert found({"to": "u", "content": own}) == {(where, "link_scheme") for where in wrong}


def test_an_expiry_must_come_after_the_sending() -> None:
    times = {"send_at": "2026-12-01T10:00:00Z", "expires_at": "2026-12-01T10:00:00Z"}
    assert found({"to": "u", "content": BODY, **times}) == {("#/expires_at", "expires_before_sent")}
    assert isinstance(judge({"to": "u", "content": BODY, **times, "expires_at": "2026-12-01T10:00:01Z"}), Admitted)


def test_the_operator_widens_schemes_channels_and_networks() -> None:
    content = {"body": "x", "url": "myapp://orders/1"}
    assert isinstance(judge({"to": "u", "content": content}, schemes=frozenset({"myapp"})), Admitted)
    assert found({"to": "u", "content": BODY, "channels": ["pager"]}, known=frozenset({"pager"})) == {
        ("#/channels/0", "no_provider")
    }


def test_a_recipient_id_needs_no_address_and_no_provider() -> None:
    assert isinstance(judge({"to": {"id": "user-42"}, "content": BODY}), Admitted)
    assert isinstance(admit(b'{"to":"user-42","content":{"body":"x"}}', Rules(), frozenset(), NOW), Admitted)


def test_an_unknown_name_is_pointed_at_as_a_fragment() -> None:
    assert found({"to": "u", "content": BODY, "a/b~ü": 1}) == {("#/a~1b~0%C3%BC", "unknown_field")}


def test_no_fault_repeats_what_was_sent() -> None:
    secret = "canary-4711"
    doc = {
        "to": {"phone": secret, "email": secret, "webhook": secret, "timezone": secret, "locale": secret + "!"},
        "content": {"title": secret + "\n", "url": secret, "body": 5},
        "channels": [secret],
        "ttl": secret,
        "priority": secret,
    }
    verdict = judge(doc)
    assert isinstance(verdict, Refused)
    assert len(verdict.faults) >= 10
    assert secret not in repr(verdict)


def test_a_flood_of_faults_is_cut_at_a_thousand() -> None:
    verdict = judge({"to": [{"phone": "1", "email": "2", "x": 3} for _ in range(1000)], "content": BODY})
    assert isinstance(verdict, Refused)
    assert len(verdict.faults) == 1000


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xef\xbb\xbf{}",
        b'{"to":NaN}',
        b'{"to":Infinity}',
        b'{"to":"a\\ud800","content":{"body":"x"}}',
        b'{"to":"\xff"}',
        b'{"to":"a","content":{"body":"x"}} {}',
        b'{"to":"a\x01"}',
        b'{"to":1e400}',
        b"[" * 100_000,
        b'{"to":' + b"9" * 100_000 + b"}",
        '{"to":"u"}'.encode("utf-16"),
        b"{'to':'u'}",
        b'{"to":"u",}',
    ],
)
def test_what_is_not_json_is_400(raw: bytes) -> None:
    verdict = judge(raw)
    assert isinstance(verdict, Refused)
    assert (verdict.status, verdict.faults) == (400, ())


@pytest.mark.parametrize(
    "raw",
    [
        b'{"to":"a","to":"b","content":{"body":"x"}}',
        b'{"to":"a","content":{"body":"x","body":"y"}}',
        b'{"to":"a","t\\u006f":"b","content":{"body":"x"}}',
        b'{"to":"a","content":{"body":"x"},"metadata":{":k":"1",":k":"2"}}',
        b'{"to" : "a", "to"\n: "b", "content":{"body":"x"}}',
    ],
)
def test_a_member_named_twice_is_400(raw: bytes) -> None:
    verdict = judge(raw)
    assert isinstance(verdict, Refused)
    assert (verdict.status, verdict.code) == (400, "duplicate_key")


def test_the_same_name_in_different_objects_is_no_duplicate() -> None:
    content = {"body": "x", "url": "https://x.org/", "media": [{"url": "https://x.org/1"}, {"url": "https://x.org/2"}]}
    assert isinstance(judge({"to": ["a", {"id": "b"}], "content": content}), Admitted)


def test_depth_is_counted_over_all_brackets_but_not_those_in_strings() -> None:
    assert not too_deep(b"[" * 64 + b"]" * 64)
    assert too_deep(b'[{"a":' * 33 + b"1" + b"}]" * 33)
    assert not too_deep(b"[" + b",".join([b'{"a":"[[[\\"{{{"}'] * 500) + b"]")
    assert parse(b"[" * 65 + b"]" * 65) == Malformed("too_deep", "The body nests deeper than 64.")


@pytest.mark.slow
@given(
    st.recursive(
        st.none() | st.text(max_size=5) | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner)
    )
)
def test_a_document_that_was_written_by_a_json_writer_names_nothing_twice(value: Any) -> None:
    raw = json.dumps(value, ensure_ascii=False).encode()
    assert twice_named(raw) is None


RIGHT = st.fixed_dictionaries(
    {
        "to": st.sampled_from(
            ["user-42", {"phone": "+14155552671"}, {"email": "ada@example.org"}, {"id": "x"}, {"phone": "+1415"}, {}]
        ),
        "content": st.fixed_dictionaries(
            {"body": st.text(max_size=5)},
            optional={"title": st.text(max_size=5), "url": st.sampled_from(["https://x.org/", "http:x", "https://-"])},
        ),
    },
    optional={
        "channels": st.lists(st.sampled_from(["sms", "email", "telegram", "fax"]), max_size=3),
        "priority": st.sampled_from(["high", "urgent"]),
        "ttl": st.sampled_from(["5m", "0s", "9000d", "x"]),
        "metadata": st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
        "idempotency_key": st.text(max_size=4),
        "category": st.sampled_from(["marketing", "spam"]),
    },
)


@pytest.mark.slow
@settings(max_examples=400)
@given(RIGHT)
def test_what_the_short_way_calls_right_has_no_fault_on_the_long_way(doc: dict[str, Any]) -> None:
    try:
        payload = msgspec.convert(doc, Payload)
    except msgspec.ValidationError:
        assert faults(doc, Rules(), LIVE, NOW)
        return
    if plain(payload, Rules(), LIVE):
        assert faults(doc, Rules(), LIVE, NOW) == []


def test_the_common_payload_takes_the_short_way() -> None:
    payload = msgspec.convert(
        {
            "to": {"id": "u", "phone": "+14155552671", "email": "a@x.org", "locale": "en-US", "timezone": "Europe/Berlin"},
            "content": {"title": "Your order", "body": "x", "url": "https://example.org/1"},
            "channels": ["sms", "email"],
            "metadata": {"a": "b"},
        },
        Payload,
    )
    assert plain(payload, Rules(), LIVE)
