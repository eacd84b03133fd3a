"""What an answer means by its status alone."""

from __future__ import annotations

import pytest

from sendwright.providers.answers import by_status, json_object
from sendwright.providers.contract import Later, Misconfigured, Outcome, Reason, Rejected, Reply, Scope, Unsure


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, Misconfigured),
        (303, Unsure),
        (304, Unsure),
        (308, Misconfigured),
        (400, Rejected),
        (401, Misconfigured),
        (402, Misconfigured),
        (403, Misconfigured),
        (404, Rejected),
        (408, Unsure),
        (409, Unsure),
        (410, Rejected),
        (413, Rejected),
        (422, Rejected),
        (425, Later),
        (429, Later),
        (500, Unsure),
        (501, Unsure),
        (502, Unsure),
        (503, Later),
        (504, Unsure),
        (100, Unsure),
        (999, Unsure),
    ],
)
def test_a_status_has_its_class(status: int, kind: type[Outcome]) -> None:
    assert isinstance(by_status(Reply(status)), kind)


def test_only_a_failing_provider_counts_as_ill() -> None:
    assert by_status(Reply(503, (("retry-after", "5"),))) == Later("HTTP 503", 5, Scope.ACCOUNT, ill=True)
    assert by_status(Reply(429)) == Later("HTTP 429", None, Scope.ACCOUNT, ill=False)


def test_the_vendors_words_stand_beside_the_status() -> None:
    assert by_status(Reply(413), "too big") == Rejected(Reason.TOO_LONG, "HTTP 413: too big")


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b"\xff", b'{"a"', b"[" * 100_000])
def test_what_is_no_object_is_an_empty_one(body: bytes) -> None:
    assert json_object(body) == {}


def test_an_object_is_read() -> None:
    assert json_object(b'{"a": 1}') == {"a": 1}
