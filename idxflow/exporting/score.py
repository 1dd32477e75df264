"""
Score images with model.onnx. It needs onnxruntime and NumPy, and nothing else.

    python score.py images.npy

images.npy, as numpy.save writes it: uint8 (n, rows, columns), or one image (rows, columns); in colour
(n, rows, columns, 3), red, green, blue. Raw pixels from 0 to 255: the model scales and centres them itself. The answer
is CSV, a line an image: its place from 0, its class, and how probable the model finds that, from 0 to 1.

In a program: `from score import Model`, then `Model().predict(images)`.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

HERE = Path(__file__).resolve().parent
BATCH = 1_000
"""Images that are scored at once."""


class Model:
    """
    The model of a folder.

    Attributes: classes: their names, in label order.  shape: of an image: rows, columns, and 3 in colour.
    """

    def __init__(self, folder: Path = HERE) -> None:
        labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
        self.classes: list[str] = labels["classes"]
        self.shape: tuple[int, ...] = tuple(labels["shape"])
        self._session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])

    def predict(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """
        Return the probability of each class for each image.

        Args:    images: raw pixels, 0 to 255, uint8 (n, *shape), or one image, uint8 shape.
        Returns: float32 (n, classes); each row adds up to 1.
        Raises:  ValueError: floats, or another shape.
        """
        values = (int(np.prod(self.shape)),)
        if images.dtype != np.uint8 or not {images.shape, images.shape[1:]} & {self.shape, values}:
            form = ", ".join(map(str, self.shape))
            wanted = f"raw pixels, 0 to 255, uint8 (n, {form}) or (n, {values[0]})"
            raise ValueError(f"expected {wanted}, found {images.dtype} {images.shape}")
        pixels = images.reshape(-1, int(np.prod(self.shape)))
        blocks = [
            self._session.run(["probabilities"], {"pixels": pixels[start : start + BATCH]})[0]
            for start in range(0, len(pixels), BATCH)
        ]
        return np.concatenate(blocks) if blocks else np.empty((0, len(self.classes)), np.float32)


def main() -> None:
    """Score the file that the command line names."""
    if len(sys.argv) != 2 or sys.argv[1] in {"-h", "--help"}:
        raise SystemExit(__doc__)
    path = Path(sys.argv[1])
    if path.suffix != ".npy":
        raise SystemExit(
            f"{path.name}: expected a .npy file, as numpy.save writes it; make an array of pictures first."
        )
    model = Model()
    try:
        with path.open("rb") as file:
            images = np.lib.format.read_array(file, allow_pickle=False)
        probabilities = model.predict(images)
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path.name}: {error}") from error
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["image", "class", "probability"])
    for place, row in enumerate(probabilities):
        table.writerow([place, model.classes[row.argmax()], f"{row.max():.6f}"])


if __name__ == "__main__":
    main()
