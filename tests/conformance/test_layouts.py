"""What every store of layouts promises (engine/ports.py, Layouts): what one of types does, and apart from those."""

from __future__ import annotations

import asyncio

from sendwright.model.layouts import LayoutBody, LayoutParts
from tests.conformance.backends import UnderTest, every_backend
from tests.conformance.test_types import body as type_body

backend = every_backend()


def body(html: str = "<main>{{ content }}</main>") -> LayoutBody:
    return LayoutBody(html=html, text="{{ content }}\n-- ü", description="Ours", locales={"pt": LayoutParts(text="{{ content }}")})


async def test_what_is_put_is_read_listed_and_deleted_and_no_number_is_given_twice(backend: UnderTest) -> None:
    layouts = backend.layouts
    first = await layouts.put("acme", "brand", body(), 10)
    assert (first.pinned, first.at, first.body) == ("brand@1", 10, body())
    assert await layouts.put("acme", "brand", body(), 20) == first
    second = await layouts.put("acme", "brand", body("{{ content }}"), 30)
    assert [await layouts.get("acme", "brand", version) for version in (None, 1, 2, 3)] == [second, first, second, None]
    await layouts.put("acme", "alone", body(), 40)
    page = await layouts.list("acme", 1)
    assert ([one.pinned for one in page.rows], page.next) == (["alone@1"], "alone")
    assert [one.pinned for one in (await layouts.list("acme", 9, page.next)).rows] == ["brand@2"]
    assert await layouts.delete("acme", "brand")
    assert not await layouts.delete("acme", "brand")
    assert [await layouts.get("acme", "brand", version) for version in (None, 1, 2)] == [None, None, None]
    assert (await layouts.put("acme", "brand", body(), 50)).version == 3


async def test_a_layout_is_its_tenants_is_no_type_and_outlives_a_crash(backend: UnderTest) -> None:
    put = await backend.layouts.put("acme", "brand", body(), 10)
    await backend.types.put("acme", "order", type_body(), 10)
    assert await backend.layouts.get("globex", "brand") is None
    assert (await backend.layouts.list("globex", 9)).rows == ()
    assert not await backend.layouts.delete("globex", "brand")
    assert await backend.types.get("acme", "brand") is None
    assert [one.name for one in (await backend.types.list("acme", 9)).rows] == ["order"]
    assert [one.name for one in (await backend.layouts.list("acme", 9)).rows] == ["brand"]
    assert await backend.types.delete("acme", "order")
    backend = await backend.restart()
    assert await backend.layouts.get("acme", "brand") == put


async def test_versions_that_are_put_at_the_same_time_have_different_numbers(backend: UnderTest) -> None:
    put = await asyncio.gather(*(backend.layouts.put("acme", "brand", body(f"{n} {{{{ content }}}}"), 10) for n in range(6)))
    assert sorted(one.version for one in put) == list(range(1, 7))
