"""What a reply asks for, by its words. Pure.

Lists, read in November 2026: the words that the FCC takes for a revocation by themselves (47 CFR 64.1200(a)(10), in force since
2025-04-11), Twilio's (https://www.twilio.com/docs/messaging/guides/advanced-opt-out) and AWS's
(https://docs.aws.amazon.com/sms-voice/latest/userguide/keywords-required.html). A reply that is one of them, however it is
written, is taken at its word; one that merely holds a word of stopping is for a person to look at.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

Word = Literal["stop", "start", "help"]

STOP = frozenset(
    {"stop", "stop all", "stopall", "quit", "end", "revoke", "opt out", "optout", "cancel", "unsubscribe", "arret", "remove", "td"}
)
START = frozenset({"start", "unstop", "yes"})
HELP = frozenset({"help", "info"})
CASUAL = frozenset({"yes"})
"""Those of them that people say to other questions too."""

LOOKED_AT = 2000
"""Characters of a reply that are looked at: more than any chain of text messages has."""

_LETTERS = re.compile(r"[^\w]+|_+")
_HINTS = re.compile(r"\b(?:stop\w*|quit|unsubscri\w*|opt(?:ing)? ?out|revoke|cancel|remove|arret\w*)\b")
_SIGNS = ("\N{OCTAGONAL SIGN}", "\N{NO ENTRY}", "\N{NO ENTRY SIGN}", "\N{RAISED HAND}")


def word_of(text: str) -> Word | None:
    """The keyword that a reply is, but for case, width, accents, punctuation, emoji and spaces; None where it is more than that."""
    said = plain(text)
    if said in STOP:
        return "stop"
    if said in START:
        return "start"
    return "help" if said in HELP else None


def may_mean_stop(text: str) -> bool:
    """Whether a reply that is no keyword sounds as if somebody wanted no more."""
    return word_of(text) is None and (_HINTS.search(plain(text)) is not None or any(sign in text for sign in _SIGNS))


def plain(text: str) -> str:
    """The words of a reply, without case, width, accents, punctuation, emoji and further spaces."""
    apart = unicodedata.normalize("NFKD", text[:LOOKED_AT]).casefold()
    bare = "".join(c for c in apart if not unicodedata.combining(c) and unicodedata.category(c) != "Cf")
    return _LETTERS.sub(" ", bare).strip()
