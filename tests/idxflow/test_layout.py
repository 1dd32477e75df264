"""How facts become lines: tables, pages, moments, paths."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.text import Text

from idxflow.views.console import SHOWN
from idxflow.views.layout import COLUMNS, below, few, local_time, short_path, shown_version, table_lines
from tests.idxflow.conftest import Screen
from tests.processes import PROJECT


@pytest.mark.parametrize(
    ("header", "rows", "right", "lines"),
    [
        (
            ("stage", "time", "state"),
            [("train", "25.6 s", "computed"), ("decompress", "9 ms", "")],
            {"time"},
            ["stage         time  state", "train       25.6 s  computed", "decompress    9 ms"],
        ),
        (("", "bytes"), [("a", "1"), ("b", "1000000")], {"bytes"}, ["     bytes", "a        1", "b  1000000"]),
        (("a", "b"), [], (), ["a  b"]),
        (("class", "n"), [("日本語", "1"), ("cat", "22")], {"n"}, ["class    n", "日本語   1", "cat     22"]),
    ],
    ids=["a figure", "a figure last", "no rows", "characters of two columns"],
)
def test_columns_are_as_wide_as_what_stands_in_them(
    header: tuple[str, ...], rows: list[tuple[str, ...]], right: set[str], lines: list[str]
) -> None:
    """Names stand to the left, figures to the right, two spaces between columns and none at the end of a line."""
    found = [line.plain for line in table_lines(header, rows, right)]
    assert found == lines
    assert header[-1] not in right or len({cell_len(line) for line in found}) == 1


def test_the_header_is_bold_and_cells_keep_their_style() -> None:
    """A cell may bring a style of its own, and what looks like markup is text."""
    header, row = table_lines(("state", "note"), [(Text("failed", "red"), "[bold]")])
    assert [(header.plain[span.start : span.end], span.style) for span in header.spans] == [
        ("state", "bold"),
        ("note", "bold"),
    ]
    assert row.plain == "failed  [bold]"
    assert [(row.plain[span.start : span.end], span.style) for span in row.spans] == [("failed", "red")]


def test_a_row_has_a_cell_for_each_column() -> None:
    """A row that is too short is a mistake of the caller's, and no table."""
    with pytest.raises(ValueError, match="zip"):
        list(table_lines(("a", "b"), [("1", "2"), ("1",)]))


def test_what_stands_below_a_row_is_broken_between_words() -> None:
    """On a terminal a text is broken within its indent, in a file it is one line; no version or path is cut apart."""
    text = "training.hidden [50, 50] -> [100, 50], tasks/parse.py changed"
    assert [line.plain for line in below(text, 4, None)] == [f"    {text}"]
    lines = [line.plain for line in below(text, 4, 40)]
    assert lines == ["    training.hidden [50, 50] -> [100,", "    50], tasks/parse.py changed"]
    assert [line.plain for line in below("a" * 30, 4, 10)] == [f"    {'a' * 30}"]
    assert not list(below("", 4, 40))


def test_a_version_is_whole_where_there_is_room() -> None:
    """A narrow terminal sees half of it; a file and a wide one see it all."""
    version = "0123456789abcdef"
    assert [shown_version(version, width) for width in (None, 88, 87)] == [version, version, version[:8]]


def test_a_long_value_goes_on_below_itself(screen: Screen) -> None:
    """A value that is wider than the page is broken between words, below its own beginning."""
    screen.paragraph("Packages", ", ".join(["pandera 0.35.0"] * 6))
    first, second = screen.text.getvalue().splitlines()
    assert first == "Packages:        pandera 0.35.0, pandera 0.35.0, pandera 0.35.0, pandera 0.35.0,"
    assert second == "                 pandera 0.35.0, pandera 0.35.0"


def test_a_path_is_never_broken(screen: Screen) -> None:
    """What has no spaces stays whole, so that it can be copied."""
    screen.paragraph("Model", "/srv/" + "long-name/" * 10)
    screen.paragraph("Data set", "")
    assert screen.text.getvalue() == f"Model:           /srv/{'long-name/' * 10}\nData set:        \n"


def test_a_list_has_its_values_below_each_other(screen: Screen) -> None:
    """A list is a title and a line each, names first; an empty one is nothing at all."""
    screen.section("Nothing", [])
    screen.section("Result", [("rows", "60000"), ("columns", "784")])
    assert screen.text.getvalue() == "\nResult\n  rows     60000\n  columns  784\n"


def test_a_list_is_cut_and_says_so(screen: Screen) -> None:
    """A value is cut at the page's edge, a list after some lines, and both can be seen."""
    screen.section("Result", [(f"value{number}", "x" * 100) for number in range(SHOWN + 3)])
    _, _, first, *_, last = screen.text.getvalue().splitlines()
    assert len(first) == COLUMNS
    assert first.endswith("x…")
    assert last == "  and 3 more, which --json shows"


@pytest.fixture
def india(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is five and a half hours ahead of UTC."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "IST-5:30")
        time.tzset()
        yield
    time.tzset()


def test_a_moment_is_told_in_local_time(india: None) -> None:
    """A recorded moment is told as the clock on the wall showed it, whatever offset it was written with."""
    assert local_time("2026-11-24T20:00:05+00:00") == "2026-11-25 01:30"
    assert local_time("2026-11-24T20:00:05+00:00", seconds=True) == "2026-11-25 01:30:05"
    assert local_time("2026-11-24T21:00:05+01:00") == "2026-11-25 01:30"


def test_a_path_is_seen_from_the_working_folder(desk: Path) -> None:
    """Below the working folder a path is relative, elsewhere it is whole."""
    assert short_path(desk / "a" / "b") == "a/b"
    assert short_path(Path("/elsewhere")) == "/elsewhere"


@pytest.mark.parametrize(
    ("names", "words"),
    [([], ""), (["a"], "a"), (["a", "b", "c"], "a, b, c"), (["a", "b", "c", "d"], "a, b, c, and 1 more")],
)
def test_of_many_names_the_first_are_shown(names: list[str], words: str) -> None:
    """Three names stand there, and how many more there are."""
    assert few(names) == words


def test_one_thing_is_counted_in_the_singular() -> None:
    """In no message of the top floor a figure that may be 1 stands before a plural: `counted` writes both."""
    countable = r" (artifact|core|day|epoch|file|hour|image|item|problem|record|run|stage)s\b"
    offenders = []
    for path in sorted((PROJECT / "idxflow").rglob("*.py")):
        for text in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.JoinedStr)):
            for figure, after in pairwise(text.values):
                if isinstance(after, ast.Constant) and re.match(countable, str(after.value)):
                    offenders.append(f"{path.name}: {ast.unparse(figure)}{after.value!s}")
    assert not offenders
