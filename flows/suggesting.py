"""
What a sweep tries next: Optuna's tree-structured Parzen estimator, asked so that the answer depends on nothing but what
was told before.

Each round is asked of a study of its own, which knows the trials before it and is seeded by the sweep's seed and their
number. So a sweep that was interrupted, or that many workers share, or that goes on later, asks the same.

Source: J. Bergstra, R. Bardenet, Y. Bengio, B. Kegl (2011): Algorithms for hyper-parameter optimization. NeurIPS 24.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from schemas.space import Domain, Space
from schemas.training import Training
from schemas.tuning import Rules
from tasks.quality.search_space import distribution_of, quiet_optuna, read, written

FIRST = 8
"""Trials that are drawn at random, before the estimator has something to go by."""
Values = dict[str, Any]


@dataclass(frozen=True)
class Known:
    """
    A trial that was told.

    Args:
        objective: higher is better; None of one that failed.
        epochs:    after which it was measured.
        pruned:    whether it was not trained to the end.
    """

    values: Mapping[str, Any]
    objective: float | None
    epochs: int
    pruned: bool = False


class Suggesting:
    """
    What a sweep tries next.

    Args: own: the configuration that the trials differ from.
    """

    def __init__(self, rules: Rules, own: Training) -> None:
        self._rules, self._own = rules, own
        self._frozen: list[tuple[Known, Any]] = []

    def suggest(self, told: Sequence[Known], count: int) -> tuple[Values, ...]:
        """
        Return the values of the next trials; the very first is the own configuration, where it lies in the space.

        Args:
            told:  all trials of the rounds before, in the order of asking.
            count: how many are asked for.
        """
        rules = self._rules
        with quiet_optuna() as optuna:
            sampler = optuna.samplers.TPESampler(
                seed=(rules.seed + 1_000_003 * len(told)) % 2**32, n_startup_trials=FIRST, multivariate=True
            )
            study = optuna.create_study(direction="maximize", sampler=sampler)
            space = {name: distribution_of(optuna, domain) for name, domain in rules.space.domains.items()}
            study.add_trials(self._as_told(optuna, space, told))
            if not told and rules.space.has(self._own):
                fields = _fields(rules.space)
                study.enqueue_trial({name: written(domain, getattr(self._own, name)) for name, domain in fields})
            asked = [study.ask(space).params for _ in range(count)]
        return tuple({name: read(domain, each[name]) for name, domain in _fields(rules.space)} for each in asked)

    def _as_told(self, optuna: Any, space: Mapping[str, Any], told: Sequence[Known]) -> list[Any]:
        """Return trials as Optuna has them; those that were told before are made once."""
        same = sum(1 for _ in takewhile(lambda pair: pair[0][0] == pair[1], zip(self._frozen, told, strict=False)))
        del self._frozen[same:]
        self._frozen += [(trial, _frozen(optuna, self._rules.space, space, trial)) for trial in told[same:]]
        return [frozen for _, frozen in self._frozen]


def _fields(space: Space) -> Iterator[tuple[str, Domain]]:
    yield from space.domains.items()


def _frozen(optuna: Any, space: Space, distributions: Mapping[str, Any], trial: Known) -> Any:
    states = optuna.trial.TrialState
    params = {name: written(domain, trial.values[name]) for name, domain in _fields(space)}
    if trial.objective is None:
        return optuna.trial.create_trial(state=states.FAIL, params=params, distributions=distributions)
    if trial.pruned:
        told = {trial.epochs: trial.objective}
        return optuna.trial.create_trial(
            state=states.PRUNED, params=params, distributions=distributions, intermediate_values=told
        )
    return optuna.trial.create_trial(value=trial.objective, params=params, distributions=distributions)
