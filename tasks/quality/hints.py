"""
Label hints: the train images whose label the model doubts most.

An image whose label is wrong has a high loss, but some classes are harder than others. So a loss is held against that
of the middle image of its class: the excess, in nats, says how much less likely the model finds this label than it
usually finds that class. What ranks first is worth a look; whether the label is wrong, only a person sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

WORTH = 2.0
"""
Excess in nats above which a label that the model does not name is worth a second look: 7.4 times less likely than
usual.

Of 5 % labels flipped at random it counts about as many as there are, and 86 to 97 % of them are flipped ones, in ten
trainings on digits and MNIST: docs/labels.md.
"""
Losses = npt.NDArray[np.floating[Any]]
Classes = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Hint:
    """
    A train image whose label may be wrong.

    Args:
        label, predicted: class indices.
        probability:      of the predicted class, in [0, 1].
        loss:             cross-entropy of the label, in nats.
        excess:           how far that is above the median of its class, in nats.
    """

    sample_id: int
    label: int
    predicted: int
    probability: float
    loss: float
    excess: float


@dataclass(frozen=True)
class Hints:
    """
    What the predictions of the train images say about their labels.

    Args:
        images: how many train images there are.
        agreed: how many the model names as they are labelled.
        worth:  how many are worth a second look.
        first:  the first of these, the most doubtful label first.
    """

    images: int
    agreed: int
    worth: int
    first: tuple[Hint, ...]


def excess_of(loss: Losses, label: Classes) -> npt.NDArray[np.float64]:
    """
    Return how far each loss is above the median of its class.

    Args:    loss: (n,), in nats.  label: (n,), class indices.
    Returns: float64 (n,), in nats; 0 for the middle image of a class, and for the only one.
    """
    order = np.lexsort((loss, label))
    starts = np.flatnonzero(np.diff(label[order], prepend=-1))
    sizes = np.diff(starts, append=len(order))
    losses = loss[order].astype(np.float64)
    middle = (losses[starts + (sizes - 1) // 2] + losses[starts + sizes // 2]) / 2
    excess = np.empty(len(loss))
    excess[order] = losses - np.repeat(middle, sizes)
    return excess


def rank(loss: Losses, label: Classes) -> npt.NDArray[np.int64]:
    """Return the rows by their excess, the highest first, and of equals in their order: int64 (n,)."""
    return np.argsort(-excess_of(loss, label), kind="stable")


def find_hints(predictions: Path, most: int) -> Hints:
    """
    Rank the train images of `predictions.parquet`, and return the first of those that are worth a second look.

    They are: the model names another class, and the excess is above 2 nats. Memory: 30 bytes a train image.
    """
    import pyarrow.parquet as pq

    names = ["sample_id", "label", "predicted", "probability", "loss"]
    table = pq.ParquetFile(predictions, read_dictionary=["split"]).read(columns=["split", *names])
    of_train = np.concatenate([_are(chunk, "train") for chunk in table["split"].chunks])
    sample_id, label, predicted, probability, loss = (_numbers(table[name])[of_train] for name in names)
    excess = excess_of(loss, label)
    doubted = predicted != label
    worth = np.flatnonzero(doubted & (excess > WORTH))
    first = worth[np.argsort(-excess[worth], kind="stable")][:most]
    return Hints(
        images=len(label),
        agreed=int(np.count_nonzero(~doubted)),
        worth=len(worth),
        first=tuple(
            Hint(
                int(sample_id[n]),
                int(label[n]),
                int(predicted[n]),
                float(probability[n]),
                float(loss[n]),
                float(excess[n]),
            )
            for n in first
        ),
    )


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Return a column without nulls. (For `to_numpy`, as for `filters`, pyarrow imports pandas: half a second.)"""
    return np.concatenate([np.from_dlpack(chunk) for chunk in column.chunks])


def _are(values: pa.DictionaryArray, value: str) -> npt.NDArray[np.bool_]:
    """Tell which of some texts are a given one: bool (n,)."""
    known = np.array([each == value for each in values.dictionary.to_pylist()], bool)
    found: npt.NDArray[np.bool_] = known[np.from_dlpack(values.indices)]
    return found
