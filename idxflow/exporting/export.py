"""
A model as a folder that stands alone: proved formats, normaliser, class names, metrics, lineage, report, card.

Everything in it is hashed first. Each format is written, read again, and held against the stored predictions. The
folder is built under another name, flushed to the disk, and renamed.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from artifacts.archive.lineage import trace
from artifacts.archive.lookup import MODEL as STAGE
from artifacts.store import files
from artifacts.store.disk import disk
from artifacts.store.holds import Hold
from artifacts.store.integrity import Stored
from artifacts.store.store import Store
from idxflow.exporting.environment import BILL, list_environment, require_bill
from idxflow.exporting.formats.form import Format, Trained, find_formats
from idxflow.exporting.material import Material, artifact_id, damaged, gather
from idxflow.exporting.model_card import Card, Packed, render
from idxflow.exporting.proof import FormatProof, Proofs, StoredScores, prove, read_stored
from idxflow.exporting.signing import OPTION as SIGN
from idxflow.exporting.signing import SIGNATURE, Key, read_key, sign_folder
from idxflow.exporting.staging import Staged, refuse_occupied, staged
from schemas.errors import IdxflowError, StoreError, UnforeseenError, UsageError
from schemas.model import MEAN, MODEL, NORMALIZER
from schemas.results import CONFUSION, METRICS, PREDICTIONS, PROFILE, REPORT, Metrics
from schemas.scoring import REFERENCE
from schemas.training import HISTORY, History, Training
from tasks.formats.table import open_table
from tasks.reference import describe, meaning_of

CARD, SUMS, PROOF, LABELS = "README.md", "SHA256SUMS", "proof.json", "labels.json"
EXAMPLE = "score.py"
"""A program that goes with an ONNX file; it stands beside this module, and is copied as it is."""
FIGURES = "figures"
LONGEST = 400
"""Characters of a library's text that are passed on."""
MEANINGS = {
    EXAMPLE: "scores images with model.onnx; needs onnxruntime and NumPy alone",
    PROOF: "what each format was found to give, beside what evaluate had stored",
    NORMALIZER: "the normaliser in figures and formulas",
    MEAN: "its mean image, float64, one value per pixel (and channel), row by row, on the scale of -1 to 1",
    LABELS: "class names in label order, what the data set's files call each, the shape of an image, how pictures"
    " became images",
    REFERENCE: "what whoever names new images has to know of the training, for `idxflow predict`",
    METRICS: "all metrics of both splits",
    CONFUSION: "test images by true and by predicted class",
    HISTORY: "loss and accuracy of each epoch",
    REPORT: "the report: what was learned, how well, from what; it shows images of the data set",
    FIGURES: "its figures: curves, confusion matrix, reliability, images of the data set",
    "manifest.json": "the model's own manifest: inputs, parameters, code, environment, files",
    "lineage.json": "all that it was made from, and what measured it",
    BILL: "every package that was installed where it was exported, as CycloneDX",
    SUMS: "SHA-256 of every other file",
    SIGNATURE: "a signature over every other file",
}


class Exported(BaseModel):
    """
    What was exported.

    Args:
        artifact: stage/version of the model.
        folder:   where to.
        files:    bytes of each file, by name, below the folder, with slashes.
        left_out: files that could not be had, since what they come from is no longer in the store.
        proofs:   what each format was found to give, in the order of the formats.
        unproved: why nothing was proved; empty where it was.
        signed:   SHA-256 of the public key, as PEM, that verifies the signature; empty without one.
    """

    model_config = ConfigDict(frozen=True)
    artifact: str
    folder: Path
    files: dict[str, int]
    left_out: tuple[str, ...]
    proofs: tuple[FormatProof, ...] = ()
    unproved: str = ""
    signed: str = Field(default="")


def export(
    store: Store,
    stored: Stored,
    target: Path,
    *,
    formats: Sequence[str] = ("keras",),
    sign: Path | None = None,
    sbom: bool = False,
) -> Exported:
    """
    Write a model, and everything about it, to a new folder; a failure leaves nothing.

    Args:
        formats: of `idxflow.exporting.formats.form.FORMATS`.
        sign:    a private key; see `idxflow.exporting.signing`.
        sbom:    list what is installed; see `idxflow.exporting.environment`.
    Raises:
        UsageError:      it is no model, the folder is not empty, no such format, its packages are not installed, or the
                         key is none.
        ArtifactDamaged: an artifact of it is damaged.
        NotProved:       a format gives other classes or probabilities than those that are stored.
        StoreError:      the disk, an artifact of another version of idxflow, or a format that cannot be proved.
        UnforeseenError: a library could not write or read a format.
    """
    target = target.resolve()
    _refuse_other_stages(store, stored)
    _refuse_home(store, target)
    refuse_occupied(target)
    wanted = find_formats(formats, int(stored.manifest.summary.get("weights", 0)))
    key = read_key(sign, store.home) if sign else None
    if sbom:
        require_bill()
    with disk(store.home), Hold(store.holds, f"export-{os.getpid()}-{threading.get_ident()}") as hold:
        with _understood(stored):
            material = gather(store, stored, hold)
            content = _collect(material)
            draft = _draft(material, content)
        scores, unproved = _find_scores(material, wanted)
        with staged(target) as building:
            proofs = _write_formats(building, material, content.pop(MODEL), wanted, scores)
            if proofs:
                content[PROOF] = _lines(_tell(material, proofs).model_dump_json(indent=2))
            if any(form.name == "onnx" for form in wanted):
                content[EXAMPLE] = Path(__file__).with_name(EXAMPLE).read_bytes()
            if sbom:
                content[BILL] = list_environment()
            there = {*(name.partition("/")[0] for name in content), SUMS, *([SIGNATURE] if key else [])}
            card = replace(
                draft,
                contents={form.file: form.meaning for form in wanted}
                | {name: meaning for name, meaning in MEANINGS.items() if name in there},
                formats=tuple(form.name for form in wanted),
                proofs=proofs,
                unproved=unproved,
                signed=key.public if key else "",
            )
            content[CARD] = _lines(render(card))
            for name, data in content.items():
                building.add(name, data)
            building.add(SUMS, building.sums())
            if key:
                _sign(building, key)
            sizes = building.seal()
    return Exported(
        artifact=artifact_id(stored),
        folder=target,
        files=sizes,
        left_out=_left_out(material),
        proofs=proofs,
        unproved=unproved,
        signed=key.public if key else "",
    )


def _find_scores(material: Material, wanted: Sequence[Format]) -> tuple[StoredScores | None, str]:
    """
    Read the stored predictions. Returns: them, or None and why there are none, which is enough for `keras` alone.

    The Keras file is the stored one, byte for byte; whatever is converted from it is exported only if it was proved.
    """
    if material.scores and material.test:
        stored = material.scores.ref.file(PREDICTIONS), material.model.ref.file(MODEL)
        return read_stored(open_table([part.ref for part in material.test]), *stored), ""
    missing = "its test table" if material.scores else "its evaluation"
    if others := [form.name for form in wanted if form.name != "keras"]:
        raise StoreError(
            f"artifact {artifact_id(material.model)}",
            expected=f"its evaluation and its test table in the store, to prove {' and '.join(others)}",
            found=f"{missing} is gone",
            way_out="Run again with the same configuration to rebuild it, or export keras alone. Nothing was exported.",
        )
    return None, f"{missing} is no longer in the store"


def _write_formats(
    building: Staged, material: Material, model: bytes, wanted: Sequence[Format], scores: StoredScores | None
) -> tuple[FormatProof, ...]:
    """Write each format, read it again, and prove it."""
    file = building.scratch / MODEL
    files.write_new(file, model, durable=False)
    trained = Trained(file, building.scratch, material.spec, artifact_id(material.model))
    proofs = []
    for form in wanted:
        with _foreign(f"format {form.name}", f"Leave {form.name} out of --format, and report this."):
            form.write(trained, building.folder)
            if scores:
                proofs.append(prove(form, form.load(building.folder), scores))
    return tuple(proofs)


def _tell(material: Material, proofs: tuple[FormatProof, ...]) -> Proofs:
    model, scores = material.model, material.scores
    return Proofs(
        model=artifact_id(model),
        content=model.manifest.digest,
        evaluation=artifact_id(scores) if scores else "",
        tolerance=max(proof.tolerance for proof in proofs),
        formats=proofs,
    )


def _sign(building: Staged, key: Key) -> None:
    signature = building.scratch / SIGNATURE
    with _foreign(f"{SIGN} {key.file.name}", "Leave out --sign, and report this."):
        sign_folder(building.folder, key, signature)
    building.add(SIGNATURE, signature.read_bytes())


@contextmanager
def _foreign(subject: str, way_out: str) -> Iterator[None]:
    """Turn what a library raises into an error of our own; an error of the disk is left to whoever knows the folder."""
    try:
        yield
    except (IdxflowError, OSError):
        raise
    except Exception as error:
        said = " ".join(str(error).split())
        raise UnforeseenError(
            subject,
            expected="a library that does it",
            found=f"{type(error).__name__}{f' ({said[:LONGEST]})' if said else ''}",
            way_out=f"Nothing was exported. {way_out}",
        ) from error


@contextmanager
def _understood(stored: Stored) -> Iterator[None]:
    """Turn what another version of idxflow has written otherwise into an error that names that version."""
    try:
        yield
    except (KeyError, ValidationError) as error:
        made_by = stored.manifest.environment.packages.get("idxflow", "?")
        raise StoreError(
            f"artifact {artifact_id(stored)}",
            expected="a lineage that this version of idxflow understands",
            found=f"no {error}" if isinstance(error, KeyError) else f"{error.title}: {error.errors()[0]['msg']}",
            way_out=f"Export it with idxflow {made_by}, which made it.",
        ) from error


def _refuse_other_stages(store: Store, stored: Stored) -> None:
    if stored.manifest.stage == STAGE:
        return
    lineage = trace(store, stored)
    models = [node.id for node in (*lineage.above(), *lineage.below()) if node.stage == STAGE and node.made]
    way_out = f"Export {' or '.join(models)}." if models else "`idxflow runs` lists runs; a run stands for its model."
    expected = "a model, that is an artifact of stage train"
    found = f"one of stage {stored.manifest.stage}"
    raise UsageError(f"artifact {artifact_id(stored)}", expected=expected, found=found, way_out=way_out)


def _refuse_home(store: Store, target: Path) -> None:
    """Refuse the home folder, where the store's own commands would take an export for damage or leftovers."""
    if target.resolve().is_relative_to(store.home):
        expected = "a folder outside of the home folder"
        found = target.resolve().relative_to(store.home).as_posix()
        raise UsageError(
            str(target), expected=expected, found=f"{found} in it", way_out="Name another. Nothing was exported."
        )


@dataclass(frozen=True)
class _Wanted:
    """Files of one artifact, which may be gone, by their names there and in the export."""

    stored: Stored | None
    names: dict[str, str]


def _wanted(material: Material) -> tuple[_Wanted, ...]:
    report = material.report
    drawn = [name for name in report.manifest.files if name.endswith(".svg")] if report else []
    return (
        _Wanted(material.model, {MODEL: MODEL, HISTORY: HISTORY}),
        _Wanted(material.normalizer, {NORMALIZER: NORMALIZER, MEAN: MEAN}),
        _Wanted(material.scores, {METRICS: METRICS, CONFUSION: CONFUSION}),
        _Wanted(report, {REPORT: REPORT} | {name: f"{FIGURES}/{name}" for name in sorted(drawn)}),
    )


def _left_out(material: Material) -> tuple[str, ...]:
    return tuple(name for wanted in _wanted(material) if not wanted.stored for name in wanted.names.values())


def _collect(material: Material) -> dict[str, bytes]:
    """Read what the store has, by its name in the export: the model itself, and all but what is made of it."""
    model, spec = material.model, material.spec
    content = {
        name: _read(wanted.stored, source, wanted.stored.manifest.files[source].sha256)
        for wanted in _wanted(material)
        if wanted.stored
        for source, name in wanted.names.items()
    }
    labels = {
        "dataset": spec.dataset,
        "classes": spec.classes,
        "label_offset": spec.label_offset,
        "label_values": spec.stored_labels,
        "shape": spec.shape.array,
        "transpose": spec.transpose,
        "picture": material.picture and material.picture.model_dump(mode="json"),
    }
    content[LABELS] = _lines(json.dumps(labels, indent=2, ensure_ascii=False))
    if material.scores and material.profile:
        content[REFERENCE] = _lines(_reference(material, Metrics.model_validate_json(content[METRICS])))
    content["manifest.json"] = _read(model, "manifest.json", model.ref.manifest)
    content["lineage.json"] = _lines(material.lineage.model_dump_json(indent=2))
    return content


def _reference(material: Material, metrics: Metrics) -> str:
    """Return what whoever names new images has to know of the training, as `idxflow predict` takes it."""
    meaning = meaning_of(material.spec, material.picture, material.spec.dataset)
    if material.scores is None or not material.profile:
        raise RuntimeError("a reference is made of an evaluation and a profile")
    profile, predictions = [part.folder / PROFILE for part in material.profile], material.scores.folder / PREDICTIONS
    return describe(meaning, profile, predictions, metrics).model_dump_json(indent=1)


def _draft(material: Material, content: dict[str, bytes]) -> Card:
    """Return the card, but for what is known only once the formats are written."""
    model, spec = material.model, material.spec
    dataset = material.report.manifest.parts.parameters["dataset"] if material.report else {}
    return Card(
        model=model.manifest,
        spec=spec,
        title=dataset.get("title", spec.dataset),
        source=dataset.get("source", ""),
        files=material.files,
        findings=material.findings,
        training=Training.model_validate(model.manifest.parts.parameters["training"]),
        history=History.model_validate_json(content[HISTORY]),
        metrics=Metrics.model_validate_json(content[METRICS]) if material.scores else None,
        contents={},
        packed=Packed.of(dataset.get("packed")),
        figures=tuple(name for name in content if name.startswith(f"{FIGURES}/")),
    )


def _read(stored: Stored, name: str, sha256: str) -> bytes:
    """Read a file of an artifact that may have been rebuilt or deleted since it was hashed."""
    path = stored.folder / name
    data = path.read_bytes() if path.exists() else b""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise damaged(artifact_id(stored), f"{name} changed meanwhile")
    return data


def _lines(text: str) -> bytes:
    return f"{text.rstrip()}\n".encode()
