"""The commands that speak HTTP: what they ask, what they print where, and how they end."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sendwright.cli import sending
from sendwright.cli.api import read_events
from tests.unit.cli_server import (
    AT,
    KEY,
    MESSAGE,
    NOTIFICATION,
    Reply,
    Server,
    attempt,
    message,
    notification,
    problem,
    run,
    serving,
)

NOTIFICATIONS = "/v1/notifications"
ONE = f"/v1/notifications/{NOTIFICATION}"
SEND = ("send", "--to", "+15005550009", "--body", "Hello")
TAKEN = Reply({"id": NOTIFICATION, "state": "accepted", "message_count": 1}, 202)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as started:
        yield started


@pytest.fixture(autouse=True)
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between tries, which nobody makes."""
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    return taken


# Where it calls, and with which key


def test_the_key_of_the_environment_goes_along(server: Server) -> None:
    server.answer("GET", "/v1/providers", Reply({"data": [], "next_cursor": None}))

    assert run("providers", server=server).exit_code == 0
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_without_the_environment_it_calls_what_the_settings_listen_on_with_the_kept_key(server: Server, folder: Path) -> None:
    # Given
    server.answer("GET", "/v1/providers", Reply({"data": [], "next_cursor": None}))
    (folder / "here.toml").write_text(f'[api]\nlisten = "0.0.0.0:{server.url.rpartition(":")[2]}"\n')
    (folder / "kept").mkdir()
    (folder / "kept" / "admin_key").write_text("k" * 40)

    # When
    ended = run("providers", "--config", "here.toml", "--data", "kept")

    # Then
    assert ended.exit_code == 0, ended.stderr
    assert server.asked[0].headers["authorization"] == f"Bearer {'k' * 40}"


def test_without_any_key_it_says_where_one_was_looked_for() -> None:
    ended = run("list", "--data", "elsewhere")

    assert ended.exit_code == 1
    assert "elsewhere/admin_key" in ended.stderr
    assert "SENDWRIGHT_KEY" in ended.stderr


def test_an_address_that_nobody_answers_at_gives_a_hint() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # taken, and nobody listens
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"

        ended = run("list", env={"SENDWRIGHT_URL": url, "SENDWRIGHT_KEY": KEY})

    assert ended.exit_code == 1
    assert url in ended.stderr
    assert "is it running?" in ended.stderr
    assert "make up" in ended.stderr


@pytest.mark.parametrize("url", ["nowhere", "ftp://127.0.0.1", "http://user:password@127.0.0.1"])
def test_an_address_that_is_none_is_refused_without_showing_it(url: str) -> None:
    ended = run("list", env={"SENDWRIGHT_URL": url, "SENDWRIGHT_KEY": KEY})

    assert ended.exit_code == 1
    assert ended.stderr.startswith("sendwright: SENDWRIGHT_URL: ")
    assert "password@" not in ended.stderr


def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(server: Server) -> None:
    ended = run("list", server=server, env={"SENDWRIGHT_KEY": "canary canary\nx"})

    assert ended.exit_code == 1
    assert "canary" not in ended.output
    assert not server.asked


def test_the_address_may_have_a_path_in_front(server: Server) -> None:
    server.answer("GET", "/under/v1/audit", Reply(_counted()))

    assert run("audit", server=server, env={"SENDWRIGHT_URL": f"{server.url}/under/"}).exit_code == 0


def test_an_answer_that_is_not_json_is_an_error(server: Server) -> None:
    server.answer("GET", "/v1/messages", Reply(b"<html>"))

    ended = run("list", server=server)

    assert ended.exit_code == 1
    assert "not JSON" in ended.stderr


def test_an_answer_that_was_cut_off_is_an_error(server: Server) -> None:
    server.answer("GET", "/v1/messages", Reply(cut=True))

    ended = run("list", server=server)

    assert ended.exit_code == 1
    assert "gave no answer" in ended.stderr


# send


def test_send_posts_what_was_asked_and_ends_with_0_when_it_was_sent(server: Server) -> None:
    # Given
    server.answer("POST", NOTIFICATIONS, TAKEN)
    server.answer("GET", ONE, Reply(notification(message("queued"))), Reply(notification(message("sent"))))

    # When
    ended = run(*SEND, "--title", "Hi", "--priority", "critical", "--on-doubt", "hold", server=server)

    # Then
    assert ended.exit_code == 0, ended.stderr
    assert server.bodies("POST", NOTIFICATIONS) == [
        {
            "to": {"phone": "+15005550009"},
            "content": {"title": "Hi", "body": "Hello"},
            "priority": "critical",
            "on_doubt": "hold",
        }
    ]
    assert ended.stdout == f"{MESSAGE} sent sms by twilio-main ref SM1\n"
    assert f"{NOTIFICATION} accepted" in ended.stderr
    assert f"{MESSAGE} queued" in ended.stderr


@pytest.mark.parametrize(
    ("args", "to", "channels"),
    [
        (["--to", "+15005550009"], {"phone": "+15005550009"}, None),
        (["--to", "a", "--to", "b"], ["a", "b"], None),
        (["--to", "a", "--channel", "push, sms", "--channel", "email"], "a", ["push", "sms", "email"]),
        (["--to", "whatsapp:+15005550009"], {"whatsapp": "+15005550009"}, ["whatsapp"]),
        (["--to", "telegram:1", "--to", "telegram:2"], [{"telegram": "1"}, {"telegram": "2"}], ["telegram"]),
        (["--to", "telegram:1", "--to", "sms:+15005550009"], [{"telegram": "1"}, {"phone": "+15005550009"}], None),
        (["--to", "telegram:1", "--channel", "sms"], {"telegram": "1"}, ["sms"]),
    ],
)
def test_recipients_and_channels_are_put_as_they_were_named(
    server: Server, args: list[str], to: Any, channels: list[str] | None
) -> None:
    server.answer("POST", NOTIFICATIONS, TAKEN)
    server.answer("GET", ONE, Reply(notification(message("sent"))))

    assert run("send", *args, "--body", "Hello", server=server).exit_code == 0

    posted = server.bodies("POST", NOTIFICATIONS)[0]
    assert (posted["to"], posted.get("channels")) == (to, channels)


def test_the_body_may_come_from_stdin(server: Server) -> None:
    server.answer("POST", NOTIFICATIONS, TAKEN)
    server.answer("GET", ONE, Reply(notification(message("sent"))))

    run("send", "--to", "a", "--body", "-", server=server, stdin="two\nlines\n")

    assert server.bodies("POST", NOTIFICATIONS)[0]["content"] == {"body": "two\nlines"}


def test_send_waits_for_delivery_where_that_is_asked(server: Server) -> None:
    server.answer("POST", NOTIFICATIONS, TAKEN)
    server.answer("GET", ONE, Reply(notification(message("sent"))), Reply(notification(message("delivered"))))

    ended = run(*SEND, "--wait", "delivered", "--json", server=server)

    assert ended.exit_code == 0
    assert json.loads(ended.stdout)["messages"][0]["state"] == "delivered"


def test_send_ends_with_1_when_a_message_failed(server: Server) -> None:
    server.answer("POST", NOTIFICATIONS, TAKEN)
    server.answer("GET", ONE, Reply(notification(message("failed", reason={"code": "blocked", "detail": "no"}))))

    ended = run(*SEND, server=server)

    assert ended.exit_code == 1
    assert "failed sms by twilio-main ref SM1 blocked: no" in ended.stdout
    assert f"sendwright show {NOTIFICATION}" in ended.stderr


def test_send_ends_with_1_when_the_time_is_up(server: Server) -> None:
    server.answer("POST", NOTIFICATIONS, TAKEN)
    server.answer("GET", ONE, Reply(notification(message("queued"))))

    ended = run(*SEND, "--timeout", "0s", server=server)

    assert ended.exit_code == 1
    assert "queued" in ended.stdout
    assert "not sent within 0 s" in ended.stderr


def test_a_refusal_lists_every_fault_and_prints_no_data(server: Server) -> None:
    faults = (("#/to/phone", "invalid_phone", "no such number"), ("#/priority", "unknown_priority", "no such priority"))
    server.answer("POST", NOTIFICATIONS, problem(422, "invalid_request", *faults))

    ended = run(*SEND, server=server)

    assert (ended.exit_code, ended.stdout) == (1, "")
    lines = [line.strip() for line in ended.stderr.splitlines()]
    assert "#/to/phone: no such number (invalid_phone)" in lines
    assert "#/priority: no such priority (unknown_priority)" in lines


@pytest.mark.parametrize("first", [Reply(cut=True), problem(503, "unavailable"), problem(409, "in_progress")])
def test_a_post_whose_answer_was_lost_is_made_again_under_the_same_key(server: Server, first: Reply) -> None:
    # Given
    server.answer("POST", NOTIFICATIONS, first, TAKEN)
    server.answer("GET", ONE, Reply(notification(message("sent"))))

    # When
    ended = run(*SEND, server=server)

    # Then
    keys = [asked.headers["idempotency-key"] for asked in server.asked if asked.method == "POST"]
    assert ended.exit_code == 0
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert len(keys[0]) >= 32


def test_a_post_is_given_up_after_some_tries(server: Server, naps: list[float]) -> None:
    server.answer("POST", NOTIFICATIONS, problem(503, "unavailable"))

    ended = run(*SEND, server=server)

    assert ended.exit_code == 1
    assert len(server.asked) == sending.POSTS_MAX
    assert naps == [1, 2]
    assert "Title of unavailable" in ended.stderr


def test_the_callers_own_idempotency_key_is_used(server: Server) -> None:
    server.answer("POST", NOTIFICATIONS, TAKEN)
    server.answer("GET", ONE, Reply(notification(message("sent"))))

    run(*SEND, "--idempotency-key", "order-42", server=server)

    assert server.asked[0].headers["idempotency-key"] == "order-42"


# show, list


def test_show_tells_attempts_and_events_in_the_order_of_their_times(server: Server) -> None:
    # Given
    one = message(
        "queued",
        waiting_for={"kind": "provider", "name": "twilio-main", "until": "2026-11-22T09:00:00.000Z"},
        attempts=[attempt(state="failed", reason={"code": "unreachable", "detail": "30003"}, call_id="call_1-7")],
        timeline=[
            {"at": "2026-11-22T08:00:00.000Z", "event": "notification.accepted", "detail": ""},
            {"at": "2026-11-22T08:00:05.000Z", "event": "message.queued", "detail": "unreachable"},
        ],
    )
    server.answer("GET", ONE, Reply(notification(one, metadata={"order": "42"})))

    # When
    shown = run("show", NOTIFICATION, server=server)

    # Then
    assert shown.exit_code == 0
    order = [
        shown.stdout.index(text)
        for text in ("notification.accepted", "attempt 1", "ref SM1", "in call_1-7", "30003", "message.queued")
    ]
    assert order == sorted(order)
    for text in ("(1 queued)", "metadata order: 42", "waits for: provider twilio-main until 2026-11-22T09:00:00.000Z"):
        assert text in shown.stdout


def test_show_as_json_is_the_apis_answer_with_all_messages(server: Server) -> None:
    first, second = message(id="msg_a"), message(id="msg_b")
    server.answer("GET", ONE, Reply(notification(first, messages_cursor="c1")), Reply(notification(second)))

    shown = json.loads(run("show", NOTIFICATION, "--json", server=server).stdout)

    assert shown == notification(first) | {"messages": [first, second]}
    assert server.asked[1].query == {"cursor": "c1"}


def test_show_takes_a_messages_id(server: Server) -> None:
    server.answer("GET", f"/v1/messages/{MESSAGE}", Reply(message("read")))

    assert f"{MESSAGE}  read" in run("show", MESSAGE, server=server).stdout


def test_show_of_an_unknown_id_ends_with_1(server: Server) -> None:
    ended = run("show", "ntf_x/../y", server=server)

    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "Not found" in ended.stderr
    assert server.asked[0].path == "/v1/notifications/ntf_x%2F..%2Fy"


def test_nothing_that_was_sent_or_answered_steers_the_terminal(server: Server) -> None:
    server.answer("GET", ONE, Reply(notification(message("failed", reason={"code": "blocked", "detail": "\x1b[2J\nmsg_2  sent"}))))

    shown = run("show", NOTIFICATION, server=server).stdout

    assert "\x1b" not in shown
    assert "\nmsg_2" not in shown


def test_list_asks_with_its_filters_and_goes_through_pages_up_to_its_limit(server: Server) -> None:
    # Given
    pages = [
        Reply({"data": [message(id="msg_a"), message(id="msg_b")], "next_cursor": "c1"}),
        Reply({"data": [message(id="msg_c")], "next_cursor": "c2"}),
    ]
    server.answer("GET", "/v1/messages", *pages)
    filters = "--state failed --channel sms --provider twilio-main --recipient r1 --since 2026-11-22T08:00:00Z --doubled --limit 3"

    # When
    ended = run("list", *filters.split(), server=server)

    # Then
    wanted = {"state": "failed", "channel": "sms", "provider": "twilio-main", "recipient": "r1", "doubled": "true"}
    assert [asked.query for asked in server.asked] == [
        wanted | {"since": "2026-11-22T08:00:00Z", "limit": "3"},
        wanted | {"since": "2026-11-22T08:00:00Z", "limit": "1", "cursor": "c1"},
    ]
    assert [line.split()[0] for line in ended.stdout.splitlines()] == ["MESSAGE", "msg_a", "msg_b", "msg_c"]
    assert "there are more" in ended.stderr


def test_an_empty_list_prints_no_data(server: Server) -> None:
    server.answer("GET", "/v1/messages", Reply({"data": [], "next_cursor": None}))

    ended = run("list", server=server)

    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, "", "nothing\n")


# tail

FRAMES = (
    b"retry: 2000\n\n: still here\n\n"
    b"id: 7\nevent: message.sent\n"
    b'data: {"type":"message.sent","timestamp":"t","data":{"notification":"n","message":"m","detail":""}}\n\n'
)


def test_tail_prints_a_line_for_each_event(server: Server) -> None:
    server.answer("GET", "/v1/events", Reply(FRAMES))

    ended = run("tail", "--types", "message.sent", "--limit", "1", server=server)

    assert (ended.exit_code, ended.stdout) == (0, "t  message.sent  m\n")
    assert server.asked[0].query == {"types": "message.sent"}


def test_tail_prints_a_line_for_what_befalls_a_provider(server: Server) -> None:
    opened = {"id": "prv_1", "provider": "twilio-main", "kind": "twilio", "channels": ["sms"], "reason": "unreachable"}
    ends = {"id": "prv_2", "provider": "page", "setting": "access_token", "expires_at": "e", "days_left": 3}
    told = [
        {"type": "provider.opened", "timestamp": "t", "data": opened},
        {"type": "token.expiring", "timestamp": "t", "data": ends},
    ]
    body = b"".join(b"id: %d\ndata: %s\n\n" % (seq, json.dumps(each).encode()) for seq, each in enumerate(told, 1))
    server.answer("GET", "/v1/events", Reply(body))

    ended = run("tail", "--limit", "2", server=server)

    assert ended.stdout.splitlines() == [
        "t  provider.opened  twilio-main  unreachable",
        "t  token.expiring  page  access_token until e",
    ]


def test_tail_takes_a_broken_stream_up_where_it_broke(server: Server) -> None:
    server.answer("GET", "/v1/events", Reply(FRAMES), Reply(cut=True), Reply(FRAMES.replace(b"id: 7", b"id: 8")))

    ended = run("tail", "--json", "--limit", "2", server=server)

    assert [json.loads(line)["id"] for line in ended.stdout.splitlines()] == ["7", "8"]
    assert [asked.headers.get("last-event-id") for asked in server.asked] == [None, "7", "7"]
    assert "trying again" in ended.stderr


def test_tail_of_a_refused_filter_ends_with_1(server: Server) -> None:
    server.answer("GET", "/v1/events", problem(422, "invalid_request", ("#/types", "unknown", "no such type")))

    assert run("tail", "--types", "x", server=server).exit_code == 1


def test_events_are_read_whatever_else_the_stream_holds() -> None:
    lines = b': hi\n\nid: 1\nevent: a\ndata: {"type":\ndata: "a"}\nother: x\n\ndata: no json\n\nid: 3\ndata: {"cut'.splitlines(
        keepends=True
    )

    told = list(read_events(lines))

    assert [(one.id, one.type, one.body) for one in told] == [("1", "a", {"type": "a"}), ("", "", {})]


# providers

STANDING = {
    "name": "twilio-main",
    "kind": "twilio",
    "channels": ["sms"],
    "enabled": True,
    "weight": 1,
    "breaker": "open",
    "in_flight": 3,
    "success_rate": 0.5,
    "latency_ms": 12.5,
    "rate": "100/s",
    "concurrency": 200,
    "cost": {},
    "reason": "20003",
    "credential": None,
}


@pytest.mark.parametrize(("days", "words"), [(0, ["over"]), (1, ["1", "day", "left"]), (30, ["30", "days", "left"])])
def test_how_long_a_credential_is_still_good_is_shown(server: Server, days: int, words: list[str]) -> None:
    standing = STANDING | {"credential": {"expires_at": "2027-01-31T00:00:00.000Z", "days_left": days}}
    server.answer("GET", "/v1/providers", Reply({"data": [standing], "next_cursor": None}))

    ended = run("providers", server=server)

    assert ended.stdout.splitlines()[1].split()[-1 - len(words) :] == [*words, "20003"]


@pytest.mark.parametrize("line", ["providers", "providers list"])
def test_providers_shows_how_they_stand(server: Server, line: str) -> None:
    server.answer("GET", "/v1/providers", Reply({"data": [STANDING], "next_cursor": None}))

    ended = run(*line.split(), server=server)

    assert ended.exit_code == 0
    assert ended.stdout.splitlines()[1].split() == [
        "twilio-main", "twilio", "sms", "yes", "open", "50%", "12.5", "ms", "3", "100/s", "-", "20003",
    ]  # fmt: skip


@pytest.mark.parametrize(("word", "enabled"), [("disable", False), ("enable", True)])
def test_a_switch_is_set_and_what_it_is_now_is_printed(server: Server, word: str, enabled: bool) -> None:
    server.answer("PATCH", "/v1/providers/twilio-main", Reply(STANDING | {"enabled": enabled}))

    ended = run("providers", word, "twilio-main", server=server)

    assert server.asked[0].body == {"enabled": enabled}
    assert ended.stdout == f"twilio-main is {word}d\n"


@pytest.mark.parametrize(("outcome", "code"), [("accepted", 0), ("rejected", 1), ("unsure", 1)])
def test_a_test_message_ends_with_0_only_when_it_was_accepted(server: Server, outcome: str, code: int) -> None:
    server.answer("POST", "/v1/providers/p/test", Reply({"outcome": outcome, "ref": "SM1", "detail": "words"}))

    ended = run("providers", "test", "p", "--to", "+15005550009", server=server)

    assert ended.exit_code == code
    assert server.asked[0].body == {"to": "+15005550009"}
    assert ended.stdout == f"p {outcome} ref SM1: words\n"


def test_a_test_without_an_address_goes_where_the_provider_reaches_nobody(server: Server) -> None:
    server.answer("POST", "/v1/providers/sandbox/test", Reply({"outcome": "accepted", "ref": "sbx_1", "detail": ""}))

    ended = run("providers", "test", "sandbox", server=server)

    assert (ended.exit_code, ended.stdout, server.asked[0].body) == (0, "sandbox accepted ref sbx_1\n", {})


def test_a_test_that_needs_an_address_is_wrong_usage_without_one(server: Server) -> None:
    server.answer("POST", "/v1/providers/p/test", problem(422, "invalid_request", ("#/to", "required", "is missing")))

    without = run("providers", "test", "p", server=server)
    unfit = run("providers", "test", "p", "--to", "x", server=server)

    assert (without.exit_code, without.stdout, unfit.exit_code) == (2, "", 1)
    assert "--to" in without.stderr


def test_providers_are_shown_from_all_pages(server: Server) -> None:
    pages = [Reply({"data": [STANDING | {"name": name}], "next_cursor": cursor}) for name, cursor in (("a", "c1"), ("b", None))]
    server.answer("GET", "/v1/providers", *pages)

    ended = run("providers", server=server)

    assert [line.split()[0] for line in ended.stdout.splitlines()[1:]] == ["a", "b"]
    assert [asked.query.get("cursor") for asked in server.asked] == [None, "c1"]


# dead, doubts, audit

DEAD = {
    "kind": "message",
    "id": MESSAGE,
    "notification": NOTIFICATION,
    "recipient": "r1",
    "address": None,
    "channel": "sms",
    "provider": "p",
    "reason": {"code": "blocked", "detail": ""},
    "updated_at": AT,
}


@pytest.mark.parametrize("line", ["dead", "dead list --channel sms"])
def test_dead_lists_letters_and_counts_causes(server: Server, line: str) -> None:
    causes = [{"channel": "sms", "reason": "blocked", "provider": "p", "count": 12}]
    server.answer("GET", "/v1/dead", Reply({"data": [DEAD], "causes": causes, "parcels": [], "next_cursor": None}))

    ended = run(*line.split(), server=server)

    lines = [text.split() for text in ended.stdout.splitlines()]
    assert lines[1] == [MESSAGE, "sms", "p", "-", "r1", AT, "blocked"]
    assert lines[-1] == ["12", "sms", "p", "blocked"]
    assert "PARCEL" not in ended.stdout


PARCEL = {
    "kind": "parcel",
    "id": "par_" + "0f" * 16,
    "lane": "intake.high",
    "at": AT,
    "problem": "version 2 is not known here",
    "size": 321,
}
PARCEL_LINES = [
    ["PARCEL", "LANE", "AT", "BYTES", "PROBLEM"],
    [PARCEL["id"], "intake.high", AT, "321", "version", "2", "is", "not", "known", "here"],
]


@pytest.mark.parametrize("line", ["dead", "dead list"])
def test_dead_shows_parcels_below_the_messages(server: Server, line: str) -> None:
    causes = [{"channel": "sms", "reason": "blocked", "provider": "p", "count": 12}]
    server.answer("GET", "/v1/dead", Reply({"data": [DEAD], "causes": causes, "parcels": [PARCEL], "next_cursor": None}))

    ended = run(*line.split(), server=server)

    lines = [text.split() for text in ended.stdout.splitlines()]
    assert lines[1][0] == MESSAGE
    assert lines[-3:] == [[], *PARCEL_LINES]


def test_dead_parcels_alone_are_not_nothing(server: Server) -> None:
    server.answer("GET", "/v1/dead", Reply({"data": [], "causes": [], "parcels": [PARCEL], "next_cursor": None}))

    ended = run("dead", server=server)

    assert [text.split() for text in ended.stdout.splitlines()] == PARCEL_LINES
    assert ended.stderr == ""


def test_dead_without_anything_says_so(server: Server) -> None:
    server.answer("GET", "/v1/dead", Reply({"data": [], "causes": [], "parcels": [], "next_cursor": None}))

    ended = run("dead", server=server)

    assert (ended.stdout, ended.stderr) == ("", "nothing\n")


@pytest.mark.parametrize("word", ["replay", "drop"])
def test_help_says_that_parcels_are_named_by_id(word: str) -> None:
    assert "parcel" in run("dead", word, "--help").stdout
    assert "parcel" in run("dead", "--help").stdout


@pytest.mark.parametrize("word", ["replay", "drop"])
@pytest.mark.parametrize(
    ("args", "body"),
    [
        (["msg_a", "msg_b"], {"ids": ["msg_a", "msg_b"]}),
        (["par_a", "msg_b"], {"ids": ["par_a", "msg_b"]}),
        (["--all"], {"filters": {}}),
        (["--channel", "sms", "--until", AT], {"filters": {"channel": "sms", "until": AT}}),
    ],
)
def test_dead_letters_are_handled_by_ids_by_filters_or_all(server: Server, word: str, args: list[str], body: Any) -> None:
    server.answer("POST", f"/v1/dead/{word}", Reply({"done": 2, "skipped": 0, "more": True}))

    ended = run("dead", word, *args, server=server)

    assert (ended.exit_code, server.asked[0].body) == (0, body)
    assert "run it again" in ended.stderr


def test_a_named_letter_that_was_skipped_ends_with_1(server: Server) -> None:
    server.answer("POST", "/v1/dead/replay", Reply({"done": 1, "skipped": 1, "more": False, "skipped_for": {"nothing_to_send": 1}}))

    named = run("dead", "replay", "a", "b", server=server)
    assert (named.exit_code, named.stdout) == (1, "replayed 1, skipped 1 (1 nothing_to_send)\n")
    assert run("dead", "replay", "--all", server=server).exit_code == 0


@pytest.mark.parametrize("line", ["doubts", "doubts list"])
def test_doubts_are_the_messages_in_doubt(server: Server, line: str) -> None:
    server.answer("GET", "/v1/messages", Reply({"data": [message("in_doubt")], "next_cursor": None}))

    ended = run(*line.split(), server=server)

    assert server.asked[0].query["state"] == "in_doubt"
    assert MESSAGE in ended.stdout


def test_a_doubt_is_settled_by_a_persons_word(server: Server) -> None:
    server.answer("POST", f"/v1/messages/{MESSAGE}/resolve", Reply({"id": MESSAGE, "state": "sent"}))

    ended = run("doubts", "resolve", MESSAGE, "--as", "sent", server=server)

    assert server.asked[0].body == {"as": "sent"}
    assert ended.stdout == f"{MESSAGE} sent\n"


def test_a_doubt_that_is_none_ends_with_1(server: Server) -> None:
    server.answer("POST", f"/v1/messages/{MESSAGE}/resolve", problem(409, "not_in_doubt"))

    assert run("doubts", "resolve", MESSAGE, "--as", "resend", server=server).exit_code == 1


def _counted(*violations: dict[str, str]) -> dict[str, Any]:
    counts = {"accepted": 2, "planned": 2, "waiting": 0, "messages": 2, "by_state": {"sent": 2}}
    return {"ok": not violations, **counts, "violations": list(violations)}


def test_an_audit_without_violations_ends_with_0(server: Server) -> None:
    server.answer("GET", "/v1/audit", Reply(_counted()))

    ended = run("audit", server=server)

    assert ended.exit_code == 0
    assert "messages 2: 2 sent" in ended.stdout


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_an_audit_with_violations_names_each_and_ends_with_1(server: Server, option: list[str]) -> None:
    found = [{"kind": "stuck", "id": f"msg_{name}", "detail": "since yesterday"} for name in "ab"]
    server.answer("GET", "/v1/audit", Reply(_counted(*found)))

    ended = run("audit", *option, server=server)

    assert ended.exit_code == 1
    assert "msg_a" in ended.stdout
    assert "msg_b" in ended.stdout
    assert option or [line for line in ended.stdout.splitlines() if line.startswith("violation stuck msg_b: ")]


@pytest.mark.parametrize("line", ["list", "providers", "dead", "doubts", "audit"])
def test_a_wrong_key_is_said_with_where_keys_come_from(server: Server, line: str) -> None:
    answer = problem(401, "unauthenticated")
    for path in ("/v1/messages", "/v1/providers", "/v1/dead", "/v1/audit"):
        server.answer("GET", path, answer)

    ended = run(line, server=server)

    assert ended.exit_code == 1
    assert "SENDWRIGHT_KEY" in ended.stderr
    assert KEY not in ended.output
