"""What is on the bus: `migrate` makes it and checks it, and what a channel without a provider leaves there goes on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import aiormq
import pytest

from tests.acceptance.harness import Oracle, Process, sms, twilio, wait_until
from tests.acceptance.several import READY_S, Rabbit, Several, several
from tests.acceptance.sqs_process import Sqs, sqs_server
from tests.conformance.rabbit import URL

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(300)]

MAIL = '[providers.mail]\nkind = "console"\nchannels = ["email"]\n'


@pytest.fixture
def oracle(tmp_path: Path) -> Iterator[Oracle]:
    started = Oracle(tmp_path)
    yield started
    started.stop()


def migrated(house: Several) -> tuple[int, str]:
    """Runs `sendwright migrate`; its exit code and what it said."""
    log = house.folder / "migrate.out"
    log.write_text("")
    process = Process([sys.executable, "-m", "sendwright", "migrate", "--config", str(house.config)], log)
    code = process.child.wait(READY_S)
    return code, log.read_text()


async def queued(name: str, **arguments: object) -> None:
    """Raises where the queue is not there, or has other arguments; without arguments only where it is not there."""
    connection = await aiormq.connect(URL)
    try:
        channel = await connection.channel()
        await channel.queue_declare(name, durable=True, passive=not arguments, arguments=arguments or None)  # type: ignore[arg-type]
    finally:
        await connection.close()


def test_migrate_makes_the_queues_of_rabbitmq_as_often_as_wanted_and_names_the_one_that_is_another(
    tmp_path: Path, oracle: Oracle
) -> None:
    broker = Rabbit()
    with several(tmp_path, twilio(oracle), broker=broker) as house:
        prefix = broker.url.rpartition("=")[2]
        for _ in range(2):
            code, said = migrated(house)
            assert (code, "15 queues" in said) == (0, True), said
        for lane in ("sms.high", "intake.critical", "inbound", "intake", "dead"):
            asyncio.run(queued(prefix + lane))

    other = Rabbit()
    with several(tmp_path, twilio(oracle), broker=other) as house:
        name = f"{other.url.rpartition('=')[2]}sms.high"
        asyncio.run(queued(name, **{"x-queue-type": "quorum"}))
        code, said = migrated(house)
        assert code == 1
        assert f"{name} on RabbitMQ is not what it should be" in said
        assert "Traceback" not in said


def test_migrate_makes_the_queues_of_sqs_and_names_the_one_that_is_another(tmp_path: Path, oracle: Oracle) -> None:
    with sqs_server(tmp_path) as server:
        sqs = Sqs(server)
        with several(tmp_path, twilio(oracle), broker=sqs) as house:
            for _ in range(2):
                code, said = migrated(house)
                assert (code, "15 queues" in said) == (0, True), said
            assert sqs.counts()["queues"].keys() >= {f"r-{name}" for name in ("sms-high", "inbound", "intake", "dead")}
            sqs.asked("SetQueueAttributes", queue="sms-high", Attributes={"DelaySeconds": "7"})
            code, said = migrated(house)
            assert code == 1
            assert "the SQS queue r-sms-high is not as it must be: DelaySeconds is 7, expected 0" in said


def test_what_waits_on_the_lane_of_a_channel_that_lost_its_provider_goes_on_without(tmp_path: Path, oracle: Oracle) -> None:
    # Given: two messages on the lane of a channel, and nobody who takes from it
    with several(tmp_path, twilio(oracle) + MAIL) as house:
        house.start_api()
        house.start_worker("--channels", "sms")
        wait_until(lambda: house.api("GET", "/readyz")[0] == 200, READY_S, "the API is ready")
        to = {"to": {"email": "someone@example.org", **sms(1)["to"]}, "content": {"title": "t", "body": "b"}}
        only, then = (
            house.api("POST", "/v1/notifications", {**to, "channels": channels})[1]["id"]
            for channels in (["email"], ["email", "sms"])
        )
        wait_until(lambda: house.counts().get("queued") == 2, READY_S, "both are planned")
        assert house.stop_all() == [0, 0]

        # When: that provider is taken out of the settings
        house.config.write_text(house.config.read_text().replace(MAIL, ""))
        house.start_api(house.port)
        house.start_worker("--channels", "sms")
        house.start_scheduler()

        # Then: one goes on to its next step, and the other fails and says why
        def state(id_: str) -> str:
            found: str = house.api("GET", f"/v1/notifications/{id_}")[1]["state"]
            return found

        wait_until(lambda: state(then) in {"sent", "delivered"}, 60, "it went on to its next step")
        wait_until(lambda: state(only) == "failed", 60, "it failed")
        (message,) = house.api("GET", f"/v1/notifications/{only}")[1]["messages"]
        assert message["reason"]["code"] == "no_provider"
