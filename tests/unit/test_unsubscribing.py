"""The links by which people unsubscribe: sealed in every bit, without an address in them, in the header of every marketing mail."""

from __future__ import annotations

import base64
import json
from email import message_from_bytes
from email.policy import SMTP
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from sendwright.engine.render import link_in, render, say
from sendwright.model.content import EmailContent
from sendwright.model.parcel import Parcel, Step
from sendwright.model.said import Said
from sendwright.policy.content_faults import content_faults
from sendwright.policy.filling import Unfillable
from sendwright.policy.suppression import Marker
from sendwright.policy.unsubscribing import Links, Subscribed, header_fields, opted_out
from sendwright.providers import registry
from sendwright.providers.contract import HttpRequest, MailRequest, Outgoing, Provider
from tests.providers import test_sendgrid, test_ses, test_smtp

from .engine_world import EMAIL, PHONE, Vendor, World, in_virtual_time

SECRET, OLDER = b"a secret for tests, 32 bytes long", b"an older secret, of 32 bytes too!"
MARKER = Marker(SECRET)
HTTPS, HTTP = "https://notify.example.com", "http://127.0.0.1:8420"
LINKS = Links(HTTPS, [SECRET], MARKER)
MESSAGE = "msg_" + "0" * 33 + "1"
OF = Subscribed("acme", "email", MARKER.address(EMAIL), "marketing", MESSAGE)
PLAIN = Said(title="Sale", body="Tea is cheap.")


def parcel(channel: str = "email", content: Said = PLAIN, **members: Any) -> Parcel:
    address = EMAIL if channel == "email" else PHONE
    given = {"category": "marketing", "id": MESSAGE, **members}
    return Parcel(tenant="acme", steps=(Step(channel, given.pop("address", address)),), content=content, at=0, **given)


# The token.


def test_a_link_says_whose_mail_it_stood_in_and_holds_no_address() -> None:
    link = LINKS.made("acme", "email", EMAIL, MESSAGE)
    token = link.removeprefix(f"{HTTPS}/u/")
    assert LINKS.read(token) == OF
    assert LINKS.made("acme", "email", EMAIL, MESSAGE) == link  # every attempt says the same
    assert LINKS.made("acme", "email", EMAIL.upper(), MESSAGE) == link
    held = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).lower()
    assert not any(word in held for word in (EMAIL.encode(), b"someone", b"example.org"))
    assert len(token) < 200
    assert "someone" not in repr((LINKS, OF))


def test_a_token_that_was_changed_in_any_bit_is_none_of_ours() -> None:
    token = LINKS.token(OF)
    flipped = (
        token[:place] + chr(ord(letter) ^ 1 << bit) + token[place + 1 :] for place, letter in enumerate(token) for bit in range(7)
    )
    assert [changed for changed in flipped if LINKS.read(changed) is not None] == []
    shortened = [token[:length] for length in range(len(token))]
    others = [token + "A", token + "=", token * 20, "é", "\0", LINKS.token(replace(OF, tenant="other"))[:-1], " " + token]
    assert [changed for changed in (*shortened, *others) if LINKS.read(changed) is not None] == []


def test_a_token_is_read_with_a_previous_key_and_not_with_anybody_elses() -> None:
    old = Links(HTTPS, [OLDER], Marker(OLDER)).token(OF)
    assert LINKS.read(old) is None
    assert Links(HTTP, [SECRET, OLDER], MARKER).read(old) == OF
    for member, other in (("tenant", "acmf"), ("channel", "sms"), ("message", MESSAGE[:-1] + "2"), ("mark", "0" * 32)):
        told = LINKS.read(LINKS.token(replace(OF, **{member: other})))
        assert told == replace(OF, **{member: other})
        assert LINKS.token(OF) != LINKS.token(told)


def test_what_a_link_puts_on_the_list_is_a_row_of_its_own_for_each_tenant_and_channel() -> None:
    row = opted_out(OF, OF.mark, "s•••@example.org", 7)
    assert (row.reason, row.source, row.category, row.tenant, row.channel) == (
        "opted_out",
        "unsubscribe",
        "marketing",
        "acme",
        "email",
    )
    others = (replace(OF, tenant="other"), replace(OF, channel="sms"))
    assert len({row.id, *(opted_out(of, of.mark, "", 7).id for of in others), opted_out(OF, "1" * 32, "", 7).id}) == 4


# The header.


def test_one_click_is_promised_where_https_keeps_it() -> None:
    assert header_fields("https://x.example/u/t") == {
        "List-Unsubscribe": "<https://x.example/u/t>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    assert header_fields("http://127.0.0.1:8420/u/t") == {"List-Unsubscribe": "<http://127.0.0.1:8420/u/t>"}


def test_callers_set_neither_field() -> None:
    for name in ("List-Unsubscribe", "list-unsubscribe", "List-Unsubscribe-Post"):
        content = {"body": "Tea.", "email": {"headers": {name: "<https://shop.example/>"}}}
        (fault,) = content_faults(content, frozenset({"https"}))
        assert (fault.pointer, fault.code) == (f"#/content/email/headers/{name}", "invalid_header")


async def rendered(parcel: Parcel, links: Links = LINKS) -> Outgoing:
    async with World(Vendor(channels=("sms", "email")), started=False) as world:
        return render(parcel, world.fleet.accounts["one"], 0, link=link_in(links, parcel))


def fields_sent(provider: Provider, out: Outgoing) -> dict[str, str]:
    """What a mail's header says, as the vendor is given it."""
    request = provider.build(out)
    if isinstance(request, MailRequest):
        return dict(message_from_bytes(request.message, policy=SMTP).items())
    assert isinstance(request, HttpRequest)
    said = json.loads(request.body)
    if "personalizations" in said:
        return said.get("headers", {}) | said["personalizations"][0].get("headers", {})
    return {field["Name"]: field["Value"] for field in said["Content"]["Simple"].get("Headers", [])}


@in_virtual_time
async def test_every_kind_of_mail_carries_the_link_where_it_is_marketing_and_nowhere_else() -> None:
    own = Said(title="Sale", body="Tea.", email=EmailContent(headers={"X-Shop": "north"}, subject="Tea"))
    for samples in (test_smtp.samples(), test_ses.samples(), test_sendgrid.samples()):
        provider = registry.make("mail", samples.raw)
        for content, more in ((PLAIN, {}), (own, {"X-Shop": "north"})):
            marketing = await rendered(parcel(content=content))
            link = LINKS.made("acme", "email", EMAIL, MESSAGE)
            expected = {"List-Unsubscribe": f"<{link}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click", **more}
            sent = fields_sent(provider, marketing)
            assert {name: "".join(value.split()) for name, value in sent.items() if name in expected} == {
                name: "".join(value.split()) for name, value in expected.items()
            }
            other = fields_sent(provider, await rendered(parcel(content=content, category="transactional")))
            assert not any("unsubscribe" in name.lower() for name in other)
            assert ("X-Shop" in other) == bool(more)
        plain = fields_sent(provider, await rendered(parcel(), Links(HTTP, [SECRET], MARKER)))
        assert plain["List-Unsubscribe"].startswith(f"<{HTTP}/u/")
        assert "List-Unsubscribe-Post" not in plain


@in_virtual_time
async def test_an_adapter_gets_the_link_on_every_channel_of_marketing() -> None:
    sms, erased = await rendered(parcel("sms")), await rendered(parcel(address=""))
    assert sms.unsubscribe_url == LINKS.made("acme", "sms", PHONE, MESSAGE)
    assert (sms.own, erased.unsubscribe_url, erased.own) == (None, None, None)
    assert (await rendered(parcel(category="transactional"))).unsubscribe_url is None


@in_virtual_time
async def test_in_a_call_that_carries_several_each_has_a_link_of_its_own_beside_its_other_fields() -> None:
    provider = registry.make("mail", test_sendgrid.samples().raw)
    content = Said(title="Sale", body="Tea.", email=EmailContent(headers={"X-Shop": "north"}))
    outs = [await rendered(parcel(content=content, id=MESSAGE[:-1] + str(n), address=f"user-{n}@example.org")) for n in range(3)]
    assert len({provider.together(out) for out in outs}) == 1
    request = provider.build_all(outs)
    assert isinstance(request, HttpRequest)
    said = json.loads(request.body)
    assert "headers" not in said
    assert [each["headers"] for each in said["personalizations"]] == [
        {"X-Shop": "north", **header_fields(LINKS.made("acme", "email", f"user-{n}@example.org", MESSAGE[:-1] + str(n)))}
        for n in range(3)
    ]


# The template.


def said_by(parcel: Parcel) -> str | tuple[str, ...]:
    said = say(parcel, frozenset({"http", "https"}), link_in(LINKS, parcel))
    if isinstance(said, Unfillable):
        return tuple(f"{fault.pointer}: {fault.detail}" for fault in said.faults)
    return str(said.content.body)


def test_templates_say_the_link_of_marketing_on_any_channel_and_of_nothing_else() -> None:
    content = Said(body="Stop: {{ unsubscribe_url }}", data={})
    for channel, address in (("email", EMAIL), ("sms", PHONE)):
        assert said_by(parcel(channel, content)) == f"Stop: {LINKS.made('acme', channel, address, MESSAGE)}"
    assert said_by(parcel(content=content, category="transactional")) == ("#/content/body: line 1: a name is not defined",)
    own = replace(content, data={"unsubscribe_url": "https://shop.example/preferences"})
    for category in ("marketing", "transactional"):
        assert said_by(parcel(content=own, category=category)) == "Stop: https://shop.example/preferences"


def test_each_step_of_a_plan_says_the_link_of_its_own_channel() -> None:
    plan = Parcel(
        id=MESSAGE, tenant="acme", steps=(Step("sms", PHONE), Step("email", EMAIL)), category="marketing", at=0,
        content=Said(body="{{ unsubscribe_url }}", data={}),
    )  # fmt: skip
    read = [LINKS.read(str(said_by(replace(plan, step=step))).rpartition("/")[2]) for step in (0, 1)]
    assert [None if of is None else (of.channel, of.mark) for of in read] == [
        ("sms", MARKER.address(PHONE)),
        ("email", MARKER.address(EMAIL)),
    ]


@pytest.mark.parametrize("retried", [False, True], ids=["at once", "after it waited in the store"])
@in_virtual_time
async def test_a_marketing_message_goes_out_with_its_link_however_it_came_to_its_worker(retried: bool) -> None:
    mail = Vendor(channels=("email",))
    async with World(mail) as world:
        when = {"send_at": world.instant(30)} if retried else {}
        content = {"body": "{{ unsubscribe_url }}"}
        id_ = await world.post({"email": EMAIL}, content=content, data={}, category="marketing", **when)
        await world.until(lambda: bool(mail.calls))
        link = partial(Links(HTTPS, [SECRET], MARKER).made, "acme", "email", EMAIL)
        assert mail.calls[0].body == link(world.message(id_).id)
