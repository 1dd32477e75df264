"""What a sweep tries next: the same, whoever asks and however often it was interrupted."""

from __future__ import annotations

from itertools import pairwise

import pytest

from flows.suggesting import Known, Suggesting, Values
from schemas.space import configured, default_space, read_space
from schemas.training import Training
from schemas.tuning import Rules

OWN = Training()


def rules(seed: int = 123, **space: str) -> Rules:
    """Return the rules of a sweep over a space, the default one if none is given."""
    found = read_space(space or default_space(OWN), OWN)
    return Rules(dataset="digits", space=found, round=8, objective="accuracy", epochs=20, rungs=(20,), seed=seed)


def sweep(wanted: Rules, trials: int, *, interrupted: bool = False) -> list[Values]:
    """
    Return all trials of a sweep whose objective is the momentum, some of which fail and some are pruned.

    Args: interrupted: after each round another process goes on.
    """
    known: list[Known] = []
    suggesting = Suggesting(wanted, OWN)
    while len(known) < trials:
        if interrupted:
            suggesting = Suggesting(wanted, OWN)
        for values in suggesting.suggest(known, wanted.round):
            value = None if len(known) % 7 == 3 else values["momentum"]
            known.append(Known(values, value, 20, pruned=len(known) % 5 == 2))
    return [dict(each.values) for each in known]


def test_sweep_asks_the_same_again() -> None:
    """The same rules and the same past give the same trials, and another seed gives others."""
    assert sweep(rules(), 32) == sweep(rules(), 32)
    assert sweep(rules(), 16) != sweep(rules(124), 16)


def test_sweep_that_goes_on_elsewhere_asks_the_same() -> None:
    """What is kept from round to round decides nothing: who has to begin without it asks for the same trials."""
    assert sweep(rules(), 40, interrupted=True) == sweep(rules(), 40)


def test_another_past_is_not_mixed_with_what_is_kept() -> None:
    """A trial that turns out to have ended otherwise, as one that is retried, is told as it is now."""
    suggesting, first = Suggesting(rules(), OWN), sweep(rules(), 24)
    told = [Known(values, values["momentum"], 20) for values in first]
    suggesting.suggest(told, 8)
    told[5] = Known(first[5], None, 0)
    assert suggesting.suggest(told, 8) == Suggesting(rules(), OWN).suggest(told, 8)


def test_sweep_learns() -> None:
    """Later rounds lie nearer to the best than the first one: it is no random search."""
    values = [each["momentum"] for each in sweep(rules(), 64)]
    assert sum(values[-16:]) / 16 > sum(values[1:8]) / 7 + 0.1


def test_no_round_repeats_the_one_before() -> None:
    """Rounds of a sweep are seeded differently: their trials differ."""
    found = sweep(rules(), 32)
    assert all(one != other for one, other in pairwise(found))


def test_first_trial_is_the_own_configuration() -> None:
    """The settings that the others differ from are the first trial where they lie in the space; else they are none."""
    names = rules().space.domains
    first, *_ = Suggesting(rules(), OWN).suggest((), 3)
    assert first == {name: getattr(OWN, name) for name in names}
    first, *_ = Suggesting(rules(learning_rate="0.5..1"), OWN).suggest((), 3)
    assert 0.5 <= first["learning_rate"] <= 1


@pytest.mark.parametrize("count", [1, 3, 8])
def test_suggestions_lie_in_the_space(count: int) -> None:
    """As many as are asked for come, each a configuration, whole numbers where they belong."""
    wanted = rules(
        batch_size="log:16..256", hidden="[50]|[20,10]", learning_rate="log:1e-3..1e-1", activation="relu|tanh"
    )
    for values in Suggesting(wanted, OWN).suggest((), count):
        assert wanted.space.has(configured(OWN, values))
        assert isinstance(values["batch_size"], int)
