"""Every place between accept and settle where the engine may be interrupted has a name at which a test can have it die.

A process can only be caught between two of its statements where it waits, so every statement that waits must have a
`crashpoint("…")` beside it in the same block: before it, after it, or first in the body of an `async with`.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import sendwright.engine

ENGINE = Path(sendwright.engine.__file__).parent
STORIES = (
    "accept",
    "plan",
    "deliver",
    "defer",
    "coach",
    "settle",
    "observe",
    "schedule",
    "repair",
    "sieve",
    "worker",
    "hands",
    "report",
)
SHARED: dict[str, str] = {}
"""Names that stand at more than one place, and why."""

Blocks = Iterator[list[ast.stmt]]


def blocks(tree: ast.AST) -> Blocks:
    """Every list of statements in the tree, functions within functions included."""
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                yield block


def waits(statement: ast.stmt) -> bool:
    """Whether the statement itself waits, the blocks within it left out: those have neighbours of their own."""
    if isinstance(statement, ast.AsyncWith | ast.AsyncFor):
        return True
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return False
    return any(_awaits(child) for child in ast.iter_child_nodes(statement) if not _is_block(child))


def _is_block(node: ast.AST) -> bool:
    return isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case)


def _awaits(node: ast.AST) -> bool:
    """An `await` in this expression, but for those of a function that it makes and does not run."""
    if isinstance(node, ast.Await):
        return True
    if isinstance(node, ast.comprehension) and node.is_async:
        return True
    return not isinstance(node, ast.Lambda) and any(_awaits(child) for child in ast.iter_child_nodes(node))


def crash_point(statement: ast.stmt | None) -> str | None:
    """The name of the crash point that this statement is; None when it is none."""
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Name(id="crashpoint"), args=[ast.Constant(value=str(name))], keywords=[])):
            return name
        case _:
            return None


def unnamed(source: str, file: str = "story.py") -> list[str]:
    """`file:line` of every statement that waits without a crash point beside it."""
    missing = []
    for block in blocks(ast.parse(source)):
        for place, statement in enumerate(block):
            if not waits(statement):
                continue
            beside = [block[place - 1] if place else None, block[place + 1] if place + 1 < len(block) else None]
            if isinstance(statement, ast.AsyncWith):
                beside.append(statement.body[0])
            if not any(map(crash_point, beside)):
                missing.append(f"{file}:{statement.lineno}")
    return sorted(missing, key=lambda where: int(where.rpartition(":")[2]))


def names(source: str) -> Iterator[tuple[str, int]]:
    """Every crash point's name, and its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and (name := crash_point(node)) is not None:
            yield name, node.lineno


def calls(source: str) -> int:
    """How often `crashpoint` is called, in whatever way."""
    tree = ast.walk(ast.parse(source))
    return sum(isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "crashpoint" for node in tree)


@pytest.mark.parametrize("story", STORIES)
def test_every_statement_that_waits_has_a_crash_point_beside_it(story: str) -> None:
    path = ENGINE / f"{story}.py"
    assert unnamed(path.read_text(), str(path.relative_to(ENGINE.parent))) == []


@pytest.mark.parametrize("story", STORIES)
def test_every_crash_point_bears_its_storys_name(story: str) -> None:
    source = (ENGINE / f"{story}.py").read_text()
    found = list(names(source))
    assert found, "a story without a single crash point"
    assert [f"{story}.py:{line} {name}" for name, line in found if not name.startswith(f"{story}.")] == []
    assert len(found) == calls(source), "a crash point is a statement of its own, with a plain name"


def test_every_name_stands_at_one_place() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for story in STORIES:
        for name, line in names((ENGINE / f"{story}.py").read_text()):
            places[name].append(f"{story}.py:{line}")
    twice = {name: found for name, found in places.items() if len(found) > 1}
    assert twice.keys() == SHARED.keys(), twice


def test_no_other_part_of_the_engine_waits_for_a_store_or_a_bus_by_itself() -> None:
    """persist.py repeats what a story asked for; fleet.py reads switches and account.py waits for slots, both of them
    asked for by a story's own statement, as acquaint.py's look at the directory is; roll.py says that we live, and
    dying in that says the same as dying beside it; ingest.py only accepts, and acknowledges last; inquire.py only asks,
    and what it learns joins in one statement; readmit.py and exhume.py publish or keep before they drop; who dies in
    concord.py or meter.py takes cells of a rate along, or a probe whose lease runs out; warden.py reads keys, and
    writes, strikes off or dates one in a statement of its own; tokens.py fetches, before a claim, what is kept in
    memory alone; catalogue.py and feed.py only read; hear.py and respond.py only hear and accept, by keys of the reply,
    and the bundle is done after that; receivers.py changes an endpoint in a statement of its own; postman.py only
    calls; herald.py's crashes are played in test_engine_herald.py; bulletin.py and reminder.py write what they tell in
    the statement that notes it told: theirs in test_engine_bulletin.py and test_engine_reminder.py; unsubscribe.py
    writes in one statement, or lifts. A new file with awaits must be named in `STORIES`, or here."""
    waiting = set()
    for path in ENGINE.glob("*.py"):
        if any(waits(statement) for block in blocks(ast.parse(path.read_text())) for statement in block):
            waiting.add(path.stem)
    others = {
        "persist",
        "account",
        "fleet",
        "precedence",
        "roll",
        "ingest",
        "inquire",
        "room",
        "readmit",
        "exhume",
        "concord",
        "meter",
        "warden",
        "tokens",
        "acquaint",
        "catalogue",
        "receivers",
        "herald",
        "bulletin",
        "reminder",
        "postman",
        "feed",
        "unsubscribe",
        "hear",
        "respond",
    }
    assert waiting <= {*STORIES, *others}


# The test is worth what it finds.


@pytest.mark.parametrize(
    "body",
    [
        "    await one()",
        "    crashpoint('story.one')\n    this()\n    await one()\n    that()\n    crashpoint('story.two')",
        "    crashpoint('story.one')\n    if this():\n        await one()",
        "    if await one():\n        crashpoint('story.one')",
        "    return [await one() for _ in this()]",
        "    async with one():\n        this()\n        crashpoint('story.one')",
        "    async for _ in one():\n        crashpoint('story.one')",
        "    try:\n        this()\n    except ValueError:\n        await one()\n    crashpoint('story.one')",
        "    match this():\n        case 1:\n            await one()\n    crashpoint('story.one')",
        "    async def inner():\n        await one()\n    crashpoint('story.one')",
    ],
)
def test_a_wait_without_a_name_is_found(body: str) -> None:
    assert len(unnamed(f"async def story():\n{body}\n")) == 1


@pytest.mark.parametrize(
    "body",
    [
        "    crashpoint('story.one')\n    await one()",
        "    await one()\n    crashpoint('story.one')",
        "    crashpoint('story.one')\n    return await one()",
        "    async with one():\n        crashpoint('story.one')\n        this()",
        "    crashpoint('story.one')\n    if await one():\n        that()",
        "    this(lambda: one())",
    ],
)
def test_a_wait_with_a_name_beside_it_is_left_alone(body: str) -> None:
    assert unnamed(f"async def story():\n{body}\n") == []
