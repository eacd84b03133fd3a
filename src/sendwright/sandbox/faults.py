"""Misbehaviour by rules: whom it meets, how often, and what then happens.

Rules are tried in order. A `latency` rule that meets a message adds its time and lets the search go on; the first
other rule that meets it decides. Without one the message is treated as it should be. The dice are given, so that a
seed repeats a run.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from sendwright.sandbox.wire import SILENCE_MAX_S

_Share = Annotated[float, Meta(ge=0, le=1)]
_Time = Annotated[float, Meta(ge=0, le=SILENCE_MAX_S * 1000)]

Deed = Literal[
    "latency", "status", "hang", "reset_before", "reset_after", "malformed", "empty", "html", "drip", "oversize",
]  # fmt: skip
Stage = Literal["connect", "ehlo", "auth", "mail", "rcpt", "data", "content"]
"""Of a conversation over SMTP. A request over HTTP is all content."""
ReceiptState = Literal["sent", "delivered", "read", "failed"]

_TAKES = frozenset({"reset_after", "malformed", "empty", "html", "drip", "oversize"})


class Whom(Struct, frozen=True, gc=False):
    """What a rule looks at."""

    kind: str
    account: str
    channel: str
    to: str


class Match(Struct, frozen=True, forbid_unknown_fields=True):
    """Whom a rule meets. Null or `*`: everybody."""

    kind: str | None = None
    account: str | None = None
    channel: str | None = None
    to_prefix: str | None = None

    def meets(self, whom: Whom) -> bool:
        return (
            _open(self.kind, whom.kind)
            and _open(self.account, whom.account)
            and _open(self.channel, whom.channel)
            and (self.to_prefix in {None, "*"} or whom.to.startswith(self.to_prefix or ""))
        )


def _open(wanted: str | None, value: str) -> bool:
    return wanted is None or wanted in {"*", value}


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of misbehaviour."""

    do: Deed
    match: Match = Match()
    stage: Stage = "content"
    """Which part of a conversation over SMTP it meets; `content` is what comes after the final dot."""
    share: _Share = 1.0
    count: Annotated[int, Meta(ge=1)] | None = None
    """The rule ends when it has acted that often."""
    latency_ms: _Time = 0
    """Waited before whatever the rule does, in ms."""
    status: Annotated[int, Meta(ge=200, le=599)] = 503
    """For `status`."""
    code: int | str | None = None
    """For `status`: the vendor's own code in the body, where the usual one is not wanted."""
    retry_after: str | None = None
    """For `status`: the Retry-After header, whatever it says."""
    taken: bool | UnsetType = UNSET
    """Whether the message counts as taken. Unset: for `status` and `hang` no; where an answer can't be read, yes."""
    every_ms: Annotated[float, Meta(ge=1, le=60_000)] = 100
    """For `drip`: time between two bytes, in ms."""
    size_bytes: Annotated[int, Meta(ge=2, le=2**30)] = 10 * 2**20
    """For `oversize`."""

    def __post_init__(self) -> None:
        if self.retry_after is not None and not (self.retry_after.isascii() and self.retry_after.isprintable()):
            raise ValueError("retry_after must be printable ASCII")
        if self.taken is True and self.do == "reset_before":
            raise ValueError("reset_before never takes a message; reset_after does")
        if self.taken is False and self.do == "reset_after":
            raise ValueError("reset_after always takes the message; reset_before does not")

    @property
    def takes(self) -> bool:
        return self.do in _TAKES if self.taken is UNSET else bool(self.taken)


class ReceiptPlan(Struct, frozen=True, forbid_unknown_fields=True):
    """What is reported of a taken message, and how badly."""

    sequence: Annotated[tuple[ReceiptState, ...], Meta(max_length=16)] = ("sent", "delivered")
    """Empty: nothing."""
    delay_ms: _Time = 50
    """Time to the first receipt, and from the answer to one receipt to the next, in ms."""
    duplicate: Annotated[int, Meta(ge=1, le=46)] = 1
    """How often each is posted, at the same time."""
    out_of_order: bool = False
    """The sequence backwards."""
    early: bool = False
    """The first receipt is posted, and answered, before the message itself is."""
    fail_share: _Share = 0.0
    """Share of messages whose last receipt says `failed`."""
    drop_share: _Share = 0.0
    """Share of receipts that are never posted."""


class FaultSheet(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `PUT /faults`: all that is out of the ordinary, at once."""

    rules: Annotated[tuple[Rule, ...], Meta(max_length=100)] = ()
    receipts: ReceiptPlan | UnsetType = UNSET
    """Unset: as the sandbox was started."""
    opted_out: Annotated[tuple[str, ...], Meta(max_length=10_000)] | UnsetType = UNSET
    """Addresses that are refused as opted out. Unset: as the sandbox was started."""


class Drawn(Struct, frozen=True, gc=False):
    """What one call meets."""

    rule: Rule | None
    """None: it is treated as it should be."""
    delay_s: float


class Faults:
    """The rules in force, with what is left of their counts."""

    def __init__(self, rng: random.Random, latency_ms: float, receipts: ReceiptPlan, opted_out: frozenset[str]) -> None:
        self.rng = rng
        self._delay_s = latency_ms / 1000
        self._first = (receipts, opted_out)
        self.put(FaultSheet())

    def reset(self) -> None:
        """As the sandbox was started."""
        self.put(FaultSheet())

    def put(self, sheet: FaultSheet) -> None:
        """Replaces all rules."""
        receipts, opted_out = self._first
        self._rules = list(sheet.rules)
        self._left = [rule.count for rule in sheet.rules]
        self.receipts = receipts if isinstance(sheet.receipts, UnsetType) else sheet.receipts
        self.opted_out = opted_out if isinstance(sheet.opted_out, UnsetType) else frozenset(sheet.opted_out)

    def sheet(self) -> FaultSheet:
        """What is in force now; `count` is what is left of it. Fit to be put again."""
        rules = [
            Rule(**{name: getattr(rule, name) for name in rule.__struct_fields__} | {"count": left})
            for rule, left in zip(self._rules, self._left, strict=True)
            if left != 0
        ]
        return FaultSheet(tuple(rules), self.receipts, tuple(sorted(self.opted_out)))

    def draw(self, *whoms: Whom, stage: Stage = "content") -> Drawn:
        """Throws the dice for the messages of one call, and uses up the counts of the rules that act. A rule meets the call where
        it meets one of them."""
        delay_s = self._delay_s if stage == "content" else 0.0
        if not self._rules:
            return Drawn(None, delay_s)
        for index, rule in enumerate(self._rules):
            if rule.stage != stage or not self._acts(index, rule, whoms):
                continue
            delay_s += rule.latency_ms / 1000
            if rule.do != "latency":
                return Drawn(rule, delay_s)
        return Drawn(None, delay_s)

    def _acts(self, index: int, rule: Rule, whoms: Sequence[Whom]) -> bool:
        left = self._left[index]
        if left == 0 or not any(map(rule.match.meets, whoms)):
            return False
        if rule.share < 1 and self.rng.random() >= rule.share:
            return False
        if left is not None:
            self._left[index] = left - 1
        return True
