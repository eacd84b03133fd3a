"""What `Sendwright` can do with what is kept: people, suppressions, types, keys, endpoints, routes and figures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
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


class Desk(ABC):
    """The calls; how they are made is the client's."""

    @abstractmethod
    def _do(self, call: Call[T]) -> T: ...

    @abstractmethod
    def _pages(self, call: Call[Page[T]]) -> Iterator[T]: ...

    def content(self, message: str) -> Content:
        """What a message says. `content_gone` (410) once it is forgotten."""
        return self._do(calls.content(message))

    def stats(self, window: str = "1h") -> Stats:
        """How much was accepted, how it ended and how long it took: `15m`, `1h` or `24h`."""
        return self._do(calls.stats(window))

    # Routes

    def routes(self) -> Iterator[Route]:
        """Of every channel that has a provider, in the order of the settings."""
        return self._pages(calls.routes())

    def route(self, channel: str) -> Route:
        """In which order a channel's providers are asked."""
        return self._do(calls.route(channel))

    def set_route(self, channel: str, providers: Sequence[str]) -> Route:
        """Sets the order; who is left out gets nothing. In force everywhere within a second, until it is reset."""
        return self._do(calls.set_route(channel, providers))

    def reset_route(self, channel: str) -> None:
        """Goes back to the settings' order."""
        self._do(calls.reset_route(channel))

    # People

    def recipients(self) -> Iterator[Recipient]:
        """The directory, by id, addresses masked, page after page."""
        return self._pages(calls.recipients())

    def recipient(self, id_: str) -> Recipient:
        """One, with all addresses."""
        return self._do(calls.recipient(id_))

    def put_recipient(self, id_: str, members: Mapping[str, Any]) -> Recipient:
        """Writes the whole: what is not given is not known any more."""
        return self._do(calls.write_recipient(id_, members, merge=False))

    def patch_recipient(self, id_: str, members: Mapping[str, Any]) -> Recipient:
        """Changes what is given; None takes a member away."""
        return self._do(calls.write_recipient(id_, members, merge=True))

    def patch_recipients(self, recipients: Sequence[Mapping[str, Any]]) -> list[Written]:
        """Up to 1,000, each with its `id`: each judged alone, and merged into what is known of it. In their order."""
        return (self._do(calls.write_recipients(recipients))).results

    def erase(self, id_: str) -> Erased:
        """Erases a person everywhere, and cancels what waits for them."""
        return self._do(calls.erase(id_))

    def export(self, id_: str) -> Iterator[Exported]:
        """Everything that is known of a person, page after page."""
        return self._pages(calls.export(id_))

    def recipient_token(self, id_: str, *, ttl: str | None = None) -> RecipientToken:
        """For the person's own app, to read the inbox by."""
        return self._do(calls.recipient_token(id_, ttl))

    def suppressions(
        self, *, channel: str | None = None, reason: str | None = None, shared: bool | None = None
    ) -> Iterator[Suppression]:
        """Who must not be sent to, by id, page after page. `shared`: those that hold for every tenant."""
        return self._pages(calls.suppressions({"channel": channel, "reason": reason, "shared": shared}))

    def suppress(
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
        return self._do(calls.suppress(fields))

    def suppressed(self, address: str, *, channel: str | None = None) -> list[Suppression]:
        """What forbids sending to an address."""
        return self._do(calls.suppressed(address, channel)).data

    def lift(self, suppression: str) -> None:
        """Takes one off the list, by its id."""
        self._do(calls.lift(suppression))

    # Types

    def types(self) -> Iterator[StoredType]:
        """The newest version of each, by name, page after page."""
        return self._pages(calls.types())

    def stored_type(self, name: str, *, version: int | None = None) -> StoredType:
        """One version, the newest where none is named."""
        return self._do(calls.stored_type(name, version))

    def put_type(self, name: str, body: Mapping[str, Any]) -> StoredType:
        """Makes a version; of what says the same as the newest none is made."""
        return self._do(calls.put_type(name, body))

    def delete_type(self, name: str) -> None:
        """Takes it away; what was accepted of it goes on."""
        self._do(calls.delete_type(name))

    def preview(
        self,
        name: str,
        data: Mapping[str, Any] | None = None,
        *,
        recipient: Mapping[str, Any] | None = None,
        version: int | None = None,
    ) -> Preview:
        """What a type would say on every channel; nothing is sent."""
        return self._do(calls.preview(name, {"data": data, "recipient": recipient, "version": version}))

    # Keys

    def keys(self) -> Iterator[Key]:
        """Newest first, page after page."""
        return self._pages(calls.keys())

    def make_key(
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
        return self._do(calls.make_key(fields))

    def revoke_key(self, id_: str) -> None:
        """Nobody calls with it any more, everywhere within a second."""
        self._do(calls.revoke_key(id_))

    # Endpoints

    def endpoints(self) -> Iterator[Endpoint]:
        """Your services, newest first, page after page."""
        return self._pages(calls.endpoints())

    def endpoint(self, id_: str) -> Endpoint:
        """One, and how it stands."""
        return self._do(calls.endpoint(id_))

    def make_endpoint(
        self, url: str, *, types: Sequence[str] | None = None, description: str | None = None, enabled: bool | None = None
    ) -> MadeEndpoint:
        """Makes one, to which events are posted from now on: this answer alone shows its secret."""
        return self._do(calls.make_endpoint({"url": url, "types": types, "description": description, "enabled": enabled}))

    def change_endpoint(
        self,
        id_: str,
        *,
        url: str | None = None,
        types: Sequence[str] | None = None,
        description: str | None = None,
        enabled: bool | None = None,
    ) -> Endpoint:
        """Changes what is given. One that is enabled again goes on where it stopped."""
        return self._do(calls.change_endpoint(id_, {"url": url, "types": types, "description": description, "enabled": enabled}))

    def delete_endpoint(self, id_: str) -> None:
        """Forgets it, and all that is on its way there."""
        self._do(calls.delete_endpoint(id_))

    def rotate_endpoint(self, id_: str) -> MadeEndpoint:
        """Gives it a new secret, shown by this answer alone; the one of before signs too for a day."""
        return self._do(calls.rotate_endpoint(id_))

    def test_endpoint(self, id_: str) -> EndpointTrial:
        """Posts a test event now."""
        return self._do(calls.test_endpoint(id_))

    def deliveries(self, endpoint: str, *, state: str | None = None) -> Iterator[Delivery]:
        """What was posted there and what came of it, the newest event first, page after page."""
        return self._pages(calls.deliveries(endpoint, state))

    def replay_deliveries(self, endpoint: str, ids: Sequence[str] | None = None) -> Replayed:
        """Posts again what is over: these, or up to 500 that failed."""
        return self._do(calls.replay_deliveries(endpoint, ids))
