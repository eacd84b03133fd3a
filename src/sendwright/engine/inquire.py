"""inquire: providers are asked what became of messages that they took and never reported of.

A callback can be lost for good: no retry reached us, or nothing could. Then the message would stay `sent` although its phone has
long rung. What a look-up finds joins the attempt as a receipt does. It is work of the least urgent kind: one call at a time, in
the line of what is bulk, and never of a provider that is unwell.
"""

from __future__ import annotations

from sendwright.engine.account import Account
from sendwright.engine.drift import Held, never
from sendwright.engine.fleet import Fleet
from sendwright.engine.ports import Clock, Egress, Ledger
from sendwright.engine.telling import Settled, Tell, Trouble
from sendwright.errors import Unavailable, Unreachable, where
from sendwright.model.notification import Priority
from sendwright.model.parcel import Sighting
from sendwright.model.records import Unheard
from sendwright.policy.breaker import Permit
from sendwright.providers.contract import Receipt, Reply

EVERY_S = 10.0
SLOT_WAIT_S = 5.0
"""How long one stands in line for its provider, behind all that is more urgent than bulk; then it is left for the next time."""
MOST = 50
"""Attempts taken at a time. Who dies over them asks no more of those until they are twice as old."""


class Inquirer:
    """The story of what nobody reported."""

    def __init__(self, ledger: Ledger, fleet: Fleet, egress: Egress, clock: Clock, tell: Tell, held: Held = never) -> None:
        self._ledger = ledger
        self._fleet = fleet
        self._egress = egress
        self._clock = clock
        self._tell = tell
        self._held = held

    async def run(self) -> None:
        while True:
            taken = await self.turn()
            if taken < MOST:
                await self._clock.sleep(EVERY_S)

    async def turn(self) -> int:
        """Asks about those whose time has come; returns how many there were. Right after a step of the wall clock nobody's
        time has come (drift.py)."""
        if self._held():
            return 0
        try:
            silent = await self._ledger.unheard(self._clock.now_ms(), MOST)
            for unheard in silent:
                await self._ask(unheard)
        except Unavailable as error:
            self._tell(Trouble("inquire", str(error)))
            return 0
        return len(silent)

    async def _ask(self, unheard: Unheard) -> None:
        account = self._fleet.accounts.get(unheard.provider)
        if account is None or not account.capabilities.lookups or account.permit(self._clock.monotonic()) != Permit.YES:
            return
        receipt = await self._call(account, unheard.ref)
        if receipt is None:
            return
        sighting = Sighting(
            provider=account.name,
            state=receipt.state,
            attempt=unheard.attempt,
            ref=unheard.ref,
            reason=receipt.reason.value if receipt.reason is not None else None,
            detail=receipt.detail,
        )
        moved = await self._ledger.observe(sighting, self._clock.now_ms())
        if moved.message is not None and moved.after is not None and moved.after != moved.before:
            self._tell(Settled(moved.message, moved.after))

    async def _call(self, account: Account, ref: str) -> Receipt | None:
        """What the provider says; None where it says nothing new, or can't be asked now."""
        slot = await account.take(Priority.BULK, self._clock, SLOT_WAIT_S)
        if slot is None:
            return None
        try:
            if slot.probe:
                return None  # it became unwell meanwhile: the probe is for a message to make
            request = account.provider.lookup(ref)
            line = await self._egress.open(account.name, request, account.timeout_s)
            try:
                answer = await line.send(request, account.timeout_s)
            finally:
                line.release()
            return account.provider.told(answer) if isinstance(answer, Reply) else None
        except (ValueError, Unreachable):
            return None
        except Exception as error:  # noqa: BLE001 — a plugin's mistake must cost its own look-up, not all of them
            self._tell(Trouble("inquire", f"{account.provider!r} could not be asked: {where(error)}"))
            return None
        finally:
            slot.release()
