"""When a provider is asked again: ever more seldom, and not for ever."""

from __future__ import annotations

from sendwright.policy.lookup import FIRST_MS, UNTIL_MS, is_first, next_look

NOW = 1_800_000_000_000


def test_each_silence_lasts_twice_as_long_as_the_one_before_until_it_is_three_days_old() -> None:
    at, ages = NOW + FIRST_MS, []
    while at is not None:
        ages.append((at - NOW) / FIRST_MS)
        at = next_look(NOW, at)  # type: ignore[assignment]
    assert ages == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert ages[-1] * FIRST_MS <= UNTIL_MS < 2 * ages[-1] * FIRST_MS


def test_who_was_asked_late_is_asked_again_when_the_silence_has_doubled() -> None:
    assert next_look(NOW, NOW + 5 * FIRST_MS) == NOW + 10 * FIRST_MS


def test_a_call_that_seems_to_begin_in_the_future_is_asked_about_as_one_of_now() -> None:
    assert next_look(NOW + UNTIL_MS, NOW) == NOW + FIRST_MS


def test_only_the_look_that_the_claim_asked_for_is_the_first() -> None:
    assert is_first(NOW, NOW + FIRST_MS)
    assert not is_first(NOW, NOW + 2 * FIRST_MS)
