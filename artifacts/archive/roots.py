"""What a clean-up leaves: the artifacts that recent runs, aliases and pins hold, and all that those were made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from artifacts.archive.lookup import MODEL
from artifacts.archive.names import Names
from artifacts.archive.order import Order
from artifacts.archive.runs import read_history
from artifacts.archive.twins import Twins
from artifacts.manifest import Manifest
from artifacts.run_record import Record
from artifacts.store.store import Store
from schemas.errors import StoreError

Artifact = tuple[str, str]
"""Stage and version."""
WITH_A_MODEL = frozenset({"evaluate", "report"})
"""Stages whose artifacts a model that is kept by name keeps too: without them nobody knows what it is worth."""


ANSWERS = frozenset({"score"})
"""Stages whose artifacts are what a model has said: they stay as long as it does."""
Graph = dict[Artifact, Manifest]
"""Every artifact that has a manifest which reads."""


def read_graph(store: Store) -> Graph:
    """Read the manifests of a store, and of what lies aside while it is rebuilt."""
    aside = {(manifest.stage, manifest.version): manifest for manifest in store.manifests_aside()}
    return aside | {(manifest.stage, manifest.version): manifest for manifest in store.manifests()}


def find_roots(store: Store, graph: Graph, keep: int) -> set[Artifact]:
    """
    Find every artifact that is held.

    Args:
        graph: what it lacks of what was committed meanwhile is added to it.
        keep:  how many completed runs of each data set hold what they used; whatever began after them does too.
    Raises: StoreError: an alias, a pin, a run's record or a held artifact's manifest does not read: nobody knows what
                        it holds.
    """
    kept, history = Names(store).kept(), read_history(store)
    for path in history.unreadable:
        raise _unknown(
            path.relative_to(store.home).as_posix(),
            expected="a run's record",
            found="one that does not read",
            way_out="Update idxflow, if a newer one wrote it; else `idxflow verify --all --repair` puts it aside",
        )
    by_id = {record.id: record for record in history.records}
    for run in sorted(kept.runs - by_id.keys()):
        way_out = f"`idxflow pin {run} --remove` takes the pin away"
        raise _unknown(f"pin of run {run}", expected="its record", found="none", way_out=way_out)
    roots = {
        (row.stage, row.version)
        for record in (*_recent(history.records, keep), *(by_id[run] for run in kept.runs))
        for row in record.stages
    }
    roots |= kept.artifacts
    if any(store.is_committed(*each) for each in roots - graph.keys()):
        graph |= read_graph(store)  # it may have been committed since the graph was read
    for stage, version in sorted(roots - graph.keys()):
        if store.is_committed(stage, version):
            way_out = "`idxflow verify --repair` puts it aside"
            raise _unknown(
                f"artifact {stage}/{version}", expected="its manifest", found="none that reads", way_out=way_out
            )
    # By content: after an edit that changes no weight, the scores of the new model are those of the old one.
    models = {graph[artifact].digest for artifact in kept.artifacts & graph.keys() if artifact[0] == MODEL}
    for artifact, manifest in graph.items():
        if artifact[0] in WITH_A_MODEL and models & {taken.digest for taken in manifest.inputs}:
            roots.add(artifact)
    models = {graph[artifact].digest for artifact in roots & graph.keys()}
    for artifact, manifest in graph.items():
        # Runs that name what is new build upon all that was named before.
        if artifact[0] in ANSWERS and models & {taken.digest for taken in manifest.inputs}:
            roots.add(artifact)
    counting = (manifest for artifact, manifest in graph.items() if store.is_committed(*artifact))
    twins = Twins(counting, Order(history.records))
    waiting = list(roots)
    for artifact in waiting:
        inputs = graph[artifact].inputs if artifact in graph else ()
        taken = {(each.stage, each.version) for each in inputs}
        taken |= {(twin.stage, twin.version) for each in inputs if (twin := twins.of(each))}
        waiting += (new := taken - roots)
        roots |= new
    return roots


def _unknown(subject: str, *, expected: str, found: str, way_out: str) -> StoreError:
    """Make the error for something of which nobody knows what it holds."""
    return StoreError(subject, expected=expected, found=found, way_out=f"{way_out}. Nothing was taken away.")


def _recent(records: list[Record], keep: int) -> Iterator[Record]:
    """Yield the newest runs of each data set down to the last completed one that counts."""
    completed: Counter[str] = Counter()
    for record in records:
        if completed[record.identity] < keep:
            yield record
            completed[record.identity] += record.state == "completed"
