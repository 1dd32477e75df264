"""Finished runs in a store, small but whole: what `compare` reads is written by the stages' own functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from artifacts.environment import Environment
from artifacts.keys import KeyParts, content_digest
from artifacts.manifest import Input, Manifest
from artifacts.ref import Ref
from artifacts.run_record import StageRecord
from artifacts.store.publishing import commit, publish, seal_entries, staging
from artifacts.store.store import Store
from flows.run_record import RunRecord
from schemas.image_table import Batch
from schemas.results import Metrics
from schemas.training import Training
from tasks.evaluate import write_predictions
from tasks.quality.scoring import Scores
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


def holding(name: str, content: bytes) -> Callable[[Path], object]:
    """A stage that leaves one file."""
    return lambda out: (out / name).write_bytes(content)


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

    def make(stage: str, name: str, write: Callable[[Path], object], inputs: Mapping[str, Ref], **given: Any) -> Ref:
        digests = {argument: ref.digest for argument, ref in inputs.items()}
        # The weights, which nothing here computes, follow from the predictions.
        parts = KeyParts(stage=stage, parameters=given, inputs={**digests, "x": predicted}, code=code, packages={})
        return _artifact(store, parts, name, write, inputs, environment)

    metrics = Metrics(
        train=measured(scored(labels, labels), classes), test=measured(scored(labels, predicted), classes)
    )

    def write_scores(out: Path) -> None:
        predictions(out / "predictions.parquet", labels, predicted, ids)
        (out / "metrics.json").write_text(metrics.model_dump_json())

    archive = make("download", file, holding(file, table), {}, file=remote)
    tables = {
        split: make("parse", split, holding("table.parquet", table), {"raw": archive}, split=split, threshold=threshold)
        for split in ("train", "test")
    }
    fitted = make("normalize", "", holding("mean.npy", table), {"table": tables["train"]})
    parameters = training.model_dump(mode="json", exclude={"profile"})
    weights = holding("model.keras", repr(predicted).encode())
    model = make("train", "", weights, {"table": tables["train"], "normalizer": fitted}, training=parameters)
    scores = make("evaluate", "", write_scores, {"model": model, **tables})
    rows = [
        StageRecord(
            stage=ref.stage, name=ref.name, version=ref.version, cached=False, seconds=1, bytes=1, path="/stale"
        )
        for ref in (archive, *tables.values(), fitted, model, scores)
    ]
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


def _artifact(
    store: Store,
    parts: KeyParts,
    name: str,
    write: Callable[[Path], object],
    inputs: Mapping[str, Ref],
    environment: Environment,
) -> Ref:
    with staging(store, parts.stage, parts.version) as out:
        write(out)
        entries = seal_entries(out, {})
        manifest = Manifest(
            stage=parts.stage, name=name, version=parts.version, key=parts.key, parts=parts,
            inputs=tuple(
                Input(argument=argument, stage=ref.stage, name=ref.name, version=ref.version, digest=ref.digest)
                for argument, ref in inputs.items()
            ),
            files=entries,
            digest=content_digest({file: entry.content for file, entry in entries.items()}),
            summary={}, created="2026-01-01T00:00:00+00:00", seconds=1, environment=environment,
            run="0" * 12, flow_run="x",
        )  # fmt: skip
        ref = publish(store, out, manifest)
    commit(store, ref)
    return ref
