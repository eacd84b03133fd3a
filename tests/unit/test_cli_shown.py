"""How the command line prints: tables for a terminal, columns for a pipe, and nothing that steers either."""

from __future__ import annotations

import io
import sys

import pytest

from sendwright.cli import shown

ROWS = [["msg_1", None, True, "[bold]x[/bold] \x1b[31mred\n"], ["msg_2", "", False, 0]]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_columns_with_a_word_in_every_cell(capsys: pytest.CaptureFixture[str]) -> None:
    shown.put_table(("id", "state", "on", "text"), ROWS)

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["ID", "STATE", "ON", "TEXT"]
    assert lines[1].split() == ["msg_1", "-", "yes", "[bold]x[/bold]", "�[31mred�"]
    assert lines[2].split() == ["msg_2", "-", "no", "0"]


def test_a_terminal_gets_a_table_in_which_text_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "120")

    # When
    shown.put_table(("id", "state", "on", "text"), ROWS)

    # Then
    drawn = terminal.getvalue()
    assert "─" in drawn
    assert "[bold]x[/bold]" in drawn
    assert "\x1b[31m" not in drawn


def test_an_empty_table_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    shown.put_table(("id",), [])

    assert capsys.readouterr().out == ""
