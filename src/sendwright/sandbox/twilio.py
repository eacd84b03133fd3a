"""Twilio's Messages API as a caller meets it: create, fetch, status callbacks.

Facts: twilio.com/docs/messaging/api/message-resource, /docs/api/errors, /docs/iam/test-credentials (the numbers that
stand for errors), /docs/usage/security (signatures), read November 2026. Any credentials that are not blank are taken,
unless some were named; callbacks are signed with the auth token that the request was made with.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import unquote, urlencode

from sendwright.sandbox.asked import Asked
from sendwright.sandbox.keys import twilio_signature
from sendwright.sandbox.log import Entry, Noted
from sendwright.sandbox.places import place_of
from sendwright.sandbox.wire import Headers, Reply, Request, json_reply

_ADDRESS = re.compile(r"(?:whatsapp:)?\+(?:1\d{10}|[2-9]\d{6,14})")
_ATTEMPT = re.compile(r"[?&]a=([^&#]*)")
_BODY_MAX = 1600
_MEDIA_MAX = 10
_VALIDITY = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_VALIDITY_MAX = 36_000
_FIELDS_MAX = 200

_GSM = re.compile(r"[\n\r !\"#$%&'()*+,\-./0-9:;<=>?@A-Z_a-z£¥èéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà^{}\\\[~\]|€]*")
_GSM_DOUBLE = re.compile(r"[\^{}\\\[~\]|€]")

_TO_MEANS = {"+15005550001": 21211, "+15005550002": 21612, "+15005550003": 21408, "+15005550004": 21610, "+15005550009": 21614}
_FROM_MEANS = {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}
_ERRORS = {
    20003: (401, "Authenticate"),
    20404: (404, "The requested resource was not found"),
    20429: (429, "Too Many Requests"),
    20500: (500, "An internal server error has occurred"),
    20503: (503, "Service is unavailable, please try again later"),
    21211: (400, "The 'To' number is not a valid phone number."),
    21212: (400, "The 'From' number is not a valid phone number."),
    21408: (400, "Permission to send an SMS has not been enabled for the region of the 'To' number"),
    21602: (400, "Message body is required."),
    21603: (400, "A 'From' phone number is required."),
    21604: (400, "A 'To' phone number is required."),
    21606: (400, "The 'From' phone number is not one of this account's message-capable numbers"),
    21609: (400, "The 'StatusCallback' URL is not a valid URL."),
    21610: (400, "Attempt to send to unsubscribed recipient"),
    21611: (429, "This 'From' number has exceeded the maximum number of queued messages"),
    21612: (400, "The 'To' phone number is not currently reachable using the 'From' phone number"),
    21614: (400, "'To' number is not a valid mobile number"),
    21617: (400, "The message body exceeds the 1600 character limit."),
    21623: (400, "Number of media files exceeds allowed limit."),
    21624: (400, "Invalid validity period value."),
}
_USUAL = {401: 20003, 403: 20003, 404: 20404, 429: 20429, 503: 20503}
_STATUS = {"": "queued", "failed": "undelivered"}
_UNREACHABLE = 30003


class Twilio:
    """The dialect of kind `twilio`. `credentials` maps account SIDs to auth tokens; empty lets anybody in."""

    kind = "twilio"

    def __init__(self, credentials: Mapping[str, str]) -> None:
        self._credentials = credentials

    def __repr__(self) -> str:
        return "Twilio()"

    def read(self, request: Request, account: str) -> Asked:
        token = self._token(request, account)
        form: dict[str, str] = {}
        media: list[str] = []
        for name, value in _fields(request.body):
            if name == "MediaUrl":
                media.append(value)
            else:
                form[name] = value
        to = form.get("To", "")
        callback = form.get("StatusCallback")
        return Asked(
            kind=self.kind,
            account=account,
            channel="whatsapp" if to.startswith("whatsapp:") else "sms",
            to=to,
            body=form.get("Body", ""),
            sender=form.get("From") or form.get("MessagingServiceSid"),
            media=media,
            reference=_attempt_in(callback),
            callback_url=callback,
            token=token or "",
            refusal=_error(20003) if token is None else _fault_of(form, media),
        )

    def allows(self, request: Request, account: str) -> bool:
        """Whether the request carries credentials that may act for the account."""
        return self._token(request, account) is not None

    def new_ref(self) -> str:
        return "SM" + os.urandom(16).hex()

    def taken(self, asked: Asked, ref: str, at: datetime) -> Reply:
        return json_reply(201, _resource(asked.account, ref, asked, "queued", at))

    def replayed(self, ref: str) -> Reply:
        return json_reply(201, {"sid": ref, "status": "queued"})

    def opted_out(self, asked: Asked) -> Reply:
        return _error(21610)

    def failure(self, status: int, code: int | str | None, headers: Headers) -> Reply:
        number = _USUAL.get(status, 20500 if status >= 500 else 20000 + status) if code is None else code
        text = _ERRORS[number][1] if isinstance(number, int) and number in _ERRORS else "Error"
        return _error_body(status, number, text, headers)

    def fetched(self, noted: Noted | None, account: str, now: datetime) -> Reply:
        """The message as it stands now; 404 where this account has none of that id."""
        if noted is None or noted.entry.account != account or noted.entry.kind != self.kind:
            return _error(20404)
        state = noted.state(now)
        entry = noted.entry
        return json_reply(200, _resource(account, entry.ref or "", entry, _STATUS.get(state, state), entry.at))

    def receipt(self, asked: Asked, noted: Noted, state: str) -> tuple[Headers, bytes]:
        ref = noted.entry.ref or ""
        status = _STATUS.get(state, state)
        fields = {
            "SmsSid": ref,
            "SmsStatus": status,
            "MessageStatus": status,
            "To": asked.to,
            "MessageSid": ref,
            "AccountSid": asked.account,
            "From": asked.sender or "",
            "ApiVersion": "2010-04-01",
        }
        if state == "failed":
            fields["ErrorCode"] = str(_UNREACHABLE)
        signature = twilio_signature(asked.token, asked.callback_url or "", fields.items())
        return (
            (b"content-type", b"application/x-www-form-urlencoded; charset=utf-8"),
            (b"x-twilio-signature", signature.encode()),
        ), urlencode(fields).encode()

    def _token(self, request: Request, account: str) -> str | None:
        user, token = _basic(request.header(b"authorization"))
        if not user or not token:
            return None
        if not self._credentials:
            return token
        known = self._credentials.get(account)
        right = known is not None and hmac.compare_digest(known.encode(), token.encode())
        return token if right and user == account else None


def segments(body: str) -> int:
    """How many SMS a body takes: 160 septets of GSM 03.38 or 70 UTF-16 units; 153 or 67 each where there are several."""
    if _GSM.fullmatch(body):
        length, alone, joined = len(body) + len(_GSM_DOUBLE.findall(body)), 160, 153
    else:
        length, alone, joined = len(body.encode("utf-16-le")) // 2, 70, 67
    return 1 if length <= alone else -(-length // joined)


def _fields(body: bytes) -> list[tuple[str, str]]:
    """A form's pairs, the first 200 of them. The standard library's parser takes twice as long for the same."""
    pairs = (field.partition("=") for field in body.decode("utf-8", "replace").split("&", _FIELDS_MAX)[:_FIELDS_MAX] if field)
    return [(_plain(name), _plain(value)) for name, _, value in pairs]


def _plain(coded: str) -> str:
    spaced = coded.replace("+", " ")
    if "%" in spaced:
        spaced = spaced.replace("%2B", "+")  # every number begins with it, and can't be part of another escape
    return unquote(spaced) if "%" in spaced else spaced


def _basic(header: str) -> tuple[str, str]:
    scheme, _, coded = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(coded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return user, password


def _fault_of(form: Mapping[str, str], media: list[str]) -> Reply | None:
    code = _code_of(form, media)
    return None if code is None else _error(code)


def _code_of(form: Mapping[str, str], media: list[str]) -> int | None:
    to, body, callback = form.get("To", ""), form.get("Body", ""), form.get("StatusCallback")
    if not to:
        return 21604
    if not (form.get("From") or form.get("MessagingServiceSid")):
        return 21603
    if not body and not media and "ContentSid" not in form:
        return 21602
    if len(body) > _BODY_MAX:
        return 21617
    if not _ADDRESS.fullmatch(to):
        return 21211
    if len(media) > _MEDIA_MAX:
        return 21623
    if not _valid(form.get("ValidityPeriod")):
        return 21624
    if callback is not None and not _called_back(callback):
        return 21609
    return _TO_MEANS.get(to) or _FROM_MEANS.get(form.get("From", ""))


def _valid(period: str | None) -> bool:
    return period is None or (_VALIDITY.fullmatch(period) is not None and int(period) <= _VALIDITY_MAX)


def _called_back(url: str) -> bool:
    """Twilio calls no host with an underscore in its name."""
    place = place_of(url)
    return place is not None and "_" not in place.host


def _attempt_in(callback: str | None) -> str | None:
    found = _ATTEMPT.search(callback) if callback else None
    return found[1] if found else None


def _error(code: int) -> Reply:
    status, text = _ERRORS[code]
    return _error_body(status, code, text, ((b"www-authenticate", b'Basic realm="Twilio API"'),) if status == 401 else ())


def _error_body(status: int, code: int | str, text: str, headers: Headers) -> Reply:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return json_reply(status, {"code": code, "message": text, "more_info": more, "status": status}, headers)


def _resource(account: str, ref: str, what: Asked | Entry, status: str, at: datetime) -> dict[str, object]:
    """The Message resource: null where Twilio fills in later."""
    uri = f"/2010-04-01/Accounts/{account}/Messages/{ref}"
    sender = what.sender or ""
    by_service = sender.startswith("MG")
    created = _rfc2822(at)
    failed = status == "undelivered"
    return {
        "account_sid": account,
        "api_version": "2010-04-01",
        "body": what.body,
        "date_created": created,
        "date_sent": None if status == "queued" else created,
        "date_updated": created,
        "direction": "outbound-api",
        "error_code": _UNREACHABLE if failed else None,
        "error_message": "Unreachable destination handset" if failed else None,
        "from": None if by_service else sender,
        "messaging_service_sid": sender if by_service else None,
        "num_media": str(len(what.media)),
        "num_segments": str(segments(what.body)),
        "price": None,
        "price_unit": "USD",
        "sid": ref,
        "status": status,
        "subresource_uris": {"media": uri + "/Media.json"},
        "to": what.to,
        "uri": uri + ".json",
    }


_dated: tuple[int, str] = (0, "")


def _rfc2822(at: datetime) -> str:
    global _dated  # noqa: PLW0603 - one string a second, shared by all answers of that second
    second = int(at.timestamp())
    if _dated[0] != second:
        _dated = (second, format_datetime(datetime.fromtimestamp(second, UTC)))
    return _dated[1]
