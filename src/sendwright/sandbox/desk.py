"""What happens to a request, start to finish. The story of a message is `_treat`: draw, note, answer.

Nothing here waits: an answer is a value that says what to wait for, so a request costs no task. Everything that a
caller could hold against us later is noted before the answer exists.
"""

from __future__ import annotations

import asyncio
import random
import re
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from sendwright.sandbox.asked import Asked, Dialect, Voice
from sendwright.sandbox.control import Control
from sendwright.sandbox.courier import Courier
from sendwright.sandbox.faults import Faults, ReceiptPlan, Rule, Whom
from sendwright.sandbox.keyring import Keyring
from sendwright.sandbox.log import Entry, MessageLog, Noted
from sendwright.sandbox.native import Native, Replays
from sendwright.sandbox.options import SandboxOptions
from sendwright.sandbox.receipts import Receipts
from sendwright.sandbox.replies import Replies, Speaker
from sendwright.sandbox.twilio import Twilio
from sendwright.sandbox.vendors import Vendors
from sendwright.sandbox.wire import Answer, Cut, Drip, Flood, Reply, Request, Silence, Turn, problem

BODY_MAX = 1_048_576
"""Bytes of a request, where the vendor takes no more."""

_TWILIO = re.compile(r"/2010-04-01/Accounts/([A-Za-z0-9]{1,64})/Messages(?:/([A-Za-z0-9]{1,64}))?\.json")
_NATIVE = "/v1/messages"

_LOGIN_PAGE = b"<!doctype html><html><head><title>Sign in</title></head><body><form><input name=user></form></body></html>"
_NO_FILE = "The log's file did not take the line, so nothing was taken."


class _Case(Struct, frozen=True, gc=False):
    """A message's request on its way through the desk."""

    dialect: Voice
    asked: Asked
    ref: str
    """The id that it is given, or was given the first time."""
    first: bool
    """Neither refused nor a repetition."""
    good: Reply
    """What a healthy vendor answers."""
    dropped: bool = False
    """The vendor takes it, and will deliver it to nobody."""


class Desk:
    """Answers every request of one sandbox. `handle` and `ended` are for the server; the rest is for looking at."""

    def __init__(self, options: SandboxOptions, log: MessageLog) -> None:
        self.log = log
        self.courier = Courier()
        sequence = ReceiptPlan().sequence if options.receipts else ()
        plan = ReceiptPlan(sequence=sequence, delay_ms=options.receipt_delay_ms)
        rng = random.Random(options.seed)  # noqa: S311 - dice for faults
        self.faults = Faults(rng, options.latency_ms, plan, frozenset(options.opted_out))
        self.receipts = Receipts(log, self.faults, self.courier, options.callback_hosts)
        self._replays = Replays()
        self._twilio = Twilio(options.credentials)
        self._native = Native(options.tokens, options.secret)
        self.smtp_at: tuple[str, int] | None = None
        """Where mails are taken by SMTP."""
        self.keyring = Keyring(options.keys_path)
        self._vendors = Vendors(self.keyring, self.receipts.announce)
        replies = Replies(log, self._speaker, self.courier, options.callback_hosts)
        self._control = Control(log, self.faults, self.receipts, options.page_hosts, self.reset, lambda: self.smtp_at, replies)

    def __repr__(self) -> str:
        return f"Desk({self.log!r})"

    def handle(self, request: Request) -> Turn:
        """What becomes of a request. Whoever acts it out calls `ended` with the turn, once."""
        if request.path == _NATIVE:
            return self._message(self._native, request, "") if request.method == "POST" else _not_allowed("POST")
        found = _TWILIO.fullmatch(request.path)
        if found is None:
            return self._elsewhere(request)
        account, ref = found.groups()
        if ref is not None:
            return Turn(self._fetch(request, account, ref))
        return self._message(self._twilio, request, account) if request.method == "POST" else _not_allowed("POST")

    def _speaker(self, kind: str) -> Speaker | None:
        return self._vendors.speaker(kind)

    def _elsewhere(self, request: Request) -> Turn:
        vendor = self._vendors.find(request.path)
        if vendor is not None:
            return self._message(vendor[0], request, vendor[1]) if request.method == "POST" else _not_allowed("POST")
        return Turn(self._vendors.other(request) or self._control.handle(request))

    def body_max(self, path: str) -> int:
        """Most bytes that a request to that path may have."""
        return self._vendors.body_max(path) or BODY_MAX

    def ended(self, turn: Turn) -> None:
        """The turn has been acted out, or nobody is left to see it."""
        if turn.counted:
            self.log.closed()

    def reset(self) -> None:
        """As if just started: nothing noted, no faults, no keys known, nothing left to report."""
        self.log.reset()
        self.receipts.reset()
        self.faults.reset()
        self._replays.clear()
        self._vendors = Vendors(self.keyring, self.receipts.announce)

    async def stop(self) -> None:
        await self.courier.stop()
        self.receipts.reset()

    def _fetch(self, request: Request, account: str, ref: str) -> Reply:
        if request.method != "GET":
            return problem(405, "method", "Only GET.")
        if not self._twilio.allows(request, account):
            return self._twilio.failure(401, None, ())
        return self._twilio.fetched(self.log.find(ref), account, self.log.now())

    def _message(self, dialect: Dialect, request: Request, account: str) -> Turn:
        return self.mail(dialect, dialect.read(request, account))

    def mail(self, voice: Voice, asked: Asked) -> Turn:
        """What becomes of a message that has been read, however it came."""
        self.log.opened()
        try:
            return self._treat(self._cases(voice, asked))
        except OSError:
            return Turn(problem(500, "log", _NO_FILE) if voice is self._native else voice.failure(500, None, ()), counted=True)
        except Exception:
            self.log.closed()
            raise

    def refused(self, voice: Voice, asked: Asked, status: int | None, verdict: str = "refused") -> None:
        """Writes down a message that went no further before its content came."""
        case = _Case(voice, asked, "", first=False, good=Reply(status or 0))
        self.log.note(_entry(self.log.next_seq, self.log.now(), case, verdict, taken=False, status=status))

    def deed(self, rule: Rule, voice: Voice, good: Reply) -> Answer:
        """What the caller meets in the place of `good` when a rule acts before the content."""
        return _deed(rule, _Case(voice, Asked(voice.kind, ""), "", first=False, good=good))

    def _cases(self, dialect: Voice, asked: Asked) -> list[_Case]:
        """One for each message of the call; all of them have the first one's id and answer."""
        first = self._case(dialect, asked)
        return [self._dropped(case) for case in (first, *(replace(first, asked=each) for each in asked.also))]

    def _case(self, dialect: Voice, asked: Asked) -> _Case:
        refusal = asked.refusal or (dialect.opted_out(asked) if asked.to in self.faults.opted_out else None)
        key = asked.idempotency_key
        known = self._replays.find(asked.account, key) if key is not None and refusal is None else None
        if refusal is not None:
            return _Case(dialect, asked, "", first=False, good=refusal)
        if known is not None:
            return _Case(dialect, asked, known, first=False, good=dialect.replayed(known))
        ref = dialect.new_ref()
        return _Case(dialect, asked, ref, first=True, good=dialect.taken(asked, ref, self.log.now()))

    def _dropped(self, case: _Case) -> _Case:
        """What was let pass, and is of an address that has opted out or can't be read there, is dropped."""
        dropped = case.first and (case.asked.lost or case.asked.to in self.faults.opted_out)
        return replace(case, first=False, dropped=True) if dropped else case

    def _treat(self, cases: list[_Case]) -> Turn:
        drawn = self.faults.draw(*(Whom(a.kind, a.account, a.channel, a.to) for a in (case.asked for case in cases)))
        answer = cases[0].good if drawn.rule is None else _deed(drawn.rule, cases[0])
        judged = [(case, *_judged(case, drawn.rule)) for case in cases]
        seq, at, status = self.log.next_seq, self.log.now(), _status(answer)
        entries = [_entry(seq + n, at, case, verdict, taken, status) for n, (case, verdict, taken) in enumerate(judged)]
        after = None
        for noted, (case, _, taken) in zip(self.log.note_all(entries), judged, strict=True):
            if taken or (case.dropped and (drawn.rule is None or drawn.rule.takes)):
                after = self._begin(case, noted) or after
        return Turn(answer, drawn.delay_s, after, counted=True)

    def _begin(self, case: _Case, noted: Noted) -> asyncio.Future[None] | None:
        asked = case.asked
        if asked.idempotency_key is not None:
            self._replays.keep(asked.account, asked.idempotency_key, case.ref)
        return self.receipts.begin(case.dialect, asked, noted, ("dropped",) if case.dropped else None)


def _judged(case: _Case, rule: Rule | None) -> tuple[str, bool]:
    """The verdict, and whether it was taken."""
    if rule is None:
        return "taken" if case.first else "dropped" if case.dropped else "replayed" if case.ref else "refused", case.first
    taken = rule.takes and case.first
    return "refused" if rule.do == "status" and not rule.takes else rule.do, taken


def _entry(seq: int, at: datetime, case: _Case, verdict: str, taken: bool, status: int | None) -> Entry:
    asked = case.asked
    return Entry(
        seq,
        at,
        asked.kind,
        asked.account,
        verdict,
        taken,
        status,
        asked.channel,
        asked.to,
        asked.body,
        case.ref or None,
        asked.reference,
        asked.idempotency_key,
        asked.sender,
        asked.title,
        asked.html,
        asked.url,
        asked.media,
        asked.copies,
        asked.unsubscribe_url,
    )


def _deed(rule: Rule, case: _Case) -> Answer:
    """What the caller meets when a rule acts."""
    good = case.good
    match rule.do:
        case "status":
            extra = () if rule.retry_after is None else ((b"retry-after", rule.retry_after.encode()),)
            return case.dialect.failure(rule.status, rule.code, extra)
        case "hang":
            return Silence()
        case "reset_before" | "reset_after":
            return Cut()
        case "malformed":
            return Reply(good.status, good.body[: len(good.body) // 2], good.headers)
        case "empty":
            return Reply(good.status, b"", good.headers)
        case "html":
            return Reply(200, _LOGIN_PAGE, ((b"content-type", b"text/html; charset=utf-8"),))
        case "drip":
            return Drip(good, rule.every_ms / 1000)
        case "oversize":
            return Flood(good.status, rule.size_bytes)
        case _:
            return good


def _status(answer: Answer) -> int | None:
    match answer:
        case Reply(status) | Flood(status):
            return status
        case Drip(reply):
            return reply.status
        case _:
            return None


def _not_allowed(method: str) -> Turn:
    return Turn(problem(405, "method", f"Only {method}.", ((b"allow", method.encode()),)))
