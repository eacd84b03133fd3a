"""What every key ring promises (engine/ports.py, KeyRing)."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec.structs import replace

from sendwright.model.api_key import ApiKey, digest_of, pepper_of, written
from tests.conformance.backends import UnderTest, every_backend
from tests.conformance.builders import NOW

backend = every_backend()

PEPPER = pepper_of(b"s" * 32)


def key(number: int = 0, **changes: Any) -> ApiKey:
    text = written(number.to_bytes(25, "big"))
    made = ApiKey(
        id=text[:4] + f"{number:08}",
        tenant="acme",
        name=f"key {number}",
        scopes=("send", "read"),
        digest=digest_of(text.encode(), PEPPER),
        created_at=NOW + number,
    )
    return replace(made, **changes)


async def test_what_was_added_is_found_whole(backend: UnderTest) -> None:
    plain = key(1, name="Grüße, „Zeile“ 🔑")
    every = key(2, tenant="beta", scopes=("send", "read", "admin"), expires_at=NOW + 5, rate="100/s", used_at=NOW)
    assert await backend.keyring.add(plain)
    assert await backend.keyring.add(every)
    found = await backend.keyring.find([plain.id, "swk_nobodys0", every.id])
    assert {each.id: each for each in found} == {plain.id: plain, every.id: every}
    assert list(await backend.keyring.find([])) == []


async def test_an_id_is_given_once_whoever_asks(backend: UnderTest) -> None:
    rivals = [key(1, tenant=f"tenant-{number}") for number in range(10)]
    added = await asyncio.gather(*(backend.keyring.add(rival) for rival in rivals))
    assert added.count(True) == 1
    assert await backend.keyring.find([rivals[0].id]) == [rivals[added.index(True)]]
    assert not await backend.keyring.add(key(1, name="again"))
    assert await backend.keyring.find([rivals[0].id]) == [rivals[added.index(True)]]


async def test_a_tenant_sees_its_own_newest_first_in_pages_without_gap_or_repeat(backend: UnderTest) -> None:
    # Given keys of two tenants, some of them made in the same millisecond
    ours = [key(number, created_at=NOW + number // 3) for number in range(10)]
    theirs = [key(number, tenant="beta") for number in range(10, 13)]
    for each in (*ours, *theirs):
        await backend.keyring.add(each)
    # When
    pages, after = [], None
    while page := list(await backend.keyring.page("acme", 4, after)):
        pages.append(page)
        after = (page[-1].created_at, page[-1].id)
    # Then
    assert [len(page) for page in pages] == [4, 4, 2]
    assert [each for page in pages for each in page] == sorted(ours, key=lambda k: (k.created_at, k.id), reverse=True)
    assert {each.id for each in await backend.keyring.page(None, 100)} == {each.id for each in (*ours, *theirs)}
    assert list(await backend.keyring.page("nobody", 100)) == []


async def test_what_was_revoked_is_found_nowhere_and_only_its_own_tenant_revokes_it(backend: UnderTest) -> None:
    await backend.keyring.add(key(1))
    await backend.keyring.add(key(2))
    assert not await backend.keyring.revoke("beta", key(1).id)
    assert len(await backend.keyring.find([key(1).id])) == 1
    assert await backend.keyring.revoke("acme", key(1).id)
    assert await backend.keyring.revoke(None, key(2).id)
    assert list(await backend.keyring.find([key(1).id, key(2).id])) == []
    assert list(await backend.keyring.page(None, 10)) == []
    assert not await backend.keyring.revoke("acme", key(1).id)
    assert not await backend.keyring.revoke(None, key(2).id)


async def test_of_many_who_revoke_a_key_one_has_done_so(backend: UnderTest) -> None:
    await backend.keyring.add(key(1))
    assert (await asyncio.gather(*(backend.keyring.revoke("acme", key(1).id) for _ in range(8)))).count(True) == 1


async def test_a_key_that_was_revoked_while_it_was_looked_for_is_not_found_afterwards(backend: UnderTest) -> None:
    for turn in range(20):
        await backend.keyring.add(key(turn))
        looking = [asyncio.ensure_future(backend.keyring.find([key(turn).id])) for _ in range(3)]
        await backend.keyring.revoke("acme", key(turn).id)
        assert list(await backend.keyring.find([key(turn).id])) == []
        await asyncio.gather(*looking)


async def test_the_last_use_only_moves_forward_and_brings_nobody_back(backend: UnderTest) -> None:
    for number in (1, 2, 3):
        await backend.keyring.add(key(number))
    await backend.keyring.revoke("acme", key(3).id)
    await backend.keyring.used({key(1).id: NOW + 50, key(2).id: NOW + 60, key(3).id: NOW})
    await asyncio.gather(backend.keyring.used({key(1).id: NOW + 20}), backend.keyring.used({key(2).id: NOW + 70}))
    await backend.keyring.used({})
    found = await backend.keyring.page("acme", 10)
    assert [(each.id, each.used_at) for each in found] == [(key(2).id, NOW + 70), (key(1).id, NOW + 50)]


async def test_keys_and_revocations_survive_a_crash(backend: UnderTest) -> None:
    await backend.keyring.add(key(1))
    await backend.keyring.add(key(2, expires_at=NOW))
    await backend.keyring.revoke("acme", key(1).id)
    again = await backend.restart()
    assert list(await again.keyring.find([key(1).id, key(2).id])) == [key(2, expires_at=NOW)]
