"""Installs a peer: an environment, or a folder of Node modules, of its own under .peers/ in the checkout.

`SENDWRIGHT_PEERS` names another folder. What was installed from the same requirements is left as it is.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.measure import last_words
from bench.peers.contenders import Peer

HERE = Path(__file__).resolve().parent
FOLDER = Path(os.environ.get("SENDWRIGHT_PEERS") or HERE.parent.parent / ".peers")
LONGEST_S = 300


def installed(peer: Peer) -> Path:
    """Its folder, made at first. Raises `RuntimeError` with the installer's last words."""
    wanted = HERE / "package.json" if peer.node else HERE / "requirements" / f"{peer.name}.txt"
    print_of = hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()
    place = FOLDER / peer.name
    mark = place / ".installed"
    if mark.exists() and mark.read_text() == print_of:
        return place
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    log = FOLDER / f"{peer.name}.log"
    for command in _npm(place, wanted) if peer.node else _pip(place, wanted):
        _run(command, place, log)
    mark.write_text(print_of)
    return place


def _pip(place: Path, wanted: Path) -> list[list[str]]:
    python = str(place / "bin" / "python")
    return [
        [sys.executable, "-m", "venv", str(place)],
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(wanted)],
    ]


def _npm(place: Path, wanted: Path) -> list[list[str]]:
    shutil.copy(wanted, place / "package.json")
    return [["npm", "install", "--no-audit", "--no-fund", "--loglevel", "error"]]


def _run(command: list[str], place: Path, log: Path) -> None:
    with log.open("ab") as out:
        try:
            done = subprocess.run(command, cwd=place, stdout=out, stderr=subprocess.STDOUT, timeout=LONGEST_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RuntimeError(f"does not install: {command[0]}: {type(error).__name__}") from error
    if done.returncode:
        raise RuntimeError(f"does not install: {last_words(log)}")
