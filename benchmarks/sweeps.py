"""A sweep, as whole processes: `idxflow tune` with two workers and with one, beside Optuna around plain `fit`."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.harness import Goal, Result, Setting, clock, interleave, ratio, summarize
from benchmarks.mnist import mirror
from benchmarks.processes import PYTHON, run_process
from flows.run_record import RunRecord
from schemas.errors import StageError

TWO, ONE, PLAIN = "idxflow tune, two workers", "idxflow tune, one worker", "Optuna around plain fit"
AGAIN = "idxflow tune, all trials stored"
ROUND = 8
"""Trials of a round."""


def measure_sweep(setting: Setting, trials: int) -> Result:
    """
    Measure a sweep of the default space in an empty home without a server, data and the winner's test included.

    Each turn is of the same trials: those that idxflow asks for, which Optuna is then given. The second call is timed
    in the home of two workers.

    Raises: StageError: a trial was trained though it is stored.
    """
    again: list[float] = []

    def tune(workers: int, home: Path, address: str) -> RunRecord:
        sweep = ["--trials", str(trials), "--round", str(ROUND), "--seeds", "1", "--workers", str(workers)]
        place = ["--mirror", address, "--home", str(home), "--best", str(home / "best.toml")]
        options = ["--dataset", setting.dataset, "--set", f"training.epochs={setting.epochs}"]
        return RunRecord.model_validate_json(
            run_process([PYTHON, "-m", "idxflow", "tune", "--json", *sweep, *options, *place])
        )

    with TemporaryDirectory(dir=setting.work) as work, mirror(setting.mnist) as address:
        values = Path(work) / "trials.json"

        def ours(workers: int) -> float:
            with TemporaryDirectory(dir=work) as folder:
                home, records = Path(folder), list[RunRecord]()
                try:
                    seconds = clock(lambda: records.append(tune(workers, home, address)))
                    if workers > 1:
                        values.write_text(json.dumps(_tried(home)), "utf-8")
                        again.append(clock(lambda: records.append(tune(workers, home, address))))
                        _refuse_trained(records[-1])
                finally:
                    run_process([PYTHON, "-m", "idxflow", "server", "stop", "--home", folder])
                return seconds

        script = [PYTHON, "-m", "benchmarks.optuna_keras", str(setting.mnist), str(values), str(setting.epochs)]
        contestants = {
            TWO: lambda: ours(2),
            PLAIN: lambda: clock(lambda: run_process(script)),
            ONE: lambda: ours(1),
        }
        # The first one leaves the trials for the others, so that there is no warm-up: plain `fit` takes 20 minutes.
        times = interleave(contestants, setting.repeats, warm_ups=0, told=setting.told)
    what = f"{trials} trials of {setting.epochs} epochs"
    return Result(
        times | {AGAIN: again},
        [
            ratio(f"{what}, {TWO}, beside {PLAIN}", times[TWO], times[PLAIN], Goal(0.15, 0.08)),
            ratio(f"{what}, {TWO}, beside one", times[TWO], times[ONE], Goal(0.6)),
            summarize(f"{what}, {AGAIN}", "s", again, Goal(4.0)),
        ],
    )


def _tried(home: Path) -> list[dict[str, object]]:
    """Return the values of the trials of the one study in a home folder."""
    (study,) = home.glob("artifacts/study/*/study.json")
    return [trial["values"] for trial in json.loads(study.read_text("utf-8"))["trials"]]


def _refuse_trained(record: RunRecord) -> None:
    if trained := [row.name for row in record.stages if row.stage in {"train", "begin"} and not row.cached]:
        raise StageError(
            "second sweep",
            expected="every trial stored",
            found=f"trained: {', '.join(trained)}",
            way_out="See `idxflow show` for both; it is not measured until nothing is trained.",
        )
