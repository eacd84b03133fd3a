"""The SQS bus's URL and the names of its queues."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendwright.drivers.bus.sqs.address import SIZE_LIMIT, queue_name, spelled, sqs_address, unspelled
from sendwright.errors import OperatorError, SettingsError


def test_a_url_names_region_endpoint_and_prefix() -> None:
    address = sqs_address("sqs://?region=eu-central-1&prefix=prod-&endpoint=http://127.0.0.1:9324")
    assert (address.region, address.prefix, address.endpoint) == ("eu-central-1", "prod-", "http://127.0.0.1:9324")
    assert (address.size_max, address.visibility_s, address.wait_s) == (262_144, 10, 20)


def test_all_of_it_may_be_left_out() -> None:
    address = sqs_address("sqs://")
    assert (address.region, address.prefix, address.endpoint) == (None, "", None)


def test_the_size_may_be_what_sqs_has() -> None:
    assert sqs_address(f"sqs://?size_max={SIZE_LIMIT}").size_max == 1_048_576


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqs://eu-central-1/prod", "expected sqs://"),
        ("sqs://key:secret@host/", "expected sqs://"),
        ("https://sqs.eu-central-1.amazonaws.com", "expected sqs://"),
        ("sqs://?regoin=eu-central-1", "unknown option 'regoin'"),
        ("sqs://?prefix=a&prefix=b", "twice"),
        ("sqs://?prefix=a.b", "prefix"),
        ("sqs://?prefix=" + "a" * 41, "prefix"),
        ("sqs://?region=Frankfurt am Main", "region"),
        ("sqs://?endpoint=127.0.0.1:9324", "endpoint"),
        ("sqs://?endpoint=http://user:pw@127.0.0.1", "endpoint"),
        ("sqs://?size_max=1000", "size_max"),
        ("sqs://?size_max=1048577", "size_max"),
        ("sqs://?size_max=x", "size_max"),
    ],
)
def test_a_wrong_url_says_what_is_wrong_and_shows_no_secret(url: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as raised:
        sqs_address(url)
    assert "secret" not in str(raised.value)
    assert "pw" not in str(raised.value)


def test_every_fault_is_listed_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        sqs_address("sqs://?region=!&prefix=!&endpoint=!&size_max=!&x=1")
    assert len(raised.value.faults) == 5


@pytest.mark.parametrize(
    ("lane", "name"),
    [("sms.high", "sms-high"), ("intake.critical", "intake-critical"), ("inbound", "inbound"), ("a-b_c.bulk", "a_2db_5fc-bulk")],
)
def test_lanes_are_spelled_so_that_a_person_can_read_them(lane: str, name: str) -> None:
    assert queue_name("prod-", lane) == f"prod-{name}"


@pytest.mark.slow
@given(st.text(max_size=30), st.text(max_size=30))
def test_no_two_lanes_are_spelled_alike_and_each_can_be_read_back(one: str, other: str) -> None:
    assert unspelled(spelled(one)) == one
    assert (spelled(one) == spelled(other)) == (one == other)
    assert set(spelled(one)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


def test_a_name_that_is_too_long_is_the_operators_to_mend() -> None:
    with pytest.raises(OperatorError, match="shorten the prefix"):
        queue_name("p" * 40, "c" * 41)
