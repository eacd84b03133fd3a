"""What can go wrong with a call. No text of these holds the key, an address or what was to be said."""

from __future__ import annotations

from collections.abc import Sequence

from sendwright.client.answers import Fault, Notification


class ClientError(Exception):
    """All of them."""


class ApiError(ClientError):
    """An answer that is no success: a problem document (RFC 9457), with every fault that it lists."""

    def __init__(
        self, status: int, code: str, detail: str, errors: Sequence[Fault], request_id: str | None, retry_after_s: float | None
    ) -> None:
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        """Seconds after which to come again, where the answer says so."""
        places = ", ".join(f"{fault.pointer or fault.parameter or fault.header}: {fault.code}" for fault in errors[:10])
        super().__init__(f"{status} {code}: {detail}" + (f" ({places})" if places else ""))


class NoAnswer(ClientError):
    """Nobody there, or the answer was lost, after every try. `maybe`: the request may have been carried out all the same."""

    def __init__(self, detail: str, *, maybe: bool) -> None:
        self.maybe = maybe
        super().__init__(detail)


class NotSettled(ClientError):
    """`wait` waited long enough. `notification` is how it stands."""

    def __init__(self, notification: Notification) -> None:
        self.notification = notification
        super().__init__(f"{notification.id} is {notification.state}")
