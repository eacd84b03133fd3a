"""Lines to mail servers: kept and shared as HTTP's are, and ready for a mail when they are handed out.

A line belongs to one server, one encryption and one user, and carries so many mails before it is closed. One that has
rested is asked for a word (RSET) before it is handed out, and so before the message is claimed.
"""

from __future__ import annotations

import asyncio

from sendwright.drivers.egress.dial import reason
from sendwright.drivers.egress.pool import LinePool, Terms
from sendwright.drivers.egress.smtp import Broken, MailConnection
from sendwright.drivers.egress.smtp_wire import EncodedMail, MailOrigin, encode
from sendwright.errors import Unreachable
from sendwright.providers.contract import MailRequest, Request


class MailPool(LinePool[MailConnection]):
    """Lines that speak SMTP."""

    def encoded(self, request: Request) -> EncodedMail:
        if not isinstance(request, MailRequest):
            raise ValueError("not a mail")  # noqa: TRY004 -- every refusal of a request is a ValueError
        return encode(request)

    async def dialled(self, origin: MailOrigin, terms: Terms, deadline: float) -> MailConnection:
        """Connected, greeted, encrypted and signed in, all before `deadline`."""
        connection = await self._dialer.dial(origin, lambda: MailConnection(self._lost), deadline, terms.guard)
        secured = False

        async def secure() -> None:
            nonlocal secured
            secured = True
            await self._dialer.secure(origin, connection)
            secured = False

        try:
            async with asyncio.timeout_at(deadline):
                await connection.greet(origin, secure)
        except (OSError, Broken, ValueError) as exc:
            connection.close()
            raise Unreachable("tls" if secured else "connect", str(exc) if isinstance(exc, Broken) else reason(exc)) from None
        except BaseException:
            connection.close()
            raise
        return connection

    async def renewed(self, connection: MailConnection, deadline: float) -> bool:
        return await connection.renewed(deadline)
