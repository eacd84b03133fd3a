"""Calls on the directory of recipients: write, merge, read, list, a batch, and erase a person.

Addresses are judged as those of a notification are, and telephone numbers kept as E.164.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from sendwright.model.notification import PushToken, Recipient
from sendwright.model.people import Change, Known
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
from sendwright.web.api.table import Ask

_ADDRESSES = (
    "email", "phone", "whatsapp", "instagram", "messenger", "telegram", "line", "slack", "discord", "teams", "webhook",
)  # fmt: skip


async def put_recipient(ask: Ask) -> RecipientView:
    return await _written(ask, whole=True)


async def patch_recipient(ask: Ask) -> RecipientView:
    await _known(ask)
    return await _written(ask, whole=False)


async def get_recipient(ask: Ask) -> RecipientView:
    return _view(await _known(ask))


async def list_recipients(ask: Ask) -> RecipientList:
    query: RecipientsQuery = ask.query
    rows = await ask.services.directory.page(ask.caller.tenant, query.limit + 1, opened(ask, query))
    shown = rows[: query.limit]
    place = shown[-1].recipient.id if len(rows) > query.limit else None
    return RecipientList([_view(_masked(row)) for row in shown], sealed(ask, query, place))


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
    known = (await services.directory.known([(tenant, id_)])).get((tenant, id_))
    addresses = [] if known is None else [a for name in _ADDRESSES if isinstance(a := getattr(known.recipient, name), str)]
    marks = {mark for address in addresses for mark in services.marker.addresses(address)}
    person = services.marker.person(tenant, id_)
    done = await services.directory.erase(tenant, id_, person, services.clock.now_ms(), sorted(marks))
    return ErasedView(id_, done.messages, done.cancelled)


async def _known(ask: Ask) -> Known:
    key = (ask.caller.tenant, ask.params["id"])
    found = await ask.services.directory.known([key])
    if key not in found:
        raise problems.not_found()
    return found[key]


async def _written(ask: Ask, *, whole: bool) -> RecipientView:
    id_, body = ask.params["id"], ask.body
    faults = [] if body.id in (UNSET, id_) else [Fault("#/id", "conflict", "must be the id of the path, or left out")]
    if not _fit(id_):
        faults.append(Fault("#/id", "invalid_recipient", f"must have 1 to {NAME_MAX} characters, none of them a control character"))
    members = _members(ask, body, faults)
    (known,) = await ask.services.directory.write([_change(ask, id_, members, whole=whole)])
    if known is None:
        raise Refusal(409, "erased", "The person was erased at this very moment.")
    return _view(known)


def _judged(ask: Ask, raw: bytes) -> Change | Refusal:
    try:
        body = read_json(RecipientBody, raw)
        faults = []
        if isinstance(body.id, UnsetType):
            faults.append(Fault("#/id", "required", "must be given"))
        elif not _fit(body.id):
            faults.append(Fault("#/id", "invalid_recipient", "must not be blank or hold control characters"))
        return _change(ask, str(body.id), _members(ask, body, faults), whole=False)
    except Refusal as refusal:
        return refusal


def _members(ask: Ask, body: RecipientBody, faults: list[Fault]) -> dict[str, Any]:
    """What is to be written, as JSON has it. Refuses with all faults."""
    said: dict[str, Any] = {name: value for name, value in msgspec.to_builtins(body).items() if name != "id"}
    faults += recipient_faults(said, ask.services.rules)
    if faults:
        raise problems.of_faults(faults)
    return written(said)


def _change(ask: Ask, id_: str, members: dict[str, Any], *, whole: bool) -> Change:
    tenant, services = ask.caller.tenant, ask.services
    return Change(tenant, id_, members, services.clock.now_ms(), services.marker.person(tenant, id_), whole=whole)


def _fit(id_: str) -> bool:
    return 0 < len(id_) <= NAME_MAX and bool(id_.strip()) and not any(c < " " or c == "\x7f" for c in id_)


def _view(known: Known) -> RecipientView:
    recipient = known.recipient
    said: dict[str, Any] = {name: getattr(recipient, name) for name in Recipient.__struct_fields__}
    return RecipientView(**said, created_at=rfc3339(known.created_at), updated_at=rfc3339(known.updated_at))


def _masked(known: Known) -> Known:
    recipient = known.recipient
    hidden: dict[str, Any] = {name: masked(address) for name in _ADDRESSES if isinstance(address := getattr(recipient, name), str)}
    if recipient.push is not None:
        hidden["push"] = [PushToken(masked(device.token), device.kind) for device in recipient.push]
    if recipient.webpush is not None:
        hidden["webpush"] = [{"endpoint": masked(str(device.get("endpoint", "")))} for device in recipient.webpush]
    return msgspec.structs.replace(known, recipient=msgspec.structs.replace(recipient, **hidden))
