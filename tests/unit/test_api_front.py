"""The short way of the hot call, byte for byte over a connection: the same answers as the long way, in order."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from sendwright.errors import StoreDown
from sendwright.web.api import front
from sendwright.web.api.app import build_served
from tests.unit.api_world import KEY, World

ORDER = {"to": {"phone": "+14155552671"}, "content": {"body": "hello"}}


class Wire(asyncio.Transport):
    """What the protocol writes, and whether it closed."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written = b""
        self.writes = 0
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)
        self.writes += 1

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Line:
    """A connection to the front of a world."""

    def __init__(self, world: World, beside: Line | None = None) -> None:
        app, front = build_served(world.services)
        config = uvicorn.Config(app, http=front, lifespan="off", log_config=None, server_header=False, date_header=False)
        config.load()
        self.wire = Wire()
        self.state = ServerState() if beside is None else beside.state
        self.protocol = front(config=config, server_state=self.state, app_state={})
        self.protocol.connection_made(self.wire)

    async def say(self, *pieces: bytes) -> bytes:
        for piece in pieces:
            self.protocol.data_received(piece)
        return await self.hear()

    async def hear(self) -> bytes:
        for _ in range(200):
            await asyncio.sleep(0)
        heard, self.wire.written = self.wire.written, b""
        return heard


def post(body: object = ORDER, *lines: str, path: str = "/v1/notifications", key: str = KEY) -> bytes:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"POST {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {key}", "Content-Type: application/json", *lines]
    return "\r\n".join([*head, f"Content-Length: {len(raw)}", "", ""]).encode() + raw


def parsed(answer: bytes) -> tuple[int, dict[str, str], Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines)
    return int(first.split()[1]), fields, json.loads(body) if body else None


def comparable(answer: bytes) -> tuple[int, dict[str, str], Any]:
    status, fields, body = parsed(answer)
    for name in ("request-id", "location", "content-length"):
        fields.pop(name, None)
    for name in ("id", "request_id"):
        (body or {}).pop(name, None)
    return status, fields, body


async def test_a_post_that_came_whole_is_answered_with_one_write() -> None:
    line = Line(World())
    status, fields, body = parsed(await line.say(post()))
    assert (status, body["state"], body["message_count"]) == (202, "accepted", 1)
    assert fields["location"] == f"/v1/notifications/{body['id']}"
    assert line.wire.writes == 1


@pytest.mark.parametrize(
    "request_",
    [
        post(),
        post({"to": [], "content": {}}),
        post(b"{nonsense"),
        post(ORDER, key="wrong"),
        post(ORDER, "Idempotency-Key: one"),
        post(ORDER, "Idempotency-Key: " + "k" * 300),
        post(ORDER, "Idempotency-Key: one", "Idempotency-Key: two"),
        post({"to": [], "content": {}}, "Idempotency-Key: " + "k" * 300, "Sendwright-Tenant: A B", path="/v1/notifications?x=1"),
        post(ORDER, "Sendwright-Tenant: acme"),
        post(ORDER, "Content-Type: text/plain"),
        post({**ORDER, "digest": {"key": "a"}}),
    ],
    ids=["right", "faults", "junk", "wrong-key", "keyed", "long-key", "two-keys", "many", "tenant", "two-types", "not-supported"],
)
async def test_the_short_way_answers_as_the_long_way_does(request_: bytes) -> None:
    short = await Line(World()).say(request_)
    head, _, body = request_.partition(b"\r\n\r\n")
    long = await Line(World()).say(head + b"\r\n\r\n", body)  # a body that comes late goes the ordinary way
    assert comparable(short) == comparable(long)


async def test_a_key_is_replayed_and_another_body_is_refused() -> None:
    line = Line(World())
    first = parsed(await line.say(post(ORDER, "Idempotency-Key: one")))
    again = parsed(await line.say(post(ORDER, "Idempotency-Key: one")))
    other = parsed(await line.say(post({**ORDER, "priority": "high"}, "Idempotency-Key: one")))
    assert again[2] == first[2]
    assert again[1]["idempotency-replayed"] == "true"
    assert other[0] == 422


async def test_what_could_not_be_made_durable_is_never_202() -> None:
    world = World()
    world.desk.fault = StoreDown("the disk is full")
    status, fields, body = parsed(await Line(world).say(post()))
    assert (status, body["may_be_accepted"], fields["retry-after"]) == (503, False, "1")


async def test_pipelined_calls_are_answered_in_their_order() -> None:
    line = Line(World())
    orders = [post({**ORDER, "metadata": {"n": str(n)}}, f"Request-Id: r{n}") for n in range(3)]
    between = b"GET /healthz HTTP/1.1\r\nHost: x\r\nRequest-Id: r-get\r\n\r\n"
    heard = await line.say(orders[0] + between + orders[1] + orders[2])
    assert [part.split(b"\r\n")[0].decode() for part in heard.split(b"request-id: ")[1:]] == ["r0", "r-get", "r1", "r2"]


async def test_a_body_in_pieces_is_read_to_its_end() -> None:
    raw = post()
    cut = len(raw) - 10
    status, _, _ = parsed(await Line(World()).say(raw[:40], raw[40:cut], raw[cut:]))
    assert status == 202


async def test_while_an_answer_is_owed_a_shutdown_waits_for_it_and_then_closes() -> None:
    line = Line(World())
    line.protocol.data_received(post())
    line.protocol.shutdown()
    assert not line.wire.closed
    _, fields, _ = parsed(await line.hear())
    assert fields["connection"] == "close"
    assert line.wire.closed


async def test_a_caller_who_hung_up_gets_nothing_and_breaks_nothing() -> None:
    world = World()
    line = Line(world)
    line.protocol.data_received(post())
    line.protocol.connection_lost(None)
    assert await line.hear() == b""
    assert len(world.desk.taken) == 1


async def test_a_call_that_asks_to_close_is_closed() -> None:
    line = Line(World())
    status, fields, _ = parsed(await line.say(post(ORDER, "Connection: close")))
    assert (status, fields["connection"]) == (202, "close")
    assert line.wire.closed


@pytest.mark.parametrize(
    "pieces",
    [
        [b"GET / HTTP/1.1\r\n", *[b"X: " + b"x" * 8192 + b"\r\n"] * 9],
        [b"GET / HTTP/1.1\r\nX: ", *[b"x" * 8192] * 9],
        [b"GET /", *[b"x" * 8192] * 9],
    ],
    ids=["many headers", "one header", "a path"],
)
async def test_a_head_without_an_end_is_cut_off(pieces: list[bytes]) -> None:
    line = Line(World())
    status, fields, body = parsed(await line.say(*pieces))
    assert (status, body["code"]) == (431, "head_too_large")
    assert body["request_id"] == fields["request-id"]
    assert line.wire.closed


async def test_a_large_body_is_no_large_head() -> None:
    line = Line(World())
    big = json.dumps(ORDER).encode() + b" " * (1 << 18)
    whole = post(big)
    pieces = [whole[start : start + 4096] for start in range(0, len(whole), 4096)]
    assert parsed(await line.say(*pieces))[0] == 202
    assert parsed(await line.say(post()))[0] == 202
    assert not line.wire.closed


async def test_a_head_that_does_not_come_in_time_is_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "HEAD_S", 0.001)
    done = Line(World())
    assert parsed(await done.say(post()))[0] == 202
    slow = Line(World())
    assert parsed(await slow.say(post()))[0] == 202
    slow.protocol.data_received(post()[:20])
    silent = Line(World())
    await asyncio.sleep(0.01)
    for line in (silent, slow):
        status, _, body = parsed(await line.hear())
        assert (status, body["code"]) == (408, "slow_head")
        assert line.wire.closed
    assert not done.wire.closed


NONSENSE = [
    b"\x16\x03\x01\x02\x00",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/1.1\r\nX : y\r\n\r\n",
    b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("junk", NONSENSE)
async def test_what_is_not_http_is_told_so_by_a_problem_document(junk: bytes) -> None:
    line = Line(World())
    status, fields, body = parsed(await line.say(junk))
    assert (status, fields["content-type"], body["code"]) == (400, "application/problem+json", "not_http")
    assert fields["x-content-type-options"] == "nosniff"
    assert line.wire.closed


async def test_an_answer_that_is_owed_comes_before_the_end_that_junk_behind_it_makes() -> None:
    line = Line(World())
    heard = await line.say(post() + b"GARBAGE\r\n\r\n")
    status, fields, _ = parsed(heard)
    assert (status, fields["connection"]) == (202, "close")
    assert line.wire.closed


async def test_a_body_that_breaks_off_into_nonsense_is_refused_at_once() -> None:
    line = Line(World())
    chunked = post().replace(b"Content-Length", b"Transfer-Encoding: chunked\r\nX").partition(b"\r\n\r\n")[0]
    heard = await line.say(chunked + b"\r\n\r\n5\r\n{    \r\n", b"zz\r\n")
    assert parsed(heard)[0] == 400
    assert line.wire.closed


H2C = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIAAAAB")


async def test_a_wish_for_another_protocol_is_ignored_and_the_body_read() -> None:
    world = World()
    line = Line(world)
    head, _, body = post(ORDER, *H2C).partition(b"\r\n\r\n")
    for pieces in (
        [head + b"\r\n\r\n" + body],
        [head + b"\r\n\r\n", body],
        [head[:90], head[90:] + b"\r\n\r\n" + body[:9], body[9:]],
    ):
        status, fields, _ = parsed(await line.say(*pieces))
        assert (status, "upgrade" in fields) == (202, False)
    assert parsed(await line.say(post()))[0] == 202
    assert [taken[2] for taken in world.desk.taken] == [body] * 4
    assert not line.wire.closed


async def test_a_body_in_chunks_is_read_though_another_protocol_was_wished_for() -> None:
    world = World()
    raw = json.dumps(ORDER).encode()
    head = post(b"", *H2C, "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
    assert parsed(await Line(world).say(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(raw), raw)))[0] == 202
    assert world.desk.taken[0][2] == raw


async def test_pipelined_wishes_for_another_protocol_are_answered_in_their_order() -> None:
    line = Line(World())
    get = b"GET /healthz HTTP/1.1\r\nHost: x\r\nRequest-Id: r-get\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    orders = [post(ORDER, f"Request-Id: r{n}", *H2C) for n in range(2)]
    heard = await line.say(orders[0] + get + orders[1] + post(ORDER, "Request-Id: r2"))
    assert [part.split(b"\r\n")[0].decode() for part in heard.split(b"request-id: ")[1:]] == ["r0", "r-get", "r1", "r2"]


async def test_a_wish_to_close_is_heard_beside_one_for_another_protocol() -> None:
    line = Line(World())
    status, fields, _ = parsed(await line.say(post(ORDER, "Connection: upgrade, close", "Upgrade: h2c")))
    assert (status, fields["connection"]) == (202, "close")
    assert line.wire.closed


CHUNKED = "Transfer-Encoding: chunked"


def chunked(body: bytes, *lines: str, trailers: bytes = b"", key: str = KEY) -> bytes:
    head = post(b"", CHUNKED, *lines, key=key).replace(b"Content-Length: 0\r\n", b"")
    return head + b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, trailers)


@pytest.mark.parametrize("pieces", [1, 2], ids=["at once", "behind the body"])
async def test_a_trailer_is_no_header(pieces: int) -> None:
    world = World()
    trailers = f"Authorization: Bearer {KEY}\r\nSendwright-Tenant: acme\r\nIdempotency-Key: one\r\nRequest-Id: mine\r\n".encode()
    keyed = chunked(json.dumps(ORDER).encode(), trailers=trailers)
    keyless = keyed.replace(b"Authorization", b"X-Nothing", 1)
    for raw, expected in ((keyless, 401), (keyed, 202), (keyed, 202)):
        cut = raw.index(b"0\r\nAuth") if pieces == 2 else len(raw)
        status, fields, _ = parsed(await Line(world).say(raw[:cut], raw[cut:]))
        assert (status, fields["request-id"] == "mine", "idempotency-replayed" in fields) == (expected, False, False)
    assert [taken[0] for taken in world.desk.taken] == ["default"] * 2


@pytest.mark.parametrize("key", [KEY, "wrong"])
@pytest.mark.parametrize("endless", [b"X: y\r\n" * 1300, b"x" * 8192], ids=["many", "one"])
async def test_trailers_without_an_end_are_cut_off(key: str, endless: bytes) -> None:
    world = World()
    line = Line(world)
    begun = chunked(b"{", key=key)[:-2]
    pieces = [begun, *[endless] * 12]
    for piece in pieces:
        line.protocol.data_received(piece)
    assert line.wire.closed
    heard = await line.hear()
    assert parsed(heard)[0] == 431
    assert not world.desk.taken


async def test_who_has_an_answer_gets_no_second_one_for_the_trailers_that_follow() -> None:
    line = Line(World())
    heard = await line.say(b"GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
    assert parsed(heard)[0] == 200
    assert await line.say(*[b"X: y\r\n" * 1300] * 12) == b""
    assert line.wire.closed


@pytest.mark.parametrize("rest", [b"", b"5\r\nhello\r\n", b"0\r\nX: y\r\n"], ids=["silence", "more", "a trailer"])
async def test_who_has_an_answer_and_does_not_end_the_request_is_closed_after_a_while(
    rest: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    get = b"GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    ended, unended = Line(World()), Line(World())
    assert parsed(await ended.say(get))[0] == 200
    ended.protocol.data_received(b"0\r\n\r\n")
    monkeypatch.setattr(front, "GRACE_S", 0.001)
    assert parsed(await unended.say(get, rest))[0] == 200
    await asyncio.sleep(0.01)
    assert (ended.wire.closed, unended.wire.closed) == (False, True)
    assert parsed(await ended.say(post()))[0] == 202


async def test_a_connection_rests_from_when_the_request_is_whole_though_it_was_answered_before() -> None:
    line = Line(World())
    line.protocol.timeout_keep_alive = 0
    await line.say(b"GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert not line.wire.closed
    line.protocol.data_received(b"0\r\n\r\n")
    await line.hear()
    assert line.wire.closed


@pytest.mark.parametrize("lines", [["gzip, chunked"], ["gzip", "chunked"], ["gzip"], ["identity"]])
async def test_a_body_in_a_coding_that_nobody_undoes_is_refused(lines: list[str]) -> None:
    world = World()
    raw = json.dumps(ORDER).encode()
    coded = "".join(f"Transfer-Encoding: {line}\r\n" for line in lines).encode()
    whole = chunked(raw).replace(f"{CHUNKED}\r\n".encode(), coded)
    line = Line(world)
    assert parsed(await line.say(post()))[0] == 202
    status, _, body = parsed(await line.say(whole))
    assert (status, body["code"], body["errors"][0]["header"]) == (501, "unknown_coding", "Transfer-Encoding")
    assert line.wire.closed
    assert len(world.desk.taken) == 1


async def test_what_an_older_client_says_is_read_without_a_host() -> None:
    line = Line(World())
    assert parsed(await line.say(b"GET /healthz HTTP/1.0\r\n\r\n"))[0] == 200
    assert line.wire.closed


async def test_who_finds_no_room_is_told_to_come_again_and_has_it_when_another_has_left() -> None:
    world = World(connections_max=lambda: 2)
    first = Line(world)
    second = Line(world, first)
    third = Line(world, first)
    status, fields, body = parsed(await third.say(post()))
    assert (status, body["code"], body["may_be_accepted"], fields["retry-after"]) == (503, "crowded", False, "1")
    assert third.wire.closed
    third.protocol.connection_lost(None)
    assert parsed(await second.say(post()))[0] == 202
    first.protocol.connection_lost(None)
    assert parsed(await Line(world, second).say(post()))[0] == 202


@pytest.mark.slow
async def test_whoever_asks_whether_we_live_is_told_in_a_crowd_too() -> None:
    world = World(connections_max=lambda: 1)
    first = Line(world)
    beyond = [Line(world, first) for _ in range(front.PROBES_MAX)]
    for probe in beyond[:2]:
        for path in ("/healthz", "/readyz"):
            assert parsed(await probe.say(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()))[0] == 200
    # but nothing else is, until there is room; and beyond a few, nobody is heard at all
    assert parsed(await beyond[0].say(post()))[0] == 503
    assert parsed(await Line(world, first).hear())[0] == 503
    assert world.desk.taken == []
    for line in [first, *beyond[2:]]:
        line.protocol.connection_lost(None)
