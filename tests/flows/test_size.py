"""What a stage needs, estimated and measured: formulas beside real runs of sets that hypothesis draws."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from flows.dag import STAGES
from flows.size import HEAVY, LIGHT, Work, needs_of
from schemas.needs import Needs
from schemas.training import ProfileName, Training
from tests.flows.own_sets import describe
from tests.flows.packed_sets import write_pictures
from tests.processes import PROJECT, bare_environment, run_python, served_environment
from tests.tasks.idx_bytes import idx_bytes

DRAWS = int(os.environ.get("IDXFLOW_SIZE_DRAWS", "20"))
MARGIN = 1.3
"""How far the measured peak may be above the estimate."""
LARGEST_TABLE = 200 * 10**6
"""Bytes of pixels that a test writes at most; more rows need no more memory, but time."""
PEAK = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=sys.stderr)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
sys.exit(code)
"""
"""Runs a command and prints the peak of its memory. A process of its own, as a child's peak is never below its parent's
at the moment when it was started."""
EVERY: tuple[tuple[str, str], ...] = tuple(
    (stage, name) for stage in STAGES for name in (("train", "test") if stage in {"parse", "validate"} else ("",))
)


def work(**changes: object) -> Work:
    """MNIST with the tutorial's network, or what differs from it."""
    mnist = {"pixels": 784, "classes": 10, "train": 60_000, "test": 10_000, "files": {}, "training": Training()}
    return Work(**{**mnist, "free": 16 * 10**9, **changes})  # type: ignore[arg-type]


def memory_of(**changes: object) -> int:
    """Return what all stages need at most."""
    return Needs(stages=needs_of(work(**changes), EVERY)).memory


@pytest.mark.parametrize(
    "more",
    [
        {"pixels": 4096**2, "train": 10, "test": 10},
        {"classes": 65_536},
        {"training": Training(hidden=(8192, 8192))},
        {"training": Training(hidden=(8192, 8192), optimizer="adamw")},
        {"train": 10_000_000},
    ],
    ids=["larger images", "more classes", "wider layers", "two states a weight", "more images"],
)
def test_what_is_larger_needs_more(more: dict[str, object]) -> None:
    """Of each thing that the size depends on, more of it is more memory; and never less than the libraries take."""
    assert HEAVY < memory_of() < memory_of(**more)


def test_a_small_budget_makes_training_small() -> None:
    """A table that is streamed needs a window of it, and not the table."""
    held, streamed = (memory_of(train=2_000_000, training=Training(memory=memory)) for memory in (None, 10**6))
    assert streamed < held - 10**9


def test_only_what_is_computed_counts() -> None:
    """Without training no TensorFlow is in the process; without any stage nothing is needed."""
    (needs,) = needs_of(work(), [("verify", "train-images")])
    assert needs.memory == LIGHT
    assert Needs().memory == Needs().disk == 0


def test_a_stage_without_a_formula_counts_as_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage that is new to the graph is estimated, too: the libraries in memory, its manifest on the disk."""
    monkeypatch.setattr("flows.size.GRAPH", ("balance",))
    (needs,) = needs_of(work(), [("balance", "")])
    assert needs.memory == LIGHT
    assert 0 < needs.disk < 10**7


@dataclass(frozen=True)
class Drawn:
    """A set and a network."""

    rows: int
    columns: int
    classes: int
    train: int
    test: int
    hidden: tuple[int, ...]
    profile: ProfileName
    channels: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Of an image."""
        return (self.rows, self.columns, self.channels) if self.channels > 1 else (self.rows, self.columns)

    def write(self, folder: Path) -> Path:
        """Write it. Returns: its description."""
        random = np.random.default_rng(self.train)
        for name, images in (("train", self.train), ("test", self.test)):
            pixels = random.integers(0, 256, (images, *self.shape), np.uint8)
            labels = (np.arange(images) % self.classes).astype(np.uint8 if self.classes <= 256 else np.int32)
            (folder / f"{name}-images.gz").write_bytes(gzip.compress(idx_bytes(pixels), 1))
            (folder / f"{name}-labels.gz").write_bytes(gzip.compress(idx_bytes(labels), 1))
        path = folder / "drawn.toml"
        path.write_text(describe(self.shape, map(str, range(self.classes))))
        return path


MANY = Drawn(rows=32, columns=2, classes=28_882, train=61_475, test=131, hidden=(), profile="tutorial")
"""Took half as much again as was estimated: validation had ten values for each row and class in blocks of 64 MiB."""


@st.composite
def drawn(draw: st.DrawFn) -> Drawn:
    """Draw within the documented bounds, small sets as often as large ones."""
    size = st.integers(0, 12).map(lambda power: 2**power)
    rows, columns, channels = draw(size), draw(size), draw(st.sampled_from([1, 3]))
    pixels = rows * columns * channels
    classes = 2 + int(draw(st.floats(0, 1)) ** 4 * 65_534)
    most = max(2 * classes, min(100_000, LARGEST_TABLE // pixels))
    train = draw(st.integers(min(2 * classes, most), most))
    width = st.integers(0, 11).map(lambda power: 2**power)
    return Drawn(
        rows=rows,
        columns=columns,
        classes=classes if 2 * classes * pixels <= 4 * LARGEST_TABLE else 2,
        train=train if train * pixels <= 4 * LARGEST_TABLE else max(4, LARGEST_TABLE // pixels),
        test=draw(st.integers(1, 200)),
        hidden=tuple(draw(st.lists(width, max_size=3))),
        profile=draw(st.sampled_from(["tutorial", "tuned"])),
        channels=channels,
    )


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_the_peak_is_within_the_estimate(
    prefect_server: None, tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """Each set completes with a peak of memory of at most 1.3 times the estimate, or is refused before work."""
    environment = served_environment()
    ratios, refused = list[float](), 0

    @settings(
        max_examples=DRAWS,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(drawn())
    @example(MANY)
    def run(one: Drawn) -> None:
        nonlocal refused
        folder = tmp_path / "drawn"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        options = ["--dataset", str(one.write(folder)), "--home", str(folder / "home"), "--profile", one.profile]
        options += ["--set", f"training.hidden={list(one.hidden)}", "training.epochs=1"]
        command = [sys.executable, "-m", "idxflow"]
        planned = subprocess.run(
            [*command, "plan", "--json", *options], env=environment, capture_output=True, text=True, check=True
        )
        needs = Needs.model_validate_json(planned.stdout[planned.stdout.index('"needs":') + 8 :].rstrip()[:-1])
        with (folder / "said").open("w") as said:
            done = subprocess.run(
                [sys.executable, "-c", PEAK, *command, "run", *options],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                check=False,
            )
        text = (folder / "said").read_text()
        if done.returncode:
            assert "which is free" in text, (one, text[-2000:])
            assert not (folder / "home" / "artifacts" / "download").exists(), (one, text[-2000:])
            refused += 1
            return
        ratio = int(done.stdout.splitlines()[-1]) / needs.memory
        ratios.append(ratio)
        sys.stderr.write(f"{ratio:.2f} of {needs.memory / 1e9:.2f} GB: {one}\n")
        assert ratio <= MARGIN, (one, needs)

    run()
    record_testsuite_property("ratios", sorted(ratios))
    record_testsuite_property("refused", refused)


PACK_AND_GROUP: tuple[tuple[str, str], ...] = (("pack", "photos"), ("group", ""))


@pytest.mark.parametrize("more", [{"train": 600_000}, {"pixels": 30_000}])
def test_packing_and_grouping_need_more_for_more(more: dict[str, object]) -> None:
    """More files and larger images take more memory; of both stages, and nothing of TensorFlow is in the process."""
    before, after = needs_of(work(), PACK_AND_GROUP), needs_of(work(**more), PACK_AND_GROUP)
    for one, other in zip(before, after, strict=True):
        assert LIGHT < one.memory < other.memory < HEAVY + 10**9
    assert {one.stage for one in before} == {"pack", "group"}
    assert before[0].disk > 2 * 70_000 * 784


GROWTH = """
import resource, sys
from pathlib import Path
import pandas, pyarrow.parquet
from artifacts.engine.execution import Execution
from artifacts.store.store import Store
from flows.own_source import own_dataset
from schemas.source import Choices
from tasks.group import group
from tasks.pack import pack
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
store, begin = Store(Path(sys.argv[2])), peak()
data = own_dataset(store, Path(sys.argv[1]), "set", Choices())
done = Execution(store, "0" * 12, "", pack, {"source": data.packed})()
print(peak() - begin)
packed = done.ref.at(store.folder("pack", done.row.version))
spec = data.splits["train"].spec.model_copy(update={"test_fraction": None})
given = {"images": [packed], "labels": [packed], "test_images": [], "test_labels": [], "spec": spec}
Execution(store, "0" * 12, "", group, given)()
print(peak() - begin)
"""
"""Packs and groups a place in a process that has the libraries; prints by how much its peak grew, for each stage."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "rows", "side"), [("pictures", 6_000, 8), ("pictures", 1_000, 100), ("npz", 50_000, 28)]
)
def test_packing_and_grouping_stay_within_the_estimate(tmp_path: Path, kind: str, rows: int, side: int) -> None:
    """What the process takes beside its libraries is at most 1.3 times what is estimated beside them."""
    images = np.random.default_rng(1).integers(0, 256, (rows, side, side), np.uint8)
    labels, place = np.arange(rows) % 10, tmp_path / ("set" if kind == "pictures" else "set.npz")
    if kind == "pictures":
        write_pictures(place, images, labels, [f"class {at}" for at in range(10)])
    else:
        np.savez(place, x=images, y=labels)
    environment = bare_environment(PYTHONPATH=str(PROJECT))
    output, _ = run_python("-c", GROWTH, str(place), str(tmp_path / "home"), cwd=tmp_path, environment=environment)
    needs = needs_of(work(pixels=side**2, train=rows, test=0), PACK_AND_GROUP)
    for grown, stage in zip(map(int, output.split()), needs, strict=True):
        sys.stderr.write(f"{grown / 1e6:.0f} of {(stage.memory - LIGHT) / 1e6:.0f} MB: {stage.stage}, {kind}, {side}\n")
        assert grown <= MARGIN * (stage.memory - LIGHT)
