"""Calls of ours that a callback takes: what is asked for before it is judged, and what it asks for itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from sendwright.app.fetching import KEPT_S, MOST, Fetches, line_name, route_for_callbacks
from sendwright.app.parts import routes_out
from sendwright.errors import Denied, Unreachable
from sendwright.providers.contract import Answer, Hook, HttpRequest, Lost, NotSent, Provider, Reply, Request, Verdict
from sendwright.providers.registry import make

from .api_world import StandingClock, Vendor, World

CERTIFICATE = HttpRequest("GET", "https://sns.eu-central-1.amazonaws.com/a.pem")
OTHER = HttpRequest("GET", "https://sns.eu-central-1.amazonaws.com/b.pem")
GOOD = Reply(200, body=b"pem")
SES = {
    "kind": "ses",
    "region": "eu-central-1",
    "access_key_id": "AKIDEXAMPLE0123456",
    "secret_access_key": "s",
    "from": "a@example.com",
}
TOPIC = "arn:aws:sns:eu-central-1:123456789012:mails"


class Line:
    def __init__(self, egress: Egress) -> None:
        self._egress = egress
        self.open = True

    async def send(self, request: Request, within_s: float) -> Answer:
        self._egress.calls.append(request)
        await asyncio.sleep(self._egress.takes_s)
        return self._egress.answer

    def release(self) -> None:
        self._egress.leased -= 1


class Egress:
    """Answers everything alike."""

    def __init__(self) -> None:
        self.answer: Answer = GOOD
        self.calls: list[Request] = []
        self.names: set[str] = set()
        self.leased = 0
        self.fault: Exception | None = None
        self.takes_s = 0.0

    async def open(self, provider: str, request: Request, within_s: float) -> Line:
        self.names.add(provider)
        if self.fault is not None:
            raise self.fault
        self.leased += 1
        return Line(self)


class Bench:
    def __init__(self) -> None:
        self.egress, self.clock = Egress(), StandingClock()
        self.fetches = Fetches(self.egress, self.clock)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_success_is_asked_for_once_a_day_however_many_want_it(bench: Bench) -> None:
    bench.egress.takes_s = 0.01
    assert await asyncio.gather(*(bench.fetches.get("ses", CERTIFICATE) for _ in range(20))) == [GOOD] * 20
    assert bench.egress.calls == [CERTIFICATE]
    assert await bench.fetches.get("ses", OTHER) == await bench.fetches.get("another", CERTIFICATE) == GOOD
    assert len(bench.egress.calls) == 3
    bench.clock.ms += int(KEPT_S * 1000)
    assert await bench.fetches.get("ses", CERTIFICATE) == GOOD
    assert len(bench.egress.calls) == 4
    assert bench.egress.leased == 0
    assert bench.egress.names == {"ses/callbacks", "another/callbacks"}


@pytest.mark.parametrize("answer", [Reply(503), Reply(404), Reply(302), Lost("wait")])
async def test_a_failure_is_not_kept(bench: Bench, answer: Answer) -> None:
    bench.egress.answer = answer
    assert await bench.fetches.get("ses", CERTIFICATE) == answer
    bench.egress.answer = GOOD
    assert await bench.fetches.get("ses", CERTIFICATE) == GOOD


async def test_a_call_is_made_each_time(bench: Bench) -> None:
    for _ in range(3):
        assert await bench.fetches.call("ses", CERTIFICATE) == GOOD
    assert len(bench.egress.calls) == 3


async def test_whoever_makes_up_addresses_causes_few_calls_and_hinders_no_other_account(bench: Bench) -> None:
    made_up = [HttpRequest("GET", f"https://sns.eu-central-1.amazonaws.com/{number}.pem") for number in range(MOST + 5)]
    answers = [await bench.fetches.get("ses", request) for request in made_up]
    assert answers[:MOST] == [GOOD] * MOST
    assert all(isinstance(answer, NotSent) for answer in answers[MOST:])
    assert await bench.fetches.get("ses", made_up[0]) == GOOD, "what is known costs no call"
    assert await bench.fetches.get("another", CERTIFICATE) == GOOD
    bench.clock.ms += 60_000
    assert await bench.fetches.get("ses", OTHER) == GOOD


@pytest.mark.parametrize(
    "fault", [Unreachable("connect", "refused"), Denied("this address may not be called"), ValueError("canary")]
)
async def test_no_connection_is_an_answer_too(bench: Bench, fault: Exception) -> None:
    bench.egress.fault = fault
    answer = await bench.fetches.get("ses", CERTIFICATE)
    assert isinstance(answer, NotSent)
    assert "canary" not in answer.detail


def test_the_lines_of_these_calls_are_guarded_unless_the_operator_named_the_host() -> None:
    told, alone, moved = (
        make(name, SES | over)
        for name, over in (
            ("told", {"topic_arn": TOPIC}),
            ("alone", {}),
            ("moved", {"topic_arn": TOPIC, "sns_base_url": "http://127.0.0.1:1"}),
        )
    )
    routes = routes_out({provider.name: provider for provider in (told, alone, moved)})
    assert set(routes) == {"told", "told/callbacks", "alone", "moved", "moved/callbacks"}
    assert routes[line_name("told")].guarded
    assert not routes["told"].guarded
    assert not routes["moved/callbacks"].guarded
    assert route_for_callbacks(told) == routes["told/callbacks"]


# In the API


class Wanting(Vendor):
    """Asks for a certificate before it judges, and for a call when its callback says so."""

    def wants(self, hook: Hook) -> Request | None:
        return CERTIFICATE if hook.header("signature") else None

    def verify(self, hook: Hook) -> Verdict:
        if hook.header("signature") and not isinstance(hook.fetched, Reply):
            return Verdict.LATER
        return super().verify(hook)

    def follows(self, hook: Hook) -> Request | None:
        return OTHER if hook.param("confirm") else None


class Fetched:
    """`Fetching`, that keeps what it was asked."""

    def __init__(self, answer: Answer = GOOD) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str, Request]] = []

    async def get(self, provider: str, request: Request) -> Answer:
        self.asked.append(("get", provider, request))
        return self.answer

    async def call(self, provider: str, request: Request) -> Answer:
        self.asked.append(("call", provider, request))
        return self.answer


Make = Callable[[Fetched | None], World]


@pytest.fixture
def make_world() -> Make:
    def made(fetched: Fetched | None) -> World:
        world = World(fetching=fetched)
        providers: dict[str, Provider] = world.services.providers  # type: ignore[assignment]
        providers["ses-main"] = Wanting("ses-main")
        return world

    return made


async def test_what_a_callback_takes_is_there_when_it_is_judged(make_world: Make) -> None:
    fetched = Fetched()
    world = make_world(fetched)
    assert (await world.stranger.post("/v1/hooks/ses-main?ref=1", headers={"signature": "good"})).status == 204
    assert fetched.asked == [("get", "ses-main", CERTIFICATE)]
    assert len(world.bus.published) == 1


async def test_a_callback_that_is_bad_in_any_case_causes_no_call(make_world: Make) -> None:
    fetched = Fetched()
    world = make_world(fetched)
    assert (await world.stranger.post("/v1/hooks/ses-main?confirm=1")).status == 401
    assert fetched.asked == []


@pytest.mark.parametrize("fetched", [Fetched(NotSent("connect")), Fetched(Lost("wait")), None])
async def test_what_cannot_be_judged_now_is_asked_for_again(make_world: Make, fetched: Fetched | None) -> None:
    world = make_world(fetched)
    assert (await world.stranger.post("/v1/hooks/ses-main?ref=1", headers={"signature": "good"})).status == 503
    assert world.bus.published == []


@pytest.mark.parametrize(("answer", "status"), [(GOOD, 204), (Reply(204), 204), (Reply(403), 503), (Reply(302), 503)])
async def test_a_subscription_is_answered_well_when_it_is_confirmed(make_world: Make, answer: Reply, status: int) -> None:
    fetched = Fetched(answer)
    world = make_world(fetched)
    assert (await world.stranger.post("/v1/hooks/ses-main?confirm=1", headers={"signature": "good"})).status == status
    assert fetched.asked == [("get", "ses-main", CERTIFICATE), ("call", "ses-main", OTHER)]


async def test_nothing_is_confirmed_for_who_is_not_the_vendor(make_world: Make) -> None:
    fetched = Fetched()
    world = make_world(fetched)
    assert (await world.stranger.post("/v1/hooks/ses-main?confirm=1", headers={"signature": "bad"})).status == 401
    assert [how for how, _, _ in fetched.asked] == ["get"]
