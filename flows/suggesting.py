"""
What a sweep tries next: Optuna's tree-structured Parzen estimator, asked so that the answer depends on nothing but what
was told before.

Each round is asked of a study of its own, which knows the trials before it and is seeded by the sweep's seed and their
number. So a sweep that was interrupted, or that many workers share, or that goes on later, asks the same.

Source: J. Bergstra, R. Bardenet, Y. Bengio, B. Kegl (2011): Algorithms for hyper-parameter optimization. NeurIPS 24.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from schemas.errors import UsageError
from schemas.space import Choice, Domain, Space
from schemas.training import Training
from schemas.tuning import Rules

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


def suggest(rules: Rules, own: Training, told: Sequence[Known], count: int) -> tuple[Values, ...]:
    """
    Return the values of the next trials; the very first is the own configuration, where it lies in the space.

    Args:
        own:   the configuration that the trials differ from.
        told:  all trials of the rounds before, in the order of asking.
        count: how many are asked for.
    Raises: UsageError: Optuna is not installed.
    """
    with quiet_optuna() as optuna:
        sampler = optuna.samplers.TPESampler(
            seed=(rules.seed + 1_000_003 * len(told)) % 2**32, n_startup_trials=FIRST, multivariate=True
        )
        study = optuna.create_study(direction="maximize", sampler=sampler)
        space = {name: _distribution(optuna, domain) for name, domain in rules.space.domains.items()}
        study.add_trials([_frozen(optuna, rules.space, space, trial) for trial in told])
        if not told and rules.space.has(own):
            study.enqueue_trial({name: _written(domain, getattr(own, name)) for name, domain in _fields(rules.space)})
        asked = [study.ask(space).params for _ in range(count)]
    return tuple({name: _read(domain, each[name]) for name, domain in _fields(rules.space)} for each in asked)


@contextmanager
def quiet_optuna() -> Iterator[Any]:
    """
    Import Optuna, and keep it from printing while the block runs.

    Raises: UsageError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        way_out = "Install it: pip install 'idxflow[tune]'. Nothing has run."
        raise UsageError(
            "tune", expected="the packages of the extra tune", found="no optuna", way_out=way_out
        ) from error
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):  # of what is experimental in it
            yield optuna
    finally:
        optuna.logging.set_verbosity(before)


def _fields(space: Space) -> Iterator[tuple[str, Domain]]:
    yield from space.domains.items()


def _distribution(optuna: Any, domain: Domain) -> Any:
    kinds = optuna.distributions
    if isinstance(domain, Choice):
        return kinds.CategoricalDistribution([_written(domain, value) for value in domain.values])
    if domain.whole:
        return kinds.IntDistribution(int(domain.low), int(domain.high), log=domain.log)
    return kinds.FloatDistribution(domain.low, domain.high, log=domain.log)


def _frozen(optuna: Any, space: Space, distributions: Mapping[str, Any], trial: Known) -> Any:
    states = optuna.trial.TrialState
    params = {name: _written(domain, trial.values[name]) for name, domain in _fields(space)}
    if trial.objective is None:
        return optuna.trial.create_trial(state=states.FAIL, params=params, distributions=distributions)
    if trial.pruned:
        told = {trial.epochs: trial.objective}
        return optuna.trial.create_trial(
            state=states.PRUNED, params=params, distributions=distributions, intermediate_values=told
        )
    return optuna.trial.create_trial(value=trial.objective, params=params, distributions=distributions)


def _written(domain: Domain, value: Any) -> Any:
    """Return a value as Optuna takes it: of a choice its text, as lists are none of its categories."""
    return json.dumps(value) if isinstance(domain, Choice) else value


def _read(domain: Domain, value: Any) -> Any:
    if isinstance(domain, Choice):
        return next(each for each in domain.values if _written(domain, each) == value)
    return value
