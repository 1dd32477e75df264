"""Sweeps as people see them: pages, lists, JSON, notebooks, and two trials side by side."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from artifacts.engine.direct import recording_directly
from artifacts.ref import Ref
from artifacts.store.store import Store
from flows.run_record import RunRecord, StudyFacts
from idxflow.api import Archive, ArchivedRun, open_store
from idxflow.cli.ending import DONE, WRONG_USAGE
from idxflow.cli.main import main
from schemas.errors import UsageError
from schemas.space import configured, read_space
from schemas.training import Training
from schemas.tuning import Rules, Told, Trials
from tasks.evaluate import evaluate
from tasks.study import study
from tasks.train import train
from tests.artifacts.archive.history import stage_record, write_run
from tests.artifacts.archive.making import clean_up
from tests.artifacts.archive.sweeps import RUN, write_sweep


@pytest.fixture
def swept(store: Store) -> tuple[RunRecord, Ref]:
    """A sweep of 14 trials in the store, with its run."""
    return write_sweep(store, trials=14, pruned=2, failed=1, tests=2)


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return what a command prints."""
    assert main(list(arguments)) == DONE
    output, errors = capsys.readouterr()
    assert not errors
    return " ".join(output.split())


def test_a_run_that_tuned_is_shown(swept: tuple[RunRecord, Ref], capsys: pytest.CaptureFixture[str]) -> None:
    """Winner, tests, ten best trials and the page; trainings of trials are counted, and not listed as stages."""
    page = shown(capsys, "show", RUN)
    facts = swept[0].study
    assert facts
    assert "Trials: 14: 11 complete, 2 pruned, 1 failed; compared by held-out accuracy" in page
    assert f"Winner: trial {facts.winner}: held-out accuracy {100 * (facts.accuracy or 0):.2f} %" in page
    assert "against the profile's own settings the winner is better by more than chance with 2 of 2 seeds" in page
    assert f"study/{swept[1].version}/study.html" in page
    assert "The best 10 trials, of 14" in page
    assert "its loss is no number" in page
    assert re.search(r"\d+ trainings of trials not listed", page)
    winner = next(row.version for row in swept[0].stages if (row.stage, row.name.split()[0]) == ("train", "winner"))
    assert f"train/{winner}/model.keras" in page
    assert "Unknown" not in page


def test_a_study_is_shown(swept: tuple[RunRecord, Ref], capsys: pytest.CaptureFixture[str]) -> None:
    """Its version shows the same, each seed, and what mattered; as JSON all of it."""
    page = shown(capsys, "show", f"study/{swept[1].version[:5]}")
    assert page.startswith(f"Study: study/{swept[1].version} Data set: digits Trials: 14:")
    assert "What mattered: learning_rate" in page
    assert "seed winner the profile's own" in page
    told = json.loads(shown(capsys, "show", "study/", "--json"))
    assert (told["kind"], told["version"], len(told["trials"])) == ("study", swept[1].version, 14)
    assert told["best"] == swept[0].study.winner  # type: ignore[union-attr]
    run = json.loads(shown(capsys, "show", RUN, "--json"))
    assert (run["kind"], run["study"]["version"]) == ("run", swept[1].version)


def test_what_is_gone_is_still_told(
    swept: tuple[RunRecord, Ref], store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a study that was cleaned up the run's record tells the winner; its page is not named."""
    clean_up(store, swept[1])
    page = shown(capsys, "show", RUN)
    assert "Winner: trial" in page
    assert "study.html" not in page
    assert "The best" not in page


def test_a_sweep_is_a_line_of_the_runs(
    swept: tuple[RunRecord, Ref], store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """The list says what it was and how it did; of one that failed, what was asked for."""
    record = write_run(store, "b" * 12, minute=3, state="failed", dataset="digits")
    asked = record.model_copy(update={"sweep": {"trials": 24}})
    (store.runs / f"{record.id}.json").write_text(asked.model_dump_json())
    facts = swept[0].study
    assert facts
    page = shown(capsys, "runs")
    assert f"tune, 14 trials, best {100 * (facts.accuracy or 0):.2f} % held-out" in page
    assert "failed tune, 24 trials asked for" in page
    told = json.loads(shown(capsys, "runs", "--json"))
    assert [row["tuned"] for row in told] == ["tune, 24 trials asked for", facts.brief]


def test_a_trial_is_a_word_for_its_training(swept: tuple[RunRecord, Ref], capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever takes a version takes a trial: its page, its lineage, a pin."""
    row = next(row for row in swept[0].stages if (row.stage, row.name) == ("train", "trial 1"))
    assert f"Artifact: train/{row.version}" in shown(capsys, "show", f"{RUN[:4]}:1")
    assert row.version in shown(capsys, "lineage", "study/:1")
    assert row.version in shown(capsys, "pin", f"{RUN}:1")
    assert main(["show", f"{RUN}:77"]) == WRONG_USAGE
    assert "expected a trial that was trained, of 1 to 14, found 77" in capsys.readouterr().err


def test_two_trials_are_compared(swept: tuple[RunRecord, Ref], capsys: pytest.CaptureFixture[str]) -> None:
    """What differs in their settings, both held-out figures, and why there is no test where that is so."""
    trained = {row.name: row.stage for row in swept[0].stages if row.name.startswith("trial ")}
    pruned = next(name.removeprefix("trial ") for name, stage in trained.items() if stage == "begin")
    page = shown(capsys, "compare", f"{RUN}:1", f"{RUN}:{pruned}")
    assert "Held-out rows A B B - A held-out accuracy" in page
    assert f"training.number 1 {pruned}" in page
    assert "Not tested: B ended early, and left no model." in page
    told = json.loads(shown(capsys, "compare", f"{RUN}:1", f"{RUN}:{pruned}", "--json"))
    assert (told["kind"], told["test"], told["b"]["stage"]) == ("trainings", None, "begin")
    assert told["figures"][0]["difference"] == told["figures"][0]["b"] - told["figures"][0]["a"]
    assert "A train/" in shown(capsys, "compare", RUN, f"{RUN}:1")


def test_only_trainings_are_compared(
    swept: tuple[RunRecord, Ref], store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """A trial beside something that is no training is refused."""
    assert main(["compare", f"{RUN}:1", swept[1].version]) == WRONG_USAGE
    assert "expected a training, or a run, found what study left" in capsys.readouterr().err


def test_python_has_the_study(swept: tuple[RunRecord, Ref], store: Store) -> None:
    """A run's word or the study's gives it, as a table of pandas too; another artifact has none."""
    archive = open_store(store.home)
    for word in (RUN, swept[1].version):
        found = archive.study(word)
        assert (found.version, found.page.name) == (swept[1].version, "study.html")
    frame = found.to_pandas()
    assert frame.index.tolist() == list(range(1, 15))
    assert frame["accuracy"].isna().sum() == 1
    assert found.winner
    assert frame["learning_rate"].tolist()[found.winner.number - 1] == found.winner.values["learning_rate"]
    with pytest.raises(UsageError, match="expected a run that tuned"):
        archive.study(f"{RUN}:1")


def test_notebooks_show_it(swept: tuple[RunRecord, Ref], store: Store) -> None:
    """A study, a run that tuned and two trials side by side are pieces that ask for nothing."""
    archive = open_store(store.home)
    trials = archive.compare_trainings(f"{RUN}:1", f"{RUN}:2")
    for piece, words in (
        (archive.study(RUN)._repr_html_(), "held-out accuracy"),
        (archive.run(RUN)._repr_html_(), "The best trials"),
        (trials._repr_html_(), "held-out loss"),
    ):
        assert words in piece
        assert "<script" not in piece
        assert not re.search(r'(src|href)="http', piece)
        assert len(piece) < 400_000
    clean_up(store, swept[1])
    assert "tutorial profile" in archive.run(RUN)._repr_html_()


RATES = (0.0005, 0.02, 0.005)


def tune(store: Store, base: ArchivedRun) -> tuple[RunRecord, dict[str, Any]]:
    """Try three step sizes on the digits, as a sweep does; the last of them is trained by a run of the pipeline too."""
    normalizer, held_out = base.artifact("normalize").ref, base.artifact("train").manifest.parts.parameters["held_out"]
    own = Training(epochs=3, batch_size=32)
    tables = {split: base.artifact("parse", split).ref for split in ("train", "test")}
    profiles = {split: base.artifact("validate", split).ref for split in ("train", "test")}
    space = read_space({"learning_rate": "log:1e-4..1e-1"}, own)
    rules = Rules(dataset="digits", space=space, round=3, objective="accuracy", epochs=3, rungs=(3,), seed=own.seed)
    with recording_directly(store, dataset="digits", dataset_id="digits-tune") as run:
        done: dict[str, Any] = {}

        def trained(name: str, training: Training) -> Any:
            bound = train.bind(tables["train"], normalizer, training, held_out)
            done[name] = run.submit(train, bound)
            return done[name]

        def scored(name: str) -> Any:
            done[f"scores of {name}"] = run.submit(
                evaluate, evaluate.bind(done[name], tables["train"], tables["test"], profiles)
            )
            return done[f"scores of {name}"]

        trials = [trained(f"trial {at}", configured(own, {"learning_rate": rate})) for at, rate in enumerate(RATES, 1)]
        told = [Told(number=at, values={"learning_rate": rate}, state="complete") for at, rate in enumerate(RATES, 1)]
        winner, mine = trained("winner seed 123", configured(own, {"learning_rate": 0.02})), trained("own", own)
        done["study"] = run.submit(
            study,
            study.bind(
                rules, own, Trials(told=tuple(told)), (64, 10), trials,
                [own.seed], [winner], [scored("winner seed 123")], [mine], [scored("own")],
            ),
        )  # fmt: skip
    rows = [
        stage_record(each.ref).model_copy(update={"name": name, "path": each.row.path}) for name, each in done.items()
    ]
    record = write_run(store, run.id, rows, minute=9, dataset="digits", dataset_id="digits-tune", training=own)
    facts = StudyFacts.of(run.reference(done["study"]), "1" * 16)
    swept = record.model_copy(update={"study": facts, "metrics": {}, "report": None, "model": None})
    (store.runs / f"{run.id}.json").write_text(swept.model_dump_json())
    return swept, done


@pytest.mark.slow
def test_a_real_sweep(kept: Archive, run: ArchivedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three trainings on the digits: figures, weights and tests are those of the models, and trials can be compared."""
    shutil.copytree(kept.store.home, home := tmp_path / "home", symlinks=True)
    archive = open_store(home)
    record, done = tune(archive.store, archive.run(run.id))
    found = archive.study(record.id)
    assert found.best == 2
    for each in found.trials:
        manifest = archive.store.manifest("train", each.version)
        assert manifest
        assert each.weights == manifest.summary["weights"]
        assert each.accuracy == manifest.summary["last"]["validation_accuracy"]
    test = found.tested[0]
    assert (test.winner, test.winner) == (done["winner seed 123"].ref.version, found.trials[1].version)
    assert test.better + test.worse > 0
    read = tomllib.loads(found.best_toml.read_text())["training"]
    assert Training.model_validate(read) == configured(Training(epochs=3, batch_size=32), {"learning_rate": 0.02})
    # The paired test of held-out rows counts as Keras did in the training.
    compare = partial(archive.compare_trainings, f"{record.id}:1")
    compared = compare(f"{record.id}:2")
    assert compared.test
    assert compared.test.rows == 150
    accuracy = compared.figures[0]
    assert (compared.test.c - compared.test.b) / 150 == pytest.approx(accuracy.difference, abs=1e-6)
    assert [each.name for each in compared.parameters] == ["training.learning_rate"]
    with_run = compare(run.id)
    assert with_run.b.version == run.artifact("train").ref.version
    assert main(["compare", f"{record.id}:1", f"{record.id}:2", "--home", str(home)]) == DONE
    assert "Exact McNemar test, level 0.05: of 150 rows only A gets" in capsys.readouterr().out
