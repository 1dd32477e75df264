"""What a person asks a sweep for: the one model that the command line, the form and a deployment share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from flows.job import DatasetName, FormTraining, StageName
from schemas.addresses import MirrorAddress
from schemas.source import Choices
from schemas.training import Training
from schemas.tuning import Sweep
from schemas.workers import Workers


def workers_of(given: Any) -> Any:
    """Let trials be trained by processes, where nobody says by whom; a run's default is another one."""
    if isinstance(given, Workers):
        given = given.model_dump(exclude_unset=True)
    return {"runner": "dask", **given} if isinstance(given, dict) else given


class TuningJob(BaseModel):
    """What one sweep is asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    dataset: DatasetName | None = Field(default=None, description="As of a run.")
    training: FormTraining = Field(
        default=Training(), description="What all trials share: the values that are tried take their place."
    )
    sweep: Sweep = Field(default=Sweep(), description="What is tried, and how often.")
    retry: bool = Field(default=False, description="Try once more what has failed in this sweep before.")
    mirrors: tuple[MirrorAddress, ...] = Field(default=(), description="As of a run.")
    refresh: tuple[StageName, ...] = Field(default=(), description="As of a run.")
    revalidate: bool = Field(default=False, description="As of a run.")
    force: bool = Field(
        default=False, description="Go on, with a warning, where more memory or disk is needed than is free."
    )
    pack: Choices = Field(
        default=Choices(), description="What is said of a folder, archive, table or file of arrays that is packed."
    )
    workers: Annotated[Workers, BeforeValidator(workers_of)] = Field(
        default=Workers(runner="dask"),
        description="Who trains: processes of this machine, one for each core, unless told otherwise.",
        json_schema_extra={"default": {"runner": "dask"}},
    )

    @property
    def parameters(self) -> dict[str, Any]:
        """The fields by name, as the flow takes them."""
        return {name: getattr(self, name) for name in type(self).model_fields}
