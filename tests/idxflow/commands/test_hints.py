"""`idxflow hints`: the labels that are worth a second look, as a table, JSON and CSV."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from artifacts.store.store import Store
from idxflow.api import Archive, ArchivedRun
from idxflow.cli.ending import DONE, WRONG_USAGE
from idxflow.cli.main import main
from idxflow.hinting.hints import LabelHint, LabelHints, file_names, write_hints
from idxflow.views.hints import print_hints
from schemas.catalog import load_dataset
from schemas.errors import UsageError
from schemas.held_out import HeldOut
from schemas.results import PREDICTIONS
from schemas.source import FILES, ROWS
from tasks.formats.ledger import Row, write_ledger
from tasks.quality.hints import find_hints
from tests.artifacts.archive.history import stage_record, write_run
from tests.artifacts.building import build
from tests.flows.own_sets import OwnSet
from tests.idxflow.conftest import Screen
from tests.processes import PROJECT, bare_environment, run_python

HINT = LabelHint(sample=41, file="", label="oak", predicted="=beech", probability=0.981, loss=4.5, excess=4.25)
FOUND = LabelHints(run="a" * 12, dataset="leaves", folds=None, images=60, agreed=50, worth=3, hints=(HINT,))


def test_hints_of_a_run(
    kept: Archive, run: ArchivedRun, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table has what the stored predictions say, under the names of classes; --json has the same, --most fewer."""
    monkeypatch.setattr("tasks.quality.hints.WORTH", 0.2)  # after two epochs no loss is far above the others
    expected = find_hints(run.artifact("evaluate").folder / PREDICTIONS, 50)
    assert main(["hints", "--home", str(kept.store.home), "--json"]) == DONE
    found = json.loads(capsys.readouterr().out)
    assert (found["run"], found["folds"], found["images"], found["worth"]) == (run.id, None, 1500, expected.worth)
    assert [(each["sample"], each["label"]) for each in found["hints"]] == [
        (hint.sample_id, str(hint.label)) for hint in expected.first
    ]
    assert main(["hints", "train/", "--most", "2", "--home", str(kept.store.home)]) == DONE
    lines = capsys.readouterr().out.splitlines()
    header = next(number for number, line in enumerate(lines) if line.startswith("sample"))
    assert [line.split()[0] for line in lines[header + 1 : header + 3]] == [
        str(hint.sample_id) for hint in expected.first[:2]
    ]
    assert not lines[header + 3]
    assert "the first 2 of them below" in " ".join(lines)
    assert len(run.hints(3).hints) == 3


def test_networks_that_were_not_trained(run: ArchivedRun) -> None:
    """The API trains nothing: it says how to."""
    record = run.record.model_copy(update={"held_out": HeldOut(way="last", rows=150, of=1500)})
    with pytest.raises(UsageError, match=r"expected scores of 3 networks .* `idxflow hints \w+ --folds 3` trains them"):
        ArchivedRun(run.store, record).hints(folds=3)


def test_the_csv_becomes_corrections(tmp_path: Path) -> None:
    """A line whose label is changed is a correction, and no cell of the file is a formula."""
    own = OwnSet(tmp_path / "set")
    own.describe()
    write_hints(path := own.folder / "corrections.csv", FOUND)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["sample", "file", "split", "label", "predicted", "probability", "loss", "who", "why"]
    assert rows[1] == ["41", "", "train", "oak", "'=beech", "0.981", "4.5", "", ""]
    path.write_text(path.read_text().replace("train,oak", "train,beech"))
    (row,) = load_dataset(own.toml).corrected["train"].rows
    assert (row.sample, row.label) == (41, 1)


def test_a_csv_is_not_written_over(tmp_path: Path, kept: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    """What may hold a person's work stays."""
    (path := tmp_path / "hints.csv").write_text("mine")
    assert main(["hints", "--csv", str(path), "--home", str(kept.store.home)]) == WRONG_USAGE
    assert "expected a new file, found one that is there" in capsys.readouterr().err
    assert path.read_text() == "mine"
    with pytest.raises(UsageError, match="No such file or directory"):
        write_hints(tmp_path / "none" / "hints.csv", FOUND)


def test_file_names_and_odd_texts(screen: Screen, tmp_path: Path) -> None:
    """A file's name is shown where there is one, what to do follows, and nothing steers the terminal."""
    print_hints(screen, FOUND, tmp_path / "hints.csv")
    shown = screen.text.getvalue()
    assert "file" not in shown.partition("sample")[2].partition("\n")[0]
    assert "corrections.csv" in shown
    assert "hints.csv" in shown
    assert "by heart" not in shown
    odd = HINT.model_copy(update={"file": "oak/\x1b[2J\u202e1.png"})
    print_hints(screen, FOUND.model_copy(update={"hints": (odd,), "agreed": 60, "folds": 5}))
    more = screen.text.getvalue().removeprefix(shown)
    assert "oak/\\x1b[2J\\u202e1.png" in more
    assert "5 networks, each about images that it has not seen" in more


def test_what_was_learned_by_heart(screen: Screen) -> None:
    """Where nothing stands out because the network agrees with every label, folds are offered."""
    print_hints(screen, FOUND.model_copy(update={"hints": (), "worth": 0, "agreed": 60}))
    shown = " ".join(screen.text.getvalue().split())
    assert "Worth a look: no label" in shown
    assert "by heart. `--folds 5` asks networks that have not seen them" in shown


def test_a_packed_image_is_called_by_its_file(store: Store) -> None:
    """Of a set that was packed the ledger tells which file a sample is, through the rows of a split that was cut."""
    ledger = [
        Row("oak/b.png", 10, split="train", sample=0, samples=1),
        Row("a.npz", 9, split="train", sample=1, samples=3),
    ]
    (folder := store.home / "made").mkdir(parents=True)
    write_ledger(folder / FILES, ledger, "")
    np.save(folder / ROWS, np.array([3, 0], np.uint32))
    packed = build(store, {FILES: (folder / FILES).read_bytes()}, "pack")
    table = build(store, {ROWS: (folder / ROWS).read_bytes()}, "parse")
    rows = [stage_record(packed), stage_record(table).model_copy(update={"name": "train"})]
    find = file_names(store, write_run(store, "a" * 12, rows))
    assert [find(0), find(1), find(2)] == ["a.npz, row 2", "oak/b.png", ""]
    assert file_names(store, write_run(store, "b" * 12, rows[1:]))(0) == ""


@pytest.mark.slow
def test_folds_are_trained_once(desk: Path) -> None:
    """The command trains them and prints JSON alone; asked again it trains nothing, and needs no server."""
    environment = bare_environment(PYTHONPATH=str(PROJECT))
    words = "run --dataset digits --set training.epochs=2 --ephemeral"
    run_python("-m", "idxflow", *words.split(), cwd=desk, environment=environment)
    asked = ["-m", "idxflow", "hints", "--folds", "2", "--ephemeral", "--json"]
    output, errors = run_python(*asked, cwd=desk, environment=environment)
    first = json.loads(output)
    assert (first["dataset"], first["folds"], first["images"]) == ("digits", 2, 1500)
    assert "crosscheck" in errors
    output, errors = run_python(*asked, cwd=desk, environment=environment)
    assert json.loads(output) == first
    assert "crosscheck" not in errors
