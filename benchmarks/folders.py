"""
Folders of pictures: packed, and named by a model, each beside what Keras offers for it.

`python -m benchmarks.folders FOLDER HOME` packs once, in a process of its own. Prints: seconds, imports left out.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from artifacts.store.store import Store
from benchmarks.harness import Contestant, Goal, Result, Setting, clock, interleave, ratio, summarize
from benchmarks.mnist import mirror, read_split
from benchmarks.processes import HERE, PYTHON, clean_environment, run_command, run_process
from benchmarks.walk import Walk
from schemas.errors import StageError
from schemas.training import Training

SCRIPT = str(HERE / "keras_folder.py")
LIBRARIES = ("PIL.Image", "PIL.PngImagePlugin", "pyarrow.parquet", "tasks.pack")
"""What packing imports when it begins; before the clock runs, as those of the other contestant."""


def measure_packing(setting: Setting) -> Result:
    """Measure the test split's images, as PNGs in folders, being packed: listed, hashed, decoded, accounted for."""
    ours, theirs = "idxflow: pack", "Keras: image_dataset_from_directory"
    with TemporaryDirectory(dir=setting.work) as work:
        pictures, count = _write_pictures(setting, Path(work))

        def pack() -> float:
            with TemporaryDirectory(dir=work) as home:
                return float(run_process([PYTHON, "-m", "benchmarks.folders", str(pictures), home]))

        contestants: dict[str, Contestant] = {
            theirs: lambda: float(run_process([PYTHON, SCRIPT, "load", str(pictures)])),
            ours: pack,
        }
        times = interleave(contestants, setting.repeats, told=setting.told)
    what = f"pack {count:,} pictures"
    rate = summarize(what, "samples/s", [count / seconds for seconds in times[ours]], Goal(at_least=True))
    return Result(times, [rate, ratio(f"{what}, beside Keras's reading of the same", times[ours], times[theirs])])


def measure_predicting(setting: Setting) -> Result:
    """
    Measure `idxflow predict` on the same folder beside a script with Keras, both as whole processes.

    Raises: StageError: it named another number of pictures.
    """
    ours, theirs = "idxflow predict", "Keras: load_model, predict"
    with TemporaryDirectory(dir=setting.work) as work:
        pictures, count = _write_pictures(setting, Path(work))
        with _trained(setting, Path(work) / "trained") as home:
            (model,) = home.glob("artifacts/train/*/model.keras")

            def name() -> float:
                with TemporaryDirectory(dir=work) as folder:
                    fresh = shutil.copytree(home, Path(folder) / "home", ignore=shutil.ignore_patterns("prefect"))
                    said: list[str] = []
                    command = [PYTHON, "-m", "idxflow", "predict", "latest", str(pictures), "--json"]
                    seconds = clock(lambda: said.append(run_process([*command, "--home", str(fresh)])))
                _refuse_fewer(said[0], count)
                return seconds

            contestants: dict[str, Contestant] = {
                theirs: lambda: clock(lambda: run_process([PYTHON, SCRIPT, "predict", str(pictures), str(model)])),
                ours: name,
            }
            times = interleave(contestants, setting.repeats, told=setting.told)
    what = f"name {count:,} pictures, whole process"
    return Result(
        times,
        [summarize(what, "s", times[ours]), ratio(f"{what}, beside {theirs}", times[ours], times[theirs])],
    )


def pack(folder: Path, home: Path) -> float:
    """Return the seconds of listing and packing a folder in an empty home."""
    for library in LIBRARIES:
        import_module(library)
    from flows.choose import find_dataset

    def work() -> None:
        store = Store(home)
        Walk(store, "pack").through(find_dataset(store, str(folder), ()), Training())

    return clock(work)


def _write_pictures(setting: Setting, work: Path) -> tuple[Path, int]:
    """Write the images of the test split as PNGs, a folder a class. Returns: the folder; how many."""
    from PIL import Image

    folder = work / "pictures"
    images, labels = read_split(setting.mnist, "t10k")
    for label in set(labels.tolist()):
        (folder / str(label)).mkdir(parents=True)
    for number, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        Image.fromarray(image).save(folder / str(label) / f"{number:05}.png")
    return folder, len(labels)


@contextmanager
def _trained(setting: Setting, home: Path) -> Iterator[Path]:
    """Have a home with a run of one epoch. Yields: it."""
    with mirror(setting.mnist) as address:
        command = [*run_command(setting, home, address), "--set", "training.epochs=1"]
        try:
            run_process(command, clean_environment())
        finally:
            run_process([PYTHON, "-m", "idxflow", "server", "stop", "--home", str(home)])
    yield home


def _refuse_fewer(said: str, count: int) -> None:
    named = len(json.loads(said)["answers"])
    if named != count:
        raise StageError(
            "idxflow predict",
            expected=f"{count:,} answers",
            found=f"{named:,}",
            way_out="Run it by hand on a folder of pictures, and see which files were refused.",
        )


if __name__ == "__main__":
    sys.stdout.write(f"{pack(Path(sys.argv[1]), Path(sys.argv[2]))}\n")
