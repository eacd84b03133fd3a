"""Access tokens: fetched before a claim, by one call, renewed ahead of their end, and dropped when the vendor refuses them."""

from __future__ import annotations

import asyncio

import pytest

from sendwright.engine.telling import Trouble
from sendwright.engine.tokens import AHEAD_S, JITTER, LONGEST_S
from sendwright.model.notices import CLOSED, MISCONFIGURED, OPENED
from sendwright.model.outcomes import Later, Misconfigured
from sendwright.model.states import MessageState
from sendwright.providers.contract import Lost, Outcome, Reply, Request, Secret, Token
from sendwright.providers.registry import make

from .engine_world import FORBIDDEN, OK, UNWELL, Call, Vendor, World, in_virtual_time, throttled

BAD_GRANT = Reply(400)


def keyed(name: str = "one", **over: object) -> Vendor:
    return Vendor(name, tokens=True, **over)  # type: ignore[arg-type]


# Having one


@in_virtual_time
async def test_a_token_is_fetched_for_the_first_message_and_serves_the_next() -> None:
    one = keyed()
    async with World(one) as world:
        assert one.tokens_asked == []
        await world.settled(await world.post(), MessageState.SENT)
        await world.settled(await world.post(), MessageState.SENT)
        assert [call.token for call in one.calls] == ["token-1", "token-1"]
        assert len(one.tokens_asked) == 1


@in_virtual_time
async def test_a_crowd_is_one_fetch() -> None:
    one = keyed()
    one.latency_s = 0.4
    async with World(one) as world:
        notifications = await world.post_many(150)
        await world.settled(notifications, MessageState.SENT)
        assert len(one.tokens_asked) == 1
        assert {call.token for call in one.calls} == {"token-1"}


@in_virtual_time
async def test_an_account_without_tokens_asks_for_none() -> None:
    one = Vendor()
    async with World(one) as world:
        await world.settled(await world.post(), MessageState.SENT)
        assert (one.tokens_asked, one.calls[0].token, one.dials) == ([], None, 1)
        assert world.tokens._kept == {}


@in_virtual_time
async def test_who_gives_up_waiting_takes_the_fetch_from_nobody() -> None:
    one = keyed()
    async with World(one, started=False) as world:
        account = world.account()
        impatient = asyncio.create_task(world.tokens.of(account))
        patient = asyncio.create_task(world.tokens.of(account))
        await asyncio.sleep(0.01)
        impatient.cancel()
        assert await patient == Secret("token-1")
        assert len(one.tokens_asked) == 1


# Renewing it


@pytest.mark.slow
@in_virtual_time
async def test_a_token_in_use_is_followed_by_the_next_before_it_ends() -> None:
    one = keyed()
    async with World(one) as world:
        for _ in range(40):
            await world.post()
            await world.pass_time(300)
        waits = [after - before for before, after in zip(one.tokens_asked, one.tokens_asked[1:], strict=False)]
        assert len(waits) >= 3
        assert all(3600 - AHEAD_S * (1 + JITTER) - 1 <= wait <= 3600 - AHEAD_S + 1 for wait in waits)
        assert len({round(wait, 3) for wait in waits}) > 1, "they must not all come at once"


@in_virtual_time
async def test_nobody_waits_for_a_token_that_is_renewed() -> None:
    one = keyed()
    async with World(one) as world:
        await world.settled(await world.post(), MessageState.SENT)
        await world.pass_time(60)
        await world.settled(await world.post(), MessageState.SENT)
        await world.pass_time(3300)
        assert len(one.tokens_asked) == 2, "a quiet hour, and the next token is there"
        one.token_script.append(Lost("wait"))
        await world.settled(await world.post(), MessageState.SENT, within_s=1)
        assert one.calls[-1].token == "token-2"
        assert len(one.tokens_asked) == 2


@pytest.mark.slow
@in_virtual_time
async def test_an_account_that_sends_nothing_lets_its_token_end() -> None:
    one = keyed()
    async with World(one) as world:
        await world.settled(await world.post(), MessageState.SENT)
        await world.pass_time(3 * 3600)
        assert len(one.tokens_asked) <= 2
        await world.settled(await world.post(), MessageState.SENT)
        assert one.calls[-1].token == f"token-{len(one.tokens_asked)}"
        assert len(one.tokens_asked) <= 3


@in_virtual_time
async def test_no_message_goes_out_with_a_token_that_may_have_ended() -> None:
    one = keyed()
    one.token_life_s = 40
    async with World(one) as world:
        for second in range(200):
            await world.post()
            if second in (20, 100):
                one.token_script.extend([UNWELL] * 6)  # no next token in time
            await world.pass_time(1)
        await world.until(lambda: len(one.calls) == 200)
        ends = {f"token-{place}": at + 40 for place, at in enumerate(one.tokens_asked, 1)}
        assert all(call.at < ends[call.token or ""] for call in one.calls)
        assert max(after - before for before, after in zip(one.times, one.times[1:], strict=False)) > 5, "they had to wait"


@in_virtual_time
async def test_a_renewal_that_fails_is_tried_again_and_the_old_token_goes_on() -> None:
    one = keyed()
    async with World(one) as world:
        await world.settled(await world.post(), MessageState.SENT)
        await world.pass_time(100)
        await world.settled(await world.post(), MessageState.SENT)
        one.token_script.extend([UNWELL, Lost("wait"), BAD_GRANT])
        await world.pass_time(3280)
        assert len(one.tokens_asked) > 2
        await world.settled(await world.post(), MessageState.SENT, within_s=1)
        await world.pass_time(200)
        await world.settled(await world.post(), MessageState.SENT, within_s=1)
        assert {attempt for call in one.calls if (attempt := call.token)} == {"token-1", "token-5"}
        assert world.breaker() == "closed"
        assert len([told for told in world.told_of(Trouble) if told.where == "tokens"]) == 3


# Not having one


@in_virtual_time
async def test_a_message_whose_token_is_not_to_be_had_is_no_attempt_and_goes_when_it_is() -> None:
    one = keyed()
    one.token_script.extend([UNWELL, Reply(500), Lost("wait"), throttled(20)])
    async with World(one) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT, within_s=300)
        assert world.message(notification).number == 1
        assert [attempt.provider for attempt in world.attempts(notification)] == ["one"]
        assert len(one.calls) == 1
        assert one.tokens_asked[4] - one.tokens_asked[3] >= 20


@pytest.mark.slow
@in_virtual_time
async def test_many_messages_that_wait_for_a_token_ask_no_more_often() -> None:
    one = keyed()
    one.token_script.extend([UNWELL] * 10_000)
    async with World(one) as world:
        notifications = await world.post_many(100)
        await world.pass_time(600)
        waits = [after - before for before, after in zip(one.tokens_asked, one.tokens_asked[1:], strict=False)]
        assert 10 <= len(waits) <= 120
        assert all(wait >= 1 for wait in waits)
        one.token_script.clear()
        await world.settled(notifications, MessageState.SENT, within_s=2 * LONGEST_S)
        assert all(world.message(one_).number == 1 for one_ in notifications)


@in_virtual_time
async def test_without_a_token_the_next_provider_has_it_at_once() -> None:
    one, two = keyed("one"), Vendor("two")
    one.token_script.extend([BAD_GRANT] * 10)
    async with World(one, two) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT, within_s=1)
        assert [attempt.provider for attempt in world.attempts(notification)] == ["two"]
        assert one.calls == []


@in_virtual_time
async def test_an_account_that_is_given_no_token_is_misconfigured_until_it_is_mended() -> None:
    one = keyed()
    one.token_script.extend([BAD_GRANT] * 3)
    async with World(one) as world:
        notification = await world.post()
        await world.until(lambda: world.breaker() == "open", within_s=1)
        assert world.account().breaker.why == "misconfigured"
        assert world.message(notification).number == 0
        await world.settled(notification, MessageState.SENT, within_s=300)
        assert world.breaker() == "closed"
        assert world.message(notification).number == 1
        await world.pass_time(1)
        refused = [(type_, "one", "misconfigured") for type_ in (OPENED, MISCONFIGURED)]
        assert world.told_of_providers() == [*refused, (CLOSED, "one", None)]


@in_virtual_time
async def test_out_of_reach_of_whoever_gives_tokens_it_waits() -> None:
    one = keyed()
    one.unreachable = "connect"
    async with World(one) as world:
        notification = await world.post()
        await world.pass_time(30)
        assert one.tokens_asked == []
        assert world.message(notification).number == 0
        one.unreachable = None
        await world.settled(notification, MessageState.SENT, within_s=200)


@in_virtual_time
async def test_what_waits_for_a_token_says_for_which_provider_and_until_when() -> None:
    one = keyed()
    one.token_script.extend([throttled(40)])
    async with World(one) as world:
        notification = await world.post()
        await world.pass_time(1)
        waiting = world.message(notification).wait
        assert waiting is not None
        assert (waiting.kind, waiting.name) == ("provider", "one")
        assert world.breaker() == "closed", "who is throttled is not ill"
        await world.settled(notification, MessageState.SENT, within_s=60)
        assert world.at() > 40


@in_virtual_time
async def test_a_token_that_has_ended_when_it_comes_is_none() -> None:
    one = keyed()
    one.token_life_s = 0
    async with World(one) as world:
        notification = await world.post()
        await world.pass_time(20)
        assert one.calls == []
        assert 2 <= len(one.tokens_asked) <= 20
        one.token_life_s = 3600
        await world.settled(notification, MessageState.SENT)


@in_virtual_time
async def test_an_adapter_that_breaks_over_a_token_costs_its_own_account_alone() -> None:
    one, two = keyed("one"), Vendor("two")
    one.token_script.extend([Reply(200, body=b"no JSON")] * 5)
    async with World(one, two) as world:
        await world.settled(await world.post(), MessageState.SENT, within_s=1)
        assert two.calls
        assert any("could not read a token" in told.what for told in world.told_of(Trouble))


@in_virtual_time
async def test_an_adapter_that_breaks_over_asking_for_a_token_costs_its_own_account_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: float) -> Request:
        raise KeyError("a-secret-of-the-settings")

    one, two = keyed("one"), Vendor("two")
    async with World(one, two) as world:
        monkeypatch.setattr(world.account("one").provider, "token_request", broken)
        await world.settled(await world.post(), MessageState.SENT, within_s=1)
        assert two.calls
        said = [told.what for told in world.told_of(Trouble)]
        assert "could not ask for a token: KeyError at test_engine_tokens.py:" in said[0]
        assert "a-secret" not in str(said)


# Refused


def withdrawing(*tokens: str) -> object:
    return lambda call: FORBIDDEN if isinstance(call, Call) and call.token in tokens else OK


@in_virtual_time
async def test_a_refused_token_is_dropped_and_the_message_goes_with_the_next() -> None:
    one = keyed()
    one.always(withdrawing("token-1"))  # type: ignore[arg-type]
    async with World(one) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT, within_s=60)
        assert [call.token for call in one.calls] == ["token-1", "token-2"]
        assert world.breaker() == "closed"


@in_virtual_time
async def test_a_crowd_with_a_refused_token_is_later_for_all_of_them() -> None:
    one = keyed()
    one.always(withdrawing("token-1"))  # type: ignore[arg-type]
    async with World(one) as world:
        notifications = await world.post_many(80)
        await world.settled(notifications, MessageState.SENT, within_s=60)
        assert len(one.tokens_asked) == 2
        assert world.breaker() == "closed"
        assert not any(attempt.reason == "misconfigured" for one_ in notifications for attempt in world.attempts(one_))


@in_virtual_time
async def test_where_the_next_token_is_refused_too_it_is_the_accounts_fault() -> None:
    one = keyed()
    one.always(withdrawing("token-1", "token-2"))  # type: ignore[arg-type]
    async with World(one) as world:
        notification = await world.post()
        await world.until(lambda: world.breaker() == "open")
        assert world.account().breaker.why == "misconfigured"
        assert [attempt.reason for attempt in world.attempts(notification)] == ["limit", "misconfigured"]
        await world.settled(notification, MessageState.SENT, within_s=60)
        assert one.calls[-1].token == "token-3"


@in_virtual_time
async def test_a_token_that_served_in_between_is_forgiven_again() -> None:
    one = keyed()
    one.always(withdrawing("token-1"))  # type: ignore[arg-type]
    async with World(one) as world:
        await world.settled(await world.post(), MessageState.SENT, within_s=60)
        one.always(withdrawing("token-1", "token-2"))  # type: ignore[arg-type]
        await world.settled(await world.post(), MessageState.SENT, within_s=60)
        assert [call.token for call in one.calls] == ["token-1", "token-2", "token-2", "token-3"]
        assert world.breaker() == "closed"


@in_virtual_time
async def test_a_refusal_that_is_not_the_tokens_leaves_it() -> None:
    one = keyed()
    one.says(Reply(403))
    async with World(one) as world:
        notification = await world.post()
        await world.until(lambda: world.breaker() == "open")
        await world.settled(notification, MessageState.SENT)
        assert [call.token for call in one.calls] == ["token-1", "token-1"]


# What must not be seen, and kinds without tokens


@in_virtual_time
async def test_a_token_shows_nowhere() -> None:
    one = keyed()
    async with World(one) as world:
        await world.settled(await world.post(), MessageState.SENT)
        kept = world.tokens._kept["one"]
        assert isinstance(kept.token, Secret)
        assert "token-1" not in repr((kept.token, world.told, Token(kept.token, 0.0)))


def test_a_kind_without_tokens_has_none_to_ask_for() -> None:
    twilio = make("main", {"kind": "twilio", "account_sid": "AC1", "auth_token": "t", "from": "+15005550006"})
    outcome: Token | Outcome = twilio.token_of(Reply(200), 0.0)
    assert isinstance(outcome, Later | Misconfigured)
    assert (twilio.token_refused(Reply(401)), twilio.token_refused(Reply(403))) == (True, False)
