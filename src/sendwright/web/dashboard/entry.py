"""The way in: a link that works once, or a key. A link that is merely looked at stays good: it is used up by the button."""

from __future__ import annotations

from collections.abc import Mapping

from sendwright.web.api.problems import Refusal, retry_after
from sendwright.web.api.services import Services
from sendwright.web.api.wire import Header, Scope
from sendwright.web.dashboard.place import Place
from sendwright.web.dashboard.signing_in import SignIn, cookie
from sendwright.web.dashboard.throttle import Throttle
from sendwright.web.dashboard.visit import Answered, Away, Shown, pairs

_SECRET_MAX = 512
_WRONG = {
    "link_over": "This link has been used, or is over. Sign in with a key.",
    "unauthenticated": "That is not a key that works here.",
    "forbidden": "This key may not read, so there is nothing that it could see here.",
}


class Entry:
    """/dashboard/sign-in."""

    def __init__(self, services: Services, sign_in: SignIn) -> None:
        self._services = services
        self._sign_in = sign_in
        self._throttle = Throttle()

    async def answer(
        self, scope: Scope, place: Place, headers: Mapping[bytes, bytes], form: Mapping[str, list[str]]
    ) -> tuple[Answered, tuple[Header, ...]]:
        if scope["method"] == "POST":
            return await self._enter(scope, place, headers, form)
        if scope["method"] not in ("GET", "HEAD"):
            raise Refusal(405, "method_not_allowed", "This page takes GET and POST.")
        if await self._sign_in.known(headers, place, uses=False) is not None:
            return Away("/dashboard"), ()
        link = dict(pairs(scope["query_string"])).get("link", "")[:_SECRET_MAX]
        return _form(link=link), ()

    async def _enter(
        self, scope: Scope, place: Place, headers: Mapping[bytes, bytes], form: Mapping[str, list[str]]
    ) -> tuple[Answered, tuple[Header, ...]]:
        address, now = (scope.get("client") or ("",))[0], self._services.clock.monotonic()
        wait_s = self._throttle.wait_s(address, now)
        if wait_s > 0:
            return _form(wrong="Too many attempts. Wait a moment, then try again.", status=429), retry_after(wait_s)
        link, key = (form.get(name, [""])[0].strip() for name in ("link", "key"))
        before = await self._sign_in.known(headers, place, uses=False)
        try:
            secret = await (self._sign_in.by_link(link) if link else self._sign_in.by_key(key[:_SECRET_MAX]))
        except Refusal as refusal:
            if refusal.code not in _WRONG:
                raise
            self._throttle.failed(address, now)
            return _form(wrong=_WRONG[refusal.code], status=refusal.status), ()
        if before is not None:  # a browser has one session
            await self._services.sessions.end(before.session.tenant, before.session.id)
        return Away("/dashboard?note=signed_in"), ((b"set-cookie", cookie(place, secret)),)


def _form(*, link: str = "", wrong: str | None = None, status: int = 200) -> Shown:
    return Shown("sign_in.html", {"link": link, "wrong": wrong}, status)
