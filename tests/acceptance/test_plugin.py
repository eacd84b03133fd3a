"""The example of a plugin, as somebody would use it: installed beside the product, started, and paged through.

The environment is a fresh one, with the product and the plugin built and installed into it; what both of them stand on is
taken from the environment of these tests, so that nothing is downloaded.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from .harness import House, wait_until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "sendwright-pager"
KEY = "canary-pager-key"


class Gateway(BaseHTTPRequestHandler):
    """Takes every page but those to `nobody`."""

    pages: list[dict[str, Any]]

    def do_POST(self) -> None:
        page = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = self.path == "/pages" and self.headers["Authorization"] == f"Bearer {KEY}"
        found = page["to"] != "nobody"
        if known and found:
            self.pages.append(page)
        answer = {"page": f"p-{len(self.pages)}"} if found else {"why": "nobody has that pager"}
        body = json.dumps(answer).encode()
        self.send_response((202 if found else 422) if known else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name is the base class's
        """Says nothing."""


@pytest.fixture
def gateway() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    pages: list[dict[str, Any]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Listening", (Gateway,), {"pages": pages}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", pages
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of the fresh environment."""
    folder = tmp_path_factory.mktemp("plugin")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True, capture_output=True)
    python = folder / "venv" / "bin" / "python"
    own = subprocess.run(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, check=True
    )
    (Path(own.stdout.decode().strip()) / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for package in (_copied(ROOT, folder / "sendwright"), _copied(EXAMPLE, folder / "sendwright-pager")):
        command = [str(python), "-m", "pip", "install", "--no-deps", "--no-index", "--no-build-isolation", "--force-reinstall"]
        done = subprocess.run([*command, str(package)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return python


def _copied(package: Path, to: Path) -> Path:
    """What a wheel is built from, in a place where building leaves its traces."""
    to.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "src", "tests"):
        source = package / name
        if source.is_dir() and (name == "src" or package == EXAMPLE):
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.is_file():
            shutil.copy(source, to / name)
    return to


def test_the_product_and_the_plugin_are_those_that_were_installed(python: Path) -> None:
    said = "import sendwright, sendwright_pager; print(sendwright.__file__, sendwright_pager.__file__)"
    found = subprocess.run([str(python), "-c", said], capture_output=True, text=True, check=True, cwd="/").stdout.split()
    assert all(Path(file).is_relative_to(python.parents[1]) for file in found), found


def test_the_plugins_own_tests_pass_there(python: Path) -> None:
    folder = python.parents[2] / "sendwright-pager"
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis", "tests"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_channel_that_a_plugin_adds_is_sent_through(
    python: Path, gateway: tuple[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    # given
    url, pages = gateway
    house = House(tmp_path, f'[providers.pager-main]\nkind = "pager"\nbase_url = "{url}"\nkey = "{KEY}"\n', python=str(python))
    house.start()
    try:
        # when
        answers = [
            house.api(
                "POST",
                "/v1/notifications",
                {"to": {"id": to, "phone": "+14155550123"}, "channels": ["pager"], "content": {"body": "Pump 3"}},
            )
            for to in ("on-call", "nobody")
        ]
        assert [status for status, _ in answers] == [202, 202]
        paged, unknown = (wait_until(lambda id_=answer["id"]: _ended(house, id_), 30, "it was paged") for _, answer in answers)
        # then
        assert (paged["state"], unknown["state"]) == ("sent", "failed")
        assert [(page["to"], page["text"]) for page in pages] == [("on-call", "Pump 3")]
        assert unknown["messages"][0]["reason"]["code"] == "invalid_address"
        (standing,) = house.api("GET", "/v1/providers")[1]["data"]
        assert (standing["kind"], standing["channels"]) == ("pager", ["pager"])
        assert house.api("POST", "/v1/providers/pager-main/test", {"to": "on-call"})[1]["outcome"] == "accepted"
        assert len(pages) == 2
        assert house.stop() == 0
        assert "canary" not in house.output()
    finally:
        if not house.dead:
            house.kill()


def _ended(house: House, id_: str) -> dict[str, Any] | None:
    found: dict[str, Any] = house.api("GET", f"/v1/notifications/{id_}")[1]
    return found if found["state"] in {"sent", "failed"} else None
