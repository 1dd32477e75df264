"""
Pictures in a folder as an ordinary user reads and names them, with what Keras offers. It knows no part of idxflow.

`python benchmarks/keras_folder.py load FOLDER`: each folder in it is a class. Prints: seconds, imports left out.
`python benchmarks/keras_folder.py predict FOLDER MODEL`: the class of each picture. Prints: a line each.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from PIL import Image

BATCH = 1024


def read(folder: Path, **options: Any) -> Any:
    """Open a folder as batches of grey images, in the order of their names."""
    size = Image.open(next(folder.rglob("*.png"))).size[::-1]
    return keras.utils.image_dataset_from_directory(
        folder, color_mode="grayscale", image_size=size, batch_size=BATCH, shuffle=False, verbose=False, **options
    )


def load(folder: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return all images, uint8 (n, rows, columns), and their labels, uint8 (n,)."""
    images, labels = zip(*((batch.numpy(), label.numpy()) for batch, label in read(folder)), strict=True)
    return np.concatenate(images)[..., 0].astype(np.uint8), np.concatenate(labels).astype(np.uint8)


def predict(folder: Path, model: Path) -> list[int]:
    """Return the class index of each picture."""
    network = keras.models.load_model(model)
    batches = read(folder, labels=None).map(lambda batch: keras.ops.reshape(batch, (-1, network.input_shape[1])))
    return network.predict(batches, verbose=0).argmax(axis=1).tolist()  # type: ignore[no-any-return]


if __name__ == "__main__":
    if sys.argv[1] == "load":
        began = time.perf_counter()
        load(Path(sys.argv[2]))
        sys.stdout.write(f"{time.perf_counter() - began}\n")
    else:
        sys.stdout.write("".join(f"{label}\n" for label in predict(Path(sys.argv[2]), Path(sys.argv[3]))))
