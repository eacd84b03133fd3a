"""Callbacks under fire: a flood of forgeries, a store that can't write, one receipt fifty times at once, news of nobody."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from urllib.parse import urlencode

import pytest

from .faults import fill, injected, need_strace, small_disk
from .raw_http import ask, exchange, parsed
from .test_receipts import SECRET, _world, form, signature
from .world import Row, World, first_message, text

pytestmark = pytest.mark.slow

CANARY = "zanzibar-canary"
"""In every forgery; nobody may write it down."""
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
RANKS = {"sent": 0, "delivered": 1, "read": 2}

Parts = tuple[str, str, bytes, dict[str, str]]
"""Method, path, body and headers."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """As in test_receipts: nothing is reported by itself."""
    shared = _world(tmp_path_factory.mktemp("callbacks"))
    shared.house.start()
    yield shared
    shared.stop()


def receipt(world: World, attempt: str, status: str, *, provider: str = "main", letter: str = "a", ref: str = "SM0") -> Parts:
    """A callback as Twilio signs it."""
    path, fields = f"/v1/hooks/{provider}?a={attempt}", form(ref, status)
    signed = signature(f"token-of-{letter}", world.house.url + path, fields.items())
    return "POST", path, urlencode(fields).encode(), FORM | {"X-Twilio-Signature": signed}


def box_receipt(reference: str, state: str, ref: str = "sbx_0") -> Parts:
    """One by Standard Webhooks."""
    body, stamp = f'{{"id":"{ref}","reference":"{reference}","state":"{state}"}}'.encode(), str(int(time.time()))
    digest = hmac.new(base64.b64decode(SECRET), f"evt.{stamp}.".encode() + body, hashlib.sha256).digest()
    signed = {"webhook-id": "evt", "webhook-timestamp": stamp, "webhook-signature": "v1," + base64.b64encode(digest).decode()}
    return "POST", "/v1/hooks/box", body, {"Content-Type": "application/json"} | signed


def give(world: World, parts: Parts) -> int:
    method, path, body, headers = parts
    return ask(world.house.port, method, path, body, headers, key=None).status


def all_sent(world: World, count: int) -> dict[str, str]:
    """Messages that a provider took and reported nothing of: attempts by message."""
    messages = world.post_all([text() for _ in range(count)])
    world.all_come_to(messages, "sent")
    return {message: world.message(message)["attempts"][0]["id"] for message in messages}


def all_judged(world: World) -> None:
    """Receipts are taken in order: when this one has moved its message, those before it have been judged."""
    [(message, attempt)] = all_sent(world, 1).items()
    assert give(world, receipt(world, attempt, "delivered")) == 204
    world.comes_to(message, "delivered")


def events(row: Row) -> list[str]:
    return [entry["event"] for entry in row["timeline"]]


def forgeries(world: World, attempt: str) -> list[Parts]:
    """One of each kind, all about this attempt."""
    _, path, body, good = receipt(world, attempt, "failed")
    _, box, said, signed = box_receipt(attempt, "failed")
    foreign, turned = receipt(world, attempt, "failed", letter="b")[3], good["X-Twilio-Signature"][::-1]
    words, noise = body + b"&ErrorMessage=" + CANARY.encode(), CANARY.encode() + bytes(range(256)) * 4
    main = [(words, FORM), (words, good), (body, foreign), (noise, good), (b"&".join([CANARY.encode()] * 2000), good)]
    main += [(body, good | {"X-Twilio-Signature": turned}), (words, FORM | {"X-Twilio-Signature": CANARY * 200})]
    main += [(words, good | {"Content-Encoding": "gzip"}), (b"[" * 20_000 + noise, {"Content-Type": "application/json"})]
    boxes = [(noise + said, signed), (said, signed | {"webhook-signature": "v1,AAAA"}), (said, signed | {"webhook-timestamp": "1"})]
    kinds = [("POST", path, *parts) for parts in main] + [("POST", box, *parts) for parts in boxes]
    kinds += [("POST", path.replace("main", name), words, good) for name in ("other", CANARY, "main%2f..%2fother")]
    kinds += [("GET", path, b"", good | {"Request-Id": CANARY}), ("PUT", path, words, good)]
    return [*kinds, ("POST", f"{path}&{CANARY}=1", body, good)]


def oversized(attempt: str) -> list[bytes]:
    """Too long by what they say, by what they are, or without an end; and what is no HTTP at all."""
    head = f"POST /v1/hooks/main?a={attempt} HTTP/1.1\r\nHost: x\r\n".encode()
    much = (CANARY.encode() + b"&") * 70_000
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(much) + much + b"\r\n0\r\n\r\n"
    endless = head + b"X-Twilio-Signature: " + much[:70_000]
    return [head + b"Content-Length: 9999999999\r\n\r\n" + CANARY.encode(), chunked, endless, CANARY.encode() + b"\r\n\r\n" * 10]


def test_a_flood_of_forgeries_is_refused_and_hinders_nobody(world: World) -> None:
    # given two messages for each round of each line: one that a genuine receipt comes for, and one that only forgers know
    lines, rounds = 6, 24
    attempts = all_sent(world, 2 * lines * rounds)
    genuine, others = list(attempts)[: lines * rounds], list(attempts)[lines * rounds :]
    before = len(world.house.output())

    def pour(line: int) -> tuple[Counter[int], Counter[int]]:
        """Over one connection that is kept; statuses of what is forged, and of what is not."""
        forged, taken = Counter[int](), Counter[int]()
        connection = http.client.HTTPConnection("127.0.0.1", world.house.port, timeout=20)

        def say(parts: Parts) -> int:
            connection.request(*parts)
            answer = connection.getresponse()
            answer.read()
            return answer.status

        for message, other in zip(genuine[line::lines], others[line::lines], strict=True):
            forged.update(map(say, forgeries(world, attempts[message])))
            taken[say(receipt(world, attempts[message], "delivered"))] += 1
            forged.update(map(say, forgeries(world, attempts[other])[:6]))
        connection.close()
        forged.update(parsed(exchange(world.house.port, raw)).status for raw in oversized(attempts[others[line]]))
        return forged, taken

    # when they all pour at once, and somebody posts
    with ThreadPoolExecutor(lines) as pool:
        began, posted = time.monotonic(), []
        pouring = [pool.submit(pour, line) for line in range(lines)]
        while not all(future.done() for future in pouring):
            posted.append(world.house.api("POST", "/v1/notifications", text()))
            time.sleep(0.02)
        lasted_s = time.monotonic() - began
    # then each forgery is refused, for what it is, and each genuine receipt is taken
    forged, taken = (sum(counted, Counter[int]()) for counted in zip(*(future.result() for future in pouring), strict=True))
    assert forged.total() == lines * (24 * rounds + 4) > 3000
    assert set(forged) == {400, 401, 404, 405, 413, 431}
    assert taken == {204: lines * rounds}
    assert lasted_s < 100
    # and what is true comes true, and nothing else
    world.all_come_to(genuine, "delivered")
    all_judged(world)
    assert {events(world.message(message))[-1] for message in others} == {"message.sent"}
    assert len(posted) > 10
    assert {status for status, _ in posted} == {202}
    world.all_come_to([first_message(answer["id"]) for _, answer in posted], "sent")
    # and nobody wrote it down
    assert CANARY not in world.house.output() + ask(world.house.port, "GET", "/metrics").body.decode()
    assert len(world.house.output()) - before < 2000
    assert world.audit()["violations"] == []


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[World]:
    """A world to be broken, on a small disk of its own."""
    with small_disk(tmp_path / "data", 12):
        own = _world(tmp_path)
        own.house.start()
        yield own
        own.stop()


def test_a_receipt_that_can_not_be_kept_is_refused_and_taken_when_it_is_repeated(alone: World) -> None:
    need_strace()
    attempts = all_sent(alone, 10)
    receipts = [receipt(alone, attempt, "delivered") for attempt in attempts.values()]
    # when no write is let through, as on a file system that was remounted read-only, the vendor is told to come again
    with injected(alone.house, alone.folder, "pwrite64", "error=EROFS"):
        assert [give(alone, parts) for parts in receipts] == [503] * 10
    # and when it does, it is taken, and not before
    assert set(alone.states(attempts)) == {"sent"}
    assert [give(alone, parts) for parts in receipts] == [204] * 10
    alone.all_come_to(list(attempts), "delivered")
    assert {events(alone.message(message)).count("message.delivered") for message in attempts} == {1}
    assert (alone.audit()["violations"], alone.house.dead) == ([], False)


def test_what_a_full_disk_took_survives_a_death_and_what_it_refused_is_taken_again(alone: World) -> None:
    attempts = all_sent(alone, 100)
    # when the disk fills up while receipts come, and the process dies before there is room again
    filler = fill(alone.house.data)
    answered = {message: give(alone, receipt(alone, attempt, "delivered")) for message, attempt in attempts.items()}
    alone.house.kill()
    filler.unlink()
    alone.house.start()
    # then each that was taken is kept, and each other is taken now
    kept, refused = ([message for message in attempts if answered[message] == status] for status in (204, 503))
    assert (len(kept) + len(refused), len(refused) > 10) == (100, True)
    alone.all_come_to(kept, "delivered")
    assert set(alone.states(refused)) == {"sent"}
    assert {give(alone, receipt(alone, attempts[message], "delivered")) for message in refused} == {204}
    alone.all_come_to(refused, "delivered")
    assert alone.audit()["violations"] == []


def test_one_receipt_fifty_times_at_once_is_one_change(world: World) -> None:
    [(message, attempt)] = all_sent(world, 1).items()
    before, parts, gate = events(world.message(message)), receipt(world, attempt, "delivered"), Barrier(50)
    with ThreadPoolExecutor(50) as pool:
        assert list(pool.map(lambda _: (gate.wait(10), give(world, parts))[1], range(50))) == [204] * 50
    all_judged(world)
    assert events(world.comes_to(message, "delivered")) == [*before, "message.delivered"]


@pytest.mark.parametrize("order", list(itertools.permutations(RANKS)), ids="-".join)
def test_in_every_order_the_highest_shows_and_each_change_is_one_event(world: World, order: tuple[str, ...]) -> None:
    [(message, attempt)] = all_sent(world, 1).items()
    history, best = events(world.message(message)), "sent"
    for status in order:
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(give, [world] * 8, [receipt(world, attempt, status)] * 8)) == {204}
        history += [f"message.{status}"] if RANKS[status] > RANKS[best] else []
        best = max(best, status, key=RANKS.__getitem__)
        all_judged(world)
        row = world.comes_to(message, best)
        assert (events(row), row["attempts"][0]["state"]) == (history, best)


def test_receipts_of_nothing_that_is_the_providers_change_nothing(world: World) -> None:
    # given a text of one account, and an email of another
    [(message, attempt)] = all_sent(world, 1).items()
    mail = world.post({"to": {"email": "somebody@example.com"}, "content": {"body": "b"}})
    mail_attempt, mail_ref = (world.comes_to(mail, "sent")["attempts"][0][name] for name in ("id", "ref"))
    ref = world.message(message)["attempts"][0]["ref"]
    before = world.house.pages("/v1/messages"), world.message(message), world.message(mail)
    # when what is well signed speaks of what is not there, of another kind, or of somebody else's
    for own, word in itertools.product((attempt, mail_attempt), ("delivered", "failed")):
        names = ["att_" + "0" * len(own[4:]), own[:-1] + "9", own + "0", own[:-2], own.upper()]
        names += ["msg_" + own[4:], "msg_" + own[4:38], "ntf_" + own[4:36], ""]
        given = [parts for name in names for parts in (receipt(world, name, word), box_receipt(name, word))]
        given += [receipt(world, own, word, provider="other", letter="b", ref=theirs) for theirs in (ref, mail_ref)]
        given += [receipt(world, mail_attempt, word, ref=mail_ref), box_receipt(attempt, word, ref), box_receipt("", word, ref)]
        # then it is answered, and nothing changes
        assert {give(world, parts) for parts in given} <= {204, 400, 401, 404}
    all_judged(world)
    assert (world.house.pages("/v1/messages")[1:], world.message(message), world.message(mail)) == before
    assert (world.audit()["violations"], '"error"' in world.house.output()) == ([], False)
