"""The Python API, over a store that the real stages left of one run over the bundled digits."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

import idxflow
from artifacts.store.holds import Hold
from artifacts.store.integrity import Stored
from artifacts.store.store import Store
from flows.run_record import RunRecord
from idxflow.api import Archive, ArchivedRun, open_store, plan
from schemas.errors import ArtifactDamaged, UsageError
from schemas.results import Metrics
from schemas.training import History
from tasks.quality.scoring import score
from tests.artifacts.archive.history import write_run
from tests.artifacts.building import flip_unseen
from tests.faults.scenarios import NOW
from tests.flows.walking import ROWS, RUN, TRAINING
from tests.idxflow.comparing.compared_runs import finished_run
from tests.processes import PROJECT

LOADERS: dict[str, tuple[Callable[[ArchivedRun], object], str, str]] = {
    "metrics": (lambda run: run.metrics, "evaluate", "metrics.json"),
    "history": (lambda run: run.history, "train", "history.json"),
    "table": (lambda run: run.table("train"), "parse", "table.parquet"),
    "normalized table": (lambda run: run.table("train", "normalized"), "normalize", "mean.npy"),
    "model": (lambda run: run.model(), "train", "model.keras"),
    "prediction": (lambda run: run.predict(np.zeros((1, 64), np.uint8)), "train", "model.keras"),
    "predictions": (lambda run: run.predictions(), "evaluate", "predictions.parquet"),
}


@pytest.fixture
def own(kept: Archive, desk: Path) -> Archive:
    """A copy of the store in the working folder, to be changed."""
    return Archive(Store(shutil.copytree(kept.store.home, desk / ".idxflow")))


def spoil(archive: Archive, stage: str, name: str) -> Path:
    """Damage a file of each artifact of a stage, so that only a hash sees it. Returns: the first file."""
    paths = sorted(archive.store.artifacts.glob(f"{stage}/*/{name}"))
    for path in paths:
        flip_unseen(path)
        assert archive.store.inspect(stage, path.parent.name)
    return paths[0]


def test_a_folder_without_a_store_is_refused(desk: Path) -> None:
    """Where no run was ever made there is nothing to open, and nothing is made there."""
    with pytest.raises(UsageError, match=r"elsewhere: expected a store, as a run leaves one, found no such folder"):
        open_store("elsewhere")
    with pytest.raises(UsageError, match=r"\.idxflow"):
        open_store()
    assert not list(desk.iterdir())


@pytest.mark.parametrize(
    ("named", "place"),
    [(None, ".idxflow"), ("there", "there"), (Path("there"), "there"), ("~/there", "there")],
    ids=str,
)
def test_a_store_is_opened_by_its_home_folder(named: Path | str | None, place: str, desk: Path) -> None:
    """A folder is a text or a path, as seen from the working folder; without one it is the default."""
    Store(desk / place)
    assert open_store(named).store.home == desk / place


def test_runs_are_listed_newest_first(desk: Path) -> None:
    """Each run that has a record is there, the newest first; what does not read is told by the history."""
    store = Store(desk / ".idxflow")
    for minute, run in enumerate(("c" * 12, "a" * 12, "b" * 12)):
        write_run(store, run, minute=minute)
    (store.runs / f"{'d' * 12}.json").write_text("{")
    archive = open_store()
    assert [run.id for run in archive.runs()] == ["b" * 12, "a" * 12, "c" * 12]
    assert [record.id for record in archive.history().records] == ["b" * 12, "a" * 12, "c" * 12]
    assert archive.history().unreadable == [store.runs / f"{'d' * 12}.json"]
    assert archive.run().id == archive.run("latest").id == "b" * 12
    assert archive.run("ccc").id == "c" * 12


def test_a_runs_state_is_that_of_now(desk: Path) -> None:
    """A run whose record says running is killed unless its process lives."""
    store = Store(desk / ".idxflow")
    write_run(store, "a" * 12, state="running")
    write_run(store, "b" * 12, state="failed")
    archive = open_store()
    assert (archive.run("a").state, archive.run("b").state) == ("killed", "failed")
    with Hold(store.holds, "a" * 12):
        assert archive.run("a").state == "running"


def test_every_word_finds_what_it_stands_for(own: Archive) -> None:
    """A version, its first digits, an alias and a run find an artifact; the artifact finds the run that made it."""
    model = own.artifact("latest").manifest
    assert (model.stage, model.run) == ("train", RUN)
    own.names.set_alias("champion", "train", model.version, NOW)
    for word in (model.version, f"train/{model.version[:4]}", "champion", RUN):
        assert own.artifact(word).manifest == model
        assert own.run(word).id == RUN
    found = own.find("champion")
    assert isinstance(found, Stored)
    assert found.manifest == model
    record = own.find("latest")
    assert isinstance(record, RunRecord)
    assert record.id == RUN


def test_a_run_has_the_artifacts_that_it_used(run: ArchivedRun) -> None:
    """An artifact is found by its stage, and by what it is of where a run has several."""
    model, table = run.artifact("train"), run.artifact("parse", "test")
    assert (model.manifest.stage, model.manifest.name) == ("train", "")
    assert (table.manifest.name, table.manifest.summary["rows"]) == ("test", ROWS["test"])
    assert table.folder == run.store.folder("parse", table.manifest.version)
    assert {(row.stage, row.version) for row in run.record.stages} == set(run.store.versions())


def test_an_artifact_that_a_run_has_not_is_refused_with_those_it_has(run: ArchivedRun, desk: Path) -> None:
    """A wrong stage or name is told with the right ones; of a run that came to nothing, that it did not."""
    with pytest.raises(UsageError, match=rf"run {RUN}: expected a stage parse, found .*parse train, parse test, .*"):
        run.artifact("parse")
    with pytest.raises(UsageError, match="expected a stage parse validation, found download train-images"):
        run.table("validation")  # type: ignore[arg-type]
    store = Store(desk / ".idxflow")
    write_run(store, "b" * 12, state="failed")
    with pytest.raises(UsageError, match=r"expected a stage train, found no stages\. .*`idxflow runs` lists others"):
        open_store().run("b" * 12).model()


def test_an_artifact_that_was_cleaned_up_is_told(own: Archive) -> None:
    """The record of a run outlives its artifacts: what is gone is said to be."""
    run = own.run()
    shutil.rmtree(run.artifact("evaluate").folder)
    with pytest.raises(UsageError, match=r"artifact evaluate/[0-9a-f]{16}: expected it to be in the store, found none"):
        run.predictions()


@pytest.mark.parametrize("loaded", LOADERS)
def test_nothing_is_loaded_from_a_damaged_artifact(loaded: str, own: Archive) -> None:
    """A flipped bit that only a full hash sees is an error that names the file; it is left for `verify` to move."""
    load, stage, name = LOADERS[loaded]
    damaged = spoil(own, stage, name)
    before = damaged.read_bytes()
    with pytest.raises(ArtifactDamaged, match=rf"artifact {stage}/.*{name}: expected SHA-256 .*verify --repair"):
        load(own.run())
    assert damaged.read_bytes() == before
    assert not own.store.quarantined.folder.exists()


def test_metrics_and_history_are_those_that_are_stored(run: ArchivedRun) -> None:
    """They read as the stages wrote them, of every image and every epoch."""
    (scores,), (trained,) = (list(run.store.artifacts.glob(f"{stage}/*/")) for stage in ("evaluate", "train"))
    assert run.metrics == Metrics.model_validate_json((scores / "metrics.json").read_bytes())
    stored = History.model_validate_json((trained / "history.json").read_bytes())
    assert History.model_validate(run.history.model_dump()) == stored
    assert (run.metrics.train.samples, run.metrics.test.samples) == (ROWS["train"], ROWS["test"])
    assert [row.epoch for row in run.history.epochs] == [1, 2]


def test_another_kind_of_table_is_refused(run: ArchivedRun) -> None:
    """A misspelt kind is no kind: nothing is guessed."""
    with pytest.raises(UsageError, match="the train table: expected raw or normalized, found 'normalised'"):
        run.table("train", "normalised")  # type: ignore[arg-type]


def test_predictions_have_a_row_an_image(run: ArchivedRun) -> None:
    """The splits stand one after the other, each in its table's order."""
    rows = run.predictions().to_pydict()
    assert list(rows) == ["split", "sample_id", "label", "predicted", "probability", "loss"]
    assert rows["split"] == ["train"] * ROWS["train"] + ["test"] * ROWS["test"]
    assert rows["label"] == [*run.table("train").label, *run.table("test").label]


def test_the_model_says_again_what_it_said(run: ArchivedRun) -> None:
    """Raw flat pixels of both splits, fed to the loaded model, give the stored predictions."""
    flat = np.concatenate([run.table("train").flat, run.table("test").flat])
    rows = run.predictions().to_pydict()
    probabilities = run.model().predict(flat, verbose=0)
    assert (probabilities.dtype, probabilities.shape) == (np.float32, (sum(ROWS.values()), 10))
    np.testing.assert_array_equal(probabilities.argmax(axis=1), rows["predicted"])
    np.testing.assert_allclose(probabilities.max(axis=1), rows["probability"], rtol=1e-5)
    true = probabilities[np.arange(len(flat)), rows["label"]]
    np.testing.assert_allclose(-np.log(true), rows["loss"], rtol=1e-4, atol=1e-6)
    right = np.equal(rows["predicted"], rows["label"])
    assert right[ROWS["train"] :].mean() == pytest.approx(run.metrics.test.accuracy)


def test_predict_says_what_is_stored(run: ArchivedRun) -> None:
    """Of a whole split `predict` gives the stored predictions, bit for bit, however its pixels are laid out."""
    stored = run.predictions()
    for split in ("train", "test"):
        images = run.table(split)
        rows = stored.filter(pc.field("split") == split).to_pydict()
        found = run.predict(images.image)
        assert found.probabilities.dtype == np.float32
        assert found.probabilities.shape == (ROWS[split], 10)
        again = score(found.probabilities, images.label)
        for column in ("predicted", "probability", "loss"):
            assert getattr(again, column).astype(np.float32).tolist() == rows[column]
        assert found.label.tolist() == rows["predicted"]
        assert found.name == tuple(images.classes[label] for label in rows["predicted"])
        for other in (images.flat, images.image.astype(np.int64), images.image.tolist()):
            assert run.predict(other).probabilities.tobytes() == found.probabilities.tobytes()


def test_one_image_is_predicted_as_among_others(run: ArchivedRun) -> None:
    """A single image is one row, the same but for the last digits; normalized ones are refused."""
    images = run.table("test")
    whole, one = run.predict(images.image), run.predict(images.image[7])
    assert (one.name, one.label.tolist()) == ((whole.name[7],), [whole.label[7]])
    np.testing.assert_allclose(one.probabilities[0], whole.probabilities[7], rtol=1e-5, atol=1e-6)
    assert repr(one) == "<predictions for 1 image, 10 classes>"
    with pytest.raises(UsageError, match=r"found float32 from .*: these look normalized\. The model normalises by"):
        run.predict(run.table("test", "normalized").image)


def test_a_lineage_goes_down_to_the_files(kept: Archive) -> None:
    """A run's word asks for its model, which comes from the train split's files alone."""
    lineage = kept.lineage("latest")
    assert lineage.artifact == f"train/{kept.artifact('latest').manifest.version}"
    downloads = [node.name for node in lineage.above() if node.stage == "download"]
    assert downloads == ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"]
    assert [node.stage for node in lineage.below()] == ["evaluate", "report"]


def test_two_runs_are_compared(desk: Path) -> None:
    """Both words are those of runs, and the first is A."""
    store = Store(desk / ".idxflow")
    finished_run(store, "a" * 12)
    finished_run(store, "b" * 12, (0, 0, 1, 1, 2, 0))
    found = open_store().compare("aaa", "bbb")
    assert (found.a.id, found.b.id) == ("a" * 12, "b" * 12)
    assert found.disagreement is not None
    assert (found.disagreement.b, found.disagreement.c) == (1, 0)


def test_a_model_is_exported(kept: Archive, run: ArchivedRun, desk: Path) -> None:
    """A run's word exports its model, byte for byte, into a folder that is made for it."""
    exported = kept.export(RUN[:6], desk / "model")
    assert exported.artifact == f"train/{run.artifact('train').manifest.version}"
    assert (exported.left_out, exported.folder) == ((), desk / "model")
    stored = run.artifact("train").ref.file("model.keras")
    assert (desk / "model" / "model.keras").read_bytes() == stored.read_bytes()


def test_a_store_is_verified_and_repaired(own: Archive) -> None:
    """What the stages left is sound; damage is found, and moved when that is asked for."""
    found = own.verify(everything=True)
    assert (found.artifacts, found.problems, found.leftovers) == (20, (), ())
    damaged = spoil(own, "report", "report.html")
    (problem,) = own.verify().problems
    assert problem.subject == damaged.parent.relative_to(own.store.home).as_posix()
    assert damaged.exists()
    own.verify(repair=True)
    assert not damaged.exists()
    (own.store.runs / f"{'b' * 12}.json").write_text("{")
    assert own.verify().problems == ()
    found = own.verify(everything=True)
    assert ([problem.subject for problem in found.problems], len(found.leftovers)) == ([f"runs/{'b' * 12}.json"], 1)


def test_a_clean_up_is_told_and_done(own: Archive) -> None:
    """Nothing goes unless it is really meant; an age spares what is younger."""
    assert not own.clean_up(keep=1).candidates
    assert not own.clean_up(keep=0, older_than=timedelta(days=1)).candidates
    assert len(own.clean_up(keep=0).candidates) == 20
    assert len(list(own.store.versions())) == 20
    assert own.clean_up(keep=0, really=True).done
    assert not list(own.store.versions())
    assert [run.id for run in own.runs()] == [RUN]


def test_a_plan_says_what_a_run_would_do(kept: Archive, desk: Path) -> None:
    """Over the store all is cached but what is to be rebuilt; elsewhere nothing is, and nothing is made."""
    warm = plan("digits", TRAINING, home=kept.store.home)
    assert {(row.stage, row.version) for row in warm.stages} == set(kept.store.versions())
    assert {row.state for row in warm.stages} == {"cached"}
    again = plan("digits", TRAINING, refresh=("report",), home=str(kept.store.home))
    assert [(row.stage, row.state) for row in again.stages if row.state != "cached"] == [("report", "will run")]
    assert {row.state for row in plan("digits").stages} == {"will run"}
    assert not list(desk.iterdir())


def test_a_plan_refuses_what_a_run_would_refuse(desk: Path) -> None:
    """An unknown data set or stage is told with those that there are."""
    with pytest.raises(UsageError, match="digits"):
        plan("digitz")
    with pytest.raises(UsageError, match=r"refresh: expected stages: pack, group, download, .* report, found 'trian'"):
        plan("digits", refresh=("train", "trian"))


def test_the_package_has_the_api_and_nothing_else() -> None:
    """Each name of the API is an attribute of `idxflow`; another one is the usual error."""
    for name in idxflow.__all__:
        assert getattr(idxflow, name) is getattr(sys.modules["idxflow.api"], name)
    assert idxflow.open_store is open_store
    with pytest.raises(AttributeError, match="module 'idxflow' has no attribute 'frobnicate'"):
        idxflow.frobnicate  # noqa: B018


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import idxflow", {"artifacts", "schemas", "pydantic", "idxflow.api", "cyclopts", "rich", "numpy"}),
        ("import idxflow; idxflow.open_store", {"numpy", "rich", "cyclopts", "pyarrow", "prefect", "tensorflow"}),
    ],
)
def test_an_import_costs_nothing(statement: str, unwanted: set[str]) -> None:
    """The package alone loads no other module of ours, and the API no heavy library before it is needed."""
    program = f"import sys; {statement}; print(*sys.modules)"
    command = [sys.executable, "-c", program]
    loaded = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split()
    assert "idxflow" in loaded
    assert not unwanted & set(loaded)
