"""A training in stretches: the same bits as in one go, whatever becomes of what was begun."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from artifacts.archive.roots import find_roots, read_graph
from artifacts.engine.direct import recording_directly
from artifacts.engine.execution import Done, Execution
from artifacts.engine.plan import Planning
from artifacts.ref import Ref
from artifacts.refresh import Refresh
from artifacts.stage import Stage
from artifacts.store.store import Store
from schemas.errors import StageError
from schemas.events import Event, Progress, listening
from schemas.model import NormalizerFacts
from schemas.training import History, Training
from tasks.begin import BeginSummary, begin
from tasks.train import TrainSummary, train
from tests.artifacts.archive.history import stage_record, write_run
from tests.artifacts.building import build, flip_unseen
from tests.flows.walking import digits_home
from tests.processes import PROJECT
from tests.tasks.refs import bind
from tests.tasks.small_split import MEAN, SHAPE, STD, normalizer_artifact, small_split, table_artifact, written

RUN = "0" * 12
BRISK = Training(hidden=(5, 4), learning_rate=0.05, batch_size=16, epochs=6, validation_fraction=0.2)
HASTY = Training(hidden=(5, 4), learning_rate=0.5, batch_size=16, epochs=60, patience=3, validation_fraction=0.2)
TUTORIAL = Training(epochs=5)
TUNED = Training(
    profile="tuned",
    hidden=(40, 20),
    batch_size=64,
    epochs=5,
    patience=2,
    learning_rate=0.02,
    weight_decay=0.1,
    validation_fraction=0.2,
)
"""Of the digits it holds out as many rows as a temperature takes."""


def one_go(inputs: tuple[Ref, Ref], training: Training, out: Path, begun: Ref | None = None) -> TrainSummary:
    """Call the stage train."""
    out.mkdir(parents=True)
    summary = train.function(*inputs, training, "last", out.with_name(f"{out.name}-checkpoints"), out, None, begun)
    assert isinstance(summary, TrainSummary)
    return summary


def first(
    inputs: tuple[Ref, Ref], training: Training, epochs: int, out: Path, begun: Ref | None = None
) -> tuple[Ref, BeginSummary]:
    """Call the stage begin; return what it leaves, and its summary."""
    out.mkdir(parents=True)
    checkpoints = out.with_name(f"{out.name}-checkpoints")
    summary = begin.function(*inputs, training, "last", epochs, checkpoints, out, None, begun)
    assert isinstance(summary, BeginSummary)
    return bind("begin", out), summary


@contextmanager
def counted() -> Iterator[list[tuple[str, int, int | None]]]:
    """Note each epoch that is trained: of what, which one, of how many."""
    seen: list[tuple[str, int, int | None]] = []

    def see(event: Event) -> None:
        if isinstance(event, Progress) and not event.note:
            seen.append((event.subject, event.done, event.total))

    with listening(see):
        yield seen


def same(one: Path, other: Path) -> bool:
    """Return whether history and curve of two trainings have the same bytes."""
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in ("history.json", "curve.csv"))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ref, Ref]:
    """A table and a normaliser, bound as the engine binds them."""
    folder = tmp_path_factory.mktemp("inputs")
    return table_artifact(folder / "parse", "train", small_split(150)), normalizer_artifact(folder / "normalize")


@pytest.fixture(scope="module")
def two_epochs(inputs: tuple[Ref, Ref], tmp_path_factory: pytest.TempPathFactory) -> Ref:
    """What begin leaves of two epochs."""
    return first(inputs, BRISK, 2, tmp_path_factory.mktemp("begun") / "two")[0]


@pytest.fixture(scope="module")
def in_one_go(inputs: tuple[Ref, Ref], tmp_path_factory: pytest.TempPathFactory) -> TrainSummary:
    """What train says without any of that."""
    return one_go(inputs, BRISK, tmp_path_factory.mktemp("trained") / "whole")


@pytest.fixture
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ref, Ref]:
    """The train table of the digits, and its normaliser."""
    store = Store(digits_home(tmp_path_factory.getbasetemp()))
    found = {(each.stage, each.name): each for each in store.manifests()}
    table, normalizer = found["parse", "train"], found["normalize", ""]
    return tuple(  # type: ignore[return-value]  # two of them
        bind(each.stage, store.folder(each.stage, each.version), digest=each.digest) for each in (table, normalizer)
    )


@pytest.mark.parametrize("memory", [None, pytest.param(1, marks=pytest.mark.slow)], ids=["held", "streamed"])
@pytest.mark.parametrize("training", [TUTORIAL, TUNED], ids=["tutorial", "tuned"])
def test_a_training_in_stretches_leaves_the_bits_of_one_in_one_go(
    digits: tuple[Ref, Ref], tmp_path: Path, training: Training, memory: int | None
) -> None:
    """Weights, history, curve and summary are the same through one begin and two, and no epoch is done twice."""
    expected = one_go(digits, training, tmp_path / "expected")
    assert (expected.temperature is not None) == training.calibrate
    training = training.model_copy(update={"memory": memory})
    with counted() as seen:
        short, _ = first(digits, training, 1, tmp_path / "short")
        longer, told = first(digits, training, 3, tmp_path / "longer", short)
        through_two = one_go(digits, training, tmp_path / "two", longer)
    epochs = expected.last.epoch
    assert seen == [("begin", 1, 1), ("begin", 2, 3), ("begin", 3, 3), *(("train", n, 5) for n in range(4, epochs + 1))]
    through_one = one_go(digits, training, tmp_path / "one", short)
    assert expected == through_one == through_two
    assert expected.content == through_one.content == through_two.content
    for name in ("one", "two"):
        assert same(tmp_path / name, tmp_path / "expected")
    whole, part = (
        History.model_validate_json((tmp_path / name / "history.json").read_bytes()) for name in ("expected", "longer")
    )
    assert part.epochs == whole.epochs[:3]
    assert (part.train_rows, part.validation_rows, told.last) == (
        whole.train_rows,
        whole.validation_rows,
        part.epochs[-1],
    )


def test_what_patience_has_ended_is_only_picked_up(inputs: tuple[Ref, Ref], tmp_path: Path) -> None:
    """Where patience ends the training in a begin, that says so, and neither a longer one nor train does an epoch."""
    expected = one_go(inputs, HASTY, tmp_path / "expected")
    ended, told = first(inputs, HASTY, 40, tmp_path / "ended")
    early, of_early = first(inputs, HASTY, 2, tmp_path / "early")
    assert (told.ended, of_early.ended) == (True, False)
    assert told.last == expected.last
    assert told.last.epoch < 40
    with counted() as seen:
        longer, _ = first(inputs, HASTY, 50, tmp_path / "longer", ended)
        found = one_go(inputs, HASTY, tmp_path / "found", longer)
    assert seen == []
    assert (found, found.content) == (expected, expected.content)
    assert same(tmp_path / "found", tmp_path / "expected")
    assert one_go(inputs, HASTY, tmp_path / "again", early).content == expected.content


@pytest.mark.parametrize("spoil", ["another training", "other numerics", "another table", "more epochs", "damaged"])
def test_a_state_of_something_else_is_not_gone_on_from(
    inputs: tuple[Ref, Ref],
    two_epochs: Ref,
    tmp_path: Path,
    spoil: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What was begun otherwise is named in a warning, and the training begins at its beginning, to the same bits."""
    training, epochs, table = BRISK, 1, inputs[0]
    match spoil:
        case "another training":
            training = BRISK.model_copy(update={"epochs": 7})
        case "other numerics":
            monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
        case "another table":
            table = bind("parse", table.file().parent, digest="1" * 64)
        case "more epochs":
            epochs = 3
    begun, _ = first((table, inputs[1]), training, epochs, tmp_path / "begun")
    monkeypatch.undo()
    if spoil == "damaged":
        state = begun.file("checkpoint")
        state.write_bytes(state.read_bytes()[:-40])
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    with counted() as seen:
        found, _ = first(inputs, BRISK, 2, tmp_path / "found", begun)
    assert [done for _, done, _ in seen] == [1, 2]
    assert found.file("checkpoint").read_bytes() == two_epochs.file("checkpoint").read_bytes()
    assert [(each.name, each.levelno) for each in caplog.records] == [("idxflow.train", logging.WARNING)]
    assert "what was begun of this training" in caplog.text
    assert "training does not go on from it" in caplog.text


@pytest.mark.parametrize(("broken_after", "next_epoch"), [(4, 5), (1, 3)])
def test_the_state_with_the_most_epochs_is_taken(
    inputs: tuple[Ref, Ref],
    two_epochs: Ref,
    in_one_go: TrainSummary,
    tmp_path: Path,
    broken_after: int,
    next_epoch: int,
) -> None:
    """Of the checkpoint of an interrupted training and of what was begun, the one that is further on."""

    def interrupt(event: Event) -> None:
        if isinstance(event, Progress) and event.done == broken_after:
            raise KeyboardInterrupt

    with listening(interrupt), pytest.raises(KeyboardInterrupt):
        one_go(inputs, BRISK, tmp_path / "found")
    (tmp_path / "found").rmdir()
    with counted() as seen:
        found = one_go(inputs, BRISK, tmp_path / "found", two_epochs)
    assert [done for _, done, _ in seen] == list(range(next_epoch, 7))
    assert found.content == in_one_go.content


@pytest.mark.parametrize("epochs", [0, -1, 6, 7])
def test_begin_does_not_do_all_of_a_training(inputs: tuple[Ref, Ref], tmp_path: Path, epochs: int) -> None:
    """It does one epoch at least, and leaves one at least to train."""
    with pytest.raises(StageError, match=rf"until: expected 1 up to 5, of a training of 6 epochs, found {epochs}\. "):
        first(inputs, BRISK, epochs, tmp_path / "begun")


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Store, dict[str, Any]]:
    """A store with a table and a normaliser, and the arguments of train over them."""
    store = Store(tmp_path / "home")
    table = written(tmp_path / "table.parquet", small_split(150)).paths[0].read_bytes()
    facts = NormalizerFacts(samples=1, shape=SHAPE, sum=0, sum_of_squares=0, std=STD)
    np.save(tmp_path / "mean.npy", MEAN)
    files = {"normalizer.json": facts.model_dump_json().encode(), "mean.npy": (tmp_path / "mean.npy").read_bytes()}
    inputs = build(store, {"table.parquet": table}), build(store, files, "normalize")
    return store, {"table": inputs[0], "normalizer": inputs[1], "training": BRISK, "held_out": "last"}


def execute(store: Store, stage: Stage, rebuild: str | None = None, **arguments: Any) -> Done:
    """Execute a stage as a run does."""
    return Execution(store, RUN, "", stage, stage.bind(**arguments), rebuild)()


def test_what_was_begun_is_in_no_key_and_no_lineage(stored: tuple[Store, dict[str, Any]]) -> None:
    """With and without it there is one version; its manifest does not name it, and no clean-up keeps it for a model."""
    store, arguments = stored
    short = execute(store, begin, **arguments, until=2).ref
    for stage, more in ((train, {}), (begin, {"until": 4})):
        keys = {stage.parts(stage.bind(**arguments, **more, begun=begun)).key for begun in (None, short)}
        assert len(keys) == 1
    with counted() as seen:
        done = execute(store, train, **arguments, begun=short)
    assert [epoch for _, epoch, _ in seen] == [3, 4, 5, 6]
    manifest = store.manifest("train", done.ref.version)
    assert manifest
    assert [each.argument for each in manifest.inputs] == ["table", "normalizer"]
    assert manifest.parts.inputs.keys() == {"table", "normalizer"}
    assert manifest.parts.parameters.keys() == {"training", "held_out"}
    assert execute(store, train, **arguments).row.cached
    assert execute(store, train, **arguments, begun=short).row.cached
    write_run(store, "a" * 12, [stage_record(done.ref)])
    kept = find_roots(store, read_graph(store), keep=1)
    assert {stage for stage, _ in kept} == {"parse", "normalize", "train"}


def test_a_plan_knows_a_model_though_it_would_be_begun_anew(stored: tuple[Store, dict[str, Any]]) -> None:
    """What is stored is cached, whatever has become of what it was begun with."""
    store, arguments = stored
    execute(store, train, **arguments)
    planning = Planning(store, Refresh(), "leaves")
    with planning.walking():
        train(**arguments, begun=begin(**arguments, until=2))
    assert [(row.stage, row.state) for row in planning.plan.stages] == [("begin", "will run"), ("train", "cached")]


def test_damage_to_what_was_begun_is_healed(stored: tuple[Store, dict[str, Any]]) -> None:
    """It is found before it is read, put in quarantine and computed once more, and the run goes on."""
    store, arguments = stored
    begun = execute(store, begin, **arguments, until=2).ref
    flip_unseen(store.folder("begin", begun.version) / "checkpoint")
    with recording_directly(store) as run:
        model = run.attempt(lambda: train(**arguments, begun=begin(**arguments, until=2)))
    record = run.saved
    assert record.state == "completed"
    assert [(row.stage, row.cached) for row in record.stages] == [("begin", False), ("train", False)]
    assert any("It is in quarantine" in warning for warning in record.warnings)
    healed = store.inspect("begin", begun.version, fully=True)
    assert healed
    assert healed.ref.digest == begun.digest
    assert execute(store, train, "asked for", **arguments).ref.digest == model.ref.digest


def test_who_asks_for_a_model_anew_gets_all_of_it_anew(stored: tuple[Store, dict[str, Any]]) -> None:
    """Under a refresh no epoch is taken from what was begun; a damaged model is made from it again."""
    store, arguments = stored
    begun = execute(store, begin, **arguments, until=2).ref
    with counted() as seen:
        asked = execute(store, train, "asked for", **arguments, begun=begun)
    assert [epoch for _, epoch, _ in seen] == [1, 2, 3, 4, 5, 6]
    flip_unseen(store.folder("train", asked.ref.version) / "history.json")
    assert store.read("train", asked.ref.version, fully=True) is None
    with counted() as seen:
        healed = execute(store, train, **arguments, begun=begun)
    assert [epoch for _, epoch, _ in seen] == [3, 4, 5, 6]
    assert healed.ref.digest == asked.ref.digest


def test_an_interrupted_begin_goes_on(stored: tuple[Store, dict[str, Any]]) -> None:
    """Interrupted after an epoch, begin goes on with the next one, or with what another begin left after it."""
    store, arguments = stored

    def interrupt(event: Event) -> None:
        if isinstance(event, Progress) and event.done == 2:
            raise KeyboardInterrupt

    with listening(interrupt), pytest.raises(KeyboardInterrupt):
        execute(store, begin, **arguments, until=4)
    with counted() as seen:
        found = execute(store, begin, **arguments, until=4).ref
        longer = execute(store, begin, **arguments, until=5, begun=found).ref
    assert [epoch for _, epoch, _ in seen] == [3, 4, 5]
    assert not list(store.home.glob("artifacts/begin/.checkpoints-*"))
    assert execute(store, begin, "asked for", **arguments, until=5).ref.digest == longer.digest


KILLED = """
import os, signal, sys
from pathlib import Path
from artifacts.engine.execution import Execution
from artifacts.store.store import Store
from schemas.events import Progress, listening
from tasks.begin import begin
from tests.tasks.test_begin import BRISK

store = Store(Path(sys.argv[1]))
refs = {each.stage: store.read(each.stage, each.version).ref for each in store.manifests()}

def kill(event):
    if isinstance(event, Progress) and event.done == 2:
        os.kill(os.getpid(), signal.SIGKILL)

with listening(kill):
    arguments = begin.bind(refs["parse"], refs["normalize"], BRISK, "last", 4)
    Execution(store, "0" * 12, "", begin, arguments)()
"""


@pytest.mark.slow
def test_a_killed_begin_goes_on(stored: tuple[Store, dict[str, Any]], tmp_path: Path) -> None:
    """Killed after an epoch, begin is gone on with after it, and leaves what one that was left alone leaves."""
    store, arguments = stored
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    done = subprocess.run([sys.executable, "-c", KILLED, str(store.home)], env=environment, check=False)
    assert done.returncode == -9
    assert not list(store.home.glob("artifacts/begin/*/manifest.json"))
    with counted() as seen:
        found = execute(store, begin, **arguments, until=4).ref
    assert [epoch for _, epoch, _ in seen] == [3, 4]
    assert not list(store.home.glob("artifacts/begin/.checkpoints-*"))
    unbroken = tmp_path / "unbroken"
    shutil.copytree(store.home, unbroken, symlinks=True)
    other = execute(Store(unbroken), begin, "asked for", **arguments, until=4).ref
    assert (found.version, found.digest) == (other.version, other.digest)
