"""How much memory is free, as the kernel and a control group tell it; and memory that is used again, not too early."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

from tasks.fitting.memory import ALIGNMENT, FILES, Pool, aligned, free_memory

PROC = "MemTotal:       16000000 kB\nMemFree:          900000 kB\nMemAvailable:    8000000 kB\n"


@pytest.mark.parametrize(
    ("limit", "free"),
    [("max", 8_000_000 * 1024), ("4000000000", 4_000_000_000 - 3_000_000_000 + 500_000_000), ("2000000000", 0)],
)
@pytest.mark.parametrize("version", [1, 2])
def test_the_smaller_limit_counts(tmp_path: Path, version: int, limit: str, free: int) -> None:
    """What is available on the machine is free, unless the group leaves less; its cached files do not count as used."""
    (tmp_path / "meminfo").write_text(PROC)
    for name, content in zip(
        FILES[2 - version],
        (f"{limit}\n", "3000000000\n", "anon 2400000000\ninactive_file 500000000\nactive_file 3\n"),
        strict=True,
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert free_memory(tmp_path / "meminfo", tmp_path) == free


def test_without_a_control_group_the_kernel_is_believed(tmp_path: Path) -> None:
    """A machine without control groups has what the kernel calls available."""
    (tmp_path / "meminfo").write_text(PROC)
    assert free_memory(tmp_path / "meminfo", tmp_path / "none") == 8_000_000 * 1024


def test_without_a_kernel_that_tells_half_of_the_memory_is_free(tmp_path: Path) -> None:
    """On a system of another kind the figure is a share of the machine's memory, and this machine's is plausible."""
    assert free_memory(tmp_path / "none", tmp_path) > free_memory() / 10 > 10**7


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32])
def test_an_array_begins_where_tensorflow_wants_it(dtype: type[np.generic]) -> None:
    """Whatever its type and size, its address is a multiple of 64 and it can be written to."""
    for rows in (1, 3, 1000):
        array = aligned((rows, 7), dtype)
        assert array.shape == (rows, 7)
        assert array.dtype == np.dtype(dtype)
        assert array.ctypes.data % ALIGNMENT == 0
        array[:] = 1


def test_memory_is_used_again_once_it_is_free() -> None:
    """An array that is gone leaves its memory to the next one, of fewer rows too."""
    pool = Pool((5, 4), np.float32)
    first = pool.array(5)
    address = first.ctypes.data
    del first
    second = pool.array(3)
    assert (second.ctypes.data, second.shape) == (address, (3, 4))
    assert pool.array(9).shape == (5, 4)


@pytest.mark.parametrize(
    "keep",
    [
        lambda array: array[1:2],
        lambda array: array.reshape(-1)[3:].view(np.uint32),
        memoryview,
        lambda array: array.__dlpack__(),
    ],
    ids=["view", "view of a view", "buffer", "dlpack"],
)
def test_memory_that_anything_still_reads_is_not_lent_again(keep: object) -> None:
    """Whoever has an array, a view of it or its buffer keeps the memory, and gives it back in the end."""
    assert callable(keep)
    pool = Pool((5, 4), np.float32)
    first = pool.array(5)
    address = first.ctypes.data
    kept = keep(first)
    del first
    gc.collect()
    other = pool.array(5)
    assert other.ctypes.data != address
    del kept
    gc.collect()
    assert pool.array(5).ctypes.data == address


def test_tensorflow_keeps_what_it_reads() -> None:
    """A tensor that shares an array's memory keeps it, in a data set too, and shows what was written into it."""
    from tasks.fitting.backend import tf

    pool, seen = Pool((2, 16), np.float32), list[int]()

    def make(index: np.int64) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        array = pool.array(2)
        array[:] = index
        seen.append(array.ctypes.data)
        return array

    data = tf.data.Dataset.range(20).map(lambda index: tf.numpy_function(make, [index], tf.float32)).prefetch(1)
    kept = list(data.take(6))
    assert [float(tensor[1, 15]) for tensor in kept] == list(range(6))
    assert len(set(seen[:6])) == 6
    del kept
    for index, tensor in enumerate(data):
        assert float(tensor[0, 0]) == index
    assert len(set(seen)) < len(seen)
