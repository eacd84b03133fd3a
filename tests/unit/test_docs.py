"""The generated pages are the tables they come from, and say everything that the tables say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from scripts import docs

from sendwright.model.endpoint import TYPES
from sendwright.model.event_types import EVENT_TYPES
from sendwright.model.happenings import Happening
from sendwright.model.states import MESSAGE_MOVES, AttemptState, MessageState
from sendwright.settings import SETTINGS, describe, load
from sendwright.settings.table import COMMON, REPLIES, ROUTE, SECTIONS

PAGES = docs.pages()


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_a_generated_file_is_up_to_date(file: Path) -> None:
    assert file.read_text(encoding="utf-8") == PAGES[file], "stale: run `make docs`"


def test_every_setting_has_its_row_on_the_page_and_its_line_in_the_sample_file() -> None:
    page, sample = (docs.ROOT / "docs" / "settings.md").read_text(), (docs.ROOT / "sendwright.example.toml").read_text()
    for section in SECTIONS:
        rows = [row for row in SETTINGS if row.section == section.name]
        on_page = page.split(f"## [{section.name}]\n")[1].split("\n## ")[0]
        in_sample = re.split(r"\n\n", sample.split(f"\n[{section.name}]\n")[1])[0]
        assert all(f"| `{row.name}` |" in on_page and row.help in on_page for row in rows)
        assert all(re.search(rf"^(# )?{re.escape(row.name)} = ", in_sample, re.MULTILINE) for row in rows)
    assert all(f"| `{row.name}` |" in page and row.help in page for row in (*COMMON, *ROUTE, *REPLIES))


def test_every_setting_belongs_to_a_section_and_says_what_it_is_for() -> None:
    assert {row.section for row in SETTINGS} == {section.name for section in SECTIONS}
    assert len({row.key for row in SETTINGS}) == len(SETTINGS)
    assert all(row.help.endswith(".") for row in (*SETTINGS, *COMMON, *ROUTE, *REPLIES))
    assert all(row.default is not None or row.example is not None for row in (*SETTINGS, *COMMON, *ROUTE, *REPLIES))


def test_the_sample_file_sets_every_default_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    sample, bare = load(docs.ROOT / "sendwright.example.toml", {}), load(None, {})

    assert sample.settings == bare.settings
    written = {name for name, source in sample.sources.items() if source != "default"}
    assert written == {row.key for row in SETTINGS if row.default is not None}


def test_the_sample_file_also_loads_with_everything_in_it_switched_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sample = (docs.ROOT / "sendwright.example.toml").read_text()
    (tmp_path / "all.toml").write_text(re.sub(r"^# (?=\[|[a-z_.]+ = )", "", sample, flags=re.MULTILINE))

    it = load(tmp_path / "all.toml", {"SENDWRIGHT_ADMIN_KEY": "a" * 32, "SENDWRIGHT_SECRET_KEY": "s" * 32})

    assert "default" not in {row.source for row in describe(it) if row.name != "data"}
    assert it.settings.routes["sms"].providers == ("twilio-main",)


def test_every_state_and_every_move_is_on_the_page_of_states() -> None:
    page = (docs.ROOT / "docs" / "states.md").read_text()

    assert all(f"| {state.rank} | `{state}` |" in page for state in MessageState)
    assert all(f"| {state.value} | `{state}` |" in page for state in AttemptState)
    arrows = {tuple(line.split(" --> ")) for line in re.findall(r"^    (\w+ --> \w+)$", page.split("## Attempts")[0], re.MULTILINE)}
    assert arrows == {(str(before), str(after)) for before, targets in MESSAGE_MOVES.items() for after in targets}


def test_every_state_that_a_message_can_come_to_has_its_event_on_the_page() -> None:
    listed = set(re.findall(r"^\| `message\.(\w+)` \|", (docs.ROOT / "docs" / "events.md").read_text(), re.MULTILINE))

    states = {str(state) for state in MessageState} - {"accepted", "digesting"}
    assert listed == states | {str(happening) for happening in Happening} | {"contradicted", "unconfirmed"}


def test_every_type_that_an_endpoint_may_ask_for_has_its_place_on_the_pages() -> None:
    events, endpoints = ((docs.ROOT / "docs" / name).read_text() for name in ("events.md", "endpoints.md"))
    told = set(re.findall(r"`([a-z]+\.[a-z]+)`", endpoints))
    for row in (
        line.split("|")[1] for line in endpoints.splitlines() if line.startswith("| `")
    ):  # the first in full, the others' last words
        first, *others = re.findall(r"`([a-z_.]+)`", row) or [""]
        told |= {first, *(f"{first.partition('.')[0]}.{word}" for word in others)}
    assert set(TYPES) <= told
    assert set(TYPES) <= set(re.findall(r"^\| `([a-z_.]+)` \|", events, re.MULTILINE))


def test_check_names_what_is_stale_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given
    file = tmp_path / "docs" / "page.md"
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    monkeypatch.setattr(docs, "pages", lambda: {file: "new"})

    # Then
    assert docs.main(["--check"]) == 1
    assert "docs/page.md" in capsys.readouterr().err
    assert not file.exists()
    assert docs.main([]) == 0
    assert file.read_text() == "new"
    assert docs.main(["--check"]) == 0
    assert docs.main(["--what"]) == 2


def test_every_type_of_event_is_on_its_page_and_no_other() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \|", (docs.ROOT / "docs" / "events.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(EVENT_TYPES)
    assert set(TYPES) <= set(EVENT_TYPES), "endpoints may ask for some of them"
