"""The main job: from four files on a mirror to a trained, evaluated and explained model."""

from __future__ import annotations

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from artifacts.recorded import recorded
from artifacts.run import Outcome
from flows.choose import choose_dataset
from schemas.stages import StageName
from schemas.training import Training
from tasks.decompress import decompress
from tasks.download import download
from tasks.evaluate import evaluate
from tasks.normalize import normalize
from tasks.parse import parse
from tasks.report import report
from tasks.train import train
from tasks.validate import validate
from tasks.verify import verify


@flow(name="idxflow", task_runner=ThreadPoolTaskRunner(max_workers=16))  # type: ignore[arg-type]  # Prefect leaves the runner's type open
@recorded
def pipeline(
    dataset: str | None = None,
    training: Training = Training(),  # noqa: B008 - immutable
    mirrors: tuple[str, ...] = (),
    refresh: tuple[StageName, ...] = (),  # noqa: ARG001 - read by `recorded`
) -> Outcome:
    """
    Download, verify, decompress, parse, validate, normalize, train, evaluate, report: what is there is not redone.

    Args:
        dataset:  a name from the catalog or the path of a data set's .toml; None: MNIST if it can be had, else digits.
        training: architecture, optimizer and schedule.
        mirrors:  addresses (http, https, file) to try before the catalog's.
        refresh:  stages to compute anew even where they are cached.
    """
    data = choose_dataset(dataset, mirrors)
    archives = {file.name: download(file) for file in data.files}
    proofs = {file.name: verify(file, archives[file.name]) for file in data.files}
    raw = {file.name: decompress(file, archives[file.name], proofs[file.name]) for file in data.files}
    tables = {
        name: parse(
            images=[raw[shard.images.name] for shard in split.shards],
            labels=[raw[shard.labels.name] for shard in split.shards],
            spec=split.spec,
        )
        for name, split in data.splits.items()
    }
    known = validate(tables["train"], data.splits["train"].spec, data.checks, None)
    profiles = {"train": known, "test": validate(tables["test"], data.splits["test"].spec, data.checks, known)}
    normalizer = normalize(tables["train"], profiles["train"])
    model = train(tables["train"], normalizer, training)
    scores = evaluate(model, tables["train"], tables["test"])
    page = report(data, training, list(proofs.values()), tables, profiles, normalizer, model, scores)
    return Outcome(scores, model, page)


if __name__ == "__main__":
    pipeline()
