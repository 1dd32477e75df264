"""The benchmarks, by command: `python -m benchmarks speed --mnist DIR`, `scale`, `sweep`, `check`, `page`; others."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from rich.console import Console

from artifacts.store.files import write_atomically
from benchmarks.check import EPOCHS, RECORDED, REPEATS, Recorded, compare, quick, ratios
from benchmarks.harness import Report, Result, Setting
from benchmarks.machine import describe_machine
from benchmarks.mnist import open_folder
from benchmarks.show import fill, latest, page_of, result_lines
from idxflow.views.layout import table_lines
from schemas.errors import IdxflowError

Bench = Literal["data", "evaluation", "fit", "cold", "warm", "tuned", "packing", "predicting"]
Scaling = Literal["growth", "streaming"]
Travel = Literal["large", "many"]
Mnist = Annotated[Path, Parameter(help="Folder of the four .gz files of MNIST.")]
Work = Annotated[Path, Parameter(help="Folder for what is made on the way, and for the results as JSON.")]
Repeats = Annotated[int, Parameter(help="Turns that count, after one that warms up.")]
WORK = Path(".idxflow/benchmarks")
DOCS = Path(__file__).parents[1] / "docs"

app = App(name="benchmarks", help=__doc__, result_action="return_value")
console = Console(soft_wrap=True, highlight=False)


@app.command
def speed(
    *,
    mnist: Mnist,
    work: Work = WORK,
    repeats: Repeats = 5,
    epochs: Annotated[int, Parameter(help="Of the tutorial's network; the bars are about 50.")] = 50,
    dataset: Annotated[str, Parameter(help="What the files are, in idxflow's catalog.")] = "mnist",
    only: Annotated[list[Bench] | None, Parameter(negative="", consume_multiple=True, help="These, not all.")] = None,
) -> None:
    """Measure idxflow beside the plain tutorial script and beside floors; write WORK/speed.json, or speed-PART.json."""
    from benchmarks.data import measure_data, measure_evaluation
    from benchmarks.fits import measure_fit, measure_tuned
    from benchmarks.folders import measure_packing, measure_predicting
    from benchmarks.processes import measure_cold, measure_warm

    # Processes first: this one's memory and threads are small then.
    benches: dict[Bench, Callable[[Setting], Result]] = {
        "cold": measure_cold,
        "warm": measure_warm,
        "packing": measure_packing,
        "predicting": measure_predicting,
        "data": measure_data,
        "evaluation": measure_evaluation,
        "fit": measure_fit,
        "tuned": measure_tuned,
    }
    setting = _prepare(Setting(mnist, work, dataset, repeats, epochs, _tell))
    wanted: dict[str, Callable[[], Result]] = {
        name: partial(bench, setting) for name, bench in benches.items() if not only or name in only
    }
    _run(wanted, _target(work, "speed", only), {"repeats": repeats, "epochs": epochs})


@app.command
def scale(
    *,
    mnist: Mnist,
    work: Work = WORK,
    repeats: Repeats = 5,
    sizes: Annotated[list[int] | None, Parameter(negative="", consume_multiple=True, help="Times MNIST.")] = None,
    only: Annotated[list[Scaling] | None, Parameter(negative="", consume_multiple=True, help="This, not both.")] = None,
) -> None:
    """Measure how every stage grows, to 100 times MNIST (10 GB in WORK); write WORK/scale.json or scale-PART.json."""
    from benchmarks.scale import Scale, measure_growth, measure_streaming

    setting = _prepare(Setting(mnist, work, repeats=repeats, told=_tell))
    console.print("Writing the shards ...")
    sets = Scale(setting, sorted(sizes or (1, 10, 100)))
    benches: dict[Scaling, Callable[[], Result]] = {
        "growth": partial(measure_growth, sets),
        "streaming": partial(measure_streaming, sets),
    }
    wanted: dict[str, Callable[[], Result]] = {
        name: bench for name, bench in benches.items() if not only or name in only
    }
    _run(wanted, _target(work, "scale", only), {"repeats": repeats, "largest": sets.sizes[-1]})


@app.command
def sweep(
    *,
    mnist: Mnist,
    work: Work = WORK,
    repeats: Annotated[int, Parameter(help="Turns, each of half an hour.")] = 1,
    trials: Annotated[int, Parameter(help="Of the default space.")] = 24,
    epochs: Annotated[int, Parameter(help="Of a trial.")] = 20,
    dataset: Annotated[str, Parameter(help="What the files are, in idxflow's catalog.")] = "mnist",
) -> None:
    """Measure `idxflow tune` beside Optuna around plain `fit`, with the same trials; write WORK/sweep.json."""
    from benchmarks.sweeps import measure_sweep

    setting = _prepare(Setting(mnist, work, dataset, repeats, epochs, _tell))
    settings = {"repeats": repeats, "epochs": epochs, "trials": trials}
    _run({"sweep": partial(measure_sweep, setting, trials)}, work / "sweep.json", settings)


@app.command
def year(
    *,
    work: Work = WORK,
    nights: Annotated[int, Parameter(help="Runs, each after one more shard; 20 at least.")] = 365,
    images: Annotated[int, Parameter(help="Of a shard, 8 x 8 pixels.")] = 200,
) -> None:
    """Measure nightly runs over a set that grows by a shard a night; write WORK/year.json and WORK/nights.jsonl."""
    from benchmarks.year import measure_year

    work.mkdir(parents=True, exist_ok=True)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    setting = Setting(work, work.absolute(), told=_tell)
    _run({"year": partial(measure_year, setting, nights, images)}, work / "year.json", {"nights": nights})


@app.command
def remote(
    *,
    work: Work = WORK,
    repeats: Repeats = 3,
    large: Annotated[int, Parameter(help="MB of the large artifact.")] = 2000,
    many: Annotated[int, Parameter(help="Small artifacts.")] = 10_000,
    only: Annotated[list[Travel] | None, Parameter(negative="", consume_multiple=True, help="This, not both.")] = None,
) -> None:
    """Measure pushes and pulls beside obstore's own calls; write WORK/remote.json or WORK/remote-PART.json."""
    from benchmarks.remotes import measure_large, measure_many

    work.mkdir(parents=True, exist_ok=True)
    setting = Setting(work, work.absolute(), repeats=repeats, told=_tell)
    benches: dict[Travel, Callable[[], Result]] = {
        "large": partial(measure_large, setting, large * 10**6),
        "many": partial(measure_many, setting, many),
    }
    wanted: dict[str, Callable[[], Result]] = {
        name: bench for name, bench in benches.items() if not only or name in only
    }
    _run(wanted, _target(work, "remote", only), {"repeats": repeats, "megabytes": large, "artifacts": many})


@app.command
def check(
    *,
    mnist: Mnist,
    work: Work = WORK,
    recorded: Annotated[Path, Parameter(help="The ratios that are compared with.")] = RECORDED,
    record: Annotated[bool, Parameter(negative="", help="Keep what is measured there, for later commits.")] = False,
    repeats: Repeats = REPEATS,
    epochs: Annotated[int, Parameter(help="Of the tutorial's network.")] = EPOCHS,
    dataset: Annotated[str, Parameter(help="What the files are, in idxflow's catalog.")] = "mnist",
) -> int:
    """
    Measure the quick ratios, in three minutes, and hold them against the recorded ones.

    Exit code 1: one fell behind, by more than it varies from turn to turn.
    """
    before = None if record else Recorded.read(recorded)
    setting = _prepare(Setting(mnist, work, dataset, repeats, epochs, _tell))
    settings = {"repeats": repeats, "epochs": epochs}
    report = _run(dict(quick(setting)), work / "check.json", settings)
    now = ratios(report.figures)
    if before is None:
        Recorded(machine=report.machine, settings=settings, figures=tuple(now)).write(recorded)
        console.print(f"Recorded: {recorded}", markup=False)
        return 0
    if before.settings != settings:
        console.print(f"Recorded with other settings: {before.settings}", style="yellow", markup=False)
    if before.machine.processor != report.machine.processor:
        console.print(
            f"Recorded on {before.machine.processor}: ratios differ between processors as well.",
            style="yellow",
            markup=False,
        )
    compared = compare(now, before)
    console.print()
    for line in table_lines(("ratio", "now", "recorded", ""), [each.cells for each in compared]):
        console.print(line)
    return int(any(each.behind for each in compared))


@app.command
def page(
    *,
    work: Work = WORK,
    docs: Annotated[Path, Parameter(help="Folder of benchmarks.md and of pictures/.")] = DOCS,
) -> None:
    """
    Put what WORK has into docs/benchmarks.md, and draw its pictures.

    Of a figure that was measured more than once, also in a run of parts, the last one counts.
    """
    from benchmarks.pictures import draw_bars, draw_growth

    found = [Report.model_validate_json(path.read_bytes()) for path in sorted(work.glob("*.json"))]
    reports = latest(sorted(found, key=lambda report: report.began))
    target = docs / "benchmarks.md"
    write_atomically(target, fill(target.read_text("utf-8"), page_of(reports)).encode())
    draw_bars([figure for report in reports for figure in report.figures], docs / "pictures" / "benchmark-bars.webp")
    if lines := [line for report in reports for line in report.growth]:
        draw_growth(lines, docs / "pictures" / "benchmark-growth.webp")


def _target(work: Path, name: str, only: Sequence[str] | None) -> Path:
    """Return the file of the results: a run of parts leaves alone what the whole one wrote."""
    return work / f"{'-'.join([name, *(only or ())])}.json"


def _prepare(setting: Setting) -> Setting:
    """Check what is given, and make the working folder."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    setting.work.mkdir(parents=True, exist_ok=True)
    return replace(setting, mnist=open_folder(setting.mnist), work=setting.work.absolute())


def _run(benches: Mapping[str, Callable[[], Result]], target: Path, settings: dict[str, int]) -> Report:
    """Run the benches, and write what there is after each of them: one that fails loses none of those before it."""
    machine, began, started = describe_machine(), datetime.now(UTC).isoformat(timespec="minutes"), time.perf_counter()
    console.print(str(machine), markup=False)
    results: dict[str, Result] = {}
    for name, bench in benches.items():
        console.print(f"\n{name}", style="bold")
        results[name] = bench()
        for line in result_lines(results[name].figures):
            console.print(line)
        report = Report(
            began=began,
            seconds=time.perf_counter() - started,
            machine=machine,
            settings=settings,
            times={each: result.times for each, result in results.items()},
            figures=[figure for result in results.values() for figure in result.figures],
            growth=[line for result in results.values() for line in result.growth],
        )
        write_atomically(target, report.model_dump_json(indent=1).encode())
    console.print(f"\nWritten: {target}", markup=False)
    return report


def _tell(name: str, seconds: float) -> None:
    console.print(f"  {name:<60} {seconds:9.3f} s", markup=False)


def main() -> int:
    """Run a command; an error is one line and exit code 1. Returns: the exit code."""
    try:
        return app() or 0
    except IdxflowError as error:
        console.print(str(error), style="red", markup=False)
        return 1


if __name__ == "__main__":
    sys.exit(main())
