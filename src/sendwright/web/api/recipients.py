"""Calls on the directory of recipients: write, merge, read, list, a batch, and erase a person.

Addresses are judged as those of a notification are, and telephone numbers kept as E.164.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from sendwright.model.notification import PushToken, Recipient
from sendwright.model.people import Change, Known
from sendwright.model.records import Page
from sendwright.policy.admission import recipient_faults, written
from sendwright.policy.duration import rfc3339
from sendwright.policy.masking import masked
from sendwright.policy.payload_schema import NAME_MAX, Fault
from sendwright.web.api import problems
from sendwright.web.api.notifications import opened, sealed
from sendwright.web.api.people_shapes import (
    ErasedView,
    RecipientBatch,
    RecipientBody,
    RecipientList,
    RecipientResults,
    RecipientsQuery,
    RecipientView,
    RecipientWritten,
)
from sendwright.web.api.problems import Refusal
from sendwright.web.api.reading import read_json
from sendwright.web.api.services import Services
from sendwright.web.api.table import Ask

ADDRESSES = (
    "email", "phone", "whatsapp", "instagram", "messenger", "telegram", "line", "slack", "discord", "teams", "webhook",
)  # fmt: skip

ADDRESSED = 500
"""So many of the newest messages are looked through for addresses that the directory does not have."""


async def put_recipient(ask: Ask) -> RecipientView:
    return await _written(ask, whole=True)


async def patch_recipient(ask: Ask) -> RecipientView:
    await _known(ask)
    return await _written(ask, whole=False)


async def get_recipient(ask: Ask) -> RecipientView:
    return recipient_view(await _known(ask))


async def list_recipients(ask: Ask) -> RecipientList:
    query: RecipientsQuery = ask.query
    rows = await ask.services.directory.page(ask.caller.tenant, query.limit + 1, opened(ask, query))
    shown = rows[: query.limit]
    place = shown[-1].recipient.id if len(rows) > query.limit else None
    return RecipientList([masked_view(recipient_view(row)) for row in shown], sealed(ask, query, place))


async def post_recipients(ask: Ask) -> RecipientResults:
    """Each is judged alone; those that are right are written at once."""
    batch: RecipientBatch = ask.body
    judged = [_judged(ask, bytes(raw)) for raw in batch.recipients]
    changes = [one for one in judged if isinstance(one, Change)]
    if changes:
        await ask.services.directory.write(changes)
    return RecipientResults(
        [
            RecipientWritten(id=one.id) if isinstance(one, Change) else RecipientWritten(problem=one.problem(ask.request_id))
            for one in judged
        ]
    )


async def delete_recipient(ask: Ask) -> ErasedView:
    """Erases the person; answers alike where nobody knew them, for what is on its way may."""
    services, tenant, id_ = ask.services, ask.caller.tenant, ask.params["id"]
    marks = await marks_of(ask, await known_of(ask))
    person = services.marker.person(tenant, id_)
    done = await services.directory.erase(tenant, id_, person, services.clock.now_ms(), marks)
    return ErasedView(id_, done.messages, done.cancelled)


async def known_of(ask: Ask) -> Known | None:
    """What the directory knows of the path's recipient."""
    key = (ask.caller.tenant, ask.params["id"])
    return (await ask.services.directory.known([key])).get(key)


async def marks_of(ask: Ask, known: Known | None) -> list[str]:
    """Of the addresses that the directory has, and of those that the person's newest messages went or were to go to."""
    addresses = set() if known is None else _addresses(known)
    listed = await ask.services.records.list_messages(Page(ask.caller.tenant, ADDRESSED, recipient=ask.params["id"]))
    for row in listed.rows:
        addresses |= {address for address in (row.address, *(step.address for step in row.steps)) if address}
    return sorted({mark for address in addresses for mark in ask.services.marker.addresses(address)})


def _addresses(known: Known) -> set[str]:
    recipient = known.recipient
    found = {
        value
        for name in recipient.__struct_fields__
        if name not in ("id", "locale", "timezone") and isinstance(value := getattr(recipient, name), str)
    }
    found |= {device.token for device in recipient.push or ()}
    return found | {msgspec.json.encode(device).decode() for device in recipient.webpush or ()}


async def _known(ask: Ask) -> Known:
    known = await known_of(ask)
    if known is None:
        raise problems.not_found()
    return known


async def _written(ask: Ask, *, whole: bool) -> RecipientView:
    id_ = ask.params["id"]
    members = _members(ask.body, wrong_with(ask.services, ask.params, msgspec.to_builtins(ask.body)))
    (known,) = await ask.services.directory.write([_change(ask, id_, members, whole=whole)])
    if known is None:
        raise Refusal(409, "erased", "The person was erased at this very moment.")
    return recipient_view(known)


def wrong_with(services: Services, params: Mapping[str, str], doc: Mapping[str, Any]) -> list[Fault]:
    """What is wrong with a recipient that is written to its path, beside its shape."""
    id_ = params["id"]
    faults = [] if doc.get("id", id_) == id_ else [Fault("#/id", "conflict", "must be the id of the path, or left out")]
    if not _fit(id_):
        faults.append(Fault("#/id", "invalid_recipient", f"must have 1 to {NAME_MAX} characters, none of them a control character"))
    return [*faults, *_wrong_members(services, doc)]


def _wrong_item(services: Services, doc: Mapping[str, Any]) -> list[Fault]:
    faults = []
    if "id" not in doc:
        faults.append(Fault("#/id", "required", "must be given"))
    elif isinstance(doc["id"], str) and not _fit(doc["id"]):
        faults.append(Fault("#/id", "invalid_recipient", "must not be blank or hold control characters"))
    return [*faults, *_wrong_members(services, doc)]


def _wrong_members(services: Services, doc: Mapping[str, Any]) -> list[Fault]:
    return recipient_faults(_without_id(doc), services.rules)


def _without_id(doc: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in doc.items() if name != "id"}


def _judged(ask: Ask, raw: bytes) -> Change | Refusal:
    try:
        body = read_json(RecipientBody, raw, lambda doc: _wrong_item(ask.services, doc))
        members = _members(body, _wrong_item(ask.services, msgspec.to_builtins(body)))
        return _change(ask, str(body.id), members, whole=False)
    except Refusal as refusal:
        return refusal


def _members(body: RecipientBody, faults: list[Fault]) -> dict[str, Any]:
    """What is to be written, as JSON has it. Refuses with all faults."""
    if faults:
        raise problems.of_faults(faults)
    return written(_without_id(msgspec.to_builtins(body)))


def _change(ask: Ask, id_: str, members: dict[str, Any], *, whole: bool) -> Change:
    tenant, services = ask.caller.tenant, ask.services
    return Change(tenant, id_, members, services.clock.now_ms(), services.marker.person(tenant, id_), whole=whole)


def _fit(id_: str) -> bool:
    return 0 < len(id_) <= NAME_MAX and bool(id_.strip()) and not any(c < " " or c == "\x7f" for c in id_)


def recipient_view(known: Known) -> RecipientView:
    recipient = known.recipient
    said: dict[str, Any] = {name: getattr(recipient, name) for name in Recipient.__struct_fields__}
    return RecipientView(**said, created_at=rfc3339(known.created_at), updated_at=rfc3339(known.updated_at))


def masked_view(view: RecipientView) -> RecipientView:
    """The same with its addresses masked."""
    hidden: dict[str, Any] = {name: masked(address) for name in ADDRESSES if isinstance(address := getattr(view, name), str)}
    if view.push is not None:
        hidden["push"] = [PushToken(masked(device.token), device.kind) for device in view.push]
    if view.webpush is not None:
        hidden["webpush"] = [{"endpoint": masked(str(device.get("endpoint", "")))} for device in view.webpush]
    return msgspec.structs.replace(view, **hidden)
