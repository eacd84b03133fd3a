"""A mail server as a client meets it: SMTP on a port of its own, which takes every mail and keeps it for the mailbox.

Facts: RFC 5321, and the extensions that it offers: PIPELINING, 8BITMIME, SIZE, SMTPUTF8, DSN, ENHANCEDSTATUSCODES, AUTH (PLAIN and
LOGIN, any name and password that are not blank, in clear: no STARTTLS here). It misbehaves by the same rules as everything else; a
rule names the stage that it meets, and what is answered, or cut, after the content's dot is the default. An address that has opted
out is nobody's: 550 to its RCPT. A mail to several is one mail; the first recipient is whom it is to.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import os
import re
import socket
import struct
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from sendwright.sandbox.asked import Asked
from sendwright.sandbox.faults import Stage, Whom
from sendwright.sandbox.letters import opened
from sendwright.sandbox.log import Noted
from sendwright.sandbox.wire import Answer, Cut, Drip, Flood, Headers, Reply, Silence

if TYPE_CHECKING:
    from sendwright.sandbox.desk import Desk

SIZE_MAX = 30_000_000
RECIPIENTS_MAX = 100
LINE_MAX = 65_536
IDLE_S = 300.0

_OFFERED = ("PIPELINING", f"SIZE {SIZE_MAX}", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES", "AUTH PLAIN LOGIN")
_PATH = re.compile(r"(?:FROM|TO): ?<([^<>\s]*)>((?: [!-~]+)*)", re.IGNORECASE)
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
_OF_MAIL = frozenset({"SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "AUTH"})
_OF_RCPT = frozenset({"NOTIFY", "ORCPT"})
_OF_HTTP = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT"})
"""A browser that a page has sent here: its body must not be read as commands."""
_OF_A_MAIL = frozenset({"mail", "rcpt", "data"})
_RESET = struct.pack("ii", 1, 0)
_TEXTS = {
    421: "4.3.2 Service not available, closing transmission channel",
    450: "4.7.1 Try again later",
    451: "4.3.0 Local error in processing",
    452: "4.2.2 Mailbox full",
    530: "5.7.0 Authentication required",
    535: "5.7.8 Authentication credentials invalid",
    550: "5.1.1 No such user here",
    552: "5.3.4 Message size exceeds fixed limit",
    553: "5.1.3 Bad address",
    554: "5.7.1 Message refused",
}
_AS_SMTP = {429: 450, 503: 421}
"""HTTP's words for what SMTP says otherwise: 503 is a wrong order of commands here."""


class Smtp:
    """How kind `smtp` answers. Nothing is reported: a mail server tells the sender by mail."""

    kind = "smtp"

    def __repr__(self) -> str:
        return "Smtp()"

    def new_ref(self) -> str:
        return os.urandom(6).hex().upper()

    def taken(self, asked: Asked, ref: str, at: datetime) -> Reply:
        return _line(250, f"2.0.0 Ok: queued as {ref}")

    def replayed(self, ref: str) -> Reply:
        return _line(250, f"2.0.0 Ok: queued as {ref}")

    def opted_out(self, asked: Asked) -> Reply | None:
        return self.failure(550, None, ())

    def failure(self, status: int, code: int | str | None, headers: Headers) -> Reply:
        """`code` is what stands behind the reply code, the enhanced code at its beginning."""
        number = _AS_SMTP.get(status, status)
        return _line(number, str(code or _TEXTS.get(number, f"{number // 100}.0.0 As the sandbox was told to")))

    def receipt(self, asked: Asked, noted: Noted, state: str) -> tuple[Headers, bytes]:
        return (), b""


class SmtpServer:
    """The listener."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._server: asyncio.Server | None = None
        self._sessions: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"SmtpServer({len(self._sessions)} sessions)"

    async def start(self, host: str, port: int) -> int:
        """Listens; returns the port. Raises OSError where that can't be had."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=LINE_MAX)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for session in tuple(self._sessions):
            session.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._sessions.add(task)
            task.add_done_callback(self._sessions.discard)
        try:
            await _Session(self._desk, reader, writer).run()
        except (_Over, OSError, ValueError, asyncio.IncompleteReadError, TimeoutError):
            pass  # it has left, or said what is no SMTP
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            writer.close()


class _Over(Exception):
    """Nothing more is said on this connection."""


class _Session:
    """One connection."""

    def __init__(self, desk: Desk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._desk = desk
        self._reader = reader
        self._writer = writer
        self._voice = Smtp()
        self._account = ""
        self._clear()

    def _clear(self) -> None:
        self._mail: Mapping[str, str] | None = None
        self._to: list[str] = []

    async def run(self) -> None:
        if not await self._spoilt("connect", good := _line(220, "sandbox.example ESMTP Sendwright sandbox")):
            await self._say(good)
        while True:
            verb, _, rest = (await self._read()).partition(" ")
            match verb.upper():
                case "EHLO" | "HELO":
                    await self._hello(verb.upper())
                case "AUTH":
                    await self._auth(rest)
                case "MAIL":
                    await self._from(rest)
                case "RCPT":
                    await self._rcpt(rest)
                case "DATA":
                    await self._data()
                case "RSET":
                    self._clear()
                    await self._say(_line(250, "2.0.0 Ok"))
                case "NOOP":
                    await self._say(_line(250, "2.0.0 Ok"))
                case "QUIT":
                    await self._say(_line(221, "2.0.0 Bye"))
                    raise _Over
                case verb if verb in _OF_HTTP:
                    raise _Over
                case _:
                    await self._say(_line(502, "5.5.2 Command not implemented"))

    async def _hello(self, verb: str) -> None:
        self._clear()
        lines = ["sandbox.example", *_OFFERED] if verb == "EHLO" else ["sandbox.example"]
        text = "".join(f"250{' ' if line is lines[-1] else '-'}{line}\r\n" for line in lines)
        await self._answer("ehlo", Reply(250, text.encode(), ()))

    async def _auth(self, rest: str) -> None:
        method, _, initial = rest.partition(" ")
        if method.upper() == "PLAIN":
            name, _, password = _plain(initial or await self._asked("")).rpartition("\0")
            name = name.rpartition("\0")[2]
        elif method.upper() == "LOGIN":
            name = _plain(initial or await self._asked("Username:"))
            password = _plain(await self._asked("Password:"))
        else:
            await self._say(_line(504, "5.5.4 Unrecognized authentication type"))
            return
        self._account = name
        good = name and password
        await self._answer("auth", _line(235, "2.7.0 Authentication successful") if good else self._voice.failure(535, None, ()))

    async def _asked(self, prompt: str) -> str:
        await self._say(_line(334, base64.b64encode(prompt.encode()).decode()))
        return await self._read()

    async def _from(self, rest: str) -> None:
        found = _PATH.fullmatch(rest)
        given = _parameters(found[2]) if found else {}
        fault = _wrong(found, given, _OF_MAIL)
        if self._mail is not None:
            fault = _line(503, "5.5.1 Sender already given")
        elif fault is None and given.get("SIZE", "0").isdigit() and int(given.get("SIZE", "0")) > SIZE_MAX:
            fault = self._voice.failure(552, None, ())
        if fault is not None or found is None:
            await self._say(fault or _line(501, "5.5.4 Syntax error"))
        elif not await self._spoilt("mail", good := _line(250, "2.1.0 Ok")):
            self._mail = {"FROM": found[1], **given}
            await self._say(good)

    async def _rcpt(self, rest: str) -> None:
        found = _PATH.fullmatch(rest)
        fault = _wrong(found, _parameters(found[2]) if found else {}, _OF_RCPT)
        to = found[1] if found else ""
        if self._mail is None:
            fault = _line(503, "5.5.1 Need MAIL first")
        elif fault is None and (not _ADDRESS.fullmatch(to) or (not to.isascii() and "SMTPUTF8" not in self._mail)):
            fault = _line(553, "5.1.3 Bad address") if to.isascii() else _line(553, "5.6.7 Address needs SMTPUTF8")
        elif fault is None and len(self._to) >= RECIPIENTS_MAX:
            fault = _line(452, "4.5.3 Too many recipients")
        if fault is not None:
            await self._say(fault)
        elif to in self._desk.faults.opted_out:
            self._refused(to, 550)
            await self._say(self._voice.failure(550, None, ()))
        elif not await self._spoilt("rcpt", good := _line(250, "2.1.5 Ok"), to):
            self._to.append(to)
            await self._say(good)

    async def _data(self) -> None:
        if self._mail is None or not self._to:
            await self._say(_line(503, "5.5.1 Need MAIL and a recipient first"))
            return
        if await self._spoilt("data", good := _line(354, "End data with <CR><LF>.<CR><LF>"), self._to[0]):
            self._clear()
            return
        await self._say(good)
        raw = await self._content()
        asked, mail = self._letter(raw or b"", self._mail), self._mail
        self._clear()
        if raw is None or mail is None:
            self._refused(asked.to, 552)
            await self._say(self._voice.failure(552, None, ()))
            return
        turn = self._desk.mail(self._voice, asked)
        try:
            await asyncio.sleep(turn.delay_s)
            await self._act(turn.answer)
        finally:
            self._desk.ended(turn)

    async def _content(self) -> bytes | None:
        """The mail, its dots as they were meant; None for one that is too large, which is read to its end."""
        lines, size = [], 0
        while (line := await self._line()) != b".\r\n":
            size += len(line)
            if size <= SIZE_MAX:
                lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines) if size <= SIZE_MAX else None

    def _letter(self, raw: bytes, mail: Mapping[str, str]) -> Asked:
        letter = opened(raw)
        return Asked(
            self._voice.kind,
            self._account,
            "email",
            self._to[0],
            letter.body,
            sender=letter.sender or mail["FROM"],
            title=letter.title,
            html=letter.html,
            media=letter.files,
            copies=self._to[1:],
            reference=mail.get("ENVID") or letter.message_id or None,
        )

    # What is answered, and how badly

    async def _answer(self, stage: Stage, good: Reply) -> None:
        if not await self._spoilt(stage, good):
            await self._say(good)

    async def _spoilt(self, stage: Stage, good: Reply, to: str = "") -> bool:
        """Acts out the fault that this stage meets; False where it meets none, and nothing has been said."""
        drawn = self._desk.faults.draw(Whom(self._voice.kind, self._account, "email", to), stage=stage)
        await asyncio.sleep(drawn.delay_s)
        if drawn.rule is None:
            return False
        answer = self._desk.deed(drawn.rule, self._voice, good)
        if stage in _OF_A_MAIL:
            status = answer.status if isinstance(answer, Reply) else None
            self._refused(to, status, "refused" if drawn.rule.do == "status" else drawn.rule.do)
        await self._act(answer)
        return True

    def _refused(self, to: str, status: int | None, verdict: str = "refused") -> None:
        asked = Asked(self._voice.kind, self._account, "email", to, sender=(self._mail or {}).get("FROM"))
        self._desk.refused(self._voice, asked, status, verdict)

    async def _act(self, answer: Answer) -> None:
        match answer:
            case Reply():
                await self._say(answer)
            case Cut():
                wire: socket.socket | None = self._writer.get_extra_info("socket")
                if wire is not None:
                    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                self._writer.transport.abort()
                raise _Over
            case Silence(seconds):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        while await self._reader.read(LINE_MAX):
                            pass
                raise _Over
            case Drip(reply, every_s):
                for index in range(len(reply.body)):
                    await self._say(Reply(reply.status, reply.body[index : index + 1], ()), whole=False)
                    await asyncio.sleep(every_s)
            case Flood():
                for chunk in answer.chunks():
                    await self._say(Reply(answer.status, chunk, ()), whole=False)
                raise _Over

    async def _say(self, reply: Reply, *, whole: bool = True) -> None:
        """What is no whole line, and a 421, are the last that is said."""
        self._writer.write(reply.body)
        await self._writer.drain()
        if whole and (not reply.body.endswith(b"\r\n") or reply.body.startswith(b"421")):
            raise _Over

    async def _read(self) -> str:
        return (await self._line()).decode("utf-8", "replace").rstrip("\r\n")

    async def _line(self) -> bytes:
        async with asyncio.timeout(IDLE_S):
            line = await self._reader.readline()
        if not line.endswith(b"\n"):
            raise _Over
        return line


def _line(status: int, text: str) -> Reply:
    return Reply(status, f"{status} {text}\r\n".encode(), ())


def _plain(coded: str) -> str:
    try:
        return base64.b64decode(coded, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def _parameters(text: str) -> dict[str, str]:
    return {name.upper(): value for name, _, value in (each.partition("=") for each in text.split())}


def _wrong(found: re.Match[str] | None, given: Mapping[str, str], known: frozenset[str]) -> Reply | None:
    if found is None:
        return _line(501, "5.5.4 Syntax error in parameters or arguments")
    return None if known >= set(given) else _line(555, "5.5.4 Unsupported option")
