"""The noise of training: images move by whole pixels, units drop, and each draw follows from seed and update alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tasks.fitting.backend import tf
from tasks.fitting.noise import draw_key, draw_shifts, drop, move


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
def shifts(seed: int, update: int) -> Any:
    """How far 25,000 images go, by up to two pixels; what XLA compiles has the generator."""
    return draw_shifts(25_000, 2, draw_key(seed, update))


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
def dropped(units: Any, seed: int, update: int) -> Any:
    """Units of which a quarter is dropped."""
    return drop(units, tf.constant(0.25), draw_key(seed, update))


IMAGES = np.random.default_rng(3).integers(1, 256, (5, 4, 3), np.uint8)


@pytest.mark.parametrize("down", [-5, -2, 0, 1, 4])
@pytest.mark.parametrize("right", [-3, -1, 0, 2, 5])
def test_an_image_moves_by_whole_pixels(down: int, right: int) -> None:
    """Each pixel is found that far away, what comes in is blank, and an image can leave its frame altogether."""
    shifts = np.tile(np.array([down, right], np.int32), (len(IMAGES), 1))
    found = np.asarray(move(tf.constant(IMAGES), shifts, 5))
    expected = np.zeros_like(IMAGES)
    for row, column in np.ndindex(4, 3):
        if 0 <= row + down < 4 and 0 <= column + right < 3:
            expected[:, row + down, column + right] = IMAGES[:, row, column]
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)


def test_channels_move_together() -> None:
    """A colour image moves as its channels would, each as a grey image of its own, and none of them into another."""
    colours = np.random.default_rng(4).integers(1, 256, (5, 4, 3, 3), np.uint8)
    shifts = np.array([[0, 0], [2, -1], [-1, 2], [3, 3], [-2, 0]], np.int32)
    found = np.asarray(move(tf.constant(colours), shifts, 3))
    lanes = [np.asarray(move(tf.constant(colours[..., channel]), shifts, 3)) for channel in range(3)]
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.stack(lanes, axis=3))


def test_each_image_moves_by_its_own_shift() -> None:
    """Images of one mini-batch move independently of each other."""
    shifts = np.array([[0, 0], [1, 0], [0, 1], [-1, 0], [0, -1]], np.int32)
    together = np.asarray(move(tf.constant(IMAGES), shifts, 1))
    for image, shift, found in zip(IMAGES, shifts, together, strict=True):
        np.testing.assert_array_equal(np.asarray(move(tf.constant(image[np.newaxis]), shift[np.newaxis], 1))[0], found)


def test_shifts_are_even_and_repeat_with_their_key() -> None:
    """Every pair of shifts within reach is as frequent as any other; seed and update together say which are drawn."""
    draws = [np.asarray(shifts(seed, update)) for seed, update in [(1, 0), (1, 1), (2, 0)]]
    pairs, counts = np.unique(draws[0], axis=0, return_counts=True)
    assert pairs.tolist() == [[down - 2, right - 2] for down, right in np.ndindex(5, 5)]
    assert counts.min() > 850
    assert counts.max() < 1150
    assert len({draw.tobytes() for draw in draws}) == 3
    np.testing.assert_array_equal(np.asarray(shifts(1, 0)), draws[0])


def test_dropout_keeps_the_mean_and_repeats_with_seed_and_update() -> None:
    """The share of units that become 0 is the rate, the others grow to make up; a draw repeats and is no other's."""
    ones = np.ones((400, 100), np.float32)
    first, again, other, later = (
        np.asarray(dropped(ones, seed, update)) for seed, update in [(1, 0), (1, 0), (2, 0), (1, 1)]
    )
    assert set(np.unique(first).tolist()) == {0.0, float(np.float32(1 / 0.75))}
    assert (first == 0).mean() == pytest.approx(0.25, abs=0.01)
    np.testing.assert_array_equal(first, again)
    assert len({draw.tobytes() for draw in (first, other, later)}) == 3
