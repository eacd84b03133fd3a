"""herald: every event that an endpoint wants reaches it, whoever dies in between; who is slow or dead waits for itself alone."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from sendwright.client import BadSignature, read_webhook
from sendwright.engine.herald import EACH, EVERY_S, LEASE_S
from sendwright.engine.postman import UNSEALED
from sendwright.engine.receivers import OVERLAP_MS, switched
from sendwright.engine.telling import EndpointPosted, Trouble
from sendwright.model.endpoint import DELIVERED, FAILED, FAILING, GONE, PAUSED, PENDING, TEST, TYPES, Endpoint
from sendwright.model.happenings import TOLD as HAPPENED
from sendwright.model.notices import OPERATOR, SPOKEN_FOR, About, Credential, Stand
from sendwright.model.records import Event
from sendwright.model.states import AttemptState, MessageState
from sendwright.policy.notices import of_credential
from sendwright.providers.contract import Lost, Reply

from .engine_world import MARKER, Vendor, World
from .herald_world import OK, TENANT, HeraldWorld, always
from .virtual_time import NOW, in_virtual_time

DAY_S = 86_400


def outcomes(world: HeraldWorld) -> list[str]:
    """Of every post, as the metrics hear of it."""
    return [told.outcome for told in world.told if isinstance(told, EndpointPosted)]


@in_virtual_time
async def test_what_happens_is_posted_signed_and_nothing_that_was_before() -> None:
    async with HeraldWorld() as world:
        await world.happen("message.sent")
        made, secret = await world.receivers.made(TENANT, "https://one.example/hook", "", ["message.sent"], enabled=True)
        world.services["https://one.example/hook"] = always(OK)
        message = await world.happen("message.sent")
        await asyncio.sleep(2)
        (post,) = world.posts
        event = read_webhook(secret, post.headers, post.raw, now=NOW / 1000)
        assert (event.id, event.type, event.data["message"]) == (post.id, "message.sent", message)
        with pytest.raises(BadSignature):
            read_webhook(secret, post.headers, post.raw.replace(b"sent", b"read"), now=NOW / 1000)
        (posting,) = await world.postings(made)
        assert (posting.state, posting.due_at, posting.tries[0].status) == (DELIVERED, None, 204)


@in_virtual_time
async def test_an_endpoint_gets_the_types_it_asked_for_and_its_tenants_events_alone() -> None:
    async with HeraldWorld() as world:
        await world.endpoint("one", "message.failed")
        await world.endpoint("all")
        await world.endpoint("other", tenant="beta")
        await world.happen("message.queued", "message.sending", "message.sent", "message.failed")
        await world.happen("message.read", tenant="beta")
        await asyncio.sleep(2)
        assert [post.body["type"] for post in world.of("one")] == ["message.failed"]
        assert [post.body["type"] for post in world.of("all")] == ["message.sent", "message.failed"], (
            "what is told, not all that moves"
        )
        assert [post.body["type"] for post in world.of("other")] == ["message.read"]


@in_virtual_time
async def test_what_is_told_of_a_message_holds_no_address_and_no_content() -> None:
    vendor = Vendor()
    async with World(vendor) as engine:
        world = HeraldWorld(engine.backend)
        await world.endpoint("one")
        said = {"content": {"body": "a word for one alone"}, "metadata": {"order": "7"}}
        notification = await engine.post({"id": "ada", "phone": "+15550100001"}, **said)
        await engine.settled(notification, MessageState.SENT)
        async with world:
            await asyncio.sleep(2)
        sent = next(post for post in world.posts if post.body["type"] == "message.sent")
        accepted = next(post for post in world.posts if post.body["type"] == "notification.accepted")
        assert sent.body["data"] == {
            "notification": notification,
            "message": engine.message(notification).id,
            "recipient": "ada",
            "channel": "sms",
            "provider": "one",
            "state": "sent",
            "reason": None,
            "metadata": {"order": "7"},
        }
        assert accepted.body["data"] == {
            "notification": notification,
            "state": "accepted",
            "reason": None,
            "metadata": {"order": "7"},
        }
        assert not any(word in post.raw for post in world.posts for word in (b"+1555", b"a word for one"))


@in_virtual_time
async def test_a_reply_is_told_as_the_event_stream_tells_it() -> None:
    async with HeraldWorld() as world:
        await world.endpoint("one")
        async with world.backend.store.transaction("happen") as t:
            t.events.append(world.clock.now_ms(), TENANT, "reply.received", ("rep_1", None), '{"channel":"sms","text":"Thanks"}')
        await asyncio.sleep(2)
        assert [post.body["data"] for post in world.posts] == [{"id": "rep_1", "channel": "sms", "text": "Thanks"}]


@in_virtual_time
async def test_what_happened_to_a_message_is_told_with_the_state_that_it_has() -> None:
    vendor = Vendor(receipts=True)
    async with World(vendor) as engine:
        world = HeraldWorld(engine.backend)
        await world.endpoint("one", *(f"message.{each}" for each in ("bounced", "complained", "clicked", "unsubscribed")))
        notification = await engine.post({"id": "ada", "phone": "+15550100001"}, metadata={"order": "7"})
        await engine.settled(notification, MessageState.SENT)
        attempt = engine.attempts(notification)[0].id
        reports = [
            (AttemptState.DELIVERED, "complained", "abuse"),
            (AttemptState.READ, "clicked", ""),
            (AttemptState.READ, "opened_by_machine", "open"),
            (AttemptState.DELIVERED, "unsubscribed", ""),
            (AttemptState.FAILED, "bounced", "hard"),
        ]
        for state, happened, more in reports:
            await engine.report(state, attempt=attempt, happened=happened, more=more)
            await engine.pass_time(1)
        async with world:
            await asyncio.sleep(2)
        common = {
            "notification": notification,
            "message": engine.message(notification).id,
            "recipient": "ada",
            "channel": "sms",
            "provider": "one",
            "state": "read",
            "reason": None,
            "metadata": {"order": "7"},
        }
        assert {post.body["type"]: post.body["data"] for post in world.posts} == {
            "message.complained": common | {"detail": "abuse"},
            "message.clicked": common | {"detail": None},
            "message.unsubscribed": common | {"detail": None},
            "message.bounced": common | {"detail": "hard"},
        }


@in_virtual_time
async def test_what_happens_to_providers_is_told_to_the_operator_alone() -> None:
    async with HeraldWorld() as world:
        await world.endpoint("theirs")
        await world.endpoint("operator", tenant=OPERATOR)
        about = About("twilio-main", "twilio", ("sms",))
        for stand, reason in ((Stand(shut=True, misconfigured=True), "misconfigured"), (Stand(), None)):
            await world.backend.stands.stand(about, stand, NOW, reason)
        notice = of_credential(about, "auth_token", NOW + 3 * DAY_S * 1000, 3, NOW)
        await world.backend.credentials.put(Credential("twilio-main"), [notice])
        await asyncio.sleep(2)
        assert world.of("theirs") == []
        told = {post.body["type"]: post.body["data"] for post in world.of("operator")}
        named = {"provider": "twilio-main", "kind": "twilio", "channels": ["sms"]}
        ids = {type_: data.pop("id") for type_, data in told.items()}
        assert told == {
            "provider.opened": named | {"reason": "misconfigured"},
            "provider.misconfigured": named | {"reason": "misconfigured"},
            "provider.closed": named | {"reason": None},
            "token.expiring": named | {"setting": "auth_token", "expires_at": "2027-01-18T08:00:00.000Z", "days_left": 3},
        }
        assert len({*ids.values()}) == 4
        assert all(id_.startswith("prv_") for id_ in ids.values())


def test_every_type_that_may_be_asked_for_is_one_that_is_told() -> None:
    moved = {f"message.{state.label}" for state in MessageState}
    assert set(TYPES) <= {"notification.accepted", *moved, *HAPPENED, *SPOKEN_FOR}


@in_virtual_time
async def test_a_failure_is_tried_again_by_the_schedule_under_the_same_id_with_a_signature_of_its_own() -> None:
    world = HeraldWorld()
    made = await world.endpoint(service=always(Reply(500, (), b"oh no")))
    await world.happen()
    await world.pass_time(4 * DAY_S)
    after = [round(post.at_s - world.posts[0].at_s) for post in world.posts]
    assert len(after) == 10
    for seen, planned in zip(after, (0, 5, 305, 2105, 9305, 27_305, 63_305, 113_705, 185_705, 272_105), strict=True):
        assert planned <= seen <= planned + 1
    assert len({post.id for post in world.posts}) == 1
    assert len({post.headers["webhook-signature"] for post in world.posts}) == 10
    assert len({post.raw for post in world.posts}) == 1
    (posting,) = await world.postings(made, FAILED)
    assert [(each.status, each.said) for each in posting.tries] == [(500, "oh no")] * 10
    assert outcomes(world) == [*["later"] * 9, "failed"]
    assert (await world.at(made)).disabled_for is None, "one event that failed is no endpoint that is dead"


@pytest.mark.parametrize(("header", "least_s"), [("120", 120), ("Thu, 01 Jan 1970 00:00:00 GMT", 5), ("soon", 5)])
def test_an_answer_may_ask_for_more_patience_and_never_for_less(header: str, least_s: int) -> None:
    @in_virtual_time
    async def run() -> None:
        async with HeraldWorld() as world:
            await world.endpoint(service=always(Reply(503, (("retry-after", header),))))
            await world.happen()
            await asyncio.sleep(200)
            assert least_s <= world.posts[1].at_s - world.posts[0].at_s <= least_s + 1

    run()


@in_virtual_time
async def test_an_endpoint_that_is_gone_is_posted_to_no_more_and_somebody_is_told() -> None:
    world = HeraldWorld()
    made = await world.endpoint(service=always(Reply(410)))
    await world.happen()
    await world.pass_time(2)
    await world.happen()
    await world.pass_time(DAY_S)
    assert len(world.posts) == 1
    assert (await world.at(made)).disabled_for == GONE
    assert outcomes(world) == ["gone"]
    assert [trouble.what for trouble in world.told if isinstance(trouble, Trouble)] == [f"{made.id} is posted to no more: gone"]


@in_virtual_time
async def test_an_endpoint_where_everything_fails_for_five_days_is_switched_off_and_goes_on_where_it_stopped() -> None:
    world = HeraldWorld()
    made = await world.endpoint(service=always(Lost("wait", "timed out")))
    for _ in range(6 * 24):
        await world.happen()
        await world.pass_time(3600)
    found = await world.at(made)
    assert found.disabled_for == FAILING
    assert found.failing_since is not None
    off_s = max(post.at_s for post in world.posts)
    assert 5 * DAY_S <= off_s < 5 * DAY_S + 7200
    # When it is mended, and switched on again
    world.services[made.url], before = always(OK), len(world.posts)
    await world.receivers.changed(TENANT, made.id, lambda each: switched(each, enabled=True))
    await world.pass_time(60)
    assert {posting.state for posting in await world.postings(made)} == {DELIVERED, FAILED}
    assert len(await world.postings(made)) == 6 * 24, "what happened meanwhile came too"
    assert len(world.posts) > before


@in_virtual_time
async def test_a_success_in_between_keeps_it_alive() -> None:
    world = HeraldWorld()
    made = await world.endpoint(service=always(Reply(500)))
    for hour in range(8 * 24):
        world.services[made.url] = always(OK if hour % 96 == 95 else Reply(500))
        await world.happen()
        await world.pass_time(3600)
    assert (await world.at(made)).disabled_for is None


@in_virtual_time
async def test_what_failed_is_replayed_under_its_old_id_with_a_schedule_that_begins_anew() -> None:
    world = HeraldWorld()
    made = await world.endpoint(service=always(Reply(500)))
    await world.happen()
    await world.pass_time(4 * DAY_S)
    assert len(world.posts) == 10
    (id_,) = await world.backend.endpoints.replay(made.id, None, world.clock.now_ms(), 100)
    await world.pass_time(8)
    assert [post.id for post in world.posts[10:]] == [id_, id_], "at once, and five seconds later"
    world.services[made.url] = always(OK)
    await world.pass_time(400)
    (posting,) = await world.postings(made)
    assert (posting.state, posting.count, len(posting.tries)) == (DELIVERED, 13, 13)
    await world.backend.endpoints.replay(made.id, [id_], world.clock.now_ms(), 100)
    await world.pass_time(2)
    assert len(world.posts) == 14, "what was delivered may be had again"


@in_virtual_time
async def test_a_dead_endpoint_holds_up_nobody_and_has_one_place() -> None:
    async with HeraldWorld() as world:
        await world.endpoint("slow", service=always(Lost("wait", "timed out"), after_s=20))
        await world.endpoint("quick")
        for _ in range(100):
            await world.happen()
        await asyncio.sleep(2)
        assert len(world.of("quick")) == 100
        assert len(world.of("slow")) == EACH
        await asyncio.sleep(19)
        assert len(world.of("slow")) == EACH + 1, "once it has failed, one at a time"


@pytest.mark.slow
@in_virtual_time
async def test_many_dead_endpoints_leave_room_for_those_that_are_well() -> None:
    async with HeraldWorld() as world:
        for number in range(200):
            await world.endpoint(f"slow-{number}", service=always(Lost("wait", "timed out"), after_s=20))
        await world.happen()
        await asyncio.sleep(400)
        await world.endpoint("quick")
        for _ in range(5):
            await world.happen()
        await asyncio.sleep(3)
        assert len(world.of("quick")) == 5


@in_virtual_time
@pytest.mark.parametrize("method", ["spread", "take", "tried"])
async def test_a_crash_at_any_write_loses_nothing_and_doubles_no_row(method: str) -> None:
    world = HeraldWorld()
    stands = asyncio.Event()

    async def stop(entered: str) -> None:
        if entered == method:
            stands.set()
            await asyncio.sleep(10**6)

    async with world:
        made = await world.endpoint()
        await world.happen()
        world.backend.store.before_commit = stop
        await stands.wait()
        again = await world.kill()
        async with again:
            await asyncio.sleep(LEASE_S + 5)
            (posting,) = await again.postings(made)
            assert posting.state == DELIVERED
            assert 1 <= len(again.posts) <= 2, "posted twice only where the crash came after the first"
            assert {post.id for post in again.posts} == {posting.id}


@in_virtual_time
async def test_of_several_heralds_each_event_is_posted_by_one() -> None:
    async with HeraldWorld() as world, HeraldWorld(world.backend) as other, HeraldWorld(world.backend) as third:
        other.services = third.services = world.services
        other.posts = third.posts = world.posts
        await world.endpoint()
        for _ in range(50):
            await world.happen()
        await asyncio.sleep(5)
        assert len(world.posts) == 50
        assert set(Counter(post.id for post in world.posts).values()) == {1}


@in_virtual_time
async def test_without_an_endpoint_no_event_is_read_and_nothing_is_written() -> None:
    async with HeraldWorld() as world:
        written = list[str]()

        async def note(method: str) -> None:
            written.append(method)

        world.backend.store.before_commit = note
        for _ in range(3):
            await world.happen()
            await asyncio.sleep(10 * EVERY_S)
        assert written == ["happen"] * 3


@in_virtual_time
async def test_right_after_a_step_of_the_wall_clock_nothing_is_due() -> None:
    async with HeraldWorld() as world:
        await world.endpoint()
        world.held = True
        await world.happen()
        await asyncio.sleep(10)
        assert world.posts == []
        world.held = False
        await asyncio.sleep(2)
        assert len(world.posts) == 1


@in_virtual_time
async def test_while_it_is_paused_nothing_comes_and_afterwards_all_of_it() -> None:
    async with HeraldWorld() as world:
        made = await world.endpoint()
        await world.receivers.changed(TENANT, made.id, lambda each: switched(each, enabled=False))
        assert (await world.at(made)).disabled_for == PAUSED
        await world.happen("message.sent", "message.delivered")
        await asyncio.sleep(10)
        assert world.posts == []
        await world.receivers.changed(TENANT, made.id, lambda each: switched(each, enabled=True))
        await asyncio.sleep(2)
        assert [post.body["type"] for post in world.posts] == ["message.sent", "message.delivered"]


@in_virtual_time
async def test_after_a_rotation_both_secrets_sign_for_a_day_and_then_the_new_one_alone() -> None:
    world = HeraldWorld()
    made, old = await world.receivers.made(TENANT, "https://one.example/hook", "", [], enabled=True)
    world.services[made.url] = always(OK)
    rotated = await world.receivers.rotated(TENANT, made.id)
    assert rotated is not None
    new = rotated[1]
    assert old != new
    await world.happen()
    await world.pass_time(2)
    for secret in (old, new):
        read_webhook(secret, world.posts[0].headers, world.posts[0].raw, now=NOW / 1000)
    await world.pass_time(OVERLAP_MS / 1000)
    await world.happen()
    await world.pass_time(2)
    now = world.clock.now_ms() / 1000
    read_webhook(new, world.posts[1].headers, world.posts[1].raw, now=now)
    with pytest.raises(BadSignature):
        read_webhook(old, world.posts[1].headers, world.posts[1].raw, now=now)


@in_virtual_time
async def test_one_endpoints_secret_opens_for_no_other_and_under_no_other_key() -> None:
    async with HeraldWorld() as world:
        one, two = await world.endpoint("one"), await world.endpoint("two")
        await world.backend.endpoints.save(replace(two, secret=one.secret, version=2))
        assert (await world.receivers.tested(await world.at(two))).tried.said == UNSEALED
        other = HeraldWorld(world.backend, secret=b"x" * 32)
        assert (await other.receivers.tested(one)).tried.said == UNSEALED
        assert world.posts == other.posts == []


@in_virtual_time
async def test_a_test_is_posted_now_and_leaves_no_trace() -> None:
    async with HeraldWorld() as world:
        made = await world.endpoint(service=always(Reply(404, (), b"no such hook for ada@example.org")))
        posted = await world.receivers.tested(made)
        assert (posted.ok, posted.tried.status, posted.tried.said) == (False, 404, "no such hook for •••")
        assert world.posts[0].body["type"] == TEST
        assert await world.postings(made) == []
        assert await world.at(made) == made


@in_virtual_time
async def test_an_address_that_may_not_be_called_is_a_failure_that_names_no_address() -> None:
    async with HeraldWorld() as world:
        made = await world.endpoint()
        del world.services[made.url]
        await world.happen()
        await asyncio.sleep(2)
        (posting,) = await world.postings(made, PENDING)
        assert posting.tries[0].said == "not sent (resolve): denied: this address may not be called"


@in_virtual_time
async def test_what_is_removed_takes_everything_with_it() -> None:
    async with HeraldWorld() as world:
        made = await world.endpoint(service=always(Reply(500)))
        for _ in range(600):
            await world.happen()
        await asyncio.sleep(3)
        assert await world.receivers.removed(TENANT, made.id)
        assert not await world.receivers.removed(TENANT, made.id)
        before = len(world.posts)
        await asyncio.sleep(60)
        assert (await world.postings(made), len(world.posts)) == ([], before)


@pytest.mark.parametrize("turns", range(8))
@in_virtual_time
async def test_where_its_reading_breaks_nothing_of_it_goes_on_and_it_begins_again_with_all_its_places(turns: int) -> None:
    world = HeraldWorld()
    await world.endpoint("one", service=always(OK, 1))
    store, records = world.backend.endpoints, world.backend.records
    waiting, live, events, looks = store.waiting, store.live, records.events, 0
    found = asyncio.Event()

    async def told(*args: Any) -> Sequence[str]:
        found.set()
        for _turn in range(4):
            await asyncio.sleep(0)
        return await waiting(*args)

    async def counted() -> Sequence[Endpoint]:
        nonlocal looks
        looks += 1
        return await live()

    async def breaks(*_: Any) -> Sequence[Event]:
        await found.wait()
        for _turn in range(turns):
            await asyncio.sleep(0)
        raise RuntimeError("broke")

    # given: when the reading breaks, posts begin, or are about to
    for _ in range(EACH):
        await world.happen()
    assert not await world.herald.read()
    store.waiting, store.live, records.events = told, counted, breaks  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        await world.herald.run()
    # then nothing of it looks any more, and no line is kept
    looks, records.events = 0, events  # type: ignore[method-assign]
    await asyncio.sleep(LEASE_S + 1)
    assert (looks, world.leased) == (0, 0)
    # and begun again, it posts as many at a time as ever
    world.posts.clear()
    async with world:
        await asyncio.sleep(1.5)
    assert Counter(post.at_s for post in world.posts).most_common(1)[0][1] == EACH


@in_virtual_time
async def test_of_somebody_who_is_erased_between_reading_and_writing_nothing_is_told_that_was_known_before() -> None:
    async with World(Vendor()) as engine:
        world = HeraldWorld(engine.backend)
        made = await world.endpoint()
        await engine.settled(await engine.post({"id": "ada", "phone": "+14155550100"}, metadata={"order": "7"}), MessageState.SENT)
        # given: erased right after the bodies were built
        spread, erasures = engine.backend.endpoints.spread, 0

        async def late(*args: Any) -> bool:
            nonlocal erasures
            if not erasures:
                erasures += 1
                await engine.directory.erase(TENANT, "ada", MARKER.person(TENANT, "ada"), world.clock.now_ms())
            return await spread(*args)

        world.backend.endpoints.spread = late  # type: ignore[method-assign]
        async with world:
            await asyncio.sleep(5)
        assert erasures == 1
        told = [post.body["data"] for post in world.posts]
        assert {"notification.accepted", "message.sent"} <= {post.body["type"] for post in world.posts}
        assert [(data.get("recipient"), data["metadata"]) for data in told] == [(None, {})] * len(told)
        assert await world.at(made)
