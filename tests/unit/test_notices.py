"""What the operator is told of the providers: of a breaker by its changes, of a credential by the days that are left of it."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from sendwright.model import ids
from sendwright.model.notices import CLOSED, EXPIRING, MISCONFIGURED, OPENED, About, Credential, Stand
from sendwright.policy.notices import DAY_MS, DAYS, days_left, due, of_breaker, of_credential

NOW = 1_795_000_000_000
SMS = About("twilio-main", "twilio", ("sms",))
WELL, ILL, REFUSED = Stand(), Stand(shut=True), Stand(shut=True, misconfigured=True)


@pytest.mark.parametrize(
    ("before", "after", "types"),
    [
        (WELL, WELL, []),
        (WELL, ILL, [OPENED]),
        (WELL, REFUSED, [OPENED, MISCONFIGURED]),
        (ILL, ILL, []),
        (ILL, REFUSED, [MISCONFIGURED]),
        (REFUSED, REFUSED, []),
        (REFUSED, ILL, []),
        (ILL, WELL, [CLOSED]),
        (REFUSED, WELL, [CLOSED]),
    ],
)
def test_a_breaker_is_told_of_when_it_opens_and_closes_and_when_the_account_is_to_blame(
    before: Stand, after: Stand, types: list[str]
) -> None:
    notices = of_breaker(SMS, before, after, NOW, "unreachable")
    assert [notice.type for notice in notices] == types
    assert len({notice.id for notice in notices}) == len(types)
    for notice in notices:
        assert ids.time_ms_of(notice.id) == notice.at == NOW
        told = msgspec.json.decode(notice.told)
        assert told == {"provider": "twilio-main", "kind": "twilio", "channels": ["sms"], "reason": "unreachable"}


def test_openings_and_closings_alternate_whatever_it_goes_through() -> None:
    for path in itertools.product((WELL, ILL, REFUSED), repeat=5):
        told = [n.type for before, after in itertools.pairwise((WELL, *path)) for n in of_breaker(SMS, before, after, NOW, None)]
        moves = [type_ for type_ in told if type_ != MISCONFIGURED]
        assert moves == [OPENED, CLOSED, OPENED, CLOSED, OPENED, CLOSED][: len(moves)]


def test_the_last_day_counts_until_it_is_over() -> None:
    left = {-DAY_MS: 0, 0: 0, 1: 1, DAY_MS: 1, DAY_MS + 1: 2, 30 * DAY_MS: 30}
    assert {ms: days_left(NOW + ms, NOW) for ms in left} == left


def told_of(ends_at: int | None, from_: int, until: int, step: int) -> list[int]:
    """The days that are told of, of a credential that is looked at every `step`."""
    credential, told = Credential("p", ends_at=ends_at), []
    for now in range(from_, until, step):
        days = due(credential, now)
        if days is not None:
            told.append(days)
            credential = Credential("p", ends_at=ends_at, told=days)
    return told


def test_a_credential_is_told_of_once_at_each_mark_and_at_its_end() -> None:
    end = NOW + 60 * DAY_MS
    assert told_of(end, NOW, end + 90 * DAY_MS, DAY_MS // 24) == list(DAYS)
    assert told_of(end, end - 5 * DAY_MS, end + DAY_MS, DAY_MS // 24) == [7, 3, 1, 0], "who comes late is told where it stands"
    assert told_of(end, end + DAY_MS, end + 90 * DAY_MS, DAY_MS) == [0]
    assert told_of(end, end + 31 * DAY_MS, end + 90 * DAY_MS, DAY_MS) == [], "it is long over"
    assert told_of(None, NOW, NOW + DAY_MS, DAY_MS) == []


def test_what_is_told_of_a_credential_is_named_by_provider_end_and_days_alone() -> None:
    end = NOW + 5 * DAY_MS
    one, again = (of_credential(SMS, "auth_token", end, 7, NOW + later) for later in (0, 60_000))
    assert one.id == again.id
    assert one.type == EXPIRING
    others = [of_credential(SMS, "auth_token", end + 1000, 7, NOW), of_credential(SMS, "auth_token", end, 3, NOW)]
    others.append(of_credential(About("second", "twilio", ("sms",)), "auth_token", end, 7, NOW))
    assert len({one.id, *(notice.id for notice in others)}) == 4
    told = msgspec.json.decode(one.told)
    assert (told["setting"], told["expires_at"], told["days_left"]) == ("auth_token", "2026-11-23T11:06:40.000Z", 5)
