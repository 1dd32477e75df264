"""
A model as a folder that stands alone: weights, normaliser, class names, metrics, lineage, a card, and their checksums.

Everything it speaks of is hashed first. The folder is built aside, flushed to the disk, and then renamed.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from artifacts.archive.lineage import trace
from artifacts.archive.lookup import MODEL as STAGE
from artifacts.store import files
from artifacts.store.disk import disk
from artifacts.store.holds import Hold
from artifacts.store.integrity import Stored
from artifacts.store.store import Store
from idxflow.exporting.material import Material, damaged, gather
from schemas.errors import StoreError, UsageError
from schemas.results import CONFUSION, METRICS, Metrics
from schemas.training import HISTORY, MEAN, MODEL, NORMALIZER, History, Training

CARD, SUMS = "README.md", "SHA256SUMS"
MODE = 0o644
MEANINGS = {
    MODEL: "the model, with its normalisation: raw pixels in, probabilities out",
    NORMALIZER: "the normaliser in figures and formulas",
    MEAN: "its mean image, float64, a value a pixel, row by row, on the scale of -1 to 1",
    "labels.json": "class names in label order, what the data set's files call each, rows and columns of an image",
    METRICS: "all metrics of both splits",
    CONFUSION: "test images by true and by predicted class",
    HISTORY: "loss and accuracy of each epoch",
    "manifest.json": "the model's own entry: inputs, parameters, code, environment, files",
    "lineage.json": "all that it was made from, and what measured it",
    SUMS: "SHA-256 of every other file",
}


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
    Write a model and all that tells of it into a new folder; whatever goes wrong, there is no half one.

    Raises:
        UsageError:      it is no model, or the folder is not empty.
        ArtifactDamaged: something that it speaks of is not what it was.
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
    """Keep exports out of the home folder, where the store's own commands would take them for damage or leftovers."""
    if target.resolve().is_relative_to(store.home):
        expected = "a folder outside of the home folder"
        found = target.resolve().relative_to(store.home).as_posix()
        raise UsageError(
            str(target), expected=expected, found=f"{found} in it", way_out="Name another. Nothing was exported."
        )


def _refuse_occupied(target: Path) -> None:
    """Let through what is not there, and a folder with nothing in it that nobody sits in."""
    with _writable(target):
        if not os.path.lexists(target) or (target.is_dir() and target != Path.cwd() and not any(target.iterdir())):
            return
        found = "the working folder" if target == Path.cwd() else "one with files" if target.is_dir() else "a file"
    raise UsageError(
        str(target), expected="a new or empty folder", found=found, way_out="Name another. Nothing was exported."
    )


def _compose(material: Material) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """Return the content of every file, and the names of those that are left out."""
    from idxflow.exporting.model_card import Card, render

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
    )
    content[CARD] = _lines(render(card))
    sums = [f"{hashlib.sha256(content[name]).hexdigest()}  {name}" for name in sorted(content)]
    content[SUMS] = _lines("\n".join(sums))
    return content, tuple(name for stored, names in wanted if not stored for name in names)


def _read(stored: Stored, name: str, sha256: str) -> bytes:
    """Read a file of an artifact that may have been made anew or cleaned up since it was hashed."""
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
