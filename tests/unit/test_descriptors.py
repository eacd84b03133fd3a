"""How many of a process's descriptors its callers may take."""

from __future__ import annotations

import resource

import pytest

from sendwright.app import descriptors


@pytest.mark.parametrize(
    ("limit", "lines", "most"),
    [
        (1024, 200, 1024 - 200 - 64),
        (1024, 5000, 256),
        (40, 200, 10),
        (3, 0, 1),
        (resource.RLIM_INFINITY, 200, descriptors.UNLIMITED),
    ],
)
def test_callers_get_what_the_lines_leave_and_never_nothing(
    limit: int, lines: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    assert descriptors.for_callers(lines)() == most


def test_the_limit_is_raised_to_what_may_be_had_and_a_refusal_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def refused(_: int, limits: tuple[int, int]) -> None:
        asked.append(limits)
        raise ValueError("not allowed")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", refused)
    descriptors.raise_limit()
    assert asked == [(4096, 4096)]
