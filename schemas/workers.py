"""Who computes the stages of a run: threads of its own process, or workers, which are processes here or elsewhere."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

CLUSTER = r"^(tcp|tls)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$"
"""The address of a scheduler; it has no place for a user, a password or anything else that is secret."""


class Workers(BaseModel):
    """
    Who computes. It is in no key: whoever computes, the bits are the same.

    An address implies the runner `dask`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    runner: Literal["threads", "dask"] = Field(
        default="threads",
        description="threads of the run's own process, or dask: processes, for which idxflow's extra `tune` is needed.",
    )
    count: int | None = Field(
        default=None,
        ge=1,
        description="How many executions at once; for dask so many processes. Empty: as many processes as cores; of "
        "threads one that trains, and all that do not.",
    )
    cluster: str | None = Field(
        default=None,
        pattern=CLUSTER,
        examples=["tcp://HOST:8786"],
        description="Address of a Dask scheduler, tcp://HOST:PORT or tls://HOST:PORT, whose workers see the same home "
        "folder under the same path. Empty: processes of this machine, started for the run.",
    )

    @model_validator(mode="before")
    @classmethod
    def _imply(cls, given: Any) -> Any:
        return {**given, "runner": "dask"} if isinstance(given, dict) and given.get("cluster") else given

    @model_validator(mode="after")
    def _choose_one(self) -> Workers:
        if self.cluster and self.count:
            raise ValueError("a cluster has its own workers: leave out their count")
        return self
