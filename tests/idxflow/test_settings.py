"""Settings: which source wins, what a value may be, and how wrong ones and wrong command lines are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from idxflow.cli.settings import Settings, load_settings, mirror_address, parse_value
from schemas.errors import UsageError
from schemas.training import Training
from tests.idxflow.conftest import assert_refused


def test_without_any_source_the_defaults_hold(desk: Path) -> None:
    """Nothing set: the tutorial's training, and a home folder in the working folder, as an absolute path."""
    settings = load_settings({})
    assert settings == Settings(home=desk / ".idxflow")
    assert settings.training == Training(profile="tutorial")
    assert settings.home == desk / ".idxflow"


def test_a_stronger_source_wins_value_by_value(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flags over environment over idxflow.toml over pyproject.toml over defaults, each value for itself."""
    (desk / "pyproject.toml").write_text(
        "[project]\nname = 'x'\n[tool.idxflow]\nhome = 'p'\nrefresh = ['parse']\n"
        "[tool.idxflow.training]\nepochs = 1\nseed = 1\nmomentum = 0.1\nbatch_size = 1\n"
    )
    (desk / "idxflow.toml").write_text("home = 't'\n[training]\nepochs = 2\nseed = 2\nmomentum = 0.2\n")
    monkeypatch.setenv("IDXFLOW_TRAINING__EPOCHS", "3")
    monkeypatch.setenv("IDXFLOW_TRAINING__SEED", "3")
    monkeypatch.setenv("IDXFLOW_HOME", "e")
    settings = load_settings({"home": "f"}, ["training.epochs=4"])
    training = settings.training
    assert settings.home == desk / "f"
    assert settings.refresh == ("parse",)
    assert (training.epochs, training.seed, training.momentum, training.batch_size) == (4, 3, 0.2, 1)
    assert training.learning_rate == Training().learning_rate


def test_a_flag_that_is_not_given_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """None for a flag leaves the value to the other sources, False does not."""
    monkeypatch.setenv("IDXFLOW_EPHEMERAL", "1")
    assert load_settings({"ephemeral": None}).ephemeral
    assert not load_settings({"ephemeral": False}).ephemeral


@pytest.mark.parametrize("text", ["[100, 50]", "[100,50]"])
def test_lists_are_written_alike_everywhere(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list has the same form in --set and in the environment."""
    assert load_settings({}, [f"training.hidden={text}"]).training.hidden == (100, 50)
    monkeypatch.setenv("IDXFLOW_TRAINING__HIDDEN", text)
    assert load_settings({}).training.hidden == (100, 50)


def test_a_variable_lists_words_without_ceremony(monkeypatch: pytest.MonkeyPatch) -> None:
    """IDXFLOW_MIRROR and IDXFLOW_REFRESH take words, parted by commas or spaces."""
    monkeypatch.setenv("IDXFLOW_MIRROR", "http://one/ https://two/mnist")
    monkeypatch.setenv("IDXFLOW_REFRESH", "parse,train")
    settings = load_settings({})
    assert settings.mirror == ("http://one/", "https://two/mnist")
    assert settings.refresh == ("parse", "train")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10", 10),
        ("1e-3", 0.001),
        ("true", True),
        ("relu", "relu"),
        ('"relu"', "relu"),
        ("[1, 2]", [1, 2]),
        ("", ""),
        ("1\nother = 2", "1\nother = 2"),
    ],
)
def test_a_value_is_toml_or_else_plain_text(text: str, value: object) -> None:
    """Numbers, booleans, lists and quoted strings are read as TOML has them; words need no quotes."""
    assert parse_value(text) == value


def test_a_mirror_is_an_address_or_a_folder(desk: Path) -> None:
    """Addresses stay as they are, an existing folder becomes a file address."""
    (desk / "my files").mkdir()
    assert mirror_address("http://localhost:8000/mnist") == "http://localhost:8000/mnist"
    assert mirror_address("file:///srv/mnist/") == "file:///srv/mnist/"
    assert mirror_address("my files") == (desk / "my files").as_uri()
    for wrong in ("nowhere", "localhost:8000", "ftp://host/mnist", "http://", "http:/mnist"):
        with pytest.raises(UsageError, match=f"mirror {wrong}: expected an http, https or file address, or an exist"):
            mirror_address(wrong)


def test_a_mirror_below_the_home_folder(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` is the user's own folder, that of nobody is no folder, and a Windows path is told as one."""
    monkeypatch.setenv("HOME", str(desk))
    (desk / "data").mkdir()
    assert mirror_address("~/data") == (desk / "data").as_uri()
    with pytest.raises(UsageError, match=r"mirror ~nobody-at-all/data: expected .* found no such folder"):
        mirror_address("~nobody-at-all/data")
    with pytest.raises(UsageError, match=r"^mirror: expected a path of this machine, .* found the Windows path C:"):
        mirror_address("C:\\data")


def test_the_profile_has_one_place() -> None:
    """The training's profile is set with the option of that name and refused elsewhere."""
    assert load_settings({"profile": "tutorial"}).training == Training()
    assert load_settings({"profile": "tuned"}).training == Training(profile="tuned")
    assert load_settings({"profile": "tuned"}, ["training.shift=1"]).training == Training(profile="tuned", shift=1)
    with pytest.raises(UsageError, match=r"training\.profile: expected no such name"):
        load_settings({}, ["training.profile=tutorial"])


@pytest.mark.parametrize("assignment", ["training.epochs", "=3", "training.=3", ".epochs=3", "training..epochs=3", ""])
def test_an_assignment_needs_a_name_and_a_value(assignment: str) -> None:
    """What is not NAME=VALUE is refused with an example."""
    with pytest.raises(UsageError, match=r"--set: expected NAME=VALUE, as training.epochs=10, found"):
        load_settings({}, [assignment])


def test_a_value_cannot_be_a_level_too() -> None:
    """Values below a name that has a value itself are refused."""
    with pytest.raises(UsageError, match="--set"):
        load_settings({}, ["training=3", "training.epochs=3"])


def test_a_broken_file_is_named(desk: Path) -> None:
    """A settings file that is not TOML is named, with the place of the mistake."""
    (desk / "idxflow.toml").write_text("home = 3 x")
    with pytest.raises(UsageError, match=r"idxflow.toml: expected TOML, found .*line 1"):
        load_settings({})


@pytest.mark.parametrize("given", ["", "  "])
def test_an_empty_home_is_refused(given: str) -> None:
    """What a variable holds that was never set would be the working folder: it is no home."""
    with pytest.raises(UsageError, match="--home: expected a folder, found an empty text"):
        load_settings({"home": given})


def test_a_file_is_no_home(desk: Path) -> None:
    """A home that is a file is refused before anything runs."""
    (desk / "note.txt").write_text("x")
    with pytest.raises(UsageError, match=r"note\.txt: expected a folder, found a file"):
        load_settings({"home": "note.txt"})


COMMANDS = (
    "server, alias, compare, completion, describe, doctor, export, gc, hints, lineage, page, pin, plan, predict, "
    "promote, remote, run, runs, show, trust, tune, up, verify"
)


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
        ("training=3", "a table with activation, batch_size, calibrate, decay, dropout, epochs,"),
        ("ephemeral=perhaps", "true or false, found 'perhaps'."),
        ("home=3", "a text, found 3."),
        ("training.seeds=3", "one of activation, batch_size, calibrate, decay, dropout, epochs,"),
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
    assert said.startswith(
        "--set training.epoch: expected one of activation, batch_size, calibrate, decay, dropout, epochs,"
    )
    assert "profile" not in said
    assert said.endswith("found the name epoch. Did you mean epochs? Nothing has run.")
    assert "Did you mean training?" in refusal({}, "trainin.epochs=3")
    assert "Did you mean training.epochs?" in refusal({}, "epochs=3")
    assert "Did you mean training.learning_rate?" in refusal({}, "learning-rate=3")


def test_every_source_is_named(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong value is told with the place that it was set in: file, variable, --set, flag; the strongest."""
    (desk / "pyproject.toml").write_text("[tool.idxflow]\nrefresh = ['a']\n")
    assert refusal().startswith("pyproject.toml: refresh: expected a list (any number), each one of pack, group,")
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
        ("server frob", "idxflow server: expected one of start, password, stop, status, list, found 'frob'."),
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
