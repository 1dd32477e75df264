"""What a run needs of the machine, estimated before it: memory and disk of each stage that it would compute."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from schemas.text import amount


class StageNeeds(BaseModel):
    """What one stage needs, in bytes."""

    model_config = ConfigDict(frozen=True)
    stage: str
    memory: int = Field(description="of the process while the stage is at work, all that it holds besides included")
    disk: int = Field(description="what the stage leaves, or needs meanwhile, in the home folder")


class Needs(BaseModel):
    """What all stages need that a run would compute; see docs/size.md."""

    model_config = ConfigDict(frozen=True)
    stages: tuple[StageNeeds, ...] = ()
    known: bool = Field(
        default=True, description="whether the number of images is; if not, this is what it takes without any"
    )

    @property
    def memory(self) -> int:
        """The most memory that any stage needs, in bytes; 0 where nothing is computed."""
        return max((each.memory for each in self.stages), default=0)

    @property
    def disk(self) -> int:
        """The disk that all stages need together, in bytes."""
        return sum(each.disk for each in self.stages)

    def __str__(self) -> str:
        """Return `about 1.2 GB of memory and 340.0 MB of disk`."""
        least = "about" if self.known else "at least"
        return f"{least} {amount(self.memory, 'bytes')} of memory and {amount(self.disk, 'bytes')} of disk"
