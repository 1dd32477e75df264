"""Label hints find labels that were changed at random, at least as well as cleanlab does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from artifacts.store.store import Store
from benchmarks.hints import Figures, change_labels, measure
from schemas.catalog import load_dataset
from schemas.training import ProfileName, Training


def measured(folder: Path, name: str, profile: ProfileName, mirrors: tuple[str, ...] = (), folds: int = 0) -> Figures:
    """Change labels of a set, train on them, and measure the hints; where cleanlab is not here, not that."""
    data, changed = change_labels(load_dataset(name, mirrors), folder / "set", 0)
    return measure(Store(folder / "home"), data, changed, Training(profile=profile), folds)


def test_five_per_cent_of_the_labels_are_changed(tmp_path: Path) -> None:
    """As many as that are other ones, the seed decides which, and the description's set has them."""
    source = load_dataset("digits")
    data, changed = change_labels(source, tmp_path / "a", 0)
    assert (len(changed), int(changed.sum())) == (1500, 75)
    assert data.classes == source.classes
    assert np.array_equal(change_labels(source, tmp_path / "b", 0)[1], changed)
    assert not np.array_equal(change_labels(source, tmp_path / "c", 1)[1], changed)


@pytest.mark.slow
@pytest.mark.parametrize(("profile", "least"), [("tutorial", 0.9), ("tuned", 0.84)])
def test_hints_of_the_digits(tmp_path: Path, profile: ProfileName, least: float) -> None:
    """Nearly all first hints are changed labels, and about as many are worth a look as there are."""
    found = measured(tmp_path, "digits", profile)
    assert found.hints >= least
    assert found.hints >= (found.cleanlab or 0)
    assert 0.8 < found.worth / found.changed < 1.2
    assert found.precision > 0.8


@pytest.mark.slow
def test_hints_of_networks_that_have_not_seen_the_digits(tmp_path: Path) -> None:
    """With folds as well."""
    found = measured(tmp_path, "digits", "tuned", folds=5)
    assert found.hints >= max(0.84, found.cleanlab or 0)


@pytest.mark.slow
def test_labels_that_were_learned_by_heart(tmp_path: Path) -> None:
    """A network that names each train image as it is labelled doubts none; those that have not seen them do."""
    training = Training(profile="tuned", label_smoothing=0, shift=0, dropout=0, epochs=60, validation_fraction=0)
    data, changed = change_labels(load_dataset("digits"), tmp_path / "set", 0)
    seen, unseen = (measure(Store(tmp_path / "home"), data, changed, training, folds) for folds in (0, 5))
    assert seen.worth == 0
    assert unseen.hints > 0.9 > seen.hints
    assert unseen.worth >= 75


@pytest.mark.slow
def test_hints_of_mnist(tmp_path: Path, mnist_files: Path) -> None:
    """Of 3,000 changed labels of MNIST 97 % are among the first 3,000 hints."""
    found = measured(tmp_path, "mnist", "tuned", (str(mnist_files),))
    assert found.hints > 0.97
    assert found.hints >= (found.cleanlab or 0)
