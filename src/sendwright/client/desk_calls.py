"""The calls on what is kept, as values. As in calls.py: what does more when it is done twice is not repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sendwright.client.answers import Page
from sendwright.client.calls import PAGE, Call, Query, part
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
    Suppressions,
    WrittenAll,
)


def content(message: str) -> Call[Content]:
    return Call("GET", f"/v1/messages/{part(message)}/content", Content)


def stats(window: str) -> Call[Stats]:
    return Call("GET", "/v1/stats", Stats, query={"window": window})


# Routes


def routes() -> Call[Page[Route]]:
    return Call("GET", "/v1/routes", Page[Route], query={"limit": PAGE})


def route(channel: str) -> Call[Route]:
    return Call("GET", f"/v1/routes/{part(channel)}", Route)


def set_route(channel: str, providers: Sequence[str]) -> Call[Route]:
    return Call("PUT", f"/v1/routes/{part(channel)}", Route, body={"providers": list(providers)})


def reset_route(channel: str) -> Call[None]:
    return Call("DELETE", f"/v1/routes/{part(channel)}", type(None))


# People


def recipients() -> Call[Page[Recipient]]:
    return Call("GET", "/v1/recipients", Page[Recipient], query={"limit": PAGE})


def recipient(id_: str) -> Call[Recipient]:
    return Call("GET", f"/v1/recipients/{part(id_)}", Recipient)


def write_recipient(id_: str, members: Mapping[str, Any], *, merge: bool) -> Call[Recipient]:
    return Call("PATCH" if merge else "PUT", f"/v1/recipients/{part(id_)}", Recipient, body=dict(members))


def write_recipients(recipients: Sequence[Mapping[str, Any]]) -> Call[WrittenAll]:
    return Call("POST", "/v1/recipients/batch", WrittenAll, body={"recipients": [dict(each) for each in recipients]})


def erase(id_: str) -> Call[Erased]:
    return Call("DELETE", f"/v1/recipients/{part(id_)}", Erased)


def export(id_: str) -> Call[Page[Exported]]:
    return Call("GET", f"/v1/recipients/{part(id_)}/export", Page[Exported], query={"limit": PAGE})


def recipient_token(id_: str, ttl: str | None) -> Call[RecipientToken]:
    return Call("POST", f"/v1/recipients/{part(id_)}/token", RecipientToken, body=_given({"ttl": ttl}))


def suppressions(query: Query) -> Call[Page[Suppression]]:
    return Call("GET", "/v1/suppressions", Page[Suppression], query={"limit": PAGE, **query})


def suppress(fields: Mapping[str, Any]) -> Call[Suppression]:
    return Call("POST", "/v1/suppressions", Suppression, body=_given(fields))


def suppressed(address: str, channel: str | None) -> Call[Suppressions]:
    return Call("POST", "/v1/suppressions/lookup", Suppressions, body=_given({"address": address, "channel": channel}))


def lift(id_: str) -> Call[None]:
    return Call("DELETE", f"/v1/suppressions/{part(id_)}", type(None), repeatable=False)


# Types


def types() -> Call[Page[StoredType]]:
    return Call("GET", "/v1/types", Page[StoredType], query={"limit": PAGE})


def stored_type(name: str, version: int | None) -> Call[StoredType]:
    return Call("GET", f"/v1/types/{part(name)}", StoredType, query={"version": version})


def put_type(name: str, body: Mapping[str, Any]) -> Call[StoredType]:
    return Call("PUT", f"/v1/types/{part(name)}", StoredType, body=dict(body))


def delete_type(name: str) -> Call[None]:
    return Call("DELETE", f"/v1/types/{part(name)}", type(None), repeatable=False)


def preview(name: str, fields: Mapping[str, Any]) -> Call[Preview]:
    return Call("POST", f"/v1/types/{part(name)}/preview", Preview, body=_given(fields))


# Keys


def keys() -> Call[Page[Key]]:
    return Call("GET", "/v1/keys", Page[Key], query={"limit": PAGE})


def make_key(fields: Mapping[str, Any]) -> Call[MadeKey]:
    return Call("POST", "/v1/keys", MadeKey, body=_given(fields), repeatable=False)


def revoke_key(id_: str) -> Call[None]:
    return Call("DELETE", f"/v1/keys/{part(id_)}", type(None), repeatable=False)


# Endpoints


def endpoints() -> Call[Page[Endpoint]]:
    return Call("GET", "/v1/endpoints", Page[Endpoint], query={"limit": PAGE})


def endpoint(id_: str) -> Call[Endpoint]:
    return Call("GET", f"/v1/endpoints/{part(id_)}", Endpoint)


def make_endpoint(fields: Mapping[str, Any]) -> Call[MadeEndpoint]:
    return Call("POST", "/v1/endpoints", MadeEndpoint, body=_given(fields), repeatable=False)


def change_endpoint(id_: str, fields: Mapping[str, Any]) -> Call[Endpoint]:
    return Call("PATCH", f"/v1/endpoints/{part(id_)}", Endpoint, body=_given(fields))


def delete_endpoint(id_: str) -> Call[None]:
    return Call("DELETE", f"/v1/endpoints/{part(id_)}", type(None), repeatable=False)


def rotate_endpoint(id_: str) -> Call[MadeEndpoint]:
    return Call("POST", f"/v1/endpoints/{part(id_)}/rotate", MadeEndpoint, repeatable=False)


def test_endpoint(id_: str) -> Call[EndpointTrial]:
    return Call("POST", f"/v1/endpoints/{part(id_)}/test", EndpointTrial, repeatable=False)


def deliveries(id_: str, state: str | None) -> Call[Page[Delivery]]:
    return Call("GET", f"/v1/endpoints/{part(id_)}/deliveries", Page[Delivery], query={"limit": PAGE, "state": state})


def replay_deliveries(id_: str, ids: Sequence[str] | None) -> Call[Replayed]:
    body = {} if ids is None else {"ids": list(ids)}
    return Call("POST", f"/v1/endpoints/{part(id_)}/replay", Replayed, body=body, repeatable=False)


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
