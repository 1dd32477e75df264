# /// script
# requires-python = ">=3.11"
# dependencies = ["scikit-learn==1.7.2"]
# ///
"""
Make the four files of the bundled data set: `uv run schemas/catalog/digits/make.py`.

Values 0 to 16 become 0 to 240, rows stay in their order, the first 1,500 are for training. A second run
gives the same bytes; another build of zlib may pack the same content into other ones.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

TRAIN_ROWS = 1500


def write_idx(path: Path, array: npt.NDArray[np.uint8]) -> None:
    """Write uint8 `array` as a gzipped IDX file, without a clock in its header."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + array.tobytes(), compresslevel=9, mtime=0))


def main() -> None:
    """Write the files beside this one."""
    folder, digits = Path(__file__).parent, load_digits()
    images = (digits.images * 15).astype(np.uint8)
    labels = digits.target.astype(np.uint8)
    for name, rows in (("train", slice(0, TRAIN_ROWS)), ("t10k", slice(TRAIN_ROWS, None))):
        write_idx(folder / f"{name}-images-idx3-ubyte.gz", images[rows])
        write_idx(folder / f"{name}-labels-idx1-ubyte.gz", labels[rows])


if __name__ == "__main__":
    main()
