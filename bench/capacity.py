"""What one notification costs over PostgreSQL and RabbitMQ: CPU by part, rows, bytes, log, bus messages.

    python -m bench.capacity [--n 20000] [--workers 2] [--delay-ms 50]

An API, workers and a scheduler as processes, a PostgreSQL (synced) and a RabbitMQ of its own, the mock provider. CPU is measured
over N notifications of one message; bytes are the growth of every table with its indexes (`pg_total_relation_size`), the log that
of `pg_current_wal_lsn`; bus messages are counted afterwards, over a tenth of N, by a queue of our own that is bound beside the
lanes, so that it is in no other figure. docs/scaling.md is made of this.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiormq
import asyncpg
from tests.acceptance.harness import ADMIN_KEY, twilio
from tests.conformance.rabbit_broker import Broker, server_scripts
from tests.conformance.test_postgres_server import Server

from bench.measure import Meter, Talker, tree, until
from bench.ours import WARM, all_accepted
from bench.provider import ROOT, MockProvider
from sendwright.model.notification import Priority
from sendwright.model.parcel import INBOUND, intake_lane, lane, split

CONNECTIONS = 64
TABLES = ("notifications", "messages", "attempts", "events", "waits", "keys", "processes")


class Synced(Server):
    """A server that syncs its commits, as one that matters does."""

    def start(self) -> None:
        options = f"-p {self.port} -k {self._data} -c listen_addresses=127.0.0.1 -c shared_buffers=256MB -c max_wal_size=4GB"
        self._run("pg_ctl", "-D", str(self._data), "-l", str(self._data / "log"), "-o", options, "-w", "start")

    @property
    def pid(self) -> int:
        return int((self._data / "postmaster.pid").read_text().split()[0])


async def sizes(url: str) -> dict[str, int]:
    """Bytes of every table with its indexes, partitions together; and of the log so far."""
    db = await asyncpg.connect(url)
    try:
        rows = await db.fetch(
            "select coalesce(p.relname, c.relname) as name, sum(pg_total_relation_size(c.oid))::bigint,"
            " sum(pg_relation_size(c.oid))::bigint from pg_class c"
            " left join pg_inherits i on i.inhrelid = c.oid left join pg_class p on p.oid = i.inhparent"
            " where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace group by 1"
        )
        found = {name: int(total) for name, total, _ in rows if name in TABLES}
        found |= {f"{name} rows": int(heap) for name, _, heap in rows if name in TABLES}
        log = await db.fetchval("select pg_current_wal_lsn() - '0/0'::pg_lsn")
        return found | {"log": int(log)}
    finally:
        await db.close()


async def sent(url: str) -> int:
    db = await asyncpg.connect(url)
    try:
        count: int = await db.fetchval("select count(*) from messages where state >= 40")
        return count
    finally:
        await db.close()


async def tapped(house: Any, url: str, post: Any) -> dict[str, Any]:
    """Bundles, parcels and bytes by lane, while `post` posts: by a queue of our own beside the lanes."""
    connection = await aiormq.connect(url)
    try:
        channel = await connection.channel()
        tap = (await channel.queue_declare(exclusive=True)).queue
        for name in (*(intake_lane(priority) for priority in Priority), INBOUND, *(lane("sms", priority) for priority in Priority)):
            await channel.queue_bind(tap, house.rabbit.names.lanes, name)
        await asyncio.to_thread(post)
        bundles, parcels, size = Counter[str](), Counter[str](), Counter[str]()
        while True:
            got = await channel.basic_get(tap, no_ack=True)
            if not hasattr(got.delivery, "delivery_tag"):
                break
            name = "intake" if got.delivery.routing_key.startswith("intake") else got.delivery.routing_key.partition(".")[0]
            bundles[name] += 1
            parcels[name] += len(split(got.body))
            size[name] += len(got.body)
        return {name: {"bundles": bundles[name], "parcels": parcels[name], "bytes": size[name]} for name in bundles}
    finally:
        await connection.close()


def measured(count: int, workers: int, delay_ms: int) -> dict[str, Any]:
    """One run."""
    scripts = server_scripts()
    if scripts is None:
        raise RuntimeError("RabbitMQ's server is not installed")
    with tempfile.TemporaryDirectory(prefix="sendwright-capacity-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "postgres").mkdir()
        (folder / "rabbitmq").mkdir()
        server, broker = Synced(folder / "postgres"), Broker(scripts, folder / "rabbitmq")
        server.start()
        try:
            broker.start()
            with MockProvider(folder) as provider:
                return _measured(folder, server, broker, provider, count, workers, delay_ms)
        finally:
            broker.kill()
            server.stop("immediate")


def _measured(
    folder: Path, server: Synced, broker: Broker, provider: MockProvider, count: int, workers: int, delay_ms: int
) -> dict[str, Any]:
    os.environ |= {"POSTGRES_URL": server.url, "RABBITMQ_URL": broker.url}
    from tests.acceptance.several import several  # noqa: PLC0415 -- it reads these when it is imported

    (folder / "house").mkdir()
    with several(folder / "house", twilio(provider, receipts=False)) as house:  # type: ignore[arg-type]
        house.start_all(apis=1, workers=workers, schedulers=1)
        command = ["-m", "bench.caller", house.url, ADMIN_KEY, str(CONNECTIONS), "normal"]
        with Talker([sys.executable, *command], folder / "caller.out", cwd=ROOT) as posting:
            posting.ready()
            provider.reset(delay_ms)

            def post(many: int) -> None:
                before = asyncio.run(sent(house.database_url))
                all_accepted(posting.ask(many, 600))
                until(lambda: asyncio.run(sent(house.database_url)) >= before + many, 600, "all are sent", every_s=1)

            post(WARM)
            before = asyncio.run(sizes(house.database_url))
            groups = {
                "api": tree(house.apis[0].child.pid),
                "worker": lambda: [process for each in house.workers for process in tree(each.child.pid)()],
                "scheduler": tree(house.schedulers[0].child.pid),
                "postgres": tree(server.pid),
                "rabbitmq": tree(broker._process.pid),  # type: ignore[union-attr]
            }
            meter, began = Meter(groups, "api"), time.monotonic()
            post(count)
            seconds, spent = time.monotonic() - began, meter.stop()
            time.sleep(2)
            after = asyncio.run(sizes(house.database_url))
            bus = asyncio.run(tapped(house, broker.url, lambda: post(count // 10)))
    grown = {name: (after[name] - before.get(name, 0)) / count for name in after}
    return {
        "count": count,
        "workers": workers,
        "delay_ms": delay_ms,
        "rate": count / seconds,
        "cpu_ms": {name: second / count * 1000 for name, second in spent.items()},
        "bytes": grown,
        "bus": {name: {what: figure / (count // 10) for what, figure in each.items()} for name, each in bus.items()},
        "load": os.getloadavg()[0],
    }


def lines(found: dict[str, Any]) -> list[str]:
    """As Markdown."""
    cpu, grown = found["cpu_ms"], found["bytes"]
    out = [f"{found['count']:,} notifications, {found['workers']} workers, {found['rate']:,.0f}/s, load {found['load']:.1f}", ""]
    out += ["| CPU ms each | " + " | ".join(cpu) + " | together |", "|---" * (len(cpu) + 2) + "|"]
    out += ["| | " + " | ".join(f"{value:.3f}" for value in cpu.values()) + f" | {sum(cpu.values()):.3f} |", ""]
    out += ["| bytes each | rows | rows and indexes |", "|---|---|---|"]
    for table in TABLES:
        if grown.get(table, 0) >= 1:
            out.append(f"| {table} | {grown.get(f'{table} rows', 0):,.0f} | {grown[table]:,.0f} |")
    out += [f"| all | | {sum(grown.get(table, 0) for table in TABLES):,.0f} |", f"| write-ahead log | | {grown['log']:,.0f} |", ""]
    out += ["| bus, each | bundles | parcels | bytes |", "|---|---|---|---|"]
    out += [f"| {name} | {f['bundles']:.3f} | {f['parcels']:.2f} | {f['bytes']:,.0f} |" for name, f in found["bus"].items()]
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--delay-ms", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = measured(given.n, given.workers, given.delay_ms)
    print(json.dumps(found, indent=2) if given.json else "\n".join(lines(found)))


if __name__ == "__main__":
    main()
