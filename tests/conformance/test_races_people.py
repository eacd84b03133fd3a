"""As test_races.py: where suppressions, evidence that makes them, recipients and erasures meet a claim, or one another.

What must hold whichever wins: nothing is claimed once a suppression is answered; two who write one recipient lose nothing of
each other; nobody becomes known again whom somebody has erased.
"""

from __future__ import annotations

import pytest

from sendwright.model.ids import message_id
from sendwright.model.inbox import View
from sendwright.model.notification import Recipient
from sendwright.model.parcel import Step
from sendwright.model.records import Claimed, Refused
from sendwright.model.states import AttemptState, MessageState
from tests.conformance.backends import UnderTest, every_backend
from tests.conformance.builders import (
    EMAIL,
    MARKER,
    NOW,
    TENANT,
    accepted,
    birth,
    claim,
    claimed,
    new_id,
    outcome,
    plan,
    planned,
    receipt,
    rejected,
)
from tests.conformance.racing import INTERLEAVINGS, Call, Interleaving, assert_consistent, observing, race, settling, spelled
from tests.conformance.test_directory import PHONE, change, erased, known, to_inbox
from tests.conformance.test_endpoints import endpoint, posting
from tests.conformance.test_suppressions import asking, listed

backend = every_backend()

pytestmark = pytest.mark.parametrize("order", INTERLEAVINGS, ids=spelled)

A = AttemptState


async def test_nothing_is_claimed_once_the_suppression_is_answered(backend: UnderTest, order: Interleaving) -> None:
    # given
    parcel = await planned(backend.ledger)
    adding = Call("add", lambda: backend.suppressions.add(listed()))
    claiming = Call("claim", lambda: backend.ledger.claim(asking(parcel)))
    # when
    raced = await race(backend, order, claiming, adding)
    # then the two have one order: who was answered second saw the other
    row = await assert_consistent(backend, parcel, carried=True)
    if isinstance(raced.first, Claimed):
        assert row.state == MessageState.SENDING
        assert not (order == ("first", None) and raced.overtook), "answered while an older claim could still be granted"
    else:
        assert raced.first == Refused("suppressed", "opted_out")
        assert row.state == MessageState.QUEUED
    if order[0] == "second" and order[1] is None and backend.name != "postgres":
        assert isinstance(raced.first, Refused)


@pytest.mark.parametrize("how", ["observe", "settle"])
async def test_evidence_and_a_claim_for_the_same_address_have_one_order(backend: UnderTest, order: Interleaving, how: str) -> None:
    # given one call that is refused at the moment in which another message to that address is claimed
    parcel = await planned(backend.ledger, steps=(EMAIL,))
    held = await claimed(backend.ledger, parcel, "token-0")
    if how == "observe":
        await backend.ledger.settle(accepted(parcel, held, "token-0"))
        telling = observing(backend, receipt(A.FAILED, held.attempt, reason="invalid_address"))
    else:
        telling = settling(
            backend, outcome(parcel, held, A.REJECTED, rejected(parcel, held).decision, "token-0", reason="invalid_address")
        )
    another = await planned(backend.ledger, steps=(EMAIL,))
    claiming = Call("claim", lambda: backend.ledger.claim(claim(another, marks=MARKER.addresses(another.address))))
    # when
    raced = await race(backend, order, claiming, telling)
    # then whoever was held open kept the other waiting
    if order == ("second", None):
        assert (raced.first, raced.overtook) == (Refused("suppressed", "invalid_address"), False)
    elif order == ("first", None):
        assert not isinstance(raced.first, Refused)
        assert not raced.overtook


async def test_two_who_write_one_recipient_at_once_lose_nothing_of_each_other(backend: UnderTest, order: Interleaving) -> None:
    # given one that is known already: its row is all that there is to hold
    await backend.directory.write([change(locale="de")])
    one = Call("write", lambda: backend.directory.write([change(email="ada@example.org")]))
    two = Call("write", lambda: backend.directory.write([change(phone=PHONE)]))
    await race(backend, order, one, two)
    assert await known(backend) == Recipient(id="ada", email="ada@example.org", phone=PHONE, locale="de")


async def test_nobody_is_made_known_whom_somebody_erases_at_the_same_moment(backend: UnderTest, order: Interleaving) -> None:
    writing = Call("write", lambda: backend.directory.write([change(guarded=True, email="ada@example.org")]))
    erasing = Call("erase", lambda: erased(backend))
    await race(backend, order, writing, erasing)
    assert await known(backend) is None


async def test_nothing_lies_in_the_inbox_of_somebody_who_is_erased_while_it_is_put_there(
    backend: UnderTest, order: Interleaving
) -> None:
    ntf = new_id()
    await backend.ledger.plan([plan(birth(ntf, steps=(Step("inapp", "ada"),), recipient="ada"), notification=ntf)])
    adding = Call("add", lambda: backend.inbox.add(to_inbox(message_id(ntf, 0), "ada")))
    erasing = Call("erase", lambda: erased(backend))
    await race(backend, order, adding, erasing)
    assert await backend.inbox.page(TENANT, "ada", View.ALL, NOW, 10) == []


async def test_nothing_is_told_of_somebody_who_is_erased_while_it_is_written_down(backend: UnderTest, order: Interleaving) -> None:
    # given what was made of an event of theirs
    ntf = new_id()
    await backend.ledger.plan([plan(birth(ntf, recipient="ada"), notification=ntf)])
    made = endpoint(tenant=TENANT)
    await backend.endpoints.add(made)
    telling = Call("spread", lambda: backend.endpoints.spread(made, 8, [posting(8, made, subject=message_id(ntf, 0))]))
    erasing = Call("erase", lambda: erased(backend))
    await race(backend, order, telling, erasing)
    assert list(await backend.endpoints.postings(made.id, None, 9)) == []
