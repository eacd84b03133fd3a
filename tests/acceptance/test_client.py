"""The Python client and the running product."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from sendwright.client import ApiError, AsyncSendwright, Sendwright, Taken

from .harness import ADMIN_KEY, House, Oracle, twilio

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("client")
    oracle = Oracle(folder)
    house = House(folder, twilio(oracle))
    house.start()
    yield house
    house.stop()
    oracle.stop()


@pytest.fixture
def client(house: House) -> Iterator[Sendwright]:
    with Sendwright(house.url, ADMIN_KEY) as client:
        yield client


def test_from_the_post_to_the_delivery(client: Sendwright) -> None:
    taken = client.send(
        {"phone": "+14155550123"}, content={"body": "On its way."}, metadata={"order": "7"}, idempotency_key="first"
    )

    found = client.wait(taken.id, until="delivered")
    assert (found.state, found.counts, found.metadata) == ("delivered", {"delivered": 1}, {"order": "7"})
    message = client.message(found.messages[0].id)
    assert message.address == "+14155550123"
    assert [attempt.state for attempt in message.attempts] == ["delivered"]
    assert [entry.event for entry in message.timeline][-1] == "message.delivered"
    assert client.find("first") == client.notification(taken.id)
    assert client.find("nobody's") is None


def test_the_same_key_again_is_the_same_notification(client: Sendwright) -> None:
    first, second = (client.send("ada", content={"body": "Hi"}, idempotency_key="again") for _ in range(2))
    assert (first.id, first.replayed, second.replayed) == (second.id, False, True)


def test_a_refusal_lists_every_fault(client: Sendwright) -> None:
    with pytest.raises(ApiError) as refusal:
        client.send({"phone": "0"}, content={"body": "x", "url": "javascript:x"}, priority="loud")
    assert {fault.pointer for fault in refusal.value.errors} == {"#/to/phone", "#/content/url", "#/priority"}
    assert refusal.value.request_id


def test_lists_cancels_and_operations(client: Sendwright) -> None:
    batch = [{"to": {"phone": f"+1415555{n:04}"}, "content": {"body": "Hi"}, "send_at": "2099-01-01T00:00:00Z"} for n in range(3)]
    with pytest.raises(ApiError):
        client.notification("ntf_nobody")
    results = client.send_batch([{**one, "send_at": "2027-01-01T00:00:00Z"} for one in batch] + [{"to": ""}])
    taken = [result for result in results if isinstance(result, Taken)]
    assert len(taken) == 3
    assert not isinstance(results[3], Taken)
    assert results[3].status == 422
    assert client.cancel(taken[0].id).cancelled + client.cancel(taken[0].id).unplanned <= 1
    assert taken[1].id in {notification.id for notification in client.notifications()}
    (provider,) = client.providers()
    assert (provider.kind, provider.enabled, provider.breaker) == ("twilio", True, "closed")
    assert client.switch(provider.name, concurrency=50).concurrency == 50
    assert client.set_route("sms", [provider.name]).source == "run_time"
    client.reset_route("sms")
    assert [(route.channel, route.providers, route.source) for route in client.routes()] == [("sms", [provider.name], "settings")]
    with pytest.raises(ApiError) as refusal:
        client.set_route("sms", [provider.name, "nobody", "box"])
    assert [fault.pointer for fault in refusal.value.errors] == ["#/providers/1", "#/providers/2"]
    assert list(client.dead(channel="email")) == []


def test_the_asynchronous_one_follows_what_happens(house: House) -> None:
    async def run() -> list[str]:
        async with AsyncSendwright(house.url, ADMIN_KEY) as client:
            seen: list[str] = []

            async def follow() -> None:
                async for event in client.events(types=["message.sent", "message.delivered"]):
                    seen.append(event.type)
                    if event.type == "message.delivered":
                        return

            following = asyncio.create_task(follow())
            await asyncio.sleep(0.5)
            taken = await client.send({"phone": "+14155550199"}, content={"body": "Hi"}, priority="critical")
            await client.wait(taken.id, until="delivered")
            await asyncio.wait_for(following, 20)
            return seen

    assert asyncio.run(run())[-1] == "message.delivered"


def test_a_wrong_key_is_refused(house: House) -> None:
    with Sendwright(house.url, "wrong") as client, pytest.raises(ApiError) as refusal:
        client.providers()
    assert refusal.value.status == 401


def test_the_first_lines_of_its_page_do_what_they_say(house: House) -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "client.md").read_text()
    code = page.split("```python\n", 1)[1].split("```", 1)[0]
    code = code.replace('Path("data/admin_key").read_text().strip()', repr(ADMIN_KEY))
    printed: list[object] = []
    exec(code.replace('"http://127.0.0.1:8420"', repr(house.url)), {"print": printed.append})
    assert printed == ["delivered"]
