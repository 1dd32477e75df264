"""Plain tables."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from rich.text import Text

from idxflow.views.tables import below, shown_version, table_lines


def test_columns_are_as_wide_as_what_stands_in_them() -> None:
    """Names stand to the left, figures to the right, two spaces between columns and none at the end of a line."""
    rows = [("train", "25.6 s", "computed"), ("decompress", "9 ms", "")]
    assert [line.plain for line in table_lines(("stage", "time", "state"), rows, right={"time"})] == [
        "stage         time  state",
        "train       25.6 s  computed",
        "decompress    9 ms",
    ]


def test_a_last_column_can_stand_to_the_right() -> None:
    """Its figures end below each other."""
    lines = [line.plain for line in table_lines(("", "bytes"), [("a", "1"), ("b", "1000000")], right=("bytes",))]
    assert lines == ["     bytes", "a        1", "b  1000000"]


def test_a_header_alone_is_a_table() -> None:
    """Without rows there is the header, for whoever wants one."""
    assert [line.plain for line in table_lines(("a", "b"), [])] == ["a  b"]


def test_wide_characters_count_as_they_are_shown() -> None:
    """A character that takes two columns of a terminal moves nothing out of line."""
    lines = [line.plain for line in table_lines(("class", "n"), [("日本語", "1"), ("cat", "22")], right={"n"})]
    assert lines == ["class    n", "日本語   1", "cat     22"]
    assert {cell_len(line) for line in lines} == {10}


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
