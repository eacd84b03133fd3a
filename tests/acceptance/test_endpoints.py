"""From what happens to the operator's own service: signed, over crashes, and never to an address that only we can reach."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import urlopen

import pytest

from sendwright.client import read_webhook

from .harness import House, free_port, wait_until

pytestmark = pytest.mark.slow

Row = dict[str, Any]


class Receiver(ThreadingHTTPServer):
    """The operator's service: it keeps what it is sent; `answers` are its next ones by path, else 204."""

    daemon_threads = True

    def __init__(self) -> None:
        self.requests: list[tuple[float, str, dict[str, str], bytes]] = []
        self.answers: dict[str, list[tuple[int, dict[str, str]]]] = {}
        super().__init__(("127.0.0.1", 0), Service)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def of(self, path: str) -> list[tuple[float, dict[str, str], bytes]]:
        return [(at, headers, body) for at, seen, headers, body in self.requests if seen == path]


class Service(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((time.monotonic(), self.path, headers, body))
        planned = self.server.answers.get(self.path) or [(204, {})]
        status, more = planned.pop(0) if len(planned) > 1 else planned[0]
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Its operator lets endpoints lie on this machine. Beside the sandbox it has a provider that is not there, and one whose token
    ends in five days."""
    absent = f'[providers.absent]\nkind = "telegram"\nbot_token = "1:abcdefgh"\nbase_url = "http://127.0.0.1:{free_port()}"\n'
    made = House(tmp_path_factory.mktemp("endpoints"), absent, 'channels = ["sms"]')
    text = made.config.read_text().replace("[api]\n", '[api]\nendpoint_private = ["127.0.0.0/8"]\n')
    vendor = text.partition("[sandbox]")[2].split('"')[1]
    text += f'[providers.page]\nkind = "messenger"\npage_id = "1055512345678"\nbase_url = "http://{vendor}/messenger"\n'
    made.config.write_text(text + f'access_token = "EAA-expires-{int(time.time()) + 5 * 86_400}"\n')
    made.start()
    yield made
    made.kill()


def point(house: House, url: str, *types: str) -> Row:
    status, made = house.api("POST", "/v1/endpoints", {"url": url, "types": list(types)})
    assert status == 201, made
    return dict(made)


def send(house: House, count: int = 1, **more: Any) -> list[str]:
    """Notifications; their ids."""
    ids = []
    for number in range(count):
        wish = {"to": {"id": f"ada-{number}", "phone": "+14155550123"}, "content": {"body": "a word for one alone"}, **more}
        status, answer = house.api("POST", "/v1/notifications", wish)
        assert status == 202, answer
        ids.append(answer["id"])
    return ids


def told(receiver: Receiver, path: str, secret: str) -> list[Any]:
    """The events that came there, each verified."""
    return [read_webhook(secret, headers, body) for _, headers, body in receiver.of(path)]


def test_what_happens_to_a_message_arrives_verified_and_without_addresses(house: House, receiver: Receiver) -> None:
    made = point(house, receiver.url + "/all")
    (notification,) = send(house, metadata={"order": "7"})
    wait_until(lambda: "message.delivered" in {e.type for e in told(receiver, "/all", made["secret"])}, 15, "it is told")
    events = {event.type: event for event in told(receiver, "/all", made["secret"])}
    assert {"notification.accepted", "message.sent", "message.delivered"} <= events.keys()
    data = events["message.sent"].data
    assert (data["notification"], data["recipient"], data["channel"], data["state"]) == (notification, "ada-0", "sms", "sent")
    assert data["metadata"] == {"order": "7"}
    raw = b"".join(body for _, _, body in receiver.of("/all"))
    assert b"415555" not in raw
    assert b"a word" not in raw


def test_a_provider_that_is_not_there_is_told_of_once_and_after_a_death_it_is_told_of_anew(
    house: House, receiver: Receiver
) -> None:
    made = point(house, receiver.url + "/ill", "provider.opened", "provider.closed")
    send(house, 8, to={"telegram": "1234567"})
    wait_until(lambda: told(receiver, "/ill", made["secret"]), 20, "it is told")
    time.sleep(1.2)  # a probe fails meanwhile
    (event,) = told(receiver, "/ill", made["secret"])
    named = {"provider": "absent", "kind": "telegram", "channels": ["telegram"]}
    said = event.data | {"reason": event.data["reason"].partition(":")[0]}
    assert (event.type, said) == ("provider.opened", {"id": event.data["id"], **named, "reason": "unreachable"})
    house.kill()
    house.start()
    wait_until(lambda: len(told(receiver, "/ill", made["secret"])) >= 3, 20, "its closing and another opening are told")
    found = [(e.type, e.data["reason"].partition(":")[0]) for e in told(receiver, "/ill", made["secret"])][:3]
    assert Counter(found) == {("provider.opened", "unreachable"): 2, ("provider.closed", "restarted"): 1}


def test_a_token_that_ends_soon_is_asked_about_shown_measured_and_told_of_once(house: House) -> None:
    wait_until(lambda: house.api("GET", "/v1/providers/page")[1]["credential"], 10, "its vendor has been asked")
    shown = house.api("GET", "/v1/providers/page")[1]["credential"]
    assert shown["days_left"] == 5
    assert house.api("GET", "/v1/providers/absent")[1]["credential"] is None
    house.kill()
    house.start()
    wait_until(lambda: house.api("GET", "/v1/providers/page")[1]["credential"] == shown, 10, "it is known again")
    with urlopen(f"{house.url}/metrics") as answer:
        figures = answer.read().decode().splitlines()
    left = [line.partition(".")[0] for line in figures if line.startswith("sendwright_credential_days_left{")]
    assert left == ['sendwright_credential_days_left{provider="page"} 4']
    with house.database() as db:
        details = [detail for (detail,) in db.execute("select detail from events where type = 'token.expiring'")]
    named = {"provider": "page", "kind": "messenger", "channels": ["messenger"]}
    assert [json.loads(str(detail)) for detail in details] == [{**named, "setting": "access_token", **shown}]


def test_a_test_event_says_what_came_of_it(house: House, receiver: Receiver) -> None:
    made = point(house, receiver.url + "/trial")
    status, answer = house.api("POST", f"/v1/endpoints/{made['id']}/test")
    assert (status, answer["ok"], answer["status"]) == (200, True, 204)
    (event,) = told(receiver, "/trial", made["secret"])
    assert event.type == "endpoint.test"


def test_a_service_that_asks_for_patience_gets_it_and_the_same_id_again(house: House, receiver: Receiver) -> None:
    receiver.answers["/busy"] = [(503, {"Retry-After": "7"}), (204, {})]
    made = point(house, receiver.url + "/busy", "message.sent")
    send(house)
    wait_until(lambda: len(receiver.of("/busy")) == 2, 25, "it is tried again")
    first, second = receiver.of("/busy")
    assert second[0] - first[0] >= 6.9, "never before it was asked for"
    assert first[1]["webhook-id"] == second[1]["webhook-id"]
    rows = house.api("GET", f"/v1/endpoints/{made['id']}/deliveries")[1]["data"]
    wait_until(lambda: house.api("GET", f"/v1/endpoints/{made['id']}/deliveries?state=delivered")[1]["data"], 5, "it is noted")
    assert [(each["type"], each["id"]) for each in rows] == [("message.sent", first[1]["webhook-id"])]


def test_a_service_that_is_gone_is_left_alone_and_what_failed_can_be_replayed(house: House, receiver: Receiver) -> None:
    receiver.answers["/gone"] = [(410, {})]
    made = point(house, receiver.url + "/gone", "message.sent")
    path = f"/v1/endpoints/{made['id']}"
    send(house)
    wait_until(lambda: house.api("GET", path)[1]["disabled_for"] == "gone", 15, "it is switched off")
    send(house)
    time.sleep(2)
    assert len(receiver.of("/gone")) == 1
    receiver.answers["/gone"] = [(204, {})]
    assert house.api("PATCH", path, {"enabled": True})[0] == 200
    assert len(house.api("POST", path + "/replay")[1]["ids"]) == 1
    wait_until(lambda: len(told(receiver, "/gone", made["secret"])) == 3, 15, "both are there")
    assert len({event.id for event in told(receiver, "/gone", made["secret"])}) == 2


@pytest.mark.long
def test_after_kill_9_everything_is_told_under_one_id_each(house: House, receiver: Receiver) -> None:
    made = point(house, receiver.url + "/killed", "message.sent")
    ids = send(house, 40)
    house.kill()
    house.start()
    ids += send(house, 5)

    def there() -> bool:
        return {e.data["notification"] for e in told(receiver, "/killed", made["secret"])} >= set(ids)

    wait_until(there, 120, "all of them are told")
    by_message = Counter((e.data["message"], e.id) for e in told(receiver, "/killed", made["secret"]))
    assert len({message for message, _ in by_message}) == len({id_ for _, id_ in by_message}) == 45


def test_an_address_that_leads_inside_is_refused_or_never_connected_to(house: House, receiver: Receiver) -> None:
    for url in ("https://10.0.0.1/", "http://169.254.169.254/latest/meta-data", "https://[::1]/", "ftp://127.0.0.1/"):
        assert house.api("POST", "/v1/endpoints", {"url": url})[0] == 422, url
    made = point(house, f"http://localhost:{receiver.server_port}/named")
    status, answer = house.api("POST", f"/v1/endpoints/{made['id']}/test")
    assert (status, answer["ok"]) == (200, True), "a name that leads into a network that is allowed"


def test_without_a_word_of_the_operators_no_name_leads_inside(tmp_path: Any, receiver: Receiver) -> None:
    strict = House(tmp_path, "")
    strict.start()
    try:
        assert strict.api("POST", "/v1/endpoints", {"url": receiver.url})[0] == 422
        made = point(strict, f"https://localhost:{receiver.server_port}/inside")
        answer = strict.api("POST", f"/v1/endpoints/{made['id']}/test")[1]
        assert (answer["ok"], answer["status"], "denied" in answer["detail"]) == (False, None, True)
        assert receiver.of("/inside") == []
    finally:
        strict.kill()


def test_the_file_holds_no_secret_of_an_endpoint(house: House, receiver: Receiver) -> None:
    made = point(house, receiver.url + "/sealed")
    rotated = house.api("POST", f"/v1/endpoints/{made['id']}/rotate")[1]
    files = [path.read_bytes() for path in house.data.iterdir() if path.name.startswith("sendwright.db")]
    assert any(made["id"].encode() in raw for raw in files), "the row is there"
    for secret in (made["secret"], rotated["secret"]):
        text = secret.removeprefix("whsec_").encode()
        assert not any(text in raw or base64.b64decode(text) in raw for raw in files)
    assert made["secret"] not in house.output()
