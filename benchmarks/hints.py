"""
How good label hints are: labels changed at random are to stand first. `python -m benchmarks.hints --mnist DIR`.

Beside them is what cleanlab 2.9 makes of the same probabilities, where it can be imported; idxflow does not need it.
"""

from __future__ import annotations

import gzip
import importlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from cyclopts import App, Parameter

from artifacts.ref import Ref
from artifacts.store.store import Store
from benchmarks.walk import Walk
from flows.folds import Base, walk
from schemas.catalog import load_dataset
from schemas.datasets import Dataset
from schemas.image_table import TABLE, ImageTable
from schemas.model import MODEL
from schemas.results import PREDICTIONS
from schemas.training import ProfileName, Training
from tasks.fitting.folds import deal_table
from tasks.quality.hints import find_hints, rank

SHARE = 0.05
"""Of the train labels that are changed."""
app = App(name="benchmarks.hints", help=__doc__, result_action="return_value")


@dataclass(frozen=True)
class Figures:
    """
    What came of one training.

    Args:
        changed:   labels that were changed.
        hints:     share of changed ones among as many first hints.
        cleanlab:  the same of cleanlab's ranking; None where it cannot be imported.
        worth:     labels that are worth a look by our rule.
        precision: share of changed ones among these.
    """

    changed: int
    hints: float
    cleanlab: float | None
    worth: int
    precision: float


def change_labels(source: Dataset, folder: Path, seed: int) -> tuple[Dataset, npt.NDArray[np.bool_]]:
    """
    Describe a set like `source`, 5 % of whose train labels are changed to another class.

    Args:    source: of one shard a split, with labels from 0, its files on this machine.
    Returns: the set, and which labels were changed: bool (n,).
    """
    (shard,) = source.splits["train"].shards
    place = next(
        Path(mirror.removeprefix("file://"))
        for mirror in shard.labels.mirrors
        if mirror.startswith("file://") and (Path(mirror.removeprefix("file://")) / shard.labels.name).is_file()
    )
    raw = gzip.decompress((place / shard.labels.name).read_bytes())
    label, classes = np.frombuffer(raw, np.uint8, offset=8).copy(), len(source.classes)
    random = np.random.default_rng(seed)
    rows = random.choice(len(label), round(SHARE * len(label)), replace=False)
    label[rows] = (label[rows] + random.integers(1, classes, len(rows))) % classes
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "changed-labels.gz").write_bytes(gzip.compress(raw[:8] + label.tobytes(), mtime=0))
    names = [file.name for file in source.splits["test"].files]
    text = f'''
        title = "{source.name}, labels changed"
        source = "a benchmark"
        shape = {list(source.splits["train"].spec.shape.array)}
        classes = {json.dumps(source.classes)}
        mirrors = [{json.dumps(str(place))}, "."]
        held_out = "{source.held_out}"
        train.shards = [{{ images.name = "{shard.images.name}", labels.name = "changed-labels.gz" }}]
        test.shards = [{{ images.name = "{names[0]}", labels.name = "{names[1]}" }}]
    '''
    (description := folder / f"{source.name}.toml").write_text(text)
    changed = np.zeros(len(label), bool)
    changed[rows] = True
    return load_dataset(str(description)), changed


def measure(store: Store, data: Dataset, changed: npt.NDArray[np.bool_], training: Training, folds: int) -> Figures:
    """Train, rank, and count. Args: folds: networks that have not seen the images; 0: the one that has."""
    from flows.identify import identify

    done = Walk(store, "evaluate").through(identify(store, data), training)
    table = ImageTable((parsed := done.refs["parse", "train"]).file(TABLE))
    models, scores = [done.refs["train", ""]], done.refs["evaluate", ""]
    fold = np.zeros(table.samples, np.uint8)
    if folds:
        base = Base(data.name, parsed, done.refs["normalize", ""], training, data.held_out)
        checked = Walk(store).over(lambda: walk(base, folds))
        models = [checked.refs["fold", f"{number} of {folds}"] for number in range(1, folds + 1)]
        fold, scores = deal_table(table, folds), checked.refs["crosscheck", ""]
    whole, k = table.read(), int(changed.sum())
    loss = _losses(scores)
    found = find_hints(scores.file(PREDICTIONS), len(changed))
    worth = [hint.sample_id for hint in found.first]
    return Figures(
        changed=k,
        hints=float(changed[rank(loss, whole.label)[:k]].mean()),
        cleanlab=_cleanlab(whole.label, _probabilities(models, fold, whole.image), changed),
        worth=found.worth,
        precision=float(changed[worth].mean()) if worth else 0.0,
    )


def _losses(scores: Ref) -> npt.NDArray[np.float32]:
    import pyarrow.parquet as pq

    table = pq.read_table(scores.file(PREDICTIONS), columns=["loss"], filters=[("split", "==", "train")])
    losses: npt.NDArray[np.float32] = table["loss"].to_numpy()
    return losses


def _probabilities(models: list[Ref], fold: npt.NDArray[np.uint8], image: npt.NDArray[np.uint8]) -> Any:
    from tasks.inference.perceptron import Perceptron

    parts = [np.flatnonzero(fold == number) for number in range(len(models))]
    found = None
    for model, rows in zip(models, parts, strict=True):
        probabilities = Perceptron.read(model.file(MODEL))(image[rows])
        found = np.empty((len(image), probabilities.shape[1]), np.float32) if found is None else found
        found[rows] = probabilities
    return found


def _cleanlab(label: npt.NDArray[np.uint16], probabilities: Any, changed: npt.NDArray[np.bool_]) -> float | None:
    try:
        ranking = importlib.import_module("cleanlab.rank")
    except ImportError:
        return None
    quality = ranking.get_label_quality_scores(label.astype(np.int64), probabilities.astype(np.float64))
    return float(changed[np.argsort(quality, kind="stable")[: changed.sum()]].mean())


@app.default
def hints(
    *,
    mnist: Annotated[
        Path | None, Parameter(help="Folder of the four .gz files of MNIST; without it digits alone.")
    ] = None,
    work: Annotated[Path, Parameter(help="Folder for what is made on the way.")] = Path(".idxflow/benchmarks/hints"),
    seeds: Annotated[int, Parameter(help="Of the digits; of MNIST one.")] = 4,
    folds: Annotated[int, Parameter(help="Networks that have not seen the images; 0: the one that has.")] = 0,
    profiles: Annotated[list[ProfileName] | None, Parameter(negative="", consume_multiple=True)] = None,
) -> None:
    """Measure, and print a row of Markdown for each training."""
    for name, seed, profile in _trainings(mnist, seeds, profiles or ["tutorial", "tuned"]):
        source = load_dataset(name, (str(mnist.absolute()),) if mnist and name == "mnist" else ())
        data, changed = change_labels(source, work.absolute() / f"{name}-{seed}", seed)
        found = measure(Store(work.absolute() / "home"), data, changed, Training(profile=profile), folds)
        theirs = "-" if found.cleanlab is None else f"{100 * found.cleanlab:.2f} %"
        who = f"{profile}, {folds} folds" if folds else profile
        counted = f"{found.worth:,} of {found.changed:,}"
        sys.stdout.write(
            f"| {name}, seed {seed} | {who} | {100 * found.hints:.2f} % | {theirs} | {counted} | "
            f"{100 * found.precision:.2f} % |\n"
        )
        sys.stdout.flush()


def _trainings(
    mnist: Path | None, seeds: int, profiles: list[ProfileName]
) -> Iterator[tuple[Literal["digits", "mnist"], int, ProfileName]]:
    yield from (("digits", seed, profile) for seed in range(seeds) for profile in profiles)
    yield from (("mnist", 0, profile) for profile in profiles if mnist)


if __name__ == "__main__":
    app()
