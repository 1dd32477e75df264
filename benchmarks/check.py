"""
The guard: the quick ratios, held against those that the last commit with new figures has recorded.

They are of what a change makes worse without anybody's noticing: the fit, the data stages, the evaluation, a run in
which everything is cached. Each is a ratio of two times that were taken side by side, as seconds are the machine's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from artifacts.store.files import write_atomically
from benchmarks.harness import Figure, Result, Setting
from benchmarks.machine import Machine
from benchmarks.show import number
from schemas.errors import UsageError

RECORDED = Path(__file__).with_name("recorded.json")
EPOCHS, REPEATS = 10, 3
"""Enough for ratios within a tenth, in three minutes."""


class Recorded(BaseModel):
    """The quick ratios of a commit, and what they were taken on."""

    model_config = ConfigDict(frozen=True)
    machine: Machine
    settings: dict[str, int]
    figures: tuple[Figure, ...]

    @classmethod
    def read(cls, path: Path) -> Recorded:
        """Read a file of them. Raises: UsageError: it is not there, or does not read."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise UsageError(
                str(path.name),
                expected="the ratios of an earlier commit",
                found="no such file" if isinstance(error, OSError) else "a file that does not read",
                way_out="Record them on a quiet machine: make bench-check ARGS=--record",
            ) from error

    def write(self, path: Path) -> None:
        """Write them where the next commit's check reads them."""
        write_atomically(path, self.model_dump_json(indent=1).encode() + b"\n")


@dataclass(frozen=True)
class Compared:
    """A figure beside the one that was recorded; None: there was none."""

    now: Figure
    before: Figure | None

    @property
    def behind(self) -> bool:
        """Whether it is worse than recorded, by more than either of the two varies from turn to turn."""
        if self.before is None:
            return False
        worse = self.before.value - self.now.value if self.now.goal.at_least else self.now.value - self.before.value
        return worse > max(each.high - each.low for each in (self.now, self.before))

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """A line of the table: what, now with its spread, before with its spread, what came of it."""
        now, before = (_spread(each) if each else "" for each in (self.now, self.before))
        said = "new" if self.before is None else "fell behind" if self.behind else ""
        return self.now.what, now, before, said


def compare(now: Sequence[Figure], recorded: Recorded) -> list[Compared]:
    """Hold ratios against recorded ones of the same name."""
    before = {figure.what: figure for figure in recorded.figures}
    return [Compared(figure, before.get(figure.what)) for figure in now]


def quick(setting: Setting) -> Iterator[tuple[str, Callable[[], Result]]]:
    """Yield the benches of the check: a name, and what measures it."""
    from benchmarks.data import measure_data, measure_evaluation
    from benchmarks.fits import measure_fit
    from benchmarks.processes import measure_warm

    yield "warm", partial(measure_warm, setting)
    yield "data", partial(measure_data, setting, again=False)
    yield "evaluation", partial(measure_evaluation, setting)
    yield "fit", partial(measure_fit, setting, plain=False)


def ratios(figures: Sequence[Figure]) -> list[Figure]:
    """Return those that do not depend on how fast a machine is: the ratios."""
    return [figure for figure in figures if figure.unit == "x"]


def _spread(figure: Figure) -> str:
    value, low, high = (number(each, figure.unit) for each in (figure.value, figure.low, figure.high))
    return f"{value} ({low} to {high})"
