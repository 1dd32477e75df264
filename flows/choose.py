"""Which data set a run is about, when nobody has said so."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor, as_completed
from concurrent.futures import TimeoutError as NoAnswer

from artifacts.current import current_run
from artifacts.store.store import Store
from flows.identify import identify
from flows.own_source import packed_dataset
from schemas.catalog import load_dataset
from schemas.datasets import Dataset
from schemas.errors import UsageError
from schemas.source import Choices

HOPED_FOR = "mnist"
ANSWER_SECONDS = 3.0
logger = logging.getLogger("idxflow.dataset")


def choose_dataset(name: str | None, mirrors: tuple[str, ...], choices: Choices = Choices()) -> Dataset:  # noqa: B008 - frozen
    """
    Load the data set that the current run is about, and say so where it is not the one that was hoped for.

    Raises: UsageError: no such data set.
    """
    run = current_run()
    dataset = find_dataset(run.store, name, mirrors, choices)
    if name is None and dataset.name != HOPED_FOR:
        logger.warning(
            "NOT MNIST: it is not in the store and no mirror answered within %g s. This run is about the bundled "
            "8 x 8 digits instead. For MNIST bring a mirror: --dataset mnist --mirror URL.",
            ANSWER_SECONDS,
        )
    run.dataset, run.dataset_id = dataset.name, dataset.identity
    return dataset


def find_dataset(
    store: Store,
    name: str | None,
    mirrors: tuple[str, ...],
    choices: Choices = Choices(),  # noqa: B008 - frozen
) -> Dataset:
    """
    Load the named data set; without a name MNIST when it is stored or a mirror answers, else the bundled digits.

    Args:   name: of the catalog, or the path of a description, or of what is packed.  choices: what is said of that.
    Raises: UsageError: no such data set.  What `identify` and `own_dataset` raise.
    """
    if name is not None and (own := packed_dataset(store, name, choices)):
        return own
    if choices.said:
        flag = choices.said[0].replace("_", "-")
        raise UsageError(
            f"--{flag}",
            expected="a folder, archive, table or file of arrays to pack",
            found=f"the data set {name or HOPED_FOR}, whose files say all",
            way_out="Leave it out.",
        )
    dataset = identify(store, load_dataset(name or HOPED_FOR, mirrors))
    if name is not None or all(store.find_file("download", file.sha256 or "") for file in dataset.files):
        return dataset
    return dataset if any_answers(dataset.files[0].mirrors, dataset.files[0].name) else load_dataset("digits")


def any_answers(mirrors: tuple[str, ...], file: str, seconds: float = ANSWER_SECONDS) -> bool:
    """Tell whether one of the mirrors says, within `seconds`, that it has `file`."""
    from tasks.transport.freshness import has

    pool = ThreadPoolExecutor(len(mirrors) or 1, thread_name_prefix="probe")
    try:
        probes = [pool.submit(has, mirror, file, seconds) for mirror in mirrors]
        return any(probe.result() for probe in as_completed(probes, timeout=seconds))
    except NoAnswer:
        return False
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
