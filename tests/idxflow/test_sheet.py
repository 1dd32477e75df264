"""A page about one thing."""

from __future__ import annotations

from idxflow.views.sheet import COLUMNS, SHOWN, print_fact, print_list
from tests.idxflow.conftest import Screen


def test_a_long_value_goes_on_below_itself(screen: Screen) -> None:
    """A value that is wider than the page is broken between words, below its own beginning."""
    print_fact(screen, "Packages", ", ".join(["pandera 0.35.0"] * 6))
    first, second = screen.text.getvalue().splitlines()
    assert first == "Packages:        pandera 0.35.0, pandera 0.35.0, pandera 0.35.0, pandera 0.35.0,"
    assert second == "                 pandera 0.35.0, pandera 0.35.0"


def test_a_path_is_never_broken(screen: Screen) -> None:
    """What has no spaces stays whole, so that it can be copied."""
    print_fact(screen, "Model", "/srv/" + "long-name/" * 10)
    print_fact(screen, "Data set", "")
    assert screen.text.getvalue() == f"Model:           /srv/{'long-name/' * 10}\nData set:        \n"


def test_a_list_has_its_values_below_each_other(screen: Screen) -> None:
    """A list is a title and a line each, names first; an empty one is nothing at all."""
    print_list(screen, "Nothing", [])
    print_list(screen, "Result", [("rows", "60000"), ("columns", "784")])
    assert screen.text.getvalue() == "\nResult\n  rows     60000\n  columns  784\n"


def test_a_list_is_cut_and_says_so(screen: Screen) -> None:
    """A value is cut at the page's edge, a list after some lines, and both can be seen."""
    print_list(screen, "Result", [(f"value{number}", "x" * 100) for number in range(SHOWN + 3)])
    _, _, first, *_, last = screen.text.getvalue().splitlines()
    assert len(first) == COLUMNS
    assert first.endswith("x…")
    assert last == "  and 3 more: --json has them all"
