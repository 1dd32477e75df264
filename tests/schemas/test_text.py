"""Text for people: counts, durations and figures; and text from outside, of which nothing steers what shows it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.counts import counted
from schemas.errors import BadIdx
from schemas.text import amount, duration, facts_line, progress_of, share
from schemas.visible import cell, in_a_line, in_json, visible


def test_one_thing_is_told_in_the_singular() -> None:
    """Of one there is one thing, of none or several there are things."""
    assert [counted(number, "artifact") for number in (0, 1, 2)] == ["0 artifacts", "1 artifact", "2 artifacts"]
    assert (counted(2, "class"), counted(60_000, "image", ",")) == ("2 classes", "60,000 images")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0 ms"),
        (0.0123, "12 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3599.6, "1 h 00 min"),
        (11040, "3 h 04 min"),
    ],
)
def test_a_duration_never_rounds_into_the_next_unit(seconds: float, words: str) -> None:
    """A duration is written in the unit that fits it, also at the edges."""
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("count", "unit", "words"),
    [
        (0, "bytes", "0 B"),
        (999, "bytes", "999 B"),
        (999_949, "bytes", "999.9 kB"),
        (999_951, "bytes", "1.0 MB"),
        (9_912_422, "bytes", "9.9 MB"),
        (3 * 10**15, "bytes", "3000.0 TB"),
        (12, "epochs", "12 epochs"),
        (1, "epochs", "1 epoch"),
        (4.2134, "epochs", "4.21 epochs"),
    ],
)
def test_an_amount_has_its_unit(count: float, unit: str, words: str) -> None:
    """An amount is written with at most one decimal of the unit that fits it."""
    assert amount(count, unit) == words


@pytest.mark.parametrize(
    ("done", "total", "unit", "words"),
    [
        (12, 50, "epochs", "12/50 epochs"),
        (1, 50, "epochs", "1/50 epochs"),
        (1, 1, "epochs", "1/1 epoch"),
        (3_100_000, 9_912_422, "bytes", "3.1/9.9 MB"),
        (31_000, 9_912_422, "bytes", "31.0 kB/9.9 MB"),
        (31_000, None, "bytes", "31.0 kB"),
    ],
)
def test_progress_names_a_shared_unit_once(done: int, total: int | None, unit: str, words: str) -> None:
    """How far work is: both amounts, the unit once where it is the same."""
    assert progress_of(done, total, unit) == words


def test_an_epochs_figures_are_told_apart() -> None:
    """Losses are numbers and accuracies are shares, the validation twins named as such."""
    facts = {"accuracy": 0.98912, "loss": 0.07123, "val_accuracy": 0.9632, "val_loss": 0.1301}
    assert facts_line(facts) == "loss 0.0712, accuracy 98.91 %, val loss 0.1301, val accuracy 96.32 %"
    assert facts_line({"loss": 0.5}, "the model is from epoch 5") == "loss 0.5000; the model is from epoch 5"
    assert facts_line({}, "a note") == "a note"
    assert share(1.0) == "100.00 %"


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
