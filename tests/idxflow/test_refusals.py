"""Command lines that make no command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.idxflow.conftest import assert_refused

COMMANDS = "server, plan, runs, show, lineage, compare, verify, gc, alias, pin, trust, export, up, run"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("rum", f"idxflow: expected one of {COMMANDS}, found 'rum'. Did you mean run? See `idxflow --help`."),
        ("frob", f"idxflow: expected one of {COMMANDS}, found 'frob'. See `idxflow --help`."),
        ("server frob", "idxflow server: expected one of start, password, stop, status, found 'frob'."),
        ("run stray", "idxflow run: expected no further word, found 'stray'. See `idxflow run --help`."),
        ("show a b", "idxflow show: expected no further word, found 'b'."),
        ("show", "idxflow show: expected WORD after it, found none. See `idxflow show --help`."),
        ("export x", "idxflow export: expected DIR after it, found none."),
        ("run --datset x", "idxflow run: expected an option that it has, found --datset. Did you mean --dataset?"),
        ("run --dataset", "idxflow run: expected a value after --dataset, found none."),
        ("run --set", "idxflow run: expected a value after --set, found none."),
        ("run --set --json", "idxflow run: expected a value after --set, found none."),
        ("runs -n 1 -n 2", "idxflow runs: expected -n once, found it several times."),
        ("gc --yes=3", "idxflow gc --yes: expected no value, or true or false, found '3'. See `idxflow gc --help`."),
        ("run --alert-below high", "idxflow run --alert-below: expected a number, found 'high'."),
        ("runs --json --no-json", "idxflow runs: expected an option that it has, found --no-json."),
    ],
)
def test_a_refusal_says_what_belongs_there_and_what_was_meant(
    line: str, words: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line: where, what is wanted, what was found, the nearest name, and the page of help that is about it."""
    assert_refused(line.split(), words, desk, capsys)
