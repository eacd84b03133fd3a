"""One SMTP connection (RFC 5321), and when exactly it broke.

The rule that everything here serves: a server can have taken nothing of a mail before the write of its content, so until then a
break is `NotSent`; from that write on, whatever happens is `Lost` until the server's answer to the content has been read whole.
A refusal, of the sender, the first recipient, DATA or the content, is an answer, however the connection ends behind it.

  a line that is handed out has been greeted, encrypted and signed in; where signing in was refused, it says that to whoever sends
  where the server takes PIPELINING (RFC 2920) the envelope is one write, with DATA in it only for a single recipient: a server
    must not be led to expect the content of a mail that the first recipient will not get
  with half of the time gone and the content not begun, it is not begun: an answer that nobody waits for is a doubt
  answers that nobody asked for close the connection; nothing is ever repeated
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from sendwright.drivers.egress.http import nothing, poller
from sendwright.drivers.egress.smtp_wire import (
    EncodedMail,
    MailOrigin,
    Said,
    SaidReader,
    lacking,
    mail_from,
    offered,
    rcpt_to,
    sign_in,
)
from sendwright.errors import Unreachable
from sendwright.providers.contract import Answer, Lost, MailReply, NotSent, RecipientReply

MESSAGES_MAX = 100
"""Most mails by one connection: servers have limits of their own, and none of them says which."""
REFUSALS_MAX = 8
"""Most refusals in a row by one connection: Postfix answers ever more slowly from the tenth on, and hangs up at the twentieth
(https://www.postfix.org/postconf.5.html#smtpd_soft_error_limit, read in November 2026)."""
CONTENT_BY = 0.5
"""The share of an exchange's time by which the content must be begun."""

_DATA = b"DATA\r\n"


class Broken(Exception):
    """The conversation can't go on."""


class MailConnection(asyncio.Protocol):
    """A connection to one server."""

    __slots__ = (
        "_alive",
        "_begun",
        "_busy",
        "_expected",
        "_fault",
        "_gone",
        "_loop",
        "_mails",
        "_offers",
        "_phase",
        "_poll",
        "_reader",
        "_refusal",
        "_refusals",
        "_refused",
        "_said",
        "_secured",
        "_unwritten",
        "_waiter",
        "idle_since",
        "transport",
    )  # fmt: skip

    def __init__(self, gone: Callable[[MailConnection], None] = lambda _: None) -> None:
        self._loop = asyncio.get_running_loop()
        self._gone = gone
        self._reader = SaidReader()
        self._said: deque[Said] = deque()
        self._expected = 1
        """Answers that were asked for and not yet heard; the greeting comes unasked."""
        self._waiter: asyncio.Future[None] | None = None
        self._offers: Mapping[str, str] = {}
        self._refusal: MailReply | None = None
        self._refused: MailReply | None = None
        self._alive = self._secured = self._busy = self._begun = self._unwritten = False
        self._fault = ""
        self._phase = ""
        """What the running exchange has come to; empty at rest."""
        self._mails = self._refusals = 0
        self._poll: Callable[[int], object] = nothing
        self.transport: asyncio.Transport
        self.idle_since = 0.0
        """The loop's time when it was last given back."""

    @property
    def open(self) -> bool:
        """Whether a mail may be begun: nobody has hung up, nothing unasked has come, no exchange is running."""
        return self.intact and not self._poll(0)

    @property
    def intact(self) -> bool:
        """Whether it may be kept: as `open`, as far as the loop has seen."""
        fit = self._mails < MESSAGES_MAX and self._refusals < REFUSALS_MAX
        return fit and self._alive and not self._busy and not self.transport.is_closing()

    def now(self) -> float:
        """The loop's time."""
        return self._loop.time()

    async def greet(self, origin: MailOrigin, secure: Callable[[], Awaitable[None]]) -> None:
        """Is greeted, says EHLO, encrypts by `secure` where the origin asks for it, and signs in. Raises `Broken`, `OSError`, and
        `Unreachable` where the server won't: one that does not offer to encrypt is told nothing in clear instead."""
        _must(await self._heard(), "connect", "connecting")
        await self._hello()
        if origin.scheme == "smtp+starttls":
            if "STARTTLS" not in self._offers:
                raise Unreachable("tls", "the server does not offer STARTTLS")
            _must(await self._ask(b"STARTTLS\r\n"), "tls", "STARTTLS")
            if self._reader.begun:
                raise Unreachable("tls", "the server spoke before it was encrypted")
            await secure()
            await self._hello()
        if origin.username is not None:
            await self._sign_in(origin)

    async def _hello(self) -> None:
        host = self.transport.get_extra_info("sockname")[0].partition("%")[0]
        literal = f"[IPv6:{host}]" if ":" in host else f"[{host}]"
        said = await self._ask(f"EHLO {literal}\r\n".encode())
        _must(said, "connect", "EHLO")
        self._offers = offered(said)

    async def _sign_in(self, origin: MailOrigin) -> None:
        lines = sign_in(self._offers.get("AUTH", ""), origin)
        if lines is None:
            self._refusal = MailReply("auth", 0, None, "the server offers neither PLAIN nor LOGIN")
            return
        for number, line in enumerate(lines, 1):
            said = await self._ask(line)
            if 400 <= said.code < 500:
                raise Unreachable("connect", f"AUTH was answered {said.code}")
            if not (said.good if number == len(lines) else said.code == 334):
                self._refusal = said.at("auth")
                return

    async def renewed(self, deadline: float) -> bool:
        """Whether it can take another mail: the server forgets what was begun, and shows that it is there."""
        if not self._mails or self._refusal is not None:
            return self._refusal is None
        try:
            async with asyncio.timeout_at(deadline):
                await self._forgotten()
                return True
        except (Broken, TimeoutError):
            return False

    async def exchange(self, mail: EncodedMail, within_s: float) -> Answer:
        """Says the mail and waits for the server's word on it. When cancelled, it closes."""
        if self._refusal is not None:
            self.close()
            return self._refusal
        if self._busy:
            return NotSent("late", "another exchange is running on this line")
        if within_s <= 0:
            return NotSent("late", "no time left")
        if not self.open:
            return NotSent("late", "the other side has hung up")
        lack = lacking(mail, self._offers)
        if lack is not None:
            return lack
        self._busy = True
        self._mails += 1
        self._phase = "mail"
        self._refused = None
        content_by = self.now() + CONTENT_BY * within_s
        answer: Answer | None = None
        try:
            async with asyncio.timeout(within_s):
                answer = await self._transaction(mail, content_by)
        except (Broken, TimeoutError) as exc:
            return self._refused or self._broken(str(exc) or "timed out")
        finally:
            self._busy = False
            if isinstance(answer, MailReply) and answer.code != 421 and not self._expected and not self._unwritten:
                self._phase = ""
            else:
                self.close()
        return answer

    def _broken(self, detail: str) -> Answer:
        if self._phase != "content":
            return NotSent(self._phase, detail)
        if self._unwritten:
            return Lost("write", detail)
        return Lost("head" if self._reader.begun else "wait", detail)

    async def _transaction(self, mail: EncodedMail, content_by: float) -> Answer:
        if self._begun:
            await self._forgotten()
        self._begun = True
        recipients: list[RecipientReply] = []
        addresses = mail.request.recipients
        commands = [mail_from(mail, self._offers), *(rcpt_to(mail, address, self._offers) for address in addresses)]
        commands += [_DATA] if len(addresses) == 1 else []
        if said_already := "PIPELINING" in self._offers:
            self._say(*commands)

        async def turn(command: bytes) -> Said:
            return await (self._heard() if said_already else self._ask(command))

        said = await turn(commands[0])
        if not said.good:
            return await self._after(said.at("mail"))
        self._phase = "rcpt"
        for address, command in zip(addresses, commands[1:], strict=False):
            said = await turn(command)
            recipients.append(said.of(address))
            if not said.good and len(recipients) == 1:
                return await self._after(said.at("rcpt", recipients))
        self._phase = "data"
        said = await (turn(_DATA) if len(addresses) == 1 else self._ask(_DATA))
        if said.code != 354:
            return said.at("data", recipients)
        return await self._content(mail, recipients, content_by)

    async def _content(self, mail: EncodedMail, recipients: list[RecipientReply], content_by: float) -> Answer:
        if self.now() > content_by:
            return NotSent("data", "too little time left")
        if not self._alive or self._said or self.transport.is_closing() or self._poll(0):
            return NotSent("data", "closed")
        self._phase = "content"
        self._say(mail.content)
        said = await self._heard()
        self._begun = False
        self._refusals = 0 if said.good else self._refusals
        if said.code < 400 and self._unwritten:
            return Lost("write", "it was answered before it was read")
        return said.at("content", recipients)

    async def _after(self, refusal: MailReply) -> MailReply:
        """The refusal stands, whatever follows; what was said behind it is answered too, and then the line can be used again."""
        self._refused = refusal
        while self._expected:
            if (await self._heard()).code == 354:
                raise Broken("it waits for a content that nobody will send")
        return refusal

    async def _forgotten(self) -> None:
        if not (await self._ask(b"RSET\r\n")).good:
            raise Broken("it does not forget")
        self._begun = False

    def close(self) -> None:
        """At once: what waits to be written is dropped, and a running exchange breaks off. Who rests says goodbye."""
        if self._alive and not self._phase and not self._expected and not self.transport.is_closing():
            self.transport.write(b"QUIT\r\n")
        self._alive = False
        self.transport.abort()

    def secured_by(self, transport: asyncio.Transport) -> None:
        """From now on everything goes through this TLS transport."""
        self._secured = True
        self._use(transport)

    # One command, one answer.

    async def _ask(self, command: bytes) -> Said:
        self._say(command)
        return await self._heard()

    def _say(self, *commands: bytes) -> None:
        if not self._alive:
            raise Broken(self._fault or "closed")
        self._expected += len(commands)
        self.transport.write(b"".join(commands))

    async def _heard(self) -> Said:
        while not self._said:
            if self._fault:
                raise Broken(self._fault)
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._expected -= 1
        said = self._said.popleft()
        self._refusals += said.code >= 400
        return said

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _use(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        # So that it is told at once when not all was written. TLS transports count from the limit on, plain ones above it.
        transport.set_write_buffer_limits(high=int(self._secured))
        self._poll = poller(transport.get_extra_info("socket").fileno(), secured=self._secured)

    # What follows is called by the loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._use(cast("asyncio.Transport", transport))
        self._alive = True

    def pause_writing(self) -> None:
        self._unwritten = True

    def resume_writing(self) -> None:
        self._unwritten = False

    def data_received(self, data: bytes) -> None:
        self._said.extend(self._reader.feed(data))
        if self._reader.fault or len(self._said) > self._expected or not self._expected:
            # Whose answer that is, nobody can tell. What was complete and asked for before it still counts.
            while len(self._said) > self._expected:
                self._said.pop()
            self._fault = self._fault or self._reader.fault or "it spoke unasked"
            self._alive = False
            self.transport.abort()
        self._wake()

    def eof_received(self) -> None:
        self._alive = False
        self._fault = self._fault or "closed"
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._alive = False
        self._fault = self._fault or ("reset" if exc is not None else "closed")
        self._poll = nothing
        self._wake()
        self._gone(self)


def _must(said: Said, phase: str, what: str) -> None:
    if not said.good:
        raise Unreachable(phase, f"{what} was answered {said.code}")
