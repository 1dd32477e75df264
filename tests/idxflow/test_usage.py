"""Wrong settings and command lines: the place, the allowed values, the found value."""

from __future__ import annotations

from pathlib import Path

import pytest

from idxflow.cli.settings import load_settings
from schemas.errors import UsageError
from tests.idxflow.conftest import assert_refused

COMMANDS = "server, alias, compare, export, gc, lineage, pin, plan, run, runs, show, trust, up, verify"


def refusal(flags: dict[str, object] | None = None, *assignments: str) -> str:
    """Return what loading these settings is refused with."""
    with pytest.raises(UsageError) as caught:
        load_settings(flags or {}, assignments)
    return str(caught.value)


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("training.epochs=0", "a whole number at least 1 and at most 10000, found 0."),
        ("training.epochs=ten", "a whole number at least 1 and at most 10000, found 'ten'."),
        ("training.memory=lots", "a value as 2GB or 500MB, found 'lots'."),
        ("training.momentum=1", "a number at least 0 and below 1, found 1."),
        ("training.learning_rate=0", "a number above 0 and at most 10, found 0."),
        ("training.optimizer=adam", "one of sgd, adamw, found 'adam'."),
        ("training.shift=17", "a whole number at least 0 and at most 16, found 17."),
        ("training.activation=foo", "one of tanh, relu, sigmoid, elu, gelu, found 'foo'."),
        ("training.hidden=[50, 0]", "a list (at most 16), each a whole number at least 1 and at most 8192, found 0."),
        ("training=3", "a table with activation, batch_size, decay, dropout, epochs,"),
        ("ephemeral=perhaps", "true or false, found 'perhaps'."),
        ("home=3", "a text, found 3."),
    ],
)
def test_a_wrong_value_is_told_with_what_is_allowed(assignment: str, words: str) -> None:
    """The refusal names the option, the allowed values and the found one, and that nothing has run."""
    said = refusal({}, assignment)
    assert said.startswith(f"--set {assignment.partition('=')[0]}: expected {words}")
    assert said.endswith("Nothing has run.")


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    """A name that does not exist: the names of its level, and the nearest of them."""
    said = refusal({}, "training.epoch=3")
    assert said.startswith("--set training.epoch: expected one of activation, batch_size, decay, dropout, epochs,")
    assert "profile" not in said
    assert said.endswith("found the name epoch. Did you mean epochs? Nothing has run.")
    assert "Did you mean training?" in refusal({}, "trainin.epochs=3")
    assert "Did you mean training.epochs?" in refusal({}, "epochs=3")
    assert "Did you mean training.learning_rate?" in refusal({}, "learning-rate=3")


def test_every_source_is_named(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong value is told with the place that it was set in: file, variable, --set, flag; the strongest."""
    (desk / "pyproject.toml").write_text("[tool.idxflow]\nrefresh = ['a']\n")
    assert refusal().startswith("pyproject.toml: refresh: expected a list (any number), each one of download, verify,")
    (desk / "idxflow.toml").write_text("refresh = ['b']\n")
    assert refusal().startswith("idxflow.toml: refresh: ")
    monkeypatch.setenv("IDXFLOW_REFRESH", "c")
    assert refusal().startswith("IDXFLOW_REFRESH: ")
    assert refusal({}, 'refresh=["d"]').startswith("--set refresh: ")
    said = refusal({"refresh": ["e"]}, 'refresh=["d"]')
    assert said.startswith("--refresh: ")
    assert "found 'e'" in said


def test_a_nested_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong value from a variable of a nested name is told with that variable."""
    monkeypatch.setenv("IDXFLOW_TRAINING__EPOCHS", "many")
    assert refusal().startswith("IDXFLOW_TRAINING__EPOCHS: expected a whole number")


def test_further_mistakes_are_named_too() -> None:
    """The first mistake is told in full, the others by name."""
    said = refusal({"refresh": ["x"]}, "training.epochs=0", "training.seed=-1")
    assert "Also wrong: refresh, training.seed." in said
    assert refusal({"profile": "tunde"}).endswith("found 'tunde'. Did you mean tuned? Nothing has run.")
    assert refusal({"refresh": ["trian"]}).endswith("found 'trian'. Did you mean train? Nothing has run.")
    assert refusal({"alert_below": 2}).startswith("--alert-below: expected a number at least 0 and at most 1, found 2.")
    assert refusal({"profile": "fast"}) == "--profile: expected one of tutorial, tuned, found 'fast'. Nothing has run."


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("IDXFLOW_DATSET", "IDXFLOW_DATASET"),
        ("IDXFLOW_TRAINING_EPOCHS", "IDXFLOW_TRAINING__EPOCHS"),
        ("idxflow_mirrors", "IDXFLOW_MIRROR"),
        ("IDXFLOW_EPOCHS", "IDXFLOW_TRAINING__EPOCHS"),
    ],
)
def test_a_misspelt_variable_is_heard(variable: str, meant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that nearly has one of our names is refused with the one that was meant."""
    monkeypatch.setenv(variable, "x")
    assert refusal() == f"{variable}: expected {meant}, found a name that nothing reads. Nothing has run."


@pytest.mark.parametrize("variable", ["IDXFLOW_MNIST_DIR", "IDXFLOW_SOMETHING_ELSE"])
def test_a_variable_of_somebody_else_is_let_be(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An IDXFLOW_ variable that is nothing like ours is none of our business."""
    monkeypatch.setenv(variable, "x")
    load_settings({})


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
