"""`up`, `api`, `worker`, `scheduler` and `sandbox`, which run until they are told to stop; and `migrate`, which comes before."""

# ruff: noqa: PLC0415 -- an engine is imported where it is run, never for a help page

from __future__ import annotations

import os
import shlex
import signal
from typing import TYPE_CHECKING

import click

from sendwright.cli import words
from sendwright.cli.frame import Command, data_folder
from sendwright.cli.reach import KEY, load_checked
from sendwright.cli.shown import say

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from sendwright.app.parts import Parts
    from sendwright.app.running import Roles
    from sendwright.sandbox.options import SandboxOptions
    from sendwright.settings import Loaded


@click.command(
    "up",
    cls=Command,
    json=False,
    examples=(
        "sendwright up",
        "sendwright up --data /var/lib/sendwright --listen 127.0.0.1:9420",
        "sendwright up --config /etc/sendwright.toml",
    ),
)
@click.option("--listen", type=words.listen, metavar="H:P", help="Where the API listens; port 0 takes any free one.")
def up(listen: str | None) -> None:
    """Run everything in one process, on embedded SQLite or on the engines of the settings.

    That is the API, workers, the scheduler and, where no provider is named, the sandbox. SIGTERM drains: what is in
    flight is finished, then it exits 0. A second one exits at once.
    """
    from sendwright.app.running import EVERYTHING
    from sendwright.app.serve import serve

    loaded = load_checked(data_folder(), listen)

    def started(parts: Parts, address: str | None, link: str | None) -> None:
        _started(loaded, parts, address or "", link or "/")

    click.get_current_context().exit(_run(serve(loaded, EVERYTHING, started)))


@click.command(
    "api",
    cls=Command,
    json=False,
    examples=("sendwright api --config /etc/sendwright.toml", "sendwright api --listen 0.0.0.0:8420"),
)
@click.option("--listen", type=words.listen, metavar="H:P", help="Where the API listens; port 0 takes any free one.")
def api(listen: str | None) -> None:
    """Run the API alone: it accepts, reads and acts, and sends nothing.

    As many as are wanted, beside `worker` and `scheduler`, on a store and a bus that processes share.
    """
    from sendwright.app.running import API

    _serve_role(_shared("api", listen), API)


@click.command(
    "worker",
    cls=Command,
    json=False,
    examples=(
        "sendwright worker --config /etc/sendwright.toml",
        "sendwright worker --channels sms,whatsapp --concurrency 500",
    ),
)
@click.option("--channels", metavar="A,B", help="Deliver on these channels only; what is planned and observed is every channel's.")
@click.option("--concurrency", type=click.IntRange(min=1), metavar="N", help="In the place of [worker] concurrency.")
def worker(channels: str | None, concurrency: int | None) -> None:
    """Run one worker: it plans, delivers and observes what providers report.

    As many as are wanted. It holds nothing: any of them may be killed at any moment. SIGTERM drains.
    """
    from msgspec.structs import replace

    from sendwright.app.running import WORKER, channels_named

    loaded = _shared("worker", None)
    settings = loaded.settings
    if concurrency is not None:
        settings = replace(settings, worker=replace(settings.worker, concurrency=concurrency))
    roles = WORKER
    if channels is not None:
        named = [name.strip() for name in channels.split(",") if name.strip()]
        roles = replace(roles, channels=channels_named(named, settings))
    _serve_role(replace(loaded, settings=settings), roles)


@click.command("scheduler", cls=Command, json=False, examples=("sendwright scheduler --config /etc/sendwright.toml",))
def scheduler() -> None:
    """Run one scheduler: what waits goes on when its time comes, what a dead worker left is repaired, what is old is swept.

    Two or more stand in for one another.
    """
    from sendwright.app.running import SCHEDULER

    _serve_role(_shared("scheduler", None), SCHEDULER)


@click.command(
    "migrate",
    cls=Command,
    json=False,
    examples=("sendwright migrate --config /etc/sendwright.toml", "sendwright migrate --before"),
)
@click.option("--before", is_flag=True, help="Only what may be done while processes of the version before still run.")
def migrate(*, before: bool) -> None:
    """Bring the store's schema and the bus's queues up to date.

    A rolling upgrade is `migrate --before`, then new processes in the place of the old ones, then `migrate`. SQLite needs
    none of it: `up` makes its file.
    """
    import asyncio

    from sendwright.app.upkeep import declared, migrated

    loaded = _shared("migrate", None)

    async def work() -> None:
        done = await migrated(loaded.settings, post=not before)
        for line in done or ["nothing to do: the schema is up to date"]:
            say(line)
        say(await declared(loaded.settings))

    asyncio.run(work())


def _shared(name: str, listen: str | None) -> Loaded:
    """Settings whose engines several processes may use. Raises `OperatorError` for others."""
    from sendwright.errors import OperatorError

    loaded = load_checked(data_folder(), listen)
    if loaded.settings.embedded:
        raise OperatorError(
            f"`{name}` needs engines that processes share: set [store] url to postgresql://… and [bus] url to amqp://…. "
            "A SQLite file has one process: `sendwright up`"
        )
    return loaded


def _serve_role(loaded: Loaded, roles: Roles) -> None:
    from sendwright.app.serve import serve

    def started(_parts: Parts, address: str | None, _link: str | None) -> None:
        say(f"Sendwright {roles.name} runs" + (f", and listens on {address}" if address else ""))

    click.get_current_context().exit(_run(serve(loaded, roles, started)))


def _run(main: Coroutine[Any, Any, int]) -> int:
    import asyncio

    try:
        import uvloop
    except ImportError:  # not there on every system
        return asyncio.run(main)
    code: int = uvloop.run(main)
    return code


def _started(loaded: Loaded, parts: Parts, address: str, link: str) -> None:
    """What a person needs now. The admin key is shown once: when it was made by this start."""
    from sendwright.settings.keys import ADMIN_KEY_FILE

    kept = loaded.settings.api.admin_key is None
    place = (loaded.settings.data / ADMIN_KEY_FILE).resolve()
    host, _, port = address.removeprefix("http://").rpartition(":")
    from sendwright.settings import address_of

    local = address_of(host.strip("[]"), int(port))
    key = f"$(cat {shlex.quote(str(place))})" if kept else f"${_variable(loaded.sources['api.admin_key'])}"
    say(f"Sendwright listens on {address}")
    if parts.keys.created:
        say(f"  admin key     {parts.keys.admin_key.reveal()}")
        say(f"                made now and shown this once; kept in {place}")
    else:
        say(f"  admin key     in {place}" if kept else "  admin key     that of the settings ([api] admin_key)")
    say(f"  dashboard     {dashboard_line(loaded.settings.api.public_url, local, link)}")
    if parts.sandbox_url is not None:
        say(f"  sandbox       {parts.sandbox_url}/  (a phone and a mailbox: nothing leaves this machine)")
    say(f"  data          {loaded.settings.data}")
    for name, engine in _engines(loaded):
        say(f"  {name:13} {engine}")
    say(f"  try           {curl_line(local, key, sandbox=_tries_safely(parts))}")
    for note in parts.keys.notes:
        say(f"  note          {note}")


def dashboard_line(public_url: str | None, local: str, link: str) -> str:
    """Where the dashboard is, and how to get in: at the public address where that is https, else on this machine."""
    from sendwright.web.dashboard.place import is_loopback

    if public_url is not None and public_url.startswith("https:"):
        return f"{public_url.rstrip('/')}{link}  (signs you in once, within 15 minutes)"
    if is_loopback(local.removeprefix("http://")):
        return f"{local}{link}  (signs you in once, within 15 minutes)"
    return f"{local}/  (takes HTTPS, or a tunnel to this machine: docs/dashboard.md)"


def _engines(loaded: Loaded) -> list[tuple[str, str]]:
    settings = loaded.settings
    if not settings.embedded:
        return [("store", settings.store.url.shown), ("bus", settings.bus.url.shown)]
    import apsw

    return [("SQLite", apsw.sqlite_lib_version())]


def _tries_safely(parts: Parts) -> bool:
    """Whether an SMS goes to the sandbox and to nobody else."""
    names = [account.name for account in parts.fleet.route("sms")] if "sms" in parts.fleet.channels else []
    return bool(names) and all(parts.providers[name].kind == "sandbox" for name in names)


def _variable(source: str) -> str:
    """The environment variable that holds the admin key; for one of the file, the variable that every command reads."""
    kind, _, name = source.partition(" ")
    return name if kind == "environment" else KEY


def curl_line(address: str, key: str, *, sandbox: bool) -> str:
    """A line to paste; `key` is what the shell makes a key of. It sends only where that reaches no real person."""
    line = f'curl -sS -H "Authorization: Bearer {key}"'
    if not sandbox:
        return f"{line} {address}/v1/providers"
    body = '{"to":{"phone":"+15005550009"},"content":{"body":"Hello"}}'
    return f"{line} -H 'Content-Type: application/json' -d '{body}' {address}/v1/notifications"


@click.command(
    "sandbox",
    cls=Command,
    json=False,
    data=False,
    examples=(
        "sendwright sandbox",
        "sendwright sandbox --listen 127.0.0.1:9000 --log requests.jsonl --latency-ms 50",
        "sendwright sandbox --smtp 127.0.0.1:8426 --keys sandbox-keys.json",
        "sendwright sandbox --no-receipts",
    ),
)
@click.option("--listen", type=words.listen, default="127.0.0.1:8425", show_default=True, metavar="H:P", help="Where it listens.")
@click.option("--smtp", type=words.listen, metavar="H:P", help="Where it takes mails by SMTP; port 0 takes any free one.")
@click.option(
    "--log", type=click.Path(dir_okay=False), metavar="FILE", help="Append a line for every request, before it is answered."
)
@click.option("--latency-ms", type=click.FloatRange(min=0), default=0, metavar="N", help="How long every answer takes.")
@click.option("--no-receipts", is_flag=True, help="Report nothing back.")
@click.option(
    "--keys", type=click.Path(dir_okay=False), metavar="FILE", help="Keep the keys that it makes there, for the next start."
)
def sandbox(listen: str, smtp: str | None, log: str | None, latency_ms: float, no_receipts: bool, keys: str | None) -> None:
    """Run the sandbox on its own.

    It speaks the vendors' wire protocols, makes faults on request, and shows what it was given on a page.
    """
    from sendwright.sandbox.options import SandboxOptions
    from sendwright.settings import host_port

    load_checked(None)  # none of them is the sandbox's to follow, but a start that overlooks a wrong file would hide it
    host, port = host_port(listen)
    options = SandboxOptions(
        host=host,
        port=port,
        smtp=None if smtp is None else host_port(smtp),
        log_path=log,
        latency_ms=latency_ms,
        receipts=not no_receipts,
        keys_path=keys,
    )
    click.get_current_context().exit(_run(_serve_sandbox(options)))


async def _serve_sandbox(options: SandboxOptions) -> int:
    """Until SIGTERM or Ctrl-C, which end it in order; a second one ends it at once."""
    import asyncio

    from sendwright.errors import OperatorError
    from sendwright.sandbox.run import run

    serving = asyncio.create_task(run(options))
    told = False

    def stop() -> None:
        nonlocal told
        if told:
            os._exit(1)
        told = True
        serving.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        await serving
    except asyncio.CancelledError:
        return 0
    except OSError as error:
        raise OperatorError(f"the sandbox can't start: {error.strerror or type(error).__name__}") from error
    return 0
