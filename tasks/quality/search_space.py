"""A space as Optuna knows it: its distributions, and values on their way there and back; Optuna kept from printing."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from schemas.errors import UsageError
from schemas.space import Choice, Domain


def require_optuna() -> None:
    """See that Optuna is there. Raises: UsageError: it is not."""
    if find_spec("optuna") is None:
        way_out = "Install it: `pip install 'idxflow[tune]'`, or `make install` in a checkout. Nothing has run."
        raise UsageError("tune", expected="Optuna to be installed", found="no optuna", way_out=way_out)


@contextmanager
def quiet_optuna() -> Iterator[Any]:
    """Import Optuna, and keep it from printing while the block runs."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):  # of what is experimental in it
            yield optuna
    finally:
        optuna.logging.set_verbosity(before)


def distribution_of(optuna: Any, domain: Domain) -> Any:
    """Return a domain as one of Optuna's distributions."""
    kinds = optuna.distributions
    if isinstance(domain, Choice):
        return kinds.CategoricalDistribution([written(domain, value) for value in domain.values])
    if domain.whole:
        return kinds.IntDistribution(int(domain.low), int(domain.high), log=domain.log)
    return kinds.FloatDistribution(domain.low, domain.high, log=domain.log)


def written(domain: Domain, value: Any) -> Any:
    """Return a value as Optuna takes it: of a choice its text, as lists are none of its categories."""
    return json.dumps(value) if isinstance(domain, Choice) else value


def read(domain: Domain, value: Any) -> Any:
    """Return the value that `written` made this of."""
    if isinstance(domain, Choice):
        return next(each for each in domain.values if written(domain, each) == value)
    return value
