"""The provider in docs/adding-a-provider.md works as it is printed there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sendwright.providers.contract import Accepted, AttemptState, Hook, Later, Outgoing, Reply, Secret, Unsure, Verdict
from sendwright.providers.signing import sign_webhook

GUIDE = Path(__file__).parent.parent.parent / "docs" / "adding-a-provider.md"


def test_the_guides_provider_sends_reads_and_verifies() -> None:
    # given
    code = re.search(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {"__name__": "pigeon"}
    exec(code[1], names)
    settings = names["PigeonSettings"](kind="pigeon", api_key=Secret("canary"), signing_secret=Secret("whsec_a2V5"))
    pigeon = names["Pigeon"]("pigeon-main", settings)
    # then
    out = Outgoing("att_1", "msg_1", "sms", "+15005550009", "Coo", idempotency_key="key-1")
    assert pigeon.build(out).url == "https://api.pigeon.example/v2/messages"
    assert pigeon.parse(Reply(200, body=b'{"id": "p1"}')) == Accepted("p1")
    assert isinstance(pigeon.parse(Reply(200)), Unsure)
    assert isinstance(pigeon.parse(Reply(429)), Later)
    assert "canary" not in repr(settings)
    body = b'{"state": "delivered", "reference": "att_1"}'
    headers = (("webhook-id", "e1"), ("webhook-timestamp", "5"), ("webhook-signature", sign_webhook([b"key"], "e1", 5, body)))
    hook = Hook("POST", "https://notify.example.com/", (), headers, body, 5.0)
    assert pigeon.verify(hook) is Verdict.GOOD
    assert [(receipt.state, receipt.attempt) for receipt in pigeon.events(hook)] == [(AttemptState.DELIVERED, "att_1")]
