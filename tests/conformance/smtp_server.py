"""A mail server as bad as a test wants it: the sockets of egress_server.py, with words of SMTP."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

from sendwright.providers.contract import MailRequest, Secret
from tests.conformance.egress_server import Peer, Script

OFFERS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 10240000", "ENHANCEDSTATUSCODES", "DSN")


class Talk:
    """What one connection says, and what it has heard."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.heard: list[str] = []
        self.mails: list[bytes] = []
        self.begun = False
        self.taken = 0
        """Recipients of the mail that was begun."""

    def say(self, *lines: str) -> None:
        self.peer.say("".join(f"{line}\r\n" for line in lines).encode())

    def note(self, word: str, *, good: bool) -> None:
        """How far the mail has come: what is refused changes nothing."""
        if word == "MAIL":
            self.begun, self.taken = good or self.begun, 0
        elif word == "RCPT":
            self.taken += good
        elif word in {"RSET", "CONTENT"}:
            self.begun, self.taken = False, 0

    def line(self) -> str:
        while b"\n" not in self.peer._buffer:
            self.peer._more()
        line, _, self.peer._buffer = self.peer._buffer.partition(b"\n")
        self.heard.append(line.decode("utf-8", "replace").rstrip("\r"))
        return self.heard[-1]

    def content(self) -> bytes:
        """Up to the lone dot, as it came."""
        while b"\r\n.\r\n" not in b"\r\n" + self.peer._buffer:
            self.peer._more()
        body, _, self.peer._buffer = self.peer._buffer.partition(b"\r\n.\r\n")
        self.mails.append(body)
        return body

    def tls(self, context: ssl.SSLContext) -> None:
        self.peer._sock = context.wrap_socket(self.peer._sock, server_side=True)


def conversation(
    talks: list[Talk],
    *,
    offers: Sequence[str] = OFFERS,
    answers: dict[str, list[str]] | None = None,
    breaks: dict[str, Script] | None = None,
    greeting: str = "220 mail.example.com ESMTP",
    context: ssl.SSLContext | None = None,
    mails: int = 1_000_000,
) -> Script:
    """Greets, answers every command in its way, and takes mails.

    `answers`: other answers by the command's first word (`CONTENT` for the lone dot), each used once, the last one again and
    again. `breaks`: what is done instead of answering a word."""
    answers = {word: list(lines) for word, lines in (answers or {}).items()}
    breaks = breaks or {}
    usual = {
        "EHLO": "",
        "MAIL": "250 2.1.0 Ok",
        "RCPT": "250 2.1.5 Ok",
        "DATA": "354 go on",
        "CONTENT": "250 2.0.0 Ok: queued as A1",
    }
    usual |= {"RSET": "250 2.0.0 Ok", "QUIT": "221 2.0.0 Bye", "AUTH": "235 2.7.0 Ok", "STARTTLS": "220 2.0.0 Ready"}

    def answer(talk: Talk, word: str) -> str | None:
        if word in breaks:
            breaks[word](talk.peer)
            return None
        if answers.get(word):
            said = answers[word].pop(0) if len(answers[word]) > 1 else answers[word][0]
        elif word == "EHLO":
            said = "\r\n".join(f"250-{line}" for line in ("mail.example.com", *offers)) + "\r\n250 HELP"
        elif (word == "RCPT" and not talk.begun) or (word == "DATA" and not talk.taken):
            said = "503 5.5.1 not now"
        else:
            said = usual.get(word, "500 5.5.2 what")
        talk.say(said)
        talk.note(word, good=said.startswith("2"))
        return said

    def script(peer: Peer) -> None:
        talk = Talk(peer)
        talks.append(talk)
        if "GREETING" in breaks:
            breaks["GREETING"](peer)
            return
        talk.say(greeting)
        while True:
            word = talk.line().partition(" ")[0].upper()
            said = answer(talk, word)
            if said is None or word == "QUIT":
                return
            if word == "STARTTLS" and said.startswith("220") and context is not None:
                talk.tls(context)
            if word == "DATA" and said.startswith("354"):
                talk.content()
                if answer(talk, "CONTENT") is None:
                    return

    return script


def mail(
    port: int, *recipients: str, tls: str = "none", message: bytes = b"Subject: hi\r\n\r\nhello\r\n", **over: object
) -> MailRequest:
    return MailRequest(
        host="127.0.0.1",
        port=port,
        tls=tls,
        sender="shop@example.com",
        recipients=recipients or ("ada@example.org",),
        message=message,
        **over,
    )  # type: ignore[arg-type]


SHOP = {"username": "shop", "password": Secret("hunter2hunter2")}
