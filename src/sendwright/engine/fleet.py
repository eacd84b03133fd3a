"""The providers together: who of a channel's route may be asked, how much they take, and the epoch under which that was read.

Everything here is in memory and lost with the process, but the switches and the orders of routes: those come from the
switchboard, with the epoch that every claim carries. Decisions are `policy`'s; this holds the facts they are made of.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from sendwright.engine.account import Account
from sendwright.engine.ports import Switchboard
from sendwright.engine.telling import BreakerMoved, Tell
from sendwright.model.notification import Priority
from sendwright.model.parcel import Round
from sendwright.model.records import Order, Patience
from sendwright.policy.breaker import Health, Permit
from sendwright.policy.reaction import Left

LATELY_S = 2.0
"""So old may a bus's look into a lane be that others take from."""


class Fleet:
    """All accounts, the routes over them, and the epoch under which they were read."""

    def __init__(
        self,
        accounts: Iterable[Account],
        routes: Mapping[str, Sequence[str]],
        board: Switchboard,
        tell: Tell,
        lines: Callable[[str, int], None] = lambda _name, _concurrency: None,
        moved: Callable[[Account], None] = lambda _account: None,
    ) -> None:
        """`lines` is told how many calls at a time each account may make, whenever the switches are read; `moved` of each breaker
        that moves, where nobody shares it."""
        self.accounts = {account.name: account for account in accounts}
        self._filed = {channel: [self.accounts[name] for name in names] for channel, names in routes.items()}
        self._routes = dict(self._filed)
        self.reordered: frozenset[str] = frozenset()
        """The channels whose order was set at run time, and holds."""
        self.channels = [channel for channel, accounts in self._filed.items() if accounts]
        """Those that have a provider, whatever its standing."""
        self._board = board
        self._tell = tell
        self._lines = lines
        self._moved = moved
        self._brought: dict[tuple[str, Priority], deque[tuple[float, int]]] = {}
        self.epoch = 0

    def route(self, channel: str) -> Sequence[Account]:
        return self._routes.get(channel, ())

    async def reload(self) -> None:
        """Reads the switches and orders; from here on claims carry their epoch."""
        epoch, switches = await self._board.read()
        orders = await self._board.orders()
        by_name = {switch.provider: switch for switch in switches}
        self._reorder(orders)
        for account in self.accounts.values():
            account.apply(by_name.get(account.name))
            self._lines(account.name, account.concurrency)
        self.epoch = epoch

    def candidates(self, channel: str) -> list[Account]:
        """All that serve the channel, on its route or not."""
        return [account for account in self.accounts.values() if channel in account.capabilities.channels]

    def _reorder(self, orders: Iterable[Order]) -> None:
        """Providers that the settings have lost since are passed over; where that leaves nobody, the file's route holds again."""
        known = {order.channel: self._known(order) for order in orders if order.channel in self._filed}
        held = {channel: accounts for channel, accounts in known.items() if accounts}
        self._routes, self.reordered = self._filed | held, frozenset(held)

    def _known(self, order: Order) -> list[Account]:
        by_name = {account.name: account for account in self.candidates(order.channel)}
        return [by_name[name] for name in order.providers or () if name in by_name]

    def choose(self, channel: str, round_: Round, now: float, now_ms: int, full: Sequence[str] = ()) -> Account | None:
        """The first account in the route's order that may be called and was not asked in this round; those that are `full` are
        passed over. Where a repeat of a lost call would be known, nobody else for a while."""
        only = round_.bound(now_ms)
        bound = self.on_route(channel, only)
        passed = (*round_.asked, *full)
        for account in self.route(channel):
            fits = account.name not in passed and (not bound or account.name == only)
            if fits and account.permit(now) != Permit.NO:
                return account
        return None

    def on_route(self, channel: str, name: str | None) -> bool:
        return name is not None and any(account.name == name for account in self.route(channel))

    def patience(self, name: str) -> Patience:
        """That of a provider, if need be one that the settings do not know any more."""
        return self.accounts[name].patience if name in self.accounts else Patience(1000)

    def left(self, channel: str, round_: Round, now: float, now_ms: int) -> Left:
        """Who of the route could still take a message of this round. Those that are switched off count for nothing."""
        bound = round_.bound(now_ms)
        if self.on_route(channel, bound):
            return Left.SOME
        if self.choose(channel, round_, now, now_ms) is not None:
            return Left.OTHERS
        open_to_it = any(account.enabled and account.name not in round_.refused for account in self.route(channel))
        return Left.SOME if open_to_it or not round_.refused else Left.NOBODY

    def shut(self, name: str, now: float) -> bool:
        """Whether nobody may call it now, be it for its health, a pause or a switch."""
        return name in self.accounts and self.accounts[name].permit(now) == Permit.NO

    def opens_first(self, channel: str, now: float, besides: Sequence[str] = ()) -> tuple[str | None, float | None]:
        """Of a route that is shut but for those `besides`: the provider that may be called first, and in how many seconds,
        where that is known."""
        shut = [account for account in self.route(channel) if account.name not in besides]
        known = [(at - now, account.name) for account in shut if (at := account.opens_at()) is not None]
        in_s, name = min(known, default=(None, None))
        return name or next((account.name for account in shut), None), in_s

    def awaited(self, channel: str, now: float) -> tuple[str, str | None]:
        """What a message waits for that wants no more than a place of the route: `rate` or `provider`, and whose."""
        well = [account for account in self.route(channel) if not self.shut(account.name, now)]
        if not well:
            return "provider", self.opens_first(channel, now)[0]
        return ("provider" if well[-1].rate is None else "rate"), well[-1].name

    def room(self, channel: str, priority: Priority, now: float, horizon_s: float) -> int:
        return sum(account.room(priority, now, horizon_s) for account in self.route(channel))

    def brought(self, channel: str, priority: Priority, count: int, now: float, horizon_s: float) -> None:
        """So many were pulled into a lane, by the room that there was."""
        if count > 0 and any(account.meter is not None and account.looks_on for account in self.route(channel)):
            self._brought.setdefault((channel, priority), deque()).append((now, count))
        for account in self.route(channel):
            if account.shared is not None and count > 0:
                share = min(count, account.room(priority, now, horizon_s))
                account.brought(share, now)
                count -= share

    def lately_brought(self, channel: str, priority: Priority, now: float) -> int:
        """Of what lies in a lane by a look that may be seconds old, so many may have been taken since, by other processes; how
        many there may be is then said by the rate and by the lines. 0 where this process takes them itself, or there is no rate."""
        brought = self._brought.get((channel, priority))
        while brought and brought[0][0] < now - LATELY_S:
            brought.popleft()
        return sum(count for _, count in brought) if brought else 0

    def in_line(self, channel: str, priority: Priority) -> int:
        """How many of this priority stand in line for a place."""
        return sum(account.awaited(priority) for account in self.route(channel))

    def opens_in_s(self, channel: str, priority: Priority, now: float) -> float | None:
        """Seconds until the route may have room for a call of this priority; None while all of it is shut."""
        opening = (account.opens_in_s(priority, now) for account in self.route(channel))
        return min((seconds for seconds in opening if seconds is not None), default=None)

    def pace(self, channel: str, priority: Priority, now: float) -> float:
        return sum(account.pace(priority, now) for account in self.route(channel))

    def own_pace(self, channel: str, priority: Priority, now: float) -> float | None:
        """Messages a second that this process has the places for; None where that does not decide how long anybody stands in line:
        a rate does, or nobody may be called."""
        open_ = [account for account in self.route(channel) if account.permit(now) != Permit.NO]
        if not open_ or any(account.rate is not None for account in open_):
            return None
        return sum(account.own_pace(priority, now) for account in open_)

    def note(
        self, account: Account, health: Health, now: float, *, probe: int = 0, why: str = "", seconds: float | None = None
    ) -> None:
        if account.note(health, now, probe=probe, why=why, seconds=seconds):
            account.wake()
            if account.shared is not None:
                account.shared.moved()
            else:
                self._moved(account)
            self._tell(BreakerMoved(account.name, account.breaker.state.value, why))
