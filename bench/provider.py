"""The mock provider as a child of the benchmark, and how it is asked."""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

from bench.measure import Talker, until

ROOT = Path(__file__).resolve().parent.parent


class MockProvider(Talker):
    """`bench.mock` on a port of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__([sys.executable, "-m", "bench.mock"], folder / "provider.out", cwd=ROOT)
        self.url = f"http://127.0.0.1:{int(self.hear(20))}"

    def get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def reset(self, delay_ms: float) -> None:
        self.get(f"/reset?delay_ms={delay_ms}")

    def wait_for(self, count: int, within_s: float, every_s: float = 0.1) -> dict[str, Any]:
        """Until it took that many; its figures then."""
        until(lambda: self.get("/stats")["n"] >= count, within_s, f"the provider has {count} requests", every_s)
        return self.get("/stats")
