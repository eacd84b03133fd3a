"""hear: what a person says back becomes an event, and a stop or a start takes effect in the same transaction.

Told a sender to stop, a person is left alone on that channel by every tenant: senders are the installation's, and the person
knows of no tenants. The vendors that keep lists of their own do the same (Twilio's 21610).
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable

import msgspec
from msgspec import Struct

from sendwright.engine.people import Suppressions
from sendwright.model.ids import reply_id
from sendwright.model.outcomes import Reason
from sendwright.model.parcel import Sighting
from sendwright.model.people import EVERYBODY, Heard, Spoken
from sendwright.policy.keywords import may_mean_stop, word_of
from sendwright.policy.masking import masked
from sendwright.policy.suppression import Marker, suppression

TEXT_MAX = 1600
"""Characters of a reply that are told."""


class ReplyTold(Struct, frozen=True):
    """What the event of a reply says."""

    provider: str
    channel: str
    address: str
    """Masked."""
    text: str
    word: str | None
    """`stop`, `start` or `help`, where the reply is that."""
    review: bool
    """It is no keyword, and sounds as if somebody wanted no more: for a person to look at."""


class Listener:
    """What observing does with replies. `tenant` is told of them."""

    def __init__(self, suppressions: Suppressions, marker: Marker, tenant: str) -> None:
        self._suppressions = suppressions
        self._marker = marker
        self._tenant = tenant

    def hear(self, sighting: Sighting, said: Spoken, now: int) -> Awaitable[bool]:
        """False when it had been heard before."""
        return self._suppressions.hear(self.judged(sighting, said, now))

    def judged(self, sighting: Sighting, said: Spoken, now: int) -> Heard:
        ref = sighting.ref or _of_words(said, sighting.at)
        word = said.word or word_of(said.text)
        address = said.address
        review = word is None and may_mean_stop(said.text)
        told = ReplyTold(sighting.provider, said.channel, masked(address), said.text[:TEXT_MAX], word, review)
        stops = None
        if word == "stop":
            stops = suppression(self._marker, EVERYBODY, said.channel, address, Reason.OPTED_OUT.value, "stop", now)
        return Heard(
            id=reply_id(now, sighting.provider, ref),
            tenant=self._tenant,
            provider=sighting.provider,
            ref=ref,
            mark=self._marker.address(address),
            at=now,
            told=msgspec.json.encode(told).decode(),
            stops=stops,
            starts=self._marker.addresses(address) if word == "start" else (),
            channel=said.channel,
        )


def _of_words(said: Spoken, at: int) -> str:
    """For a vendor that names no reference: the same words at the same time are the same reply."""
    return hashlib.blake2b(f"{said.address}\0{at}\0{said.text}".encode("utf-8", "replace"), digest_size=16).hexdigest()
