"""What every store of types promises (engine/ports.py, Types)."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from sendwright.model.types import TypeBody
from tests.conformance.backends import UnderTest, every_backend

backend = every_backend()


def body(text: str = "Hello {{ name }}", **more: Any) -> TypeBody:
    return msgspec.convert({"content": {"body": text}, **more}, TypeBody)


async def test_what_is_put_is_read_and_each_change_is_a_version(backend: UnderTest) -> None:
    types = backend.types
    schema = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 7}}}
    first = body("One", category="marketing", schema=schema, plan={"channels": ["sms"]}, ttl="5m", priority="high")
    assert (await types.put("acme", "order.shipped", first, 10)).pinned == "order.shipped@1"
    second = await types.put("acme", "order.shipped", body("Two ü"), 20)
    assert (second.version, second.at, second.body) == (2, 20, body("Two ü"))
    newest = await types.get("acme", "order.shipped")
    assert newest == second
    old = await types.get("acme", "order.shipped", 1)
    assert old is not None
    assert (old.version, old.at, old.body) == (1, 10, first)
    assert await types.get("acme", "order.shipped", 3) is None
    assert await types.get("acme", "order") is None


async def test_the_same_again_makes_no_version_and_what_was_said_before_does(backend: UnderTest) -> None:
    types = backend.types
    await types.put("acme", "a", body("One", schema={"a": 1, "b": 2}), 10)
    again = await types.put("acme", "a", body("One", schema={"b": 2, "a": 1}), 20)
    assert (again.version, again.at) == (1, 10)
    assert (await types.put("acme", "a", body("Two"), 30)).version == 2
    assert (await types.put("acme", "a", body("One"), 40)).version == 3


async def test_a_tenant_sees_its_own(backend: UnderTest) -> None:
    types = backend.types
    await types.put("acme", "a", body("acme"), 10)
    await types.put("globex", "a", body("globex"), 10)
    await types.put("globex", "b", body("globex"), 10)
    theirs = await types.get("globex", "a")
    assert theirs is not None
    assert (theirs.version, theirs.body.content.body) == (1, "globex")
    assert await types.get("acme", "b") is None
    assert [one.name for one in (await types.list("acme", 10)).rows] == ["a"]
    assert not await types.delete("acme", "b")
    assert await types.get("globex", "b") is not None


async def test_a_list_goes_by_names_page_by_page_and_shows_the_newest(backend: UnderTest) -> None:
    types = backend.types
    for name in ("c", "a", "b", "a"):
        await types.put("acme", name, body(f"{name} {(await types.get('acme', name)) is None}"), 10)
    first = await types.list("acme", 2)
    assert ([one.pinned for one in first.rows], first.next) == (["a@2", "b@1"], "b")
    rest = await types.list("acme", 2, first.next)
    assert ([one.pinned for one in rest.rows], rest.next) == (["c@1"], None)


async def test_what_is_deleted_is_gone_and_its_numbers_are_not_given_again(backend: UnderTest) -> None:
    types = backend.types
    await types.put("acme", "a", body("One"), 10)
    await types.put("acme", "a", body("Two"), 20)
    assert await types.delete("acme", "a")
    assert not await types.delete("acme", "a")
    assert [await types.get("acme", "a", version) for version in (None, 1, 2)] == [None, None, None]
    assert (await types.list("acme", 10)).rows == ()
    assert (await types.put("acme", "a", body("Two"), 30)).version == 3
    assert await types.get("acme", "a", 2) is None


async def test_versions_that_are_put_at_the_same_time_have_different_numbers(backend: UnderTest) -> None:
    put = await asyncio.gather(*(backend.types.put("acme", "a", body(str(number)), 10) for number in range(12)))
    assert sorted(one.version for one in put) == list(range(1, 13))
    for one in put:
        assert await backend.types.get("acme", "a", one.version) == one


async def test_types_outlive_a_crash(backend: UnderTest) -> None:
    put = await backend.types.put("acme", "a", body(), 10)
    backend = await backend.restart()
    assert await backend.types.get("acme", "a") == put
