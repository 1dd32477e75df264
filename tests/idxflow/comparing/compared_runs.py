"""Finished runs in a store, small but whole: what `compare` reads is written by the stages' own functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from artifacts.environment import Environment
from artifacts.ref import Ref
from artifacts.store.store import Store
from flows.run_record import RunRecord
from schemas.image_table import Batch
from schemas.results import METRICS, PREDICTIONS, Metrics
from schemas.training import Training
from tasks.evaluate import write_predictions
from tasks.quality.scoring import Scores
from tests.artifacts.archive.history import stage_record
from tests.artifacts.archive.making import make
from tests.tasks.measured import measured

CLASSES = ("cat", "dog", "owl")
LABELS = (0, 0, 1, 1, 2, 2)
"""Of the test split; the train split is the same images, all of them right."""
CODE = {"tasks/fitting/network.py": "1" * 64, "tasks/explaining/page.html": "2" * 64}
ENVIRONMENT = Environment(
    python="3.11.7", platform="Linux x86_64", cores=2, packages={"keras": "3.12.0"}, numerics={},
    git_commit="c" * 40, git_dirty=False,
)  # fmt: skip


def scored(labels: Sequence[int], predicted: Sequence[int]) -> Scores:
    """Scores of images: each prediction at probability 0.75."""
    label, guess = np.array(labels, np.int64), np.array(predicted, np.int64)
    return Scores(label, guess, np.full(len(label), 0.75), np.where(label == guess, 0.25, 1.5))


def predictions(
    path: Path, labels: Sequence[int], predicted: Sequence[int], ids: Sequence[int] | None = None, train_groups: int = 1
) -> Path:
    """Write predictions for a test split, after `train_groups` row groups of 20,000 right ones for the train split."""

    def batch(label: Sequence[int], sample_id: Sequence[int]) -> Batch:
        return Batch(np.array(sample_id, np.uint32), np.array(label, np.uint16), np.empty((len(label), 0), np.uint8))

    test = "test", batch(labels, range(len(labels)) if ids is None else ids), scored(labels, predicted)
    train = "train", batch([0] * 20_000, range(20_000)), scored([0] * 20_000, [0] * 20_000)
    write_predictions(path, iter([*[train] * train_groups, test]))
    return path


def finished_run(
    store: Store,
    run: str,
    predicted: Sequence[int] = LABELS,
    *,
    labels: Sequence[int] = LABELS,
    ids: Sequence[int] | None = None,
    classes: Sequence[str] = CLASSES,
    training: Training | None = None,
    dataset: str = "animals",
    file: str = "images.gz",
    threshold: object = 1,
    table: bytes = b"the test table",
    code: Mapping[str, str] = CODE,
    environment: Environment = ENVIRONMENT,
    state: str = "completed",
) -> RunRecord:
    """Build the artifacts of a run and write its record, in which every path is stale."""
    training = training or Training()
    remote = {"bytes": 4, "shards": [{"of": dataset}]}
    # The weights, which nothing here computes, follow from the predictions: so does each version.
    salt = make(store, "salt", files={"content": repr(predicted).encode()}, parameters={"x": list(predicted)})

    def made(stage: str, name: str, leaf: str, content: bytes, taken: Mapping[str, Ref], **given: Any) -> Ref:
        files, inputs = {leaf: content}, {**taken, "x": salt}
        if stage == "evaluate":
            files[METRICS] = metrics.model_dump_json().encode()
        return make(
            store, stage, name, inputs=inputs, parameters=given, files=files, code=code, environment=environment
        )

    metrics = Metrics(
        train=measured(scored(labels, labels), classes), test=measured(scored(labels, predicted), classes)
    )
    scores_file = predictions(store.home / PREDICTIONS, labels, predicted, ids)
    archive = made("download", file, file, table, {}, file=remote)
    tables = {
        split: made("parse", split, "table.parquet", table, {"raw": archive}, split=split, threshold=threshold)
        for split in ("train", "test")
    }
    fitted = made("normalize", "", "mean.npy", table, {"table": tables["train"]})
    parameters = training.model_dump(mode="json", exclude={"profile"})
    inputs = {"table": tables["train"], "normalizer": fitted}
    model = made("train", "", "model.keras", repr(predicted).encode(), inputs, training=parameters)
    scores = made("evaluate", "", PREDICTIONS, scores_file.read_bytes(), {"model": model, **tables})
    scores_file.unlink()
    rows = [stage_record(ref) for ref in (archive, *tables.values(), fitted, model, scores)]
    record = RunRecord.model_validate(
        {
            "id": run, "dataset": dataset, "profile": "tutorial", "seed": training.seed, "state": state,
            "started": "2026-01-01T00:00:00+00:00", "seconds": 1, "stages": rows, "flow_run": "x", "training": training,
            "metrics": {
                split: {"accuracy": each.accuracy, "loss": each.loss}
                for split, each in (("train", metrics.train), ("test", metrics.test))
            },
        }
    )  # fmt: skip
    (store.runs / f"{run}.json").write_text(record.model_dump_json())
    return record
