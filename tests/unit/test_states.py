"""The table of states: ranks, joins, and every pair of a move."""

from __future__ import annotations

import itertools

import pytest

from sendwright.model.notification import state_of
from sendwright.model.states import MESSAGE_MOVES, AttemptState, MessageState, may_move, message_state, notification_state

M = MessageState

# One row per state, one column per state, in the order of the table: may the row's state become the column's?
MOVES = """
             accepted scheduled digesting queued sending in_doubt sent failed expired cancelled suppressed delivered read
accepted        .        x         x        x      .        x       .    x       x        x         x          .      .
scheduled       .        .         .        x      x        x       x    x       x        x         x          x      x
digesting       .        x         .        x      .        .       .    x       x        x         x          .      .
queued          .        x         .        .      x        x       x    x       x        x         x          x      x
sending         .        x         .        x      .        x       x    x       x        x         x          x      x
in_doubt        .        x         .        x      x        .       x    x       x        x         .          x      x
sent            .        x         .        x      x        x       .    x       x        .         .          x      x
failed          .        x         .        x      x        .       x    .       .        .         .          x      x
expired         .        x         .        x      x        .       x    .       .        .         .          x      x
cancelled       .        x         .        x      .        .       x    .       .        .         .          x      x
suppressed      .        x         .        x      .        .       x    .       .        .         .          x      x
delivered       .        .         .        .      .        .       .    .       .        .         .          .      x
read            .        .         .        .      .        .       .    .       .        .         .          .      .
"""

RANKS = {
    0: ["accepted"],
    1: ["scheduled", "digesting"],
    2: ["queued", "sending"],
    3: ["in_doubt"],
    4: ["sent"],
    5: ["failed", "expired", "cancelled", "suppressed"],
    6: ["delivered"],
    7: ["read"],
}


def drawn() -> dict[tuple[str, str], bool]:
    header, *rows = MOVES.strip().splitlines()
    columns = header.split()
    return {(row.split()[0], column): mark == "x" for row in rows for column, mark in zip(columns, row.split()[1:], strict=True)}


def test_every_pair_of_states_moves_as_the_table_is_drawn() -> None:
    table = drawn()

    assert len(table) == len(M) ** 2
    for before, after in itertools.product(M, M):
        assert may_move(before, after) is (before == after or table[before.label, after.label]), (before, after)


def test_every_state_has_its_rank_and_its_place_within_it() -> None:
    found: dict[int, list[str]] = {}
    for state in M:
        found.setdefault(state.rank, []).append(state.label)

    assert found == RANKS
    assert [state.label for state in sorted(M)] == [label for labels in RANKS.values() for label in labels]


@pytest.mark.parametrize("before", [M.DELIVERED, M.READ])
def test_what_was_delivered_or_read_is_never_taken_back(before: MessageState) -> None:
    assert all(after > before for after in MESSAGE_MOVES[before])


@pytest.mark.parametrize("state", [state for state in M if state not in {M.ACCEPTED, M.DIGESTING, M.READ, M.DELIVERED}])
def test_a_proof_of_delivery_is_legal_wherever_an_attempt_may_have_been_made(state: MessageState) -> None:
    assert may_move(state, M.DELIVERED)
    assert may_move(state, M.READ)


def test_every_state_can_be_reached_from_accepted_and_none_returns_to_it() -> None:
    reached, fresh = {M.ACCEPTED}, [M.ACCEPTED]
    while fresh:
        following = MESSAGE_MOVES[fresh.pop()] - reached
        reached |= following
        fresh += following

    assert reached == set(M)
    assert not any(M.ACCEPTED in after for after in MESSAGE_MOVES.values())


def test_settled_are_the_states_after_which_nothing_is_done_unasked() -> None:
    assert [state.label for state in M if not state.settled] == ["accepted", "scheduled", "digesting", "queued", "sending"]


@pytest.mark.parametrize("state", M)
def test_a_state_is_found_by_the_word_that_people_see(state: MessageState) -> None:
    assert message_state(state.label) is state
    assert str(state) == state.label


def test_another_word_is_no_state() -> None:
    with pytest.raises(KeyError):
        message_state("bounced")


def test_evidence_joins_in_any_order_and_grouping_and_repeating_it_changes_nothing() -> None:
    for a, b, c in itertools.product(AttemptState, repeat=3):
        assert a.join(b) is b.join(a)
        assert a.join(b).join(c) is a.join(b.join(c))
        assert a.join(a) is a
        assert a.join(b) in {a, b}


@pytest.mark.parametrize(
    ("first", "second", "joined"),
    [
        ("sending", "in_doubt", "in_doubt"),
        ("in_doubt", "sent", "sent"),
        ("sent", "failed", "failed"),
        ("sent", "rejected", "rejected"),
        ("failed", "delivered", "delivered"),
        ("rejected", "delivered", "delivered"),
        ("delivered", "failed", "delivered"),
        ("read", "delivered", "read"),
    ],
)
def test_the_stronger_evidence_stands(first: str, second: str, joined: str) -> None:
    assert AttemptState[first.upper()].join(AttemptState[second.upper()]).label == joined


def test_a_notification_is_where_its_hindmost_message_is() -> None:
    for states in itertools.product(M, repeat=2):
        assert notification_state(list(states)) is (states[0] if states[0].value <= states[1].value else states[1])

    assert notification_state([M.READ, M.FAILED, M.CANCELLED]) is M.FAILED
    assert notification_state([]) is M.ACCEPTED


def test_a_notification_that_was_cancelled_before_it_had_messages_is_cancelled_and_later_what_they_are() -> None:
    assert state_of([], cancelled=True) is M.CANCELLED
    assert state_of([], cancelled=False) is M.ACCEPTED
    assert state_of([M.SENT, M.CANCELLED], cancelled=True) is M.SENT
