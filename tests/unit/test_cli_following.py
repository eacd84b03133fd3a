"""Following a notification: when it is over, and what is told on the way."""

from __future__ import annotations

from typing import Any

import pytest

from sendwright.cli.api import NoAnswer, Refused
from sendwright.cli.following import Follow, verdict
from tests.unit.cli_server import NOTIFICATION, message, notification


@pytest.mark.parametrize(
    ("states", "expected", "wait", "judged"),
    [
        ([], 1, "sent", "waiting"),
        (["queued"], 1, "sent", "waiting"),
        (["sent"], 2, "sent", "waiting"),
        (["sent"], 1, "sent", "reached"),
        (["read"], 1, "sent", "reached"),
        (["sent"], 1, "delivered", "waiting"),
        (["delivered", "read"], 2, "delivered", "reached"),
        (["failed"], 1, "sent", "ended"),
        (["sent", "expired"], 2, "sent", "ended"),
        (["failed", "queued"], 2, "sent", "waiting"),
        (["suppressed"], 1, "delivered", "ended"),
        (["cancelled"], 1, "sent", "ended"),
        (["in_doubt"], 1, "sent", "waiting"),
    ],
)
def test_it_is_over_when_every_message_is_where_it_should_be_or_at_its_end(
    states: list[str], expected: int, wait: str, judged: str
) -> None:
    assert verdict(states, expected, wait) == judged


def test_what_was_cancelled_before_it_was_planned_has_ended() -> None:
    assert verdict([], 1, "sent", "cancelled") == "ended"


class Scripted:
    """Stands for the API: gives one answer after the other, the last one for ever."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def get(self, path: str, query: Any = None, *, within_s: float = 0) -> Any:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Timed:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.at = 0.0

    def sleep(self, seconds: float) -> None:
        self.at += seconds


def _follow(*answers: Any, expected: int = 1, wait: str = "sent", timeout_s: float = 10) -> tuple[Follow, list[str], Timed]:
    told: list[str] = []
    clock = Timed()
    api: Any = Scripted(*answers)
    follow = Follow(api, NOTIFICATION, expected, wait, timeout_s, told.append, now=lambda: clock.at, sleep=clock.sleep)
    return follow, told, clock


def test_every_new_state_is_told_once() -> None:
    # Given
    waiting = message("queued", waiting_for={"kind": "provider", "name": "twilio-main", "until": None})
    follow, told, _ = _follow(notification(), notification(waiting), notification(waiting), notification(message("sent")))

    # When
    view = follow.run()

    # Then
    assert follow.reached
    assert view["state"] == "sent"
    assert [line.split()[1].rstrip(",") for line in told] == ["queued", "sent"]
    assert "waits for provider twilio-main" in told[0]


def test_it_gives_up_when_the_time_is_up_and_hands_back_what_it_saw_last() -> None:
    follow, told, clock = _follow(notification(message("queued")), timeout_s=5)

    view = follow.run()

    assert not follow.reached
    assert view["messages"][0]["state"] == "queued"
    assert clock.at == pytest.approx(5)
    assert "not sent within 5 s" in told[-1]


def test_a_message_that_ended_otherwise_ends_it_with_its_reason() -> None:
    follow, told, clock = _follow(notification(message("failed", reason={"code": "blocked", "detail": "21610"})))

    follow.run()

    assert not follow.reached
    assert "blocked: 21610" in told[0]
    assert clock.at == 0


def test_a_process_that_is_away_for_a_while_is_waited_for_and_that_is_told_once() -> None:
    away = NoAnswer("nothing answers", maybe=False)
    follow, told, _ = _follow(away, away, Refused(503, {"title": "Not now"}), notification(message("sent")))

    follow.run()

    assert follow.reached
    assert sum("asking again" in line for line in told) == 1


def test_a_process_that_never_answers_is_an_error() -> None:
    follow, _, _ = _follow(NoAnswer("nothing answers", maybe=False), timeout_s=1)

    with pytest.raises(NoAnswer):
        follow.run()


def test_a_refusal_ends_it_at_once() -> None:
    follow, _, clock = _follow(Refused(403, {"title": "Not yours"}))

    with pytest.raises(Refused):
        follow.run()
    assert clock.at == 0


def test_messages_come_from_as_many_pages_as_it_takes() -> None:
    first = notification(message("sent", id="msg_a"), messages_cursor="c1")
    second = notification(message("sent", id="msg_b"))
    follow, _, _ = _follow(first, second, expected=2)

    view = follow.run()

    assert follow.reached
    assert [one["id"] for one in view["messages"]] == ["msg_a", "msg_b"]
