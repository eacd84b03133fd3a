"""Pagers, through a gateway that takes JSON; README.md shows its wire."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sendwright.providers.answers import by_status, json_object
from sendwright.providers.contract import (
    Accepted,
    Capabilities,
    CommonSettings,
    HttpRequest,
    Outcome,
    Outgoing,
    Provider,
    Reason,
    Rejected,
    Reply,
    Secret,
    TooLong,
    Unsure,
)
from sendwright.providers.redaction import vendor_id

__all__ = ["Pager", "PagerSettings"]

TEXT_MAX = 240
_PAGER = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


class PagerSettings(CommonSettings, frozen=True, kw_only=True):
    """The gateway, by `base_url`, and the key that it knows us by."""

    key: Secret

    @classmethod
    def contradictions(cls, given: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        return [] if given.get("base_url") else [("base_url", "is missing: every gateway has an address of its own")]


class Pager(Provider):
    """One gateway."""

    kind = "pager"
    settings_type = PagerSettings
    settings: PagerSettings

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(channels=("pager",), idempotency_s=86_400, body_max=TEXT_MAX)

    def build(self, out: Outgoing) -> HttpRequest:
        """One page. Raises `ValueError` for a pager that can't exist, `TooLong` for more than 240 characters."""
        if out.channel != "pager":
            raise ValueError("this gateway reaches pagers only")
        if _PAGER.fullmatch(out.address) is None:
            raise ValueError("the recipient is no pager")
        if len(out.body) > TEXT_MAX:
            raise TooLong(f"the text is longer than {TEXT_MAX} characters")
        headers = (
            ("Content-Type", "application/json"),
            ("Authorization", f"Bearer {self.settings.key.reveal()}"),
        )
        said = {"to": out.address, "text": out.body, "key": out.idempotency_key}
        return HttpRequest("POST", f"{(self.settings.base_url or '').rstrip('/')}/pages", headers, json.dumps(said).encode())

    def parse(self, reply: Reply) -> Outcome:
        """A page's id is acceptance; 422 says that there is no such pager."""
        answer = json_object(reply.body)
        if 200 <= reply.status < 300:
            ref = vendor_id(answer.get("page"))
            return Accepted(ref) if ref else Unsure("a success without an id")
        words = self.words(answer.get("why"))
        return Rejected(Reason.INVALID_ADDRESS, words) if reply.status == 422 else by_status(reply, words)
