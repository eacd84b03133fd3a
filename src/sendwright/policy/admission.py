"""What is let in at the door: a body becomes a payload, or a list of everything that is wrong with it.

Two roads, one truth. `plain` recognises, in a few microseconds, the common payload that is certainly right; it never
says that one is wrong. Whatever it does not recognise goes to `faults`, which works on the parsed JSON, so that a
body with wrong types still has all its faults listed. Telephone numbers are written as E.164 on the way in: nothing
behind the door ever sees another writing.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Collection, Iterator, Sequence
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from sendwright.model.content import OWN
from sendwright.model.notification import Payload, Recipient
from sendwright.model.types import NOTHING, Referred
from sendwright.policy.address import URL_MAX, Network, e164, is_e164, is_email, is_plain_email, target_fault
from sendwright.policy.content_faults import LINK_DETAILS, content_faults, entries
from sendwright.policy.duration import duration_ms, instant_ms
from sendwright.policy.layouts import reference_faults
from sendwright.policy.payload_schema import (
    CHANNELS_MAX,
    FAULTS_MAX,
    METADATA_KEY_MAX,
    METADATA_MAX,
    METADATA_VALUE_MAX,
    RECIPIENTS_MAX,
    TEXT_MAX,
    TITLE_MAX,
    Fault,
    pointer,
    shape_faults,
)
from sendwright.policy.strict_json import NOT_JSON, Malformed, parse, twice_named
from sendwright.policy.type_rules import applied, faults_against, name_faults, surrounding, template_faults
from sendwright.providers.contract import EVERY_CHANNEL

LINK_SCHEMES = frozenset({"http", "https", "mailto", "tel"})
AHEAD_MAX_MS = 365 * 86_400_000
"""How far ahead `send_at` may be, and how long a `ttl` may run."""
INVALID_TIME = "must be a date and time by RFC 3339 within the years 1970 to 9999, as 2026-11-22T17:05:59Z"

_WEB = frozenset({"http", "https"})
_NAMED_ONLY = ("inapp", "webhook")
_PHONES = ("phone", "whatsapp")
_NAMES = ("id", "instagram", "messenger", "telegram", "line", "slack", "discord", "teams")
_ADDRESSES = tuple(("phone" if channel == "sms" else channel, channel) for channel in EVERY_CHANNEL if channel not in _NAMED_ONLY)
_UNPLAIN = attrgetter(
    "whatsapp", "push", "webpush", "webhook", "instagram", "messenger", "telegram", "line", "slack", "discord", "teams"
)
_NONE = (None,) * 11
_SPECIAL = attrgetter("html", "media", "actions", *sorted(OWN))
_NOTHING_SPECIAL: tuple[object, ...] = (None, [], [], *(None for _ in OWN))

_PLAIN_NAME = re.compile(r"[!-~]{1,255}")
_PLAIN_URL = re.compile(
    r"https://[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,10}(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/?#-]*)?"
)
_LOCALE = re.compile(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8}){0,6}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BACKSLASH = ord("\\")
_DECODER = msgspec.json.Decoder(Payload)


class Rules(Struct, frozen=True):
    """What the operator decided: channels that exist, link schemes, private networks that webhooks may reach."""

    known: frozenset[str] = frozenset(EVERY_CHANNEL)
    schemes: frozenset[str] = LINK_SCHEMES
    private: tuple[Network, ...] = ()


class Admitted(Struct, frozen=True):
    """A payload, and the JSON that says the same."""

    payload: Payload
    raw: bytes


class Refused(Struct, frozen=True):
    """`status` 400 when it is no JSON that we read, else 422 with its faults."""

    status: int
    code: str
    detail: str
    faults: tuple[Fault, ...] = ()


def admit(raw: bytes, rules: Rules, live: Collection[str], now_ms: int, found: Referred = NOTHING) -> Admitted | Refused:
    """Judges one body. `live` are the channels that have a provider, switched off or not: what is posted for one whose
    providers are all switched off waits for them. `found` is what it names (engine/catalogue.py), as it stands now."""
    try:
        payload = _DECODER.decode(raw)
        malformed = twice_named(raw)
    except msgspec.ValidationError:
        return _listed(raw, rules, live, now_ms, found) or _NO_NOTIFICATION
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        malformed = NOT_JSON
    if malformed is not None:
        return Refused(400, malformed.code, malformed.detail)
    if not _names_nul(raw) and plain(payload, rules, live):
        return Admitted(payload, raw)
    return _listed(raw, rules, live, now_ms, found) or _joined(_normalised(payload, raw), found)


def _joined(admitted: Admitted, found: Referred) -> Admitted:
    """With what its type says, and its layouts. The JSON stays what was posted: by that a repeat is known."""
    if found.type is None and not found.layouts:
        return admitted
    payload = admitted.payload if found.type is None else applied(admitted.payload, admitted.raw, found.type)
    return replace(admitted, payload=surrounding(payload, found.layouts))


def _names_nul(raw: bytes) -> bool:
    return _BACKSLASH in raw and b"\\u0000" in raw


def as_before(raw: bytes) -> Admitted | None:
    """What `admit` made of a body when it was right; None when it can't ever have been.

    For repeats under a key: they are answered as the first was, though its `expires_at` may be past by now, or a channel
    may have lost its provider. Judged anew they would be refused, and the caller believe that nothing was sent."""
    try:
        payload = _DECODER.decode(raw)
        said = (payload.content is UNSET) != (payload.type is UNSET)
        return _normalised(payload, raw) if said else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def recipient_faults(entry: dict[str, Any], rules: Rules) -> list[Fault]:
    """What is wrong with the members of a recipient for the directory, given the right shape: pointers begin at its own root."""
    nuls = [Fault(where, "invalid_character", "holds a NUL") for where in _nuls(entry, ())]
    return [*_recipient((), entry, rules), *nuls]


def written(entry: dict[str, Any]) -> dict[str, Any]:
    """The same members, with telephone numbers as E.164."""
    return {name: e164(value) or value if name in _PHONES and isinstance(value, str) else value for name, value in entry.items()}


def plain(payload: Payload, rules: Rules, live: Collection[str]) -> bool:
    """True for the common payload that has no fault. False says nothing."""
    named = payload.channels is not UNSET
    to = payload.to
    if isinstance(to, list):
        right = 0 < len(to) <= RECIPIENTS_MAX and all(_plain_to(entry, named, live) for entry in to)
    else:
        right = _plain_to(to, named, live)
    return right and _plain_channels(payload, rules, live) and _plain_content(payload) and _plain_rest(payload)


def faults(doc: object, rules: Rules, live: Collection[str], now_ms: int, named: Referred = NOTHING) -> list[Fault]:
    """Everything that is wrong with a parsed body, whatever its shape; the first thousand of it, one per place."""
    found: dict[str, Fault] = {}
    for fault in shape_faults(Payload, doc):
        found.setdefault(fault.pointer, fault)
    if isinstance(doc, dict):
        if "type" in doc and "content" in doc:
            found["#/content"] = Fault("#/content", "conflict", "must not be given beside type")
        for fault in (*_of_type(doc, named, live), *_meant(doc, rules, live, now_ms, named)):
            if len(found) == FAULTS_MAX:
                break
            found.setdefault(fault.pointer, fault)
        if "data" in doc:
            template_faults(doc.get("content"), found, ("content",))
        for fault in reference_faults(doc.get("content"), named.layouts):
            found.setdefault(fault.pointer, fault)
    else:
        found.pop("#/content", None)  # it is no object, and lacks nothing else
    return list(found.values())


def _of_type(doc: dict[str, Any], named: Referred, live: Collection[str]) -> Iterator[Fault]:
    yield from name_faults(doc.get("data"))
    if isinstance(doc.get("type"), str):
        yield from faults_against(doc, named, live)


_NO_NOTIFICATION = Refused(422, "invalid_request", "The body is not a notification.", (Fault("#", "invalid_value", "is refused"),))


def _listed(raw: bytes, rules: Rules, live: Collection[str], now_ms: int, named: Referred) -> Refused | None:
    doc = parse(raw)
    if isinstance(doc, Malformed):
        return Refused(400, doc.code, doc.detail)
    found = faults(doc, rules, live, now_ms, named)
    if _names_nul(raw):
        places = {fault.pointer for fault in found}
        found += [Fault(where, "invalid_character", "holds a NUL") for where in _nuls(doc, ()) if where not in places]
    return Refused(422, "invalid_request", _counted(found), tuple(found)) if found else None


def _counted(found: Sequence[Fault]) -> str:
    return "The request has a fault." if len(found) == 1 else f"The request has {len(found)} faults."


def _plain_to(entry: str | Recipient, named: bool, live: Collection[str]) -> bool:
    if isinstance(entry, str):
        return _PLAIN_NAME.fullmatch(entry) is not None
    phone, email, zone = entry.phone, entry.email, entry.timezone
    if phone is None:
        if email is None or not (named or "email" in live):
            return False
    elif not is_e164(phone) or not (named or "sms" in live or (email is not None and "email" in live)):
        return False
    return (
        (email is None or is_plain_email(email))
        and (entry.id is None or _PLAIN_NAME.fullmatch(entry.id) is not None)
        and (entry.locale is None or _LOCALE.fullmatch(entry.locale) is not None)
        and (zone is None or zone in zones())
        and _UNPLAIN(entry) == _NONE
    )


def _plain_channels(payload: Payload, rules: Rules, live: Collection[str]) -> bool:
    channels = payload.channels
    if isinstance(channels, UnsetType):
        return True
    once = set(channels)
    return 0 < len(channels) == len(once) <= CHANNELS_MAX and once <= rules.known and all(channel in live for channel in once)


def _plain_content(payload: Payload) -> bool:
    content = payload.content
    if isinstance(content, UnsetType) or payload.data is not UNSET or payload.type is not UNSET:
        return False
    title, body, url = content.title, content.body, content.url
    return (
        body is not None
        and 0 < len(body) <= TEXT_MAX
        and (title is None or (len(title) <= TITLE_MAX and title.isprintable()))
        and (url is None or (len(url) <= URL_MAX and _PLAIN_URL.fullmatch(url) is not None))
        and _SPECIAL(content) == _NOTHING_SPECIAL
    )


def _plain_rest(payload: Payload) -> bool:
    key, ttl, metadata = payload.idempotency_key, payload.ttl, payload.metadata
    if payload.send_at is not UNSET or payload.expires_at is not UNSET:
        return False
    if key is not UNSET and not _PLAIN_NAME.fullmatch(key):
        return False
    if ttl is not UNSET and not ttl_ok(ttl):
        return False
    if metadata is UNSET:
        return True
    if len(metadata) > METADATA_MAX:
        return False
    return all(0 < len(name) <= METADATA_KEY_MAX and len(value) <= METADATA_VALUE_MAX for name, value in metadata.items())


@lru_cache(maxsize=1024)
def ttl_ok(ttl: str) -> bool:
    try:
        return 0 < duration_ms(ttl) <= AHEAD_MAX_MS
    except ValueError:
        return False


@cache
def zones() -> frozenset[str]:
    """The names of time zones (IANA)."""
    return frozenset(zoneinfo.available_timezones())


@lru_cache(maxsize=64)
def _known(channels: frozenset[str]) -> str:
    return ", ".join([c for c in EVERY_CHANNEL if c in channels] + sorted(channels - set(EVERY_CHANNEL)))


def _meant(doc: dict[str, Any], rules: Rules, live: Collection[str], now_ms: int, found: Referred) -> Iterator[Fault]:
    yield from _channels(doc.get("channels"), rules, live)
    yield from _times(doc, now_ms)
    yield from content_faults(doc.get("content"), rules.schemes)
    if isinstance(doc.get("idempotency_key"), str):
        yield from _named(("idempotency_key",), doc["idempotency_key"], "invalid_idempotency_key")
    to = doc.get("to")
    named = "channels" in doc or "plan" in doc or (found.type is not None and found.type.body.plan is not UNSET)
    for ordinal, entry in enumerate(to[:RECIPIENTS_MAX] if isinstance(to, list) else [to]):
        path: tuple[str | int, ...] = ("to", ordinal) if isinstance(to, list) else ("to",)
        if isinstance(entry, str):
            yield from _named(path, entry, "invalid_recipient")
        elif isinstance(entry, dict):
            yield from _recipient(path, entry, rules)
            yield from _reachable(path, entry, named, live)


def _channels(channels: object, rules: Rules, live: Collection[str]) -> Iterator[Fault]:
    for position, channel in enumerate(channels[:CHANNELS_MAX] if isinstance(channels, list) else ()):
        if not isinstance(channel, str):
            continue
        if channel not in rules.known:
            yield Fault(pointer(("channels", position)), "unknown_channel", f"must be one of {_known(rules.known)}")
        elif channel not in live:
            yield Fault(pointer(("channels", position)), "no_provider", "has no provider")


def _times(doc: dict[str, Any], now_ms: int) -> Iterator[Fault]:
    at: dict[str, int] = {}
    for name in ("send_at", "expires_at"):
        if isinstance(doc.get(name), str):
            try:
                at[name] = instant_ms(doc[name])
            except ValueError:
                yield Fault(pointer((name,)), "invalid_time", INVALID_TIME)
    if at.get("send_at", 0) > now_ms + AHEAD_MAX_MS:
        yield Fault("#/send_at", "too_far", "must be at most 365 days ahead")
    if "expires_at" in at and at["expires_at"] <= now_ms:
        yield Fault("#/expires_at", "expired", "is past")
    elif "expires_at" in at and at["expires_at"] <= at.get("send_at", 0):
        yield Fault("#/expires_at", "expires_before_sent", "must be after send_at")
    ttl = doc.get("ttl")
    if "expires_at" in doc and "ttl" in doc:
        yield Fault("#/ttl", "conflict", "must not be given beside expires_at")
    elif isinstance(ttl, str) and not ttl_ok(ttl):
        yield Fault("#/ttl", "invalid_duration", "must be a duration above zero and up to 365d, as 90s, 10m, 36h or 7d")


def expiry_faults(text: str, now_ms: int) -> list[Fault]:
    """What is wrong with the `expires_at` of something that is to be kept until then."""
    try:
        return [Fault("#/expires_at", "expired", "is past")] if instant_ms(text) <= now_ms else []
    except ValueError:
        return [Fault("#/expires_at", "invalid_time", INVALID_TIME)]


def _recipient(path: tuple[str | int, ...], entry: dict[str, Any], rules: Rules) -> Iterator[Fault]:
    for name in _PHONES:
        if isinstance(entry.get(name), str) and e164(entry[name]) is None:
            yield Fault(pointer((*path, name)), "invalid_phone", "must be a possible number in international form, as +14155552671")
    if isinstance(entry.get("email"), str) and not is_email(entry["email"]):
        yield Fault(pointer((*path, "email")), "invalid_email", "must be one address, without a name")
    for name in _NAMES:
        if isinstance(entry.get(name), str):
            yield from _named((*path, name), entry[name], "invalid_recipient" if name == "id" else "invalid_address")
    yield from _target((*path, "webhook"), entry.get("webhook"), _WEB, rules)
    yield from _devices(path, entry, rules)
    if isinstance(entry.get("locale"), str) and not _LOCALE.fullmatch(entry["locale"]):
        yield Fault(pointer((*path, "locale")), "invalid_locale", "must be a language tag, as pt-BR")
    if isinstance(entry.get("timezone"), str) and entry["timezone"] not in zones():
        yield Fault(pointer((*path, "timezone")), "invalid_zone", "must be a time zone's name, as Europe/Lisbon")


def _devices(path: tuple[str | int, ...], entry: dict[str, Any], rules: Rules) -> Iterator[Fault]:
    for name in ("push", "webpush"):
        if isinstance(entry.get(name), list) and len(entry[name]) > 1:
            yield Fault(pointer((*path, name)), "not_supported", "more than one device is not supported by this version")
    for position, device in entries(entry.get("push"), 1):
        if isinstance(device.get("token"), str):
            yield from _named((*path, "push", position, "token"), device["token"], "invalid_address")
    for position, device in entries(entry.get("webpush"), 1):
        here = (*path, "webpush", position)
        if not isinstance(device.get("endpoint"), str):
            yield Fault(pointer((*here, "endpoint")), "required", "must be the subscription's address")
        yield from _target((*here, "endpoint"), device.get("endpoint"), frozenset({"https"}), rules)
        keys = device.get("keys")
        if not (isinstance(keys, dict) and isinstance(keys.get("p256dh"), str) and isinstance(keys.get("auth"), str)):
            yield Fault(pointer((*here, "keys")), "required", "must hold p256dh and auth")


def _reachable(path: tuple[str | int, ...], entry: dict[str, Any], named: bool, live: Collection[str]) -> Iterator[Fault]:
    """One address or an id is required; without named channels, one of the addresses must have a provider."""
    has = [channel for member, channel in _ADDRESSES if entry.get(member)]
    if not (has or entry.get("id") or entry.get("webhook")):
        yield Fault(pointer(path), "no_address", "must have an id or an address")
    elif not named and not any(channel in live for channel in has) and (has or not entry.get("id")):
        yield Fault(pointer(path), "no_provider", "has no address on a channel that has a provider (webhook joins only when named)")


def _named(path: tuple[str | int, ...], text: str, code: str) -> Iterator[Fault]:
    if _CONTROL.search(text) or not text.strip():
        yield Fault(pointer(path), code, "must not be blank or hold control characters")


def _target(path: tuple[str | int, ...], text: object, schemes: frozenset[str], rules: Rules) -> Iterator[Fault]:
    code = target_fault(text, schemes, rules.private) if isinstance(text, str) else None
    if code is not None:
        yield Fault(pointer(path), code, LINK_DETAILS.get(code, f"must begin with {', '.join(sorted(schemes))}"))


def _nuls(value: object, path: tuple[str | int, ...]) -> Iterator[str]:
    if isinstance(value, str) and "\0" in value:
        yield pointer(path)
    elif isinstance(value, list):
        for position, entry in enumerate(value):
            yield from _nuls(entry, (*path, position))
    elif isinstance(value, dict):
        for name, entry in value.items():
            if "\0" in name:
                yield pointer(path)
            yield from _nuls(entry, (*path, name))


def _normalised(payload: Payload, raw: bytes) -> Admitted:
    """The payload with its telephone numbers as E.164; untouched, and its JSON with it, when they were."""
    given = payload.to if isinstance(payload.to, list) else [payload.to]
    written = [_in_e164(entry) for entry in given]
    if all(new is old for new, old in zip(written, given, strict=True)):
        return Admitted(payload, raw)
    payload = replace(payload, to=written if isinstance(payload.to, list) else written[0])
    return Admitted(payload, msgspec.json.encode(payload))


def _in_e164(entry: str | Recipient) -> str | Recipient:
    if isinstance(entry, str):
        return entry
    changed = {name: e164(text) for name in _PHONES if (text := getattr(entry, name)) is not None and not is_e164(text)}
    return replace(entry, **changed) if changed else entry
