"""saved_model: TensorFlow's own folder, for TensorFlow Serving and what else reads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from idxflow.exporting.formats.form import INPUT, OUTPUT, Format, FormatName, Predictor, Trained

SIGNATURE = "serving_default"


def write_saved_model(trained: Trained, target: Path) -> None:
    """Write the model as a SavedModel whose one signature is from `pixels` to `probabilities`."""
    from tasks.fitting.backend import keras, tf

    model = trained.keras
    archive = keras.export.ExportArchive()
    archive.track(model)
    pixels = tf.TensorSpec((None, model.input_shape[-1]), tf.uint8, name=INPUT)
    archive.add_endpoint("serve", lambda pixels: {OUTPUT: model(pixels)}, input_signature=[pixels])
    archive.write_out(str(target), verbose=False)


@dataclass(frozen=True)
class SavedModel:
    """A folder that needs TensorFlow alone, and no Keras."""

    name: FormatName = "saved_model"
    file: str = "saved_model"
    meaning: str = "the same as TensorFlow's SavedModel: signature `serving_default`, `pixels` to `probabilities`"
    exact: bool = True
    needs: tuple[str, ...] = ()
    readers: tuple[str, ...] = ("tensorflow",)
    largest: int | None = None

    def write(self, trained: Trained, folder: Path) -> None:
        """Write the folder."""
        write_saved_model(trained, folder / self.file)

    def load(self, folder: Path) -> Predictor:
        """
        Load the folder with TensorFlow, and take its signature, which refuses floats.

        Its function casts an array of them (findings/saved-model-casts-floats.sh).
        """
        from tasks.fitting.backend import tf

        loaded = tf.saved_model.load(str(folder / self.file))

        def predict(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
            # From the whole each time: the signature alone does not keep the weights alive.
            return np.asarray(loaded.signatures[SIGNATURE](**{INPUT: tf.constant(pixels)})[OUTPUT])

        return predict


FORMS: dict[str, Format] = {"": SavedModel()}
