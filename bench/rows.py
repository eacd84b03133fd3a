"""Row writes per message, by table: `python -m bench.rows [--messages 1000]`.

Reports; the rule itself (six, two events, one more with a key) is held by tests/conformance/test_row_writes.py.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator

from tests.conformance.row_counts import Writes, row_writes

DEEDS = ("insert", "update", "delete")
RULED = ("notifications", "messages", "attempts")
MESSAGES = 1000


def counted(messages: int) -> dict[str, Writes]:
    """Without a key and with one."""
    return {name: asyncio.run(row_writes(messages, keyed=keyed)) for name, keyed in (("no key", False), ("key", True))}


def lines(found: dict[str, Writes], messages: int) -> Iterator[str]:
    """A markdown table of rows per message."""
    yield f"\n### Row writes per message, over {messages} messages on the straight path\n"
    yield "| | table | inserted | updated | deleted | together |"
    yield "|---|---|---|---|---|---|"
    for name, writes in found.items():
        tables = sorted({table for table, _ in writes}, key=lambda table: (table not in RULED, table))
        for table in tables:
            counts = [writes[table, deed] / messages for deed in DEEDS]
            yield f"| {name} | {table} | {' | '.join(f'{count:.3f}' for count in counts)} | {sum(counts):.3f} |"
        ruled = sum(n for (table, _), n in writes.items() if table in RULED) / messages
        yield f"| **{name}** | **{', '.join(RULED)}** | | | | **{ruled:.3f}** |"


def as_json(found: dict[str, Writes], messages: int) -> dict[str, dict[str, float]]:
    return {name: {f"{table}.{deed}": n / messages for (table, deed), n in writes.items()} for name, writes in found.items()}


def main() -> None:
    asking = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    asking.add_argument("--messages", type=int, default=MESSAGES)
    given = asking.parse_args()
    for line in lines(counted(given.messages), given.messages):
        print(line)


if __name__ == "__main__":
    main()
