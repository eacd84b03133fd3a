"""The dashboard with much behind it: how long each page takes, and whether sending slows while somebody looks.

    python -m bench.run --only dashboard [--stored 1000000] [--n 20000]
    python -m bench.dashboard --stored 1000000            the pages alone, over both stores; --store sqlite or postgres: over one

Pages are asked for one after the other over one connection, each a few times; the first time is told apart, for what it reads
may not be in memory yet. The looker is a person who opens a page four times a second and never tires, while as much is sent as
goes.
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.acceptance.harness import ADMIN_KEY, House, twilio

from bench import cluster, ours, report, stock, stock_sqlite
from bench.measure import Group, Meter, Row, load_average, tree, until, words
from bench.provider import MockProvider
from bench.servers import servers
from sendwright.model import ids

STORED = 100_000
STORES = ("sqlite", "postgres")
TIMES = 10
EVERY_S = 0.25
ROUNDS = 3
SOME = 60
RECIPIENT = "cust-0000000042"
"""Of what is set up by hand: more than a page shows."""

Measure = Callable[[str, str, int, int, Callable[[], dict[str, float]]], Row]


class Looker:
    """A browser that is signed in."""

    def __init__(self, url: str) -> None:
        self._line = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        form = urlencode({"key": ADMIN_KEY})
        own = {"content-type": "application/x-www-form-urlencoded", "origin": "null", "sec-fetch-site": "same-origin"}
        self._line.request("POST", "/dashboard/sign-in", form, own)
        answer = self._line.getresponse()
        answer.read()
        if answer.status != 303:
            raise RuntimeError(f"signing in was answered {answer.status}")
        self._cookie = str(answer.getheader("set-cookie")).partition(";")[0]

    def see(self, path: str) -> float:
        """How long a page took, in ms."""
        began = time.perf_counter()
        self._line.request("GET", path, headers={"cookie": self._cookie})
        answer = self._line.getresponse()
        answer.read()
        took = (time.perf_counter() - began) * 1000
        if answer.status != 200:
            raise RuntimeError(f"{path} was answered {answer.status}")
        return took


def paths_of(house: House) -> list[str]:
    """Every page, and what is hard of some; what they show is set up first."""
    made = _set_up(house)
    body = {"to": {"id": RECIPIENT, "phone": "+14155550042"}, "content": {"body": "Hello"}}
    message = ids.message_id(_done(house, "POST", "/v1/notifications", body)["id"], 0)
    until(lambda: house.api("GET", f"/v1/messages/{message}")[0] == 200, 30, "the message is planned")
    pages = [f"?window={window}" for window in ("15m", "1h", "24h")]
    pages += ["/live?window=24h", "/messages", "/messages?state=failed", "/messages?provider=nobody", "/messages?doubled=true"]
    pages += [f"/messages?recipient={RECIPIENT}", f"/messages/{message}", f"/messages/{message}?content=shown"]
    pages += ["/doubts", "/dead", "/providers", "/providers/twilio-main", "/types", "/types/type-0", "/types/type-0/compare"]
    pages += ["/people", f"/people/one?id={RECIPIENT}", "/suppressions", "/suppressions?reason=blocked", "/endpoints"]
    pages += [f"/endpoints/{made}", "/keys", "/tenant", "/sessions"]
    return [f"/dashboard{page}" for page in pages]


def _set_up(house: House) -> str:
    """Some of each, made by the API; the id of an endpoint."""
    people = [{"id": f"person-{number:04d}", "email": f"p{number}@example.org"} for number in range(SOME)]
    _done(house, "POST", "/v1/recipients/batch", {"recipients": people})
    for number in range(SOME):
        _done(house, "PUT", f"/v1/types/type-{number}", {"content": {"title": "Hello {{ name }}", "body": "{{ name }}"}})
        _done(house, "POST", "/v1/keys", {"name": f"key {number}", "scopes": ["read"]})
    _done(house, "PUT", "/v1/types/type-0", {"content": {"title": "Dear {{ name }}", "body": "{{ name }}"}})
    _done(house, "POST", "/v1/suppressions", {"address": "nobody@example.org", "channel": "email"})
    wish = {"url": "https://hooks.invalid/", "types": ["token.expiring"], "enabled": False}
    return str(_done(house, "POST", "/v1/endpoints", wish)["id"])


def _done(house: House, method: str, path: str, body: object) -> Any:
    status, answer = house.api(method, path, body)
    if status >= 300:
        raise RuntimeError(f"{method} {path} was answered {status}")
    return answer


@contextmanager
def furnished(store: str, provider: MockProvider, stored: int) -> Iterator[tuple[House, dict[str, Group]]]:
    """A house that works, with so many messages that were sent before; and whose CPU is counted."""
    settings = twilio(provider, concurrency=ours.CONCURRENCY)  # type: ignore[arg-type]
    if store == "sqlite":
        with tempfile.TemporaryDirectory(prefix="sendwright-bench-") as folder:
            house = House(Path(folder), settings)
            try:
                house.start()
                house.stop()
                stock_sqlite.stored(house.folder / "data" / "sendwright.db", stored)
                house.start()
                yield house, {"server": tree(ours.pid_of(house))}
            finally:
                ours.ended(house)
    else:
        with servers() as there, cluster.cluster(there, settings) as many:
            stock.stored(many.store_url, stored)
            for role in cluster.OURS:
                many.run(role)
            yield many, {role: many.group(role) for role in cluster.OURS} | {"database": there.postgres}


def pages(house: House, groups: dict[str, Group]) -> Iterator[tuple[str, dict[str, float]]]:
    """How long each takes, at first, and then the median; and the CPU of all processes, which swings less."""
    paths, looker = paths_of(house), Looker(house.url)
    for path in paths:
        first = looker.see(path)
        meter = Meter(groups, next(iter(groups)))
        took = [looker.see(path) for _ in range(TIMES)]
        spent = sum(meter.stop().values()) / TIMES * 1e3
        yield _short(path), {"first_ms": first, "warm_ms": statistics.median(took), "most_ms": max(took), "cpu_ms": spent}


def _short(path: str) -> str:
    """A page's name, without ids."""
    return "/".join(part if len(part) < 30 else "…" + part[part.index("?") :] if "?" in part else "…" for part in path.split("/"))


def looked_at(house: House, groups: dict[str, Group], provider: MockProvider, count: int, rounds: int) -> dict[str, float]:
    """The rate and the CPU of sending, alone and while somebody looks, in turns; medians."""
    paths = paths_of(house)
    found: dict[str, list[dict[str, float]]] = {"alone": [], "looked_at": []}
    with ours.caller(house) as posting:
        posting.ready()
        provider.reset(0)
        posting.ask(ours.WARM, 60)
        provider.wait_for(ours.WARM, 60)
        for _ in range(rounds):
            for name, seen in found.items():
                with _looking(house, paths if name == "looked_at" else []) as took:
                    seen.append(
                        _sent(posting, groups, provider, count) | {"pages": float(len(took)), "page_ms": max(took, default=0.0)}
                    )
    middle = {name: {key: statistics.median(one[key] for one in seen) for key in seen[0]} for name, seen in found.items()}
    return {
        "count": count,
        "rate_alone": middle["alone"]["rate"],
        "rate_looked_at": middle["looked_at"]["rate"],
        "cpu_ms_alone": middle["alone"]["cpu_ms"],
        "cpu_ms_looked_at": middle["looked_at"]["cpu_ms"],
        "pages": middle["looked_at"]["pages"],
        "page_most_ms": middle["looked_at"]["page_ms"],
    }


def _sent(posting: ours.Talker, groups: dict[str, Group], provider: MockProvider, count: int) -> dict[str, float]:
    """From the first post to the last call of the provider."""
    provider.reset(0)
    meter = Meter(groups, next(iter(groups)))
    began = time.monotonic()
    ours.all_accepted(posting.ask(count, 600))
    until(lambda: provider.get("/stats")["n"] >= count, 600, "all are sent")
    seconds, spent = time.monotonic() - began, meter.stop()
    return {"rate": count / seconds, "cpu_ms": sum(spent.values()) / count * 1e3}


@contextmanager
def _looking(house: House, paths: list[str]) -> Iterator[list[float]]:
    """Somebody looks at all of these, again and again; how long each took."""
    took: list[float] = []
    over, faults = threading.Event(), list[Exception]()

    def look() -> None:
        try:
            looker = Looker(house.url)
            while not over.is_set():
                for path in paths:
                    took.append(looker.see(path))
                    if over.wait(EVERY_S):
                        return
        except Exception as error:
            faults.append(error)

    thread = threading.Thread(target=look, daemon=True)
    if paths:
        thread.start()
    try:
        yield took
    finally:
        over.set()
        if paths:
            thread.join()
    if faults:
        raise faults[0]


def rows(provider: MockProvider, stored: int, count: int, rounds: int, stores: tuple[str, ...] = STORES) -> Iterator[Row]:
    """Both tables. `count` 0: the pages alone."""
    for store in stores:
        load = load_average()
        try:
            with furnished(store, provider, stored) as (house, groups):
                for name, figures in pages(house, groups):
                    yield Row("pages", f"{store}, {stored:,} stored: `{name}`", 0, 1, load, figures)
                if count:
                    load = load_average()
                    figures = looked_at(house, groups, provider, count, rounds)
                    yield Row("looked at", f"{store}, {stored:,} stored", 0, 1, load, figures)
        except Exception as error:
            yield Row("pages", store, 0, 1, load, error=words(error))


def main() -> int:
    asking = argparse.ArgumentParser(prog="python -m bench.dashboard", description=(__doc__ or "").splitlines()[0])
    asking.add_argument("--stored", type=int, default=STORED, help=f"messages, {STORED:,}")
    asking.add_argument("--store", choices=STORES, help="one of them; both otherwise")
    given = asking.parse_args()
    with tempfile.TemporaryDirectory(prefix="sendwright-bench-") as folder, MockProvider(Path(folder)) as provider:
        found = list(rows(provider, given.stored, 0, 0, (given.store,) if given.store else STORES))
    report.show(found)
    return int(any(row.error for row in found))


if __name__ == "__main__":
    raise SystemExit(main())
