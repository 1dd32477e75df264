"""The exact McNemar test, and the images on which two models part."""

from __future__ import annotations

import subprocess
import sys
from math import comb
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idxflow.comparing.significance import LEVEL, disagreement, mcnemar
from tests.idxflow.comparing.compared_runs import CLASSES, predictions

COUNTS = st.integers(0, 60)
PEAK = """
import sys
from pathlib import Path
import pyarrow as pa
from idxflow.comparing.significance import disagreement
for path in sys.argv[1:]:
    disagreement(Path(path), Path(path), ("cat", "dog", "owl"))
    print(pa.default_memory_pool().max_memory())
"""


@settings(deadline=None)  # the first one imports SciPy
@given(b=COUNTS, c=COUNTS)
def test_the_p_value_is_the_binomial_tail_on_both_sides(b: int, c: int) -> None:
    """The p-value is twice the chance that n fair coins give at most the smaller count of heads, and at most 1."""
    tail = sum(comb(b + c, heads) for heads in range(min(b, c) + 1)) / 2 ** (b + c)
    assert mcnemar(b, c) == mcnemar(c, b) == pytest.approx(min(1, 2 * tail), rel=1e-9)


def test_without_a_discordant_image_there_is_nothing_to_explain() -> None:
    """Where no image tells the models apart, p is exactly 1."""
    assert mcnemar(0, 0) == 1


def test_the_images_that_one_model_alone_gets_right_are_told(tmp_path: Path) -> None:
    """Images are told by sample id, class names and probabilities, for each model those that only it gets right."""
    one = predictions(tmp_path / "one", (0, 1, 2, 2), (0, 0, 2, 1))
    other = predictions(tmp_path / "other", (0, 1, 2, 2), (0, 1, 1, 0))
    found = disagreement(one, other, CLASSES)
    assert found
    (mine,), (theirs,) = found.only_a_right, found.only_b_right
    assert (mine.sample_id, mine.label, mine.predicted_a, mine.predicted_b) == (2, "owl", "owl", "dog")
    assert (theirs.sample_id, theirs.label, theirs.predicted_a, theirs.predicted_b) == (1, "dog", "cat", "dog")
    assert mine.probability_a == theirs.probability_b == 0.75
    assert (found.b, found.c, found.n, found.p_value) == (1, 1, 2, 1)


@pytest.mark.parametrize(("images", "more"), [(5, False), (6, True)])
def test_only_what_chance_rarely_does_is_more_than_chance(tmp_path: Path, images: int, more: bool) -> None:
    """Five images that all fall to one model are chance at level 0.05 (p = 0.0625), six are not (p = 0.031)."""
    labels = [1] * images
    found = disagreement(
        predictions(tmp_path / "one", labels, [0] * images), predictions(tmp_path / "other", labels, labels), CLASSES
    )
    assert found
    assert (found.b, found.c, found.more_than_chance, found.level) == (0, images, more, LEVEL)
    assert found.p_value == 2 / 2**images


def test_the_order_of_the_rows_makes_no_difference(tmp_path: Path) -> None:
    """Images are matched by their ids, in whatever order the files hold them."""
    one = predictions(tmp_path / "one", (0, 1, 2), (0, 0, 0), ids=(0, 1, 2))
    other = predictions(tmp_path / "other", (2, 1, 0), (2, 0, 0), ids=(2, 1, 0))
    found = disagreement(one, other, CLASSES)
    assert found
    assert [image.sample_id for image in found.only_b_right] == [2]
    assert not found.only_a_right


@pytest.mark.parametrize(("labels", "ids"), [((0, 1, 1), (0, 1, 2)), ((0, 1, 2), (0, 1, 3)), ((0, 1), (0, 1))])
def test_predictions_of_other_images_are_not_compared(
    tmp_path: Path, labels: tuple[int, ...], ids: tuple[int, ...]
) -> None:
    """Another label, another sample id or another number of images: not the same images."""
    one = predictions(tmp_path / "one", (0, 1, 2), (0, 1, 2))
    assert disagreement(one, predictions(tmp_path / "other", labels, labels, ids), CLASSES) is None


def test_memory_does_not_grow_with_the_train_split(tmp_path: Path) -> None:
    """Predictions for ten times as many train images take no more memory."""
    short = predictions(tmp_path / "short", (0, 1, 2), (0, 1, 2), train_groups=10)
    long = predictions(tmp_path / "long", (0, 1, 2), (0, 1, 2), train_groups=100)
    done = subprocess.run([sys.executable, "-c", PEAK, short, long], capture_output=True, text=True, check=True)
    few, many = map(int, done.stdout.split())
    assert 0 < many < 2 * few
