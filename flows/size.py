"""
What each stage needs of memory and disk, from shape, rows, classes and layers: formulas, and nothing that is looked at.

The memory is that of the whole process while the stage is at work. The constants are measured, see docs/size.md: they
say how many arrays of a size a stage has at once, and how large the libraries are that it imports.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from flows.dag import GRAPH
from schemas.image_table import BLOCK_BYTES, ROW_GROUP, rows_within
from schemas.needs import StageNeeds
from schemas.results import LISTED
from schemas.training import Training
from tasks.formats.turns import AT_ONCE

MB = 10**6
LIGHT, HEAVY = 300 * MB, 1080 * MB
"""The process with Prefect, pyarrow and pandas; and with TensorFlow, Keras and Matplotlib, as in a run that trains."""
ARTIFACT = MB
"""What an artifact takes on the disk beside its data: manifest, statistics, pictures."""
ROW = 60
"""Bytes a row of labels, digests, ranks and masks, whatever the image."""
CLASS = 2_000
"""Bytes a class of names and figures in memory; the report, which has each several times, takes as much again."""
PAIR = 400
"""Bytes a row of the pair of classes that it is counted in, where there are many classes: as objects, and as text."""
PACKED = 2_500
"""Bytes a file of its name, digest and place, and of the row of the ledger, while it is packed."""
GROUPED = 300
"""Bytes an image while copies are sought: digests, projections, places; and blocks, whatever the number of images."""
BLOCKS = 60 * MB
"""Of projections, and of pairs that are compared at once."""
SCORED = 2_000
"""Rows that are scored at once at most, as in `tasks.inference.perceptron`, by each of so many threads."""
SCORING = 4


@dataclass(frozen=True)
class Work:
    """
    What decides how large a run is.

    Args:
        pixels:   values of an image: rows * columns * channels.
        classes:  how many.
        train:    rows of the train split; 0 where that is not known.
        test:     rows of the test split, likewise.
        files:    of each file, by name, its bytes as it is downloaded and as it is decompressed; 0 where not known.
        training: the configuration.
        free:     bytes of memory for all of the process; of what is left, the train table may take half.
        parts:    of each split that has several, by its name: how many.
    """

    pixels: int
    classes: int
    train: int
    test: int
    files: Mapping[str, tuple[int, int]]
    training: Training
    free: int
    parts: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows of both splits."""
        return self.train + self.test

    @property
    def widths(self) -> tuple[int, ...]:
        """Units of each layer, the pixels first."""
        return self.pixels, *self.training.hidden, self.classes

    @property
    def weights(self) -> int:
        """Bytes of the weights: kernels and biases, float32."""
        return 4 * sum((inputs + 1) * units for inputs, units in pairwise(self.widths))

    @property
    def states(self) -> int:
        """Bytes that the optimizer keeps: a value a weight for momentum, two for AdamW."""
        if self.training.optimizer == "adamw":
            return 2 * self.weights
        return self.weights if self.training.momentum else 0

    def part(self, split: str) -> int:
        """Return the rows of a part of a split, as if all were equal."""
        rows = {"train": self.train, "test": self.test}.get(split, 0)
        return -(-rows // self.parts.get(split, 1))

    @property
    def groups(self) -> int:
        """Bytes of the row groups of the parts that are in memory at once, one each."""
        each = [size for name in ("train", "test") for size in [self.group(self.part(name))] * self.parts.get(name, 1)]
        return sum(sorted(each)[-AT_ONCE:])

    def group(self, rows: int) -> int:
        """Return the bytes of the largest row group of so many rows."""
        return self.pixels * min(rows, rows_within(ROW_GROUP, self.pixels))


def needs_of(work: Work, stages: Collection[tuple[str, str]]) -> tuple[StageNeeds, ...]:
    """
    Estimate what some stages need, in the order of the graph.

    Args: stages: those that are to be computed, each with what it is of: a file, a split, or nothing.
    """
    disk: dict[str, int] = {}
    for stage, name in stages:
        disk[stage] = disk.get(stage, 0) + _disk(work, stage, name)
    return tuple(
        StageNeeds(stage=stage, memory=_memory(work, stage, disk.keys()), disk=disk[stage])
        for stage in GRAPH
        if stage in disk
    )


def _memory(work: Work, stage: str, run: Collection[str]) -> int:
    """Return what the process takes while `stage` is at work, of those that are `run` in it."""
    base = HEAVY if {"train", "evaluate"} & set(run) else LIGHT  # it is imported while the data comes
    group, groups = work.group(max(work.train, work.test)), work.groups
    each = ROW * work.rows + CLASS * work.classes
    left = _left(work) if "train" in run else 0
    model = 11 * work.weights // 5 if "evaluate" in run else 0
    more = {
        "pack": lambda: PACKED * work.rows + 3 * work.group(work.rows) + BLOCKS // 2,  # a row may be a file of its own
        "group": lambda: GROUPED * work.rows + 4 * work.group(work.rows) + BLOCKS,
        "parse": lambda: 11 * groups // 2,  # of both splits at once, or of several parts
        "profile": lambda: 4 * groups + 20 * work.pixels,
        "validate": lambda: 4 * groups + 20 * work.pixels,  # pixels as float64, a block at a time, or an image
        "normalize": lambda: 36 * work.pixels,  # its sums are int64, its mean float64
        "train": lambda: _train(work),
        "evaluate": lambda: left + _evaluate(work),
        "report": lambda: each + left + model + 2 * group + 2 * _pairs(work),
    }
    return base + each + more[stage]() if stage in more else base


def _train(work: Work) -> int:
    """Return what training takes: weights, their gradients, what the file is made from; the table; a mini-batch."""
    best = work.weights if work.training.patience else 0
    weights = 83 * work.weights // 20 + work.states + best
    batch, hidden = min(work.training.batch_size, work.train), sum(work.training.hidden)
    of_pixels = 5 if work.training.shift else 1  # where images are moved: indexes, moved ones and features of them
    update = 4 * batch * (of_pixels * work.pixels + 5 * (hidden + work.classes))
    validated = rows_within(4_000, 4 * max(*work.widths, 8 * work.classes)) * 4 * (2 * hidden + 10 * work.classes)
    return weights + 17 * work.pixels + 7 * work.group(work.train) // 2 + _table(work) + update + validated


def _evaluate(work: Work) -> int:
    """Return what evaluating takes: the model's file, what is read from it, the weights; a block of images."""
    block = rows_within(SCORED, 4 * max(work.widths)) * 4 * max(work.pixels, work.classes)
    return 83 * work.weights // 20 + 6 * work.pixels + 3 * SCORING * block + _pairs(work)


def _table(work: Work) -> int:
    """Return what the train table takes: held in memory, or a window of it and three steps, where that is less."""
    training = work.training
    held_out = int(work.train * training.validation_fraction)
    wide = work.pixels if training.shift else 4 * work.pixels
    held = (work.train - held_out) * wide + held_out * 4 * work.pixels
    budget = max(0, work.free - HEAVY) // 2 if training.memory is None else training.memory
    if held <= budget:
        return held
    step = max(BLOCK_BYTES, training.batch_size * 4 * work.pixels)
    return min(training.shuffle_window, work.train) * work.pixels + 3 * min(step, work.train * wide)


def _left(work: Work) -> int:
    """Return what a training leaves in the process: TensorFlow keeps the network and its table to the end."""
    return 43 * work.weights // 20 + work.states + 20 * work.pixels + _table(work) + 7 * work.group(work.train) // 2


def _pairs(work: Work) -> int:
    return PAIR * min(work.rows, work.classes**2) if work.classes > LISTED else 0


def _disk(work: Work, stage: str, name: str) -> int:
    """Return what a stage leaves on the disk; one without a formula here leaves little."""
    rows = work.part(name.partition(" ")[0])
    return (
        ARTIFACT
        + {
            "download": work.files.get(name, (0, 0))[0],
            "verify": 0,
            "pack": work.rows * (2 * work.pixels + 100),  # twice while pictures are decoded
            "group": 40 * work.rows,
            "decompress": work.files.get(name, (0, 0))[1],
            "parse": rows * (work.pixels + 8) * 101 // 100,  # pixels that are noise: nothing is compressed
            "profile": rows * 32 + 8 * work.pixels,
            "validate": 0 if name in work.parts else rows * 32 + 8 * work.pixels,
            "normalize": 8 * work.pixels,
            # The checkpoint is written beside the one before; the model is there once both are to go.
            "train": 8 * work.pixels + 2 * (work.weights + work.states) + work.weights,
            "evaluate": 24 * work.rows + _pairs(work) // 4 + 200 * work.classes,
            "report": 0,
        }.get(stage, 0)
        + 50 * work.classes
    )
