"""What a notification becomes: one message per recipient, each with its steps, its state at birth and its deadline."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from sendwright.model import ids
from sendwright.model.notification import PRIORITIES, OnDoubt, Payload, Priority, Recipient, Stored, Unaddressed
from sendwright.model.outcomes import Reason
from sendwright.model.parcel import Intake, Step
from sendwright.model.records import Birth, Plan, Wait
from sendwright.model.said import Said
from sendwright.model.states import MessageState
from sendwright.policy.directory import has_address
from sendwright.policy.duration import duration_ms, instant_ms, rfc3339
from sendwright.policy.locales import only

DEFAULT_ORDER = (
    "push", "webpush", "inapp", "whatsapp", "instagram", "messenger", "telegram",
    "line", "slack", "discord", "teams", "sms", "email", "webhook",
)  # fmt: skip
ONLY_NAMED = frozenset({"inapp", "webhook"})
"""These join only when the notification names them."""
RESTORED = "may have been sent after the copy was made that was restored"
_DEVICES = frozenset({"push", "webpush"})


def plan_of(
    intake: Intake,
    payload: Stored,
    channels: Collection[str],
    ttl_ms: Mapping[str, int],
    entries: Sequence[str | Recipient] | None = None,
) -> Plan:
    """The plan of an accepted notification. `channels` are those that have a provider; `ttl_ms` is by priority's name,
    with `default`; `entries` are its recipients as the directory knows them, in their order. The same intake and payload
    always give the same ids."""
    priority = PRIORITIES[payload.priority]
    send_at = None if payload.send_at is UNSET else instant_ms(payload.send_at)
    met = payload.recipients() if entries is None else entries
    births = tuple(
        _birth(ids.message_id(intake.id, ordinal), entry, payload, channels, send_at, intake.at)
        for ordinal, entry in enumerate(met)
    )
    plan = Plan(
        id=intake.id,
        tenant=intake.tenant,
        at=intake.at,
        priority=priority,
        category=payload.category,
        on_doubt=on_doubt(payload),
        content=payload.content,
        births=births,
        send_at=send_at,
        expires_at=expires_at(payload, priority, intake.at, send_at, ttl_ms),
        metadata={} if payload.metadata is UNSET else payload.metadata,
        key=intake.key,
        process=intake.process,
        number=intake.number,
        trace=intake.trace,
    )
    filled = payload.data is not UNSET or payload.content.layouts is not None
    return _filled_in(plan, payload, met) if filled else plan


def parked(plan: Plan, crowded: Mapping[str, tuple[str, str | None]]) -> Plan:
    """The same plan, its queued messages on crowded channels waiting for their route instead of a place in the lane. `crowded`:
    what one waits for there, and whose it is."""
    births = tuple(
        replace(b, wait=behind_route(b.steps[0].channel, plan.expires_at, *crowded[b.steps[0].channel]))
        if b.state == MessageState.QUEUED and b.wait is None and b.steps[0].channel in crowded
        else b
        for b in plan.births
    )
    return replace(plan, births=births)


def behind_route(channel: str, expires_at: int | None, kind: str, name: str | None) -> Wait:
    """The wait of a message that wants no more than a place."""
    return Wait(kind, expires_at, key=f"route:{channel}", name=name)


def held(plan: Plan, now: int, provider: Callable[[str], str | None]) -> Plan:
    """The same plan, accepted before the store was restored: what may have been sent since is in doubt at birth. `provider`: of a
    channel the one that it has, where it has one alone."""
    births = tuple(
        replace(
            b,
            state=MessageState.IN_DOUBT,
            wait=None,
            reason=Reason.LOST_ANSWER.value,
            detail=RESTORED,
            provider=provider(b.steps[0].channel),
        )
        if b.state == MessageState.QUEUED
        or (b.state == MessageState.SCHEDULED and plan.send_at is not None and plan.send_at <= now)
        else b
        for b in plan.births
    )
    return replace(plan, births=births)


def on_doubt(payload: Payload) -> OnDoubt:
    if payload.on_doubt is not UNSET:
        return payload.on_doubt
    return "hold" if payload.category == "marketing" else "resend"


def expires_at(payload: Payload, priority: Priority, at: int, send_at: int | None, ttl_ms: Mapping[str, int]) -> int:
    """When it must not be sent any more: what was asked for, else a time to live, the priority's by default,
    counted from when it may go: a `send_at` that is past means now."""
    if payload.expires_at is not UNSET:
        return instant_ms(payload.expires_at)
    ttl = duration_ms(payload.ttl) if payload.ttl is not UNSET else ttl_ms.get(priority.label, ttl_ms["default"])
    return (at if send_at is None else max(send_at, at)) + ttl


def steps_of(recipient: Recipient, wanted: list[str] | None, channels: Collection[str]) -> tuple[Step, ...]:
    """The fallback steps of one recipient: the channels, in order, on which there is an address."""
    order = wanted if wanted is not None else [c for c in DEFAULT_ORDER if c not in ONLY_NAMED and c in channels]
    found = ((channel, address_on(recipient, channel)) for channel in order)
    return tuple(Step(channel, address) for channel, address in found if address)


def address_on(recipient: Recipient, channel: str) -> str | None:
    """The recipient's address on a channel, as its providers take it. On one that a plugin added it is the recipient's id."""
    match channel:
        case "sms":
            return recipient.phone
        case "inapp":
            return recipient.id
        case "push":
            return recipient.push[0].token if recipient.push else None
        case "webpush":
            return msgspec.json.encode(recipient.webpush[0]).decode() if recipient.webpush else None
        case _:
            return getattr(recipient, channel, None) if channel in DEFAULT_ORDER else recipient.id


def _filled_in(plan: Plan, payload: Stored, met: Sequence[str | Recipient]) -> Plan:
    """The plan, with what its templates are filled in with: fixed here, so that every attempt says the same."""
    births = tuple(
        birth if isinstance(entry, str) or not birth.steps else replace(birth, about=about_of(entry))
        for birth, entry in zip(plan.births, met, strict=True)
    )
    type_ = None if payload.type is UNSET else payload.type
    return replace(plan, births=births, content=_said(plan, payload, births), type=type_)


def _said(plan: Plan, payload: Stored, births: Collection[Birth]) -> Said:
    notification = {
        "id": plan.id,
        "type": None if payload.type is UNSET else payload.type.partition("@")[0],
        "category": payload.category,
        "priority": payload.priority,
        "created_at": rfc3339(plan.at),
        "metadata": plan.metadata,
    }
    wanted = {birth.about.get("locale") for birth in births if birth.about is not None}
    content = payload.content
    data = None if isinstance(payload.data, UnsetType) else payload.data
    layouts = None if content.layouts is None else {name: _spoken(layout, wanted) for name, layout in content.layouts.items()}
    locales = only(content.locales or {}, wanted) or None
    return replace(content, data=data, notification=notification, locales=locales, layouts=layouts)


def _spoken(layout: dict[str, Any], wanted: Collection[str | None]) -> dict[str, Any]:
    return {**layout, "locales": only(layout.get("locales") or {}, wanted)}


def about_of(recipient: Recipient) -> dict[str, Any]:
    """What templates may say of a recipient: who it is and where, but no devices."""
    said = {name: getattr(recipient, name) for name in recipient.__struct_fields__ if name not in _DEVICES}
    return {name: value for name, value in said.items() if value is not None}


def _birth(
    message: str, entry: str | Recipient, payload: Payload, channels: Collection[str], send_at: int | None, now: int
) -> Birth:
    if isinstance(entry, str):
        return _stillborn(message, Reason.UNKNOWN_RECIPIENT, entry)
    wanted = None if payload.channels is UNSET else payload.channels
    steps = steps_of(entry, wanted, channels)
    if not steps:
        return _stillborn(message, _why_nowhere(entry), entry.id)
    if send_at is not None and send_at > now:
        wait = Wait("time", send_at, until=send_at)
        return Birth(message, steps, MessageState.SCHEDULED, recipient=entry.id, wait=wait)
    return Birth(message, steps, MessageState.QUEUED, recipient=entry.id)


def _why_nowhere(recipient: Recipient) -> Reason:
    """A recipient that is named, and says no address at all, is one whom we were to know, however the id is written; but one whom
    the directory knows is not unknown."""
    met = isinstance(recipient, Unaddressed) or has_address(recipient)
    return Reason.NO_ADDRESS if met else Reason.UNKNOWN_RECIPIENT


def _stillborn(message: str, reason: Reason, recipient: str | None) -> Birth:
    return Birth(message, (), MessageState.FAILED, recipient=recipient, reason=reason.value)
