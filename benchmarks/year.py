"""
Growth over a year: 365 nightly runs, each after one more shard, on one home folder, one remote and one Prefect server.

`benchmarks.nights` does them, a month in a process: TensorFlow keeps what it has compiled for each number of rows. Here
they become figures. The first week begins with the second night, as a set of one shard has other stages; nights with
which a process begins count for memory alone. The remote is a folder: a server would be measured with it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.harness import Figure, Goal, Result, Setting, summarize
from benchmarks.nights import Night, Year
from benchmarks.processes import HERE, PYTHON, clean_environment, server_of
from schemas.errors import StageError

WEEK, MONTH = 7, 30
FIRST = 2
"""The first night that counts."""
MB = 10**6


def nights_of(year: Year, environment: dict[str, str]) -> Iterator[Night]:
    """
    Do the runs in a process of their own. Yields: what each took, as soon as it has ended.

    Raises: StageError: a run failed.
    """
    command = [PYTHON, "-m", "benchmarks.nights", year.model_dump_json()]
    with subprocess.Popen(
        command, cwd=HERE.parent, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout or ():
            yield Night.model_validate_json(line)
        said = (process.stderr.read() if process.stderr else "").strip().splitlines()
    if process.returncode:
        raise StageError(
            "nightly runs",
            expected="exit code 0",
            found=f"{process.returncode}, the last line: {said[-1] if said else '(nothing)'}",
            way_out="Run `python -m benchmarks.nights` by hand.",
        )


def measure_year(setting: Setting, nights: int, images: int) -> Result:
    """
    Measure it; what each night took is a line of WORK/nights.jsonl.

    Args: nights: 20 at least; images: of a shard.
    """
    with TemporaryDirectory(dir=setting.work) as folder:
        home, remote = Path(folder) / "home", Path(folder) / "remote"
        year = Year(folder=Path(folder) / "set", home=home, first=1, nights=1, images=images, remote=remote)
        environment = clean_environment() | {"IDXFLOW_REMOTE__URL": remote.as_uri()}
        found = list[Night]()
        with server_of(home):
            for first in range(1, nights + 1, MONTH):
                month = {"first": first, "nights": min(first + MONTH - 1, nights)}
                for night in nights_of(year.model_copy(update=month), environment):
                    found.append(night)
                    setting.told(f"night {night.night}, beside its stages' work", night.bookkeeping)
                    lines = "".join(f"{each.model_dump_json()}\n" for each in found)
                    (setting.work / "nights.jsonl").write_text(lines, "utf-8")
    times = {
        "a nightly run": [night.seconds for night in found],
        "a nightly run, beside its stages' work": [night.bookkeeping for night in found],
    }
    return Result(times, figures_of(found))


def figures_of(nights: Sequence[Night]) -> list[Figure]:
    """Return what a year comes to: the last week beside the first, and how much there is in the end."""
    counted = [night for night in nights if night.night >= FIRST and not night.fresh]
    first, last, end, fresh = counted[:WEEK], counted[-WEEK:], nights[-1], [night for night in nights if night.fresh]
    when = f"night {end.night}"
    beside = "beside its stages' work"

    def over(what: str, one: Sequence[float], other: Sequence[float], goal: Goal) -> Figure:
        base = median(other)
        return summarize(f"{what}, the last week beside the first", "x", [each / base for each in one], goal)

    return [
        over(f"a nightly run {beside}", [n.bookkeeping for n in last], [n.bookkeeping for n in first], Goal(1.2)),
        over(f"the same, processor time {beside}", [n.beside for n in last], [n.beside for n in first], Goal()),
        over("size of a run's record", [n.record for n in last], [n.record for n in first], Goal()),
        summarize(f"a nightly run {beside}, the first week", "s", [n.bookkeeping for n in first]),
        summarize(f"a nightly run {beside}, the last week", "s", [n.bookkeeping for n in last]),
        summarize(f"Prefect's database, {when}", "MB", [end.database / MB], Goal(100.0)),
        summarize(f"home folder without it, {when}", "MB", [end.home / MB]),
        summarize(f"files of the home folder, {when}", "", [end.home_files]),
        summarize(f"remote, {when}", "MB", [end.remote / MB]),
        summarize(f"objects of the remote, {when}", "", [end.remote_files]),
        summarize(f"memory of a nightly run, night {fresh[0].night}", "MB", [fresh[0].peak / MB]),
        summarize(f"memory of a nightly run, night {fresh[-1].night}", "MB", [fresh[-1].peak / MB]),
    ]
