"""Telegram: what is said to the Bot API, what its answers mean, and that the token in its addresses never shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sendwright.errors import SettingsError
from sendwright.providers.contract import (
    Accepted,
    Action,
    Answer,
    Hook,
    HttpRequest,
    Inbound,
    Later,
    Lost,
    Media,
    Misconfigured,
    NotSent,
    Outcome,
    Outgoing,
    Provider,
    Reason,
    Rejected,
    Reply,
    Scope,
    TooLong,
    Unsure,
    Verdict,
)
from sendwright.providers.registry import make
from tests.conformance.kinds import SECRET_MARK, Samples, hook, json_reply, outgoing

PAYLOADS = Path(__file__).parent.parent / "payloads" / "telegram"
TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
RAW = {"kind": "telegram", "bot_token": TOKEN, "secret_token": "header-secret-0123456789"}
OUT = Outgoing("att_1", "msg_1", "telegram", "1111111", "Your code is 481216")
HOOKS = "https://notify.example.com/v1/hooks/bot-main"


def samples() -> Samples:
    """For the suite that every kind passes."""
    token = f"110201543:{SECRET_MARK}-0123456789"
    return Samples(
        raw={"kind": "telegram", "bot_token": token, "secret_token": f"{SECRET_MARK}-header"},
        outgoing=outgoing(channel="telegram", address="1111111", media=()),
        accepted=reply("reply_taken"),
        refused_key=reply("reply_unauthorized"),
        secrets=(token, f"{SECRET_MARK}-header"),
        reply=hook(HOOKS, json.dumps(payload("inbound_text")["body"]).encode()),
        extra_replies=(
            json_reply(200, {"ok": True}),
            json_reply(200, {"ok": True, "result": True}),
            json_reply(200, {"ok": True, "result": {"message_id": "365"}}),
            json_reply(200, {"ok": True, "result": {"message_id": True}}),
            json_reply(200, {"ok": False, "result": {"message_id": 365}}),
        ),
    )


def account(**over: Any) -> Provider:
    return make("bot-main", {key: value for key, value in (RAW | over).items() if value is not None})


def payload(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text())
    return found


def reply(name: str) -> Reply:
    found = payload(name)
    return json_reply(found["status"], found["body"])


def refusal(status: int, words: str) -> Reply:
    return json_reply(status, {"ok": False, "error_code": status, "description": words})


TELEGRAM = account()


def asked(**over: Any) -> HttpRequest:
    request = TELEGRAM.build(msgspec.structs.replace(OUT, **over))
    assert isinstance(request, HttpRequest)
    return request


def said(**over: Any) -> tuple[str, dict[str, Any]]:
    """The method, and what is said by it."""
    request = asked(**over)
    return request.url.rpartition("/")[2], json.loads(request.body)


# What is said


def test_a_text_goes_to_the_bots_own_address() -> None:
    assert asked().method == "POST"
    assert asked().url == f"https://api.telegram.org/bot{TOKEN}/sendMessage"
    assert said() == ("sendMessage", {"chat_id": 1111111, "text": "Your code is 481216"})


def test_a_bot_server_of_ones_own_is_reached_by_base_url() -> None:
    request = account(base_url="http://127.0.0.1:8081/").build(OUT)
    assert isinstance(request, HttpRequest)
    assert request.url == f"http://127.0.0.1:8081/bot{TOKEN}/sendMessage"


@pytest.mark.parametrize(("address", "chat"), [("-1001234567890", -1001234567890), ("@shop_news", "@shop_news"), ("7", 7)])
def test_a_chat_is_a_number_or_a_public_name(address: str, chat: object) -> None:
    assert said(address=address)[1]["chat_id"] == chat


def test_a_title_is_said_where_there_is_no_body() -> None:
    assert said(body="", title="Hello")[1]["text"] == "Hello"
    assert said(title="Hello")[1]["text"] == "Your code is 481216"


def test_html_is_not_sent_since_telegram_knows_few_of_its_tags() -> None:
    assert said(html="<table><tr><td>1</td></tr></table>") == said()
    assert said(body="a < b & *c*")[1] == {"chat_id": 1111111, "text": "a < b & *c*"}


@pytest.mark.parametrize(
    ("item", "method", "parameter"),
    [
        (Media("https://x.example/a.png"), "sendPhoto", "photo"),
        (Media("https://x.example/a", "image/jpeg"), "sendPhoto", "photo"),
        (Media("https://x.example/a.gif"), "sendAnimation", "animation"),
        (Media("https://x.example/a.mp4"), "sendVideo", "video"),
        (Media("https://x.example/a.mp3"), "sendAudio", "audio"),
        (Media("https://x.example/a.pdf"), "sendDocument", "document"),
        (Media("https://x.example/a", "application/zip"), "sendDocument", "document"),
    ],
)
def test_a_file_goes_by_its_content_type_with_the_text_as_its_caption(item: Media, method: str, parameter: str) -> None:
    assert said(media=(item,)) == (method, {"chat_id": 1111111, parameter: item.url, "caption": "Your code is 481216"})
    assert said(media=(item,), body="") == (method, {"chat_id": 1111111, parameter: item.url})


@pytest.mark.parametrize(
    "media",
    [
        (Media("https://x.example/a.docx"),),
        (Media("https://x.example/a.ogg"),),
        (Media("https://x.example/a.png"), Media("https://x.example/b.png")),
    ],
)
def test_what_telegram_does_not_fetch_and_further_files_stand_in_the_text(media: tuple[Media, ...]) -> None:
    lines = "\n".join(item.url for item in media)
    assert said(media=media) == ("sendMessage", {"chat_id": 1111111, "text": f"Your code is 481216\n{lines}"})


def test_a_text_that_is_too_long_for_a_caption_has_the_file_in_it() -> None:
    picture = (Media("https://x.example/a.png"),)
    assert said(media=picture, body="x" * 1024)[0] == "sendPhoto"
    assert said(media=picture, body="x" * 1025)[0] == "sendMessage"


def test_actions_that_open_an_address_are_buttons() -> None:
    actions = (
        Action("a", "Track it", "https://x.example/t"),
        Action("b", "Not now"),
        Action("c", "In the app", "tg://resolve?domain=shop"),
        Action("d", "Call us", "tel:+15005550009"),
    )
    message = said(actions=actions)[1]
    assert message["text"] == "Your code is 481216\nCall us: tel:+15005550009"
    assert message["reply_markup"] == {
        "inline_keyboard": [
            [{"text": "Track it", "url": "https://x.example/t"}],
            [{"text": "In the app", "url": "tg://resolve?domain=shop"}],
        ]
    }
    assert "reply_markup" in said(actions=actions, media=(Media("https://x.example/a.png"),))[1]
    assert "reply_markup" not in said(actions=actions[1:2])[1]


@pytest.mark.parametrize(
    "over",
    [
        {"address": "ada"},
        {"address": "1111111\n"},
        {"address": "1" * 19},
        {"address": "@ab"},
        {"address": "@1abc"},
        {"address": "١٢٣"},
        {"address": ""},
        {"channel": "sms"},
        {"body": ""},
        {"body": "\ud800"},
    ],
)
def test_what_the_bot_api_has_no_form_for_is_refused_before_it_is_sent(over: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        said(**over)


def test_a_text_that_is_too_long_is_refused_for_that() -> None:
    assert said(body="é" * 4096)[1]["text"] == "é" * 4096
    with pytest.raises(TooLong):
        said(body="x" * 4097)


# Settings, and the token


@pytest.mark.parametrize(
    ("over", "key"),
    [
        ({"bot_token": None}, "bot_token"),
        ({"bot_token": ""}, "bot_token"),
        ({"bot_token": "1102015"}, "bot_token"),
        ({"bot_token": f"{TOKEN}/../x"}, "bot_token"),
        ({"bot_token": f"{TOKEN}\n"}, "bot_token"),
        ({"secret_token": ""}, "secret_token"),
        ({"secret_token": "a b"}, "secret_token"),
        ({"secret_token": "x" * 257}, "secret_token"),
    ],
)
def test_settings_that_can_not_be_are_refused_and_not_quoted(over: dict[str, Any], key: str) -> None:
    with pytest.raises(SettingsError) as refused:
        account(**over)
    assert [where for where, _ in refused.value.faults] == [f"providers.bot-main.{key}"]
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize(
    "answer",
    [
        refusal(400, f"Bad Request: wrong address /bot{TOKEN}/sendMessage"),
        refusal(500, f"at https://api.telegram.org/bot{TOKEN}/sendMessage"),
        Reply(404, (), json.dumps({"description": TOKEN}).encode()),
        json_reply(400, {"ok": False, "description": f"\\u0041 {TOKEN}"}),
    ],
)
def test_an_answer_that_quotes_the_token_does_not_bring_it_into_an_outcome(answer: Reply) -> None:
    outcome = TELEGRAM.read(answer)
    assert TOKEN.partition(":")[2] not in repr(outcome)


def test_the_token_shows_in_nothing_that_is_printed() -> None:
    shown = [TELEGRAM, TELEGRAM.settings, asked(), *(TELEGRAM.read(answer) for answer in (NotSent("connect"), Lost("wait")))]
    assert TOKEN.partition(":")[2] not in " ".join(f"{thing!r} {thing}" for thing in shown)


# Answers


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("reply_taken", Accepted("365")),
        ("reply_blocked", Rejected(Reason.BLOCKED, "Forbidden: bot was blocked by the user", Scope.RECIPIENT)),
        (
            "reply_not_started",
            Rejected(Reason.UNREACHABLE, "Forbidden: bot can't initiate conversation with a user", Scope.RECIPIENT),
        ),
        ("reply_no_chat", Rejected(Reason.INVALID_ADDRESS, "Bad Request: chat not found", Scope.RECIPIENT)),
        (
            "reply_moved",
            Rejected(Reason.INVALID_ADDRESS, "Bad Request: group chat was upgraded to a supergroup chat", Scope.RECIPIENT),
        ),
        ("reply_too_long", Rejected(Reason.TOO_LONG, "Bad Request: message is too long", Scope.RECIPIENT)),
        ("reply_flood", Later("HTTP 429: Too Many Requests: retry after 35", 35, Scope.ACCOUNT, ill=False)),
        ("reply_unauthorized", Misconfigured("HTTP 401: Unauthorized")),
        ("reply_not_found", Misconfigured("HTTP 404: Not Found")),
    ],
)
def test_an_answer_has_its_meaning(name: str, outcome: Outcome) -> None:
    assert TELEGRAM.parse(reply(name)) == outcome


@pytest.mark.parametrize(
    ("status", "words", "reason", "scope"),
    [
        (403, "Forbidden: bot was kicked from the supergroup chat", Reason.BLOCKED, Scope.RECIPIENT),
        (403, "Forbidden: user is deactivated", Reason.UNREACHABLE, Scope.RECIPIENT),
        (403, "Forbidden: bot is not a member of the channel chat", Reason.UNREACHABLE, Scope.RECIPIENT),
        (403, "Forbidden: news", Reason.UNREACHABLE, Scope.RECIPIENT),
        (400, "Bad Request: have no rights to send a message", Reason.REJECTED, Scope.SENDER),
        (400, "Bad Request: not enough rights to send photos to the chat", Reason.REJECTED, Scope.SENDER),
        (400, "Bad Request: MEDIA_CAPTION_TOO_LONG", Reason.TOO_LONG, Scope.RECIPIENT),
        (400, "Bad Request: wrong type of the web page content", Reason.CONTENT, Scope.RECIPIENT),
        (400, "Bad Request: news", Reason.CONTENT, Scope.RECIPIENT),
    ],
)
def test_a_refusal_says_why_and_of_whom(status: int, words: str, reason: Reason, scope: Scope) -> None:
    assert TELEGRAM.parse(refusal(status, words)) == Rejected(reason, words, scope)


def test_a_403_that_is_not_telegrams_is_the_operators_to_mend() -> None:
    assert isinstance(TELEGRAM.parse(Reply(403, (), b"<html>blocked by a proxy</html>")), Misconfigured)


@pytest.mark.parametrize("number", [None, "1", 1.5, True, -1, 1 << 63, []])
def test_a_success_without_a_messages_number_is_unsure(number: object) -> None:
    assert isinstance(TELEGRAM.parse(json_reply(200, {"ok": True, "result": {"message_id": number}})), Unsure)


# A chat that has moved


def by_flow(*answers: Answer) -> tuple[Outcome, list[object]]:
    """What comes of these answers, and the chats that were written to."""
    flow, chats = TELEGRAM.flow(msgspec.structs.replace(OUT, address="-555")), []
    request = next(flow)
    try:
        for answer in answers:
            assert isinstance(request, HttpRequest)
            chats.append(json.loads(request.body)["chat_id"])
            request = flow.send(answer)
    except StopIteration as done:
        return done.value, chats
    raise AssertionError("it wants another answer")


def test_a_group_that_became_a_supergroup_is_written_to_there() -> None:
    assert by_flow(reply("reply_moved"), reply("reply_taken")) == (Accepted("365"), [-555, -1001234567890])


def test_it_is_followed_once_and_a_lost_answer_of_the_second_call_is_unsure() -> None:
    outcome, chats = by_flow(reply("reply_moved"), reply("reply_moved"))
    assert isinstance(outcome, Rejected)
    assert len(chats) == 2
    assert isinstance(by_flow(reply("reply_moved"), Lost("wait"))[0], Unsure)
    assert isinstance(by_flow(Lost("wait"))[0], Unsure)


@pytest.mark.parametrize("new", [None, "1", True, 1.5, 10**18, 10**400, {}])
def test_a_new_id_that_can_be_none_is_not_followed(new: object) -> None:
    body = {"ok": False, "error_code": 400, "description": "so it is", "parameters": {"migrate_to_chat_id": new}}
    assert by_flow(json_reply(400, body))[1] == [-555]


# Updates


def update(token: str | None) -> Hook:
    headers = () if token is None else (("x-telegram-bot-api-secret-token", token),)
    return hook(HOOKS, json.dumps(payload("inbound_text")["body"]).encode(), *headers)


def test_an_update_with_the_secret_token_is_taken_and_is_what_a_person_says() -> None:
    assert TELEGRAM.verify(update(RAW["secret_token"])) is Verdict.GOOD
    assert TELEGRAM.events(update(RAW["secret_token"])) == (Inbound("telegram", ADA, "Yes please", "10000", 1_790_000_000),)
    assert not TELEGRAM.capabilities.receipts


ADA, GROUP = "1111111", -100123456
PERSON = {"id": int(ADA), "is_bot": False, "first_name": "Ada"}
ROOM = {"id": GROUP, "type": "supergroup"}


def told(**members: Any) -> Hook:
    """An update with that in it; its shapes after https://core.telegram.org/bots/api#update and the sections that it names."""
    return hook(HOOKS, json.dumps({"update_id": 7} | members).encode())


def wrote(**changed: Any) -> dict[str, Any]:
    message = payload("inbound_text")["body"]["message"] | changed
    return {name: value for name, value in message.items() if value is not None}


def command(text: str, **changed: Any) -> dict[str, Any]:
    return wrote(text=text, entities=[{"type": "bot_command", "offset": 0, "length": len(text.partition(" ")[0])}], **changed)


def test_words_files_changed_messages_and_buttons_are_replies_each_known_by_its_updates_number() -> None:
    at = 1_790_000_000
    query = {"id": "1", "from": PERSON, "message": wrote(), "data": "stop"}
    for members, expected in (
        ({"message": wrote(text="stop")}, Inbound("telegram", ADA, "stop", "7", at)),
        ({"message": wrote(text=None, photo=[{}], caption="STOP")}, Inbound("telegram", ADA, "STOP", "7", at)),
        ({"message": wrote(text=None, voice={})}, Inbound("telegram", ADA, "", "7", at)),
        ({"edited_message": wrote(text="STOP", edit_date=at + 5)}, Inbound("telegram", ADA, "STOP", "7", at + 5)),
        ({"callback_query": query}, Inbound("telegram", ADA, "", "7", payload="stop")),
        ({"message": command("/stop")}, Inbound("telegram", ADA, "/stop", "7", at, "stop")),
        ({"message": command("/start ref_17")}, Inbound("telegram", ADA, "/start ref_17", "7", at, "start")),
        ({"message": command("/Help@ourbot now")}, Inbound("telegram", ADA, "/Help@ourbot now", "7", at, "help")),
        ({"message": command("/stopwatch")}, Inbound("telegram", ADA, "/stopwatch", "7", at)),
        ({"message": wrote(text="/start me up")}, Inbound("telegram", ADA, "/start me up", "7", at)),
    ):
        assert TELEGRAM.events(told(**members)) == (expected,), members


def test_in_a_group_a_command_alone_is_said_to_the_bot() -> None:
    assert TELEGRAM.events(told(message=wrote(chat=ROOM, text="stop"))) == ()
    (found,) = TELEGRAM.events(told(message=command("/stop@ourbot", chat=ROOM)))
    assert found == Inbound("telegram", str(GROUP), "/stop@ourbot", "7", 1_790_000_000, "stop")


def test_a_bot_that_is_blocked_or_put_out_is_told_so_and_so_is_one_that_is_let_in_again() -> None:
    for chat, status, word in (
        ({"id": int(ADA), "type": "private"}, "kicked", "stop"),
        ({"id": int(ADA), "type": "private"}, "member", "start"),
        (ROOM, "left", "stop"),
        (ROOM, "administrator", "start"),
    ):
        change = {
            "chat": chat,
            "from": PERSON,
            "date": 1_790_000_000,
            "new_chat_member": {"status": status, "user": {"is_bot": True}},
        }
        (found,) = TELEGRAM.events(told(my_chat_member=change))
        assert found == Inbound("telegram", str(chat["id"]), "", "7", 1_790_000_000, word, how="blocked", answered=True)  # type: ignore[arg-type]
        assert TELEGRAM.events(told(my_chat_member=change | {"new_chat_member": {"status": "restricted"}})) == ()


def test_what_no_person_said_to_the_bot_is_no_reply() -> None:
    bot = PERSON | {"is_bot": True}
    for members in (
        {"message": wrote(**{"from": bot})},
        {"message": wrote(**{"from": None})},
        {"message": wrote(text=None, new_chat_title="x")},
        {"message": wrote(text=None, pinned_message={})},
        {"message": wrote(chat={"id": 1 << 80, "type": "private"})},
        {"message": "Hi"},
        {"channel_post": wrote()},
        {"message_reaction": {"chat": ROOM, "user": PERSON}},
        {"callback_query": {"from": PERSON, "message": wrote(chat=ROOM), "data": "stop"}},
        {"callback_query": {"from": PERSON, "inline_message_id": "1", "data": "stop"}},
        {"message": wrote(), "update_id": None},
    ):
        assert TELEGRAM.events(told(**members)) == (), members


@pytest.mark.parametrize("token", [None, "", "header-secret-0123456788", "header-secret-0123456789 ", "é\ud800"])
def test_an_update_without_it_is_refused(token: str | None) -> None:
    assert TELEGRAM.verify(update(token)) is Verdict.BAD
    assert account(secret_token=None).verify(update(token)) is Verdict.BAD
