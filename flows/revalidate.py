"""Freshness on demand: each file's mirror is asked whether it has changed, and only what may have is taken again."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from artifacts.current import current_run
from artifacts.store.integrity import Damage
from artifacts.store.store import Store
from schemas.datasets import Dataset, RemoteFile
from tasks.download import DownloadSummary, download

if TYPE_CHECKING:
    from tasks.transport.freshness import Answer

ANSWER_SECONDS = 10.0
PARALLEL = 8
"""Mirrors that are asked at once."""
logger = logging.getLogger("idxflow.download")


def ask_mirrors(dataset: Dataset) -> None:
    """
    Ask about every stored file of a data set, and have downloaded again what may have changed.

    That is what a mirror has and does not say to be the same. It is held to its checksum as before, published or of its
    first use: what has changed fails the run, and what is stored stays. Where no mirror answers, or one does and then
    gives no file, the stored copy is used, with a warning.
    """
    from tasks.transport.freshness import Answer

    run = current_run()
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="revalidate") as pool:
        remote = [file for file in dataset.files if file.origin != "own file"]
        answers = list(pool.map(partial(_ask, run.store), remote))
    for file, answer in zip(remote, answers, strict=True):
        if answer is Answer.CHANGED:
            run.refresh.add("download", file.name, "its mirror does not say that it is unchanged")
        elif answer is Answer.UNKNOWN:
            run.refresh.add("download", file.name, "no mirror said by what to ask whether it is unchanged")
        elif answer is Answer.NONE:
            logger.warning("%s: its mirror does not answer; the stored copy, which is sound, is used.", file.name)
    logger.info("%d of %d files have not changed on their mirrors", answers.count(Answer.UNCHANGED), len(answers))


def _ask(store: Store, file: RemoteFile) -> Answer | None:
    """Return what a file's mirror says; None for a file that is not stored and is downloaded anyway."""
    from tasks.transport.freshness import ask

    version = download.parts({"file": file}, store.scans).version
    try:
        found = store.inspect("download", version)
    except Damage:
        found = None
    if found is None:
        return None
    return ask(file, DownloadSummary.model_validate(found.manifest.summary).validators, ANSWER_SECONDS)
