"""Which runs of a history are wanted, and in which order: `--where 'test>0.97' epochs=10`, `--sort loss`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flows.differing import usual
from idxflow.cli.meaning import did_you_mean
from idxflow.cli.settings import parse_value
from idxflow.listing.rows import Line, Row
from schemas.errors import UsageError
from schemas.training import Training

NOTHING = "Nothing was read."
FACTS: dict[str, Callable[[Row], Any]] = {
    "test": lambda row: row.test_accuracy,
    "train": lambda row: row.train_accuracy,
    "loss": lambda row: row.test_loss,
    "time": lambda row: row.seconds,
    "when": lambda row: row.started,
    "state": lambda row: row.state,
    "dataset": lambda row: row.dataset,
    "profile": lambda row: row.profile,
    "run": lambda row: row.id,
}
"""What every run has, by the word for it."""
SHARES = frozenset({"test", "train"})
"""Of these 97 means 0.97."""
HIGHEST_FIRST = frozenset({"test", "train", "when"})
FIELDS = tuple(name for name in Training.model_fields if name not in Training.outside_key)
COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    "=": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
CONDITION = re.compile(r"\s*(?:training\.)?(\w+)\s*(!=|>=|<=|=|>|<)\s*(.+?)\s*")


@dataclass(frozen=True)
class Condition:
    """
    What a run has to be.

    Args: name: of a fact, or of a field of the configuration.  sign: how it is compared.  value: with what.
    """

    name: str
    sign: str
    value: Any

    def holds(self, row: Row) -> bool:
        """Tell whether it holds for a run; of one that has no such value it does not, unless others are wanted."""
        found = value_of(row, self.name)
        if found is None:
            return self.sign == "!="
        try:
            return COMPARED[self.sign](_comparable(self.name, found), self.value)
        except TypeError:  # as a number with a text: they are not equal, and neither is more
            return self.sign == "!="


def read_condition(text: str) -> Condition:
    """
    Read a condition.

    Raises: UsageError: it is none, or of nothing that a run has.
    """
    if not (match := CONDITION.fullmatch(text)):
        raise UsageError(
            "--where",
            expected="NAME=VALUE, or !=, <, <=, >, >=",
            found=repr(text),
            way_out=f"Quote it, as the shell takes < and > for files: --where 'test>0.97'. {NOTHING}",
        )
    name, sign, given = match.groups()
    _check_name("--where", name)
    value = parse_value(given)
    if name in SHARES:
        value = _share(given)
    elif name == "when":
        value = _moment(given)
    elif isinstance(value, list):
        value = [*value]
    elif name in FACTS and name not in {"loss", "time"}:
        value = given.strip("'\"")
    return Condition(name, sign, value)


def sorted_lines(lines: Sequence[Line], name: str, *, turned: bool = False) -> list[Line]:
    """
    Sort lines by a fact or a field of the configuration: accuracies and moments highest first, all else lowest first.

    Those without such a value come last.

    Args:   lines: newest first, which they stay where the value is the same.  turned: the other way around.
    Raises: UsageError: no run has anything of that name.
    """
    _check_name("--sort", name)
    keyed = [(_key(line, name), line) for line in lines]
    known = [(key, line) for key, line in keyed if key is not None]
    known.sort(key=lambda each: each[0], reverse=(name in HIGHEST_FIRST) != turned)
    return [line for _, line in known] + [line for key, line in keyed if key is None]


def value_of(row: Row, name: str) -> Any:
    """Return a fact of a run, or a value of its configuration, as its profile has it where the record does not say."""
    if name in FACTS:
        return FACTS[name](row)
    return row.training.get(name, usual(row.profile).get(name))


def _key(line: Line, name: str) -> tuple[int, Any] | None:
    """Return what a line is sorted by: numbers before texts; None where it has no such value."""
    value = line.accuracy if name == "test" else value_of(line.newest, name)
    if value is None or value == "":
        return None
    if name == "when":
        return 0, datetime.fromisoformat(str(value))
    if isinstance(value, list):
        return 0, tuple(value)
    return (0, (value,)) if isinstance(value, int | float) else (1, (str(value),))


def _check_name(option: str, name: str) -> None:
    if name not in FACTS and name not in FIELDS:
        way_out = did_you_mean(name, [*FACTS, *FIELDS], {})
        expected = f"one of {', '.join(FACTS)}, or a field of the configuration: {', '.join(FIELDS)}"
        raise UsageError(option, expected=expected, found=repr(name), way_out=f"{way_out}{NOTHING}")


def _comparable(name: str, found: Any) -> Any:
    if name == "when":
        return datetime.fromisoformat(found).astimezone()
    return [*found] if isinstance(found, list | tuple) else found


def _share(given: str) -> float:
    try:
        number = float(given.rstrip(" %"))
    except ValueError as error:
        expected = "an accuracy, as 0.97 or 97 %"
        raise UsageError("--where", expected=expected, found=repr(given), way_out=NOTHING) from error
    return number / 100 if number > 1 or given.endswith("%") else number


def _moment(given: str) -> datetime:
    try:
        return datetime.fromisoformat(given.strip("'\"")).astimezone()
    except ValueError as error:
        expected = "a day or a moment, as 2026-11-30 or 2026-11-30T14:00"
        raise UsageError("--where", expected=expected, found=repr(given), way_out=NOTHING) from error
