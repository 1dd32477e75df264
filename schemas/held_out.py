"""Which rows of the train split are not trained on, so that each epoch can be validated with them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

Way = Literal["last", "stratified"]
"""last: the rows at the end of the split. stratified: of each class the same share, drawn from the seed."""


class HeldOut(BaseModel, frozen=True):
    """How many rows were held out, and which."""

    way: Way
    rows: int = Field(ge=0, description="held out")
    of: int = Field(ge=1, description="rows of the train split")

    def __str__(self) -> str:
        """Return `6,000 of 60,000 train rows, the last ones`."""
        which = {"last": "the last ones", "stratified": "stratified"}[self.way]
        return f"{self.rows:,} of {self.of:,} train rows, {which}" if self.rows else "nothing"


def planned(way: Way, fraction: float) -> str:
    """Say what a run would hold out: `the last 10 % of the train rows`. Args: fraction: in [0, 1)."""
    if not fraction:
        return "nothing"
    share = f"{100 * fraction:g} % of the train rows"
    return f"the last {share}" if way == "last" else f"{share}, stratified"
