"""What the Python client can do with what is kept: the application itself answers, both clients ask the same."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest

from sendwright.client import ApiError, AsyncSendwright, NoAnswer, Sendwright, aio, sync
from sendwright.client.desk_aio import AsyncDesk

from .api_world import World
from .key_matrix import furnished
from .test_client import KEY, Other, reply

CALLS: list[tuple[str, Callable[[Any], Any], tuple[str, str, str, Any]]] = [
    ("content", lambda it: it.content("msg_1"), ("GET", "/v1/messages/msg_1/content", "", None)),
    ("stats", lambda it: it.stats("24h"), ("GET", "/v1/stats", "window=24h", None)),
    ("routes", lambda it: it.routes(), ("GET", "/v1/routes", "limit=100", None)),
    ("route", lambda it: it.route("sms"), ("GET", "/v1/routes/sms", "", None)),
    ("set_route", lambda it: it.set_route("sms", ("b", "a")), ("PUT", "/v1/routes/sms", "", {"providers": ["b", "a"]})),
    ("reset_route", lambda it: it.reset_route("sms"), ("DELETE", "/v1/routes/sms", "", None)),
    ("recipients", lambda it: it.recipients(), ("GET", "/v1/recipients", "limit=100", None)),
    ("recipient", lambda it: it.recipient("a/b"), ("GET", "/v1/recipients/a%2Fb", "", None)),
    ("put_recipient", lambda it: it.put_recipient("ada", {"phone": "+1"}), ("PUT", "/v1/recipients/ada", "", {"phone": "+1"})),
    (
        "patch_recipient",
        lambda it: it.patch_recipient("ada", {"phone": None}),
        ("PATCH", "/v1/recipients/ada", "", {"phone": None}),
    ),
    (
        "patch_recipients",
        lambda it: it.patch_recipients([{"id": "ada", "phone": "+1"}]),
        ("POST", "/v1/recipients/batch", "", {"recipients": [{"id": "ada", "phone": "+1"}]}),
    ),
    ("erase", lambda it: it.erase("ada"), ("DELETE", "/v1/recipients/ada", "", None)),
    ("export", lambda it: it.export("ada"), ("GET", "/v1/recipients/ada/export", "limit=100", None)),
    ("recipient_token", lambda it: it.recipient_token("ada", ttl="5m"), ("POST", "/v1/recipients/ada/token", "", {"ttl": "5m"})),
    ("suppressions", lambda it: it.suppressions(shared=True), ("GET", "/v1/suppressions", "limit=100&shared=true", None)),
    (
        "suppress",
        lambda it: it.suppress("+1", channel="sms"),
        ("POST", "/v1/suppressions", "", {"address": "+1", "channel": "sms"}),
    ),
    ("suppressed", lambda it: it.suppressed("+1"), ("POST", "/v1/suppressions/lookup", "", {"address": "+1"})),
    ("lift", lambda it: it.lift("sup_1"), ("DELETE", "/v1/suppressions/sup_1", "", None)),
    ("types", lambda it: it.types(), ("GET", "/v1/types", "limit=100", None)),
    ("stored_type", lambda it: it.stored_type("a.b", version=3), ("GET", "/v1/types/a.b", "version=3", None)),
    ("put_type", lambda it: it.put_type("a.b", {"content": {}}), ("PUT", "/v1/types/a.b", "", {"content": {}})),
    ("delete_type", lambda it: it.delete_type("a.b"), ("DELETE", "/v1/types/a.b", "", None)),
    ("preview", lambda it: it.preview("a.b", {"x": 1}), ("POST", "/v1/types/a.b/preview", "", {"data": {"x": 1}})),
    ("keys", lambda it: it.keys(), ("GET", "/v1/keys", "limit=100", None)),
    ("make_key", lambda it: it.make_key("x", ["read"]), ("POST", "/v1/keys", "", {"name": "x", "scopes": ["read"]})),
    ("revoke_key", lambda it: it.revoke_key("swk_1"), ("DELETE", "/v1/keys/swk_1", "", None)),
    ("endpoints", lambda it: it.endpoints(), ("GET", "/v1/endpoints", "limit=100", None)),
    ("endpoint", lambda it: it.endpoint("end_1"), ("GET", "/v1/endpoints/end_1", "", None)),
    ("make_endpoint", lambda it: it.make_endpoint("https://x/"), ("POST", "/v1/endpoints", "", {"url": "https://x/"})),
    (
        "change_endpoint",
        lambda it: it.change_endpoint("end_1", types=[], enabled=False),
        ("PATCH", "/v1/endpoints/end_1", "", {"types": [], "enabled": False}),
    ),
    ("delete_endpoint", lambda it: it.delete_endpoint("end_1"), ("DELETE", "/v1/endpoints/end_1", "", None)),
    ("rotate_endpoint", lambda it: it.rotate_endpoint("end_1"), ("POST", "/v1/endpoints/end_1/rotate", "", None)),
    ("test_endpoint", lambda it: it.test_endpoint("end_1"), ("POST", "/v1/endpoints/end_1/test", "", None)),
    ("deliveries", lambda it: it.deliveries("end_1"), ("GET", "/v1/endpoints/end_1/deliveries", "limit=100", None)),
    (
        "replay_deliveries",
        lambda it: it.replay_deliveries("end_1", ["evt_1"]),
        ("POST", "/v1/endpoints/end_1/replay", "", {"ids": ["evt_1"]}),
    ),
]
ONCE = {
    "lift", "delete_type", "make_key", "revoke_key", "make_endpoint", "delete_endpoint", "rotate_endpoint", "test_endpoint",
    "replay_deliveries",
}  # fmt: skip
"""What does more, or is answered otherwise, when it is done twice."""


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sleep(_: float) -> None:
        """No time passes."""

    monkeypatch.setattr(sync.time, "sleep", lambda _: None)
    monkeypatch.setattr(aio.asyncio, "sleep", sleep)


def seen(other: Other) -> list[tuple[str, str, str, Any]]:
    def one(each: httpx2.Request) -> tuple[str, str, str, Any]:
        path, _, query = each.url.raw_path.decode().partition("?")
        return each.method, path, query, json.loads(each.content) if each.content else None

    return [one(each) for each in other.asked]


async def ended(called: Any) -> Any:
    """What a call comes to, of either client."""
    if inspect.isawaitable(called):
        return await called
    if isinstance(called, AsyncIterator):
        return [each async for each in called]
    return called if called is None or not hasattr(called, "__next__") else list(called)


def test_every_call_is_made_as_the_contract_says_by_both_and_repeated_only_where_that_is_harmless() -> None:
    assert {name for name, _, _ in CALLS} == {name for name in vars(AsyncDesk) if not name.startswith("_")}
    for name, call, expected in CALLS:
        for lost in (True, False):
            one, two = (Other(httpx2.ReadError("reset") if lost else reply(404, {"code": "not_found"})) for _ in range(2))
            tries = 5 if lost and name not in ONCE else 1

            async def both(one: Other = one, two: Other = two, call: Callable[[Any], Any] = call) -> None:
                async with AsyncSendwright("http://x", KEY, transport=httpx2.MockTransport(one)) as it:
                    with pytest.raises((ApiError, NoAnswer)):
                        await ended(call(it))
                with Sendwright("http://x", KEY, transport=httpx2.MockTransport(two)) as it, pytest.raises((ApiError, NoAnswer)):
                    await ended(call(it))

            asyncio.run(both())
            assert seen(one) == seen(two) == [expected] * tries, name


async def test_the_application_answers_what_the_structs_hold() -> None:
    world = World()
    things = await furnished(world)
    transport = httpx2.ASGITransport(world.app)
    key = world.client.headers["authorization"].removeprefix("Bearer ")
    async with AsyncSendwright("http://sendwright.example", key, transport=transport) as it:
        assert (await it.content(things["message"])).body == "hello"
        assert (await it.stats("15m")).window == "15m"
        assert [route.channel async for route in it.routes()] == ["sms"]
        assert (await it.set_route("sms", ["twilio-main"])).source == "run_time"
        await it.reset_route("sms")
        assert (await it.route("sms")).source == "settings"
        assert [(each.id, each.email) async for each in it.recipients()] == [("ada-of-default", "a•••@example.org")]
        assert (await it.put_recipient("kim", {"phone": "+14155550199"})).phone == "+14155550199"
        assert (await it.patch_recipient("kim", {"locale": "de"})).locale == "de"
        assert (await it.recipient("kim")).locale == "de"
        right, wrong = await it.patch_recipients([{"id": "kim", "timezone": "Europe/Prague"}, {"phone": "nobody"}])
        assert (right.id, right.problem, wrong.id) == ("kim", None, None)
        assert wrong.problem is not None
        assert wrong.problem.code == "invalid_request"
        assert [each.kind async for each in it.export("kim")] == ["recipient"]
        assert (await it.recipient_token("kim")).token
        assert (await it.erase("kim")).messages == 0
        stopped = await it.suppress("kim@example.org", channel="email", category="marketing")
        assert [each.id for each in await it.suppressed("kim@example.org")] == [stopped.id]
        assert len([each async for each in it.suppressions()]) == 2
        await it.lift(stopped.id)
        assert await it.suppressed("kim@example.org") == []
        assert (await it.put_type("a.b", {"content": {"body": "Hi {{ x }}"}})).version == 1
        assert (await it.preview("a.b", {"x": "you"})).channels[0]["body"] == "Hi you"
        assert (await it.stored_type("a.b")).content["body"] == "Hi {{ x }}"
        assert [each.name async for each in it.types()] == ["a.b", "order.shipped"]
        await it.delete_type("a.b")
        made = await it.make_key("x", ["read"])
        assert made.key not in repr(made)
        listed = it.keys()
        assert made.id in [each.id async for each in listed]
        await it.revoke_key(made.id)
        hook = await it.make_endpoint("https://example.org/x", types=["message.sent"])
        assert hook.secret not in repr(hook)
        assert (await it.change_endpoint(hook.id, enabled=False)).disabled_for == "paused"
        assert (await it.rotate_endpoint(hook.id)).secret != hook.secret
        assert (await it.test_endpoint(hook.id)).ok
        assert [each async for each in it.deliveries(hook.id)] == []
        assert (await it.replay_deliveries(hook.id)).ids == []
        assert {each.id async for each in it.endpoints()} == {hook.id, things["endpoint"]}
        await it.delete_endpoint(hook.id)
        with pytest.raises(ApiError):
            await it.endpoint(hook.id)
