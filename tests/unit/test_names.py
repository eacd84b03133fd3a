"""Look-ups of names: who is held up by a resolver that says nothing, and by whom nobody is."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from sendwright.drivers.egress import names as names_of
from sendwright.drivers.egress.address import Endpoint
from sendwright.drivers.egress.names import Names, look_up
from sendwright.errors import Unreachable

LIMIT_S = 10.0
FOUND = Endpoint(socket.AF_INET, ("192.0.2.1", 0))


class Resolver:
    """A blocking one: says nothing about the names in `silent` until it is released, and that others in `missing` are none."""

    def __init__(self, *silent: str) -> None:
        self.silent = set(silent)
        self.missing: set[str] = set()
        self.released = threading.Event()
        self.asked: Counter[str] = Counter()
        self.running: set[str] = set()
        self.most = 0
        self._lock = threading.Lock()

    def __call__(self, host: str) -> Sequence[Endpoint]:
        with self._lock:
            self.asked[host] += 1
            self.running.add(host)
            self.most = max(self.most, len(self.running))
        try:
            if host in self.silent:
                self.released.wait(LIMIT_S)
            if host in self.missing:
                raise Unreachable("resolve", "no such name")
            return [FOUND]
        finally:
            with self._lock:
                self.running.discard(host)


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    made = Resolver("one", "two")
    yield made
    made.released.set()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver has said nothing when it has not answered at once."""
    monkeypatch.setattr(names_of, "LOOK_UP_S", 0.02)
    monkeypatch.setattr(names_of, "STALE_WAIT_S", 0.02)


async def find(names: Names, host: str) -> list[object]:
    return [endpoint.sockaddr for endpoint in await names.find(host, 443)]


async def until(resolver: Resolver, *hosts: str) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not resolver.running >= set(hosts):
            await asyncio.sleep(0.002)


async def test_names_that_nothing_is_said_about_hold_up_no_other_name(resolver: Resolver) -> None:
    names = Names(resolver)
    stuck = [asyncio.create_task(find(names, host)) for host in ("one", "two", "one", "two")]
    await until(resolver, "one", "two")
    assert await find(names, "three") == [("192.0.2.1", 443)]
    assert resolver.running == {"one", "two"}
    assert [task.done() for task in stuck] == [False] * 4
    resolver.released.set()
    assert await asyncio.gather(*stuck) == [[("192.0.2.1", 443)]] * 4


async def test_a_name_is_looked_up_once_at_a_time_whoever_asks_and_gives_up(impatient: None, resolver: Resolver) -> None:
    names = Names(resolver)
    for _ in range(3):
        outcomes = await asyncio.gather(*(names.find("one", port) for port in range(1, 20)), return_exceptions=True)
        assert {str(outcome) for outcome in outcomes} == {"resolve: the resolver did not answer"}
    assert resolver.asked == {"one": 1}


async def test_what_is_learned_when_nobody_waits_any_more_is_kept(impatient: None, resolver: Resolver) -> None:
    names = Names(resolver)
    with pytest.raises(Unreachable):
        await names.find("one", 443)
    resolver.released.set()
    async with asyncio.timeout(LIMIT_S):
        while resolver.running:
            await asyncio.sleep(0.002)
    await asyncio.sleep(0)
    assert await find(names, "one") == [("192.0.2.1", 443)]
    assert resolver.asked == {"one": 1}


async def test_no_more_look_ups_run_than_the_limit_allows_and_the_next_gets_the_place_of_the_first(resolver: Resolver) -> None:
    names = Names(resolver, most=2)
    tasks = [asyncio.create_task(find(names, host)) for host in ("one", "two", "three", "four")]
    await until(resolver, "one", "two")
    await asyncio.sleep(0.02)
    assert resolver.asked == {"one": 1, "two": 1}
    resolver.released.set()
    assert await asyncio.gather(*tasks) == [[("192.0.2.1", 443)]] * 4
    assert resolver.most == 2


async def test_users_names_take_no_place_of_an_operators(resolver: Resolver) -> None:
    names = Names(resolver, most=1, most_users=2)
    stuck = [asyncio.create_task(names.find_checked(host, 443)) for host in ("one", "two")]
    await until(resolver, "one", "two")
    assert await find(names, "three") == [("192.0.2.1", 443)]
    for task in stuck:
        task.cancel()


async def test_a_name_that_was_found_is_not_looked_up_again_soon(resolver: Resolver) -> None:
    names = Names(resolver)
    assert await names.find("three", 443) == [Endpoint(socket.AF_INET, ("192.0.2.1", 443))]
    assert await names.find("three", 8443) == [Endpoint(socket.AF_INET, ("192.0.2.1", 8443))]
    assert resolver.asked == {"three": 1}


async def test_the_older_answer_is_told_while_the_resolver_says_nothing_more(impatient: None, resolver: Resolver) -> None:
    names = Names(resolver)
    await find(names, "three")
    resolver.silent.add("three")
    names.doubt("three")
    assert await find(names, "three") == [("192.0.2.1", 443)]
    assert await find(names, "three") == [("192.0.2.1", 443)]
    assert resolver.asked == {"three": 2}


async def test_an_answer_is_told_no_more_when_it_is_too_old(
    impatient: None, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names_of, "STALE_S", 0.0)
    names = Names(resolver)
    await find(names, "three")
    resolver.silent.add("three")
    names.doubt("three")
    with pytest.raises(Unreachable):
        await names.find("three", 443)


async def test_a_name_that_is_said_to_be_none_any_more_is_forgotten(resolver: Resolver) -> None:
    names = Names(resolver)
    await find(names, "three")
    resolver.missing.add("three")
    names.doubt("three")
    for _ in range(2):
        with pytest.raises(Unreachable, match="no such name"):
            await names.find("three", 443)
    assert resolver.asked == {"three": 3}


async def test_nothing_is_remembered_of_users_names(resolver: Resolver) -> None:
    names = Names(lambda host: [Endpoint(socket.AF_INET, ("8.8.8.8", 0))] if resolver(host) else [])
    await names.find("three", 443)
    for _ in range(2):
        await names.find_checked("three", 443)
    assert resolver.asked == {"three": 3}


async def test_a_machine_without_another_thread_says_later(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(Unreachable):
        await Names(resolver).find("three", 443)


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), "no such name"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "the resolver did not answer"),
        (UnicodeError("x"), "the name can't be looked up"),
        (OSError("x"), "the name can't be looked up"),
    ],
)
def test_a_failed_look_up_is_told_without_the_name(failure: Exception, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(Unreachable) as refusal:
        look_up("hooks.example.com")
    assert (refusal.value.phase, refusal.value.detail) == ("resolve", said)


def test_a_process_ends_although_a_look_up_does_not(resolver: Resolver) -> None:
    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(Names(resolver).find("one", 443), 0.02)

    asyncio.run(give_up())
    assert resolver.running == {"one"}
    assert [thread.daemon for thread in threading.enumerate() if thread.name == "look-up"] == [True]
