"""Ports for servers of tests, each given out once on this machine while the process that asked for it lives.

A port that the kernel just found free may be found free by the next process as well, before anybody listens on it: then one
test's messages reach another test's provider. So a port is taken by a name in the abstract namespace, which ends with us, and
from below the range out of which the kernel serves outgoing connections.
"""

from __future__ import annotations

import random
import socket

_FIRST, _LAST = 20_000, 32_000
_taken: list[socket.socket] = []


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens, and which no other caller of this gets."""
    for port in random.SystemRandom().sample(range(_FIRST, _LAST), 500):
        name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            name.bind(f"\0sendwright-port-{port}")
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except OSError:
            name.close()
            continue
        _taken.append(name)
        return port
    raise RuntimeError("no port is free")
