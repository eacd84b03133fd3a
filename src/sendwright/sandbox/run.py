"""The sandbox on its own, until it is cancelled."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

from sendwright.sandbox.options import SandboxOptions
from sendwright.sandbox.server import SandboxServer


def _say(address: str) -> None:
    sys.stderr.write(f"The sandbox listens on {address}\n")
    sys.stderr.flush()


async def run(options: SandboxOptions, ready: Callable[[str], None] = _say) -> None:
    """Serves until cancelled, then ends in order. `ready` is told the address, once there is one.

    Raises OSError where the port or the log's file can't be had.
    """
    server = SandboxServer(options)
    try:
        port = await server.start(options.host, options.port)
        host = f"[{options.host}]" if ":" in options.host else options.host
        if options.smtp is not None:
            await server.start_smtp(*options.smtp)
        ready(f"http://{host}:{port}")
        await asyncio.Event().wait()
    finally:
        await server.stop()
