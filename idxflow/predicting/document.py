"""Everything that a network said of new images, as one document: what `--json` prints and notebooks take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from artifacts.store.store import Store
from flows.answer_files import joined
from flows.answers import Said, Trained
from schemas.counts import counted
from schemas.scoring import Scored
from schemas.text import share

if TYPE_CHECKING:
    import pyarrow as pa


class ScoredPlace(BaseModel):
    """
    What was said of one place.

    Args:
        name:    as it was given.
        version: of the artifact of stage score.
        cached:  whether an earlier call had it.
    """

    model_config = ConfigDict(frozen=True)
    name: str
    version: str
    cached: bool
    scored: Scored
    drift: tuple[str, ...] = Field(description="features by which its images are unlike those of training")


class Answers(BaseModel):
    """
    What a network said.

    Args:
        run:      id of this call's own record.
        model:    version of the network.
        model_of: id of the run that trained it; of an exported one its folder, as it was given.
        accuracy: of the network on test, in [0, 1]; None: it is not known.
    """

    model_config = ConfigDict(frozen=True)
    run: str
    model: str
    model_of: str
    dataset: str
    accuracy: float | None
    places: tuple[ScoredPlace, ...]
    _said: Said | None = None
    _store: Store | None = None

    @classmethod
    def of(cls, run: str, store: Store, network: Trained, said: Said) -> Answers:
        """Gather what was said. Args: run: id of this call's own record."""
        found = cls(
            run=run,
            model=said.model.version,
            model_of=network.run.id if network.run else network.folder.name if network.folder else "",
            dataset=network.dataset,
            accuracy=network.accuracy,
            places=tuple(
                ScoredPlace(
                    name=each.place.name,
                    version=each.version,
                    cached=each.cached,
                    scored=each.scored,
                    drift=each.scored.drift,
                )
                for each in said.answers
            ),
        )
        found._said, found._store = said, store
        return found

    @property
    def images(self) -> int:
        """Images that were named."""
        return sum(place.scored.images for place in self.places)

    @property
    def refused(self) -> int:
        """Files that were refused."""
        return sum(sum(place.scored.refused.values()) for place in self.places)

    def table(self) -> pa.Table:
        """Return a row per image and refused file, as a pyarrow table; see `schemas.scoring.Answer`."""
        return joined([each.table() for each in self._said.answers] if self._said else [])

    def so_far(self) -> pa.Table:
        """Return all that the model has answered so far about the same places, prepared in the same way."""
        return self._said.so_far(self._store) if self._said and self._store else self.table()

    def to_pandas(self) -> Any:
        """Return the same as a pandas DataFrame."""
        return self.table().to_pandas()

    def __repr__(self) -> str:
        right = f", {share(self.accuracy)} right on test" if self.accuracy is not None else ""
        return f"<answers for {counted(self.images, 'image', ',')} by model {self.model}{right}>"

    def _repr_html_(self) -> str:
        """Return what matters about each place, and the images or the least sure of them, for a notebook."""
        from idxflow.views.notebook import answers_html

        return answers_html(self)
