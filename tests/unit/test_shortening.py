"""What gives where a text is too long: how it is cut, by which count, and where it is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendwright.engine.render import draft, shortened, within
from sendwright.model.content import Content
from sendwright.model.states import MessageState
from sendwright.policy.graphemes import boundaries
from sendwright.policy.segments import segments_of
from sendwright.policy.shortening import KEPT, Cut, Wording, cut_between, overflow_of, too_long
from sendwright.policy.shortening import shortened as shorten
from sendwright.providers.contract import Capabilities, Outgoing, Provider, TooLong, length_of
from sendwright.providers.registry import make
from tests.conformance.kinds import samples_of

from .engine_world import EMAIL, PHONE, Vendor, World, in_virtual_time

MESSAGE = "msg_" + "0" * 34
LONG = "word " * 10_000
SHOP = "https://shop.example/orders/1234567890"
KINDS = {
    "push": "fcm",
    "webpush": "webpush",
    "inapp": "inapp",
    "sms": "twilio",
    "whatsapp": "whatsapp_cloud",
    "telegram": "telegram",
    "slack": "slack",
    "messenger": "messenger",
    "instagram": "instagram",
}


def provider_of(channel: str, **changed: Any) -> Provider:
    samples = samples_of(KINDS[channel])
    assert samples is not None
    return make("main", samples.raw | changed)


def sent(channel: str, content: dict[str, Any], **changed: Any) -> tuple[Outgoing, Cut | None]:
    said = msgspec.convert(content, Content)
    provider = provider_of(channel, **changed)
    out, cut = shortened(draft(said, channel, MESSAGE), said, provider)
    can = provider.capabilities
    assert length_of(provider.counted(out), can.unit) <= (can.body_max or 0)
    within(out, provider)
    return out, cut


@pytest.mark.parametrize("channel", sorted(KINDS))
def test_what_is_short_enough_is_sent_as_it_is_and_what_is_too_long_is_as_long_as_it_may_be(channel: str) -> None:
    content = {"title": "Title", "body": "Hello", "url": SHOP, "overflow": "shorten"}
    assert sent(channel, content) == (draft(msgspec.convert(content, Content), channel, MESSAGE), None)
    out, cut = sent(channel, {**content, "body": "x" * 100_000})
    provider = provider_of(channel)
    can = provider.capabilities
    room = (can.body_max or 0) - length_of(provider.counted(out), can.unit)
    assert 0 <= room <= 2
    assert cut is not None
    assert (cut.title, out.title in (None, "Title")) == (0, True)
    assert "…" in out.body or "..." in out.body
    if channel in ("push", "webpush", "inapp"):
        assert out.url == SHOP
        assert cut.body == 100_000 - len(out.body) + 1
    else:
        assert out.body.startswith("Title\nxxx")
        assert out.body.endswith(f"\n{SHOP}")


def test_the_limits_that_are_told_are_those_that_are_kept() -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "types.md").read_text("utf-8")
    rows = re.finditer(r"^\| `(\w+)`[^|]*\| ([0-9,]+) (characters|bytes)", page, re.MULTILINE)
    kept = {channel: provider_of(channel).capabilities for channel in KINDS}
    told = {row[1]: (int(row[2].replace(",", "")), row[3]) for row in rows}
    assert told == {channel: (can.body_max, can.unit) for channel, can in kept.items()}


@pytest.mark.parametrize(
    ("channel", "default"),
    [
        *((channel, "shorten") for channel in ("push", "webpush", "inapp")),
        *((channel, "refuse") for channel in KINDS if channel not in ("push", "webpush", "inapp")),
        ("email", "refuse"),
        ("webhook", "refuse"),
        ("pager", "refuse"),
    ],
)
def test_what_is_glanced_at_is_shortened_unless_it_says_otherwise_and_all_else_where_it_says_so(channel: str, default: str) -> None:
    assert overflow_of(Content(body="x"), channel) == default
    other = "refuse" if default == "shorten" else "shorten"
    whole = channel in ("email", "webhook")
    assert overflow_of(msgspec.convert({"body": "x", "overflow": other}, Content), channel) == ("refuse" if whole else other)
    if channel in KINDS:
        own = {"body": "x", "overflow": default, channel: {"overflow": other}}
        assert overflow_of(msgspec.convert(own, Content), channel) == other


@pytest.mark.parametrize(
    ("channel", "content"),
    [
        *((channel, {"body": LONG}) for channel in KINDS if channel not in ("push", "webpush", "inapp")),
        *((channel, {"body": LONG, "overflow": "refuse"}) for channel in ("push", "webpush", "inapp")),
        ("push", {"body": "Hello " * 10, "push": {"data": {"a": "x" * 4096}}}),
        ("webpush", {"body": "Hello " * 10, "webpush": {"data": {"a": "x" * 4096}}}),
        ("webpush", {"body": "Hello " * 10, "actions": [{"id": "a", "label": "x" * 255, "url": SHOP + "/" * 600}] * 9}),
        ("telegram", {"body": "x" * 30, "telegram": {"media": [{"url": SHOP + "/" * 1000}] * 5}, "overflow": "shorten"}),
        ("sms", {"body": SHOP + "/" * 1600, "overflow": "shorten"}),
        ("instagram", {"body": "x" * 30, "url": SHOP + "/" * 960, "overflow": "shorten"}),
    ],
)
def test_it_is_refused_where_nothing_may_be_cut_or_that_is_not_enough(channel: str, content: dict[str, Any]) -> None:
    with pytest.raises(TooLong) as refusal:
        sent(channel, content)
    assert "Hello" not in str(refusal.value)
    assert "word" not in str(refusal.value)


def test_the_body_gives_first_and_then_the_title_and_data_never() -> None:
    said = {"title": "T" * 400, "body": "B" * 400, "url": SHOP}
    for room, title, body in ((4000, 400, 400), (700, 400, None), (300, None, KEPT + 1)):
        data = {"a": "x" * (4096 - len("titlebodyurla") - len(SHOP) - room)}
        out, cut = sent("push", {**said, "push": {"data": data}})
        assert (out.url, out.own) == (SHOP, msgspec.convert({"data": data}, type(out.own)))
        assert title is None or len(out.title or "") == title
        assert body is None or len(out.body) == body
        assert (cut is None) == (room == 4000)
        assert len((out.title or "").encode()) + len(out.body.encode()) >= min(room, 800) - 2
    with pytest.raises(TooLong):
        sent("push", {**said, "push": {"data": {"a": "x" * 4000}}})


def test_a_title_alone_is_cut_as_the_one_text_that_it_is() -> None:
    out, cut = sent("push", {"title": "T" * 900, "push": {"data": {"a": "x" * 3800}}})
    assert (out.title, out.title and out.title[-1]) == (out.body, "…")
    assert cut == Cut(900 - len(out.body) + 1, 900 - len(out.body) + 1)


@pytest.mark.parametrize(
    ("body", "most", "end"),
    [
        ("a" * 161, 1, "..."),
        ("a" * 160, 1, "a"),
        ("é" * 400, 2, "..."),
        ("ё" * 71, 1, "…"),
        ("ё" * 70, 1, "ё"),
        ("ё" * 500, 3, "…"),
        ("a" * 100 + "…" + "a" * 100, 1, "..."),
        ("€" * 100, 1, "..."),
        ("a" * 1601, 20, "..."),
    ],
)
def test_an_sms_has_no_more_parts_than_it_may_and_its_ellipsis_keeps_the_alphabet(body: str, most: int, end: str) -> None:
    out, cut = sent("sms", {"body": body, "sms": {"overflow": "shorten"}}, segments_max=most)
    assert out.body.endswith(end)
    assert (cut is None) == (out.body == body)
    assert segments_of(out.body).count <= most
    if not end.startswith("."):
        return
    assert segments_of(out.body).encoding == "gsm7"
    with pytest.raises(TooLong):
        sent("sms", {"body": body}, segments_max=most)


@pytest.mark.parametrize(
    "link",
    [SHOP, "http://a.example", "www.shop.example/a?b=c", "shop.example/x/y", "mailto:ada@shop.example", "app://open/1"],
)
def test_no_link_is_cut_it_is_there_or_not(link: str) -> None:
    can = Capabilities(channels=("telegram",), body_max=60)
    text = f"Here it is, as you asked: {link} and then some more of it. " + "more " * 20
    for most in range(KEPT + 2, 120):
        found = shorten(Wording(None, text), "telegram", msgspec.structs.replace(can, body_max=most), lambda said: said.body)
        assert found is not None
        rest = found.text.removesuffix("…")
        assert text.startswith(rest)
        at = text.index(link)
        assert len(rest) <= at or len(rest) >= at + len(link)


@pytest.mark.parametrize("channel", sorted(KINDS))
def test_what_a_preview_shows_is_what_the_request_is_built_with(channel: str) -> None:
    samples = samples_of(KINDS[channel])
    assert samples is not None
    said = msgspec.convert({"title": "Title", "body": LONG, "url": SHOP, "overflow": "shorten"}, Content)
    provider, out = provider_of(channel), draft(said, channel, MESSAGE)
    seen, cut = shortened(out, said, provider)
    beside = ("attempt", "address", "tenant", "priority", "now", "entropy", "token")
    addressed = {name: getattr(samples.outgoing, name) for name in beside}
    real, told = shortened(msgspec.structs.replace(out, **addressed), said, provider)
    assert (seen.title, seen.body, cut) == (real.title, real.body, told)
    assert cut is not None
    provider.build(real)


@in_virtual_time
async def test_a_text_that_is_refused_goes_to_the_next_step_and_one_that_may_be_is_shortened() -> None:
    sms, mail = Vendor("sms", segments_max=2), Vendor("mail", channels=("email",))
    push = Vendor("push", channels=("push",))
    async with World(sms, mail, push) as world:
        both = {"phone": PHONE, "email": EMAIL}
        for content in ({"body": "x" * 307}, {"body": "x" * 306}, {"body": "x" * 307, "sms": {"overflow": "shorten"}}):
            notification = await world.post(both, channels=["sms", "email"], content=content)
            await world.settled(notification, MessageState.SENT)
            assert len(world.attempts(notification)) == 1
        assert [call.body for call in mail.calls] == ["x" * 307]
        assert [call.body for call in sms.calls] == ["x" * 306, "x" * 303 + "..."]
        notification = await world.post({"push": [{"token": "t", "kind": "fcm"}]}, content={"body": "x" * 6000, "url": SHOP})
        await world.settled(notification, MessageState.SENT)
        assert [call.body for call in push.calls] == ["x" * 4999 + "…"]
        notification = await world.post(both, channels=["sms"], content={"body": "x" * 307})
        await world.settled(notification, MessageState.FAILED)
        assert (world.message(notification).reason, world.message(notification).detail) == (
            "too_long",
            "the text is longer than 2 parts",
        )


CLUSTERS = (
    *("a", "é", "ё", "漢", " ", "\n", "&", "<", '"', "€", "\r\n", "e\u0301", "x\u0301\u0302", "한", "\u1112\u1161\u11ab"),
    *("👩‍👩‍👧‍👦", "👍🏽", "🇵🇹", "1\ufe0f\u20e3", "क्षि", "😀", "🏴\U000e0067\U000e0062\U000e007f", "กำ"),
)
TEXTS = st.lists(st.sampled_from(CLUSTERS), min_size=1, max_size=120)


@given(TEXTS)
def test_a_character_as_a_reader_takes_it_has_no_boundary_inside(clusters: list[str]) -> None:
    starts, at = {0}, 0
    for cluster in clusters:
        at += len(cluster)
        starts.add(at)
    assert set(boundaries("".join(clusters))) <= starts
    assert [*boundaries("".join(clusters))][-1] == at


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(CLUSTERS), min_size=30, max_size=120),
    st.integers(20, 300),
    st.sampled_from(("characters", "bytes", "segments")),
    st.sampled_from(("sms", "push", "slack")),
)
def test_it_never_exceeds_the_limit_breaks_no_character_and_shortening_twice_is_shortening_once(
    clusters: list[str], most: int, unit: Any, channel: str
) -> None:
    can = Capabilities(channels=(channel,), body_max=most, unit="characters" if unit == "segments" else unit)
    if unit == "segments":
        can = msgspec.structs.replace(can, body_max=None, segments_max=1 + most % 3)
    text = "".join(clusters)

    def counted(said: Wording) -> str:
        return (said.title or "") + said.body.replace("&", "&amp;") if channel == "slack" else (said.title or "") + said.body

    said = Wording("T" * 30, text, after="\nend") if channel == "push" else Wording(None, text, "Title\n", "\nend")
    found = shorten(said, channel, can, counted)
    if found is None:
        assert too_long(counted(said), can) is not None
        return
    assert too_long(counted(found), can) is None
    assert shorten(found, channel, can, counted) == found
    assert (found.before, found.after) == (said.before, said.after)
    found.body.encode()
    rest = found.text if found.text == text else found.text.removesuffix("...").removesuffix("…")
    assert text.startswith(rest)
    starts, at = {0}, 0
    for cluster in clusters:
        at += len(cluster)
        starts.add(at)
    assert any(len(rest) <= start and not text[len(rest) : start].strip() for start in starts)
    cut = cut_between(said, found)
    assert (cut is None) == (found == said)
    assert cut is None or cut.body == len(text) - len(rest)
