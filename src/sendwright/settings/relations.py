"""What contradicts: rules over more than one setting, each a function that yields (where, what).

Rules see finished settings. One whose members could not be read says nothing: its fault would be an echo. What only
the adapters know (does this provider serve that channel?) is `route_faults`, for the caller that has made them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from difflib import get_close_matches

from sendwright.policy.keywords import word_of
from sendwright.settings.engines import SQLITE
from sendwright.settings.kinds import host_port
from sendwright.settings.shapes import Settings
from sendwright.settings.sources import Fault

ANSWER_MAX = 1000
"""Characters of an answer to a keyword: what every channel takes."""
Sound = Callable[..., bool]
"""Asked with keys; False when one of them could not be read."""


def contradictions(settings: Settings, channels: Sequence[str], sound: Sound) -> list[Fault]:
    """Every contradiction, in the order of the sections. `channels` are those that exist."""
    rules = (_one_file, _shared_key, _reserve, _waits, _lifetimes, _keys, _listeners)
    faults = [fault for rule in rules for fault in rule(settings, sound)]
    return [*faults, *_sandbox(settings, channels), *_routes(settings, channels, sound), *_replies(settings, channels, sound)]


def route_faults(settings: Settings, channels_of: Callable[[str], Collection[str]]) -> list[Fault]:
    """Routes that name a provider which does not serve their channel; `channels_of` is asked with a provider's name."""
    return [
        (f"routes.{channel}.providers", f"{provider} does not serve {channel}")
        for channel, route in settings.routes.items()
        for provider in route.providers
        if channel not in channels_of(provider)
    ]


def _one_file(settings: Settings, sound: Sound) -> Iterator[Fault]:
    bus, store = settings.bus.url, settings.store.url
    if not sound("bus.url", "store.url"):
        return
    if (bus.engine == SQLITE) != (store.engine == SQLITE):
        yield "store.url", "bus and store are the same SQLite file, or neither is one: set both or neither"
    elif bus.engine == SQLITE and bus.path.resolve() != store.path.resolve():
        yield "store.url", "is another file than bus.url: bus and store are the same SQLite file, so set both or neither"


def _shared_key(settings: Settings, sound: Sound) -> Iterator[Fault]:
    """A key that each process made for itself would make their ids strangers to one another."""
    if sound("store.url", "secrets.key") and not settings.embedded and settings.secrets.key is None:
        yield "secrets.key", "must be given where processes share a store: any text of 32 characters or more, the same for all"


def _reserve(settings: Settings, sound: Sound) -> Iterator[Fault]:
    keys = [f"worker.reserve.{priority}" for priority in settings.worker.reserve]
    if sound(*keys) and sum(settings.worker.reserve.values()) >= 1:
        yield "worker.reserve", "the shares add up to 1 or more, which leaves nothing for the others"


def _waits(settings: Settings, sound: Sound) -> Iterator[Fault]:
    if sound("retry.base_s", "retry.cap_s") and settings.retry.cap_s < settings.retry.base_s:
        yield "retry.cap_s", "is below retry.base_s"


def _lifetimes(settings: Settings, sound: Sound) -> Iterator[Fault]:
    events = "retention.events"
    if sound(events, "retention.content") and settings.retention.content_s > settings.retention.events_s:
        yield "retention.content", "is longer than retention.events: content can't outlive its notification"
    if sound(events, "api.idempotency_keep") and settings.api.idempotency_keep_s > settings.retention.events_s:
        yield "api.idempotency_keep", "is longer than retention.events: a key would answer with a notification that is gone"


def _keys(settings: Settings, sound: Sound) -> Iterator[Fault]:
    key = settings.secrets.key
    if key is not None and sound("secrets.previous") and key in settings.secrets.previous:
        yield "secrets.previous", "names the current key"
    if settings.api.admin_key is not None and settings.api.admin_key in (key, settings.api.metrics_key):
        yield "api.admin_key", "is used for something else too: every key has one purpose"


def _listeners(settings: Settings, sound: Sound) -> Iterator[Fault]:
    """`up` binds both of these; those of `worker` and `scheduler` may be on other machines."""
    if not sound("api.listen", "sandbox.listen", "sandbox.smtp_listen"):
        return
    address = host_port(settings.sandbox.listen)
    if address == host_port(settings.api.listen) and address[1] != 0:
        yield "sandbox.listen", "is the same address as api.listen"
    mails = settings.sandbox.smtp_listen
    if mails is not None and host_port(mails)[1] != 0 and host_port(mails) in {address, host_port(settings.api.listen)}:
        yield "sandbox.smtp_listen", "is the same address as api.listen or sandbox.listen"


def _sandbox(settings: Settings, channels: Sequence[str]) -> Iterator[Fault]:
    for channel in settings.sandbox.channels:
        if channel not in channels:
            yield "sandbox.channels", f"no channel of that name{_nearest(channel, channels)}"


def _routes(settings: Settings, channels: Sequence[str], sound: Sound) -> Iterator[Fault]:
    for channel, route in settings.routes.items():
        key = f"routes.{channel}"
        if channel not in channels:
            yield key, f"no channel of that name{_nearest(channel, channels)}"
        for provider in route.providers:
            if provider not in settings.providers and sound("providers", f"{key}.providers"):
                yield f"{key}.providers", f"{provider}: no provider of that name{_nearest(provider, list(settings.providers))}"


def _replies(settings: Settings, channels: Sequence[str], sound: Sound) -> Iterator[Fault]:
    for name, texts in settings.replies.items():
        key, known = f"replies.{name}", [*settings.providers, *channels]
        if name not in known and sound("providers"):
            yield key, f"no provider or channel of that name{_nearest(name, known)}"
        for word in texts.__struct_fields__:
            text = getattr(texts, word)
            if text is not None and len(text) > ANSWER_MAX:
                yield f"{key}.{word}", f"is longer than {ANSWER_MAX} characters"
            elif text is not None and word_of(text) is not None:
                yield f"{key}.{word}", "is a keyword itself: a machine that says back what it gets would be answered for ever"


def _nearest(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name.lower(), known, n=1)
    return f"; did you mean {close[0]}?" if close else ""
