"""What a completed run left in the store, checked, for whoever holds it against another."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from artifacts.archive.lookup import stored_artifact
from artifacts.archive.runs import state_of
from artifacts.disk import disk
from artifacts.integrity import Stored
from artifacts.run_record import RunRecord
from artifacts.store import Store
from schemas.errors import UsageError
from schemas.metrics import Metrics

DATA = ("download", "parse")
"""Stages whose content is the data: the bytes as they came, and the tables that all else is made from."""
Facts = Mapping[str, Mapping[str, Any]]
"""Nested values by the stage that depends on them; by an empty name those of the run as a whole."""


@dataclass(frozen=True)
class Evidence:
    """
    A completed run and its artifacts.

    Args: stored: the artifacts by stage and what each is of: `parse test`, `train`.
    """

    record: RunRecord
    stored: dict[str, Stored]
    metrics: Metrics

    @property
    def evaluation(self) -> Path:
        """The folder of the evaluate artifact, each byte of which was checked."""
        return self.stored["evaluate"].folder

    @property
    def test_tables(self) -> list[str]:
        """Content digests of the tables that the model was tested on."""
        return [each.digest for each in self.stored["evaluate"].manifest.inputs if each.name == "test"]

    def parameters(self, stages: Collection[str]) -> Facts:
        """Return the run's data set and configuration, and the parameters of some of its stages."""
        run = {"dataset": self.record.dataset, "training": self.record.training.model_dump(mode="json")}
        return {"": run} | {name: self.stored[name].manifest.parts.parameters for name in self.stored if name in stages}

    def data(self) -> Facts:
        """Return the content digests of downloads and tables."""
        return {"": {name: each.ref.digest for name, each in self.stored.items() if each.ref.stage in DATA}}

    def code(self) -> Facts:
        """Return the digest of each file of code by stage."""
        return {each.ref.stage: each.manifest.parts.code for each in self.stored.values()}

    def environment(self) -> Facts:
        """Return where the model was trained."""
        return {"": self.stored["train"].manifest.environment.model_dump(mode="json")}


def gather(store: Store, record: RunRecord) -> Evidence:
    """
    Check the artifacts of a run, and read its metrics.

    Raises: UsageError: it was not completed, or an artifact of it is no longer in the store.
            ArtifactDamaged: one is not what its manifest says.  StoreError: the disk.
    """
    stages = {f"{row.stage} {row.name}".strip(): row for row in record.stages}
    state = state_of(store, record)
    if state != "completed" or not {"train", "evaluate"} <= stages.keys():
        raise UsageError(
            f"run {record.id}",
            expected="a completed run, which has metrics",
            found="one without training and evaluation" if state == "completed" else f"a {state} one",
            way_out="`idxflow runs` lists the others.",
        )
    # Of evaluate every byte is hashed, since its files are read; of the others what a cached run checks.
    stored = {
        name: stored_artifact(store, row.stage, row.version, fully=row.stage == "evaluate")
        for name, row in stages.items()
    }
    folder = stored["evaluate"].folder
    with disk(folder):
        metrics = Metrics.model_validate_json((folder / "metrics.json").read_bytes())
    return Evidence(record, stored, metrics)
