"""What a clean-up leaves: the artifacts that recent runs, aliases and pins hold, and all that those were made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from artifacts.archive.lookup import MODEL
from artifacts.archive.names import Names
from artifacts.archive.runs import list_runs
from artifacts.manifest import Manifest
from artifacts.run_record import RunRecord
from artifacts.store import Store

Artifact = tuple[str, str]
"""Stage and version."""
WITH_A_MODEL = frozenset({"evaluate", "report"})
"""Stages whose artifacts a model that is kept by name keeps too: without them nobody knows what it is worth."""


Graph = dict[Artifact, Manifest]
"""Every artifact that has a manifest which reads."""


def read_graph(store: Store) -> Graph:
    """Read the manifests of a store."""
    return {(manifest.stage, manifest.version): manifest for manifest in store.manifests()}


def find_roots(store: Store, graph: Graph, keep: int) -> set[Artifact]:
    """
    Find every artifact that is held.

    Args:   keep: how many completed runs of each data set hold what they used; whatever began after them does too.
    Raises: StoreError: the file of an alias or a pin does not read, so that nobody knows what it holds.
    """
    kept = Names(store).kept()
    records = list_runs(store)
    roots = {
        (row.stage, row.version)
        for record in [*_recent(records, keep), *(record for record in records if record.id in kept.runs)]
        for row in record.stages
    }
    roots |= kept.artifacts
    # By content: after an edit that changes no weight, the scores of the new model are those of the old one.
    models = {graph[artifact].digest for artifact in kept.artifacts & graph.keys() if artifact[0] == MODEL}
    for artifact, manifest in graph.items():
        if artifact[0] in WITH_A_MODEL and models & {taken.digest for taken in manifest.inputs}:
            roots.add(artifact)
    waiting = list(roots)
    for artifact in waiting:
        inputs = graph[artifact].inputs if artifact in graph else ()
        waiting += (new := {(taken.stage, taken.version) for taken in inputs} - roots)
        roots |= new
    return roots


def _recent(records: list[RunRecord], keep: int) -> Iterator[RunRecord]:
    """Yield the newest runs of each data set down to the last completed one that counts."""
    completed: Counter[str] = Counter()
    for record in records:
        if completed[record.dataset] < keep:
            yield record
            completed[record.dataset] += record.state == "completed"
