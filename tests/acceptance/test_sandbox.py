"""The sandbox over real sockets: both protocols, every fault, receipts, and what it noted of all that.

Signatures are checked by this file's own arithmetic, and the client is a plain socket, so that a mistake of the sandbox
can't be hidden by code that it shares with what it tests.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

from sendwright.sandbox.keys import SANDBOX_SECRET
from sendwright.sandbox.log import MessageLog
from sendwright.sandbox.options import SandboxOptions
from sendwright.sandbox.server import SandboxServer
from tests.conformance.steady_time import steady_time

SID = "AC" + "a" * 32
TWILIO = f"/2010-04-01/Accounts/{SID}/Messages"
BASIC = "Basic " + base64.b64encode(f"{SID}:the-auth-token".encode()).decode()
FORM = {"To": "+4915112345678", "From": "+15005550006", "Body": "Your code is 4711"}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.body.splitlines()]


@dataclass
class Client:
    """A socket per call, unless given one."""

    server: SandboxServer
    port: int

    async def raw(self, head: str, body: bytes = b"") -> bytes:
        """Everything that comes back until the other side closes. Raises ConnectionResetError for a reset."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(head.encode() + b"\r\n\r\n" + body)
            return await asyncio.wait_for(reader.read(), 20)
        finally:
            writer.close()

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        named = {"Host": "127.0.0.1", "Connection": "close", "Content-Length": str(len(body))}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = f"{method} {path} HTTP/1.1\r\n" + "\r\n".join(f"{k}: {v}" for k, v in named.items())
        return parsed(await self.raw(head, body))

    async def twilio(self, **fields: str) -> Answer:
        body = urlencode(FORM | fields).encode()
        kind = "application/x-www-form-urlencoded"
        return await self.ask("POST", TWILIO + ".json", body, Authorization=BASIC, Content_Type=kind)

    async def native(self, **fields: Any) -> Answer:
        said = {"channel": "sms", "to": "+4915112345678", "body": "hello", "idempotency_key": "k1", "reference": "att_1"} | fields
        return await self.ask("POST", "/v1/messages", json.dumps(said).encode(), Authorization="Bearer sandbox")

    async def faults(self, *rules: dict[str, Any], **receipts: Any) -> None:
        sheet: dict[str, Any] = {"rules": rules} | ({"receipts": receipts} if receipts else {})
        answer = await self.ask("PUT", "/faults", json.dumps(sheet).encode())
        assert answer.status == 200, answer.body

    async def log(self, query: str = "") -> list[dict[str, Any]]:
        return (await self.ask("GET", f"/log?{query}")).lines()

    async def stats(self) -> Any:
        return (await self.ask("GET", "/stats")).json()


def parsed(raw: bytes) -> Answer:
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(int(status.split()[1]), headers, body)


@asynccontextmanager
async def sandbox(log: MessageLog | None = None, **options: Any) -> AsyncIterator[Client]:
    server = SandboxServer(SandboxOptions(**options), log)
    port = await server.start()
    try:
        yield Client(server, port)
    finally:
        await server.stop()


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with sandbox(receipt_delay_ms=1) as made:
        yield made


@dataclass
class Call:
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Takes callbacks; answers with the next of `statuses`, then with 204."""

    statuses: list[int] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    connections: int = 0
    hold: asyncio.Event | None = None
    port: int = 0
    _more: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/hooks/x?a=att_1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                request, *lines = head.strip().split("\r\n")
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
                body = await reader.readexactly(int(headers["content-length"]))
                async with self._more:
                    self.calls.append(Call(request.split()[1], headers, body))
                    self._more.notify_all()
                if self.hold is not None:
                    await self.hold.wait()
                status = self.statuses.pop(0) if self.statuses else 204
                writer.write(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % status)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def until(self, count: int) -> list[Call]:
        async with self._more, asyncio.timeout(20):
            await self._more.wait_for(lambda: len(self.calls) >= count)
        return self.calls

    def states(self) -> list[str]:
        return [json.loads(call.body)["state"] for call in self.calls]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


async def settled(look: Callable[[], bool]) -> None:
    """Until something that another socket causes has become true."""
    async with asyncio.timeout(20):
        while not look():
            await asyncio.sleep(0.005)


# Twilio


async def test_twilio_message_is_taken_with_twilios_resource(client: Client) -> None:
    answer = await client.twilio(Body="Grüße & mehr + ☃", StatusCallback="http://127.0.0.1:9/hooks?b=1&a=att_77&c=2")

    made = answer.json()
    assert (answer.status, made["status"], made["account_sid"]) == (201, "queued", SID)
    assert (made["to"], made["from"], made["body"]) == ("+4915112345678", "+15005550006", "Grüße & mehr + ☃")
    assert (made["num_segments"], made["num_media"], made["messaging_service_sid"]) == ("1", "0", None)
    assert made["sid"].startswith("SM")
    assert len(made["sid"]) == 34
    [line] = await client.log()
    assert (line["verdict"], line["taken"], line["status"], line["ref"]) == ("taken", True, 201, made["sid"])
    assert (line["reference"], line["kind"], line["account"], line["body"]) == ("att_77", "twilio", SID, "Grüße & mehr + ☃")


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"To": "+1555"}, 400, 21211),
        ({"To": "+15005550001"}, 400, 21211),
        ({"To": "not a number"}, 400, 21211),
        ({"To": ""}, 400, 21604),
        ({"From": ""}, 400, 21603),
        ({"Body": ""}, 400, 21602),
        ({"Body": "x" * 1601}, 400, 21617),
        ({"To": "+15005550004"}, 400, 21610),
        ({"To": "+15005550009"}, 400, 21614),
        ({"From": "+15005550008"}, 429, 21611),
        ({"StatusCallback": "ftp://127.0.0.1/"}, 400, 21609),
        ({"StatusCallback": "http://our_host.example/"}, 400, 21609),
        ({"ValidityPeriod": "36001"}, 400, 21624),
        ({"ValidityPeriod": "0"}, 400, 21624),
        ({"ValidityPeriod": "soon"}, 400, 21624),
        ({"StatusCallback": "http://127.0.0.1/\r\nX-Evil: 1"}, 400, 21609),
    ],
)
async def test_twilio_refuses_with_twilios_codes_and_takes_nothing(
    client: Client, fields: dict[str, str], status: int, code: int
) -> None:
    answer = await client.twilio(**fields)

    assert (answer.status, answer.json()["status"], answer.json()["code"]) == (status, status, code)
    assert answer.json()["more_info"].endswith(f"/{code}")
    stats = await client.stats()
    assert (stats["taken"], stats["by_verdict"]) == (0, {"refused": 1})


@pytest.mark.parametrize(("count", "status"), [(10, 201), (11, 400)])
async def test_twilio_takes_ten_media(client: Client, count: int, status: int) -> None:
    form = [*FORM.items(), *[("MediaUrl", f"https://example.com/{number}.png") for number in range(count)]]
    answer = await client.ask("POST", TWILIO + ".json", urlencode(form).encode(), Authorization=BASIC)
    assert (answer.status, answer.json().get("code")) == (status, None if status == 201 else 21623)


async def test_twilio_takes_a_validity_period_of_ten_hours(client: Client) -> None:
    assert (await client.twilio(ValidityPeriod="36000")).status == 201


@pytest.mark.parametrize(
    "credentials", ["", "Basic ", "Basic Og==", "Basic %%%", "Bearer x", "Basic " + base64.b64encode(b"AC:").decode()]
)
async def test_twilio_without_credentials_is_401_with_20003(client: Client, credentials: str) -> None:
    answer = await client.ask("POST", TWILIO + ".json", urlencode(FORM).encode(), Authorization=credentials)

    assert (answer.status, answer.json()["code"]) == (401, 20003)
    assert answer.headers["www-authenticate"].startswith("Basic")


async def test_named_credentials_let_in_nobody_else() -> None:
    async with sandbox(credentials={SID: "another-token"}) as client:
        wrong = await client.twilio()
    async with sandbox(credentials={SID: "the-auth-token"}) as client:
        right = await client.twilio()

    assert (wrong.status, right.status) == (401, 201)


async def test_twilio_message_is_fetched_by_its_account_alone(client: Client) -> None:
    sid = (await client.twilio()).json()["sid"]
    await client.faults(sequence=[])

    mine = await client.ask("GET", f"{TWILIO}/{sid}.json", Authorization=BASIC)
    other = await client.ask("GET", f"/2010-04-01/Accounts/AC{'b' * 32}/Messages/{sid}.json", Authorization=BASIC)
    unknown = await client.ask("GET", f"{TWILIO}/SM{'0' * 32}.json", Authorization=BASIC)
    nobody = await client.ask("GET", f"{TWILIO}/{sid}.json")

    assert (mine.status, mine.json()["sid"], mine.json()["body"]) == (200, sid, FORM["Body"])
    assert (other.status, unknown.json()["code"], nobody.status) == (404, 20404, 401)


async def test_fetched_message_has_come_to_what_its_receipts_say(client: Client) -> None:
    await client.faults(sequence=["sent", "failed"], delay_ms=0)
    sid = (await client.twilio()).json()["sid"]

    made = (await client.ask("GET", f"{TWILIO}/{sid}.json", Authorization=BASIC)).json()

    assert (made["status"], made["error_code"]) == ("undelivered", 30003)


async def test_twilio_callbacks_are_form_posts_signed_with_the_token_of_the_request(client: Client, receiver: Receiver) -> None:
    sid = (await client.twilio(StatusCallback=receiver.url)).json()["sid"]

    calls = await receiver.until(2)

    forms = [dict(parse_qsl(call.body.decode())) for call in calls]
    assert [form["MessageStatus"] for form in forms] == ["sent", "delivered"]
    for call, form in zip(calls, forms, strict=True):
        assert call.target == "/v1/hooks/x?a=att_1"
        assert (form["MessageSid"], form["SmsSid"], form["AccountSid"]) == (sid, sid, SID)
        assert (form["To"], form["From"]) == (FORM["To"], FORM["From"])
        signed = receiver.url + "".join(k + form[k] for k in sorted(form))
        expected = base64.b64encode(hmac.new(b"the-auth-token", signed.encode(), hashlib.sha1).digest()).decode()
        assert call.headers["x-twilio-signature"] == expected


async def test_failed_twilio_message_is_reported_undelivered_with_a_code(client: Client, receiver: Receiver) -> None:
    await client.faults(sequence=["sent", "delivered"], fail_share=1, delay_ms=1)
    await client.twilio(StatusCallback=receiver.url)

    last = dict(parse_qsl((await receiver.until(2))[1].body.decode()))

    assert (last["MessageStatus"], last["ErrorCode"]) == ("undelivered", "30003")


# The sandbox's own protocol


async def test_native_message_is_taken_with_an_id(client: Client) -> None:
    media = [{"url": "https://example.com/a.png", "content_type": "image/png"}]
    answer = await client.native(
        title="Hi", html="<p>hello</p>", url="https://example.com", media=media, **{"from": "me"}, ttl_s=60
    )

    assert answer.status == 202
    assert answer.json()["id"].startswith("sbx_")
    [line] = await client.log()
    assert (line["ref"], line["reference"], line["idempotency_key"]) == (answer.json()["id"], "att_1", "k1")
    assert (line["channel"], line["from"], line["media"]) == ("sms", "me", ["https://example.com/a.png"])


async def test_repeated_key_answers_the_first_id_and_is_not_a_second_message(client: Client) -> None:
    first = await client.native()
    again = await client.native(body="other words")
    other = await client.native(idempotency_key="k2")

    assert again.json() == first.json()
    assert (again.headers.get("idempotency-replayed"), first.headers.get("idempotency-replayed")) == ("true", None)
    assert other.json() != first.json()
    stats = await client.stats()
    assert (stats["taken"], stats["by_verdict"]) == (2, {"taken": 2, "replayed": 1})


async def test_key_of_a_lost_answer_is_recognised_and_of_a_refused_one_is_not(client: Client) -> None:
    await client.faults({"do": "reset_after", "count": 1})
    with pytest.raises(ConnectionResetError):
        await client.native(idempotency_key="lost")
    replay = await client.native(idempotency_key="lost")
    await client.faults({"do": "status", "status": 503, "count": 1})
    await client.native(idempotency_key="refused")
    taken = await client.native(idempotency_key="refused")

    lines = await client.log()
    assert (replay.json()["id"], replay.headers["idempotency-replayed"]) == (lines[0]["ref"], "true")
    assert (taken.status, taken.headers.get("idempotency-replayed")) == (202, None)
    assert [(line["verdict"], line["taken"]) for line in lines] == [
        ("reset_after", True),
        ("replayed", False),
        ("refused", False),
        ("taken", True),
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"\xff", 400),
        (b'{"channel":"sms"}', 422),
        (json.dumps({"channel": "sms", "to": "x", "body": "", "idempotency_key": "", "reference": "r"}).encode(), 422),
        (json.dumps({"channel": "sms", "to": "x", "body": "", "idempotency_key": "k", "reference": "r", "extra": 1}).encode(), 422),
    ],
)
async def test_native_refuses_what_is_not_its_protocol(client: Client, body: bytes, status: int) -> None:
    answer = await client.ask("POST", "/v1/messages", body, Authorization="Bearer sandbox")

    assert (answer.status, answer.json()["status"]) == (status, status)
    assert (await client.stats())["by_verdict"] == {"refused": 1}


async def test_token_is_needed_and_never_noted(client: Client, tmp_path: Path) -> None:
    log = MessageLog(tmp_path / "log")
    async with sandbox(log) as noted:
        said = {"channel": "sms", "to": "x", "body": "", "idempotency_key": "k", "reference": "r"}
        bare = await noted.ask("POST", "/v1/messages", json.dumps(said).encode())
        secret = await noted.ask("POST", "/v1/messages", json.dumps(said).encode(), Authorization="Bearer canary-8281")
        await noted.twilio()
        shown = (await noted.ask("GET", "/log")).body + (await noted.ask("GET", "/")).body

    assert (bare.status, secret.status) == (401, 202)
    for canary in (b"canary-8281", b"the-auth-token"):
        assert canary not in shown + (tmp_path / "log").read_bytes()


async def test_native_callbacks_are_signed_by_standard_webhooks(client: Client, receiver: Receiver) -> None:
    taken = (await client.native(callback_url=receiver.url)).json()["id"]

    calls = await receiver.until(2)

    key = base64.b64decode(SANDBOX_SECRET.removeprefix("whsec_"))
    assert key == b"sendwright-sandbox-secret!"
    for call, state in zip(calls, ("sent", "delivered"), strict=True):
        signed = f"{call.headers['webhook-id']}.{call.headers['webhook-timestamp']}.".encode() + call.body
        expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert call.headers["webhook-signature"] == expected
        report = json.loads(call.body)
        assert (report["id"], report["reference"], report["state"]) == (taken, "att_1", state)
        assert "at" in report
    assert calls[0].headers["webhook-id"] != calls[1].headers["webhook-id"]


async def test_opted_out_address_is_refused_by_both_protocols() -> None:
    async with sandbox(opted_out=("+4915112345678",)) as client:
        twilio, native = await client.twilio(), await client.native()

    assert (twilio.json()["code"], native.status, native.json()["code"]) == (21610, 422, "opted_out")


# Receipts that misbehave


async def test_early_receipt_is_answered_before_the_message_is(client: Client, receiver: Receiver) -> None:
    receiver.hold = asyncio.Event()
    await client.faults(sequence=["sent"], early=True, delay_ms=0)

    answer = asyncio.create_task(client.native(callback_url=receiver.url))
    await receiver.until(1)
    waits = not answer.done()
    receiver.hold.set()

    assert waits
    assert (await answer).status == 202
    assert (await client.log())[0]["receipts"][0]["answer"] == 204


async def test_message_whose_answer_is_lost_is_still_reported(client: Client, receiver: Receiver) -> None:
    await client.faults({"do": "reset_after"}, sequence=["delivered"], delay_ms=1)
    with pytest.raises(ConnectionResetError):
        await client.native(callback_url=receiver.url)

    await receiver.until(1)

    assert receiver.states() == ["delivered"]


async def test_duplicate_receipts_are_the_same_bytes_forty_six_times(client: Client, receiver: Receiver) -> None:
    await client.faults(sequence=["delivered"], duplicate=46, delay_ms=1)
    await client.native(callback_url=receiver.url)

    calls = await receiver.until(46)
    await settled(lambda: client.server.desk.receipts.queued == 0)

    assert len({(call.body, call.headers["webhook-id"]) for call in calls}) == 1
    assert (await client.stats())["receipts"] == {"posted": 46, "answered": 46, "queued": 0}


async def test_out_of_order_receipts_come_backwards(client: Client, receiver: Receiver) -> None:
    await client.faults(sequence=["sent", "delivered", "read"], out_of_order=True, delay_ms=1)
    await client.native(callback_url=receiver.url)

    await receiver.until(3)

    assert receiver.states() == ["read", "delivered", "sent"]


async def test_dropped_receipts_are_noted_and_never_posted(client: Client, receiver: Receiver) -> None:
    await client.faults(sequence=["sent", "delivered"], drop_share=1, delay_ms=1)
    await client.native(callback_url=receiver.url)

    await settled(lambda: client.server.desk.receipts.queued == 0)

    assert receiver.calls == []
    assert (await client.stats())["receipts"] == {"dropped": 2, "queued": 0}


async def test_refused_callback_is_tried_again_until_it_is_taken(client: Client, receiver: Receiver) -> None:
    receiver.statuses = [503]
    await client.faults(sequence=["delivered"], delay_ms=1)
    await client.native(callback_url=receiver.url)

    calls = await receiver.until(2)
    await settled(lambda: client.server.desk.receipts.queued == 0)

    assert calls[0].body == calls[1].body
    assert (await client.log())[0]["receipts"][0]["answer"] == 204


async def test_callbacks_share_kept_connections(client: Client, receiver: Receiver) -> None:
    await client.faults(sequence=["sent", "delivered", "read"], delay_ms=1)
    for number in range(3):
        await client.native(callback_url=receiver.url, idempotency_key=f"k{number}")
        await receiver.until(3 * (number + 1))

    assert receiver.connections < 9


async def test_foreign_host_is_not_called_back_unless_it_is_listed(client: Client) -> None:
    await client.native(callback_url="http://192.0.2.1/hook")

    [line] = await client.log()
    assert line["taken"] is True
    assert "not allowed" in line["receipts"][0]["note"]
    assert (await client.stats())["receipts"] == {"not_allowed": 1, "queued": 0}


async def test_reset_stops_the_receipts_of_what_came_before(steady: None, client: Client, receiver: Receiver) -> None:
    await client.faults(sequence=["sent"], delay_ms=150)
    await client.native(callback_url=receiver.url, reference="before")
    await client.ask("POST", "/reset")
    await client.faults(sequence=["sent"], delay_ms=200)
    await client.native(callback_url=receiver.url, reference="after")

    calls = await receiver.until(1)

    assert [json.loads(call.body)["reference"] for call in calls] == ["after"]


# Faults


async def test_reset_before_is_a_reset_and_takes_nothing(client: Client) -> None:
    await client.faults({"do": "reset_before"})
    with pytest.raises(ConnectionResetError):
        await client.twilio()

    [line] = await client.log()
    assert (line["verdict"], line["taken"], line["status"]) == ("reset_before", False, None)


async def test_reset_after_is_a_reset_of_a_message_that_was_taken(client: Client) -> None:
    await client.faults({"do": "reset_after"})
    with pytest.raises(ConnectionResetError):
        await client.twilio()

    [line] = await client.log()
    assert (line["verdict"], line["taken"], line["status"]) == ("reset_after", True, None)
    assert (await client.stats())["in_flight"] == 0


@pytest.mark.parametrize("taken", [True, False])
async def test_hang_never_answers_and_takes_as_told(client: Client, taken: bool) -> None:
    await client.faults({"do": "hang", "taken": taken})
    call = asyncio.create_task(client.native())
    await settled(lambda: client.server.log.stats().requests == 1)
    in_flight = (await client.stats())["in_flight"]
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await settled(lambda: client.server.log.stats().in_flight == 0)

    [line] = await client.log()
    assert in_flight == 1
    assert (line["verdict"], line["taken"], line["status"]) == ("hang", taken, None)


async def test_status_answers_in_the_vendors_words_with_the_retry_after_given(client: Client) -> None:
    await client.faults({"do": "status", "status": 429, "retry_after": "120.6"})

    twilio, native = await client.twilio(), await client.native()

    assert (twilio.status, twilio.json()["code"], twilio.headers["retry-after"]) == (429, 20429, "120.6")
    assert (native.status, native.json()["status"], native.headers["retry-after"]) == (429, 429, "120.6")
    assert (await client.stats())["by_verdict"] == {"refused": 2}


async def test_status_may_lie_about_a_message_that_was_taken(client: Client) -> None:
    await client.faults({"do": "status", "status": 502, "taken": True})

    answer = await client.native()

    [line] = await client.log()
    assert (answer.status, line["verdict"], line["taken"]) == (502, "status", True)


async def test_unreadable_answers_are_what_they_are_called(client: Client) -> None:
    answers = {}
    for deed in ("malformed", "empty", "html"):
        await client.faults({"do": deed})
        answers[deed] = await client.twilio()

    assert (answers["malformed"].status, answers["empty"].status, answers["html"].status) == (201, 201, 200)
    with pytest.raises(ValueError):
        answers["malformed"].json()
    assert answers["empty"].body == b""
    assert answers["html"].body.startswith(b"<!doctype html>")
    assert [(line["verdict"], line["taken"]) for line in await client.log()] == [(d, True) for d in answers]


async def test_drip_is_the_whole_answer_in_single_bytes(client: Client) -> None:
    await client.faults({"do": "drip", "every_ms": 1})
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    body = json.dumps({"channel": "sms", "to": "x", "body": "b", "idempotency_key": "k", "reference": "r"}).encode()
    head = f"POST /v1/messages HTTP/1.1\r\nAuthorization: Bearer x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    pieces = []
    async with asyncio.timeout(20):
        while piece := await reader.read(65_536):
            pieces.append(piece)
    writer.close()

    assert parsed(b"".join(pieces)).json()["id"].startswith("sbx_")
    assert len(pieces) > 20


async def test_oversize_is_as_large_as_told(client: Client) -> None:
    await client.faults({"do": "oversize", "size_bytes": 3_000_000})

    answer = await client.native()

    assert (answer.status, len(answer.body), len(answer.json())) == (202, 3_000_000, 2_999_998)


async def test_caller_that_leaves_in_the_middle_of_an_oversize_answer_is_let_go(client: Client) -> None:
    await client.faults({"do": "oversize", "size_bytes": 2**28})
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    body = json.dumps({"channel": "sms", "to": "x", "body": "b", "idempotency_key": "k", "reference": "r"}).encode()
    writer.write(f"POST /v1/messages HTTP/1.1\r\nAuthorization: Bearer x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    await reader.readexactly(100)
    writer.transport.abort()

    await settled(lambda: client.server.log.stats().in_flight == 0)

    assert not client.server.connections


async def test_rules_meet_only_whom_they_name_and_end_with_their_count(client: Client) -> None:
    await client.faults(
        {"do": "status", "status": 503, "count": 2, "match": {"kind": "sandbox", "channel": "sms", "to_prefix": "+49"}}
    )

    unmet = [await client.twilio(), await client.native(to="+331", idempotency_key="a"), await client.native(channel="push")]
    met = [(await client.native(idempotency_key=key)).status for key in ("b", "c", "d")]

    assert [answer.status for answer in unmet] == [201, 202, 202]
    assert met == [503, 503, 202]
    assert (await client.ask("GET", "/faults")).json()["rules"] == []


async def test_share_draws_the_same_with_the_same_seed() -> None:
    drawn = []
    for _ in range(2):
        async with sandbox(seed=7, receipts=False) as client:
            await client.faults({"do": "status", "share": 0.3})
            drawn.append([(await client.native(idempotency_key=str(n))).status for n in range(40)])

    assert drawn[0] == drawn[1]
    assert 0 < drawn[0].count(503) < 40


@pytest.mark.parametrize(
    "sheet",
    [
        {"rules": [{"do": "explode"}]},
        {"rules": [{"do": "status", "share": 1.5}]},
        {"rules": [{"do": "status", "retry_after": "1\r\nX: y"}]},
        {"rules": [{"do": "reset_before", "taken": True}]},
        {"receipts": {"duplicate": 47}},
        {"unknown": 1},
    ],
)
async def test_faults_that_make_no_sense_are_refused_and_change_nothing(client: Client, sheet: dict[str, Any]) -> None:
    await client.faults({"do": "status"})
    before = (await client.ask("GET", "/faults")).json()

    answer = await client.ask("PUT", "/faults", json.dumps(sheet).encode())

    assert answer.status == 422
    assert (await client.ask("GET", "/faults")).json() == before


# What it noted


@pytest.fixture
async def steady() -> AsyncIterator[None]:
    """Sandbox and test share one loop: a machine that stalls makes nobody late."""
    async with steady_time():
        yield


async def test_counters_are_true_under_two_hundred_at_a_time(steady: None, client: Client) -> None:
    await client.faults({"do": "latency", "latency_ms": 1500})
    calls = [asyncio.create_task(client.native(idempotency_key=str(number % 150), reference=str(number))) for number in range(200)]
    await settled(lambda: client.server.log.stats().requests == 200)
    during = await client.stats()
    answers = await asyncio.gather(*calls)
    after = await client.stats()

    assert (during["in_flight"], during["most_in_flight"]) == (200, 200)
    assert (after["in_flight"], after["most_in_flight"], after["requests"]) == (0, 200, 200)
    assert (after["taken"], after["by_verdict"]) == (150, {"taken": 150, "replayed": 50})
    assert len({answer.json()["id"] for answer in answers}) == 150


async def test_log_is_read_on_from_a_number(client: Client) -> None:
    for number in range(5):
        await client.native(idempotency_key=str(number))

    assert [line["seq"] for line in await client.log("after=2")] == [3, 4, 5]
    assert [line["seq"] for line in await client.log("after=1&limit=2")] == [2, 3]
    assert [line["seq"] for line in await client.log("newest=2")] == [4, 5]
    assert await client.log("after=5") == []
    assert (await client.ask("GET", "/log?after=-1")).status == 422


async def test_reset_forgets_everything_but_the_numbering(client: Client) -> None:
    await client.faults({"do": "status", "match": {"kind": "twilio"}})
    first = await client.native()
    await client.ask("POST", "/reset")

    again = await client.native()
    stats = await client.stats()

    assert again.json() != first.json()
    assert (stats["taken"], stats["requests"], stats["first_seq"]) == (1, 1, 2)
    assert (await client.ask("GET", "/faults")).json()["rules"] == []


async def test_message_whose_line_can_not_be_written_is_not_taken(tmp_path: Path) -> None:
    log = MessageLog(tmp_path / "log")
    async with sandbox(log) as client:
        full = os.open("/dev/full", os.O_WRONLY)
        real, log._file = log._file, full
        refused = await client.native()
        log._file = real
        os.close(full)
        taken = await client.native()
        stats = await client.stats()

    assert (refused.status, taken.status) == (500, 202)
    assert taken.headers.get("idempotency-replayed") is None
    assert (stats["requests"], stats["in_flight"]) == (1, 0)


STANDALONE = """
import asyncio, sys
from sendwright.sandbox.options import SandboxOptions
from sendwright.sandbox.run import run
options = SandboxOptions(port=0, log_path=sys.argv[1], receipt_delay_ms=1)
with asyncio.Runner(loop_factory=__import__(sys.argv[2]).new_event_loop) as runner:
    runner.run(run(options, ready=lambda address: print(address, flush=True)))
"""


def standalone(path: Path, loop: str) -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen([sys.executable, "-c", STANDALONE, str(path), loop], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline().rsplit(":", 1)[1])


async def test_line_of_an_answered_message_survives_kill_9_and_numbers_go_on(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for expected in (1, 2):
        process, port = standalone(path, "asyncio")
        answer = await Client(None, port).native()  # type: ignore[arg-type]
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()
        last = json.loads(path.read_bytes().splitlines()[-1])
        assert (last["seq"], last["ref"], last["taken"]) == (expected, answer.json()["id"], True)


async def test_faults_and_receipts_are_as_real_under_uvloop(tmp_path: Path, receiver: Receiver) -> None:
    process, port = standalone(tmp_path / "log", "uvloop")
    client = Client(None, port)  # type: ignore[arg-type]
    try:
        taken = await client.native(callback_url=receiver.url)
        await receiver.until(2)
        for deed in ("reset_before", "reset_after"):
            await client.faults({"do": deed})
            with pytest.raises(ConnectionResetError):
                await client.native(idempotency_key=deed)
        await client.faults({"do": "oversize", "size_bytes": 3_000_000})
        large = await client.native(idempotency_key="large")
    finally:
        process.kill()
        process.communicate()

    assert (taken.status, receiver.states(), len(large.body)) == (202, ["sent", "delivered"], 3_000_000)


async def test_cancelled_sandbox_finishes_the_answer_in_hand() -> None:
    async with sandbox(latency_ms=200) as client:
        call = asyncio.create_task(client.native())
        await settled(lambda: client.server.log.stats().in_flight == 1)
        await client.server.stop()
        answer = await call

    assert (answer.status, answer.headers["connection"]) == (202, "close")


# HTTP


async def test_connection_is_kept_for_the_next_request_and_bodies_may_come_in_chunks(client: Client) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    body = json.dumps({"channel": "sms", "to": "x", "body": "b", "idempotency_key": "k", "reference": "r"}).encode()
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[:20], body[20:])) + b"0\r\n\r\n"
    head = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\nTransfer-Encoding: chunked\r\n\r\n"
    statuses = []
    for _ in range(2):
        writer.write(head + chunked)
        answer = await asyncio.wait_for(reader.readuntil(b"}"), 10)
        statuses.append(int(answer.split()[1]))
    writer.close()

    assert statuses == [202, 202]
    assert (await client.stats())["by_verdict"] == {"taken": 1, "replayed": 1}


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"POST /v1/messages HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /v1/messages HTTP/1.1\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 1_100_000, 413),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", 431),
        (b"DELETE /v1/messages HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 405),
        (b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
    ],
)
async def test_bad_requests_are_refused_and_the_connection_ends(client: Client, request_bytes: bytes, status: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(request_bytes)
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    writer.close()

    assert int(answer.split()[1]) == status
    assert (await client.stats())["requests"] == 0


async def test_failure_of_the_sandbox_itself_is_not_taken_for_the_callers(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(client.server.desk, "_treat", fails)
    answer = await client.native()

    assert answer.status == 500
    assert "ZeroDivisionError" in caplog.text
    assert (await client.stats())["in_flight"] == 0


# The page


async def test_page_shows_content_as_text_whatever_it_holds(client: Client) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
    await client.native(
        to=evil, body=evil, title=evil, url=evil, channel=evil, reference=evil, media=[evil], idempotency_key="x", **{"from": evil}
    )
    await client.faults({"do": "status", "match": {"to_prefix": evil}})

    for path in ("/", "/fragment"):
        page = (await client.ask("GET", path)).body.decode()
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert 'title="<' not in page


async def test_page_allows_no_inline_script_and_its_parts_are_served(client: Client) -> None:
    page = await client.ask("GET", "/")

    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert (page.headers["x-content-type-options"], page.headers["cache-control"]) == ("nosniff", "no-store")
    assert "<script>" not in page.body.decode()
    for part, kind in (("/page.js", "text/javascript"), ("/page.css", "text/css")):
        assert part in page.body.decode()
        assert (await client.ask("GET", part)).headers["content-type"] == kind


async def test_page_shows_the_newest_fifty_of_thousands(client: Client) -> None:
    for number in range(3000):
        client.server.desk.handle(
            _request(
                json.dumps({"channel": "sms", "to": "x", "body": f"n{number}.", "idempotency_key": str(number), "reference": "r"})
            )
        )

    page = (await client.ask("GET", "/fragment")).body.decode()

    assert page.count('class="bubble"') == 50
    assert "n2999." in page
    assert "n2949." not in page


def _request(body: str) -> Any:
    from sendwright.sandbox.wire import Request

    return Request("POST", "/v1/messages", "", {b"authorization": b"Bearer x"}, body.encode())


async def test_part_of_the_page_is_sent_again_only_when_it_changed(client: Client) -> None:
    first = await client.ask("GET", "/fragment")
    same = await client.ask("GET", "/fragment", If_None_Match=first.headers["etag"])
    await client.native()
    other = await client.ask("GET", "/fragment", If_None_Match=first.headers["etag"])

    assert (first.status, same.status, other.status) == (200, 304, 200)
    assert same.body == b""


async def test_other_sites_pages_and_foreign_names_are_kept_out(client: Client) -> None:
    foreign = await client.ask("POST", "/reset", Origin="https://evil.example")
    rebound = await client.ask("GET", "/log", Host="evil.example")
    own = await client.ask("POST", "/reset", Origin=f"http://127.0.0.1:{client.port}", Host=f"127.0.0.1:{client.port}")

    assert (foreign.status, rebound.status, own.status) == (403, 421, 204)
