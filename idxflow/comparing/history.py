"""The course of a run's training, for notebooks: as a table of pandas, and as curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.training import EpochRow, History

if TYPE_CHECKING:
    import pandas as pd


# Not a method of `History`: that module is in the key of every model, and all would be trained again.
class TrainingHistory(History, frozen=True, extra="forbid"):
    """Every epoch, in order; see `schemas.training.History` for the fields."""

    def to_pandas(self) -> pd.DataFrame:
        """
        Return a table with a row per epoch.

        Returns: index `epoch`, int64, from 1; columns as in `curve.csv`, float64: loss and validation_loss in nats,
                 accuracy and validation_accuracy in [0, 1]; the validation twins are NaN where no rows were held out.
        """
        import pandas as pd

        names = [name for name in EpochRow.model_fields if name != "epoch"]
        epochs = pd.Index([row.epoch for row in self.epochs], dtype="int64", name="epoch")
        columns = {name: [getattr(row, name) for row in self.epochs] for name in names}
        return pd.DataFrame(columns, index=epochs, dtype="float64")

    def _repr_html_(self) -> str:
        """Return the curves for a notebook."""
        from idxflow.views.notebook import history_html

        return history_html(self)
