"""The channels of a campaign, each with its provider, and the account of each by itself.

The callers' ledger says what was accepted, the store says where it went and how it ended, the provider's log says what it took.
A message is told of by the one channel that it was posted to: what a provider took of another's is a fault, and so is a `sent`
that no provider knows of. Where a provider takes several messages with one call, calls that carried several must have occurred.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.acceptance.channels import chat, whatsapp
from tests.acceptance.harness import Caller, House, Oracle, Taken, sms, twilio
from tests.acceptance.mail_stand import REFUSED, MailStand, mail, sendgrid

from sendwright.model import ids

ARRIVED = {"sent", "delivered", "read"}
REFUSED_EVERY = 400
"""One mail of so many is to an address for which its call is refused as a whole."""


@dataclass(frozen=True, eq=False)
class Channel:
    """One channel: its provider, what that took, what is posted, and how many messages each call carried that may carry several."""

    name: str
    provider: str
    taken: Callable[[], Taken]
    body: Callable[..., dict[str, Any]]
    parties: Sequence[int] | None = None


def three(oracle: Oracle, stand: MailStand) -> tuple[Sequence[Channel], str]:
    """SMS, bulk mail that shares calls, and WhatsApp; with their providers' tables."""
    channels = (
        Channel("sms", "twilio-main", partial(oracle.taken, "sms"), sms),
        Channel("email", "letters", stand.taken, letter, stand.parties),
        Channel("whatsapp", "wa", partial(oracle.taken, "whatsapp"), chat),
    )
    return channels, "\n".join([twilio(oracle), sendgrid(stand), whatsapp(oracle)])


def letter(number: int, **more: Any) -> dict[str, Any]:
    """To an address of its own, now and then to one that is refused."""
    return mail(f"guest{number}{REFUSED if refused(number) else '@example.com'}", **more)


def refused(number: int) -> bool:
    return number // 3 % REFUSED_EVERY == REFUSED_EVERY // 8


def open_attempts(house: House) -> dict[str, int]:
    """By provider, what the store of one that is dead has open: only that may come to a doubt or a double."""
    with house.database() as db:
        return dict(db.execute("select provider, count(*) from attempts where state = 0 group by provider"))


@dataclass
class Tally:
    """The account of one channel. `faults` must be empty."""

    channel: str
    accepted: int = 0
    open_at_kill: int = 0
    lost: int = 0
    doubled: int = 0
    in_doubt: int = 0
    parties: Sequence[int] | None = None
    faults: list[str] = field(default_factory=list)

    @property
    def shared(self) -> list[int]:
        """Of the calls, the sizes of those that carried several messages."""
        return [party for party in self.parties or () if party > 1]

    def line(self) -> str:
        doubts = f"doubled {self.doubled}, in doubt {self.in_doubt}, of {self.open_at_kill} open at the kills"
        said = f"{self.channel}: accepted {self.accepted}, lost {self.lost}, {doubts}"
        if self.parties is None:
            return said
        several = f"{len(self.shared)} with several messages, {sum(self.shared)} in all, {max(self.shared, default=0)} at most"
        return f"{said}; {len(self.parties)} calls, {several}"


def tallies(
    house: House, caller: Caller, channels: Mapping[str, Channel], open_: Mapping[str, int], excused: Collection[str]
) -> Iterator[Tally]:
    """One per channel. `channels`: by the caller's key; `open_`: by provider; `excused`: notifications that could not be sent."""
    for channel in dict.fromkeys(channels.values()):
        keys = [key for key, its in channels.items() if its is channel and key in caller.accepted]
        posted = {ids.message_id(caller.accepted[key], 0) for key in keys}
        rows = {row["id"]: row for row in house.pages(f"/v1/messages?channel={channel.name}")}
        yield _tally(channel, posted, rows, open_.get(channel.provider, 0), {ids.message_id(id_, 0) for id_ in excused})


def _tally(
    channel: Channel, posted: Collection[str], rows: Mapping[str, dict[str, Any]], open_: int, excused: Collection[str]
) -> Tally:
    taken, doubts = channel.taken(), {id_ for id_, row in rows.items() if row["state"] == "in_doubt"}
    lost = [id_ for id_ in posted if id_ not in taken.by_message and id_ not in doubts and id_ not in excused]
    tally = Tally(channel.name, len(posted), open_, len(lost), len(taken.doubled), len(doubts), channel.parties)
    tally.faults += [f"{id_} was posted to {channel.name}, and is not there" for id_ in set(posted) - rows.keys()]
    tally.faults += [f"{id_} is of {channel.name}, and was not posted to it" for id_ in rows.keys() - set(posted)]
    tally.faults += [
        f"{channel.provider} took {id_}, which is not of {channel.name}" for id_ in taken.by_message.keys() - set(posted)
    ]
    for id_, row in rows.items():
        if row["state"] in ARRIVED and id_ not in taken.by_message:
            tally.faults.append(f"{id_} is {row['state']}, and {channel.provider} has not taken it")
        if row["state"] == "failed" and id_ in taken.by_message:
            tally.faults.append(f"{id_} is failed, and {channel.provider} took it")
    if tally.doubled + tally.in_doubt > open_:
        tally.faults.append(f"{channel.name}: more is doubled or in doubt than was open")
    if channel.parties is not None and not tally.shared:
        tally.faults.append(f"{channel.name}: no call carried several messages")
    return tally
