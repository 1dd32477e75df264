"""What is left of a completed run, checked, for whoever holds it against another."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from artifacts.archive.lookup import find_stored
from artifacts.archive.runs import state_of, subject_of
from artifacts.store.disk import disk
from artifacts.store.integrity import Stored
from artifacts.store.store import Store
from flows.run_record import RunRecord
from schemas.errors import UsageError
from schemas.results import METRICS, Metrics

DATA = ("download", "parse")
"""Stages whose content is the data: the bytes as they came, and the tables that all else is made from."""
Facts = Mapping[str, Mapping[str, Any]]
"""Nested values by the stage that depends on them; by an empty name those of the run as a whole."""


@dataclass(frozen=True)
class Evidence:
    """
    A completed run and its artifacts, by stage and what each is of: `parse test`, `train`.

    Args:
        versions: of all of them.
        stored:   those that are still in the store.
        metrics:  None where the evaluation is not among these.
    """

    record: RunRecord
    versions: dict[str, str]
    stored: dict[str, Stored]
    metrics: Metrics | None

    @property
    def gone(self) -> tuple[str, ...]:
        """Its artifacts that are no longer in the store."""
        return tuple(name for name in self.versions if name not in self.stored)

    @property
    def evaluation(self) -> Path:
        """The folder of the evaluate artifact, which is stored, and each byte of which was checked."""
        return self.stored["evaluate"].folder

    @property
    def test_tables(self) -> list[str]:
        """Content digests of the tables that the model was tested on."""
        return [each.digest for each in self.stored["evaluate"].manifest.inputs if each.name == "test"]

    def parameters(self, names: Collection[str]) -> Facts:
        """Return the run's data set and configuration, and the parameters of some of its stages."""
        run = {"dataset": self.record.identity, "training": self.record.training}
        return {"": run} | {name: each.manifest.parts.parameters for name, each in self._among(names).items()}

    def data(self, names: Collection[str]) -> Facts:
        """Return the content digests of downloads and tables."""
        return {"": {name: each.ref.digest for name, each in self._among(names).items() if each.ref.stage in DATA}}

    def code(self, names: Collection[str]) -> Facts:
        """Return the digest of each file of code by stage."""
        return {each.ref.stage: each.manifest.parts.code for each in self._among(names).values()}

    def environment(self, names: Collection[str]) -> Facts:
        """Return where the model was trained."""
        trained = self._among(names).get("train")
        return {"": trained.manifest.environment.model_dump(mode="json") if trained else {}}

    def _among(self, names: Collection[str]) -> dict[str, Stored]:
        return {name: each for name, each in self.stored.items() if name in names}


def gather(store: Store, record: RunRecord) -> Evidence:
    """
    Check what is stored of a run's artifacts, and read its metrics.

    Raises: UsageError: it was not completed.  ArtifactDamaged: an artifact is not what its manifest says.
            StoreError: the disk.
    """
    stages = {f"{row.stage} {row.name}".strip(): row for row in record.stages}
    state = state_of(store, record)
    if state != "completed" or not {"train", "evaluate"} <= stages.keys():
        raise UsageError(
            subject_of(store, record),
            expected="a completed run, which has metrics",
            found="one without training and evaluation" if state == "completed" else "one without",
            way_out="`idxflow runs` lists the others.",
        )
    # Of evaluate every byte is hashed, since its files are read; of the others what a cached run checks.
    found = {
        name: find_stored(store, row.stage, row.version, fully=row.stage == "evaluate") for name, row in stages.items()
    }
    stored = {name: each for name, each in found.items() if each}
    metrics = None
    if "evaluate" in stored:
        with disk(folder := stored["evaluate"].folder):
            metrics = Metrics.model_validate_json((folder / METRICS).read_bytes())
    return Evidence(record, {name: row.version for name, row in stages.items()}, stored, metrics)
