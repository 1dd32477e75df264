"""Text from outside does not steer a terminal, and is no formula; a JSON document stays what it is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import BadIdx
from schemas.visible import cell, in_a_line, in_json, visible

CHARACTERS = st.text(st.characters(codec=None))


@given(CHARACTERS)
def test_nothing_steers_a_terminal(text: str) -> None:
    """Whatever a text holds, what is shown has no control character but line feed and tab, and stays so."""
    shown = visible(text)
    assert not {each for each in shown if (each < " " and each not in "\n\t") or "\x7f" <= each <= "\x9f"}
    assert visible(shown) == shown
    assert "\n" not in in_a_line(text)
    shown.encode("utf-8")


@given(CHARACTERS)
def test_what_is_plain_stays(text: str) -> None:
    """Letters of every script, and joined emoji, are shown as they are."""
    plain = "".join(each for each in text if each.isprintable())
    if not any("\U000e0000" <= each <= "\U000e007f" for each in plain):
        assert visible(plain) == plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b2J", r"\x9b2J"),
        ("exe.\u202egpj", r"exe.\u202egpj"),
        ("a\r\nb", "a\\r\nb".replace("\\r", r"\x0d")),
        ("\udcff", r"\udcff"),
        ("family \U0001f468\u200d\U0001f469", "family \U0001f468\u200d\U0001f469"),
    ],
)
def test_what_is_written_out(text: str, shown: str) -> None:
    """Escape sequences, C1 controls, marks of direction and half characters are; what joins an emoji is not."""
    assert visible(text) == shown


@given(st.dictionaries(CHARACTERS, CHARACTERS))
def test_a_json_document_stays_the_same(document: dict[str, str]) -> None:
    """What is escaped in it reads as before, and nothing steers a terminal."""
    text = in_json(json.dumps(document, ensure_ascii=False))
    assert json.loads(text) == document
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd", "'+cmd"),
        ("-x", "'-x"),
        ("@sum", "'@sum"),
        ("\t=1", r"\t=1"),
        ("-1", "-1"),
        ("+1.5e3", "+1.5e3"),
        ("a=b", "a=b"),
        ("two\nlines", r"two\nlines"),
    ],
)
def test_a_cell_is_no_formula(text: str, written: str) -> None:
    """A class name that begins like a formula gets a mark before it; a number and all else stays as it is."""
    assert cell(text) == written


def test_an_error_is_fit_for_a_terminal() -> None:
    """Each part of an error is shown so, wherever it goes."""
    error = BadIdx("\x1b[2Jx", expected="8", found="\x9b", way_out="Look\nthere.")
    assert (error.subject, error.found, error.way_out) == (r"\x1b[2Jx", r"\x9b", "Look\nthere.")
    assert "\x1b" not in str(error)
