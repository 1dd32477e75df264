"""The main job as a Prefect flow: from four files on a mirror to a trained, evaluated and explained model."""

from __future__ import annotations

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from artifacts.current import Outcome
from artifacts.recorded import recorded
from flows.choose import choose_dataset
from flows.dag import dag
from schemas.stages import StageName
from schemas.training import Training


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
    return dag(choose_dataset(dataset, mirrors), training)


if __name__ == "__main__":
    pipeline()
