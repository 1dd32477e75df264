"""What is printed does not steer the terminal, whatever it holds."""

from __future__ import annotations

import io
import json

import pytest
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from idxflow.cli.printing import put, put_json
from idxflow.views.console import Console
from schemas.events import Progress, StageChanged

BAD = "\x1b]0;owned\x07\x9b2J\u202e"
RAW = set("\x07\x9b\u202e")


class Screen(io.StringIO):
    """A terminal that keeps what is sent to it."""

    def isatty(self) -> bool:
        """Say that it is one."""
        return True


def test_every_way_to_the_screen_is_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines, facts, warnings, errors, bars, tables and trees write out what would steer it; colours stay."""
    monkeypatch.setenv("TERM", "xterm-256color")
    screen = Screen()
    console = Console(screen, screen)
    table = Table(BAD)
    table.add_row(BAD)
    with console.watching():
        console.line(BAD)
        console.line(Text(BAD, "red"))
        console.fact(BAD, BAD)
        console.warn(BAD)
        console.fail(BAD)
        console.show(StageChanged("parse", BAD, "started", "1" * 16))
        console.show(Progress(BAD, "bytes", 1, 2, note=BAD))
        console.show(StageChanged("parse", BAD, "computed", "1" * 16, 1.0, 9, BAD))
        console.out.print(table, Tree(BAD), BAD, markup=False)
    said = screen.getvalue()
    assert not RAW & set(said)
    assert "\x1b]0;" not in said
    assert "\\x1b]0;owned\\x9b2J\\u202e" in said  # rich drops the bell
    assert "\x1b[" in said  # colours and bars, which are rich's own


def test_standard_output_is_safe(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines are written out, and a JSON document reads as before."""
    put(BAD)
    put_json(json.dumps({BAD: BAD}, ensure_ascii=False))
    lines, document = capsys.readouterr().out.split("\n", 1)
    assert lines == r"\x1b]0;owned\x07\x9b2J\u202e"
    assert not (RAW | {"\x1b"}) & set(document)
    assert json.loads(document) == {BAD: BAD}
