"""The record that every run leaves: `<home>/runs/<id>.json`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from artifacts.ref import StageWord, Version
from schemas.text import Moment

FORMAT = 1
"""Number of the form of records. Fields that are added do not change it: every version keeps those it does not know."""


class StageRecord(BaseModel):
    """One stage of a run."""

    model_config = ConfigDict(frozen=True, extra="allow")
    stage: StageWord
    name: str = Field(description="of what: a file, a split, or empty where the run has only one")
    version: Version
    cached: bool
    seconds: FiniteFloat = Field(ge=0, description="of the check when cached, of the computation otherwise")
    bytes: int = Field(ge=0, lt=2**63)
    path: str = Field(description="the artifact's folder")
    reason: str = Field(default="", description="why it was computed; empty when cached")
    fetched: str = Field(default="", description="address of the remote that this run took it from; empty: of none")


class Record(BaseModel):
    """What one run of any flow did. What the flow publishes itself stands beside these fields, under its own names."""

    model_config = ConfigDict(frozen=True, extra="allow")
    format: int = Field(default=0, ge=0, description="of the record; 0 in records of before")
    id: str = Field(description="12 hexadecimal digits, the end of the Prefect flow run's id")
    sequence: int = Field(
        default=0,
        ge=0,
        lt=2**63,
        description="order of the home folder's runs, whatever the clock said; 0 in records of before",
    )
    dataset: str
    dataset_id: str = Field(
        default="", description="what tells the data set from another of that name; empty in records of before"
    )
    state: Literal["running", "completed", "failed", "interrupted"]
    started: Moment = Field(description="UTC, ISO 8601")
    seconds: FiniteFloat = Field(ge=0)
    stages: tuple[StageRecord, ...] = ()
    dashboard: str | None = Field(default=None, description="address of the flow run")
    flow_run: str = Field(description="id of the Prefect flow run")
    warnings: tuple[str, ...] = ()
    error: str | None = None

    @property
    def identity(self) -> str:
        """What the data set is known by: where a record does not say, its name."""
        return self.dataset_id or self.dataset
