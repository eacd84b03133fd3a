"""Networks and vendors that are ill for a while: how those who waited come back, and what a bad line costs."""

from __future__ import annotations

import itertools
import socket
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.ports import free_port

from .faults import missing
from .harness import House, Oracle, wait_until
from .slow_line import SlowLine
from .world import FAST, Row, World, account, message_of, moment, sandbox_account, text, twilio_account

pytestmark = pytest.mark.slow

Start = Callable[..., World]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts an oracle, and a house over the accounts that `providers` makes of the oracle's port."""
    worlds: list[World] = []

    def started(providers: Callable[[int], str], extra: str = FAST, *, latency_ms: int = 0, around: tuple[str, ...] = ()) -> World:
        oracle = Oracle(tmp_path, latency_ms=latency_ms)
        worlds.append(World(tmp_path, House(tmp_path, providers(oracle.port), extra, around=around), oracle))
        worlds[-1].house.start()
        return worlds[-1]

    yield started
    for world in worlds:
        world.stop()


def url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def most_at_once(moments: list[float], within_s: float) -> int:
    """The largest number of them that fall into one window of that length."""
    first = 0
    most = 0
    for last, at in enumerate(moments):
        while at - moments[first] >= within_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def test_a_backlog_comes_back_gently_in_its_rate_and_by_its_priority(start: Start) -> None:
    # given a backlog of an account that is ill, with the urgent last of all
    rate, latency_s, concurrency = 150, 0.2, 100
    main = twilio_account("{}", "main", concurrency=concurrency) + f'rate = "{rate}/s"\n'
    world = start(lambda port: main.replace("{}", url(port)), "[breaker]\nprobe_s = 0.5\n", latency_ms=int(latency_s * 1000))
    world.oracle.faults([{"do": "status", "status": 503}])
    patient = world.post_all([text(priority="bulk") for _ in range(200)] + [text() for _ in range(100)])
    wait_until(lambda: world.provider("main")["breaker"] != "closed", 10, "the breaker opens")
    urgent = world.post_all([text(priority="critical") for _ in range(10)])
    wait_until(lambda: world.house.counts().get("queued") == 310, 10, "all wait")
    assert len(world.asked()) < 5 + concurrency
    # when it is well again
    world.oracle.faults([])
    world.all_come_to(urgent, "delivered", within_s=20)
    world.all_come_to(patient, "delivered", within_s=40)
    rows = world.asked(taken=True)
    order = [message_of(row) for row in rows]
    # then each is sent once
    assert Counter(order) == Counter([*patient, *urgent])
    # the urgent ones first, but for what was on its way, or was the probe
    assert max(order.index(message) for message in urgent) < 10 + 5 + concurrency / 10
    # a tenth of what it may have, at first, and never more than its rate
    moments = [moment(row) for row in rows]
    gentle = [at for at in moments if at - moments[0] < 1.0]
    assert most_at_once(gentle, latency_s * 0.9) <= concurrency / 10 * 2 + 1  # twice that after a good second
    assert most_at_once(moments, 2.0) <= rate * 2 * 1.05
    assert world.audit()["violations"] == []


def test_two_accounts_that_fail_together_are_each_asked_once_in_a_round(start: Start) -> None:
    """They share what is broken: the message goes to each of them, then waits, and is not passed to and fro."""
    world = start(
        lambda port: twilio_account(url(port), "first", "a") + twilio_account(url(port), "second", "b"),
        "[retry]\nbase_s = 2\ncap_s = 2\n[breaker]\nfailures = 1000\nshare = 1\n",
    )
    world.oracle.faults([{"do": "status", "status": 503}])
    bodies = [text() for _ in range(8)]
    messages = world.post_all(bodies)
    wait_until(lambda: len(world.asked()) >= 16, 20, "each of them is asked for each message")
    # and by the end of the wait they are well, together
    world.oracle.faults([])
    world.all_come_to(messages, "delivered", within_s=30)
    for body in bodies:
        first, second, third, *_ = world.asked(to=body["to"]["phone"])
        assert {first["account"], second["account"]} == {account("a"), account("b")}
        assert moment(third) - moment(second) > 1.9  # a wait
    assert [world.taken(body) for body in bodies] == [1] * 8


def test_a_line_that_is_slow_and_loses_some_doubles_nothing(start: Start) -> None:
    # given a twentieth of all pieces lost at first, and everything a third of a second late
    lines: list[SlowLine] = []

    def accounts(port: int) -> str:
        lines.append(SlowLine(port, late_s=0.3, share=0.05, again_s=0.7, seed=20_261_127))
        return twilio_account(lines[0].url, "main", concurrency=40, timeout_s=8)

    world = start(accounts)
    try:
        bodies = [text(on_doubt=on_doubt) for on_doubt in ("hold", "resend") for _ in range(40)]
        messages = world.post_all(bodies)
        # then they take as long as they take, and no more than that
        world.all_come_to(messages, "delivered", within_s=40)
        assert lines[0].repeated > 3
        assert [world.taken(body) for body in bodies] == [1] * 80
        assert {len(world.message(message)["attempts"]) for message in messages} == {1}
        assert world.house.pages("/v1/messages?doubled=true") == []
    finally:
        for line in lines:
            line.stop()


HOSTS = ("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"')
"""Runs a command that sees another file of hosts."""


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port on which nobody answers over IPv6: who connects hears nothing, neither yes nor no."""
    with socket.socket(socket.AF_INET6) as listener:
        try:
            listener.bind(("::1", free_port()))
        except OSError:
            missing("IPv6 on this machine")
        listener.listen(0)
        port = int(listener.getsockname()[1])
        stuck = [socket.socket(socket.AF_INET6) for _ in range(4)]
        for sock in stuck:
            sock.settimeout(0.0)
            sock.connect_ex(("::1", port))
        probe = socket.socket(socket.AF_INET6)
        probe.settimeout(0.5)
        try:
            with pytest.raises(TimeoutError):
                probe.connect(("::1", port))
            yield port
        finally:
            for sock in (*stuck, probe):
                sock.close()


def test_a_vendor_whose_ipv6_is_a_black_hole_is_reached_by_its_other_address(tmp_path: Path, start: Start, black_hole: int) -> None:
    # given a name with both addresses, of which the first that is tried says nothing
    hosts = tmp_path / "hosts"
    hosts.write_text("::1 vendor.example.com\n127.0.0.1 vendor.example.com\n127.0.0.1 localhost\n")
    around = (*HOSTS, str(hosts))
    if subprocess.run([*around, "true"], check=False, capture_output=True).returncode != 0:
        missing("leave to have a file of hosts of its own")
    lines: list[SlowLine] = []

    def accounts(port: int) -> str:
        lines.append(SlowLine(port, listen=black_hole))
        return twilio_account(f"http://vendor.example.com:{black_hole}", "main", timeout_s=5)

    world = start(accounts, "", around=around)
    try:
        # when there is work, with breakers as they are set by default
        bodies = [text(on_doubt="hold") for _ in range(20)]
        messages = world.post_all(bodies)
        # then it arrives, once, and nobody is taken for ill
        world.all_come_to(messages, "sent", within_s=20)
        assert [world.taken(body) for body in bodies] == [1] * 20
        assert {len(world.message(message)["attempts"]) for message in messages} == {1}
        standing = world.provider("main")
        assert (standing["breaker"], standing["success_rate"]) == ("closed", 1)
    finally:
        for line in lines:
            line.stop()


def test_a_text_has_as_many_characters_as_its_vendor_takes_and_not_one_more(start: Start) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    world = start(
        lambda port: (
            twilio_account(url(port), "main") + twilio_account(nowhere, "other") + sandbox_account(url(port), "box", ["email"])
        )
    )
    link = "https://example.com/"

    def said(body: str, **more: str) -> Row:
        return text() | {"content": {"body": body, **more}}

    # given texts that just fit, by characters of every width, and with what is joined to them
    fitting = [said(letter * 1600) for letter in ("a", "€", "ž", "字", "😀")]
    fitting += [said("b" * (1600 - 6), title="title"), said("c" * (1600 - len(link) - 1), url=link)]
    # and the same with one character more
    over = [text() | {"content": body["content"] | {"body": body["content"]["body"] + "x"}} for body in fitting]
    sent, failed = world.post_all(fitting), world.post_all(over)
    # then the former arrive as they are, in one piece
    world.all_come_to(sent, "delivered")
    for body in fitting:
        (asked,) = world.asked(to=body["to"]["phone"])
        assert len(asked["body"]) == 1600
        assert body["content"]["body"] in asked["body"]
    # and the latter are never called for, by no account, and say why
    world.all_come_to(failed, "failed")
    rows = [world.message(message) for message in failed]
    assert {row["reason"]["code"] for row in rows} == {"too_long"}
    assert list(itertools.chain(*(row["attempts"] for row in rows))) == []
    assert [world.asked(to=body["to"]["phone"]) for body in over] == [[]] * 7
    # and where there is another way, that is gone
    both = said("x" * 1601) | {"to": {"phone": "+14155550199", "email": "a@example.com"}, "channels": ["sms", "email"]}
    message = world.post(both)
    row = world.comes_to(message, "delivered")
    assert row["channel"] == "email"
