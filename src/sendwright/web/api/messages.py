"""Calls on messages: lists and details, cancel, and what a person may do by hand."""

from __future__ import annotations

from msgspec import UnsetType

from sendwright.model import ids
from sendwright.model.records import Listed, MessageRecord, Page
from sendwright.model.states import MessageState, message_state
from sendwright.policy.duration import instant_ms
from sendwright.web.api import problems
from sendwright.web.api.notifications import cancel, opened, sealed
from sendwright.web.api.problems import Refusal
from sendwright.web.api.services import Services
from sendwright.web.api.shapes import CancelledView, MessageList, MessagesQuery, MessageView, Moved
from sendwright.web.api.table import Ask
from sendwright.web.api.views import message_view, message_views


async def list_messages(ask: Ask) -> MessageList:
    listed = await listed_messages(ask)
    return MessageList(await message_views(ask.services.records, listed.rows), sealed(ask, ask.query, listed.next))


async def listed_messages(ask: Ask) -> Listed[MessageRecord]:
    """The rows that a `MessagesQuery` asks for."""
    query: MessagesQuery = ask.query
    page = Page(
        tenant=ask.caller.tenant,
        limit=query.limit,
        before=opened(ask, query),
        since=given_ms(query.since),
        until=given_ms(query.until),
        notification=given(query.notification),
        state=None if isinstance(query.state, UnsetType) else message_state(query.state),
        channel=given(query.channel),
        provider=given(query.provider),
        recipient=given(query.recipient),
        doubled=None if isinstance(query.doubled, UnsetType) else query.doubled,
    )
    return await ask.services.records.list_messages(page)


async def get_message(ask: Ask) -> MessageView:
    return await message_view(ask.services.records, await row_of(ask))


async def cancel_message(ask: Ask) -> CancelledView:
    await row_of(ask)
    return await cancel(ask)


async def resend_message(ask: Ask) -> Moved:
    row = await row_of(ask)
    services = ask.services
    if not await services.ledger.revive(ask.caller.tenant, row.id, services.clock.now_ms(), row):
        raise await unrevived(services, await row_of(ask))
    services.poke()
    return await _moved(ask, row)


async def resolve_message(ask: Ask) -> Moved:
    row = await row_of(ask)
    services = ask.services
    state = await services.ledger.resolve(ask.caller.tenant, row.id, ask.body.verdict, services.clock.now_ms())
    if state is None:
        row = await row_of(ask)
        if row.state == MessageState.IN_DOUBT:
            raise await unrevived(services, row)
        raise Refusal(409, "not_in_doubt", "The message is not in doubt.")
    services.poke()
    return Moved(row.id, state.label)  # type: ignore[arg-type]


async def unrevived(services: Services, row: MessageRecord) -> Refusal:
    """Why a message can't be sent again."""
    if not row.addressed:
        return Refusal(409, "nothing_to_send", "The message never had an address that it could go to, or its recipient was erased.")
    if row.state in (MessageState.DELIVERED, MessageState.READ):
        return Refusal(409, "arrived", "The message has arrived: there is nothing to send again.")
    if row.state.settled and row.late(services.clock.now_ms()):
        return Refusal(409, "expired", "The message is past its deadline, and is never sent any more: post it anew.")
    if row.state.settled and await _forgotten(services, row):
        return Refusal(409, "content_gone", "What the message said is forgotten, by [retention] content: post it anew.")
    return Refusal(409, "in_flight", "The message is on its way, or has moved this moment: there is nothing to send again.")


async def _forgotten(services: Services, row: MessageRecord) -> bool:
    notification = await services.records.notification(row.tenant, ids.notification_of(row.id))
    return notification is not None and notification.content is not None and notification.content.empty


def given(text: str | UnsetType) -> str | None:
    return None if isinstance(text, UnsetType) else text


def given_ms(text: str | UnsetType) -> int | None:
    return None if isinstance(text, UnsetType) else instant_ms(text)


async def row_of(ask: Ask) -> MessageRecord:
    wanted, tenant = ask.params["id"], ask.caller.tenant
    if not ids.looks_like(ids.MESSAGE, wanted) or not ask.services.mint.minted_for(tenant, ids.notification_of(wanted)):
        raise problems.not_found()
    row = await ask.services.records.message(tenant, wanted)
    if row is None:
        raise problems.not_found()
    return row


async def _moved(ask: Ask, before: MessageRecord) -> Moved:
    row = await ask.services.records.message(ask.caller.tenant, before.id)
    return Moved(before.id, (row or before).state.label)  # type: ignore[arg-type]
