"""Writes the pages of the docs that come from tables: settings, states, events, glossary, and the sample file.

    python scripts/docs.py           writes what is stale
    python scripts/docs.py --check   writes nothing; exit 1 and the names of the stale ones

The tables are the product's own (`sendwright.settings`, `sendwright.model.states`); only prose that no code needs
stands here. A state without its sentence below stops the script.
"""  # noqa: INP001 - a script, not a package

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from textwrap import wrap

from sendwright.model.happenings import Happening
from sendwright.model.notices import CLOSED, EXPIRING, MISCONFIGURED, OPENED
from sendwright.model.outcomes import Reason
from sendwright.model.people import REPLIED
from sendwright.model.records import CONTRADICTED, UNCONFIRMED
from sendwright.model.states import MESSAGE_MOVES, AttemptState, MessageState
from sendwright.providers.contract import EVERY_CHANNEL
from sendwright.providers.registry import built_in
from sendwright.settings import SETTINGS, Setting
from sendwright.settings.describing import toml
from sendwright.settings.table import COMMON, REPLIES, ROUTE, SECTIONS

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 120
NOTE = "<!-- Written by `make docs`; edit the table it comes from instead. -->"

GLOSSARY = (
    ("notification", "what a caller asks for: one request, one or more recipients"),
    ("recipient", "a person: an id, addresses, locale, time zone, preferences"),
    ("directory", "the recipients that are known by their ids"),
    ("suppression", "an address that must not be sent to: where, why, until when"),
    ("reply", "what a person says back to one of our senders"),
    ("message", "one recipient's copy of a notification: the unit that has a *state* and a timeline"),
    ("attempt", "one call of one provider for a message, on one channel"),
    (
        "channel",
        f"{' '.join(f'`{channel}`' for channel in EVERY_CHANNEL)}, or one added by a plugin. This is also the default order",
    ),
    ("provider", "one configured account (`twilio-main`); its *kind* (`twilio`) is the adapter that speaks for it"),
    ("route", "how a channel picks among its providers"),
    ("plan", "the ordered steps of a message over channels"),
    ("type", "a stored, versioned kind of notification (`order.shipped`): its content, plan and category"),
    ("layout", "what stands around a mail, stored and versioned likewise"),
    ("lane", "one queue on the bus: a channel and a priority"),
    ("parcel", "what a worker needs to handle one message, as versioned JSON"),
    ("bundle", "the parcels that travel as one bus message"),
    ("endpoint", "a service of the operator's own, to which events are posted"),
    ("happening", "what befalls a message beside its states: a bounce, a complaint, a click, an unsubscribing"),
    ("notice", "what the operator is told of a provider itself: an event of no message"),
    ("credential", "the setting of a provider that a person must renew before it ends"),
    ("posting", "one event on its way to one endpoint; the API calls it a delivery"),
)

HAPPENING_MEANING = {
    Happening.BOUNCED: "it came back, once told of each attempt; its `detail` is `hard` or `soft`",
    Happening.COMPLAINED: "the person called it spam; its `detail` is the vendor's word for the kind of complaint",
    Happening.CLICKED: "the person followed a link of it, the first time",
    Happening.UNSUBSCRIBED: "the person wants no more of its kind: the vendor says so, or its link to "
    "[unsubscribe](unsubscribing.md) was pressed (then its `detail` is the channel)",
    Happening.OPENED_BY_MACHINE: "a program opened it for the person: it has arrived, and nobody is known to have read it",
}

_BEFALLS = "[endpoints.md](endpoints.md#what-befalls-a-provider)"
NOTICE_MEANING = {
    OPENED: "nobody calls a provider any more, but for probes; told to the tenant `default`",
    MISCONFIGURED: "its account was refused",
    CLOSED: "it is called again",
    EXPIRING: "a person must renew a provider's credential",
}

OUTCOMES = (
    ("accepted", "the provider took it, whatever it calls that"),
    ("rejected", "a permanent refusal: the next step follows"),
    ("later", "provably not taken: another provider, or the same one after a wait"),
    ("unsure", "bytes were written and no answer that can be trusted came back: it may have been taken"),
    ("misconfigured", "the account, not the message: a refused key, a forbidden sender"),
)

MESSAGE_MEANING = {
    MessageState.ACCEPTED: "durable on the bus, not yet planned",
    MessageState.SCHEDULED: "waits for a time or a window",
    MessageState.DIGESTING: "waits for its digest",
    MessageState.QUEUED: "waits for a provider or a retry",
    MessageState.SENDING: "claimed: bytes may be on the wire. Alternates with `queued` while it is retried",
    MessageState.IN_DOUBT: "an answer was lost and `on_doubt` holds it: a receipt, a look-up or a person moves it on",
    MessageState.SENT: "a provider took it, whatever it calls that",
    MessageState.FAILED: "every step is exhausted; it is in the dead letters",
    MessageState.EXPIRED: "too late to be worth sending",
    MessageState.CANCELLED: "stopped by the caller",
    MessageState.SUPPRESSED: "must not be sent",
    MessageState.DELIVERED: "reported at the device, mailbox or endpoint",
    MessageState.READ: "opened, seen or read",
}

ATTEMPT_MEANING = {
    AttemptState.SENDING: "durable before the first byte leaves",
    AttemptState.IN_DOUBT: "the answer was lost after bytes were written",
    AttemptState.SENT: "the provider took it",
    AttemptState.REJECTED: "the provider refused it in its answer",
    AttemptState.FAILED: "it was not taken, or a receipt reported its failure",
    AttemptState.DELIVERED: "reported at the device, mailbox or endpoint",
    AttemptState.READ: "opened, seen or read",
}

EVENT_MEANING = {
    MessageState.SCHEDULED: "it waits for a time or a window",
    MessageState.QUEUED: "it waits for a provider: at first, for a retry, or for its next step",
    MessageState.SENDING: "an attempt was claimed, or waits in doubt to be sent again",
    MessageState.IN_DOUBT: "an answer was lost, and it is held until a receipt or a person settles it",
    MessageState.SENT: "a provider took it",
    MessageState.FAILED: "every step is exhausted",
    MessageState.EXPIRED: "it became too late",
    MessageState.CANCELLED: "the caller stopped it; it was never sent",
    MessageState.SUPPRESSED: "it must not be sent",
    MessageState.DELIVERED: "reported at the device, mailbox or endpoint",
    MessageState.READ: "opened, seen or read",
}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; bars inside cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", NOTE, *(part.strip("\n") for part in parts)]) + "\n"


def glossary() -> str:
    return page(
        "Glossary",
        "One word per idea, everywhere: code, API, command line, docs.",
        table(("word", "meaning"), [(f"**{word}**", meaning) for word, meaning in GLOSSARY]),
        "## Outcomes\n\nWhat one call of a provider can come to.",
        table(("outcome", "meaning"), [(f"**{word}**", meaning) for word, meaning in OUTCOMES]),
        "States of messages and attempts: [states.md](states.md).",
    )


def states() -> str:
    return page(
        "States",
        "A message has one state, folded from its attempts and its plan, so that late, repeated and reordered receipts are "
        "harmless. `delivered` and `read` are never taken back; before that a message may go back when an attempt failed, was "
        "refuted by a receipt or was sent again by hand, each time with an event in its timeline.",
        table(("rank", "state", "means"), [(str(s.rank), f"`{s}`", MESSAGE_MEANING[s]) for s in MessageState]),
        f"*Settled* ({names(s for s in MessageState if s.settled)}): nothing more will be done unless a receipt, a person or a "
        "replay asks. A notification's state is the lowest rank among its messages, within a rank the first in the table; "
        "`accepted` while it has none.",
        "## Which may follow which",
        table(("from", "to"), [(f"`{before}`", names(sorted(after)) or "nothing") for before, after in MESSAGE_MOVES.items()]),
        "Leaving `failed`, `expired`, `cancelled` or `suppressed` takes evidence that a provider took it, or a person.",
        diagram(MESSAGE_MOVES),
        "## Attempts",
        "An attempt's state only rises. Evidence joins by the higher of the two, in whatever order it comes.",
        table(("", "state", "means"), [(str(s.value), f"`{s}`", ATTEMPT_MEANING[s]) for s in AttemptState]),
        lattice(list(AttemptState)),
        "## Reasons",
        f"Why a message or an attempt ended is one of a closed list; the vendor's own words are kept beside it: {names(Reason)}.",
    )


def names(words: Iterable[object]) -> str:
    return " ".join(f"`{word}`" for word in words)


def diagram(moves: dict[MessageState, frozenset[MessageState]]) -> str:
    arrows = [f"    {before} --> {after}" for before, targets in moves.items() for after in sorted(targets)]
    ends = [f"    {before} --> [*]" for before, targets in moves.items() if not targets]
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    [*] --> {MessageState.ACCEPTED}", *arrows, *ends, "```"])


def lattice(chain: Sequence[AttemptState]) -> str:
    arrows = [f"    {low} --> {high}" for low, high in pairwise(chain)]
    return "\n".join(["```mermaid", "flowchart LR", *arrows, "```"])


def events() -> str:
    rows = [(f"`message.{state}`", meaning) for state, meaning in EVENT_MEANING.items()]
    return page(
        "Events",
        "An event is a row of the transaction in which something happened: none is lost, none tells of what was undone. `seq` "
        "orders them all. A message's timeline is its events, oldest first.",
        table(
            ("type", "says"),
            [
                ("`notification.accepted`", "the notification was planned into its messages"),
                *rows,
                (f"`{CONTRADICTED}`", "a failure was reported after the delivery: noted, and nothing else changes"),
                *((f"`{happening.event}`", HAPPENING_MEANING[happening]) for happening in Happening),
                (f"`{UNCONFIRMED}`", "a provider took it a quarter of an hour ago, and has reported nothing of it since"),
                *((f"`{type_}`", f"{meaning}; see {_BEFALLS}") for type_, meaning in NOTICE_MEANING.items()),
                (f"`{REPLIED}`", "somebody answered one of our senders; see [suppressions.md](suppressions.md#replies)"),
            ],
        ),
        "Any other `message.…` event says that the message moved to that state, or within it to another step of its plan; see "
        "[states.md](states.md). Its `detail` is the reason, where there is one. Repeats of a receipt make no event.",
    )


def settings() -> str:
    parts = []
    for section in SECTIONS:
        rows = [row for row in SETTINGS if row.section == section.name]
        parts += [f"## [{section.name}]\n\n{section.help}", of_rows(rows)]
    return page(
        "Settings",
        "One TOML file: the one that `--config` names, else `./sendwright.toml`, else defaults. Every fault is listed at once, and "
        "nothing starts while there is one. `sendwright check` prints what is in force and where each value comes from, secrets "
        "masked. A file with every setting: [sendwright.example.toml](../sendwright.example.toml).",
        PROSE,
        *parts,
        "## [providers.NAME]\n\nOne account of one vendor. A name is a small letter, then small letters, digits and `-`, 63 in "
        f"all. The kinds, each with its settings: {', '.join(f'[{kind}](providers/{kind}.md)' for kind in built_in())}. What "
        "every HTTP kind understands beside those:",
        of_rows(COMMON),
        "## [routes.CHANNEL]\n\nWithout a route, a channel takes its providers in the order of the file.",
        of_rows(ROUTE),
        "## [replies.NAME]\n\nWhat people are answered who write a keyword, by the name of a provider or of a channel; see "
        "[suppressions.md](suppressions.md#answers).",
        of_rows(REPLIES),
    )


PROSE = """## How values are written

* **Environment.** A variable with `__` in its name is a setting and wins over the file: `SENDWRIGHT_API__LISTEN`,
  `SENDWRIGHT_RETRY__TTL__CRITICAL`, `SENDWRIGHT_PROVIDERS__TWILIO_MAIN__AUTH_TOKEN` (a `-` is written `_`). Lists are written
  with commas or as in TOML or JSON. Other names that begin with `SENDWRIGHT_` are left alone.
* **References.** `${NAME}` in a value takes an environment variable, which must be set; `${file:/run/secrets/x}` takes a file,
  without the newline at its end. They work in variables too, and are not looked for in what they bring. `$${` stands for `${`.
* **Durations** are a whole number and a unit: `90s`, `10m`, `36h`, `7d`. **Rates** are calls per time: `100/s`, `30/min`,
  `500/h`, `10000/day`.
* **Data folder.** `--data` (default `./data`) holds database and keys.
* Where a setting has no default, an empty text means: not set."""


def of_rows(rows: Iterable[Setting]) -> str:
    return table(
        ("setting", "default", "unit", "meaning"), [(f"`{row.name}`", default(row), row.unit, row.help + mark(row)) for row in rows]
    )


def default(row: Setting) -> str:
    return "not set" if row.default is None else f"`{toml(row.default)}`"


def mark(row: Setting) -> str:
    return " *Secret.*" if row.secret else ""


def example() -> str:
    lines = [
        "# Every setting of Sendwright, with its default; what has none shows an example behind a #.",
        "# Written by `make docs`. What the words mean: docs/settings.md",
    ]
    for section in SECTIONS:
        lines += ["", *comment(section.help), f"[{section.name}]"]
        lines += [assignment(row) for row in SETTINGS if row.section == section.name]
    lines += ["", "# One account of one vendor, under a name of your own. The settings of its kind stand beside these."]
    lines += ["# [providers.twilio-main]", *(f"# {bare(row)}" for row in COMMON)]
    lines += ["", "# Without a route, a channel takes its providers in the order of the file."]
    lines += ["# [routes.sms]", *(f"# {bare(row)}" for row in ROUTE)]
    lines += ["", "# Without a text, nothing is answered. Twilio answers by itself."]
    lines += ["# [replies.telegram]", *(f"# {bare(row)}" for row in REPLIES)]
    return "\n".join(lines) + "\n"


def assignment(row: Setting) -> str:
    """The sample file's lines for one setting: the default as it is, or an example that is switched off."""
    text = bare(row) if row.default is not None else f"# {bare(row)}"
    line = f"{text:<40}  # {plain(row.help)}"
    return line if len(line) <= WIDTH else "\n".join([*comment(row.help), text])


def comment(text: str) -> list[str]:
    return [f"# {line}" for line in wrap(plain(text), WIDTH - 2)]


def plain(text: str) -> str:
    """The text without Markdown's marks."""
    return text.replace("`", "").replace("*", "")


def bare(row: Setting) -> str:
    return f"{row.name} = {toml(row.example if row.default is None else row.default)}"


def pages() -> dict[Path, str]:
    """Every generated file and what it must hold."""
    return {
        ROOT / "docs" / "glossary.md": glossary(),
        ROOT / "docs" / "settings.md": settings(),
        ROOT / "docs" / "states.md": states(),
        ROOT / "docs" / "events.md": events(),
        ROOT / "sendwright.example.toml": example(),
    }


def stale(expected: dict[Path, str]) -> list[Path]:
    return [file for file, text in expected.items() if not file.exists() or file.read_text(encoding="utf-8") != text]


def main(arguments: Sequence[str]) -> int:
    if list(arguments) not in ([], ["--check"]):
        sys.stderr.write("usage: python scripts/docs.py [--check]\n")
        return 2
    expected = pages()
    found = stale(expected)
    if arguments:
        sys.stderr.writelines(f"stale: {file.relative_to(ROOT)}; run `make docs`\n" for file in found)
        return 1 if found else 0
    for file in found:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(expected[file], encoding="utf-8")
        sys.stdout.write(f"wrote {file.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
