"""A Postfix of the tests' own: its folder, its queue, its ports, and mailboxes that are read as files.

Nothing of the machine's own instance is touched; only its programs are used. It must be started by root, as every Postfix.
"""

from __future__ import annotations

import email
import email.policy
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.ports import free_port

STARTS_S = 30.0
ARRIVES_S = 30.0
DOMAIN = "example.org"
REFUSED = {
    "busy": "450 4.2.1 The mailbox is busy",
    "grey": "451 4.7.1 Greylisted, try again later",
    "full": "452 4.2.2 The mailbox is full",
    "policy": "554 5.7.1 Refused by policy",
    "gone": "550 5.1.6 The mailbox has moved",
}
"""What it says to who writes to these at `DOMAIN`, as its table of recipients has it. Whoever else has no box is unknown there."""
BOXES = ("ada", "bob", "eve", "jürgen")

_MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
mail_owner = postfix
myhostname = mail.example.com
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
default_database_type = texthash
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {folder}/boxes
virtual_mailbox_maps = texthash:{folder}/etc/boxes
virtual_minimum_uid = 1
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
smtpd_recipient_restrictions = check_recipient_access texthash:{folder}/etc/recipients, reject_unauth_destination
smtpd_tls_cert_file = {folder}/etc/certificate.pem
smtpd_tls_key_file = {folder}/etc/certificate.pem
smtpd_tls_security_level = may
smtputf8_enable = yes
message_size_limit = {size_max}
default_process_limit = 20
in_flow_delay = 0s
"""
_MASTER = """
{plain} inet n - n - - smtpd
{wrapped} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """Ports: `port` in clear and with STARTTLS, `tls_port` encrypted from the first byte."""

    SIZE_MAX = 1_000_000

    def __init__(self, folder: Path, certificate: bytes) -> None:
        """`certificate`: with its key, in PEM."""
        self._folder = folder
        self.port, self.tls_port = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        owner = pwd.getpwnam("postfix")
        for name in ("etc", "queue", "data", "boxes"):
            (folder / name).mkdir()
        for name in ("data", "boxes"):
            shutil.chown(folder / name, "postfix")
        known = {"folder": folder, "domain": DOMAIN, "uid": owner.pw_uid, "gid": owner.pw_gid, "size_max": self.SIZE_MAX}
        (folder / "etc" / "main.cf").write_text(_MAIN.format(**known))
        (folder / "etc" / "master.cf").write_text(_MASTER.format(plain=self.port, wrapped=self.tls_port))
        (folder / "etc" / "boxes").write_text("".join(f"{name}@{DOMAIN} {name}/\n" for name in BOXES))
        (folder / "etc" / "recipients").write_text("".join(f"{name}@{DOMAIN} {said}\n" for name, said in REFUSED.items()))
        (folder / "etc" / "certificate.pem").write_bytes(certificate)

    def start(self) -> None:
        with (self._folder / "out").open("ab") as out:
            command = ["postfix", "-c", str(self._folder / "etc"), "start-fg"]
            self._process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
        deadline = time.monotonic() + STARTS_S
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as line:
                line.settimeout(5)
                if line.recv(4).startswith(b"220"):
                    return
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends its master, and with it all that it started."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
            with suppress(ProcessLookupError, ValueError, OSError):
                os.kill(int((self._folder / "queue" / "pid" / "master.pid").read_text()), signal.SIGTERM)
            self._process.wait(STARTS_S)
            self._process = None

    def log(self) -> str:
        files = (self._folder / "out", self._folder / "log")
        return "".join(file.read_text(errors="replace") for file in files if file.exists())

    def box(self, name: str) -> list[EmailMessage]:
        """What lies in somebody's mailbox, in the order in which it came."""
        new = self._folder / "boxes" / name / "new"
        files = sorted(new.iterdir(), key=lambda file: file.stat().st_mtime_ns) if new.exists() else []
        found = [email.message_from_bytes(file.read_bytes(), policy=email.policy.SMTP) for file in files]
        return [message for message in found if isinstance(message, EmailMessage)]

    def arrived(self, name: str, message_id: str) -> EmailMessage:
        """The mail of that Message-ID in somebody's mailbox, once it is there."""
        deadline = time.monotonic() + ARRIVES_S
        while True:
            for message in self.box(name):
                if message["Message-ID"] == message_id:
                    return message
            assert time.monotonic() < deadline, self.log()[-3000:]
            time.sleep(0.05)


@contextmanager
def own_postfix(certificate: bytes) -> Iterator[Postfix]:
    missing = (
        "no postfix in the PATH" if shutil.which("postfix") is None else "only root may start a postfix" if os.geteuid() else ""
    )
    if missing:
        if "CI" in os.environ:
            pytest.fail(missing)
        pytest.skip(missing)
    with tempfile.TemporaryDirectory(prefix="postfix", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        server = Postfix(Path(name), certificate)
        server.start()
        try:
            yield server
        finally:
            server.stop()
