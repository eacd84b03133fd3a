"""From a post to a person's own inbox, and back to the message's state."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .harness import House, call, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("inbox"), '[providers.inbox]\nkind = "inapp"\n')
    house.start()
    yield house
    house.stop()


def test_it_is_sent_when_it_lies_there_delivered_when_it_is_fetched_and_read_when_it_is_read(house: House) -> None:
    content = {"title": "Shipped", "body": "On its way.", "inapp": {"data": {"order": 7}}, "actions": [{"id": "ok", "label": "OK"}]}
    wish = {"to": {"id": "ada"}, "channels": ["inapp"], "content": content}
    _, taken = house.api("POST", "/v1/notifications", wish)

    def state() -> str:
        rows: list[dict[str, str]] = house.api("GET", f"/v1/notifications/{taken['id']}")[1]["messages"]
        return rows[0]["state"] if rows else "accepted"

    wait_until(lambda: state() == "sent", 10, "it lies there")
    status, made = house.api("POST", "/v1/recipients/ada/token")
    assert status == 201
    app = {"Authorization": f"Bearer {made['token']}"}
    (item,) = call("GET", f"{house.url}/v1/inbox", headers=app)[1]["data"]
    assert (item["title"], item["body"], item["data"], item["actions"][0]["label"]) == (
        "Shipped",
        "On its way.",
        {"order": 7},
        "OK",
    )
    wait_until(lambda: state() == "delivered", 10, "it is delivered")
    call("POST", f"{house.url}/v1/inbox/mark", {"as": "read", "ids": [item["id"]]}, app)
    wait_until(lambda: state() == "read", 10, "it is read")
    _, message = house.api("GET", f"/v1/messages/{item['id']}")
    assert [entry["event"] for entry in message["timeline"]][-2:] == ["message.delivered", "message.read"]
    assert len(message["attempts"]) == 1


def test_an_item_survives_kill_9(house: House) -> None:
    house.api("POST", "/v1/notifications", {"to": {"id": "eve"}, "channels": ["inapp"], "content": {"body": "Hi"}})
    token = house.api("POST", "/v1/recipients/eve/token")[1]["token"]

    def items() -> list[dict[str, str]]:
        found: list[dict[str, str]] = call("GET", f"{house.url}/v1/inbox", headers={"Authorization": f"Bearer {token}"})[1]["data"]
        return found

    wait_until(lambda: len(items()) == 1, 10, "it lies there")
    house.kill()
    house.start()
    assert [item["body"] for item in items()] == ["Hi"]


@pytest.mark.parametrize("point", ["report.publishing", "report.published"])
def test_what_was_read_is_read_though_the_process_dies_before_it_says_so(house: House, point: str) -> None:
    name = point.replace(".", "-")
    house.kill()
    house.start({"SENDWRIGHT_CRASH": f"{point}:2"})  # the first is the delivery
    house.api("POST", "/v1/notifications", {"to": {"id": name}, "channels": ["inapp"], "content": {"body": "Hi"}})
    app = {"Authorization": f"Bearer {house.api('POST', f'/v1/recipients/{name}/token')[1]['token']}"}

    def items() -> list[dict[str, str]]:
        found: list[dict[str, str]] = call("GET", f"{house.url}/v1/inbox", headers=app)[1]["data"]
        return found

    wait_until(lambda: len(items()) == 1, 10, "it lies there")
    (item,) = items()
    with pytest.raises(OSError):
        call("POST", f"{house.url}/v1/inbox/mark", {"as": "read", "ids": [item["id"]]}, app)
    house.kill()
    house.start()
    wait_until(lambda: house.api("GET", f"/v1/messages/{item['id']}")[1]["state"] == "read", 10, "it is read")
