"""What decides the last bits of a weight."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Numerics(BaseModel):
    """What training depends on beside data and configuration: the same here means bit-identical weights."""

    model_config = ConfigDict(frozen=True)
    tensorflow: str
    keras: str
    numpy: str
    machine: str = Field(description="instruction set, as the operating system names it")
    onednn: str = Field(description="TF_ENABLE_ONEDNN_OPTS: 0, 1, or default")
    deterministic_ops: str = Field(description="TF_DETERMINISTIC_OPS: 0, 1, or default")
    intra_op_threads: int = Field(description="threads inside one operation; 0 is one a core")
    inter_op_threads: int = Field(description="operations at once; 0 is one a core")
