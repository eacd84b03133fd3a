"""`sendwright up` with an account on a mail server: what is posted lies in a mailbox of a real Postfix."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.conformance.egress_clients import authority
from tests.conformance.postfix import Postfix, own_postfix

from .harness import ADMIN_KEY, House, Oracle, wait_until
from .world import FAST, Row, World

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def postfix() -> Iterator[Postfix]:
    with own_postfix(authority().pem()) as server:
        yield server


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, postfix: Postfix) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("house")
    (folder / "authority.pem").write_bytes(authority().own_pem)
    account = (
        '[providers.post]\nkind = "smtp"\nhost = "127.0.0.1"\n'
        f'port = {postfix.port}\nfrom = "shop@example.com"\nfrom_name = "Example Shop"\n'
    )
    world = World(folder, House(folder, account, FAST), Oracle(folder))
    try:
        world.house.start({"SSL_CERT_FILE": str(folder / "authority.pem")})
        yield world
    finally:
        world.stop()


def mail(to: str, **content: object) -> Row:
    return {"to": {"email": f"{to}@example.org"}, "content": {"title": "Your parcel", "body": "It is here.", **content}}


def test_a_posted_mail_lies_in_the_mailbox(world: World, postfix: Postfix) -> None:
    id_ = world.post(
        mail("ada", html="<p>It is <b>here</b>.</p>", email={"bcc": ["bob@example.org"], "headers": {"X-Order": "4711"}})
    )
    row = world.comes_to(id_, "sent")
    attempt = row["attempts"][0]
    assert attempt["ref"] in postfix.log()
    for name in ("ada", "bob"):
        found = postfix.arrived(name, f"<{attempt['id']}@example.com>")
        assert (str(found["From"]), str(found["To"]), str(found["Subject"]), found["Bcc"], found["X-Order"]) == (
            "Example Shop <shop@example.com>",
            "ada@example.org",
            "Your parcel",
            None,
            "4711",
        )
        html = found.get_body(("html",))
        assert html is not None
        assert html.get_content().strip() == "<p>It is <b>here</b>.</p>"


def test_the_command_line_sends_one(world: World, postfix: Postfix) -> None:
    words = ["send", "--to", "eve@example.org", "--channel", "email", "--body", "Your code is 424242", "--wait", "sent", "--json"]
    env = os.environ | {"SENDWRIGHT_URL": world.house.url, "SENDWRIGHT_KEY": ADMIN_KEY}
    done = subprocess.run(
        [sys.executable, "-m", "sendwright", *words], env=env, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr

    def arrived() -> bool:
        return any("Your code is 424242" in str(found.get_content()) for found in postfix.box("eve"))

    wait_until(arrived, 30, "it lies in the mailbox")


def test_who_is_unknown_there_ends_the_message_and_says_why(world: World) -> None:
    row = world.comes_to(world.post(mail("nobody")), "failed")
    assert row["reason"]["code"] == "invalid_address"
    assert row["reason"]["detail"].startswith("550 5.1.1 <n•••@example.org>")
    assert [attempt["state"] for attempt in row["attempts"]] == ["rejected"]


def test_who_is_busy_is_written_to_again(world: World) -> None:
    id_ = world.post(mail("grey") | {"ttl": "4s"})
    row = world.comes_to(id_, "expired", "failed")
    *heard, _ = row["attempts"]  # the last one may have come too late to be made
    assert heard
    assert {attempt["state"] for attempt in row["attempts"]} == {"failed"}
    assert all("451 4.7.1" in attempt["reason"]["detail"] for attempt in heard)
    assert world.provider("post")["breaker"] == "closed"  # it is about that mailbox, not about the server


def test_a_copy_that_was_refused_is_told_beside_what_was_taken(world: World) -> None:
    row = world.comes_to(world.post(mail("ada", email={"cc": ["nobody@example.org"]})), "sent")
    assert row["reason"] is None
    reason = row["attempts"][0]["reason"]
    assert reason["code"] == "rejected"
    assert reason["detail"].startswith("not to n•••@example.org (550 <n•••@example.org>: Recipient address rejected")


def test_no_address_reaches_the_log(world: World) -> None:
    output = world.house.output()
    assert "example.org" not in output
    assert "nobody" not in output
