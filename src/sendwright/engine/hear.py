"""hear: what a person says back becomes an event, and a stop or a start takes effect in the same transaction.

Told a sender to stop, a person is left alone on that channel by every tenant: senders are the installation's, and the person
knows of no tenants. The vendors that keep lists of their own do the same (Twilio's 21610). Of what one person asked for, the
latest said counts, whatever came first. Then it is answered, where there is an answer (respond.py).
"""

from __future__ import annotations

import hashlib
from typing import cast

import msgspec
from msgspec import Struct

from sendwright.engine.people import Suppressions
from sendwright.engine.persist import persist
from sendwright.engine.ports import Clock
from sendwright.engine.respond import Responder
from sendwright.engine.telling import Tell
from sendwright.model.ids import reply_id
from sendwright.model.parcel import Sighting
from sendwright.model.people import Heard, How, Spoken
from sendwright.policy.duration import rfc3339
from sendwright.policy.keywords import Word, may_mean_stop, word_of
from sendwright.policy.masking import masked
from sendwright.policy.suppression import Marker, lifted, stopped

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
    payload: str = ""
    """What stood behind the button that was pressed."""
    how: How = "said"
    """In words; by the vendor's own switch for marketing (`preference`); or the person `blocked` the sender."""
    said_at: str = ""
    """When it was said, by the vendor's clock where it tells."""


class Listener:
    """What observing does with replies. `tenant` is told of them."""

    def __init__(
        self, suppressions: Suppressions, marker: Marker, tenant: str, clock: Clock, tell: Tell, responder: Responder | None = None
    ) -> None:
        self._suppressions = suppressions
        self._marker = marker
        self._tenant = tenant
        self._clock = clock
        self._tell = tell
        self._responder = responder

    async def take(self, sighting: Sighting, said: Spoken, now: int, *, again: bool) -> None:
        """Hears it, and has it answered. One that was heard before is answered only where it comes `again` because whoever
        took it did not finish: whoever repeats it had it answered the first time."""
        said_ms, word = max(0, min(sighting.at, now)), _word(said)
        heard = self.judged(sighting, said, word, said_ms, now)
        hearing = await persist(lambda: self._suppressions.hear(heard), self._clock, self._tell, "observe")
        if self._responder is not None and word is not None and (hearing.fresh or again):
            await self._responder.respond(sighting, said, word, heard, hearing, said_ms)

    def judged(self, sighting: Sighting, said: Spoken, word: Word | None, said_ms: int, now: int) -> Heard:
        ref = sighting.ref or _of_words(said, sighting.at)
        review = word is None and may_mean_stop(said.text)
        addresses = dict.fromkeys((said.address, *said.aliases))
        told = ReplyTold(
            sighting.provider,
            said.channel,
            masked(said.address),
            said.text[:TEXT_MAX],
            word,
            review,
            said.payload,
            said.how,
            rfc3339(said_ms),
        )
        stops = [stopped(self._marker, said.how, said.channel, address, now) for address in addresses]
        return Heard(
            id=reply_id(now, sighting.provider, ref),
            tenant=self._tenant,
            provider=sighting.provider,
            ref=ref,
            mark=self._marker.address(said.address),
            at=now,
            told=msgspec.json.encode(told).decode(),
            stops=tuple(stops) if word == "stop" else (),
            starts=tuple(mark for address in addresses for mark in self._marker.addresses(address)) if word == "start" else (),
            lifts=lifted(said.how),
            channel=said.channel,
            how=said.how,
            said_at=told.said_at,
        )


def _word(said: Spoken) -> Word | None:
    """What it asks for: the vendor's word for it, else by its text, else by what stood behind the button."""
    return cast("Word | None", said.word) or word_of(said.text) or word_of(said.payload)


def _of_words(said: Spoken, at: int) -> str:
    """For a vendor that names no reference: the same words at the same time are the same reply."""
    return hashlib.blake2b(f"{said.address}\0{at}\0{said.text}".encode("utf-8", "replace"), digest_size=16).hexdigest()
