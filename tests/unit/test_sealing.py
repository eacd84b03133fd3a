"""Secrets that are kept to be used again open in their own place and under their own key alone."""

from __future__ import annotations

import os

import pytest

from sendwright.engine.sealing import Sealer, Unopened

KEY, OLDER = b"k" * 32, b"o" * 32
PLACE = ("acme", "endpoints", "end_1")


def test_what_is_sealed_opens_again_and_shows_nothing() -> None:
    sealer = Sealer([KEY], os.urandom)
    sealed = sealer.seal(b"a secret of the endpoint", *PLACE)
    assert sealer.open(sealed, *PLACE) == b"a secret of the endpoint"
    assert b"secret" not in sealed
    assert sealer.seal(b"a secret of the endpoint", *PLACE) != sealed, "a nonce is used once"


@pytest.mark.parametrize("place", [("beta", *PLACE[1:]), (*PLACE[:2], "end_2"), ("acme\0endpoints", "end_1x"), PLACE[:2]])
def test_in_another_place_it_does_not_open(place: tuple[str, ...]) -> None:
    sealer = Sealer([KEY], os.urandom)
    with pytest.raises(Unopened, match="another place"):
        sealer.open(sealer.seal(b"secret", *PLACE), *place)


def test_every_byte_counts() -> None:
    sealer = Sealer([KEY], os.urandom)
    sealed = sealer.seal(b"secret", *PLACE)
    for place in range(len(sealed)):
        bent = bytearray(sealed)
        bent[place] ^= 1
        with pytest.raises(Unopened):
            sealer.open(bytes(bent), *PLACE)
    for short in (b"", sealed[:10], sealed[:20]):
        with pytest.raises(Unopened):
            sealer.open(short, *PLACE)


def test_after_a_change_of_key_the_older_one_still_opens_and_the_new_one_seals() -> None:
    before = Sealer([OLDER], os.urandom)
    after = Sealer([KEY, OLDER], os.urandom)
    assert after.open(before.seal(b"secret", *PLACE), *PLACE) == b"secret"
    with pytest.raises(Unopened, match="not known"):
        before.open(after.seal(b"secret", *PLACE), *PLACE)
