"""What `AsyncSendwright` can do with what is kept: people, suppressions, types, keys, endpoints, routes and figures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, TypeVar

from sendwright.client import desk_calls as calls
from sendwright.client.answers import Page
from sendwright.client.calls import Call
from sendwright.client.desk_answers import (
    Content,
    Delivery,
    Endpoint,
    EndpointTrial,
    Erased,
    Exported,
    Key,
    MadeEndpoint,
    MadeKey,
    Preview,
    Recipient,
    RecipientToken,
    Replayed,
    Route,
    Stats,
    StoredType,
    Suppression,
    Written,
)

T = TypeVar("T")


class AsyncDesk(ABC):
    """The calls; how they are made is the client's."""

    @abstractmethod
    async def _do(self, call: Call[T]) -> T: ...

    @abstractmethod
    def _pages(self, call: Call[Page[T]]) -> AsyncIterator[T]: ...

    async def content(self, message: str) -> Content:
        """What a message says. `content_gone` (410) once it is forgotten."""
        return await self._do(calls.content(message))

    async def stats(self, window: str = "1h") -> Stats:
        """How much was accepted, how it ended and how long it took: `15m`, `1h` or `24h`."""
        return await self._do(calls.stats(window))

    # Routes

    def routes(self) -> AsyncIterator[Route]:
        """Of every channel that has a provider, in the order of the settings."""
        return self._pages(calls.routes())

    async def route(self, channel: str) -> Route:
        """In which order a channel's providers are asked."""
        return await self._do(calls.route(channel))

    async def set_route(self, channel: str, providers: Sequence[str]) -> Route:
        """Sets the order; who is left out gets nothing. In force everywhere within a second, until it is reset."""
        return await self._do(calls.set_route(channel, providers))

    async def reset_route(self, channel: str) -> None:
        """Goes back to the settings' order."""
        await self._do(calls.reset_route(channel))

    # People

    def recipients(self) -> AsyncIterator[Recipient]:
        """The directory, by id, addresses masked, page after page."""
        return self._pages(calls.recipients())

    async def recipient(self, id_: str) -> Recipient:
        """One, with all addresses."""
        return await self._do(calls.recipient(id_))

    async def put_recipient(self, id_: str, members: Mapping[str, Any]) -> Recipient:
        """Writes the whole: what is not given is not known any more."""
        return await self._do(calls.write_recipient(id_, members, merge=False))

    async def patch_recipient(self, id_: str, members: Mapping[str, Any]) -> Recipient:
        """Changes what is given; None takes a member away."""
        return await self._do(calls.write_recipient(id_, members, merge=True))

    async def patch_recipients(self, recipients: Sequence[Mapping[str, Any]]) -> list[Written]:
        """Up to 1,000, each with its `id`: each judged alone, and merged into what is known of it. In their order."""
        return (await self._do(calls.write_recipients(recipients))).results

    async def erase(self, id_: str) -> Erased:
        """Erases a person everywhere, and cancels what waits for them."""
        return await self._do(calls.erase(id_))

    def export(self, id_: str) -> AsyncIterator[Exported]:
        """Everything that is known of a person, page after page."""
        return self._pages(calls.export(id_))

    async def recipient_token(self, id_: str, *, ttl: str | None = None) -> RecipientToken:
        """For the person's own app, to read the inbox by."""
        return await self._do(calls.recipient_token(id_, ttl))

    def suppressions(
        self, *, channel: str | None = None, reason: str | None = None, shared: bool | None = None
    ) -> AsyncIterator[Suppression]:
        """Who must not be sent to, by id, page after page. `shared`: those that hold for every tenant."""
        return self._pages(calls.suppressions({"channel": channel, "reason": reason, "shared": shared}))

    async def suppress(
        self,
        address: str,
        *,
        channel: str | None = None,
        reason: str | None = None,
        category: str | None = None,
        expires_at: str | None = None,
    ) -> Suppression:
        """Nothing is sent to this address any more, on that channel or on any; done when this returns."""
        fields = {"address": address, "channel": channel, "reason": reason, "category": category, "expires_at": expires_at}
        return await self._do(calls.suppress(fields))

    async def suppressed(self, address: str, *, channel: str | None = None) -> list[Suppression]:
        """What forbids sending to an address."""
        return (await self._do(calls.suppressed(address, channel))).data

    async def lift(self, suppression: str) -> None:
        """Takes one off the list, by its id."""
        await self._do(calls.lift(suppression))

    # Types

    def types(self) -> AsyncIterator[StoredType]:
        """The newest version of each, by name, page after page."""
        return self._pages(calls.types())

    async def stored_type(self, name: str, *, version: int | None = None) -> StoredType:
        """One version, the newest where none is named."""
        return await self._do(calls.stored_type(name, version))

    async def put_type(self, name: str, body: Mapping[str, Any]) -> StoredType:
        """Makes a version; of what says the same as the newest none is made."""
        return await self._do(calls.put_type(name, body))

    async def delete_type(self, name: str) -> None:
        """Takes it away; what was accepted of it goes on."""
        await self._do(calls.delete_type(name))

    async def preview(
        self,
        name: str,
        data: Mapping[str, Any] | None = None,
        *,
        recipient: Mapping[str, Any] | None = None,
        version: int | None = None,
    ) -> Preview:
        """What a type would say on every channel; nothing is sent."""
        return await self._do(calls.preview(name, {"data": data, "recipient": recipient, "version": version}))

    # Keys

    def keys(self) -> AsyncIterator[Key]:
        """Newest first, page after page."""
        return self._pages(calls.keys())

    async def make_key(
        self,
        name: str,
        scopes: Sequence[str],
        *,
        tenant: str | None = None,
        expires_at: str | None = None,
        rate: str | None = None,
    ) -> MadeKey:
        """Makes a key: this answer alone shows it."""
        fields = {"name": name, "scopes": list(scopes), "tenant": tenant, "expires_at": expires_at, "rate": rate}
        return await self._do(calls.make_key(fields))

    async def revoke_key(self, id_: str) -> None:
        """Nobody calls with it any more, everywhere within a second."""
        await self._do(calls.revoke_key(id_))

    # Endpoints

    def endpoints(self) -> AsyncIterator[Endpoint]:
        """Your services, newest first, page after page."""
        return self._pages(calls.endpoints())

    async def endpoint(self, id_: str) -> Endpoint:
        """One, and how it stands."""
        return await self._do(calls.endpoint(id_))

    async def make_endpoint(
        self, url: str, *, types: Sequence[str] | None = None, description: str | None = None, enabled: bool | None = None
    ) -> MadeEndpoint:
        """Makes one, to which events are posted from now on: this answer alone shows its secret."""
        return await self._do(calls.make_endpoint({"url": url, "types": types, "description": description, "enabled": enabled}))

    async def change_endpoint(
        self,
        id_: str,
        *,
        url: str | None = None,
        types: Sequence[str] | None = None,
        description: str | None = None,
        enabled: bool | None = None,
    ) -> Endpoint:
        """Changes what is given. One that is enabled again goes on where it stopped."""
        return await self._do(
            calls.change_endpoint(id_, {"url": url, "types": types, "description": description, "enabled": enabled})
        )

    async def delete_endpoint(self, id_: str) -> None:
        """Forgets it, and all that is on its way there."""
        await self._do(calls.delete_endpoint(id_))

    async def rotate_endpoint(self, id_: str) -> MadeEndpoint:
        """Gives it a new secret, shown by this answer alone; the one of before signs too for a day."""
        return await self._do(calls.rotate_endpoint(id_))

    async def test_endpoint(self, id_: str) -> EndpointTrial:
        """Posts a test event now."""
        return await self._do(calls.test_endpoint(id_))

    def deliveries(self, endpoint: str, *, state: str | None = None) -> AsyncIterator[Delivery]:
        """What was posted there and what came of it, the newest event first, page after page."""
        return self._pages(calls.deliveries(endpoint, state))

    async def replay_deliveries(self, endpoint: str, ids: Sequence[str] | None = None) -> Replayed:
        """Posts again what is over: these, or up to 500 that failed."""
        return await self._do(calls.replay_deliveries(endpoint, ids))
