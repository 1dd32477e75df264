"""How much memory is free, as the kernel and a container's control group tell it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.fitting.memory import FILES, free_memory

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
