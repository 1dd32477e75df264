"""What an export is made of: a model, and all that the store still has about it, found, held and hashed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from artifacts.archive.lineage import Lineage, Node, Source, trace
from artifacts.archive.order import Order
from artifacts.archive.runs import list_runs, read_run
from artifacts.store.bundles import spread_inputs
from artifacts.store.holds import Hold
from artifacts.store.integrity import Damage, Stored
from artifacts.store.store import Store
from schemas.datasets import TableSpec
from schemas.errors import ArtifactDamaged, StoreError
from schemas.pictures import PictureSpec

TELLABLE = ("http://", "https://", "the store")
"""Beginnings of a mirror's name that are no path of this machine."""


@dataclass(frozen=True)
class Material:
    """
    What an export is made of.

    Args:
        normalizer, scores, report: None where they are no longer in the store.
        test:     the table that `scores` are of, one artifact a part; none where one is no longer in the store.
        profile:  of the train split, that `scores` took; likewise.
        lineage:  of the model; of what was made of it, only scores and report.
        files:    the downloaded files that are still known, with the split that each is of.
        findings: what validate found unusual, a sentence each.
        picture:  how pictures were made into images, of a set that was packed.
    """

    model: Stored
    normalizer: Stored | None
    scores: Stored | None
    test: tuple[Stored, ...]
    profile: tuple[Stored, ...]
    report: Stored | None
    lineage: Lineage
    spec: TableSpec
    files: tuple[tuple[str, Source], ...]
    findings: tuple[str, ...]
    picture: PictureSpec | None


def gather(store: Store, stored: Stored, hold: Hold) -> Material:
    """
    Find, hold and hash everything.

    Raises:
        ArtifactDamaged:           an artifact is not what it was.
        StoreError:                nothing in the store has the model's classes.
        KeyError, ValidationError: a manifest says other things than this version of idxflow writes.
    """
    lineage = trace(store, stored)
    model, below = lineage.node(lineage.artifact), lineage.below()
    order = Order(list_runs(store))
    last = _newest(below, "report", order) or _newest(below, "evaluate", order) or model
    taken = {last.id: _take(store, hold, last)}
    # The last artifact has what the model has not: the files of the test split, and its findings.
    whole = trace(store, taken[last.id])
    scores = _newest((*whole.above(), last), "evaluate", order) or _newest(below, "evaluate", order)
    known = {node.id: node for node in (model, *lineage.above(), *whole.above(), scores) if node and node.made}
    taken |= {node.id: _take(store, hold, node) for node in known.values() if node.id != last.id}
    inputs = {
        edge.argument: taken[edge.source]
        for edge in lineage.up
        if edge.target == model.id and edge.source in taken and edge.match != "changed"
    }
    report = taken[last.id] if last.stage == "report" else None
    validated = [each.manifest for each in taken.values() if each.manifest.stage == "validate"]
    return Material(
        model=taken[model.id],
        normalizer=inputs.get("normalizer"),
        scores=taken[scores.id] if scores else None,
        test=_parts(store, taken[scores.id], "test", "test", taken) if scores else (),
        profile=_parts(store, taken[scores.id], "profiles", "train", taken) if scores else (),
        report=report,
        lineage=_cut(lineage, {*taken, *(node.id for node in lineage.above())}),
        spec=_spec(model.id, inputs.get("table"), report).model_copy(update={"dataset": _name(store, stored, report)}),
        files=_files(lineage.above(), whole.above(), report),
        findings=tuple(f"{each.name} split: {finding}" for each in validated for finding in each.summary["findings"]),
        picture=_picture(report, taken.values()),
    )


def _take(store: Store, hold: Hold, node: Node) -> Stored:
    """Hold an artifact, then hash all of it."""
    # Another holder of the lock rebuilds or deletes the artifact: it is inspected afterwards.
    with store.locked(node.stage, node.version):
        hold.add(node.stage, node.version)
    try:
        found = store.inspect(node.stage, node.version, fully=True)
    except Damage as damage:
        raise damaged(node.id, str(damage)) from damage
    if found is None:
        raise damaged(node.id, "nothing: it was deleted meanwhile")
    return found


def artifact_id(stored: Stored) -> str:
    """Return stage/version."""
    return f"{stored.manifest.stage}/{stored.manifest.version}"


def damaged(artifact: str, found: str) -> ArtifactDamaged:
    """Return the error for an artifact that cannot be exported as it is."""
    return ArtifactDamaged(
        f"artifact {artifact}",
        expected="what its manifest says",
        found=found,
        way_out="Move it aside with `idxflow verify --repair`, and run again to rebuild it. Nothing was exported.",
    )


def _parts(store: Store, stored: Stored, argument: str, split: str, taken: Mapping[str, Stored]) -> tuple[Stored, ...]:
    """
    Return the parts of a split that an artifact was made from, in their order.

    Returns: none where one of them is not stored with the content that it had then.
    """
    every = spread_inputs(store, stored.manifest.inputs)
    inputs = [each for each in every if each.argument == argument and each.name.split(" ")[0] == split]
    found = [taken.get(f"{each.stage}/{each.version}") for each in inputs]
    there = [part for part, each in zip(found, inputs, strict=True) if part and part.ref.digest == each.digest]
    return tuple(there) if len(there) == len(inputs) else ()


def _picture(report: Stored | None, taken: Iterable[Stored]) -> PictureSpec | None:
    """Return how a place was packed: by the report, else by the pack of it that is still stored."""
    sources: list[Mapping[str, Any] | None] = [
        each.manifest.parts.parameters["source"] for each in taken if each.manifest.stage == "pack"
    ]
    if report:
        sources.insert(0, report.manifest.parts.parameters["dataset"].get("packed"))
    known = [source["picture"] for source in sources if source and source["kind"] == "pictures"]
    return PictureSpec.model_validate(known[0]) if known else None


def _spec(model: str, table: Stored | None, report: Stored | None) -> TableSpec:
    """Read what a train image is from the table's manifest, else from the report's."""
    if table:
        return TableSpec.model_validate(table.manifest.parts.parameters["spec"])
    if report:
        return TableSpec.model_validate(report.manifest.parts.parameters["dataset"]["splits"]["train"]["spec"])
    raise StoreError(
        f"artifact {model}",
        expected="its train table or its report in the store, for its classes",
        found="neither",
        way_out="Run again with the same configuration to rebuild both. Nothing was exported.",
    )


def _name(store: Store, model: Stored, report: Stored | None) -> str:
    """Return what the data set is called, which is in no key: by the report, else by the run that made the model."""
    if report:
        return str(report.manifest.parts.parameters["dataset"]["name"])
    run = read_run(store, model.manifest.run)
    return run.dataset if run and run.dataset else "its data set"


def _files(trained: tuple[Node, ...], whole: tuple[Node, ...], report: Stored | None) -> tuple[tuple[str, Source], ...]:
    """
    List the downloaded files, each once, those of the train split first.

    The report knows which split a file is of; without one, what the model was not made from is of the test split.
    """
    splits = report.manifest.parts.parameters["dataset"]["splits"] if report else {}
    named = {
        file["name"]: name
        for name in ("test", "train")  # a file of both splits counts as the train split's
        if name in splits
        for shard in splits[name]["shards"]
        for file in shard.values()
    }
    found: dict[tuple[str, str], tuple[str, Source]] = {}
    for split, nodes in (("train", trained), ("test", whole)):
        for source in (node.made.source for node in nodes if node.made):
            if source:
                found.setdefault((source.name, source.sha256), (named.get(source.name, split), source))
    return tuple(sorted(found.values(), key=lambda each: each[0] != "train"))


def _cut(lineage: Lineage, ids: set[str]) -> Lineage:
    """Keep only these nodes, and no path of a folder that files came from."""
    nodes = []
    for node in (each for each in lineage.nodes if each.id in ids):
        made = node.made
        if made and made.source and not made.source.mirror.startswith(TELLABLE):
            made = made.model_copy(update={"source": made.source.model_copy(update={"mirror": "a folder"})})
        nodes.append(node.model_copy(update={"made": made}))
    down = tuple(edge for edge in lineage.down if {edge.source, edge.target} <= ids)
    return lineage.model_copy(update={"nodes": tuple(nodes), "down": down})


def _newest(nodes: Iterable[Node], stage: str, order: Order) -> Node | None:
    made = [(order(node.made), node.version, node) for node in nodes if node.stage == stage and node.made]
    return max(made, key=lambda each: each[:2])[2] if made else None
