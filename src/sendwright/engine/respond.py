"""respond: who asked for help, stopped or started is answered, by the provider that brought it, where there is a text for it.

An answer is a notification like any other: accepted, planned, delivered. It is accepted under a key of the reply, before the
bundle that brought the reply is done: so it is made once, however often the vendor says the reply and whoever dies meanwhile. A
stop stands on the list by then. The answer is let through that one entry, at its first call and never again (deliver.py).
"""

from __future__ import annotations

import msgspec

from sendwright.engine.ingest import RUNNING_S, Accepting
from sendwright.engine.people import Suppressions
from sendwright.engine.persist import persist
from sendwright.engine.ports import Clock
from sendwright.engine.telling import Tell
from sendwright.model.notification import Stored
from sendwright.model.parcel import Sighting
from sendwright.model.people import EVERYBODY, Heard, Hearing, Spoken
from sendwright.model.records import Absent, Conflict, Running, Taken
from sendwright.policy.keywords import Word
from sendwright.policy.replying import Book, answer_to, is_answered, key_of, text_for, until
from sendwright.policy.suppression import Marker, holds, stop_of


class Responder:
    """What hearing does with keywords. `tenant` answers; `keep_ms`: how long keys are remembered."""

    def __init__(
        self,
        accept: Accepting,
        suppressions: Suppressions,
        marker: Marker,
        clock: Clock,
        tell: Tell,
        book: Book,
        tenant: str,
        keep_ms: int,
    ) -> None:
        self._accept = accept
        self._suppressions = suppressions
        self._marker = marker
        self._clock = clock
        self._tell = tell
        self._book = book
        self._tenant = tenant
        self._keep_ms = keep_ms

    async def respond(self, sighting: Sighting, said: Spoken, word: Word, heard: Heard, hearing: Hearing, said_ms: int) -> None:
        """Has the answer accepted, where one is due. Harmless when repeated."""
        text = text_for(self._book, sighting.provider, said.channel, word)
        if text is None or said.answered or said.how != "said" or not is_answered(word, said.text or said.payload):
            return
        now, expires = self._clock.now_ms(), until(word, said_ms)
        if now >= min(expires, hearing.at + self._keep_ms):
            return  # too late; or it may have been answered under a key that is forgotten
        if word == "stop" and not await self._first(said, heard, hearing, now):
            return
        raw = answer_to(sighting.provider, said.channel, said.address, text, hearing.id, expires)
        await self._accepted(raw, key_of(sighting.provider, heard.mark, word, hearing.at))

    async def _first(self, said: Spoken, heard: Heard, hearing: Hearing, now: int) -> bool:
        """Whether it was this reply that stopped it, and nothing else stands in the way: a stop is confirmed once."""
        marks, ours = self._marker.addresses(said.address), stop_of(self._marker, said.channel, said.address)
        wanted = (EVERYBODY, self._tenant)
        found = await persist(lambda: self._suppressions.find(wanted, marks, now), self._clock, self._tell, "respond")
        if not any(row.id == ours and row.created_at == hearing.at for row in found):
            return False
        return not any(row.id != ours and holds(row, self._tenant, said.channel, "transactional", now) for row in found)

    async def _accepted(self, raw: bytes, key: str) -> None:
        """Until it is durable. Another under the key is the answer to another reply, a moment ago."""
        payload = _PAYLOAD.decode(raw)

        async def accept() -> Taken | Conflict | Running | Absent:
            return await self._accept.accept(self._tenant, payload, raw, key)

        while isinstance(await persist(accept, self._clock, self._tell, "respond"), Running):
            await self._clock.sleep(RUNNING_S)


_PAYLOAD = msgspec.json.Decoder(Stored)
"""Its content holds what no caller may post."""
