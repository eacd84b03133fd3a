"""One house, one oracle, and the few questions that the tests ask of both."""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

from sendwright.model import ids

from .harness import House, Oracle, wait_until

FAST = "[retry]\nbase_s = 0.2\ncap_s = 1\n[breaker]\nfailures = 100\n"
"""Short waits, and a breaker that keeps out of the way."""
NUMBERS = iter(range(10_000_000))

Row = dict[str, Any]


def account(letter: str) -> str:
    return "AC" + letter * 32


def twilio_account(
    url: str, name: str, letter: str = "a", *, receipts: bool = True, concurrency: int = 200, timeout_s: float = 10
) -> str:
    """A Twilio account's table. Without `receipts` its credentials are an API key, which signs no callbacks."""
    keys = f'auth_token = "token-of-{letter}"' if receipts else f'api_key_sid = "SK{letter}"\napi_key_secret = "secret-of-{letter}"'
    return (
        f'[providers.{name}]\nkind = "twilio"\naccount_sid = "{account(letter)}"\n{keys}\nfrom = "+15005550006"\n'
        f'base_url = "{url}"\nconcurrency = {concurrency}\ntimeout_s = {timeout_s}\n'
    )


def sandbox_account(url: str, name: str, channels: Iterable[str], *, timeout_s: float = 10) -> str:
    named = ", ".join(f'"{channel}"' for channel in channels)
    return f'[providers.{name}]\nkind = "sandbox"\nurl = "{url}"\nchannels = [{named}]\ntimeout_s = {timeout_s}\n'


def text(to: str | None = None, **more: Any) -> Row:
    """An SMS to a number of its own, unless it is given one."""
    number = next(NUMBERS)
    return {"to": {"phone": to or f"+1415{5_000_000 + number % 1_000_000:07d}"}, "content": {"body": f"text {number}"}, **more}


def first_message(notification: str) -> str:
    return ids.message_id(notification, 0)


class World:
    """A house and its oracle."""

    def __init__(self, folder: Path, house: House, oracle: Oracle) -> None:
        self.folder = folder
        self.house = house
        self.oracle = oracle

    def post(self, body: Row, **headers: str) -> str:
        """The id of the message of a notification with one recipient."""
        status, answer = self.house.api("POST", "/v1/notifications", body, **headers)
        assert status == 202, answer
        return first_message(answer["id"])

    def post_all(self, bodies: list[Row]) -> list[str]:
        status, answer = self.house.api("POST", "/v1/notifications/batch", {"notifications": bodies})
        assert status == 202, answer
        return [first_message(result["id"]) for result in answer["results"]]

    def message(self, id_: str) -> Row:
        """A message's own id is known once it is planned; until then it is only accepted."""
        status, answer = self.house.api("GET", f"/v1/messages/{id_}")
        assert status in {200, 404}, answer
        return dict(answer) if status == 200 else {"id": id_, "state": "accepted"}

    def state(self, id_: str) -> str:
        return str(self.message(id_)["state"])

    def states(self, messages: Iterable[str]) -> list[str]:
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(self.state, messages))

    def comes_to(self, id_: str, *states: str, within_s: float = 15) -> Row:
        """The message, once it is in one of these states."""
        seen: list[str] = []

        def there() -> Row | None:
            row = self.message(id_)
            seen.append(row["state"])
            return row if row["state"] in states else None

        try:
            return dict(wait_until(there, within_s, f"{id_} becomes {' or '.join(states)}"))
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {seen[-1]}: {self.message(id_)}") from None

    def all_come_to(self, messages: list[str], *states: str, within_s: float = 20) -> None:
        """Each of these messages, and no other of the house is counted."""
        left = list(messages)

        def over() -> bool:
            left[:] = [id_ for id_, state in zip(left, self.states(left), strict=True) if state not in states]
            return not left

        try:
            wait_until(over, within_s, f"all become {' or '.join(states)}", every_s=0.2)
        except AssertionError as error:
            raise AssertionError(f"{error}; {len(left)} did not, such as {self.message(left[0])}") from None

    def provider(self, name: str) -> Row:
        status, answer = self.house.api("GET", f"/v1/providers/{name}")
        assert status == 200, answer
        return dict(answer)

    def audit(self) -> Row:
        return dict(self.house.api("GET", "/v1/audit")[1])

    def asked(self, **of: Any) -> list[Row]:
        """What the oracle was asked, by its file: every request for a message whose fields are these. A line that it is in the
        middle of writing is read the next time."""
        *lines, _ = self.oracle.log.read_bytes().split(b"\n") if self.oracle.log.exists() else [b""]
        rows = [json.loads(line) for line in lines]
        return [row for row in rows if all(row.get(name) == value for name, value in of.items())]

    def taken(self, body: Row) -> int:
        """How often the oracle took something for the one recipient of this body."""
        return len(self.asked(to=body["to"]["phone"], taken=True))

    def stop(self) -> None:
        self.house.kill()
        self.oracle.stop()


def moment(row: Row) -> float:
    """When the oracle had the request in hand, in seconds since 1970."""
    return datetime.fromisoformat(row["at"]).timestamp()


def message_of(row: Row) -> str:
    return ids.message_of(row["reference"])
