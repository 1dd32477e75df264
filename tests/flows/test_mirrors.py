"""The whole pipeline from a mirror that misbehaves, with a good one after it."""

from __future__ import annotations

from itertools import repeat
from pathlib import Path

import pytest

from tests.conftest import MNIST_FILES
from tests.faults.mirror import Fault, Mirror, cut, flip, html, shorten, stall
from tests.flows.test_pipeline import Command, command, computed

__all__ = ["command"]


@pytest.mark.slow
@pytest.mark.mnist
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (html, "an HTML page (812 bytes)"),
        (stall(1000), "nothing for 20 s"),
        (cut(1000), "an answer cut after 1000 bytes"),
        (shorten(100), "bytes"),
        (flip, "SHA-256"),
    ],
    ids=["html", "stalls", "cuts", "truncates", "flips a bit"],
)
def test_the_next_mirror_makes_up_for_it(command: Command, mnist_files: Path, fault: Fault, said: str) -> None:
    """The run completes from the second mirror, and the record names which file failed where, and how."""
    files = {name: (mnist_files / name).read_bytes() for name in MNIST_FILES}
    with Mirror(files, faults=repeat(fault)) as bad, Mirror(files) as good:
        record, shown = command.run(
            *("--dataset", "mnist", "--set", "training.epochs=1"), *("--mirror", bad.url, "--mirror", good.url)
        )
    assert record.state == "completed"
    assert "train" in computed(record)
    for name in MNIST_FILES:
        warning = next(warning for warning in record.warnings if warning.startswith(f"{name}: "))
        assert said in warning
        assert bad.url.rstrip("/") in warning
        assert good.url.rstrip("/") in warning
        assert warning.split(";")[0] in shown
