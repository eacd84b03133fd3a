"""What can be set about a sandbox before it starts. What is switched while it runs is in faults.py."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from sendwright.sandbox.keys import SANDBOX_SECRET

_AtLeastZero = Annotated[float, Meta(ge=0)]


class SandboxOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where it listens, what it writes down, whom it lets in and whom it calls back."""

    host: str = "127.0.0.1"
    port: int = 8425
    """0: any free one."""
    smtp: tuple[str, int] | None = None
    """Host and port to take mails on, by SMTP. None: none are."""
    log_path: str | None = None
    """The file to append a line to for every request, before it is answered. None: memory alone."""
    shown_max: Annotated[int, Meta(ge=1)] = 10_000
    """Most requests kept in memory; the counters go on."""
    latency_ms: _AtLeastZero = 0
    """Time that every message takes to be answered, in ms."""
    receipts: bool = True
    """Report back to the callback address that came with a message."""
    receipt_delay_ms: _AtLeastZero = 50
    """Time to the first receipt, and between receipts, in ms."""
    callback_hosts: tuple[str, ...] = ()
    """Hosts that may be called back beside loopback ones; `*` for any. Whoever can reach the sandbox chooses the
    address, so an open list lets them make this machine post anywhere that it can reach."""
    page_hosts: tuple[str, ...] = ()
    """Host names under which page, log and faults may be asked for, beside `localhost` and IP addresses."""
    credentials: dict[str, str] = {}
    """Twilio's accounts, SID to auth token. Empty: any that are not blank."""
    tokens: dict[str, str] = {}
    """The sandbox protocol's bearer tokens, token to account name. Empty: any; `sandbox` is
    then the account `sandbox`, another token one named after its hash."""
    opted_out: tuple[str, ...] = ()
    """Addresses that have asked not to be written to."""
    secret: str = SANDBOX_SECRET
    """Signs the sandbox protocol's receipts: `whsec_` and base64."""
    keys_path: str | None = None
    """The file that keeps the keys which the sandbox makes for vendors' schemes. None: they are others after a restart."""
    seed: int | None = None
    """Makes the shares of the faults draw the same every time."""

    def __repr__(self) -> str:
        return f"SandboxOptions(host={self.host!r}, port={self.port})"
