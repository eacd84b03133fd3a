"""The pages over fakes: what they show, what their forms ask of the API's handlers, and who may."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from sendwright.model.content import Attachment, Content, EmailContent
from sendwright.model.ids import attempt_id
from sendwright.model.records import AttemptRecord, Event
from sendwright.model.said import Said
from sendwright.model.states import AttemptState, MessageState
from sendwright.model.stats import Parked
from sendwright.web.api.services import ProviderPatch
from sendwright.web.dashboard.app import PAGES, Page
from sendwright.web.dashboard.rendering import capped, shown_s, shown_share

from .api_world import NOW
from .dashboard_world import Desk, concrete

M = MessageState


@pytest.fixture
async def desk() -> Desk:
    made = Desk(docs_open=True)
    await made.browser.sign_in()
    return made


def attempt(message: str, number: int, state: AttemptState, **more: Any) -> AttemptRecord:
    given = {"started_at": NOW, "deadline_at": NOW + 9, "finished_at": NOW + 120, **more}
    return AttemptRecord(attempt_id(message, number), message, number, 0, "sms", "twilio-main", state, **given)


async def test_the_root_leads_to_the_overview_and_the_api_stays_where_it_is(desk: Desk) -> None:
    assert (await desk.browser.get("/")).headers["location"] == "/dashboard"
    assert (await desk.browser.get("/v1/messages")).status == 401
    assert (await desk.browser.get("/docs")).status == 200
    assert (await desk.browser.get("/dashboardx")).json()["code"] == "not_found"


async def test_where_a_sandbox_plays_the_vendors_each_page_leads_to_its_phone_and_mailbox() -> None:
    for url in ("http://127.0.0.1:8421", None):
        desk = Desk(sandbox_url=url)
        await desk.browser.sign_in()
        await desk.browser.get("/dashboard")
        assert ('<a href="http://127.0.0.1:8421" rel="noreferrer">' in desk.browser.page) == (url is not None)


@pytest.mark.parametrize("page", [page for page in PAGES if page.method == "GET"], ids=lambda page: page.path)
async def test_every_page_shows_itself_empty_and_full(page: Page) -> None:
    for full in (False, True):
        desk = Desk()
        await desk.browser.sign_in()
        _, (message,) = desk.world.born(state=M.FAILED, dead=True, reason="blocked", detail="no <b>way</b>", recipient="<i>ada</i>")
        if full:
            desk.world.rows.attempt_rows = [
                attempt(message, 1, AttemptState.REJECTED, reason="blocked", detail="no <b>way</b>", ref="<u>")
            ]
            desk.world.rows.event_rows = [Event(1, NOW, "default", "message.failed", "ntf_", message, "<em>gone</em>")]
            desk.world.rows.parked = (Parked("provider", "twilio-main", 1000, NOW - 90_000),)
            await desk.world.dead.keep("sms.high", b"xyz", "<b>what</b>", NOW)
            desk.world.born(3, number=1, state=M.IN_DOUBT, doubled=True)
            desk.world.born(3, number=2, state=M.DELIVERED)
        given = await desk.furnish() if full or "{" in page.path or page.path.endswith("/one") else {}
        answer = await desk.browser.get(concrete(page.path, **{**given, "id": message}))
        assert answer.status == 200
        assert not re.search(r"<(b|i|u|em)>", desk.browser.page)


async def test_a_message_shows_every_attempt_with_the_vendors_words(desk: Desk) -> None:
    _, (message,) = desk.world.born(state=M.SENT)
    desk.world.rows.attempt_rows = [
        attempt(message, 1, AttemptState.FAILED, reason="unreachable", detail="503 Please wait"),
        attempt(message, 2, AttemptState.SENT, ref="SM42", started_at=NOW + 500, finished_at=NOW + 1700),
    ]
    await desk.browser.get(f"/dashboard/messages/{message}")
    assert re.search(
        r"1 failed sms twilio-main .*120 ms unreachable 503 Please wait 2 sent sms twilio-main SM42 .* 1,200 ms", desk.browser.text
    )
    assert "+1•••0123" in desk.browser.text
    assert "+14155550123" not in desk.browser.page


async def test_what_a_message_says_is_hidden_until_it_is_asked_for(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    _, (message,) = desk.world.born()
    await desk.browser.get(f"/dashboard/messages/{message}")
    assert "hello" not in desk.browser.page
    await desk.browser.get(f"/dashboard/messages/{message}?content=shown")
    assert "hello" in desk.browser.page
    said = capsys.readouterr()
    assert f"{message}" in said.out + said.err
    assert "hello" not in said.out + said.err


async def test_what_a_channel_alone_says_is_shown_too_and_of_files_the_names() -> None:
    desk = Desk()
    await desk.browser.sign_in()
    ntf, (message,) = desk.world.born(channel="email")
    email = EmailContent(subject="Only by email", headers={"X-Kind": "news"}, attachments=[Attachment("bill.pdf", "c2VjcmV0")])
    content = Content(title="A <title>", body="A body", email=email)
    desk.world.rows.notifications[ntf] = msgspec.structs.replace(desk.world.rows.notifications[ntf], content=content)
    await desk.browser.get(f"/dashboard/messages/{message}?content=shown")
    said = 'Subject Only by email A body headers {"X-Kind":"news"} File bill.pdf application/octet-stream, about 6 bytes'
    assert said in desk.browser.text
    assert "c2VjcmV0" not in desk.browser.page


async def test_a_content_that_cannot_be_filled_in_says_why_and_shows_no_template(desk: Desk) -> None:
    ntf, (message,) = desk.world.born(state=M.FAILED, reason="content")
    content = Said(body="Hello {{ order }}.", data={}, notification={"id": ntf})
    desk.world.rows.notifications[ntf] = msgspec.structs.replace(desk.world.rows.notifications[ntf], content=content)
    await desk.browser.get(f"/dashboard/messages/{message}?content=shown")
    assert "Nothing: its templates can't be filled in" in desk.browser.text
    assert "#/content/body" in desk.browser.text
    assert "{{" not in desk.browser.page


@pytest.mark.parametrize(
    ("state", "buttons"),
    [
        (M.QUEUED, {"cancel"}),
        (M.SCHEDULED, {"cancel"}),
        (M.IN_DOUBT, {"resolve"}),
        (M.SENT, {"resend"}),
        (M.FAILED, {"resend"}),
        (M.CANCELLED, {"resend"}),
        (M.DELIVERED, set()),
        (M.READ, set()),
    ],
)
async def test_a_message_offers_what_can_be_done_with_it(desk: Desk, state: MessageState, buttons: set[str]) -> None:
    _, (message,) = desk.world.born(state=state)
    await desk.browser.get(f"/dashboard/messages/{message}")
    assert set(re.findall(rf'action="/dashboard/messages/{message}/(\w+)"', desk.browser.page)) == buttons


async def test_buttons_ask_the_ledger_and_come_back_with_a_word(desk: Desk) -> None:
    _, (doubt, other) = desk.world.born(2, state=M.IN_DOUBT)
    await desk.browser.get(f"/dashboard/messages/{doubt}")
    answer = await desk.browser.post(f"/dashboard/messages/{doubt}/resolve", {"as": "sent"})
    assert answer.headers["location"] == f"/dashboard/messages/{doubt}?note=resolved"
    await desk.browser.follow(answer)
    assert "The doubt is settled." in desk.browser.text
    answer = await desk.browser.post(f"/dashboard/messages/{other}/cancel")
    assert answer.headers["location"].endswith("note=cancelled")
    assert desk.world.book.asked == [("resolve", "default", doubt, "sent"), ("cancel", "default", other)]


async def test_what_cannot_be_done_is_said_on_the_page_that_was_left(desk: Desk) -> None:
    _, (message,) = desk.world.born(state=M.DELIVERED)
    await desk.browser.get(f"/dashboard/messages/{message}")
    await desk.browser.follow(await desk.browser.post(f"/dashboard/messages/{message}/resend"))
    assert "The message has arrived" in desk.browser.text
    await desk.browser.follow(await desk.browser.post(f"/dashboard/messages/{message}/resolve", {"as": "sent", "back": "doubts"}))
    assert desk.browser.at.startswith("/dashboard/doubts?note=not_in_doubt")
    assert (await desk.browser.post(f"/dashboard/messages/{message}/resolve", {"as": "read"})).status == 400


async def test_what_is_past_its_deadline_is_not_offered_to_be_sent_again_and_says_so_when_it_was(desk: Desk) -> None:
    _, (failed,) = desk.world.born(state=M.FAILED, dead=True, reason="rejected", expires_at=NOW)
    _, (doubtful,) = desk.world.born(number=1, state=M.IN_DOUBT, expires_at=NOW)
    _, (fine,) = desk.world.born(number=2, state=M.FAILED, dead=True, reason="rejected", expires_at=NOW + 1)
    for message, offered in ((failed, set()), (doubtful, {"sent", "failed"}), (fine, {"resend"})):
        await desk.browser.get(f"/dashboard/messages/{message}")
        buttons = set(re.findall(rf'action="/dashboard/messages/{message}/(\w+)"', desk.browser.page)) - {"resolve"}
        assert buttons | set(re.findall(r'name="as" value="(\w+)"', desk.browser.page)) == offered
    await desk.browser.follow(await desk.browser.post(f"/dashboard/messages/{failed}/resend"))
    assert "The message is past its deadline" in desk.browser.text
    await desk.browser.follow(await desk.browser.post("/dashboard/dead/replay", {"id": [failed, fine]}))
    assert "Sent again: 1. Left as they were: 1, 1 of them past their deadline: post those anew." in desk.browser.text


async def test_filters_are_those_of_the_api_and_faults_are_listed(desk: Desk) -> None:
    desk.world.born(state=M.FAILED)
    answer = await desk.browser.get("/dashboard/messages?state=failed&channel=&provider=twilio-main&since=2026-11-01T10:00&until=")
    assert answer.status == 200
    page = desk.world.rows.pages[-1]
    assert (page.state, page.provider, page.channel, page.since) == (M.FAILED, "twilio-main", None, 1_793_527_200_000)
    await desk.browser.get("/dashboard/messages?state=nonsense&since=yesterday")
    assert "state has a value that is not allowed" in desk.browser.text
    assert "since has a value that is not allowed" in desk.browser.text


async def test_older_leads_on_with_the_same_filters(desk: Desk) -> None:
    for number in range(60):
        desk.world.born(number=number, state=M.FAILED)
    await desk.browser.get("/dashboard/messages?state=failed")
    first = set(re.findall(r"/dashboard/messages/(msg_\w+)", desk.browser.page))
    older = re.search(r'href="(/dashboard/messages\?state=failed&amp;cursor=[^"]+)"', desk.browser.page)
    assert older is not None
    await desk.browser.get(older[1].replace("&amp;", "&"))
    second = set(re.findall(r"/dashboard/messages/(msg_\w+)", desk.browser.page))
    assert (len(first), len(second), first & second) == (50, 10, set())
    foreign = await desk.browser.get(older[1].replace("&amp;", "&").replace("failed", "sent"))
    assert foreign.status == 200
    assert "is not a cursor of this list" in desk.browser.text


async def test_an_id_that_is_nobodys_is_a_page_that_says_so(desk: Desk) -> None:
    answer = await desk.browser.get("/dashboard/messages/msg_" + "0" * 34)
    assert answer.status == 404
    assert "There is nothing here, or it is not yours." in desk.browser.text
    assert (await desk.browser.get("/dashboard/nowhere")).status == 404
    assert (await desk.browser.get("/dashboard/messages/x/cancel")).status == 405


async def test_a_fault_of_the_store_is_a_page_too(desk: Desk) -> None:
    from sendwright.errors import StoreDown

    _, (message,) = desk.world.born()
    desk.world.rows.fault = StoreDown("secret words")
    answer = await desk.browser.get(f"/dashboard/messages/{message}?content=shown")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert "secret words" not in desk.browser.page
    desk.world.rows.fault = ZeroDivisionError("secret words")
    assert (await desk.browser.get(f"/dashboard/messages/{message}?content=shown")).status == 500
    assert "secret words" not in desk.browser.page


async def test_providers_are_switched_and_tested(desk: Desk) -> None:
    await desk.browser.get("/dashboard/providers")
    await desk.browser.follow(await desk.browser.post("/dashboard/providers/twilio-main/switch", {"to": "off"}))
    assert desk.world.crew.patches == [("twilio-main", ProviderPatch(enabled=False))]
    assert "twilio-main twilio off" in desk.browser.text
    assert (await desk.browser.post("/dashboard/providers/twilio-main/switch", {"to": "sideways"})).status == 400
    await desk.browser.get("/dashboard/providers/twilio-main")
    assert (await desk.browser.post("/dashboard/providers/twilio-main/test")).status == 422
    assert "The address is missing" in desk.browser.text
    assert (await desk.browser.post("/dashboard/providers/twilio-main/test", {"to": "+14155550123"})).status == 200
    assert "accepted , as SM1" in desk.browser.text
    assert "+14155550123" not in desk.browser.page


async def test_dead_letters_are_handled_by_what_was_ticked(desk: Desk) -> None:
    _, (first, second) = desk.world.born(2, state=M.FAILED, dead=True, reason="rejected")
    await desk.browser.get("/dashboard/dead")
    answer = await desk.browser.post("/dashboard/dead/drop", {"id": [first, "msg_" + "0" * 34]})
    assert answer.headers["location"] == "/dashboard/dead?note=dropped&done=1&skipped=1"
    await desk.browser.follow(answer)
    assert "Dropped: 1. Left as they were: 1." in desk.browser.text
    assert second in desk.browser.page
    assert first not in desk.browser.page
    assert (await desk.browser.post("/dashboard/dead/replay")).headers["location"].endswith("nothing_chosen")


async def test_a_cause_is_handled_whole_and_nothing_else(desk: Desk) -> None:
    for number in range(3):
        desk.world.born(number=number, state=M.FAILED, dead=True, reason="rejected", channel="sms")
    _, (other,) = desk.world.born(number=9, state=M.FAILED, dead=True, reason="blocked", channel="sms")
    await desk.browser.get("/dashboard/dead")
    cause = {"reason": "rejected", "channel": "sms", "provider": "twilio-main"}
    answer = await desk.browser.post("/dashboard/dead/replay", cause)
    assert answer.headers["location"] == "/dashboard/dead?note=replayed&done=3&skipped=0"
    assert [m.id for m in desk.world.rows.messages.values() if m.dead] == [other]
    none = await desk.browser.post("/dashboard/dead/drop", {**cause, "provider": ""})
    assert none.headers["location"] == "/dashboard/dead?note=dropped&done=0&skipped=0"


async def test_notes_are_a_closed_list(desk: Desk) -> None:
    await desk.browser.get("/dashboard?note=%3Cscript%3E&done=%3Cscript%3E")
    assert "script&gt;" not in desk.browser.page
    await desk.browser.get("/dashboard/dead?note=dropped&done=12345&skipped=%3Cb%3E")
    assert "Dropped: 12,345. Left as they were: 0." in desk.browser.text


async def test_beside_the_links_stands_what_needs_somebody(desk: Desk) -> None:
    desk.world.born(2, state=M.IN_DOUBT)
    desk.world.born(number=1, state=M.FAILED, dead=True)
    await desk.browser.get("/dashboard")
    assert "Doubts 2 Dead letters 1" in desk.browser.text


def test_a_count_that_stopped_says_so() -> None:
    assert [capped(count) for count in (0, 999, 1000)] == ["0", "999", "999+"]


@pytest.mark.parametrize(
    ("share", "shown"), [(None, "—"), (0.0, "0 %"), (0.5, "50 %"), (0.9666, "96.7 %"), (0.9996, "99.9 %"), (1.0, "100 %")]
)
def test_only_all_of_it_is_a_hundred_per_cent(share: float | None, shown: str) -> None:
    assert shown_share(share) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0 s"), (0.4, "0.4 s"), (9, "9 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 d")]
)
def test_a_duration_is_shown_in_the_largest_unit_that_it_fills_twice(seconds: float, shown: str) -> None:
    assert shown_s(seconds) == shown


async def test_the_live_part_is_a_part_and_goes_with_its_page(desk: Desk) -> None:
    desk.world.born(5, state=M.DELIVERED)
    whole = (await desk.browser.get("/dashboard?window=15m")).body.decode()
    part = (await desk.browser.get("/dashboard/live?window=15m")).body.decode()
    assert 'hx-get="/dashboard/live?window=15m&amp;tenant=default"' in whole
    assert "<html" not in part
    figures = re.compile(r'<dl class="figures">.*?</dl>', re.DOTALL)
    assert figures.findall(part) == figures.findall(whole)
    assert 'id="breakdown"' in part
