"""Email through the running product to Amazon SES, played by moto, and back by SNS, which signs for real."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.providers.test_ses import certificate, message

from .aws_process import REGION, Aws
from .harness import House
from .raw_http import ask
from .world import FAST, Row, World

pytestmark = pytest.mark.slow

SENDER = "shop@example.com"


class Mails(World):
    """A house whose mails go to SES."""

    def __init__(self, folder: Path) -> None:
        self.aws = Aws(folder)
        self.topic = self.aws.topic("mails")
        super().__init__(folder, House(folder, self._provider(), FAST), self.aws)  # type: ignore[arg-type]

    def _provider(self) -> str:
        keys = 'access_key_id = "AKIDEXAMPLE0123456"\nsecret_access_key = "secret-key-0123456789"\n'
        named = f'region = "{REGION}"\nfrom = "{SENDER}"\ntopic_arn = "{self.topic}"\n'
        played = f'base_url = "{self.aws.base_url}"\nsns_base_url = "{self.aws.base_url}"\n'
        return f'[providers.mails]\nkind = "ses"\n{keys}{named}{played}'

    def sent(self, to: str = "ada@example.com", **content: Any) -> tuple[str, Row]:
        message = self.post({"to": {"email": to}, "channels": ["email"], "content": {"body": "Shipped.", **content}})
        return message, self.comes_to(message, "sent")["attempts"][0]

    def event(self, attempt: Row, word: str, **more: Any) -> Row:
        """As SES would publish it of this attempt."""
        mail = {"messageId": attempt["ref"], "timestamp": _now(), "tags": {"sendwright_attempt": [attempt["id"]]}}
        return {"eventType": word, "mail": mail, **more}


def _now() -> str:
    return datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.fixture(scope="module")
def mails(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mails]:
    made = Mails(tmp_path_factory.mktemp("ses"))
    made.aws.verify(SENDER)
    made.house.start()
    made.aws.subscribe(made.topic, f"{made.house.url}/v1/hooks/mails")
    yield made
    made.stop()


def test_a_mail_is_taken_by_ses_and_read_when_sns_says_so(mails: Mails) -> None:
    message, attempt = mails.sent(title="Order 7", html="<p>Shipped.</p>")
    [taken] = [mail for mail in mails.aws.sent() if mail["id"] == attempt["ref"]]
    assert (taken["source"], taken["subject"]) == (SENDER, "Order 7")
    assert taken["destinations"] == {"ToAddresses": ["ada@example.com"]}

    mails.aws.publish(
        mails.topic, mails.event(attempt, "Delivery", delivery={"timestamp": _now(), "recipients": ["ada@example.com"]})
    )
    mails.comes_to(message, "delivered")
    mails.aws.publish(mails.topic, mails.event(attempt, "Open", open={"timestamp": _now()}))
    mails.comes_to(message, "read")
    assert mails.aws.asked, "each was judged by a certificate that had to be fetched"


def test_a_bounce_fails_its_message_and_says_why(mails: Mails) -> None:
    message, attempt = mails.sent("gone@example.com")
    bounced = [{"emailAddress": "gone@example.com", "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 user unknown"}]
    bounce = {"bounceType": "Permanent", "bounceSubType": "General", "timestamp": _now(), "bouncedRecipients": bounced}
    mails.aws.publish(mails.topic, mails.event(attempt, "Bounce", bounce=bounce))
    assert mails.comes_to(message, "failed")["reason"]["code"] == "invalid_address"


def test_what_another_topic_publishes_changes_nothing_and_causes_no_call(mails: Mails) -> None:
    message, attempt = mails.sent()
    other = mails.aws.topic("of-others")
    mails.aws.subscribe(other, f"{mails.house.url}/v1/hooks/mails")
    asked = len(mails.aws.asked)
    mails.aws.publish(other, mails.event(attempt, "Delivery", delivery={"timestamp": _now()}))
    assert ask(mails.house.port, "POST", "/v1/hooks/mails", b"{}", {}, key=None).status == 401
    assert len(mails.aws.asked) == asked
    assert mails.state(message) == "sent"


def test_a_subscription_is_confirmed_by_a_call_and_a_forged_one_by_none(mails: Mails) -> None:
    host, here = f"https://sns.{REGION}.amazonaws.com", f"/SimpleNotificationService-{'0' * 32}.pem"
    confirm = f"/?Action=ConfirmSubscription&TopicArn={mails.topic}&Token=1"
    now = time.time()
    mails.aws.own |= {here: certificate(at=now), confirm: b"<ConfirmSubscriptionResponse/>"}
    wish = {
        "Type": "SubscriptionConfirmation",
        "TopicArn": mails.topic,
        "Token": "1",
        "SubscribeURL": host + confirm,
        "Subject": None,
    }
    good = message(at=now, SigningCertURL=host + here, **wish)

    assert confirmed(mails, good | {"Token": "2"}) == 401
    assert confirm not in mails.aws.asked
    assert confirmed(mails, good) == 204
    assert mails.aws.asked.count(confirm) == 1
    assert mails.aws.asked.count(here) == 1, "the certificate is kept"


def confirmed(mails: Mails, said: Row) -> int:
    return ask(
        mails.house.port, "POST", "/v1/hooks/mails", json.dumps(said).encode(), {"Content-Type": "text/plain"}, key=None
    ).status
