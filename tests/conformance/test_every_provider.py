"""What every registered kind of provider must do, whatever vendor it speaks for. The samples stand in each kind's own test file."""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote_plus

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sendwright.model.content import EmailContent
from sendwright.policy.unsubscribing import header_fields
from sendwright.providers.contract import (
    Accepted,
    Answer,
    Capabilities,
    CommonSettings,
    ConsoleLine,
    Flow,
    Hook,
    HttpRequest,
    Inbound,
    Later,
    Lost,
    MailReply,
    MailRequest,
    Misconfigured,
    NotSent,
    Outcome,
    Outgoing,
    Provider,
    Reason,
    Receipt,
    Rejected,
    Reply,
    TooLong,
    Unsure,
    Verdict,
    length_of,
)
from sendwright.providers.registry import kinds, make, survey
from tests.conformance.kinds import ATTEMPT, BODY_MARK, PHONE, SECRET_MARK, TITLE_MARK, Samples, samples_of
from tests.providers.test_twilio import samples as twilio_samples

JUNK = (
    b"",
    b" ",
    b"\x00",
    b"\xff\xfe\x00",
    b"null",
    b"true",
    b"0",
    b"-1e999",
    b"9" * 500,
    b'"text"',
    b"[]",
    b"[[]]",
    b"{}",
    b'{"id": null, "sid": null, "code": null}',
    b'{"id": {}, "sid": [], "code": {}, "status": [], "detail": 5, "message": []}',
    b'{"sid": "\\u0000", "id": "a\\u0000b"}',
    b'{"sid": "with space", "id": "line\\nbreak"}',
    b'{"sid": "' + b"A" * 5000 + b'", "id": "' + b"A" * 5000 + b'"}',
    b'{"sid": "SM1"',
    b'{"sid": "\xed\xa0\x80"}',
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"<html><body>502 Bad Gateway</body></html>",
    b"\xef\xbb\xbf{}",
    b"MessageStatus=delivered",
    b"MessageStatus=&MessageSid=",
    b"MessageStatus=delivered&MessageSid=%00&a=%ff",
    b"&=&=&;;==%",
    b"a=1&" * 5000,
)
STATUSES = (
    *(-1, 0, 100, 199, 200, 201, 202, 204, 206, 299, 300, 301, 302, 303, 304, 307, 308),
    *(400, 401, 402, 403, 404, 405, 408, 409, 410, 413, 415, 418, 420, 421, 422, 425, 429, 431, 451, 499),
    *(500, 501, 502, 503, 504, 505, 520, 522, 599, 999),
)

BUSY = (
    (("retry-after", "30"),),
    (("retry-after", "120.6"),),
    (("retry-after", "0"),),
    (("retry-after", "-1"),),
    (("retry-after", "1e9"),),
    (("retry-after", "soon"),),
    (("retry-after", ""),),
    (("date", "Sun, 22 Nov 2026 09:00:00 GMT"), ("retry-after", "Sun, 22 Nov 2026 09:00:30 GMT")),
    (("retry-after", "Sun, 22 Nov 2026 09:00:30 GMT"),),
    (("date", "Sun, 22 Nov 2026 09:00:00 GMT"), ("x-ratelimit-reset", "1795338030")),
    (("x-ratelimit-reset-after", "30.5"),),
    (("ratelimit-reset", "30"),),
    (("x-sib-ratelimit-reset", "30"),),
    (("ratelimit", '"default";r=0;t=30'),),
    (),
)


@functools.cache
def made(kind: str) -> Provider:
    """One of each kind: they are pure, so all tests may share it."""
    samples = samples_of(kind)
    assert samples is not None
    return make("main", samples.raw)


def those(wanted: Callable[[Samples, Provider], object]) -> pytest.MarkDecorator:
    """Runs a test for those kinds alone that it is about."""
    known = {name: found for name in sorted(kinds()) if (found := samples_of(name)) is not None}
    names = [name for name, samples in known.items() if wanted(samples, made(name))]
    return pytest.mark.parametrize("samples", names, indirect=True)


@pytest.fixture(params=sorted(kinds()))
def samples(request: pytest.FixtureRequest) -> Samples:
    found = samples_of(request.param)
    if found is None:
        pytest.fail(f"tests/providers/test_{request.param}.py has no samples()")
    return found


@pytest.fixture
def provider(samples: Samples) -> Provider:
    return made(str(samples.raw["kind"]))


def read_by_flow(provider: Provider, out: Outgoing, answer: Answer) -> Outcome:
    """What the flow says when its first call is answered like that; every later call is lost."""
    flow = provider.flow(out)
    next(flow)
    try:
        while True:
            flow.send(answer)
            answer = Lost("wait")
    except StopIteration as done:
        outcome: Outcome = done.value
        return outcome


def sends_mail(_: Samples, provider: Provider) -> bool:
    """Every kind behind which there are mailboxes, and header fields."""
    can = provider.capabilities
    return "email" in can.channels and can.transport in {"http", "smtp"} and provider.kind != "sandbox"


@those(sends_mail)
def test_a_mail_goes_out_with_the_link_by_which_its_recipient_unsubscribes(samples: Samples) -> None:
    link = f"https://notify.example.com/u/{'Ab0_-' * 30}"
    own = EmailContent(headers={"X-Shop": "north", **header_fields(link)})
    out = msgspec.structs.replace(samples.outgoing, channel="email", own=own, unsubscribe_url=link)
    request = make("main", samples.raw).build(out)
    assert isinstance(request, HttpRequest | MailRequest)
    said = request.message if isinstance(request, MailRequest) else request.body
    text = unquote_plus(said.decode())
    assert all(text.count(part) == 1 for part in (f"<{link}>", "List-Unsubscribe-Post", "List-Unsubscribe=One-Click", "X-Shop"))


def test_no_kind_is_broken() -> None:
    assert survey().broken == {}


def test_every_kind_says_who_it_is(samples: Samples, provider: Provider) -> None:
    assert provider.kind == samples.raw["kind"]
    assert isinstance(provider.settings, CommonSettings)
    assert provider.capabilities.channels
    assert provider.capabilities.transport in {"http", "smtp", "console", "inbox", "apprise"}
    assert samples.outgoing.channel in provider.capabilities.channels


# Answers


def test_a_junk_answer_never_raises_and_never_counts_as_taken(samples: Samples, provider: Provider) -> None:
    taken = samples.accepted
    for body, status in itertools.product(JUNK, STATUSES):
        if isinstance(taken, Reply) and (status, body) == (taken.status, taken.body):
            continue
        if samples.bare and 200 <= status < 300:
            continue
        outcome = provider.parse(Reply(status, (("content-type", "application/json"),), body))
        assert not isinstance(outcome, Accepted), f"HTTP {status}, {body[:40]!r}"
        assert isinstance(outcome, Outcome)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(status=st.integers(-1, 999), body=st.binary(max_size=200), header=st.text(max_size=20))
def test_random_bytes_never_raise_and_never_count_as_taken(
    samples: Samples, provider: Provider, status: int, body: bytes, header: str
) -> None:
    outcome = provider.parse(Reply(status, (("retry-after", header), ("date", header)), b"?" + body))
    assert isinstance(outcome, Accepted) == (samples.bare and 200 <= status < 300)


_KEYS = ["id", "sid", "code", "status", "state", "message", "detail", "error_code", "error_message", "reference", "reason", "at"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from([21610, "21610", "failed"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS) | st.text(max_size=5), inner, max_size=5),
    max_leaves=12,
)


@pytest.mark.slow
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(status=st.sampled_from(STATUSES), value=json_values)
def test_json_of_any_shape_never_raises_and_is_no_success_outside_2xx(provider: Provider, status: int, value: object) -> None:
    outcome = provider.parse(Reply(status, (), json.dumps(value).encode()))
    assert isinstance(outcome, Outcome)
    if not 200 <= status < 300:
        assert not isinstance(outcome, Accepted)
    assert "\x00" not in str(msgspec.to_builtins(outcome))


@those(lambda _, provider: provider.capabilities.lookups)
def test_a_look_up_asks_and_changes_nothing(provider: Provider) -> None:
    request = provider.lookup("SM0123")
    assert isinstance(request, HttpRequest)
    assert (request.method, request.body) == ("GET", b"")


@those(lambda _, provider: not provider.capabilities.lookups)
def test_a_kind_without_look_ups_can_not_be_asked(provider: Provider) -> None:
    with pytest.raises(ValueError, match="can't be asked"):
        provider.lookup("SM0123")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(status=st.sampled_from(STATUSES), body=st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_a_junk_answer_to_a_look_up_never_raises_and_reports_nothing(provider: Provider, status: int, body: bytes) -> None:
    assert provider.told(Reply(status, (), body)) is None


def bent(value: Any) -> Iterator[Any]:
    """The value, with each part of it in turn replaced by each of these."""
    yield from (None, True, -1, 1.5, 10**400, "", "\x00\u2028", [], [None], [[]], {}, {"": {}})
    if isinstance(value, dict):
        for key, part in value.items():
            yield from (value | {key: other} for other in bent(part))
            yield {name: other for name, other in value.items() if name != key}
    if isinstance(value, list):
        for at, part in enumerate(value):
            yield from ([*value[:at], other, *value[at + 1 :]] for other in bent(part))


def test_an_answer_bent_anywhere_never_raises(samples: Samples, provider: Provider) -> None:
    for reply in (samples.accepted, samples.refused_key, *samples.extra_replies):
        if not isinstance(reply, Reply):
            continue
        for value in bent(said(reply.body)):
            outcome = provider.read(Reply(reply.status, reply.headers, json.dumps(value).encode()))
            assert isinstance(outcome, Outcome)
            assert str(msgspec.to_builtins(outcome)).isprintable()


def said(body: bytes) -> Any:
    """What a body says, where that is JSON."""
    try:
        return json.loads(body)
    except ValueError:
        return None


def test_the_good_answer_is_acceptance(samples: Samples, provider: Provider) -> None:
    assert isinstance(provider.read(samples.accepted), Accepted)
    assert isinstance(read_by_flow(provider, samples.outgoing, samples.accepted), Accepted)


def test_the_good_answer_under_another_status_is_not_acceptance(samples: Samples, provider: Provider) -> None:
    if isinstance(samples.accepted, MailReply):
        for code in (*STATUSES, 354, 421, 450, 550):
            if not 200 <= code < 300:
                assert not isinstance(provider.read(msgspec.structs.replace(samples.accepted, code=code)), Accepted), code
        return
    for status in STATUSES:
        if not 200 <= status < 300:
            reply = Reply(status, samples.accepted.headers, samples.accepted.body)
            assert not isinstance(provider.parse(reply), Accepted), f"HTTP {status}"


def test_what_only_looks_like_success_is_not_acceptance(samples: Samples, provider: Provider) -> None:
    for reply in samples.extra_replies:
        assert not isinstance(provider.parse(reply), Accepted)


@pytest.mark.parametrize("body", [b"", b'{"retry_after": 30}', b'{"parameters": {"retry_after": 30}}', b"<html>"])
def test_429_is_later_in_every_dialect(provider: Provider, body: bytes) -> None:
    for headers in BUSY:
        outcome = provider.parse(Reply(429, headers, body))
        assert isinstance(outcome, Later), headers
        assert outcome.called, headers
        assert not outcome.ill, headers
        assert outcome.after_s is None or 0 <= outcome.after_s <= 86_400, headers


def test_429_waits_as_long_as_it_was_asked_to(provider: Provider) -> None:
    outcome = provider.parse(Reply(429, (("retry-after", "30"),)))
    assert isinstance(outcome, Later)
    assert outcome.after_s == 30


def test_503_is_later_and_a_sign_of_illness(provider: Provider) -> None:
    outcome = provider.parse(Reply(503, (("retry-after", "7"),)))
    assert isinstance(outcome, Later)
    assert outcome.ill
    assert outcome.after_s == 7


@pytest.mark.parametrize("status", [500, 502, 504])
def test_500_502_and_504_are_unsure(provider: Provider, status: int) -> None:
    assert isinstance(provider.parse(Reply(status)), Unsure)


@those(lambda samples, _: not samples.bare)
def test_a_success_that_cannot_be_read_is_unsure(samples: Samples, provider: Provider) -> None:
    status = samples.accepted.status if isinstance(samples.accepted, Reply) else 200
    assert isinstance(provider.parse(Reply(status, (), b"\xff<")), Unsure)


@those(lambda samples, _: samples.refused_key)
def test_a_refused_key_is_misconfigured(samples: Samples, provider: Provider) -> None:
    assert samples.refused_key is not None
    assert isinstance(provider.read(samples.refused_key), Misconfigured)
    assert isinstance(provider.parse(Reply(401)), Misconfigured)
    assert isinstance(provider.parse(Reply(403)), Misconfigured)


@those(lambda samples, _: samples.refused_key is None)
def test_where_nobody_signs_in_no_answer_is_held_against_the_account(provider: Provider) -> None:
    for status in STATUSES:
        assert not isinstance(provider.parse(Reply(status)), Misconfigured), f"HTTP {status}"


@pytest.mark.parametrize("phase", ["write", "wait", "head", "body"])
def test_a_lost_answer_is_unsure(samples: Samples, provider: Provider, phase: str) -> None:
    assert isinstance(provider.read(Lost(phase)), Unsure)
    assert isinstance(read_by_flow(provider, samples.outgoing, Lost(phase)), Unsure)


@pytest.mark.parametrize("phase", ["resolve", "connect", "tls", "pool", "late"])
def test_what_was_not_sent_is_later_and_no_call(samples: Samples, provider: Provider, phase: str) -> None:
    for outcome in (provider.read(NotSent(phase)), read_by_flow(provider, samples.outgoing, NotSent(phase))):
        assert isinstance(outcome, Later)
        assert not outcome.called


# Access tokens


with_tokens = those(lambda _, provider: provider.capabilities.tokens)


@pytest.mark.slow
@with_tokens
@pytest.mark.parametrize("body", JUNK, ids=range(len(JUNK)))
def test_junk_is_no_access_token_and_never_raises(provider: Provider, body: bytes) -> None:
    for status in STATUSES:
        found = provider.token_of(Reply(status, (("content-type", "application/json"),), body), 1_790_000_000.0)
        assert isinstance(found, Later | Misconfigured | Unsure), f"HTTP {status}"


@with_tokens
@pytest.mark.parametrize("answer", [NotSent("connect"), Lost("wait"), Reply(429), Reply(500), Reply(503)], ids=repr)
def test_whoever_gives_tokens_may_be_away_for_a_while(provider: Provider, answer: NotSent | Lost | Reply) -> None:
    assert isinstance(provider.token_of(answer, 1_790_000_000.0), Later | Unsure)


@with_tokens
@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_token_that_is_refused_is_the_accounts_fault(provider: Provider, status: int) -> None:
    assert isinstance(provider.token_of(Reply(status), 1_790_000_000.0), Misconfigured)


@with_tokens
def test_asking_for_a_token_is_the_same_at_the_same_time_and_shows_no_secret(samples: Samples, provider: Provider) -> None:
    asked = provider.token_request(1_790_000_000.0)
    assert asked == make("main", samples.raw).token_request(1_790_000_000.0)
    assert not any(secret in repr(asked) for secret in samples.secrets)


@with_tokens
def test_without_its_token_nothing_is_built(samples: Samples, provider: Provider) -> None:
    with pytest.raises(ValueError):
        provider.build(msgspec.structs.replace(samples.outgoing, token=None))


# Requests


def test_the_same_message_is_built_the_same(samples: Samples) -> None:
    first, second = make("main", samples.raw), make("main", samples.raw)
    assert first.build(samples.outgoing) == first.build(samples.outgoing) == second.build(samples.outgoing)


PARTS = ("address", "title", "sender", "body", "url", "callback_url", "idempotency_key", "attempt")
EVIL = ("\r\nX-Evil: yes", "\n\nGET /", "\r", "\x00", "\x85", "\u2028")


@pytest.mark.parametrize("part", PARTS)
def test_no_part_of_a_message_can_add_a_line(samples: Samples, provider: Provider, part: str) -> None:
    for evil in EVIL:
        out = msgspec.structs.replace(samples.outgoing, **{part: (getattr(samples.outgoing, part) or "") + evil})
        try:
            request = provider.build(out)
        except ValueError:
            continue
        adds_no_line(samples, request)


def adds_no_line(samples: Samples, request: object) -> None:
    match request:
        case HttpRequest():
            line = "".join((request.method, request.url, *(name + value for name, value in request.headers)))
            assert line.isascii()
            assert line.isprintable()
            assert samples.encrypts or not {*b"\r\n"} & {*request.body}
        case ConsoleLine():
            assert len(request.text.splitlines()) == 1
            assert "\x00" not in request.text
        case MailRequest():
            assert all(address.isprintable() and " " not in address for address in (request.sender, *request.recipients))
            head = request.message.partition(b"\r\n\r\n")[0]
            assert not re.search(rb"^x-evil", head, re.IGNORECASE | re.MULTILINE)
            assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", request.message)


@those(lambda _, provider: provider.capabilities.transport == "http")
def test_a_request_goes_to_base_url_when_there_is_one(samples: Samples) -> None:
    moved = make("main", samples.raw | {"base_url": "http://127.0.0.1:9000/front"})
    request = moved.build(samples.outgoing)
    assert isinstance(request, HttpRequest)
    assert request.url.startswith("http://127.0.0.1:9000/front/")


@those(lambda _, provider: provider.capabilities.body_max)
def test_what_it_counts_is_refused_over_its_limit_before_it_is_sent_and_is_the_same_without_address_and_token(
    samples: Samples, provider: Provider
) -> None:
    can, out = provider.capabilities, samples.outgoing

    def said(count: int) -> Outgoing:
        return msgspec.structs.replace(out, body="x" * count)

    room = (can.body_max or 0) - length_of(provider.counted(said(1)), can.unit)
    provider.build(said(1 + room))
    with pytest.raises(TooLong):
        provider.build(said(2 + room))
    nowhere = msgspec.structs.replace(said(1 + room), address="", token=None, attempt="", entropy=b"")
    assert length_of(provider.counted(nowhere), can.unit) == can.body_max


def test_a_channel_that_it_does_not_take_is_refused(samples: Samples, provider: Provider) -> None:
    with pytest.raises(ValueError):
        provider.build(msgspec.structs.replace(samples.outgoing, channel="pigeon"))


def test_a_refusal_to_build_does_not_quote_the_message(samples: Samples, provider: Provider) -> None:
    said = []
    for change in ({"channel": "pigeon"}, {"address": PHONE + "x"}, {"body": BODY_MARK * 1000}, {"body": BODY_MARK + "\ud800"}):
        try:
            provider.build(msgspec.structs.replace(samples.outgoing, **change))
        except ValueError as error:
            said.append(str(error))
    assert said
    assert BODY_MARK not in str(said)
    assert PHONE not in str(said)


# Callbacks


def with_header(hook: Hook, name: str, value: str | None) -> Hook:
    others = tuple(pair for pair in hook.headers if pair[0] != name)
    return msgspec.structs.replace(hook, headers=others if value is None else (*others, (name, value)))


@pytest.fixture
def callback(samples: Samples) -> Hook:
    assert samples.callback is not None
    return samples.callback


called_back = those(lambda samples, _: samples.callback)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    phase=st.sampled_from(["auth", "mail", "rcpt", "data", "content", "offer", ""]),
    code=st.integers(-1, 999),
    enhanced=st.none() | st.from_regex(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", fullmatch=True) | st.text(max_size=8),
    text=st.text(max_size=300),
)
def test_a_mail_servers_word_never_raises_and_is_acceptance_of_the_content_alone(
    provider: Provider, phase: str, code: int, enhanced: str | None, text: str
) -> None:
    outcome = provider.read(MailReply(phase, code, enhanced, text))
    assert isinstance(outcome, Outcome)
    assert "\x00" not in str(msgspec.to_builtins(outcome))
    if isinstance(outcome, Accepted):
        assert provider.capabilities.transport == "smtp"
        assert (phase, code // 100) == ("content", 2)


@those(lambda samples, _: samples.callback is None)
def test_a_kind_without_callbacks_refuses_all(provider: Provider) -> None:
    assert provider.verify(Hook("POST", "https://notify.example.com/v1/hooks/main", (), (), b"{}", 0)) is Verdict.BAD
    assert not provider.capabilities.receipts or provider.capabilities.transport == "inbox", "that one reports by itself"


@called_back
def test_a_good_callback_is_taken_and_finds_its_attempt(samples: Samples, provider: Provider, callback: Hook) -> None:
    assert provider.verify(callback) is Verdict.GOOD
    receipts = provider.events(callback)
    assert [receipt.attempt or receipt.ref for receipt in receipts] == [samples.reports]
    assert provider.capabilities.receipts
    assert not provider.capabilities.echoes or receipts[0].attempt == ATTEMPT


@called_back
def test_a_callback_bent_anywhere_never_raises_and_says_nothing_unfit_to_keep(provider: Provider, callback: Hook) -> None:
    for value in bent(said(callback.body)):
        for receipt in provider.receipts(msgspec.structs.replace(callback, body=json.dumps(value).encode())):
            for kept in (receipt.attempt, receipt.ref, receipt.detail):
                assert kept is None or kept.isprintable()


@those(lambda samples, _: samples.reply)
def test_what_a_person_says_bent_anywhere_never_raises_and_is_what_it_seems(samples: Samples, provider: Provider) -> None:
    reply = samples.reply
    assert reply is not None
    (heard,) = provider.reports(reply)
    assert isinstance(heard, Inbound)
    assert heard.address
    assert heard.address not in repr(heard)
    for value in bent(said(reply.body)):
        for event in provider.reports(msgspec.structs.replace(reply, body=json.dumps(value).encode())):
            assert msgspec.convert(msgspec.to_builtins(event), type(event)) == event


@called_back
def test_a_callback_without_its_signature_is_refused(samples: Samples, provider: Provider, callback: Hook) -> None:
    for name in samples.signature_headers:
        assert provider.verify(with_header(callback, name, None)) is Verdict.BAD
        assert provider.verify(with_header(callback, name, "")) is Verdict.BAD
        assert provider.verify(with_header(callback, name, "é\ud800")) is Verdict.BAD


@called_back
def test_a_stale_callback_is_refused(samples: Samples, provider: Provider, callback: Hook) -> None:
    for hook in samples.stale:
        assert provider.verify(hook) is Verdict.BAD


@called_back
def test_another_accounts_callback_is_refused(samples: Samples, callback: Hook) -> None:
    other = samples.raw | samples.foreign
    for key, value in samples.raw.items():
        if value in samples.secrets:
            other[key] = value[:-4] + ("AAAA" if value[-4:] != "AAAA" else "BBBB")
    assert make("main", other).verify(callback) is Verdict.BAD


@called_back
def test_every_flipped_byte_of_the_body_is_refused_or_says_the_same(samples: Samples, provider: Provider, callback: Hook) -> None:
    for at in range(len(callback.body)):
        for bit in range(8):
            body = bytearray(callback.body)
            body[at] ^= 1 << bit
            bent = msgspec.structs.replace(callback, body=bytes(body))
            if provider.verify(bent) is Verdict.GOOD:
                # only another spelling of the same form: %2b for %2B
                assert samples.signs_words or (bit == 5 and bytes(body).upper() == callback.body.upper())
                assert provider.events(bent) == provider.events(callback)


@called_back
def test_every_flipped_byte_of_the_signature_is_refused(samples: Samples, provider: Provider, callback: Hook) -> None:
    for name in samples.signature_headers:
        value = callback.header(name) or ""
        for at in range(len(value)):
            for bit in range(7):
                bent = value[:at] + chr(ord(value[at]) ^ 1 << bit) + value[at + 1 :]
                assert provider.verify(with_header(callback, name, bent)) is Verdict.BAD, (name, at, bit)


@those(lambda samples, _: samples.signs_url)
def test_every_flipped_byte_of_a_signed_address_is_refused(provider: Provider, callback: Hook) -> None:
    for at in range(len(callback.url)):
        for bit in range(7):
            url = callback.url[:at] + chr(ord(callback.url[at]) ^ 1 << bit) + callback.url[at + 1 :]
            assert provider.verify(msgspec.structs.replace(callback, url=url)) is Verdict.BAD, (at, bit)


@called_back
def test_a_body_cut_short_or_grown_is_refused(samples: Samples, provider: Provider, callback: Hook) -> None:
    grown = [callback.body + b"&x=1", callback.body * 2] + ([] if samples.signs_words else [callback.body + b" "])
    for body in (b"", callback.body[:-1], *grown):
        assert provider.verify(msgspec.structs.replace(callback, body=body)) is Verdict.BAD


@pytest.mark.parametrize(
    "url", ["https://notify.example.com/v1/hooks/main", "", "http://[::1", "https://x:99999/?bodySHA256=x"], ids=range(4)
)
def test_a_junk_callback_never_raises_and_is_refused(provider: Provider, url: str) -> None:
    for body in JUNK:
        hook = Hook("POST", url, (("a", "\x00"),), (), body, 0)
        assert provider.verify(hook) is Verdict.BAD, body[:40]
        assert all(isinstance(receipt, Receipt) for receipt in provider.events(hook)), body[:40]


@pytest.mark.slow
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()), query=st.text(max_size=20))
def test_random_callbacks_never_raise_and_yield_nothing_unfit_to_keep(provider: Provider, body: bytes, query: str) -> None:
    hook = Hook("POST", "https://notify.example.com/?a=" + query, (("a", query),), (("x-twilio-signature", query),), body, 0)
    assert provider.verify(hook) is Verdict.BAD
    for receipt in provider.events(hook):
        for kept in (receipt.attempt, receipt.ref, receipt.detail):
            assert kept is None or kept.isprintable()


# What must not be seen


def test_no_repr_holds_a_secret_an_address_or_content(samples: Samples, provider: Provider) -> None:
    request = provider.build(samples.outgoing)
    shown = [provider, provider.settings, samples.outgoing, request, samples.accepted, samples.callback, provider.capabilities]
    text = " ".join(f"{thing!r} {thing!s} {thing}" for thing in shown)
    for hidden in (*samples.secrets, SECRET_MARK, PHONE, BODY_MARK, TITLE_MARK, "481216", "canarymedia"):
        assert hidden not in text


def test_a_vendor_that_quotes_the_address_does_not_bring_it_into_an_outcome(provider: Provider) -> None:
    words = f"The 'To' number {PHONE} is not valid"
    body = json.dumps({"message": words, "detail": words, "code": 99999, "error_message": words}).encode()
    for status in STATUSES:
        assert PHONE not in repr(provider.parse(Reply(status, (), body)))


# A provider of two calls


class TwoCallSettings(CommonSettings, frozen=True, kw_only=True):
    pass


class TwoCalls(Provider):
    """Puts the text somewhere, then sends what it put there: only the second call can send anything."""

    kind = "two_calls"
    settings_type = TwoCallSettings

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(channels=("sms",))

    def build(self, out: Outgoing) -> HttpRequest:
        return HttpRequest("POST", "https://api.example.com/drafts")

    def parse(self, reply: Reply) -> Outcome:
        return Accepted(reply.body.decode()) if reply.status == 200 else Rejected(Reason.REJECTED)

    def flow(self, out: Outgoing) -> Flow:
        draft = yield self.build(out)
        if not isinstance(draft, Reply):
            return Later(detail="no draft, so nothing was sent", called=isinstance(draft, Lost))
        if draft.status != 200:
            return self.parse(draft)
        sent = yield HttpRequest("POST", f"https://api.example.com/drafts/{draft.body.decode()}/send")
        return self.read(sent)


TWO_CALLS = TwoCalls("two", TwoCallSettings(kind="two_calls"))


def test_a_flow_of_two_calls_sends_by_the_second() -> None:
    # given
    flow = TWO_CALLS.flow(twilio_samples().outgoing)
    assert next(flow) == HttpRequest("POST", "https://api.example.com/drafts")
    # when
    second = flow.send(Reply(200, body=b"d1"))
    # then
    assert second == HttpRequest("POST", "https://api.example.com/drafts/d1/send")
    with pytest.raises(StopIteration) as done:
        flow.send(Reply(200, body=b"m1"))
    assert done.value.value == Accepted("m1")


def test_a_flow_says_itself_what_a_lost_first_call_means() -> None:
    outcome = read_by_flow(TWO_CALLS, twilio_samples().outgoing, Lost("wait"))
    assert isinstance(outcome, Later)
    assert outcome.called


def test_a_lost_second_call_of_a_flow_is_unsure() -> None:
    outcome = read_by_flow(TWO_CALLS, twilio_samples().outgoing, Reply(200, body=b"d1"))
    assert isinstance(outcome, Unsure)


@those(lambda _, provider: provider.capabilities.batch_max > 1)
def test_a_call_for_several_says_something_of_each_or_of_none(provider: Provider, samples: Samples) -> None:
    outs = [msgspec.structs.replace(samples.outgoing, attempt=f"{ATTEMPT[:-1]}{place}") for place in range(3)]
    assert len({provider.together(out) for out in outs}) == 1
    assert provider.together(outs[0]) is not None
    assert isinstance(provider.build_all(outs), HttpRequest)
    assert provider.capabilities.idempotency_s == 0, (
        "a call that is repeated under a key must be the same call, of the same messages"
    )
    for status in STATUSES:
        for body in JUNK:
            found = provider.read_all(Reply(status, (), body), outs)
            assert found is None or len(found) == 3


@those(lambda _, provider: provider.capabilities.batch_max > 1)
def test_a_call_for_several_that_is_taken_is_taken_for_each(provider: Provider, samples: Samples) -> None:
    outs = [msgspec.structs.replace(samples.outgoing, attempt=f"{ATTEMPT[:-1]}{place}") for place in range(3)]
    assert all(isinstance(outcome, Accepted) for outcome in provider.read_all(samples.accepted, outs) or [None])
    assert all(isinstance(outcome, Later) for outcome in provider.read_all(Reply(429), outs) or [None])
    assert all(isinstance(outcome, Misconfigured) for outcome in provider.read_all(samples.refused_key, outs) or [None])
