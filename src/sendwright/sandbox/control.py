"""Everything beside the vendors' protocols: the page and its parts, the log, the counters, the faults.

No key guards this, so browsers are kept honest instead: a request that changes something must not come from another
site's page (Origin), and names that are not ours are refused (Host), so that a rebound name can't read the log.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from ipaddress import ip_address
from urllib.parse import parse_qsl

import msgspec

from sendwright.sandbox import page
from sendwright.sandbox.faults import Faults, FaultSheet
from sendwright.sandbox.log import MessageLog
from sendwright.sandbox.receipts import Receipts
from sendwright.sandbox.replies import Replies
from sendwright.sandbox.wire import Headers, Reply, Request, json_reply, problem

LINES_MAX = 10_000
_LINES = 1_000

_GUARD: Headers = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-src 'self'; "  # noqa: ISC004 - one policy
        b"object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
)
_LETTER: Headers = (
    (b"content-type", b"text/html; charset=utf-8"),
    *(header for header in _GUARD if header[0] not in {b"content-security-policy", b"x-frame-options"}),
    (b"x-frame-options", b"SAMEORIGIN"),
    (
        b"content-security-policy",
        b"sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "  # noqa: ISC004 - one policy
        b"frame-ancestors 'self'",
    ),
)
"""For what anybody may have written: in a sandbox even where it is opened by itself."""
_HTML: Headers = ((b"content-type", b"text/html; charset=utf-8"), *_GUARD)
_NDJSON: Headers = ((b"content-type", b"application/x-ndjson"), *_GUARD)


class Control:
    """Answers what is not a message."""

    def __init__(
        self,
        log: MessageLog,
        faults: Faults,
        receipts: Receipts,
        hosts: Collection[str],
        reset: Callable[[], None],
        smtp_at: Callable[[], tuple[str, int] | None],
        replies: Replies,
    ) -> None:
        self._log = log
        self._faults = faults
        self._receipts = receipts
        self._hosts = frozenset(h.lower() for h in hosts) | {"localhost"}
        self._reset = reset
        self._smtp_at = smtp_at
        self._routes: dict[tuple[str, str], Callable[[Request], Reply]] = {
            ("GET", "/"): self._page,
            ("GET", "/fragment"): self._fragment,
            ("GET", "/mail"): self._mail,
            ("GET", "/page.js"): lambda _: Reply(200, page.SCRIPT, ((b"content-type", b"text/javascript"), *_GUARD)),
            ("GET", "/page.css"): lambda _: Reply(200, page.STYLE, ((b"content-type", b"text/css"), *_GUARD)),
            ("GET", "/log"): self._lines,
            ("GET", "/stats"): self._stats,
            ("GET", "/faults"): lambda _: json_reply(200, self._faults.sheet(), _GUARD),
            ("PUT", "/faults"): self._put_faults,
            ("POST", "/reset"): self._post_reset,
            ("POST", "/reply"): replies.handle,
            ("GET", "/healthz"): lambda _: json_reply(200, {"status": "ok"}, _GUARD),
        }

    def __repr__(self) -> str:
        return "Control()"

    def handle(self, request: Request) -> Reply:
        method = "GET" if request.method == "HEAD" else request.method
        route = self._routes.get((method, request.path or "/"))
        if route is None:
            known = sorted(m for m, path in self._routes if path == (request.path or "/"))
            if known:
                return problem(405, "method", f"Only {', '.join(known)}.", ((b"allow", ", ".join(known).encode()), *_GUARD))
            return problem(404, "not_found", "The sandbox has nothing here.", _GUARD)
        if not self._ours(request.header(b"host")):
            return problem(421, "host", "The sandbox does not go by that name.", _GUARD)
        if method != "GET" and not _same_site(request):
            return problem(403, "origin", "This can't be asked from another site's page.", _GUARD)
        return route(request)

    def _ours(self, host: str) -> bool:
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and not host.endswith("]") else host
        if name.lower() in self._hosts:
            return True
        try:
            return bool(ip_address(name.strip("[]")))
        except ValueError:
            return False

    def _page(self, request: Request) -> Reply:
        return Reply(200, page.whole(self._seen(request)), _HTML)

    def _fragment(self, request: Request) -> Reply:
        mark = page.mark(self._log)
        headers = ((b"etag", mark), *_HTML)
        if request.headers.get(b"if-none-match") == mark:
            return Reply(304, b"", headers)
        return Reply(200, page.fragment(self._seen(request)), headers)

    def _seen(self, request: Request) -> page.Seen:
        return page.Seen(self._log, self._faults, request.prefix, self._smtp_at())

    def _mail(self, request: Request) -> Reply:
        """`seq`: the HTML of that mail, for a frame of the page."""
        seq = dict(parse_qsl(request.query)).get("seq", "")
        number = int(seq) if seq.isascii() and seq.isdigit() and len(seq) < 16 else 0
        found = self._log.after(number - 1, 1) if number else []
        if not found or found[0].entry.seq != number or found[0].entry.html is None:
            return problem(404, "not_found", "The sandbox shows no such mail.", _GUARD)
        return Reply(200, page.mail(found[0].entry.html), _LETTER)

    def _lines(self, request: Request) -> Reply:
        """`after` and `limit`: what came after that number, oldest first; `newest`: the last so many."""
        asked = dict(parse_qsl(request.query))
        unknown = sorted(set(asked) - {"after", "limit", "newest"})
        if unknown or not all(value.isascii() and value.isdigit() and len(value) < 16 for value in asked.values()):
            return problem(422, "invalid", "Takes the numbers after, limit and newest.", _GUARD)
        if "newest" in asked:
            chosen = self._log.newest(min(int(asked["newest"]), LINES_MAX))
        else:
            chosen = self._log.after(int(asked.get("after", "0")), min(int(asked.get("limit", _LINES)), LINES_MAX))
        return Reply(200, b"".join(noted.line() for noted in chosen), _NDJSON)

    def _stats(self, request: Request) -> Reply:
        stats = msgspec.to_builtins(self._log.stats())
        stats["receipts"]["queued"] = self._receipts.queued
        return json_reply(200, stats, _GUARD)

    def _put_faults(self, request: Request) -> Reply:
        try:
            sheet = msgspec.json.decode(request.body, type=FaultSheet)
        except msgspec.ValidationError as fault:
            return problem(422, "invalid", str(fault), _GUARD)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return problem(400, "not_json", "The body is not JSON in UTF-8.", _GUARD)
        self._faults.put(sheet)
        self._log.version += 1
        return json_reply(200, self._faults.sheet(), _GUARD)

    def _post_reset(self, request: Request) -> Reply:
        self._reset()
        return Reply(204, b"", _GUARD)


def _same_site(request: Request) -> bool:
    origin = request.header(b"origin")
    return not origin or origin.partition("://")[2].lower() == request.header(b"host").lower()
