"""What a sweep found, for pages, JSON and notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from artifacts.archive.lookup import stored_artifact
from artifacts.archive.runs import subject_of
from artifacts.run_record import Record
from artifacts.store.disk import disk
from artifacts.store.integrity import Stored
from artifacts.store.store import Store
from schemas.errors import UsageError
from schemas.tuning import BEST, PAGE, STUDY, Study

if TYPE_CHECKING:
    import pandas as pd

STAGE = "study"
"""The stage that leaves it."""


# Not methods of `Study`: that module is in the key of what it describes.
class FoundStudy(Study, frozen=True, extra="forbid"):
    """A study in the store; the document of `idxflow show STUDY --json`. See `schemas.tuning.Study` for the fields."""

    kind: Literal["study"] = "study"
    version: str = Field(description="of its artifact")
    page: Path = Field(description="of study.html")
    best_toml: Path = Field(description="the winner's configuration, which `idxflow run --profile` takes")

    def __repr__(self) -> str:
        return f"<study {self.version} of {self.rules.dataset}: {len(self.trials)} trials>"

    def to_pandas(self) -> pd.DataFrame:
        """
        Return a table with a row per trial.

        Returns: index `number`, int64, from 1; columns: state, the values that were tried, accuracy in [0, 1] and loss
                 in nats of the held-out rows, epochs, kept, weights, stage, version, reason; NaN of a failed trial.
        """
        import pandas as pd

        rows = [
            {
                "state": each.state,
                **{name: each.values.get(name) for name in self.rules.space.domains},
                "accuracy": each.accuracy,
                "loss": each.loss,
                "epochs": len(each.history.epochs) if each.history else None,
                "kept": each.kept,
                "weights": each.weights,
                "stage": each.stage,
                "version": each.version,
                "reason": each.reason,
            }
            for each in self.trials
        ]
        numbers = pd.Index([each.number for each in self.trials], dtype="int64", name="number")
        return pd.DataFrame(rows, index=numbers)

    def _repr_html_(self) -> str:
        """Return the winner, its tests, the best trials and the figures for a notebook."""
        from idxflow.views.notebook import study_html

        return study_html(self)


def read_study(stored: Stored) -> FoundStudy:
    """Read the study of an artifact. Raises: StoreError: the disk."""
    folder = stored.folder
    with disk(folder):
        found = Study.model_validate_json((folder / STUDY).read_bytes())
    places = {"version": stored.ref.version, "page": folder / PAGE, "best_toml": folder / BEST}
    return FoundStudy.model_validate({name: getattr(found, name) for name in Study.model_fields} | places)


def find_study(store: Store, found: Record | Stored) -> FoundStudy:
    """
    Return the study of a run that tuned, or that an artifact is.

    Raises: UsageError: it is none, or no longer stored.  ArtifactDamaged.  StoreError.
    """
    if isinstance(found, Record):
        versions = [row.version for row in found.stages if row.stage == STAGE]
        subject = subject_of(store, found)
    else:
        versions = [found.ref.version] if found.ref.stage == STAGE else []
        subject = f"artifact {found.ref.stage}/{found.ref.version}"
    if not versions:
        raise UsageError(
            subject,
            expected="a run that tuned, and has completed, or its study",
            found="another",
            way_out="`idxflow runs` lists them: what `tune` computed.",
        )
    return read_study(stored_artifact(store, STAGE, versions[-1], fully=True))
