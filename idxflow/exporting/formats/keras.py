"""keras: the model's own file, byte for byte as the store has it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from artifacts.store import files
from idxflow.exporting.formats.form import Format, FormatName, Predictor, Trained
from schemas.model import MODEL


@dataclass(frozen=True)
class Keras:
    """The file that was trained, evaluated and stored."""

    name: FormatName = "keras"
    file: str = MODEL
    meaning: str = "the model, with its normalisation: raw pixels in, probabilities out"
    exact: bool = True
    needs: tuple[str, ...] = ()
    readers: tuple[str, ...] = ("keras", "tensorflow")
    largest: int | None = None

    def write(self, trained: Trained, folder: Path) -> None:
        """Write the stored bytes."""
        files.write_new(folder / self.file, trained.file.read_bytes())

    def load(self, folder: Path) -> Predictor:
        """Load the file in Keras's safe mode."""
        from tasks.fitting.backend import keras

        model = keras.saving.load_model(folder / self.file, compile=False, safe_mode=True)

        def predict(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
            return np.asarray(model(pixels))

        return predict


FORMS: dict[str, Format] = {"": Keras()}
