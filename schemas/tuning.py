"""A sweep: what it is asked for, each of its trials, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.events import StageChanged
from schemas.parameters import Parameters
from schemas.space import Space
from schemas.training import History, Training

STUDY, PAGE, TRIALS, BEST = "study.json", "study.html", "trials.csv", "best.toml"
"""What the stage study leaves: its `Study`, that as a page and as a table, and the winner's configuration."""
HEADER = "# The winner of `idxflow tune`"
"""How a best.toml begins: a file that does is replaced by the next one."""
REDUCTION = 3
"""Of the trials of a round that are pruned, one in so many goes on from each rung, to so many times the epochs."""
RUNGS = 3
"""Rungs at most, the last of which is the whole training."""
TRIAL = "trial "
"""How a run calls a training of a sweep, with the trial's number, from 1."""
LEVEL = 0.05
"""A winner is better with a seed where the paired test's p-value is below it."""
WINNER = "winner "
"""How a run calls a training of the winner's settings, with the seed."""
Objective = Literal["accuracy", "loss"]


class Sweep(BaseModel):
    """What a sweep is asked for, beside the data and the configuration that all its trials share."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    space: dict[str, str | tuple[Any, ...] | dict[str, Any]] = Field(
        default_factory=dict,
        description="What is tried, by the field of training: LOW..HIGH, log:LOW..HIGH, or VALUE|VALUE|... Empty: step "
        "size, momentum, decay and hidden units.",
    )
    trials: int = Field(default=24, ge=1, le=10_000, description="Trainings in all; those that are stored count.")
    round: int = Field(
        default=8,
        ge=1,
        le=1000,
        description="Trials that are asked for at once, and told before others are: any number of workers finds the "
        "same ones.",
    )
    prune: bool = Field(
        default=False,
        description="Successive halving: all of a round train a ninth of the epochs, the best third of them a third, "
        "and the best third of those the whole.",
    )
    objective: Objective = Field(
        default="accuracy", description="What is compared, of the held-out rows: their accuracy, or their loss."
    )
    seeds: int = Field(
        default=3, ge=1, le=50, description="Trainings of the winner, and of the profile's own settings, for the test."
    )


class Rules(Parameters):
    """
    What the trials of a study are chosen and compared by.

    Args:
        dataset: name of the data set, for the page.
        epochs: of a whole training.
        rungs:  epochs after which the trials of a round are compared; the last is the whole training.
    """

    dataset: str
    space: Space
    round: int
    objective: Objective
    epochs: int
    rungs: tuple[int, ...]
    seed: int


class Told(Parameters):
    """
    What became of one trial, beside its history.

    Args:
        number: from 1, in the order of asking.
        values: of the fields that are tried.
        state:  complete; pruned after a rung; or failed, and `reason` says why.
    """

    number: int = Field(ge=1)
    values: dict[str, Any]
    state: Literal["complete", "pruned", "failed"]
    reason: str = ""

    @property
    def words(self) -> str:
        """Its name in a run: `trial 12`."""
        return f"{TRIAL}{self.number}"


class Trials(Parameters):
    """All trials of a study that were told, in the order of asking."""

    told: tuple[Told, ...]


class Trial(BaseModel, frozen=True, extra="forbid"):
    """
    One trial of a study.

    Args:
        stage, version: the artifact of its training, or of the first epochs of one that was pruned; empty if it failed.
        accuracy, loss: of the held-out rows, after the epoch that is kept; loss in nats.
        kept:           that epoch.
        history:        its epochs; None if it failed.
    """

    number: int
    values: dict[str, Any]
    state: Literal["complete", "pruned", "failed"]
    reason: str = ""
    stage: str = ""
    version: str = ""
    weights: int | None = None
    accuracy: float | None = None
    loss: float | None = None
    kept: int | None = None
    history: History | None = None


class Tested(BaseModel, frozen=True, extra="forbid"):
    """
    The winner and the profile's own settings with one seed, on the test split.

    Args:
        winner, own:     versions of both models.
        accuracies:      test accuracy of both, in [0, 1]: the winner's, the profile's.
        better, worse:   test images that only the winner names right, and that only the other one does.
        p_value:         of the exact McNemar test, two-sided.
    """

    seed: int
    winner: str
    own: str
    accuracies: tuple[float, float]
    better: int
    worse: int
    p_value: float


class Study(BaseModel, frozen=True, extra="forbid"):
    """
    What a sweep found.

    Args:
        training:    the configuration that the trials differ from.
        trials:      all of them, in the order of asking.
        best:        number of the best complete one: by the objective, then by the loss, then by the number of weights.
        importance:  share of each field in the spread of the objective, by Optuna's evaluator; they add up to 1. Empty
                     where too few trials completed.
        evaluator:   which of Optuna's evaluators said so.
        unsaid:      why no evaluator said anything.
        tested:      by seed; empty where nothing was tested.
        untested:    why seeds were not tested, a sentence each.
    """

    format: int = 1
    training: Training
    rules: Rules
    trials: tuple[Trial, ...]
    best: int | None = None
    importance: dict[str, float] = Field(default_factory=dict)
    evaluator: str = ""
    unsaid: str = ""
    tested: tuple[Tested, ...] = ()
    untested: tuple[str, ...] = ()

    @property
    def winner(self) -> Trial | None:
        """The best complete trial."""
        return next((trial for trial in self.trials if trial.number == self.best), None)

    @property
    def ranked(self) -> tuple[Trial, ...]:
        """The complete trials, the best first, as `rank` sorts them."""
        objective = self.rules.objective
        known = ((each, each.history, each.weights or 0) for each in self.trials if each.state == "complete")
        order = [(rank(each.number, told, objective, weights), each) for each, told, weights in known if told]
        return tuple(each for _, each in sorted(order, key=lambda pair: pair[0]))

    @property
    def looks(self) -> int:
        """How many models this study has evaluated on the test images."""
        return len({version for each in self.tested for version in (each.winner, each.own)})

    @property
    def means(self) -> tuple[float, float] | None:
        """Mean test accuracy over the seeds: the winner's, the profile's own; None where nothing was tested."""
        if not self.tested:
            return None
        winner, own = zip(*(each.accuracies for each in self.tested), strict=True)
        return sum(winner) / len(winner), sum(own) / len(own)

    @property
    def verdict(self) -> str:
        """Say whether the winner is better than the profile's own settings; empty where nothing was to be tested."""
        return "; ".join(filter(None, [self._comparison, *self.untested]))

    @property
    def _comparison(self) -> str:
        if not self.tested:
            return ""
        if all(each.winner == each.own for each in self.tested):
            return "the winner is the profile's own settings"
        apart = [each for each in self.tested if each.p_value < LEVEL]
        ahead = sum(each.better > each.worse for each in apart)
        of = f"of {len(self.tested)} seeds" if len(self.tested) > 1 else "of 1 seed"
        if not apart:
            return f"chance explains the difference to the profile's own settings with each {of}"
        said = {"better": ahead, "worse": len(apart) - ahead}
        told = [f"{word} by more than chance with {count} {of}" for word, count in said.items() if count]
        return f"against the profile's own settings the winner is {' and '.join(told)}"

    def count(self, state: Literal["complete", "pruned", "failed"]) -> int:
        """Count the trials that ended so."""
        return sum(trial.state == state for trial in self.trials)


def measure(history: History, objective: Objective) -> float:
    """
    Return what trials are compared by, of the held-out rows after the epoch that is kept: higher is better.

    A loss counts by its negative. Raises: ValueError: nothing is held out.
    """
    row = history.epochs[history.kept - 1]
    if row.validation_accuracy is None or row.validation_loss is None:
        raise ValueError("a history without held-out rows")
    return row.validation_accuracy if objective == "accuracy" else -row.validation_loss


def rank(number: int, history: History, objective: Objective, weights: int) -> tuple[float, float, int, int]:
    """Return what sorts trials, the best first: the objective, then the loss, the weights, and the number."""
    loss = history.epochs[history.kept - 1].validation_loss
    return -measure(history, objective), 0.0 if loss is None else loss, weights, number


def rungs(epochs: int, *, prune: bool) -> tuple[int, ...]:
    """Return the epochs after which trials are compared: 2, 7 and 20 of 20, each once; the last is all."""
    if not prune:
        return (epochs,)
    shares = (-(-epochs // REDUCTION**power) for power in reversed(range(RUNGS)))
    return tuple(dict.fromkeys(shares))


def count_weights(training: Training, ends: tuple[int, int]) -> int:
    """Return the weights of a network, biases included. Args: ends: values of an image, and classes."""
    layers = (ends[0], *training.hidden, ends[1])
    return sum((taken + 1) * units for taken, units in pairwise(layers))


@dataclass(frozen=True, kw_only=True)
class _More:
    number: int
    of: int
    values: str
    said: str
    outcome: Literal["complete", "pruned", "failed"] = "complete"
    best: bool = False


@dataclass(frozen=True)
class TrialEnded(_More, StageChanged):
    """
    A trial has ended.

    Args:
        number, of: which trial, of how many.
        values:     what it tries, in words.
        said:       what came of it, in words.
        outcome:    complete, found or computed; pruned; or failed: then it has no version.
        best:       whether it is the best whole training that has ended so far.
    """
