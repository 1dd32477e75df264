"""`idxflow runs`."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from artifacts.archive.runs import RunState
from artifacts.ref import Ref
from artifacts.store.holds import Hold
from artifacts.store.store import Store
from flows.dag import STAGES
from idxflow.cli.commands.runs import runs
from idxflow.cli.ending import DONE, WRONG_USAGE
from idxflow.cli.main import main
from idxflow.listing.rows import Row, lines_of, row_of
from idxflow.views.layout import local_time
from idxflow.views.runs import computed, run_lines
from schemas.errors import UsageError
from schemas.results import LEAKED, Caveat
from schemas.training import Training
from tests.artifacts.archive.history import FIRST, stage_record, write_long_history, write_run
from tests.processes import PROJECT, bare_environment, run_python


def row(*stages: str, of: int = 20, state: RunState = "completed") -> Row:
    """A run that computed these stages."""
    return Row(
        id="0123456789ab", started=FIRST.isoformat(), dataset="mnist", dataset_id="mnist", profile="tutorial",
        state=state, seconds=1.0, stages=of, computed=stages, test_accuracy=None, order=STAGES,
    )  # fmt: skip


def test_the_list_of_runs(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """A line a run, the newest first, with what is known of each."""
    ref = Ref(stage="train", name="", version="1" * 16, digest="", manifest="")
    write_run(
        store, "a" * 12, [stage_record(ref), stage_record(ref.model_copy(update={"stage": "parse"}), cached=True)]
    )
    write_run(store, "b" * 12, minute=1, state="failed", dataset="digits")
    write_run(store, "c" * 12, minute=2, state="running", dataset="")
    assert runs() == DONE
    when = [local_time(f"2026-01-01T00:0{minute}:00+00:00") for minute in range(3)]
    assert (
        capsys.readouterr().out
        == f"""\
run           when              data set  profile     time     test  95 % interval     state      computed
cccccccccccc  {when[2]}  -         tutorial       -        -  -                 killed     -
bbbbbbbbbbbb  {when[1]}  digits    tutorial  30.0 s        -  -                 failed     nothing
aaaaaaaaaaaa  {when[0]}  mnist     tutorial  30.0 s  96.06 %  95.66 to 96.42 %  completed  train
"""
    )


def test_an_empty_history_says_how_to_make_one(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no run was made yet, the way to make one is told; as JSON it is an empty list."""
    assert runs() == DONE
    assert capsys.readouterr().out == "No runs yet in .idxflow. Start one with: idxflow run\n"
    assert runs(json=True) == DONE
    assert capsys.readouterr().out == "[]\n"


def test_a_home_without_a_store_is_a_wrong_word(desk: Path) -> None:
    """A folder that no run was ever made in is named, and nothing is made there."""
    with pytest.raises(UsageError, match="elsewhere: expected a store"):
        runs(home="elsewhere")
    assert not list(desk.iterdir())


def test_the_newest_twenty_are_shown(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """The number is twenty unless another one is given; how many are left out is told."""
    for number in range(22):
        write_run(store, f"{number:012}", minute=number, dataset="mnist" if number % 2 else "digits")
    runs()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == [f"{number:012}" for number in range(21, 1, -1)]
    assert lines[-1] == "Not shown: 2 older runs. See -n and --all."
    for options, shown in (({"number": 3}, 3), ({"all_": True}, 22), ({"dataset": "digits"}, 11), ({"number": 99}, 22)):
        runs(json=True, **options)
        assert len(json.loads(capsys.readouterr().out)) == shown
    runs(number=21)
    assert capsys.readouterr().out.endswith("\nNot shown: 1 older run. See -n and --all.\n")


def test_an_accuracy_with_a_caveat_is_marked(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """A figure that something voids never stands alone; where nothing does there is no mark and no footnote."""
    write_run(store, "a" * 12, accuracy=0.96)
    runs()
    assert "!" not in capsys.readouterr().out
    write_run(store, "b" * 12, minute=1, accuracy=0.9, caveats=(Caveat(kind=LEAKED, message="All are known."),))
    runs()
    lines = capsys.readouterr().out.splitlines()
    assert ["90.00 % !" in line for line in lines] == [False, True, False, False]
    assert lines[-1] == "!  a caveat voids or weakens this accuracy: idxflow show RUN"
    runs(json=True)
    assert [each["caveats"] for each in json.loads(capsys.readouterr().out)] == [["All are known."], []]


def test_sets_of_one_name_are_told_apart(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Where two sets bear one name each line says which it is, and either word chooses."""
    for number, identity in enumerate(("leaves-11111111", "leaves-22222222")):
        write_run(store, f"{number:012}", minute=number, dataset="leaves", dataset_id=identity)
    write_run(store, "b" * 12, minute=9, dataset="digits")
    runs()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[3] for line in lines[1:]] == ["digits", "leaves-22222222", "leaves-11111111"]
    for word, count in (("leaves", 2), ("leaves-11111111", 1)):
        runs(dataset=word, json=True)
        assert len(json.loads(capsys.readouterr().out)) == count


@pytest.mark.parametrize("number", ["0", "1.5", "-3", "many"])
def test_a_number_of_runs_is_a_whole_one(store: Store, number: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is rounded: what is no whole number from one is wrong usage."""
    write_run(store, "a" * 12)
    assert main(["runs", "-n", number]) == WRONG_USAGE
    assert f"-n: expected a whole number at least 1, found '{number}'." in capsys.readouterr().err


def test_a_data_set_without_runs_is_met_with_those_that_have_some(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing to list of a data set is wrong usage, as a list and as JSON: the others are named."""
    write_run(store, "a" * 12)
    write_run(store, "b" * 12, dataset="digits")
    write_run(store, "c" * 12, dataset="", state="failed")
    for options in ([], ["--json"], ["--all"]):
        assert main(["runs", "--dataset", "minst", *options]) == WRONG_USAGE
        output, errors = capsys.readouterr()
        assert errors.startswith("ERROR --dataset: expected a data set that has runs: digits, mnist, found 'minst'.")
        assert not output


def test_damaged_records_are_not_passed_over(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """A record that does not read is told of; with JSON on standard output, on standard error."""
    (store.runs / "damaged.json").write_text("{")
    runs()
    assert "WARNING Unreadable: 1 run record (damaged.json)." in capsys.readouterr().out
    for number in range(4):
        (store.runs / f"other{number}.json").write_text("{")
    runs(json=True)
    output, errors = capsys.readouterr()
    assert output == "[]\n"
    assert "WARNING Unreadable: 5 run records (damaged.json, other0.json, other1.json, and 2 more)." in errors


def test_a_run_from_the_future_is_told(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that says it will start next century is named, and does not stand above one that began after it."""
    write_run(store, "00000000000a", minute=100 * 525_600, sequence=1)
    write_run(store, "00000000000b", sequence=2)
    assert main(["runs"]) == DONE
    output = capsys.readouterr().out
    assert output.index("00000000000b") < output.index("00000000000a")
    assert "WARNING Dated in the future: 1 run (00000000000a). The clock was wrong then, or is now;" in output


def test_a_row_tells_whether_a_run_goes_on(store: Store) -> None:
    """A run that a process holds is running since its start; moments are UTC."""
    record = write_run(store, "a" * 12, state="running")
    now = datetime(2026, 1, 1, 1, tzinfo=UTC)
    with Hold(store.holds, record.id):
        alive = row_of(store, record, now)
    assert (alive.state, alive.seconds, alive.started) == ("running", 3600.0, "2026-01-01T00:00:00+00:00")
    assert (row_of(store, record, now).state, row_of(store, record, now).seconds) == ("killed", None)


@pytest.mark.parametrize(
    ("stages", "words"),
    [
        ((), "nothing"),
        (("train", "evaluate", "report"), "train evaluate report"),
        (("download", "download", "parse"), "download x 2 parse"),
        (("parse", "parse", "validate", "normalize", "train"), "parse to train"),
        (("download", "parse", "validate", "normalize"), "download parse validate normalize"),
        (("parse", "validate", "normalize", "train", "other"), "parse validate normalize train other"),
        (STAGES * 2 + ("report",) * 2, "all 20"),
    ],
)
def test_what_a_run_computed(stages: tuple[str, ...], words: str) -> None:
    """What was computed is nothing, all, a few stages by name, or many that follow each other by the first and last."""
    assert computed(row(*stages)) == words


def test_what_an_unfinished_run_computed() -> None:
    """A run that failed did not compute all, and one that is under way has not told yet."""
    assert computed(row("download", of=1, state="failed")) == "download"
    assert computed(row(of=0, state="running")) == computed(row(of=0, state="killed")) == "-"


def test_a_narrow_terminal_sees_what_is_wanted_most() -> None:
    """At 80 columns a line is half of the id, no year and no profile, and never wider than the terminal."""
    rows = lines_of([row("train", "evaluate", "report"), row(*STAGES[:3], "train", "report")])
    narrow = [line.plain for line in run_lines(rows, 80)]
    assert narrow[1].startswith(f"01234567  {local_time(FIRST.isoformat())[5:]}  mnist")
    assert narrow[1].endswith("completed  train evaluate report")
    assert narrow[2].endswith("…")
    assert max(map(len, narrow)) == 80
    assert "tutorial" in next(iter(list(run_lines(rows, 120))[1:])).plain


@pytest.mark.slow
def test_a_long_history_is_listed_and_shown_in_half_a_second(store: Store) -> None:
    """With 1,000 runs of 20 stages in the history, `runs` and `show` take less than 0.5 s, the process included."""
    write_long_history(store)
    environment = bare_environment(PYTHONPATH=str(PROJECT))
    for words in (["runs"], ["show", "latest"], ["show", "000000001eef"]):
        took = []
        for _ in range(4):  # the first one may have to compile what it imports
            started = time.perf_counter()
            run_python("-m", "idxflow", *words, cwd=store.home.parent, environment=environment)
            took.append(time.perf_counter() - started)
        assert min(took) < 0.5, words


def test_what_differs_from_the_profile_is_told(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """A run's own settings stand in its line as `--set` takes them; where no run has any there is no such column."""
    write_run(store, "a" * 12)
    runs()
    assert "differs" not in capsys.readouterr().out
    write_run(store, "b" * 12, minute=1, training=Training(hidden=(100, 50), epochs=10))
    runs()
    header, newest, older = capsys.readouterr().out.splitlines()
    assert header.split()[4:6] == ["profile", "differs"]
    assert "tutorial  hidden=[100,50] epochs=10  30.0 s" in newest
    assert "hidden" not in older
    runs(json=True)
    assert [each["differs"] for each in json.loads(capsys.readouterr().out)] == [
        {"hidden": [100, 50], "epochs": 10},
        {},
    ]


def test_seeds_are_one_line_and_can_be_seen_alone(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Three seeds are a line with mean and spread, also where older ones are beyond the number that is listed."""
    for number, accuracy in enumerate((0.95, 0.96, 0.97)):
        write_run(store, f"{number:012}", minute=number, accuracy=accuracy, training=Training(seed=number))
    runs(number=1)
    _, line, note = capsys.readouterr().out.splitlines()
    assert line.startswith("000000000002")
    assert "(3 seeds)" in line
    assert "96.00 ± 1.00 %" in line
    assert line.endswith("3 runs")
    assert note == "±  mean and standard deviation over the seeds of one configuration; --each lists its runs"
    runs(each=True)
    assert [row.split()[5] for row in capsys.readouterr().out.splitlines()[1:]] == ["seed=2", "seed=1", "seed=0"]
    runs(json=True, number=1)
    assert [each["id"] for each in json.loads(capsys.readouterr().out)] == ["000000000002"]


def test_only_the_newest_are_searched_for_seeds(
    store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a long history the newest runs are read, and that is said; with --all each run is."""
    monkeypatch.setattr("idxflow.cli.commands.runs.SEARCHED", 3)
    for number in range(6):
        write_run(store, f"{number:012}", minute=number, training=Training(seed=number))
    runs(number=1)
    output = capsys.readouterr().out
    assert "(3 seeds)" in output
    assert "of one configuration, of the newest 3 runs; --each" in output
    assert "Not shown: 3 older runs." in output
    runs(all_=True)
    assert "(6 seeds)" in capsys.readouterr().out


def test_runs_are_chosen_and_sorted(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Conditions have to hold together, what is left is sorted, and how many are not shown is told."""
    for number, accuracy in enumerate((0.95, 0.97, 0.96, 0.9)):
        settings = Training(epochs=10 + number)
        write_run(store, f"{number:012}", minute=number, accuracy=accuracy, training=settings)

    def listed(*words: str) -> list[str]:
        assert main(["runs", *words]) == DONE
        return [line.split()[0][-1] for line in capsys.readouterr().out.splitlines()[1:] if line.startswith("0")]

    assert listed("--sort", "test") == ["1", "2", "0", "3"]
    assert listed("--sort", "test", "--reverse") == ["3", "0", "2", "1"]
    assert listed("--where", "test>95.5") == ["2", "1"]
    assert listed("--where", "test>95.5", "epochs<12") == ["1"]
    assert main(["runs", "--sort", "epochs", "-n", "2", "--where", "test>0.92"]) == DONE
    assert capsys.readouterr().out.splitlines()[-1] == "Not shown: 1 run. See -n and --all."
    assert main(["runs", "--where", "state=failed"]) == DONE
    assert capsys.readouterr().out == "No run for which this holds.\n"


def test_a_configuration_stands_in_a_narrow_terminal_too() -> None:
    """At 80 columns what differs is still there, before what was computed."""
    own = row("train").model_copy(update={"differs": {"epochs": 10}})
    header, line = (text.plain for text in run_lines(lines_of([own]), 80))
    assert "differs" in header
    assert "epochs=10" in line
    assert len(line) <= 80
