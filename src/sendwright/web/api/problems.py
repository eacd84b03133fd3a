"""Problem documents (RFC 9457): what a refused caller is told, and nothing of how we are built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from sendwright.errors import CallerError, Unavailable
from sendwright.policy.admission import Refused
from sendwright.policy.payload_schema import Fault
from sendwright.policy.strict_json import DEPTH_MAX

MEDIA_TYPE = "application/problem+json"

TITLES = {
    "invalid_json": "Not JSON",
    "too_deep": "Nested too deeply",
    "duplicate_key": "A member named twice",
    "unauthenticated": "A valid key is needed",
    "forbidden": "The key may not do this",
    "rate_limited": "The key has used up its rate",
    "not_found": "Not found",
    "method_not_allowed": "Method not allowed",
    "slow_body": "The body came too slowly",
    "slow_head": "The head came too slowly",
    "head_too_large": "The head is too large",
    "not_http": "Not HTTP",
    "unknown_coding": "The transfer coding is not known",
    "in_progress": "The first request with this key is still running",
    "too_large": "The body is too large",
    "unsupported_media_type": "Not application/json",
    "invalid_request": "The request has faults",
    "idempotency_mismatch": "The idempotency key was used for another request",
    "in_flight": "The message is on its way",
    "arrived": "The message has arrived",
    "nothing_to_send": "The message has nowhere to go",
    "content_gone": "What the message said is forgotten",
    "unfillable": "The templates of the message can't be filled in",
    "expired": "The message is past its deadline",
    "erased": "The person was erased",
    "not_in_doubt": "The message is not in doubt",
    "crowded": "Too many connections",
    "unavailable": "Could not be made durable",
    "internal": "Our fault",
}


class ProblemError(Struct, frozen=True, omit_defaults=True):
    """One fault: of the body by its JSON pointer, else of a query parameter or a header."""

    code: str
    detail: str
    pointer: str | UnsetType = UNSET
    parameter: str | UnsetType = UNSET
    header: str | UnsetType = UNSET

    def __post_init__(self) -> None:
        if sum(place is not UNSET for place in (self.pointer, self.parameter, self.header)) != 1:
            raise ValueError("a fault has one place")


PLACES = ("pointer", "parameter", "header")
"""Where a fault may be. Each has one."""


class Problem(Struct, frozen=True):
    """An RFC 9457 problem document."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    errors: tuple[ProblemError, ...] = ()
    may_be_accepted: bool | UnsetType = UNSET
    """Only with 503: true when it may have been made durable all the same; repeat it with an Idempotency-Key."""


class Refusal(CallerError):
    """Ends a request with a problem document. `headers` go with it; `linger`: the body is still coming."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        errors: Iterable[ProblemError] = (),
        *,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        maybe: bool | None = None,
        linger: bool = False,
    ) -> None:
        super().__init__(status, code, detail)
        self.faults = tuple(errors)
        self.headers = headers
        self.maybe = maybe
        self.linger = linger

    def problem(self, request_id: str) -> Problem:
        return Problem(
            **_named(self.code, self.status),
            status=self.status,
            code=self.code,
            detail=self.detail,
            request_id=request_id,
            errors=self.faults,
            may_be_accepted=UNSET if self.maybe is None else self.maybe,
        )

    def encoded(self, request_id: str) -> bytes:
        return _ENCODER.encode(self.problem(request_id))


_ENCODER = msgspec.json.Encoder()


def completed(document: str) -> str:
    """A problem document that was kept without its type and title, with them. What is none stays as it is."""
    try:
        kept = msgspec.json.decode(document, type=dict[str, Any])
    except msgspec.MsgspecError:
        return document
    return _ENCODER.encode({**_named(kept["code"], kept["status"]), **kept}).decode()


def _named(code: str, status: int) -> dict[str, Any]:
    return {"type": f"urn:sendwright:problem:{code}", "title": TITLES.get(code) or HTTPStatus(status).phrase}


def retry_after(seconds: float) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"retry-after", str(max(1, round(seconds))).encode()),)


def of_fault(fault: Fault) -> ProblemError:
    return ProblemError(fault.code, fault.detail, pointer=fault.pointer)


def of_faults(faults: Iterable[Fault], detail: str = "The request has faults.") -> Refusal:
    return Refusal(422, "invalid_request", detail, map(of_fault, faults))


def of_body(refused: Refused) -> Refusal:
    return Refusal(refused.status, refused.code, refused.detail, map(of_fault, refused.faults))


def together(*looks: Callable[[], Any]) -> list[Any]:
    """What each look at a request finds; else one refusal, with the faults of all of them."""
    found: list[Any] = []
    refusals: list[Refusal] = []
    for look in looks:
        try:
            found.append(look())
        except Refusal as refusal:
            refusals.append(refusal)
    if refusals:
        raise _joined(refusals)
    return found


def _joined(refusals: Sequence[Refusal]) -> Refusal:
    """The first that is more than a list of faults, if there is one, with everybody's faults."""
    if len(refusals) == 1:
        return refusals[0]
    faults = [fault for refusal in refusals for fault in refusal.faults]
    for refusal in refusals:
        if refusal.code != "invalid_request":
            return Refusal(refusal.status, refusal.code, refusal.detail, faults, headers=refusal.headers)
    return Refusal(422, "invalid_request", f"The request has {len(faults)} faults.", faults)


def of_header(name: str, code: str, detail: str) -> Refusal:
    return Refusal(422, "invalid_request", f"The header {name} {detail}.", [ProblemError(code, detail, header=name)])


def of_parameter(name: str, code: str, detail: str) -> ProblemError:
    return ProblemError(code, detail, parameter=name)


def unavailable(fault: Unavailable) -> Refusal:
    """Ours, for now. The cause's own words stay inside."""
    detail = "It may have been accepted all the same: repeat it with an Idempotency-Key." if fault.maybe else "Try again."
    return Refusal(503, "unavailable", detail, headers=retry_after(1), maybe=fault.maybe)


def too_deep_body() -> Refusal:
    return Refusal(400, "too_deep", f"The body nests deeper than {DEPTH_MAX}.")


def not_found() -> Refusal:
    return Refusal(404, "not_found", "There is nothing here, or it is not yours.")


def mismatch(*, inside: bool) -> Refusal:
    """`inside`: the key stands in the body, else in its header."""
    fault = _of_key("idempotency_mismatch", "was used with another body", inside=inside)
    return Refusal(422, "idempotency_mismatch", "This idempotency key was used with another body.", [fault])


def in_progress(after_s: float, *, inside: bool) -> Refusal:
    """`inside`: as above."""
    fault = _of_key("in_progress", "stands for a request that is being taken", inside=inside)
    detail = "Another request with this idempotency key is being taken."
    return Refusal(409, "in_progress", detail, [fault], headers=retry_after(after_s))


def _of_key(code: str, detail: str, *, inside: bool) -> ProblemError:
    place = {"pointer": "#/idempotency_key"} if inside else {"header": "Idempotency-Key"}
    return ProblemError(code, detail, **place)


def unsupported(name: str, detail: str, *headers: tuple[bytes, bytes]) -> Refusal:
    """A body of a kind that is not read, by the header that says so."""
    fault = ProblemError("unsupported_media_type", detail, header=name)
    return Refusal(415, "unsupported_media_type", f"The body {detail}.", [fault], headers=headers)


def internal() -> Refusal:
    return Refusal(500, "internal", "Something went wrong on our side; it was logged under the request's id.")
