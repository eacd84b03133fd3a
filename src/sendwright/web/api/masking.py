"""What lists show of faults: enough to recognise, too little to use."""

from __future__ import annotations

import re

_PLACE = re.compile(r" - at `\$(\.[a-z_]+|\[[0-9]+\]|\[\.\.\.\])*`\Z")
_PROBLEM = re.compile(
    r"""Expected\ `[a-z |]+`(,\ got\ `[a-z]+`)?
    |Expected\ `array`\ of\ (at\ least\ )?length\ [0-9]+,\ got\ [0-9]+
    |Object\ missing\ required\ field\ `[a-z_]+`
    |JSON\ is\ malformed:\ [^`]+\ \(byte\ [0-9]+\)
    |Input\ data\ was\ truncated
    |Number\ out\ of\ range
    |'utf-8'\ codec\ can't\ decode\ bytes?\ [^'`]+
    |version\ [0-9]{1,3}\ is\ not\ known\ here
    |it\ broke\ its\ story:\ [A-Za-z]+""",
    re.VERBOSE,
)
"""What is known to quote nothing of the parcel. Others do: a value that is none of a list's, a member nobody knows."""


def masked_problem(problem: str) -> str:
    """What is wrong with a parcel, without anything out of it."""
    found = _PLACE.search(problem)
    place = found[0] if found else ""
    what = problem.removesuffix(place)
    return (what if _PROBLEM.fullmatch(what) else "it holds what can't be read") + place
