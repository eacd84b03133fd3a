"""The caller as a process of its own that is told when to post: `python -m bench.caller URL KEY CONNECTIONS [PRIORITY]`.

It says `ready`, then posts as many notifications as each line of its input says, and answers each line with one of JSON
(`load.blast`). It lives on between lines, so that its start is in nobody's figures.
"""

from __future__ import annotations

import json
import sys

import uvloop

from bench.load import blast


def main(url: str, key: str, connections: int, priority: str) -> None:
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(uvloop.run(blast(url, key, int(line), connections, priority))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else "normal")
