"""Wrong usages as people type them: each is one line with subject, expected, found and a way out, and exit code 2."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from artifacts.ref import Ref
from artifacts.store.store import Store
from idxflow.cli.ending import WRONG_USAGE
from idxflow.cli.main import main
from idxflow.cli.meaning import is_parted, of_command, of_number, of_option, of_word, quoted
from idxflow.cli.options import STAGES
from idxflow.cli.usage import STATED
from tests.artifacts.archive.history import stage_record, write_run
from tests.artifacts.building import build

HELP = "See `idxflow run --help`."
LISTS = "`idxflow runs` lists runs"
WITHOUT_STORE = (
    # commands
    ("frob", "idxflow: expected one of server, alias, ", "'frob'", "See `idxflow --help`."),
    ("RUN", "idxflow: expected one of ", "'RUN'", "Did you mean run?"),
    ("rnu", "idxflow: expected one of ", "'rnu'", "Did you mean run?"),
    ("train", "idxflow: expected one of ", "'train'", "Did you mean run?"),
    ("ls", "idxflow: expected one of ", "'ls'", "Did you mean runs?"),
    ("diff a b", "idxflow: expected one of ", "'diff'", "Did you mean compare?"),
    ("stop", "idxflow: expected one of ", "'stop'", "Did you mean server stop?"),
    ("mnist", "idxflow: expected one of ", "'mnist'", "Did you mean idxflow run --dataset mnist?"),
    ("--dataset mnist", "idxflow: expected a command before its options", "--dataset", "idxflow run --dataset"),
    ("--epochs 10", "idxflow: expected a command before its options", "--epochs", "run --set training.epochs=10"),
    (
        "server frob",
        "idxflow server: expected one of start, password, stop, status, list",
        "'frob'",
        "idxflow server --help",
    ),
    ("server strat", "idxflow server: expected one of ", "'strat'", "Did you mean start?"),
    ("remote run", "idxflow remote: expected one of status, ", "'run'", "Did you mean idxflow run?"),
    # words that nothing takes, and words that are missing
    ("run mnist", "idxflow run: expected no further word", "'mnist'", "Did you mean --dataset mnist?"),
    ("run minst", "idxflow run: expected no further word", "'minst'", "Did you mean --dataset mnist?"),
    ("plan digits", "idxflow plan: expected no further word", "'digits'", "Did you mean --dataset digits?"),
    ("run train", "idxflow run: expected no further word", "'train'", "Did you mean --refresh train?"),
    ("run epochs=3", "idxflow run: expected no further word", "'epochs=3'", "Did you mean --set training.epochs=3?"),
    ("run ''", "idxflow run: expected no further word", "''", HELP),
    ("runs -3", "idxflow runs: expected no further word", "'-3'", "Did you mean -n 3?"),
    ("compare a b c", "idxflow compare: expected no further word", "'c'", "See `idxflow compare --help`."),
    ("gc --older-than 3 weeks", "idxflow gc: expected no further word", "'weeks'", "See `idxflow gc --help`."),
    ("show", "idxflow show: expected WORD after it", "none", "See `idxflow show --help`."),
    ("compare a", "idxflow compare: expected RUN_B after it", "none", "See `idxflow compare --help`."),
    ("export latest", "idxflow export: expected DIR after it", "none", "See `idxflow export --help`."),
    ("predict latest", "idxflow predict: expected PATH after it", "none", "See `idxflow predict --help`."),
    ("promote latest", "idxflow promote: expected ALIAS after it", "none", "See `idxflow promote --help`."),
    ("completion", "idxflow completion: expected SHELL after it", "none", "See `idxflow completion --help`."),
    # options that are not there
    ("run --epochs 10", "idxflow run: expected an option that it has", "--epochs", "--set training.epochs=10?"),
    ("run --epochs=10", "idxflow run: expected an option that it has", "--epochs", "--set training.epochs=10?"),
    ("run --epoch 10", "idxflow run: expected an option that it has", "--epoch", "--set training.epochs=10?"),
    ("run --lr 0.1", "idxflow run: expected an option that it has", "--lr", "--set training.learning_rate=0.1?"),
    ("tune --hidden 100,50", "idxflow tune: expected an option that", "--hidden", "--set training.hidden=[100,50]?"),
    ("run -v", "idxflow run: expected an option that it has", "-v", "Did you mean --verbose?"),
    ("run --debug", "idxflow run: expected an option that it has", "--debug", "Did you mean --verbose?"),
    ("verify --fix", "idxflow verify: expected an option that it has", "--fix", "Did you mean --repair?"),
    ("describe --fix x", "idxflow describe: expected an option that it has", "--fix", "Did you mean --fit?"),
    ("runs --limit 3", "idxflow runs: expected an option that it has", "--limit", "Did you mean --number?"),
    ("hints --limit 3", "idxflow hints: expected an option that it has", "--limit", "Did you mean --most?"),
    ("gc -y", "idxflow gc: expected an option that it has", "-y", "Did you mean --yes?"),
    ("run --no-cache", "idxflow run: expected an option that it has", "--no-cache", "Did you mean --refresh?"),
    ("run --Dataset x", "idxflow run: expected an option that it has", "--Dataset", "Did you mean --dataset?"),
    ("run --datset x", "idxflow run: expected an option that it has", "--datset", "Did you mean --dataset?"),
    ("run -dataset x", "idxflow run: expected an option that it has", "-dataset", "Did you mean --dataset?"),
    ("runs --no-json", "idxflow runs: expected an option that it has", "--no-json", "See `idxflow runs --help`."),
    ("run --help=3", "idxflow run: expected --help without a value", "--help=3", HELP),
    # values that are missing, too many, or of another kind
    ("run --dataset", "idxflow run: expected a value after --dataset", "none", HELP),
    ("run --set", "idxflow run: expected a value after --set", "none", HELP),
    ("run --home a --home b", "idxflow run: expected --home once", "it several times", HELP),
    ("run --json=maybe", "idxflow run --json: expected no value, or true or false", "'maybe'", HELP),
    ("gc --yes=3", "idxflow gc --yes: expected no value, or true or false", "'3'", "See `idxflow gc --help`."),
    ("completion csh", "idxflow completion SHELL: expected one of bash, zsh, fish", "'csh'", "Did you mean zsh?"),
    ("run --alert-below 95", "--alert-below: expected a number at least 0 and at most 1", "95.0", "mean 0.95?"),
    ("run --alert-below 95%", "idxflow run --alert-below: expected a number", "'95%'", "Did you mean 0.95?"),
    ("run --fail-below high", "idxflow run --fail-below: expected a number", "'high'", HELP),
    ("run --test-fraction 20", "--test-fraction: expected a number above 0 and below 1", "20.0", "mean 0.2?"),
    ("runs -n x", "-n: expected a whole number at least 1", "'x'", "See `idxflow runs --help`."),
    ("gc --keep -1", "--keep: expected a whole number at least 0", "'-1'", "See `idxflow gc --help`."),
    ("run --workers 1.5", "--workers: expected a whole number at least 1", "'1.5'", HELP),
    ("run --background 1.5", "--background: expected a whole number at least 0", "'1.5'", HELP),
    ("gc --older-than 3", "--older-than: expected a whole number of hours, days or weeks", "'3'", "idxflow gc --help"),
    ("run --size 28", "--size: expected rows x columns, as 28x28", "'28'", HELP),
    ("run --fit padd", "--fit: expected one of exact, pad, stretch", "'padd'", "Did you mean pad?"),
    ("run --color red", "--color: expected one of gray, rgb", "'red'", HELP),
    ("run --runner dsk", "--runner: expected one of threads, dask", "'dsk'", "Did you mean dask?"),
    ("run --profile tund", "--profile: expected one of tutorial, tuned", "'tund'", "Did you mean tuned?"),
    ("run --refresh trian", "--refresh: expected a list (any number)", "'trian'", "Did you mean train?"),
    ("run --promote Champion!", "--promote: expected a value as champion or ", "'Champion!'", HELP),
    ("tune --objective acuracy", "--objective: expected one of accuracy, loss", "'acuracy'", "Did you mean accuracy?"),
    # the configuration
    (
        "run --set training.hidden=[50, 50]",
        "--set: expected NAME=VALUE",
        "'training.hidden=[50,'",
        "quote it: --set 'training.hidden=[50, 50]'",
    ),
    ("run --set 'training.hidden=[50,'", "--set: expected NAME=VALUE", "'training.hidden=[50,'", "is not closed"),
    ("run --set training.epochs", "--set: expected NAME=VALUE, as training.epochs=10", "'training.epochs'", HELP),
    ("run --set training.epochs=0", "--set training.epochs: expected a whole number at least 1", "0", HELP),
    ("run --set training.epoch=3", "--set training.epoch: expected one of ", "the name epoch", "Did you mean epochs?"),
    ("run --set epochs=3", "--set epochs: expected one of ", "the name epochs", "Did you mean training.epochs?"),
    # places
    ("run --dataset nowhere/", "data set: expected one of digits, ", "nothing at nowhere", "Correct the path."),
    ("run --mirror nowhere", "mirror nowhere: expected an http", "no such folder", "Write http:// before a host."),
    ("run --home ''", "--home: expected a folder", "an empty text", "Leave it out for .idxflow"),
    ("describe x --out x.txt", "--out: expected a new .toml file", "the ending .txt", "Name another"),
    # what does not go together
    ("run --cluster tcp://x:1 --workers 2", "--workers: expected no number beside --cluster", "2", "Leave one"),
    ("tune --promote champion", "--promote: expected no promotion by a sweep", "champion", "Then: idxflow run"),
    ("lineage a --json --mermaid", "--json, --mermaid: expected one of them", "both", "idxflow lineage --help"),
    ("trust --renew --forget", "--renew, --forget: expected one of them", "both", "See `idxflow trust --help`."),
    ("trust --renew", "--renew: expected a data set to go with it", "none", "See `idxflow trust --help`."),
    ("alias --remove", "--remove: expected an alias alone", "none", "See `idxflow alias --help`."),
    ("pin --remove", "--remove: expected a run or a version to go with it", "none", "`idxflow pin` lists the pins."),
)
WITH_STORE = (
    ("runs --dataset minst", "--dataset: expected a data set that has runs: mnist", "'minst'", "Leave it out"),
    ("show ffff", "'ffff': expected the beginning of a run's id", "nothing of that name", LISTS),
    ("compare latest nope", "'nope': expected the beginning of a run's id", "nothing of that name", LISTS),
    (
        "alias Bad latest",
        "alias 'Bad': expected up to 64 lower-case letters",
        "other characters",
        "idxflow alias --help",
    ),
    ("alias nope", "alias 'nope': expected one that is or was set", "none", "Set it with: idxflow alias nope WORD"),
    ("export latest .", "", "the working folder", "Name another."),
    ("predict latest a.png --out x.txt", "x.txt: expected the ending .csv or .parquet", "the ending .txt", "--help"),
)


def check_refusal(errors: str, expected: str, found: str, way_out: str) -> None:
    """Check that a line has the four parts, and that the way out is one."""
    assert errors.count("\n") == 1
    assert errors.startswith(f"ERROR {expected}"), errors
    head, parted, rest = errors.rstrip("\n").partition(f", found {found}. ")
    assert parted, errors
    assert ": expected " in head
    assert way_out in rest, errors
    assert rest not in STATED


@pytest.mark.parametrize(("line", "expected", "found", "way_out"), WITHOUT_STORE, ids=[row[0] for row in WITHOUT_STORE])
def test_wrong_usage_has_four_parts(
    line: str, expected: str, found: str, way_out: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong command line is exit code 2 and one line that says what is wanted, what was found, and what to do."""
    assert main(shlex.split(line)) == WRONG_USAGE
    output, errors = capsys.readouterr()
    assert not output
    check_refusal(errors, expected, found, way_out)
    assert not list(desk.iterdir())


@pytest.mark.parametrize(("line", "expected", "found", "way_out"), WITH_STORE, ids=[row[0] for row in WITH_STORE])
def test_a_wrong_word_for_what_is_stored_has_them_too(
    line: str, expected: str, found: str, way_out: str, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """So is a word that stands for nothing in a store."""
    ref: Ref = build(store, {"model.keras": b"weights"}, "train")
    write_run(store, "a" * 12, [stage_record(ref)])
    assert main(shlex.split(line)) == WRONG_USAGE
    output, errors = capsys.readouterr()
    assert not output
    check_refusal(errors, expected, found, way_out)


def test_there_are_sixty_of_them() -> None:
    """The list is as long as it is said to be, and no line is in it twice."""
    lines = [row[0] for row in (*WITHOUT_STORE, *WITH_STORE)]
    assert len(set(lines)) == len(lines) >= 60


OPTIONS = {"dataset": "--dataset", "set": "--set", "refresh": "--refresh", "home": "--home"}


@pytest.mark.parametrize(
    ("word", "value", "meant"),
    [
        ("--hidden", "100, 50", "Did you mean --set training.hidden=[100,50]? "),
        ("--hidden", "[100,50]", "Did you mean --set training.hidden=[100,50]? "),
        ("--batch_size", "32", "Did you mean --set training.batch_size=32? "),
        ("--patience", None, "Did you mean --set training.patience=VALUE? "),
        ("--patience", "--json", "Did you mean --set training.patience=VALUE? "),
        ("--data", "x", "Did you mean --dataset? "),
        ("--nothing-like-it", None, ""),
        ("-x", None, ""),
    ],
)
def test_an_option_is_what_it_was_meant_to_be(word: str, value: str | None, meant: str) -> None:
    """A field of the configuration is set, another program's word is ours, and what is near nothing is left alone."""
    assert of_option(word, value, OPTIONS) == meant


def test_a_field_is_suggested_only_where_it_can_be_set() -> None:
    """A command without --set has no way to take an epoch."""
    assert of_option("--epochs", "3", {"home": "--home"}) == ""


@pytest.mark.parametrize(
    ("found", "meant"), [(95, "0.95"), ("95%", "0.95"), (2, "0.02"), (1.5, ""), (101, ""), (-3, ""), ("high", "")]
)
def test_a_percentage_is_a_share(found: object, meant: str) -> None:
    """From 2 to 100 a number that should be a share is a percentage; of any other bound nothing is said."""
    assert of_number(found, 1) == (f"Did you mean {meant}? " if meant else "")
    assert of_number(found, 255) == ""


@pytest.mark.parametrize(
    ("parts", "way_out"),
    [
        (["a=[1,", "2]"], "--set 'a=[1, 2]'. "),
        (["a=[1,", "2,", "3]", "b=4"], "--set 'a=[1, 2, 3]'. "),
        (['a="x', 'y"'], "--set 'a=\"x y\"'. "),
        (["a=[1,"], "A bracket or quotation mark is not closed. "),
    ],
)
def test_what_the_shell_has_parted_is_put_together(parts: list[str], way_out: str) -> None:
    """The whole of a value is shown in quotation marks, without what stands behind it."""
    assert is_parted(parts[0])
    assert quoted(parts).endswith(way_out)


@pytest.mark.parametrize("whole", ["a=[1,2]", "a=1", "a='x'", "a"])
def test_what_is_whole_is_not_parted(whole: str) -> None:
    """A value with all its brackets and quotation marks is as it was typed."""
    assert not is_parted(whole)


def test_a_word_for_a_place_is_a_data_set(desk: Path) -> None:
    """A path that is there is one, quoted where a shell would part it; one that is not is nothing."""
    assert of_word("my photos", OPTIONS) == of_command("my photos", ("run",)) == ""
    (desk / "my photos").mkdir()
    assert of_word("my photos", OPTIONS) == "Did you mean --dataset 'my photos'? "
    assert of_command("my photos", ("run",)) == "Did you mean idxflow run --dataset 'my photos'? "
    assert of_word("parse", OPTIONS, STAGES) == "Did you mean --refresh parse? "
    assert of_word("dataset=digits", OPTIONS) == "Did you mean --set dataset=digits? "
