"""Who must not be sent to: by which hash an address is known, what earns a suppression, and what a reply asks for. Pure.

An address is kept nowhere in the list, for the list outlives the person's erasure: only its keyed hash is, and the masked
address for people to read. The hash is of the address alone, so that a number is one number on every channel that goes by it.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata

from sendwright.model.happenings import Happening
from sendwright.model.outcomes import Reason
from sendwright.model.people import EVERY, EVERYBODY, Extent, How, Source, Suppression
from sendwright.model.states import AttemptState
from sendwright.policy.masking import masked

SUPPRESSION = "sup_"
"""How their ids begin."""
REASONS = frozenset({Reason.OPTED_OUT, Reason.BLOCKED, Reason.INVALID_ADDRESS, Reason.UNREACHABLE})
"""Why somebody may be on the list."""

_BACK = {AttemptState.REJECTED, AttemptState.FAILED}
_EARNED: dict[tuple[str, str | None], Source] = {
    (Reason.INVALID_ADDRESS, "email"): "bounce",
    (Reason.INVALID_ADDRESS, "push"): "dead_token",
    (Reason.INVALID_ADDRESS, "webpush"): "dead_token",
    (Reason.OPTED_OUT, None): "unsubscribe",
    (Reason.OPTED_OUT, "sms"): "stop",
}
"""What evidence of which reason, on which channel (None: any other), puts an address on the list. A number that is not valid is
not: numbers are given to others, and vendors say so of numbers that are merely switched off."""


_HAS_IT = {AttemptState.DELIVERED, AttemptState.READ}
"""Who opts out of what they have got wants no more marketing, and may still be sent what they asked for."""
_LIFTED: dict[How, Source] = {"said": "stop", "preference": "unsubscribe", "blocked": "unsubscribe"}
_MARKETING_ONLY = frozenset({"whatsapp"})
"""Channels on which people opt out of marketing alone (WhatsApp's 131050)."""


class Marker:
    """Makes the keyed hashes of addresses and of recipients' ids, by the installation's secret key; `previous` are older ones."""

    __slots__ = ("_keys",)

    def __init__(self, secret: bytes = b"", previous: tuple[bytes, ...] = ()) -> None:
        self._keys = tuple(
            hashlib.blake2b(each, digest_size=32, person=b"sendwright-supp").digest() for each in (secret, *previous)
        )

    def __repr__(self) -> str:
        return "Marker()"

    def address(self, address: str) -> str:
        """The hash by which an address is put on the list."""
        return _mark(self._keys[0], b"a" + normalised(address).encode("utf-8", "replace"))

    def addresses(self, address: str) -> tuple[str, ...]:
        """All hashes by which it may stand there: under older keys too."""
        text = b"a" + normalised(address).encode("utf-8", "replace")
        return tuple(_mark(key, text) for key in self._keys)

    def person(self, tenant: str, id_: str) -> str:
        """Of a recipient's id."""
        return _mark(self._keys[0], b"p" + tenant.encode() + b"\0" + id_.encode("utf-8", "replace"))


UNKEYED = Marker()
"""For tests and programs in which nobody's address is anybody's."""


def _mark(key: bytes, text: bytes) -> str:
    return hashlib.blake2b(text, key=key, digest_size=16).hexdigest()


def normalised(address: str) -> str:
    """One writing for what is one address: email in small letters, a browser's subscription by its endpoint. Numbers are E.164."""
    if address.startswith("{"):
        try:
            endpoint = json.loads(address).get("endpoint")
        except (ValueError, AttributeError):
            endpoint = None
        return endpoint if isinstance(endpoint, str) else address
    return unicodedata.normalize("NFC", address).casefold() if "@" in address and "://" not in address else address


def suppression(
    marker: Marker,
    tenant: str,
    channel: str,
    address: str,
    reason: str,
    source: Source,
    now: int,
    category: Extent = "all",
    expires_at: int | None = None,
    apart: str = "",
) -> Suppression:
    """The row for an address. The same address on the same channel, for the same tenant and extent, is the same row, unless it
    stands `apart`."""
    mark = marker.address(address)
    id_ = suppression_id(tenant, channel, category, mark, apart)
    return Suppression(id_, tenant, channel, mark, masked(normalised(address)), reason, source, now, category, expires_at)


def suppression_id(tenant: str, channel: str, extent: str, mark: str, apart: str = "") -> str:
    told = f"{tenant}\0{channel}\0{extent}\0{mark}" + (f"\0{apart}" if apart else "")
    return SUPPRESSION + hashlib.blake2b(told.encode(), digest_size=16).hexdigest()


def stopped(marker: Marker, how: How, channel: str, address: str, now: int) -> Suppression:
    """The row of somebody who stops one of our senders, for every tenant: they share their senders.

    In words, everything on that channel. By the vendor's switch, marketing. By blocking it, everything, beside what was said: so
    that whoever takes the one back has not taken back the other."""
    match how:
        case "preference":
            return suppression(marker, EVERYBODY, channel, address, Reason.OPTED_OUT.value, _LIFTED[how], now, "marketing")
        case "blocked":
            return suppression(marker, EVERYBODY, channel, address, Reason.BLOCKED.value, _LIFTED[how], now, apart=how)
        case _:
            return suppression(marker, EVERYBODY, channel, address, Reason.OPTED_OUT.value, _LIFTED[how], now)


def lifted(how: How) -> Source:
    """What somebody who starts again takes off the list: entries of this source."""
    return _LIFTED[how]


def stop_of(marker: Marker, channel: str, address: str) -> str:
    """The id of the row that a stop in words makes."""
    return suppression_id(EVERYBODY, channel, "all", marker.address(address))


def may_earn(state: AttemptState | int, reason: str | None) -> bool:
    """Whether evidence puts an address on the list on any channel."""
    return (state in _BACK and any(reason == known for known, _ in _EARNED)) or _wants_no_more(state, reason)


def earned(channel: str, state: AttemptState | int, reason: str | None) -> Source | None:
    """By what evidence puts its address on the list; None where it does not."""
    if _wants_no_more(state, reason):
        return "unsubscribe"
    if state not in _BACK or reason is None:
        return None
    return _EARNED.get((reason, channel)) or _EARNED.get((reason, None))


def earned_by(
    marker: Marker,
    tenant: str,
    channel: str,
    address: str,
    state: AttemptState | int,
    reason: str | None,
    now: int,
    happened: str | None = None,
) -> Suppression | None:
    """The row that evidence about a call to this address makes; None where it makes none. Who told a sender to stop is left alone
    by every tenant: they share their senders. `happened`: what the evidence tells beside (model/happenings.py)."""
    source = earned(channel, state, reason)
    if source is None or reason is None or not address:
        return None
    marketing = source == "unsubscribe" and (channel in _MARKETING_ONLY or state in _HAS_IT)
    extent: Extent = "marketing" if marketing else "all"
    source = "complaint" if happened == Happening.COMPLAINED and source == "unsubscribe" else source
    return suppression(marker, EVERYBODY if source == "stop" else tenant, channel, address, reason, source, now, extent)


def _wants_no_more(state: AttemptState | int, reason: str | None) -> bool:
    return state in _HAS_IT and reason == Reason.OPTED_OUT


def holds(found: Suppression, tenant: str, channel: str, category: str, now: int) -> bool:
    """Whether it forbids this tenant to send this on this channel now."""
    return (
        found.tenant in (tenant, EVERYBODY)
        and found.channel in (channel, EVERY)
        and found.category in ("all", category)
        and (found.expires_at is None or found.expires_at > now)
    )
