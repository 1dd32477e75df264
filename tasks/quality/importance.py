"""Which fields of a sweep mattered: their shares in the spread of what the trials came to, by Optuna's evaluators."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from schemas.counts import counted
from schemas.space import Domain, Range, Space

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

FEWEST = 6
"""Complete trials without which nothing is said: of fewer any field may look important."""
LARGEST_FOREST = 100
"""Complete trials up to which fANOVA is asked, which fits a forest: 3 s for so many, 20 s for 1,000."""
DIGITS = 6
"""Decimals of a share: more of them the forest's sums do not promise."""


@dataclass(frozen=True)
class Importance:
    """
    What mattered.

    Args:
        shares:    of each field, the largest first; they add up to 1.
        evaluator: fANOVA or PED-ANOVA.
        unsaid:    why there are none.
    """

    shares: dict[str, float] = field(default_factory=dict)
    evaluator: str = ""
    unsaid: str = ""


def find_importance(space: Space, values: Sequence[Mapping[str, Any]], measures: Sequence[float]) -> Importance:
    """
    Ask Optuna which fields explain how the measures of trials differ.

    Args:
        values:   of the fields of the space, a mapping for each complete trial.
        measures: of these trials, finite; higher is better.
    """
    known = [pair for pair in zip(values, measures, strict=True) if _lies_in(space, pair[0])]
    varied = [
        name for name in space.domains if len({_category(of_trial[name]) for of_trial, _ in known}) > 1
    ]  # a field that was never varied explains nothing, and Optuna's forest refuses it
    if len(known) < FEWEST:
        of = f"{counted(len(known), 'trial')} {'is' if len(known) == 1 else 'are'} complete"
        return Importance(unsaid=f"{of}, and fewer than {FEWEST} tell nothing")
    if not varied or max(of for _, of in known) == min(of for _, of in known):
        return Importance(unsaid="all complete trials came to the same")
    shares, evaluator = _ask(space, known, varied)
    total = sum(shares.values())
    if not total > 0:
        return Importance(unsaid="no field explains how the trials differ")
    order = sorted(varied, key=lambda name: (-shares.get(name, 0.0), name))
    return Importance({name: round(shares.get(name, 0.0) / total, DIGITS) for name in order}, evaluator)


def _ask(
    space: Space, known: Sequence[tuple[Mapping[str, Any], float]], varied: Sequence[str]
) -> tuple[dict[str, float], str]:
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator, get_param_importances

    forest = len(known) <= LARGEST_FOREST
    said = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that an evaluator is experimental, and where its forest sees one leaf
            study = optuna.create_study(direction="maximize")
            domains = {name: _distribution(space.domains[name]) for name in varied}
            for values, of in known:
                told = {name: _value(space.domains[name], values[name]) for name in varied}
                study.add_trial(optuna.trial.create_trial(params=told, distributions=domains, value=of))
            evaluator = FanovaImportanceEvaluator(seed=0) if forest else PedAnovaImportanceEvaluator()
            found = get_param_importances(study, evaluator=evaluator, params=list(varied), normalize=False)
    except RuntimeError:  # no tree of the forest has a spread
        return {}, ""
    finally:
        optuna.logging.set_verbosity(said)
    return {name: float(of) for name, of in found.items()}, "fANOVA" if forest else "PED-ANOVA"


def _distribution(domain: Domain) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(domain, Range):
        if domain.whole:
            return IntDistribution(int(domain.low), int(domain.high), log=domain.log)
        return FloatDistribution(domain.low, domain.high, log=domain.log)
    return CategoricalDistribution([_category(value) for value in domain.values])


def _value(domain: Domain, value: Any) -> Any:
    return value if isinstance(domain, Range) else _category(value)


def _category(value: Any) -> str:
    return json.dumps(value)


def _lies_in(space: Space, values: Mapping[str, Any]) -> bool:
    """Tell whether a trial has a value within the bounds for each field: one that a person asked for may not."""
    return all(
        name in values
        and (
            domain.has(values[name])
            if isinstance(domain, Range)
            else _category(values[name]) in {_category(each) for each in domain.values}
        )
        for name, domain in space.domains.items()
    )
