"""
What an artifact was made from, down to the downloaded bytes, and what was made of it.

Manifests name their inputs by version and by the digest of their content. Both count: after an edit that changes no
content a run computes a new version, and goes on with what was made from the old one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from artifacts.archive.index import RunIndex
from artifacts.archive.order import Order
from artifacts.archive.twins import Twins
from artifacts.environment import Environment
from artifacts.keys import digest_of
from artifacts.manifest import Input, Manifest
from artifacts.store.integrity import Stored
from artifacts.store.store import Store
from schemas.datasets import Origin


class Source(BaseModel):
    """
    A file as it came from outside.

    Args:
        mirror:   where from, without user, password and query; or `the store`.
        checksum: who said what it had to be; None where no proof is stored.
    """

    model_config = ConfigDict(frozen=True)
    name: str
    bytes: int
    sha256: str
    mirror: str
    checksum: Origin | None


class Making(BaseModel):
    """How an artifact was made, as its manifest says."""

    model_config = ConfigDict(frozen=True)
    created: str = Field(description="UTC, ISO 8601")
    seconds: float
    run: str = Field(description="id of the run that made it")
    bytes: int = Field(description="of all its files")
    parameters: dict[str, Any]
    code: str = Field(description="one SHA-256 over the digests of the files that the stage runs or fills")
    code_files: int = Field(description="how many those are")
    packages: dict[str, str] = Field(description="versions of those that decide the result's bits")
    environment: Environment
    source: Source | None = Field(description="of a download only")


class Node(BaseModel):
    """An artifact. `made` is None when it is no longer in the store, or its manifest does not read."""

    model_config = ConfigDict(frozen=True)
    id: str = Field(description="stage/version")
    stage: str
    name: str
    version: str
    digest: str = Field(description="of its content")
    made: Making | None


class Edge(BaseModel):
    """
    `target` was made from `source`.

    Args:
        source, target: ids of nodes.
        argument:       under which name the stage takes it.
        digest:         of the content that was taken.
        match:          exact: `source` is that very artifact.  content: another version, with the same content.
                        changed: that version was rebuilt since, with other content.
    """

    model_config = ConfigDict(frozen=True)
    source: str
    target: str
    argument: str
    digest: str
    match: Literal["exact", "content", "changed"]


class Lineage(BaseModel):
    """
    Where an artifact comes from and what became of it; each artifact once, however many ways lead there.

    Args:
        artifact: id of the node that was asked for.
        nodes:    in the order in which data passes through the stages.
        up:       all that leads to the artifact.
        down:     all that leads away from it.
    """

    model_config = ConfigDict(frozen=True)
    artifact: str
    nodes: tuple[Node, ...]
    up: tuple[Edge, ...]
    down: tuple[Edge, ...]

    def node(self, identity: str) -> Node:
        """Return the node of an id."""
        return next(node for node in self.nodes if node.id == identity)

    def above(self) -> tuple[Node, ...]:
        """Return all that the artifact was made from."""
        return self._ends({edge.source for edge in self.up})

    def below(self) -> tuple[Node, ...]:
        """Return all that was made of it."""
        return self._ends({edge.target for edge in self.down})

    def _ends(self, ids: set[str]) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.id in ids)


def trace(store: Store, stored: Stored) -> Lineage:
    """Follow a store's manifests up and down from an artifact. They are believed as they are, and no file is hashed."""
    committed = (manifest for manifest in store.manifests() if store.is_committed(manifest.stage, manifest.version))
    manifests = {_id(manifest): manifest for manifest in (*committed, stored.manifest)}
    with RunIndex(store) as index:
        order = Order(index.runs())
    graph = _Graph(manifests, _id(stored.manifest), order)
    place = graph.place
    up = graph.walk(graph.inputs, lambda edge: edge.source)
    down = graph.walk(graph.products, lambda edge: edge.target)
    return Lineage(artifact=graph.start, nodes=tuple(sorted(graph.nodes.values(), key=place)), up=up, down=down)


class _Graph:
    """Artifacts by their manifests, and the part of them that was reached from one."""

    def __init__(self, manifests: dict[str, Manifest], start: str, order: Order) -> None:
        self.manifests, self.start, self.nodes = manifests, start, dict[str, Node]()
        self._twins = Twins(manifests.values(), order)
        self._takers: defaultdict[tuple[str, str], list[tuple[Input, Manifest]]] = defaultdict(list)
        for manifest in manifests.values():
            for taken in manifest.inputs:
                self._takers[taken.stage, taken.digest].append((taken, manifest))
        self._depths = stage_depths(manifests.values())
        self._reach(manifests[start])

    def place(self, artifact: Manifest | Node) -> tuple[int, str, str, str]:
        """Return what artifacts are sorted by: the way of the data."""
        return self._depths.get(artifact.stage, 0), artifact.stage, artifact.name, artifact.version

    def walk(self, step: Callable[[Manifest], Iterator[Edge]], far_end: Callable[[Edge], str]) -> tuple[Edge, ...]:
        """Take every step from the start, and from wherever a step leads."""
        edges: dict[tuple[str, str, str], Edge] = {}
        seen, waiting = {self.start}, [self.start]
        for each in waiting:
            for edge in step(self.manifests[each]) if each in self.manifests else ():
                edges.setdefault((edge.source, edge.target, edge.argument), edge)
                if (end := far_end(edge)) not in seen:
                    seen.add(end)
                    waiting.append(end)
        return tuple(edges.values())

    def inputs(self, target: Manifest) -> Iterator[Edge]:
        """Yield what an artifact was made from; where that is gone or changed, the newest of the same content too."""
        for taken in target.inputs:
            stored = self.manifests.get(_id(taken))
            self._reach(stored or taken)
            exact = stored is None or stored.digest == taken.digest
            yield _edge(taken, taken, target, "exact" if exact else "changed")
            if twin := self._twins.of(taken):
                self._reach(twin)
                yield _edge(twin, taken, target, "content")

    def products(self, source: Manifest) -> Iterator[Edge]:
        """Yield what was made of an artifact, or of another version with the same content."""
        takers = self._takers.get((source.stage, source.digest), [])
        for taken, target in sorted(takers, key=lambda taker: self.place(taker[1])):
            self._reach(target)
            yield _edge(source, taken, target, "exact" if taken.version == source.version else "content")

    def _reach(self, artifact: Manifest | Input) -> None:
        self.nodes[_id(artifact)] = Node(
            id=_id(artifact),
            stage=artifact.stage,
            name=artifact.name,
            version=artifact.version,
            digest=artifact.digest,
            made=self._making(artifact) if isinstance(artifact, Manifest) else None,
        )

    def _making(self, manifest: Manifest) -> Making:
        return Making(
            created=manifest.created,
            seconds=manifest.seconds,
            run=manifest.run,
            bytes=manifest.bytes,
            parameters=manifest.parts.parameters,
            code=digest_of(manifest.parts.code),
            code_files=len(manifest.parts.code),
            packages=manifest.parts.packages,
            environment=manifest.environment,
            source=self._source(manifest) if manifest.stage == "download" else None,
        )

    def _source(self, download: Manifest) -> Source | None:
        proofs = (proof for _, proof in self._takers.get((download.stage, download.digest), []))
        # A file of the same bytes may be in two data sets, and published in one of them only.
        origins = (
            proof.summary.get("origin")
            for proof in proofs
            if proof.stage == "verify" and proof.parts.parameters == download.parts.parameters
        )
        try:
            return Source.model_validate({**download.summary, "name": download.name, "checksum": next(origins, None)})
        except ValidationError:
            return None


def _edge(
    source: Manifest | Input, taken: Input, target: Manifest, match: Literal["exact", "content", "changed"]
) -> Edge:
    return Edge(source=_id(source), target=_id(target), argument=taken.argument, digest=taken.digest, match=match)


def _id(artifact: Manifest | Input) -> str:
    return f"{artifact.stage}/{artifact.version}"


def stage_depths(manifests: Iterable[Manifest]) -> dict[str, int]:
    """
    Return how many stages lie above each one at the most, as the artifacts tell: whoever takes stands below.

    A stage that takes what it has made itself is no deeper for that.
    """
    above: dict[str, set[str]] = {}
    for manifest in manifests:
        above.setdefault(manifest.stage, set()).update(taken.stage for taken in manifest.inputs)
    depths = dict.fromkeys(above, 0)
    for _ in above:  # as often as the longest way is long; versions of idxflow may differ in what takes what
        depths |= {
            stage: max((depths.get(each, 0) + 1 for each in taken - {stage}), default=0)
            for stage, taken in above.items()
        }
    return depths
