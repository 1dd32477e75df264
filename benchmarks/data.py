"""The data stages and the evaluation, Prefect left out, beside what the tutorial does and what the machine can."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from artifacts.store.store import Store
from benchmarks.harness import Figure, Goal, Result, Setting, Times, clock, interleave, ratio, summarize
from benchmarks.processes import run_process
from benchmarks.walk import Walk
from schemas.catalog import load_dataset
from schemas.training import Training


def measure_data(setting: Setting, *, again: bool = True) -> Result:
    """
    Measure verify to normalize, all artifacts written and validated, beside the tutorial's load and normalise.

    Both as they come in a run, once in a process of their own; and again and again in this one, whose memory and
    libraries have served before, beside what the machine can. Args: again: the latter as well.
    """
    from tasks.fitting import backend  # noqa: F401 - quiet, before the tutorial imports Keras

    from benchmarks import loading, tutorial  # isort: skip

    data = load_dataset(setting.dataset, (str(setting.mnist),))
    theirs, own, what = (
        "tutorial: load, normalise",
        "idxflow: verify to normalize",
        "verify to normalize, Prefect left out,",
    )

    def ours(normalize: Callable[[Path], float]) -> float:
        with TemporaryDirectory(dir=setting.work) as folder:
            Walk(Store(Path(folder)), "download").through(data, Training())
            return normalize(Path(folder))

    def process(*arguments: str | Path) -> float:
        return float(run_process([sys.executable, "-m", "benchmarks.loading", *map(str, arguments)]))

    once = {
        theirs: lambda: process("tutorial", setting.mnist),
        own: lambda: ours(lambda home: process("idxflow", setting.mnist, home, setting.dataset)),
    }

    def figure(times: Times) -> Figure:
        goal = Goal(0.4, 0.2)
        return ratio(f"{what} beside the tutorial's load and normalise", times[own], times[theirs], goal)

    if not again:
        times = interleave(once, setting.repeats, told=setting.told)
        return Result(times, [figure(times)])
    with TemporaryDirectory(dir=setting.work) as folder:
        raw = Walk(Store(Path(folder)), "decompress").through(data, Training())
        files = [ref.file() for (stage, _), ref in raw.refs.items() if stage in {"download", "decompress"}]
        content = [np.fromfile(file, np.uint8) for file in files]
        copies = [np.empty_like(array) for array in content]
        theirs_again, own_again = f"{theirs}, again", f"{own}, again"
        hashing, copying = "sha256sum of .gz and raw", "memcpy of both"
        contestants = {
            **once,
            theirs_again: lambda: clock(lambda: tutorial.load_and_normalize(setting.mnist)),
            own_again: lambda: ours(lambda home: clock(lambda: loading.normalize(home, data))),
            hashing: lambda: clock(lambda: subprocess.run(["sha256sum", *files], check=True, capture_output=True)),
            copying: lambda: clock(lambda: list(map(np.copyto, copies, content))),
        }
        times = interleave(contestants, setting.repeats, told=setting.told)
    return Result(
        times,
        [
            figure(times),
            ratio(f"{what} both again in one process", times[own_again], times[theirs_again]),
            ratio(f"{what} beside {hashing}", times[own], times[hashing]),
            ratio(f"{what} beside {copying}", times[own], times[copying]),
        ],
    )


def measure_evaluation(setting: Setting) -> Result:
    """Measure the evaluate stage: inputs hashed, model loaded, both splits scored, predictions written."""
    from tasks.fitting.backend import keras

    from benchmarks import tutorial  # isort: skip

    data, training = load_dataset(setting.dataset, (str(setting.mnist),)), Training(epochs=1)
    x_train, y_train, x_test, y_test = tutorial.load_and_normalize(setting.mnist)
    train, test = keras.utils.to_categorical(y_train), keras.utils.to_categorical(y_test, int(y_train.max()) + 1)
    model = tutorial.build(x_train.shape[1], train.shape[1])

    def plain() -> None:
        model.evaluate(x_train, train, verbose=0)
        model.evaluate(x_test, test, verbose=0)

    with TemporaryDirectory(dir=setting.work) as folder:
        store = Store(Path(folder))
        Walk(store, "train").through(data, training)

        def ours() -> float:
            return Walk(store, "evaluate", rebuild=("evaluate",)).through(data, training).whole["evaluate"]

        own, theirs = "idxflow: evaluate", "tutorial: evaluate"
        times = interleave({theirs: lambda: clock(plain), own: ours}, setting.repeats, told=setting.told)
    what = f"evaluate {len(y_train) + len(y_test):,} images"
    return Result(
        times,
        [
            summarize(what, "s", times[own], Goal(0.5, 0.2)),
            ratio(f"{what}, beside the tutorial's", times[own], times[theirs]),
        ],
    )
