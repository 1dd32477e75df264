"""
How rows reach `fit`: out of memory if they fit into it, and otherwise streamed from the table.

The order is the same, and so is every update, to the bit. Streamed rows are read, shuffled and normalised in a thread
of their own while those before them are trained on; they take the memory of a window of raw pixels and a few steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import count
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from schemas.image_table import BLOCK_BYTES
from schemas.training import Training
from tasks.fitting.backend import tf
from tasks.fitting.memory import Pool, aligned
from tasks.fitting.network import Network
from tasks.fitting.rows import Labels, Rows, Window, positions, windows

ENDLESS = 2**62
LABELS = tf.TensorSpec((None,), tf.int32)

Arrays = tuple[npt.NDArray[Any], ...]
Kinds = tuple[Any, ...]
Images = npt.NDArray[Any]
"""Features, float32 (n, pixels), or raw pixels, uint8, where the network moves images and normalises them itself."""


class Feed(ABC):
    """
    What feeds one training. An element is a step: images, labels, and their order where they do not lie in it.

    Args:
        rows:     those that are trained on.
        held_out: those that are validated with, as features and as they lie.
    """

    STEP: ClassVar[int]
    """Bytes of a step, at most, and of one batch at least; a batch never lies in two steps."""

    def __init__(self, rows: Rows, held_out: Rows, network: Network, training: Training) -> None:
        self._rows, self._held_out, self._network = rows, held_out, network
        self._window, batch = training.shuffle_window, training.batch_size
        self._step = max(1, self.STEP // _bytes(rows, raw=network.shifting) // batch) * batch
        self._failure: Exception | None = None

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return -(-len(self._rows) // self._step)

    @abstractmethod
    def training(self, first_epoch: int) -> Any:
        """Return a `tf.data.Dataset` of that epoch, 0 for the very first, and of others after it without end."""

    @abstractmethod
    def validation(self) -> Any:
        """Return a `tf.data.Dataset` of the held-out rows, once."""

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Raise what went wrong in the reading thread, instead of TensorFlow's error about it."""
        try:
            yield
        except tf.errors.OpError:
            if self._failure:
                raise self._failure from None
            raise

    def _epochs(self, first: int) -> Iterator[Iterator[Window]]:
        sizes, seed = self._rows.sizes, self._network.shuffle_seed
        return (windows(sizes, self._window, seed, epoch) for epoch in count(first))

    def _generated(self, elements: Callable[[], Iterator[Arrays]], count: int | None, kinds: Kinds) -> Any:
        """
        Return a data set of the first `count` of `elements`, or of all without end; a thread makes one ahead.

        Not `from_generator`: once a process has used that, TensorFlow's threads sleep after each small operation, and
        an epoch takes twice as long.
        """
        made: Iterator[Arrays] = iter(())

        def make(index: np.int64) -> Arrays:
            nonlocal made
            try:
                if index == 0:
                    made = elements()
                return next(made)
            except Exception as error:
                self._failure = self._failure or error  # the first one: later ones only follow from it
                raise

        def element(index: Any) -> tuple[Any, ...]:
            arrays = tf.numpy_function(make, [index], [kind.dtype for kind in kinds])
            return tuple(tf.ensure_shape(array, kind.shape) for array, kind in zip(arrays, kinds, strict=True))

        return _as_it_is(tf.data.Dataset.range(count or ENDLESS).map(element).prefetch(1))


class Held(Feed):
    """All rows in memory: an element is all of them, with the order of those whose turn it is."""

    STEP = 2**30  # of MNIST's features 340,000 rows, about a second's: between steps a run can be cancelled

    @staticmethod
    def memory(rows: Rows, held_out: Rows, network: Network) -> int:
        """Return how many bytes it takes."""
        one, other = _bytes(rows, raw=network.shifting), _bytes(rows, raw=False)
        return one * len(rows) + other * len(held_out)

    def training(self, first_epoch: int) -> Any:
        """Return a `tf.data.Dataset` of that epoch, 0 for the very first, and of others after it without end."""

        def orders() -> Iterator[Arrays]:
            for epoch in self._epochs(first_epoch):
                order = positions(self._rows.sizes, epoch)
                yield from ((order[start : start + self._step],) for start in range(0, len(order), self._step))

        whole = self._whole(self._rows, raw=self._network.shifting).repeat()
        order = self._generated(orders, None, (LABELS,))
        return _as_it_is(tf.data.Dataset.zip(whole, order).map(lambda rows, order: (*rows, *order)))

    def validation(self) -> Any:
        """Return a `tf.data.Dataset` of the held-out rows, once."""
        return _as_it_is(self._whole(self._held_out, raw=False))

    def _whole(self, rows: Rows, *, raw: bool) -> Any:
        images, labels = _room(len(rows), rows, raw=raw)
        start = 0
        for group, size in enumerate(rows.sizes):
            pixels, labels[start : start + size] = rows.group(group)
            self._network.feed(pixels, np.arange(size), images[start : start + size])
            start += size
        # Shared, where a conversion would copy them.
        return tf.data.Dataset.from_tensors(
            tuple(tf.experimental.dlpack.from_dlpack(array.__dlpack__()) for array in (images, labels))
        )


class Streamed(Feed):
    """A window of raw pixels in memory at a time: an element is the rows whose turn it is, in order."""

    # Of MNIST's features 21,000 rows; three steps are in memory. To train on one takes as long as to read a window, for
    # which training does not wait then, and fifty times what Keras does around a step.
    STEP = BLOCK_BYTES

    @cached_property
    def _pixels(self) -> Pool:
        """Room for the raw pixels of a window."""
        largest = min(len(self._rows), max(self._window, *self._rows.sizes))
        return Pool((largest, self._rows.table.pixels), np.uint8)

    def training(self, first_epoch: int) -> Any:
        """Return a `tf.data.Dataset` of that epoch, 0 for the very first, and of others after it without end."""
        images = Pool(
            (min(self._step, len(self._rows)), self._rows.table.pixels),
            np.uint8 if self._network.shifting else np.float32,
        )

        def elements() -> Iterator[tuple[Images, Labels]]:
            for epoch in self._epochs(first_epoch):
                yield from self._cut(self._rows, epoch, images)

        return self._generated(elements, None, self._kinds(images))

    def validation(self) -> Any:
        """Return a `tf.data.Dataset` of the held-out rows, once."""
        # The blocks of the test step: their sums are then the same to the bit.
        block = self._network.trainee.block
        images = Pool((min(block, len(self._held_out)), self._rows.table.pixels), np.float32)

        def elements() -> Iterator[tuple[Images, Labels]]:
            sizes = enumerate(self._held_out.sizes)
            groups = (Window((group,), np.arange(size, dtype=np.int32)) for group, size in sizes)
            return self._cut(self._held_out, groups, images)

        return self._generated(elements, -(-len(self._held_out) // block), self._kinds(images))

    def _kinds(self, images: Pool) -> Kinds:
        return tf.TensorSpec((None, self._rows.table.pixels), images.dtype), LABELS

    def _cut(self, rows: Rows, windows: Iterator[Window], room: Pool) -> Iterator[tuple[Images, Labels]]:
        """Cut the rows of `windows`, in order, into elements as large as `room` allows; the last takes what is left."""
        left, filled = len(rows), 0
        images = room.array(left)
        labels = aligned(images.shape[:1], np.int32)
        for window in windows:
            pixels, of_pixels = rows.read(window.groups, self._pixels)
            order = window.order
            while len(order):
                chosen, order = np.split(order, [len(labels) - filled])
                stop = filled + len(chosen)
                self._network.feed(pixels, chosen, images[filled:stop])
                labels[filled:stop] = of_pixels[chosen]
                filled = stop
                if filled == len(labels):
                    yield images, labels
                    left, filled = left - filled, 0
                    # Others: TensorFlow still reads the ones before.
                    images = room.array(left)
                    labels = aligned(images.shape[:1], np.int32)
            del pixels, of_pixels  # before the next window is read


def _as_it_is(data: Any) -> Any:
    """Keep tf.data from rewriting the graph of a data set, which would copy the arrays in it."""
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    options.autotune.enabled = False
    return data.with_options(options)


def _bytes(rows: Rows, *, raw: bool) -> int:
    """Return the bytes of a row: its pixels, and its label."""
    return sum(array.nbytes for array in _room(1, rows, raw=raw))


def _room(count: int, rows: Rows, *, raw: bool) -> tuple[Images, Labels]:
    """Return room for `count` images of the shape of `rows`, and for their labels."""
    return aligned((count, rows.table.pixels), np.uint8 if raw else np.float32), aligned((count,), np.int32)
