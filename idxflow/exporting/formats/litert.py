"""
litert, litert-int8: one file for LiteRT (once TensorFlow Lite), on telephones and small boards.

`litert` computes in float32. In `litert-int8` the kernels are int8, a scale for each unit (dynamic range quantization),
which makes it a quarter as large and changes probabilities: it is no equal of the model, and its accuracy is measured.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from artifacts.store import files
from idxflow.exporting.formats.form import INPUT, LARGEST, OUTPUT, Format, FormatName, Predictor, Trained


def convert(trained: Trained, *, int8: bool) -> bytes:
    """
    Return the model as a LiteRT file.

    By way of a SavedModel: from a function of a Keras model the converter takes no weights, without a word
    (findings/litert-loses-keras-weights.sh).
    """
    from idxflow.exporting.formats.saved_model import write_saved_model
    from tasks.fitting.backend import tf

    folder = trained.scratch / "for_litert"
    if not folder.exists():
        write_saved_model(trained, folder)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    if int8:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return bytes(converter.convert())


@dataclass(frozen=True)
class LiteRt:
    """One file that needs LiteRT and NumPy."""

    name: FormatName
    file: str
    meaning: str
    exact: bool
    int8: bool
    needs: tuple[str, ...] = ("ai_edge_litert",)
    readers: tuple[str, ...] = ("ai-edge-litert", "tensorflow")
    largest: int | None = LARGEST

    def write(self, trained: Trained, folder: Path) -> None:
        """Write the file."""
        files.write_new(folder / self.file, convert(trained, int8=self.int8))

    def load(self, folder: Path) -> Predictor:
        """Load the file with LiteRT's interpreter."""
        from ai_edge_litert.interpreter import Interpreter

        with _silent():
            interpreter = Interpreter(model_path=str(folder / self.file))
            interpreter.allocate_tensors()
            score = interpreter.get_signature_runner()

        def predict(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
            return np.asarray(score(**{INPUT: pixels})[OUTPUT])

        return predict


@contextmanager
def _silent() -> Iterator[None]:
    """Leave out what LiteRT writes to standard error for each file, which nothing switches off: its delegate's name."""
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


FORMS: dict[str, Format] = {
    "": LiteRt(
        "litert",
        "model.tflite",
        "the same for LiteRT: signature `serving_default`, `pixels` to `probabilities`",
        exact=True,
        int8=False,
    ),
    "int8": LiteRt(
        "litert-int8",
        "model-int8.tflite",
        "as model.tflite with int8 kernels: smaller, and not quite the same model",
        exact=False,
        int8=True,
    ),
}
