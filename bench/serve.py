"""Sendwright that only accepts: everything of `sendwright up` but planning, delivery and scheduling.

    python -m bench.serve --config FILE --data DIR

For measuring the door alone. There is no such command in the product: what was accepted stays on the intake lanes.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import uvloop

from sendwright.app.running import API
from sendwright.app.serve import serve
from sendwright.settings import load


def main() -> int:
    asked = argparse.ArgumentParser(description="accept, and nothing else")
    asked.add_argument("--config", type=Path, required=True)
    asked.add_argument("--data", type=Path, required=True)
    given = asked.parse_args()
    return int(uvloop.run(serve(load(given.config, os.environ, given.data), API, lambda *_: None)))


if __name__ == "__main__":
    sys.exit(main())
