"""
Which fields of a sweep mattered, by Optuna's PED-ANOVA: by how much the best trials differ from all in each field.

Its other evaluator, fANOVA, needs scikit-learn, and where that is installed Keras imports it as well
(findings/keras-imports-scikit-learn.sh).

Source: S. Watanabe, A. Bansal, F. Hutter (2023): PED-ANOVA: Efficiently quantifying hyperparameter importance in
arbitrary subspaces. IJCAI 32.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.counts import counted
from schemas.space import Range, Space
from tasks.quality.search_space import distribution_of, quiet_optuna, written

FEWEST = 6
"""Complete trials without which nothing is said: of fewer any field may look important."""
SHARE, BEST = 0.1, 6
"""Of the complete trials the best that the others are compared with: such a share, and at least so many."""
EVALUATOR = "PED-ANOVA"
DIGITS = 6
"""Decimals of a share: more of them sums do not promise."""


@dataclass(frozen=True)
class Importance:
    """
    What mattered.

    Args:
        shares:    of each field, the largest first; they add up to 1.
        evaluator: which of Optuna's said so.
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
        name for name in space.domains if len({_text(of_trial[name]) for of_trial, _ in known}) > 1
    ]  # a field that was never varied explains nothing
    if len(known) < FEWEST:
        of = f"{counted(len(known), 'trial')} {'is' if len(known) == 1 else 'are'} complete"
        return Importance(unsaid=f"{of}, and fewer than {FEWEST} tell nothing")
    if not varied or max(of for _, of in known) == min(of for _, of in known):
        return Importance(unsaid="all complete trials came to the same")
    shares = _ask(space, known, varied)
    total = sum(shares.values())
    if not total > 0:
        return Importance(unsaid="no field explains how the trials differ")
    order = sorted(varied, key=lambda name: (-shares.get(name, 0.0), name))
    return Importance({name: round(shares.get(name, 0.0) / total, DIGITS) for name in order}, EVALUATOR)


def _ask(space: Space, known: Sequence[tuple[Mapping[str, Any], float]], varied: Sequence[str]) -> dict[str, float]:
    best = min(max(SHARE, BEST / len(known)), 0.5)
    with quiet_optuna() as optuna:
        study = optuna.create_study(direction="maximize")
        domains = {name: distribution_of(optuna, space.domains[name]) for name in varied}
        for values, of in known:
            told = {name: written(space.domains[name], values[name]) for name in varied}
            study.add_trial(optuna.trial.create_trial(params=told, distributions=domains, value=of))
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=best)
        found = optuna.importance.get_param_importances(
            study, evaluator=evaluator, params=list(varied), normalize=False
        )
    return {name: float(of) for name, of in found.items()}


def _text(value: Any) -> str:
    return json.dumps(value)


def _lies_in(space: Space, values: Mapping[str, Any]) -> bool:
    """Tell whether a trial has a value within the bounds for each field: one that a person asked for may not."""
    return all(
        name in values
        and (
            domain.has(values[name])
            if isinstance(domain, Range)
            else _text(values[name]) in {_text(each) for each in domain.values}
        )
        for name, domain in space.domains.items()
    )
