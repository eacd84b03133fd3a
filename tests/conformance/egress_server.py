"""The other side of a call, as bad as a test wants it: plain sockets in threads, so that no event loop is involved.

A server plays one script for each connection, the last one again and again. A script is a function of the `Peer`; when
it returns, the peer keeps listening until the caller hangs up, so that `unanswered` counts every byte that arrived.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable

LIMIT_S = 5.0
"""Longest wait for something that is sure to come."""
_ESTABLISHED = 1
"""Linux's TCP_ESTABLISHED."""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Peer:
    """One accepted connection."""

    def __init__(self, sock: socket.socket, stopped: threading.Event) -> None:
        self._sock = sock
        self._stopped = stopped
        self._buffer = b""
        self.requests: list[bytes] = []
        self.unanswered = 0
        """Bytes that came since the last `answer`."""

    def take(self, count: int) -> None:
        """Reads some bytes and leaves the rest unread."""
        while count > 0 and (data := self._read(count)):
            count -= len(data)

    def request(self) -> bytes:
        """Reads one whole request and returns it."""
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, _, body = self._buffer.partition(b"\r\n\r\n")
        lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        length = int(lengths[0]) if lengths else 0
        while len(body) < length:
            self._more()
            body = self._buffer.partition(b"\r\n\r\n")[2]
        self._buffer = body[length:]
        self.requests.append(head + b"\r\n\r\n" + body[:length])
        return self.requests[-1]

    def say(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._sock.sendall(data)

    def answer(self, data: bytes = OK) -> None:
        """Reads a request and answers it completely."""
        self.request()
        self.unanswered = 0
        self.say(data)

    def reset(self) -> None:
        """Ends the connection with RST."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    def close(self) -> None:
        """Ends it with FIN (and with RST where bytes were left unread). Under TLS, without a goodbye."""
        self._sock.close()

    def half_close(self) -> None:
        """Says that no more will be said, and goes on reading."""
        self._sock.shutdown(socket.SHUT_WR)

    def goodbye(self) -> None:
        """Ends a TLS connection properly."""
        assert isinstance(self._sock, ssl.SSLSocket)
        self._sock.settimeout(0.2)
        with contextlib.suppress(OSError):
            self._sock.unwrap()

    def hang(self) -> None:
        """Neither reads nor says anything until the caller has hung up or the test is over."""
        while not self.gone() and not self._stopped.wait(0.01):
            pass

    def pause(self, seconds: float) -> bool:
        """Waits a little; true when the test is over."""
        return self._stopped.wait(seconds)

    def gone(self) -> bool:
        """Whether either side has hung up, as the kernel sees it."""
        try:
            return self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _ESTABLISHED
        except OSError:
            return True

    def drain(self) -> None:
        with contextlib.suppress(OSError):
            while self._read(65536):
                pass
        self._sock.close()

    def _read(self, count: int) -> bytes:
        data = self._sock.recv(count)
        self.unanswered += len(data)
        return data

    def _more(self) -> None:
        data = self._read(65536)
        if not data:
            raise ConnectionError
        self._buffer += data


Script = Callable[[Peer], object]


class Server:
    """Listens on a free port of 127.0.0.1 until `stop`."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self._scripts = list(scripts)
        self._tls = tls
        self.peers: list[Peer] = []
        self._threads: list[threading.Thread] = []
        self._sock = socket.create_server(("127.0.0.1", 0))
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # so that a large request does not fit
        self.port = self._sock.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/messages?to=1"
        self.connections = 0
        self._done = threading.Event()
        self._start(self._accept)

    @property
    def unanswered(self) -> int:
        return sum(peer.unanswered for peer in self.peers)

    @property
    def requests(self) -> list[bytes]:
        return [request for peer in self.peers for request in peer.requests]

    def stop(self) -> None:
        """Returns when every byte that reached this side has been counted: call it when the client has closed."""
        if not self._done.is_set():
            self._done.set()
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)
            self._sock.close()
        for thread in list(self._threads):
            thread.join(2 * LIMIT_S)
            assert not thread.is_alive()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._sock.accept()
            except OSError:
                return
            script = self._scripts[min(self.connections, len(self._scripts) - 1)]
            self.connections += 1
            self._start(self._play, sock, script)

    def _play(self, sock: socket.socket, script: Script) -> None:
        sock.settimeout(LIMIT_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what was said before a reset has left
        with contextlib.suppress(OSError):
            peer = Peer(self._tls.wrap_socket(sock, server_side=True) if self._tls else sock, self._done)
            self.peers.append(peer)
            with contextlib.suppress(OSError):
                script(peer)
            peer.drain()
        sock.close()
