"""
How often the gate promotes networks that differ in their seeds alone. `python -m benchmarks.gate --pairs 200`.

What it trains is stored below `--work`, so that a second time, or a larger number, costs little.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from artifacts.store.store import Store
from benchmarks.walk import Walk
from flows.identify import identify
from schemas.catalog import load_dataset
from schemas.results import METRICS, PREDICTIONS, Metrics
from schemas.training import ProfileName, Training
from schemas.verdict import LEVEL, Terms, Verdict
from tasks.promote import judge, read_pair

app = App(name="benchmarks.gate", help=__doc__, result_action="return_value")


def judging(
    store: Store, dataset: str, mirrors: tuple[str, ...], terms: Terms
) -> Callable[[Training, Training], Verdict]:
    """Return what holds a candidate against a champion, each trained where it is not stored."""
    data = identify(store, load_dataset(dataset, mirrors))

    def scores(training: Training) -> Path:
        return Walk(store, "evaluate").through(data, training).refs["evaluate", ""].file(METRICS).parent

    def verdict(candidate: Training, champion: Training) -> Verdict:
        new, old = scores(candidate), scores(champion)
        test = Metrics.model_validate_json((new / METRICS).read_bytes()).test
        pair = read_pair(new / PREDICTIONS, old / PREDICTIONS)
        return judge(test.accuracy, pair, [one.name for one in test.classes], test.samples, terms)

    return verdict


@app.default
def gate(
    *,
    pairs: Annotated[int, Parameter(help="Of networks; each has two seeds of its own.")] = 200,
    dataset: Annotated[str, Parameter(help="A name of the catalog.")] = "digits",
    mirror: Annotated[str | None, Parameter(help="Address or folder of its files.")] = None,
    profile: Annotated[ProfileName, Parameter(help="Of both networks.")] = "tutorial",
    level: Annotated[float, Parameter(help="Significance level of the paired test.")] = LEVEL,
    work: Annotated[Path, Parameter(help="Folder for what is made on the way.")] = Path(".idxflow/benchmarks/gate"),
) -> None:
    """Measure, and print how many were promoted, in both directions."""
    mirrors = (mirror,) if mirror else ()
    verdict = judging(Store(work.absolute() / "home"), dataset, mirrors, Terms(level=level))
    found = []
    for seed in range(pairs):
        one, other = (Training(profile=profile, seed=each) for each in (seed, seed + pairs))
        found.append((verdict(other, one), verdict(one, other)))
    for name, side in (("the second over the first", 0), ("the first over the second", 1)):
        promoted = sum(each[side].outcome == "promoted" for each in found)
        held = sum(any(lower.counts for lower in each[side].lower) for each in found)
        fallen = sum(each[side].lower_classes > 0 for each in found)
        sys.stdout.write(
            f"{name}: {promoted} of {pairs} promoted ({100 * promoted / pairs:.1f} %); a class counted as worse in "
            f"{held}, and had fallen by more than the margin in {fallen}\n"
        )


if __name__ == "__main__":
    app()
