"""What the engine needs of the world, as Protocols: bus, intake, ledger, waiting rows, records, egress, clock.

Methods take one item and return an awaitable; a driver gathers the concurrent ones into one statement. When an
awaitable returns, what it promised is durable. Drivers raise `StoreDown` or `BusDown` (errors.py) when the promise
could not be kept; nothing half-done is left then, or it is safe to repeat the same call.

tests/conformance holds every driver to the docstrings below.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol, TypeVar

from msgspec import Struct

from sendwright.model.accord import Bar, Block, Change, Picture, Standing
from sendwright.model.api_key import ApiKey
from sendwright.model.api_key import Place as KeyPlace
from sendwright.model.endpoint import Endpoint, Posting, Tried
from sendwright.model.endpoint import Place as EndpointPlace
from sendwright.model.inbox import Counts, Item, Mark, Place, View
from sendwright.model.layouts import LayoutBody, LayoutVersion
from sendwright.model.notices import About, Credential, Notice, Stand
from sendwright.model.notification import Priority
from sendwright.model.parcel import Parcel, Sighting
from sendwright.model.records import (
    SWITCHED,
    Absent,
    AttemptRecord,
    Audit,
    Cancelled,
    Claim,
    Claimed,
    Conflict,
    DeadParcel,
    Event,
    Listed,
    MessageRecord,
    NotificationRecord,
    Offer,
    Order,
    Page,
    Patience,
    Plan,
    Refused,
    Running,
    Settlement,
    Sighted,
    Switch,
    Taken,
    Unheard,
    Wait,
)
from sendwright.model.states import MessageState
from sendwright.model.types import TypeBody, TypeVersion
from sendwright.policy.fold import Future, unknown
from sendwright.providers.contract import Answer, Request


class Clock(Protocol):
    """Wall time for due and expiry, monotonic time for durations. Virtual in tests."""

    def now_ms(self) -> int: ...

    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class Delivery(Struct, frozen=True):
    """One bundle, taken and not yet done. `redelivered`: somebody took it before and did not finish."""

    lane: str
    tag: int
    body: bytes
    count: int
    redelivered: bool = False


class Bus(Protocol):
    """Lanes of bundles. At least once: what was taken and not done comes again after a crash."""

    def publish(self, lane: str, parcels: Sequence[bytes]) -> Awaitable[None]:
        """Durable when it returns. Publishes to one lane at the same time may share a bundle; order within a call is kept, on
        SQS only within a bundle."""
        ...

    async def take(self, lane: str) -> Delivery:
        """The lane's oldest bundle that nobody has; waits until there is one. Cancelling it loses nothing."""
        ...

    def done(self, delivery: Delivery) -> Awaitable[None]:
        """Forgets the bundle for good. Doing so twice is harmless."""
        ...

    async def give_back(self, delivery: Delivery) -> None:
        """Puts a taken bundle back, to be taken (redelivered) by anybody."""
        ...

    def stop_taking(self) -> None:
        """This process takes nothing more from the lanes, for good. What lies on them is the others', and so is what this
        process was sent and nobody in it has taken; what is in hand may be done or given back as before. Who waits in `take`
        waits on. Returns at once, whether or not the broker can be reached."""
        ...

    def depth(self, lane: str) -> int:
        """Parcels in the lane that nobody has taken."""
        ...

    def oldest_s(self, lane: str) -> float:
        """Age in seconds of the oldest bundle in the lane that nobody has taken; 0 when it is empty."""
        ...


class IntakeDesk(Protocol):
    """Makes accepted notifications durable, once per idempotency key."""

    def offer(self, offer: Offer) -> Awaitable[Taken | Conflict | Running | Absent]:
        """Reserves the key (where there is one), numbers the notification for this process and puts it on its intake
        lane: all or nothing. The same key with the same fingerprint answers the first id, `replayed`. A `repeat` is only
        told what its key stands for, and is never taken anew."""
        ...

    def stored(self, tenant: str, key: str) -> Awaitable[str | None]:
        """The id that a key stands for, or None."""
        ...


class DeadParcels(Protocol):
    """Where parcels go that nobody can read, that break their story every time, or that end whoever takes them."""

    def keep(self, lane: str, body: bytes, problem: str, now: int, version: int | None = None) -> Awaitable[None]:
        """Keeps the raw parcel with what is wrong with it. The same bytes twice are kept once, at a later time. `version` is
        the parcel's own, where nothing is wrong with it but that it is not known here."""
        ...

    def legible(self, version: int, limit: int) -> Awaitable[Sequence[tuple[DeadParcel, bytes]]]:
        """What was kept for its version alone, and is of this one or an earlier one; the oldest first."""
        ...

    def tried(self, lane: str, body: bytes, by: str, now: int) -> Awaitable[int]:
        """Counts that a process sets about a parcel or bundle that may have ended whoever took it. Returns how many others were
        counted before it since it was last `cleared`. One that asks again, not knowing whether it was heard, counts once."""
        ...

    def cleared(self, lane: str, body: bytes) -> Awaitable[None]:
        """It has ended nobody: its count is forgotten. Harmless when there is none."""
        ...

    def newest(self, limit: int) -> Awaitable[Sequence[DeadParcel]]:
        """What was kept, newest first."""
        ...

    def found(self, id_: str) -> Awaitable[tuple[DeadParcel, bytes] | None]:
        """One that was kept, and its raw bytes."""
        ...

    def drop(self, id_: str, at: int | None = None) -> Awaitable[bool]:
        """Forgets one, and how often it was `tried`; with `at`, only as it was kept then, and not when it has been kept again
        since. False when there was none."""
        ...


class Ledger(Protocol):
    """The rows that decide: notifications, messages, attempts. Every method is one transaction (shared with others)."""

    def plan(self, plans: Sequence[Plan]) -> Awaitable[Sequence[Sequence[Parcel]]]:
        """Writes each notification with its messages, waits and events; the first committed plan wins.

        Returns, per plan, the parcels to publish by what the *store* says: the queued messages that no attempt was
        claimed for. Messages of a notification that was cancelled before are born cancelled."""
        ...

    def claim(self, claim: Claim) -> Awaitable[Claimed | Refused]:
        """Compares and sets the message's row (state, step, number, expiry, epoch) and inserts the attempt, `sending`; not for an
        address that is suppressed (engine/people.py): once a suppression is answered, nothing is claimed against it.

        Granted for a message that is queued, scheduled, or sending without an owner, at the parcel's step and number.
        Deletes its wait. A row that already carries this very token is granted again (the answer was lost)."""
        ...

    def settle(self, settlement: Settlement) -> Awaitable[MessageState]:
        """Joins the evidence to the attempt, always; applies the decision only while its author may decide, and the fold
        of all its attempts does not say otherwise (policy/fold.py).

        Writes the decision's wait and the event in the same transaction. Returns the message's state then."""
        ...

    def park(self, parcel: Parcel, wait: Wait, now: int, reason: str | None = None, detail: str = "") -> Awaitable[bool]:
        """Writes the wait of a message that is waiting for its parcel's step and number, with the parcel's backoff and
        tried providers, and why it could not be sent, where there is a `reason`; False when it is not waiting for it any more.
        A scheduled one that is to wait for anything but a time has had its time, and is queued."""
        ...

    def end(self, parcel: Parcel, state: MessageState, reason: str, detail: str, now: int) -> Awaitable[bool]:
        """Ends (`failed`, `expired`, `suppressed`) a message that waits at the parcel's step and number; False when it does not."""
        ...

    def advance(self, parcel: Parcel, step: int, reason: str, detail: str, now: int) -> Awaitable[bool]:
        """Moves a message that waits at the parcel's step and number on to a later step, due at once."""
        ...

    def observe(self, sighting: Sighting, now: int) -> Awaitable[Sighted]:
        """Joins a receipt to its attempt, found by our id (where that is this provider's) or else by (provider, ref), and
        folds the message.

        A receipt whose reference nobody knows yet is kept until a settlement brings that reference. Repeats change
        nothing. A failure of a `sent` message, or one that refutes a doubt, starts the next step, due at once."""
        ...

    def cancel(self, tenant: str, target: str, now: int) -> Awaitable[Cancelled]:
        """Cancels what waits under a notification's or a message's id. `cancelled` means never sent: a message whose
        attempt is open, in doubt or was taken is too late. Nothing is sent again of one that waits to be, an answer having been
        lost: it is in doubt then (policy/fold.py)."""
        ...

    def resolve(self, tenant: str, message: str, verdict: str, now: int) -> Awaitable[MessageState | None]:
        """A person's word on a message in doubt: `sent`, `failed` or `resend` (due at once). None when it is not in doubt,
        or is to be sent again and retention has forgotten what it said, or its deadline has passed."""
        ...

    def revive(self, tenant: str, message: str, now: int, seen: MessageRecord | None = None) -> Awaitable[bool]:
        """Sends again from the first step, due at once: by hand or by replay of a dead letter. False when it is in flight,
        has arrived, is past its deadline or never had an address, and when retention has forgotten what it said. With `seen`
        also when it does not stand any more as it did there (state, number, dead): asked twice at once, it is sent again once."""
        ...

    def drop(self, tenant: str, message: str, now: int) -> Awaitable[bool]:
        """Takes a message off the dead letters. False when it is not there."""
        ...

    def repair(
        self,
        now: int,
        alive: Callable[[str], bool],
        patience: Callable[[str], Patience],
        attempts_max: int,
        future: Future = unknown,
    ) -> Awaitable[Sequence[str]]:
        """Level-triggered: joins `in_doubt` to every `sending` attempt whose owner is not alive or which is out of time
        (`policy.fold.out_of_time`, which `future` is for), and moves its message by `policy.fold.doubt`, with the patience that its
        provider's name asks for.

        Returns the messages it moved."""
        ...

    def unheard(self, now: int, limit: int) -> Awaitable[Sequence[Unheard]]:
        """The attempts that are `sent`, with a reference, and whose `look_at` has come: at most `limit`, the longest due
        first. Each is looked at again when it is twice as old (`policy.lookup.next_look`), and not handed out before;
        after the first time its message has the event `UNCONFIRMED`."""
        ...


class Waiting(Protocol):
    """The one table of all waiting, from which the promoter pulls."""

    def due(self, now: int, limit: int) -> Awaitable[Sequence[Parcel]]:
        """Parcels whose `due_at` has come: at most `limit` of each priority, the highest priority first and in each the
        longest due, so that nobody's blast stands before what is more urgent. They stay until `promoted`."""
        ...

    def tenants(self, key: str, priority: Priority, first: str, most: int) -> Awaitable[Mapping[str, int]]:
        """At most `most` tenants who have something to pull under a key, from `first` (or the next that has) on and round again
        in the order of their names; and how much each has, counted at least as far as an equal part of `most`."""
        ...

    def pull(self, key: str, priority: Priority, shares: Mapping[str, int]) -> Awaitable[Sequence[Parcel]]:
        """The first parcels parked under a key, at most so many of each tenant and no other's, in the order they came, whatever
        their due time. They stay until `promoted`."""
        ...

    def promoted(self, parcels: Sequence[Parcel], now: int) -> Awaitable[None]:
        """Deletes the waits of parcels that have been published; a scheduled message becomes queued.

        Only the very waits that were read: a message that was parked anew meanwhile keeps its new one."""
        ...

    def parked(self) -> Awaitable[dict[tuple[str, Priority], int]]:
        """How many wait under each key and priority, `time` left out. Cheap: asked every second."""
        ...

    def rebase(self, now: int, ahead: int) -> Awaitable[None]:
        """Retries (not what a caller scheduled) whose message was written at least `ahead` ms in the future were timed by a
        clock that was set back since: they wait as long as they were to, counted from `now`."""
        ...

    def next_due(self) -> Awaitable[int | None]:
        """The earliest `due_at` of all, in ms; None when nothing waits for a time."""
        ...


class Finder(Protocol):
    """What a broker has lost: a lane was purged, or the broker's disk."""

    async def slice(self, before: int, now: int) -> tuple[int, bool]:
        """Looks at one slice of the messages, newest first. Those that have been queued since `before`, and wait for nothing, wait
        from here on until `now`: the promoter brings them back to their lane. (A parcel that was there all the same is refused by
        its message's row.)

        How many were found, and whether there is more to look at; after False the next call begins at the newest again."""
        ...


class Sweeper(Protocol):
    """Retention. Age counts from the last move of any of a notification's messages, and only what is over has one."""

    def slice(self, *, keys_before: int, content_before: int, rows_before: int) -> Awaitable[bool]:
        """Looks at one slice of what may be too old, oldest first, and forgets what is: keys that were bound before
        `keys_before`; what was said, and all rows, of the notifications of which every message is settled and has been
        left alone since `content_before`, or `rows_before`. In ms since 1970, the last one the earliest.

        True while there is more to look at; after False the next call begins at the oldest again."""
        ...


class Records(Protocol):
    """What people and programs ask to see. Reads only; never slows the writers."""

    async def notification(self, tenant: str, notification: str) -> NotificationRecord | None: ...

    async def messages_of(self, notification: str, limit: int, after: str | None) -> Sequence[MessageRecord]:
        """In the order of the recipients."""
        ...

    async def message(self, tenant: str, message: str) -> MessageRecord | None: ...

    async def attempts(self, message: str) -> Sequence[AttemptRecord]:
        """By number."""
        ...

    async def timeline(self, message: str) -> Sequence[Event]:
        """The message's events, oldest first."""
        ...

    async def list_messages(self, page: Page) -> Listed[MessageRecord]: ...

    async def list_notifications(self, page: Page) -> Listed[NotificationRecord]: ...

    async def dead_causes(self, tenant: str) -> Sequence[tuple[str, str, str, int]]:
        """(channel, reason, provider, how many) of the dead letters."""
        ...

    async def events(self, tenant: str, after: int, limit: int) -> Sequence[Event]:
        """Events with a greater `seq`, in order; none is ever inserted before one that was shown."""
        ...

    async def audit(self) -> Audit:
        """Recounts by the accepting processes' numbers and by the rows, and names what neither explains."""
        ...


class Switchboard(Protocol):
    """What is switched at run time, and the epoch that a claim must hold."""

    async def read(self) -> tuple[int, Sequence[Switch]]:
        """The epoch and every switch."""
        ...

    def set(self, switch: Switch, members: Collection[str] = SWITCHED) -> Awaitable[int]:
        """Stores these members of it, leaves the others as they are stored, and raises the epoch, all in one transaction:
        of two who switch different members neither loses. Returns the new epoch."""
        ...

    async def orders(self) -> Sequence[Order]:
        """The routes whose order was set, by channel. Read after the epoch it may be newer, and never older."""
        ...

    def reorder(self, order: Order) -> Awaitable[int]:
        """Stores a route's order, or forgets it, and raises the epoch in the same transaction. Returns the new epoch."""
        ...


class KeyRing(Protocol):
    """API keys. Of a key itself there is its digest alone."""

    def add(self, key: ApiKey) -> Awaitable[bool]:
        """Keeps a new key. False, and nothing changed, where its id is taken."""
        ...

    def find(self, ids: Collection[str]) -> Awaitable[Sequence[ApiKey]]:
        """Those of them that there are, whoever's they are, in any order. None that was revoked before this was called."""
        ...

    def page(self, tenant: str | None, limit: int, after: KeyPlace | None = None) -> Awaitable[Sequence[ApiKey]]:
        """A tenant's keys, or everybody's, newest first: at most `limit` that come after that one."""
        ...

    def revoke(self, tenant: str | None, id_: str) -> Awaitable[bool]:
        """Forgets a key of that tenant's, or of anybody's; nobody finds it once this returns. False where there is none."""
        ...

    def used(self, at: Mapping[str, int]) -> Awaitable[None]:
        """Notes by id when keys were used, in ms; none gets an earlier time than it has, and who is gone stays gone."""
        ...


class Inbox(Protocol):
    """The inboxes of people in the app."""

    def add(self, item: Item) -> Awaitable[None]:
        """Puts an item there. One that is there already stays as it is; of a message whose recipient was erased nothing is put
        there."""
        ...

    def page(
        self, tenant: str, recipient: str, view: View, now: int, limit: int, after: Place | None = None
    ) -> Awaitable[Sequence[Item]]:
        """A person's items, newest first: at most `limit` that come after that one."""
        ...

    def counts(self, tenant: str, recipient: str, now: int) -> Awaitable[Counts]: ...

    def mark(
        self, tenant: str, recipient: str, ids: Collection[str] | None, mark: Mark, now: int, until: int | None = None
    ) -> Awaitable[Sequence[Item]]:
        """Marks items of this person's, by id, or all that are neither archived nor snoozed; returns those that it changed, as they
        are now. `until`: the end of a snooze."""
        ...

    def owed(self, limit: int) -> Awaitable[Sequence[Item]]:
        """Items of anybody's of which something is to be reported yet, those that were changed first before others."""
        ...

    def reported(self, items: Sequence[Item]) -> Awaitable[None]:
        """That what these owed was reported. An item that owes something else by now goes on owing that."""
        ...

    def forget(self, before: int, limit: int) -> Awaitable[int]:
        """Takes away at most so many items that are older; how many it were."""


B_contra = TypeVar("B_contra", contravariant=True)
V = TypeVar("V")


class Versioned(Protocol[B_contra, V]):
    """Named things of a tenant, every version of them: `B_contra` is what is put, `V` what is kept of it. A tenant sees its own."""

    async def put(self, tenant: str, name: str, body: B_contra, now: int) -> V:
        """Makes the next version, from 1 on, and returns it. Of what says the same as the newest none is made: that is returned.
        No number is given twice, though the name was deleted in between."""
        ...

    async def get(self, tenant: str, name: str, version: int | None = None) -> V | None:
        """One version, the newest where none is named. None where there is none, or it was deleted since."""
        ...

    async def list(self, tenant: str, limit: int, after: str | None = None) -> Listed[V]:
        """The newest versions, by name, of those whose names come behind `after`."""
        ...

    async def delete(self, tenant: str, name: str) -> bool:
        """Takes all its versions away. False where there was none."""
        ...


class Types(Versioned[TypeBody, TypeVersion], Protocol):
    """Kinds of notifications."""


class Layouts(Versioned[LayoutBody, LayoutVersion], Protocol):
    """What stands around mails."""


class Endpoints(Protocol):
    """The operator's own services, and what is on its way to them."""

    def add(self, endpoint: Endpoint) -> Awaitable[bool]:
        """Keeps a new endpoint. False, and nothing changed, where its id is taken."""
        ...

    def find(self, tenant: str, id_: str) -> Awaitable[Endpoint | None]: ...

    def page(self, tenant: str, limit: int, after: EndpointPlace | None = None) -> Awaitable[Sequence[Endpoint]]:
        """A tenant's endpoints, newest first: at most `limit` that come after that one."""
        ...

    def save(self, endpoint: Endpoint) -> Awaitable[bool]:
        """Replaces all but `seen` of an endpoint whose version is one less. False, and nothing changed, where it is another's."""
        ...

    def remove(self, tenant: str, id_: str) -> Awaitable[bool]:
        """Forgets an endpoint; nothing more is written for it once this returns. False where there is none."""
        ...

    def purge(self, endpoint: str, limit: int) -> Awaitable[int]:
        """Takes away at most so many postings of an endpoint; how many it were."""
        ...

    def live(self) -> Awaitable[Sequence[Endpoint]]:
        """Everybody's endpoints that are posted to. Cheap where there are none: asked every second."""
        ...

    def spread(self, endpoint: Endpoint, upto: int, postings: Sequence[Posting]) -> Awaitable[bool]:
        """Moves an endpoint's `seen` on to there, and writes the postings of the events between, all or nothing. One that is
        there already stays as it is. False, and nothing changed, where it is gone or not as given, `seen` and `version`: so of
        two who read the same events one writes, and nobody what was made of them before a person of the tenant was erased."""
        ...

    def waiting(self, endpoints: Collection[str], now: int) -> Awaitable[Sequence[str]]:
        """Those of them for which a posting is due."""
        ...

    def take(self, shares: Mapping[str, int], now: int, until: int) -> Awaitable[Sequence[Posting]]:
        """Due postings, at most so many of each endpoint, the longest due first. Nobody else is given them before `until`: then
        they are due again, for whoever took them died over them."""
        ...

    def tried(self, tried: Tried) -> Awaitable[Endpoint | None]:
        """Replaces a posting that has one try less, and judges its endpoint by it (`policy.posting.judged`), all or nothing. The
        endpoint then; None, and nothing changed, where somebody else has tried it meanwhile or it is gone."""
        ...

    def postings(self, endpoint: str, state: str | None, limit: int, before: int | None = None) -> Awaitable[Sequence[Posting]]:
        """An endpoint's postings, or those in that state, the newest event first: at most `limit` of events before that one."""
        ...

    def replay(self, endpoint: str, ids: Collection[str] | None, now: int, limit: int) -> Awaitable[Sequence[str]]:
        """Makes postings due at once that are over, with a schedule that begins anew: those of these ids, or at most `limit` of
        all that failed, the oldest event first. Returns their ids."""
        ...

    def forget(self, before: int, limit: int) -> Awaitable[int]:
        """Takes away at most so many postings of events that are older; how many it were."""
        ...

    async def figures(self, most: int) -> tuple[int, Mapping[str, int]]:
        """How many postings wait, counted as far as `most`; and how many endpoints are posted to no more, by why. Everybody's."""
        ...


class Registry(Protocol):
    """Who works. By the store's own clock."""

    def beat(self, process: str, lease_s: float) -> Awaitable[frozenset[str]]:
        """Says that this incarnation lives. Returns all that have said so within the lease, itself included."""
        ...

    def readers(self, lease_s: float) -> Awaitable[int]:
        """The newest version of parcels that all read who live: no later one may be written. 1 where nobody lives."""
        ...

    def leave(self, process: str) -> Awaitable[None]:
        """Strikes it off. Harmless when repeated."""
        ...


class Accord(Protocol):
    """What the workers of a fleet agree on: rates, breakers, and how their providers stand. By the store's own clock."""

    def lease(self, provider: str, want: int, cell_s: float, reach_s: float, *, urgent: bool) -> Awaitable[Block]:
        """Cuts cells of a provider's rate for the caller alone, by policy.limit.cut: no cell is ever cut twice."""
        ...

    def move(
        self, provider: str, version: int, change: Change, *, when_due: bool = False, notices: Sequence[Notice] = ()
    ) -> Awaitable[Bar | None]:
        """Changes a breaker of which this version is known (0: none yet); with `when_due` only once its probe is due. None,
        and nothing changed, when another version stands there or it is not due. The notices become events of the operator's
        with the change, or not at all."""
        ...

    def exchange(self, process: str, news: Sequence[Standing], lease_s: float) -> Awaitable[Picture]:
        """Keeps how these providers stand in this process, the others as they were said, and returns what all said that
        have beaten (Registry) within the lease."""
        ...


class Stands(Protocol):
    """What the operator has been told of the breakers, where one process has the providers to itself."""

    def stand(self, about: About, stand: Stand, at: int, reason: str | None) -> Awaitable[bool]:
        """Notes how a breaker stands now, and tells of what that changes (policy.notices.of_breaker), in one transaction. False,
        and nothing written, where it was known to stand so."""
        ...


class Credentials(Protocol):
    """What is known of the lives of the providers' credentials."""

    async def known(self) -> Mapping[str, Credential]:
        """By provider."""
        ...

    def put(self, credential: Credential, notices: Sequence[Notice] = ()) -> Awaitable[bool]:
        """Keeps it as the version after its own, with the notices as events of the operator's. False, and nothing written, where
        another version than its own stands there (0: none yet)."""
        ...


class Line(Protocol):
    """A connected line to one origin, held for one call."""

    @property
    def open(self) -> bool:
        """False once the other side has hung up: then write nothing."""
        ...

    async def send(self, request: Request, within_s: float) -> Answer:
        """Writes the request at once and waits for its answer, `within_s` seconds in all. Never raises for the network."""
        ...

    def release(self) -> None:
        """Gives the line back, used or not. Harmless when repeated."""
        ...


class Egress(Protocol):
    """The only way out."""

    async def open(self, provider: str, request: Request, within_s: float) -> Line:
        """A connected line for this request. `within_s` bounds the whole call, from now to the last byte of the answer. Raises
        `Unreachable` (errors.py) when there is none in time."""
        ...
