"""What the machine itself may do in a cloud: asked of the vendor's library, in a thread, since it does its own I/O.

AWS: botocore's chain, in its order (https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html): variables of
the environment, shared files and profiles, a web identity, a container's role, an instance's role. It is the operator's machine
that is asked, at addresses which no message can name, so the guard of addresses has no part in it. The library renews what ends,
well before its end, and says nothing here of when that is: ask again every few minutes.

One thread asks at a time, of its own: the library may wait for minutes, and nobody else's work waits behind it. Whoever asks
meanwhile hears what that one finds.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import msgspec

from sendwright.providers.contract import Answer, Lost, NotSent, OwnCredentials, Reply, Request


class Own:
    """`ports.Line` for `OwnCredentials`: one for everybody."""

    open = True

    def __init__(self) -> None:
        self._asking: asyncio.Future[Answer] | None = None
        self._kept: Any = None
        """Credentials that the library renews by itself."""

    async def send(self, request: Request, within_s: float) -> Answer:
        """What the first source that has any gives now. `ValueError` for other requests."""
        if not isinstance(request, OwnCredentials):
            raise ValueError("not for the machine's own credentials")  # noqa: TRY004 -- every refusal of a request is a ValueError
        if within_s <= 0:
            return NotSent("late", "no time left")
        if self._asking is None or self._asking.done():
            loop = asyncio.get_running_loop()
            self._asking = loop.create_future()
            try:
                threading.Thread(target=self._run, args=(loop, self._asking), name="credentials", daemon=True).start()
            except RuntimeError:
                self._asking = None
                return NotSent("pool", "no thread could be started")
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.shield(self._asking)
        except TimeoutError:
            return Lost("wait", "timed out")

    def release(self) -> None:
        """Nothing to give back."""

    def _run(self, loop: asyncio.AbstractEventLoop, told: asyncio.Future[Answer]) -> None:
        answer = self._asked()
        try:
            loop.call_soon_threadsafe(told.set_result, answer)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    def _asked(self) -> Answer:
        try:
            from botocore import exceptions as said  # noqa: PLC0415 -- an extra
            from botocore.credentials import RefreshableCredentials  # noqa: PLC0415
            from botocore.session import Session  # noqa: PLC0415
        except ModuleNotFoundError:
            return Reply(501)
        wrong = (
            said.ConfigNotFound,
            said.ConfigParseError,
            said.InvalidConfigError,
            said.PartialCredentialsError,
            said.ProfileNotFound,
        )
        try:
            found = self._kept or Session().get_credentials()
            keys = None if found is None else found.get_frozen_credentials()
        except wrong as error:  # its text may quote a file
            return Reply(404, body=type(error).__name__.encode())
        except Exception as error:  # noqa: BLE001 -- a role's agent that is away, a service that refuses: whatever it is may pass
            return Reply(503, body=type(error).__name__.encode())
        self._kept = found if isinstance(found, RefreshableCredentials) else None  # a file or a variable may say another
        if keys is None or not keys.access_key or not keys.secret_key:
            return Reply(404)
        parts = {"access_key_id": keys.access_key, "secret_access_key": keys.secret_key, "session_token": keys.token}
        return Reply(200, body=msgspec.json.encode(parts))
