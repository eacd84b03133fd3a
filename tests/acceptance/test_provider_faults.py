"""A provider that fails in every way that HTTP allows, seen from outside: real processes, Twilio's wire, the oracle's log.

What must hold each time: nothing is lost, nothing is sent twice that could have been known, nothing is called that asked
not to be, and what the API says is what the oracle saw.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port

from .harness import House, Oracle, call, wait_until
from .raw_http import ScriptedVendor
from .world import FAST, World, account, message_of, moment, sandbox_account, text, twilio_account

pytestmark = pytest.mark.slow

Start = Callable[..., World]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts an oracle, and a house over the accounts that `providers` makes of the oracle's address."""
    worlds: list[World] = []

    def started(providers: Callable[[str], str], extra: str = FAST, *, latency_ms: int = 0, receipts: bool = True) -> World:
        oracle = Oracle(tmp_path, latency_ms=latency_ms, receipts=receipts)
        house = House(tmp_path, providers(oracle.url), extra)
        worlds.append(World(tmp_path, house, oracle))
        house.start()
        return worlds[-1]

    yield started
    for world in worlds:
        world.stop()


def one(url: str) -> str:
    return twilio_account(url, "main")


def silent(url: str) -> str:
    """An account that sends no receipts: what it does not answer stays unknown."""
    return twilio_account(url, "main", receipts=False, timeout_s=1)


def two(url: str) -> str:
    return twilio_account(url, "first", "a") + twilio_account(url, "second", "b")


def fault(do: str, **more: Any) -> dict[str, Any]:
    match = {name: more.pop(name) for name in ("account", "to_prefix") if name in more}
    return {"do": do, "match": match, **more}


def _shared(folder: Path, providers: Callable[[str], str]) -> Iterator[World]:
    oracle = Oracle(folder)
    house = House(folder, providers(oracle.url), FAST)
    house.start()
    world = World(folder, house, oracle)
    yield world
    world.stop()


@pytest.fixture(scope="module")
def _silence(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from _shared(tmp_path_factory.mktemp("silence"), silent)


@pytest.fixture(scope="module")
def _steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from _shared(tmp_path_factory.mktemp("steady"), lambda url: one(url) + sandbox_account(url, "box", ["email"]))


@pytest.fixture
def silence(_silence: World) -> World:
    """One account that reports nothing; shared by tests that leave it as they found it."""
    _silence.oracle.faults([])
    return _silence


@pytest.fixture
def steady(_steady: World) -> World:
    """One account for SMS and one for email that report what becomes of a message; shared likewise."""
    _steady.oracle.faults([], {})
    return _steady


# Later: provably not taken


def test_a_storm_of_503_is_left_alone_probed_now_and_then_and_everything_arrives_after_it(start: Start) -> None:
    # given a breaker as it is set by default, save for the first probe's time, and twenty calls at once
    in_flight = 20
    world = start(
        lambda url: twilio_account(url, "main", concurrency=in_flight), "[retry]\nbase_s = 0.2\n[breaker]\nprobe_s = 0.3\n"
    )
    world.oracle.faults([fault("status", status=503, latency_ms=50)])
    # when two hundred messages meet it
    bodies = [text() for _ in range(200)]
    messages = world.post_all(bodies)
    wait_until(lambda: world.provider("main")["breaker"] != "closed", 5, "the breaker opens")
    time.sleep(2.5)
    # then nobody was called but those in flight at the fifth failure, and a few probes
    calls = len(world.asked())
    assert 5 + 2 <= calls <= 5 + in_flight + 10
    assert world.provider("main")["reason"] == "unreachable"
    assert {row["waiting_for"]["kind"] for row in world.house.pages("/v1/messages?state=queued") if row["waiting_for"]} <= {
        "provider",
        "time",
    }
    # and with its recovery each arrives, once
    world.oracle.faults([])
    world.all_come_to(messages, "delivered")
    assert [world.taken(body) for body in bodies[:20]] == [1] * 20
    assert not world.oracle.taken().doubled
    assert world.audit()["violations"] == []


def test_messages_of_an_ailing_account_leave_by_the_next_one_at_once_and_once(start: Start) -> None:
    world = start(two, "[retry]\nbase_s = 300\n[breaker]\nprobe_s = 0.5\n")
    world.oracle.faults([fault("status", account=account("a"), status=503)])
    bodies = [text() for _ in range(400)]
    messages = world.post_all(bodies)
    world.all_come_to(messages, "delivered", within_s=60)
    # none of it waited for a retry of the first, and none came twice
    assert not world.oracle.taken().doubled
    assert len(world.asked(account=account("b"), taken=True)) == 400
    assert len(world.asked(account=account("a"))) < 400
    assert {len(world.message(id_)["attempts"]) for id_ in messages} <= {1, 2}
    assert world.provider("first")["breaker"] != "closed"
    assert world.provider("second")["breaker"] == "closed"


def test_some_calls_answered_503_delay_messages_and_never_double_them(steady: World) -> None:
    steady.oracle.faults([fault("status", share=0.2, status=503)])
    bodies = [text() for _ in range(100)]
    numbers = {body["to"]["phone"] for body in bodies}
    steady.all_come_to(steady.post_all(bodies), "delivered")
    asked = [row for row in steady.asked() if row["to"] in numbers]
    assert sorted(row["to"] for row in asked if row["taken"]) == sorted(numbers)
    assert len(asked) > 100


def test_no_call_is_made_before_the_time_that_a_429_asked_for(start: Start) -> None:
    world = start(one, "")
    world.oracle.faults([fault("status", status=429, retry_after="2", count=1)])
    body = text()
    first = world.post(body)
    wait_until(lambda: len(world.asked()) == 1, 5, "the first call")
    others = world.post_all([text() for _ in range(5)])
    # the one that was turned away and those behind it
    world.all_come_to([first, *others], "delivered", within_s=10)
    refused, *later = [moment(row) for row in world.asked()]
    assert len(later) == 6
    assert min(later) - refused >= 2.0
    assert len([row for row in world.asked() if row["to"] == body["to"]["phone"]]) == 2
    refused_once, *_, taken = world.message(first)["attempts"]
    assert (refused_once["state"], refused_once["reason"]["code"]) == ("failed", "limit")
    assert (taken["state"], taken["reason"]) == ("delivered", None)
    assert world.provider("main")["breaker"] == "closed"  # too fast is not ill


def test_a_wait_that_makes_no_sense_neither_hurries_nor_parks_a_message_for_long(steady: World) -> None:
    world = steady
    asked = ["-1", "1e9", "abc", "0.4", formatdate(time.time() + 1, usegmt=True), "99999999999999999999", ""]
    world.oracle.faults(
        [
            fault("status", to_prefix=f"+1415900{n:04d}", status=status, retry_after=said, count=1)
            for n, (said, status) in enumerate((said, status) for said in asked for status in (429, 503))
        ]
    )
    messages = [world.post(text(f"+1415900{n:04d}")) for n in range(2 * len(asked))]
    world.all_come_to(messages, "delivered")
    # counted are the calls: an attempt whose account was paused in the moment before its first byte made none
    called = Counter(map(message_of, world.asked()))
    assert [called[id_] for id_ in messages] == [2] * len(messages)


def test_a_refused_connection_is_known_not_to_have_sent_anything(start: Start) -> None:
    # given a first account where nobody listens
    world = start(lambda url: twilio_account(f"http://127.0.0.1:{free_port()}", "first") + twilio_account(url, "second", "b"))
    bodies = [text(on_doubt="hold") for _ in range(20)]
    messages = world.post_all(bodies)
    world.all_come_to(messages, "delivered")
    assert [world.taken(body) for body in bodies] == [1] * 20
    assert {len(world.message(id_)["attempts"]) for id_ in messages} == {1}  # nothing left, so there was no attempt


def test_without_any_provider_in_health_messages_wait_cheaply_and_expire_truthfully(start: Start) -> None:
    places = 14  # of twenty, six are kept for what is more urgent

    def narrow(url: str) -> str:
        return twilio_account(url, "first", "a", concurrency=20) + twilio_account(url, "second", "b", concurrency=20)

    world = start(narrow, "[breaker]\nprobe_s = 0.5\n")
    world.oracle.faults([fault("status", status=503)])
    doomed = world.post_all([text(ttl="2s") for _ in range(30)])
    patient = world.post_all([text() for _ in range(30)])
    world.all_come_to(doomed, "expired", within_s=8)
    assert {row["reason"]["code"] for row in map(world.message, doomed)} == {"expired"}
    calls = len(world.asked())
    # of each provider: five failures, what was in flight when the fifth came, and ten
    assert calls <= 2 * (5 + places + 10)
    world.oracle.faults([])
    world.all_come_to(patient, "delivered")
    assert not {row["to"] for row in world.asked(taken=True)} & {world.message(id_)["address"] for id_ in doomed}


# Unsure: bytes left, and no answer that says what became of them


def test_a_provider_that_hangs_costs_its_time_limit_and_no_place(start: Start) -> None:
    places = 7  # of ten, three are kept for what is more urgent
    world = start(lambda url: twilio_account(url, "main", receipts=False, concurrency=10, timeout_s=1))
    world.oracle.faults([fault("hang")])
    messages = world.post_all([text(on_doubt="hold") for _ in range(12)])
    world.all_come_to(messages, "in_doubt")
    attempts = [row["attempts"][-1] for row in map(world.message, messages)]
    assert {attempt["reason"]["code"] for attempt in attempts} == {"lost_answer"}
    assert all(0.9 <= took_s(attempt) < 10 for attempt in attempts)  # the limit is one second, for all of a call
    wait_until(lambda: world.provider("main")["in_flight"] == 0, 10, "no call is in flight")
    # then all places are there again
    assert world.oracle.stats()["most_in_flight"] == places
    after = world.post_all([text() for _ in range(2 * places)])  # which are sent again until they are answered
    wait_until(
        lambda: (world.provider("main")["in_flight"], world.oracle.stats()["in_flight"]) == (places, places),
        20,
        "as many calls at once as before",
    )
    world.oracle.faults([])
    world.all_come_to(after, "sent")


def took_s(attempt: dict[str, Any]) -> float:
    started, finished = (datetime.fromisoformat(attempt[name]) for name in ("started_at", "finished_at"))
    return (finished - started).total_seconds()


@pytest.mark.parametrize(
    ("do", "on_doubt", "state", "calls", "taken", "doubled"),
    [
        ("reset_before", "hold", "in_doubt", 1, 0, False),
        ("reset_after", "hold", "in_doubt", 1, 1, False),
        ("reset_before", "resend", "sent", 2, 1, True),
        ("reset_after", "resend", "sent", 2, 2, True),
    ],
)
def test_a_reset_is_a_doubt_whether_or_not_the_message_was_taken(
    silence: World, do: str, on_doubt: str, state: str, calls: int, taken: int, doubled: bool
) -> None:
    # given a provider that recognises no repetition and reports nothing: both resets look the same to us
    silence.oracle.faults([fault(do, count=1)])
    body = text(on_doubt=on_doubt)
    message = silence.post(body)
    row = silence.comes_to(message, state)
    # then holding never sends again, and sending again is listed as what may have come twice
    assert (len(row["attempts"]), len(silence.asked(to=body["to"]["phone"])), silence.taken(body)) == (calls, calls, taken)
    listed = {row["id"] for row in silence.house.pages("/v1/messages?doubled=true")}
    assert (message in listed) == doubled


def test_a_message_held_in_doubt_is_neither_sent_again_nor_by_another_provider_until_a_person_says_so(start: Start) -> None:
    world = start(lambda url: twilio_account(url, "first", receipts=False) + twilio_account(url, "second", "b"))
    world.oracle.faults([fault("reset_after", account=account("a"), count=1)])
    body = text(on_doubt="hold")
    message = world.post(body)
    world.comes_to(message, "in_doubt")
    time.sleep(1.5)
    assert (world.taken(body), len(world.asked(account=account("b")))) == (1, 0)
    # when a person decides
    assert world.house.api("POST", f"/v1/messages/{message}/resolve", {"as": "resend"})[0] == 200
    world.comes_to(message, "sent", "delivered")
    assert world.taken(body) == 2


def test_a_lost_answer_is_settled_by_the_receipts_alone(steady: World) -> None:
    world = steady
    world.oracle.faults([fault("reset_after")])
    bodies = [text(on_doubt=on_doubt) for on_doubt in ("hold", "resend") for _ in range(10)]
    messages = world.post_all(bodies)
    world.all_come_to(messages, "delivered")
    assert [world.taken(body) for body in bodies] == [1] * 20
    assert {row["id"] for row in world.house.pages("/v1/messages?doubled=true")}.isdisjoint(messages)


def test_a_provider_that_recognises_its_key_is_asked_again_and_takes_the_message_once(steady: World) -> None:
    world = steady
    world.oracle.faults([fault("reset_after", count=10)], {"sequence": []})
    bodies = [{"to": {"email": f"somebody{n}@example.com"}, "content": {"title": "t", "body": "b"}} for n in range(10)]
    world.all_come_to(world.post_all(bodies), "sent")
    assert [len(world.asked(to=body["to"]["email"], taken=True)) for body in bodies] == [1] * 10
    assert [len(world.asked(to=body["to"]["email"])) for body in bodies] == [2] * 10


UNREADABLE = [
    fault("malformed"),
    fault("empty"),
    fault("html"),
    fault("oversize", size_bytes=2**20),
    fault("drip", every_ms=100),
    fault("status", status=200, taken=True),
    fault("status", status=500, taken=True),
    fault("status", status=502, taken=True),
    fault("status", status=504, taken=True),
]


@pytest.mark.parametrize("rule", UNREADABLE, ids=[f"{rule['do']}-{rule.get('status', '')}".rstrip("-") for rule in UNREADABLE])
def test_an_answer_that_says_nothing_is_never_taken_for_a_success(silence: World, rule: dict[str, Any]) -> None:
    silence.oracle.faults([{**rule, "count": 1}])
    body = text(on_doubt="hold")
    row = silence.comes_to(silence.post(body), "in_doubt", "sent", "failed", within_s=6)
    assert (row["state"], row["reason"]["code"], row["attempts"][0]["ref"]) == ("in_doubt", "lost_answer", None)
    assert silence.taken(body) == 1


DEEP = b"[" * 100_000 + b"]" * 100_000
SID = b'{"sid":"SM' + b"0" * 32 + b'","status":"queued"}'


def _whole(body: bytes, *lines: bytes) -> bytes:
    head = [b"HTTP/1.1 201 Created", b"Content-Type: application/json", *(lines or (b"Content-Length: %d" % len(body),))]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


BROKEN = {
    "truncated": _whole(SID, b"Content-Length: 500"),
    "two lengths": _whole(SID, b"Content-Length: 53", b"Content-Length: 2"),
    "length and chunks": _whole(b"35\r\n" + SID + b"\r\n0\r\n\r\n", b"Content-Length: 53", b"Transfer-Encoding: chunked"),
    "bad chunk": _whole(b"zz\r\n" + SID + b"\r\n0\r\n\r\n", b"Transfer-Encoding: chunked"),
    "endless head": b"HTTP/1.1 201 Created\r\nX: " + b"x" * 2**20 + b"\r\n\r\n",
    "not http": b"220 mail.example.com ESMTP\r\n",
    "nothing": b"",
    "interim only": b"HTTP/1.1 100 Continue\r\n\r\n",
    "deep": _whole(DEEP),
    "nan": _whole(b'{"sid": NaN}'),
    "sid is a list": _whole(b'{"sid": ["SM0"]}'),
    "sid is null": _whole(b'{"sid": null}'),
    "not utf-8": _whole(b'{"sid": "SM\xff\xfe"}'),
    "gzip": _whole(b"\x1f\x8b\x08\x00" + b"\x00" * 64, b"Content-Encoding: gzip", b"Content-Length: 68"),
    "array": _whole(b"[" + SID + b"]"),
    "header smuggling": b"HTTP/1.1 201 Created\r\nContent-Length : 53\r\n\r\n" + SID,
}


def test_no_broken_answer_is_taken_for_a_success_or_ends_the_process(start: Start) -> None:
    vendor = ScriptedVendor(lambda _: b"")
    world = start(lambda _: twilio_account(vendor.url, "main", receipts=False, timeout_s=2))
    try:
        for name, answer in BROKEN.items():
            vendor.script = lambda _, answer=answer: answer  # type: ignore[misc]
            row = world.comes_to(world.post(text(on_doubt="hold")), "in_doubt", "sent", "failed", within_s=6)
            assert row["state"] == "in_doubt", name
        assert len(vendor.requests) == len(BROKEN)
        assert world.house.process is not None
        assert world.house.process.child.poll() is None
    finally:
        vendor.stop()


def test_no_redirect_is_followed_and_no_cookie_is_kept(start: Start) -> None:
    # given four accounts whose vendor sends us elsewhere, each by another status, and one that works
    canary = ScriptedVendor(lambda _: _whole(SID))
    lines = f"Location: {canary.url}/x\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    vendors = [
        ScriptedVendor(lambda _, status=status: f"HTTP/1.1 {status} Go away\r\n{lines}".encode()) for status in (301, 302, 307, 308)
    ]
    names = ["first", "second", "third", "fourth"]
    redirecting = "".join(twilio_account(vendor.url, name) for vendor, name in zip(vendors, names, strict=True))
    world = start(lambda url: redirecting + twilio_account(url, "fifth", "b"))
    try:
        body = text()
        world.comes_to(world.post(body), "delivered")
        assert canary.requests == []
        assert [world.provider(name)["reason"] for name in names] == ["misconfigured"] * 4
        assert world.taken(body) == 1
        assert not any(b"cookie:" in request.lower() for vendor in vendors for request in vendor.requests)
    finally:
        for vendor in (*vendors, canary):
            vendor.stop()


# Misconfigured, rejected


def test_a_refused_key_opens_the_breaker_at_once_and_is_told(start: Start) -> None:
    world = start(lambda url: two(url) + twilio_account(url, "third", "c"), "")
    world.oracle.faults([fault("status", account=account("a"), status=401), fault("status", account=account("b"), status=403)])
    world.comes_to(world.post(text()), "delivered")
    world.all_come_to(world.post_all([text() for _ in range(30)]), "delivered")
    for name, letter in (("first", "a"), ("second", "b")):
        standing = world.provider(name)
        assert standing["breaker"] in {"open", "half_open"}
        assert standing["reason"] == "misconfigured"
        assert len(world.asked(account=account(letter))) <= 5  # the first, and probes
        assert f'"provider": "{name}"' in world.house.output()
        assert f'sendwright_breaker_state{{provider="{name}"}} 0.0' not in _metrics(world)
    assert world.provider("third")["breaker"] == "closed"


def _metrics(world: World) -> str:
    raw = world.house.api("GET", "/metrics")[1]
    return raw.decode() if isinstance(raw, bytes) else str(raw)


def test_a_lasting_misconfiguration_uses_up_no_tries(start: Start) -> None:
    world = start(one, "[retry]\nattempts_max = 2\nbase_s = 0.2\ncap_s = 0.3\n[breaker]\nprobe_s = 0.1\n")
    world.oracle.faults([fault("status", status=401)])
    message = world.post(text())
    wait_until(lambda: len(world.asked()) >= 4, 8, "it is probed")
    assert world.state(message) in {"queued", "sending"}
    world.oracle.faults([])
    world.comes_to(message, "delivered")


def test_a_refused_number_fails_with_its_reason_and_the_vendors_words(start: Start) -> None:
    world = start(two)
    message = world.post(text("+15005550001"))
    row = world.comes_to(message, "failed")
    assert row["reason"]["code"] == "invalid_address"
    assert "5550001" not in row["reason"]["detail"]
    assert [a["state"] for a in row["attempts"]] == ["rejected"]  # no other provider would think otherwise
    assert message in {dead["id"] for dead in world.house.pages("/v1/dead")}


def test_a_receipt_of_failure_starts_the_next_channel_once(steady: World) -> None:
    world = steady
    world.oracle.faults([], {"sequence": ["sent", "failed"], "duplicate": 8})
    emails = [f"fallback{n}@example.com" for n in range(10)]
    numbers = [text()["to"]["phone"] for _ in emails]
    said = {"content": {"title": "t", "body": "b"}, "channels": ["sms", "email"]}
    messages = world.post_all([{**said, "to": {"phone": p, "email": e}} for p, e in zip(numbers, emails, strict=True)])

    def by(channel: str, addresses: list[str]) -> list[str]:
        return sorted(row["to"] for row in world.asked(channel=channel) if row["to"] in addresses)

    wait_until(lambda: len(by("email", emails)) >= 10, 10, "all of them by email")
    time.sleep(0.5)
    assert (by("email", emails), by("sms", numbers)) == (sorted(emails), sorted(numbers))
    assert {tuple(a["channel"] for a in world.message(id_)["attempts"]) for id_ in messages} == {("sms", "email")}


# Switching, cancelling, times


def test_a_provider_that_is_switched_off_under_load_is_called_no_more(start: Start) -> None:
    world = start(lambda url: twilio_account(url, "main", concurrency=5), latency_ms=40)
    bodies = [text() for _ in range(250)]
    messages = world.post_all(bodies)
    wait_until(lambda: len(world.asked()) > 30, 5, "it is under way")
    status, standing = world.house.api("PATCH", "/v1/providers/main", {"enabled": False})
    answered = time.time()
    assert (status, standing["enabled"]) == (200, False)
    time.sleep(1.6)
    # then nothing was written later than a second after the answer, backlog or not
    assert [row for row in world.asked() if moment(row) > answered + 1.0] == []
    assert len(world.asked()) < len(bodies)
    waiting = text()
    bodies.append(waiting)
    messages.append(world.post(waiting))  # it is switched off, not gone: what is posted meanwhile waits
    # and switched on again it takes the rest, each once
    assert world.house.api("PATCH", "/v1/providers/main", {"enabled": None})[0] == 200
    world.all_come_to(messages, "delivered")
    assert sorted(row["to"] for row in world.asked(taken=True)) == sorted(body["to"]["phone"] for body in bodies)


def test_a_concurrency_that_was_switched_holds_from_the_start_of_the_next_run_and_until_it_is_taken_back(start: Start) -> None:
    world = start(lambda url: twilio_account(url, "main", concurrency=2), latency_ms=200)
    assert world.house.api("PATCH", "/v1/providers/main", {"concurrency": 12})[0] == 200
    world.house.kill()
    world.house.start()
    # when, then: of twelve places some are kept for what is more urgent
    world.all_come_to(world.post_all([text() for _ in range(60)]), "delivered")
    assert 2 < world.oracle.stats()["most_in_flight"] <= 12
    # and back to the file's word, once the last answer is out: a receipt may be there before it
    wait_until(lambda: world.oracle.stats()["in_flight"] == 0, 20, "all calls are over")
    assert world.house.api("PATCH", "/v1/providers/main", {"concurrency": None})[0] == 200
    assert call("POST", f"{world.oracle.url}/reset")[0] < 300
    world.all_come_to(world.post_all([text() for _ in range(10)]), "delivered")
    assert world.oracle.stats()["most_in_flight"] <= 2


def test_what_was_cancelled_never_reaches_the_provider_however_close_the_race(start: Start) -> None:
    world = start(lambda url: twilio_account(url, "main", concurrency=8), latency_ms=5)
    rng = random.Random(20261122)
    bodies = [text() for _ in range(300)]
    pauses = [rng.choice([0.0, 0.0, rng.uniform(0, 0.02), rng.uniform(0, 0.2)]) for _ in bodies]

    def race(body: dict[str, Any], pause_s: float) -> tuple[str, str]:
        message = world.post(body)
        time.sleep(pause_s)
        path = f"/v1/notifications/ntf_{message[4:36]}/cancel" if rng.random() < 0.5 else f"/v1/messages/{message}/cancel"
        status, answer = world.house.api("POST", path)
        if status == 404:
            return message, "unknown"  # a message's own id is known once it is planned
        assert sum(answer.values()) == 1, answer
        return message, next(name for name, count in answer.items() if count)

    with ThreadPoolExecutor(12) as pool:
        verdicts = list(pool.map(race, bodies, pauses))
    gone = [(body, message) for body, (message, said) in zip(bodies, verdicts, strict=True) if said in {"cancelled", "unplanned"}]
    rest = [(body, message) for body, (message, said) in zip(bodies, verdicts, strict=True) if said in {"too_late", "unknown"}]
    assert len(gone) > 10, "the race was never won"
    assert len(rest) > 10, "the race was never lost"
    world.all_come_to([message for _, message in rest], "delivered")
    world.all_come_to([message for _, message in gone], "cancelled")
    assert {world.taken(body) for body, _ in rest} == {1}
    assert {body["to"]["phone"] for body, _ in gone}.isdisjoint(row["to"] for row in world.asked())


def stamp(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def test_a_scheduled_message_leaves_when_its_time_has_come_and_not_when_it_was_cancelled(steady: World) -> None:
    world = steady
    planned = ("scheduled", "queued", "sending", "sent", "delivered")
    for wait_s in (2, 4, 8, 16):
        send_at = time.time() + wait_s
        body, called_off = text(send_at=stamp(wait_s)), text(send_at=stamp(wait_s))
        message, other = world.post(body), world.post(called_off)
        row, another = world.comes_to(message, *planned), world.comes_to(other, *planned)
        answer = world.house.api("POST", f"/v1/messages/{other}/cancel")[1]
        if time.time() < send_at:
            break  # a machine that stalled has come too late to see them wait
    assert (row["state"], another["state"], row["waiting_for"]["kind"]) == ("scheduled", "scheduled", "time")
    assert answer == {"cancelled": 1, "too_late": 0, "unplanned": 0}
    world.comes_to(message, "delivered", within_s=30)
    (asked,) = world.asked(to=body["to"]["phone"])
    assert moment(asked) >= send_at - 0.01
    assert world.asked(to=called_off["to"]["phone"]) == []
    assert world.state(other) == "cancelled"


def test_what_expires_while_its_provider_is_away_is_never_sent(start: Start) -> None:
    world = start(two)
    for name in ("first", "second"):
        world.house.api("PATCH", f"/v1/providers/{name}", {"rate": "1/h"})
    world.house.api("PATCH", "/v1/providers/second", {"enabled": False})
    world.comes_to(world.post(text()), "delivered")  # that was this hour's
    late, later = text(ttl="1s"), text(expires_at=stamp(1.5))
    counted_from_sending = text(ttl="2s", send_at=stamp(1))
    messages = world.post_all([late, later, counted_from_sending])
    world.all_come_to(messages, "expired", within_s=8)
    world.house.api("PATCH", "/v1/providers/first", {"rate": None})
    world.comes_to(world.post(text()), "delivered")
    assert [world.taken(body) for body in (late, later, counted_from_sending)] == [0, 0, 0]
    assert {row["reason"]["code"] for row in map(world.message, messages)} == {"expired"}
    assert world.message(messages[2])["attempts"] == []


def test_a_critical_message_is_not_slowed_by_a_hanging_provider_of_another_channel(start: Start) -> None:
    world = start(lambda url: twilio_account(url, "main") + sandbox_account(url, "box", ["email"], timeout_s=60))
    world.oracle.faults([{"do": "hang", "match": {"channel": "email"}}])
    emails = [{"to": {"email": f"a{n}@example.com"}, "content": {"body": "b"}, "on_doubt": "hold"} for n in range(400)]
    stuck = world.post_all(emails)
    wait_until(lambda: world.oracle.stats()["in_flight"] > 50, 20, "emails hang")
    message = world.post(text(priority="critical"))
    world.comes_to(message, "delivered", within_s=20)
    assert set(world.states(stuck[:20])) <= {"sending", "queued", "accepted"}
