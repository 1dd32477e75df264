"""
A model as a folder that stands alone: weights, normaliser, class names, metrics, lineage, a card, and their checksums.

Everything in it is hashed first. The folder is built under another name, flushed to the disk, and renamed.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from artifacts.archive.lineage import Lineage, Node, Source, trace
from artifacts.archive.lookup import MODEL as STAGE
from artifacts.archive.order import Order
from artifacts.archive.runs import list_runs, read_run
from artifacts.store import files
from artifacts.store.disk import disk
from artifacts.store.holds import Hold
from artifacts.store.integrity import Damage, Stored
from artifacts.store.store import Store
from schemas.datasets import TableSpec
from schemas.errors import ArtifactDamaged, StoreError, UsageError
from schemas.model import MEAN, MODEL, NORMALIZER
from schemas.results import CONFUSION, METRICS, Metrics
from schemas.training import HISTORY, History, Training

CARD, SUMS = "README.md", "SHA256SUMS"
MODE = 0o644
MEANINGS = {
    MODEL: "the model, with its normalisation: raw pixels in, probabilities out",
    NORMALIZER: "the normaliser in figures and formulas",
    MEAN: "its mean image, float64, one value per pixel (and channel), row by row, on the scale of -1 to 1",
    "labels.json": "class names in label order, what the data set's files call each, the shape of an image",
    METRICS: "all metrics of both splits",
    CONFUSION: "test images by true and by predicted class",
    HISTORY: "loss and accuracy of each epoch",
    "manifest.json": "the model's own manifest: inputs, parameters, code, environment, files",
    "lineage.json": "all that it was made from, and what measured it",
    SUMS: "SHA-256 of every other file",
}

TELLABLE = ("http://", "https://", "the store")
"""Beginnings of a mirror's name that are no path of this machine."""


@dataclass(frozen=True)
class Material:
    """
    What an export is made of.

    Args:
        normalizer, scores, report: None where they are no longer in the store.
        lineage:  of the model; of what was made of it, only scores and report.
        files:    the downloaded files that are still known, with the split that each is of.
        findings: what validate found unusual, a sentence each.
    """

    model: Stored
    normalizer: Stored | None
    scores: Stored | None
    report: Stored | None
    lineage: Lineage
    spec: TableSpec
    files: tuple[tuple[str, Source], ...]
    findings: tuple[str, ...]


class Exported(BaseModel):
    """
    What was exported.

    Args:
        artifact: stage/version of the model.
        folder:   where to.
        files:    bytes of each file, by name.
        left_out: files that could not be had, since what they come from is no longer in the store.
    """

    model_config = ConfigDict(frozen=True)
    artifact: str
    folder: Path
    files: dict[str, int]
    left_out: tuple[str, ...]


def export(store: Store, stored: Stored, target: Path) -> Exported:
    """
    Write a model, and everything about it, to a new folder; a failure leaves nothing.

    Raises:
        UsageError:      it is no model, or the folder is not empty.
        ArtifactDamaged: an artifact of it is damaged.
        StoreError:      the disk, or an artifact of another version of idxflow.
    """
    target = target.resolve()
    _refuse_other_stages(store, stored)
    _refuse_home(store, target)
    _refuse_occupied(target)
    with disk(store.home), Hold(store.holds, f"export-{os.getpid()}-{threading.get_ident()}") as hold:
        try:
            content, left_out = _compose(gather(store, stored, hold))
        except (KeyError, ValidationError) as error:
            made_by = stored.manifest.environment.packages.get("idxflow", "?")
            raise StoreError(
                f"artifact {_id(stored)}",
                expected="a lineage that this version of idxflow understands",
                found=f"no {error}" if isinstance(error, KeyError) else f"{error.title}: {error.errors()[0]['msg']}",
                way_out=f"Export it with idxflow {made_by}, which made it.",
            ) from error
    _place(content, target)
    sizes = {name: len(data) for name, data in content.items()}
    return Exported(artifact=_id(stored), folder=target, files=sizes, left_out=left_out)


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
        report=report,
        lineage=_cut(lineage, {*taken, *(node.id for node in lineage.above())}),
        spec=_spec(model.id, inputs.get("table"), report).model_copy(update={"dataset": _name(store, stored, report)}),
        files=_files(lineage.above(), whole.above(), report),
        findings=tuple(f"{each.name} split: {finding}" for each in validated for finding in each.summary["findings"]),
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


def damaged(artifact: str, found: str) -> ArtifactDamaged:
    """Return the error for an artifact that cannot be exported as it is."""
    return ArtifactDamaged(
        f"artifact {artifact}",
        expected="what its manifest says",
        found=found,
        way_out="Move it aside with `idxflow verify --repair`, and run again to rebuild it. Nothing was exported.",
    )


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


def _refuse_other_stages(store: Store, stored: Stored) -> None:
    if stored.manifest.stage == STAGE:
        return
    lineage = trace(store, stored)
    models = [node.id for node in (*lineage.above(), *lineage.below()) if node.stage == STAGE and node.made]
    way_out = f"Export {' or '.join(models)}." if models else "`idxflow runs` lists runs; a run stands for its model."
    expected = "a model, that is an artifact of stage train"
    found = f"one of stage {stored.manifest.stage}"
    raise UsageError(f"artifact {_id(stored)}", expected=expected, found=found, way_out=way_out)


def _refuse_home(store: Store, target: Path) -> None:
    """Refuse the home folder, where the store's own commands would take an export for damage or leftovers."""
    if target.resolve().is_relative_to(store.home):
        expected = "a folder outside of the home folder"
        found = target.resolve().relative_to(store.home).as_posix()
        raise UsageError(
            str(target), expected=expected, found=f"{found} in it", way_out="Name another. Nothing was exported."
        )


def _refuse_occupied(target: Path) -> None:
    """Accept a new folder, or an empty one that is not the working folder."""
    with _writable(target):
        if not os.path.lexists(target) or (target.is_dir() and target != Path.cwd() and not any(target.iterdir())):
            return
        found = "the working folder" if target == Path.cwd() else "one with files" if target.is_dir() else "a file"
    raise UsageError(
        str(target), expected="a new or empty folder", found=found, way_out="Name another. Nothing was exported."
    )


def _compose(material: Material) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """Return the content of every file, and the names of those that are left out."""
    from idxflow.exporting.model_card import Card, Packed, render

    model, scores, spec = material.model, material.scores, material.spec
    wanted = [
        (model, (MODEL, HISTORY)),
        (material.normalizer, (NORMALIZER, MEAN)),
        (scores, (METRICS, CONFUSION)),
    ]
    content = {
        name: _read(stored, name, stored.manifest.files[name].sha256)
        for stored, names in wanted
        if stored
        for name in names
    }
    labels = {
        "dataset": spec.dataset,
        "classes": spec.classes,
        "label_offset": spec.label_offset,
        "label_values": spec.stored_labels,
        "shape": spec.shape.array,
    }
    content["labels.json"] = _lines(json.dumps(labels, indent=2, ensure_ascii=False))
    content["manifest.json"] = _read(model, "manifest.json", model.ref.manifest)
    content["lineage.json"] = _lines(material.lineage.model_dump_json(indent=2))
    dataset = material.report.manifest.parts.parameters["dataset"] if material.report else {}
    card = Card(
        model=model.manifest,
        spec=spec,
        title=dataset.get("title", spec.dataset),
        source=dataset.get("source", ""),
        files=material.files,
        findings=material.findings,
        training=Training.model_validate(model.manifest.parts.parameters["training"]),
        history=History.model_validate_json(content[HISTORY]),
        metrics=Metrics.model_validate_json(content[METRICS]) if scores else None,
        contents={name: meaning for name, meaning in MEANINGS.items() if name in {*content, SUMS}},
        packed=Packed.of(dataset.get("packed")),
    )
    content[CARD] = _lines(render(card))
    sums = [f"{hashlib.sha256(content[name]).hexdigest()}  {name}" for name in sorted(content)]
    content[SUMS] = _lines("\n".join(sums))
    return content, tuple(name for stored, names in wanted if not stored for name in names)


def _read(stored: Stored, name: str, sha256: str) -> bytes:
    """Read a file of an artifact that may have been rebuilt or deleted since it was hashed."""
    path = stored.folder / name
    data = path.read_bytes() if path.exists() else b""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise damaged(_id(stored), f"{name} changed meanwhile")
    return data


def _place(content: dict[str, bytes], target: Path) -> None:
    """Write the files aside, on the target's own disk, and give the folder its name last."""
    aside = next(each for each in target.parents if each.is_dir()) / f".{target.name}.{os.getpid()}"
    with _writable(target):
        try:
            files.remove_folder(aside)
            files.make_folder(aside)
            for name, data in content.items():
                files.write_new(aside / name, data)
                files.DISK.protect(aside / name, MODE)
            files.sync(aside)
            files.move_folder(aside, target)
        finally:
            with suppress(OSError):
                files.remove_folder(aside)


def _id(stored: Stored) -> str:
    return f"{stored.manifest.stage}/{stored.manifest.version}"


def _lines(text: str) -> bytes:
    return f"{text.rstrip()}\n".encode()


@contextmanager
def _writable(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            str(target),
            expected="a folder that can be written",
            found=error.strerror or str(error),
            way_out="Free space, mend the rights of the folder above it, or name another. Nothing was exported.",
        ) from error
