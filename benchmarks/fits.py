"""Training: the tutorial's network by idxflow, by Keras's plain `fit` and by hand in NumPy; and the tuned profile."""

from __future__ import annotations

from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

from benchmarks.fitting import Contestant, Fitted, Job
from benchmarks.harness import Figure, Goal, Result, Setting, interleave, ratio
from benchmarks.processes import PYTHON, clean_environment, run_process
from schemas.training import Training

SEEDS = (1, 2, 3)
PLAIN = "tutorial's fit"


class Fits:
    """Trainings, each in a process of its own; idxflow's share a store with the parsed tables."""

    def __init__(self, setting: Setting, home: Path) -> None:
        self._setting, self._home = setting, home

    def fit(self, contestant: Contestant, training: Training, *, tested: bool = False) -> Fitted:
        """Train once; see `benchmarks.fitting`."""
        setting = self._setting
        job = Job(
            contestant=contestant,
            mnist=setting.mnist,
            home=self._home,
            dataset=setting.dataset,
            training=training,
            tested=tested,
        )
        # One thread is the NumPy trainer's fastest: two that share a product of 64 rows wait for each other.
        environment = clean_environment() | ({"OPENBLAS_NUM_THREADS": "1"} if contestant == "numpy" else {})
        return Fitted.model_validate_json(
            run_process([PYTHON, "-m", "benchmarks.fitting", job.model_dump_json()], environment)
        )


def measure_fit(setting: Setting, *, plain: bool = True) -> Result:
    """Measure the tutorial's training, validation after every epoch included. Args: plain: beside Keras's own too."""
    training = Training(epochs=setting.epochs)
    ours, by_hand, what = "idxflow's fit", "NumPy trainer", f"{setting.epochs} tutorial epochs with validation"
    with TemporaryDirectory(dir=setting.work) as folder:
        fits = Fits(setting, Path(folder))
        contestants = {
            PLAIN: lambda: fits.fit("plain", training).seconds,
            ours: lambda: fits.fit("idxflow", training).seconds,
            by_hand: lambda: fits.fit("numpy", training).seconds,
        }
        if not plain:
            del contestants[PLAIN]
        times = interleave(contestants, setting.repeats, told=setting.told)
    figures = [ratio(f"{what}, beside a {by_hand}", times[ours], times[by_hand], Goal(1.5, 1.0))]
    if plain:
        figures.insert(0, ratio(f"{what}, beside the {PLAIN}", times[ours], times[PLAIN], Goal(0.13, 0.1)))
    return Result(times, figures)


def measure_tuned(setting: Setting) -> Result:
    """Measure the tuned profile: its accuracy on test as the mean of three seeds, and its time. A seed is a turn."""
    seeds, right, ours = iter(SEEDS), list[float](), "tuned profile"
    short = {} if setting.epochs >= 50 else {"epochs": setting.epochs}
    with TemporaryDirectory(dir=setting.work) as folder:
        fits = Fits(setting, Path(folder))

        def tuned() -> float:
            training = Training(profile="tuned", seed=next(seeds), **short)
            fitted = fits.fit("idxflow", training, tested=True)
            right.append(fitted.accuracy or 0.0)
            return fitted.seconds

        contestants = {PLAIN: lambda: fits.fit("plain", Training(epochs=setting.epochs)).seconds, ours: tuned}
        times = interleave(contestants, len(SEEDS), warm_ups=0, told=setting.told)
    percent = [100 * share for share in right]
    accuracy = Figure(
        what=f"{ours}, test accuracy, mean of seeds {', '.join(map(str, SEEDS))}",
        unit="%",
        value=mean(percent),
        low=min(percent),
        high=max(percent),
        goal=Goal(99.2, 99.3, at_least=True),
    )
    return Result(times, [accuracy, ratio(f"{ours}, beside the {PLAIN}", times[ours], times[PLAIN], Goal(0.45, 0.35))])
