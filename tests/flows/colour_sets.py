"""Sets of small pictures whose classes differ in hue and in nothing else, and the grey of the same."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.flows.own_sets import OwnSet, describe
from tests.tasks.idx_bytes import idx_bytes

SIDE = 32
CLASSES = ("red", "green", "blue")
LUMA = np.array([0.299, 0.587, 0.114])
"""What red, green and blue add to the grey of a pixel, by ITU-R BT.601, as Pillow's `convert("L")` has it."""
Array = npt.NDArray[Any]


def draw_hues(seed: int, rows: int) -> tuple[Array, Array]:
    """
    Draw pictures whose brightness is noise, and whose class is the hue that all of their pixels lean to, more or less.

    Returns: uint8 (rows, 32, 32, 3), and labels, uint8 (rows,).
    """
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(rows) % len(CLASSES)).astype(np.uint8)
    # Two directions in which a colour changes and its grey does not.
    first = np.cross(LUMA, [0, 0, 1])
    plane = np.stack([each / np.linalg.norm(each) for each in (first, np.cross(LUMA, first))])
    angle = 2 * np.pi * labels / len(CLASSES) + random.normal(0, 0.15, rows)
    hue = np.stack([np.cos(angle), np.sin(angle)], axis=1) @ plane * random.uniform(15, 45, (rows, 1))
    grey = random.uniform(80, 176, (rows, SIDE, SIDE))
    stray = random.normal(0, 8, (rows, SIDE, SIDE, 2)) @ plane
    pictures = grey[..., np.newaxis] + hue[:, np.newaxis, np.newaxis, :] + stray
    return np.clip(np.rint(pictures), 0, 255).astype(np.uint8), labels


def grey_of(pictures: Array) -> Array:
    """Return the grey of pictures: uint8 (n, rows, columns)."""
    grey: Array = np.rint(pictures @ LUMA).astype(np.uint8)
    return grey


def write_set(folder: Path, splits: dict[str, tuple[Array, Array]], classes: tuple[str, ...], **more: Any) -> OwnSet:
    """Write a set of `train` and `test` images, in whatever shape they are."""
    own = OwnSet(folder)
    folder.mkdir(parents=True)
    shape = more.pop("shape", splits["train"][0].shape[1:])
    (folder / "leaves.toml").write_text(describe(shape, classes, mirrors=("files/",), **more))
    for name, (images, labels) in splits.items():
        own.put(f"{name}-images.gz", gzip.compress(idx_bytes(images), mtime=0))
        own.put(f"{name}-labels.gz", gzip.compress(idx_bytes(labels), mtime=0))
    return own
