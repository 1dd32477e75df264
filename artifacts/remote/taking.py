"""What a run takes from its remote beside artifacts: the alias whose model it holds its own against."""

from __future__ import annotations

import logging
from collections.abc import Callable

from artifacts.archive.name_records import find_alias
from artifacts.archive.names import GATE
from artifacts.archive.roots import Artifact
from artifacts.remote.backend import Backend, RemoteOdd
from artifacts.remote.layout import Unbelievable
from artifacts.remote.link import Link
from artifacts.remote.pulling import inputs_of
from artifacts.remote.shared import RAW
from artifacts.remote.travelling import accept_alias, begins, look_at_alias, look_at_run, pull_run
from artifacts.store.holds import hold
from artifacts.store.publishing import restore
from artifacts.store.store import Store

logger = logging.getLogger("idxflow.remote")


def take_alias(link: Link, store: Store, run: str, name: str, dataset: str) -> None:
    """
    Take an alias that other hosts have moved, with the run of its model as `idxflow remote pull` does, and its verdict.

    One that is here stays as it is unless what is there goes on from it; so does one of another data set, and one whose
    model cannot be had. Whatever is wrong with the remote is a warning.

    Args:   run: that takes it.  name: as in its file.  dataset: identity of the data set that it has to be of.
    Raises: StoreError: the disk.
    """

    def fetch(artifact: Artifact) -> None:
        with store.waited_for(*artifact):
            restore(store, *artifact)
            if store.read(*artifact, locked=True) or link.fetch(store, *artifact, run):
                hold(store.holds, run, *artifact)

    def work(backend: Backend) -> None:
        try:
            _take(backend, name, dataset, store, fetch)
        except (Unbelievable, RemoteOdd) as error:
            logger.warning("remote %s: the alias %s is not taken: %s.", link.place, name, error)

    link.use(run, work)


def _take(backend: Backend, name: str, dataset: str, store: Store, fetch: Callable[[Artifact], None]) -> None:
    """Take it. Args: fetch: has an artifact here, and held, if that is possible."""
    theirs, ours = look_at_alias(backend, name), find_alias(store, name)
    if theirs is None or (ours and (ours.history == theirs.history or not begins(theirs, ours))):
        return
    last = theirs.history[-1]
    if theirs.artifact and last.run:
        maker = look_at_run(backend, last.run)
        if maker is None or maker.identity != dataset:
            return
        used = [(row.stage, row.version) for row in maker.stages if row.stage not in RAW]
        for artifact in (theirs.artifact, *used):
            fetch(artifact)
        if last.verdict:  # and what it was held against: the same verdict is found again by that
            fetch((GATE, last.verdict))
            verdict = store.manifest(GATE, last.verdict)
            for artifact in inputs_of(verdict) if verdict else ():
                fetch(artifact)
        if not store.is_committed(*theirs.artifact):
            return
        pull_run(backend, store, maker.id)
    elif theirs.artifact or ours is None:  # of a run that nobody names; or for nothing, as here
        return
    accept_alias(store, theirs)
