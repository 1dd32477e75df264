"""
Label hints from networks that have not seen the images: as many trainings as folds, and one look at each train image.

They are made from what a run left: its train table, its normaliser and its configuration. The flow that computes them
is `flows.hinting`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from artifacts.archive.lookup import stored_artifact
from artifacts.archive.runs import subject_of
from artifacts.engine.plan import Planning
from artifacts.ref import Ref
from artifacts.refresh import Refresh
from artifacts.store.store import Store
from flows.parts import PARSE, as_parts, rows_of, stored_parts
from flows.run_record import RunRecord
from schemas.errors import UsageError
from schemas.held_out import Way
from schemas.training import Training
from tasks.crosscheck import crosscheck
from tasks.fitting.folds import Fold
from tasks.fold import fold
from tasks.formats.table import Parts


@dataclass(frozen=True)
class Base:
    """What a run was trained from. Args: dataset: its name; table: of the train split; groups: of copies, if any."""

    dataset: str
    table: Parts
    normalizer: Ref
    training: Training
    held_out: Way
    groups: Ref | None = None


def base_of(store: Store, record: RunRecord) -> Base:
    """
    Find what a completed run was trained from.

    Raises: UsageError: it did not complete, another version of idxflow made it, or what it used is no longer stored.
            ArtifactDamaged.
    """
    found = {(row.stage, row.name): row for row in record.stages}
    tables, normalizer = rows_of(store, record.stages, PARSE, "train"), found.get(("normalize", ""))
    groups = found.get(("group", ""))
    subject = subject_of(store, RunRecord.model_validate(record.model_dump()))
    if not tables or normalizer is None or record.held_out is None:
        raise UsageError(
            subject,
            expected="a completed run, with its train table and normaliser",
            found="one without",
            way_out="`idxflow runs` lists the others.",
        )
    try:
        training = Training.model_validate(record.training)
    except ValidationError as error:
        found_there = f"a configuration that is none here: {error.error_count()} of its values"
        way_out = "Run it once more with this version."
        raise UsageError(subject, expected="a run of this version", found=found_there, way_out=way_out) from error
    return Base(
        dataset=record.dataset,
        table=as_parts(stored_parts(store, tables)),
        normalizer=stored_artifact(store, normalizer.stage, normalizer.version).ref,
        training=training,
        held_out=record.held_out.way,
        groups=stored_artifact(store, groups.stage, groups.version).ref if groups else None,
    )


def walk(base: Base, folds: int) -> Any:
    """Call the stages of the current run. Returns: what crosscheck's call does."""
    numbers = range(1, folds + 1)
    models = [
        fold(base.table, base.normalizer, base.training, base.held_out, Fold(number=number, of=folds), base.groups)
        for number in numbers
    ]
    return crosscheck(models, base.table, base.groups)


def crosschecked(store: Store, base: Base, folds: int) -> Ref | None:
    """Return the scores of networks that have not seen the images, where they are stored; nothing is computed."""
    planning = Planning(store, Refresh(), base.dataset)
    with planning.walking():
        return planning.reference(walk(base, folds))
