"""
The proof of an export: what was written, read again, gives every test image the class and probability that are stored.

evaluate has stored of each test image its predicted class, that class's probability, and the loss, from which the
probability of the true class follows. A written file is asked about all of them, in batches of several sizes, since a
format may be right for one image and wrong for many, or the other way round.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field

from artifacts.environment import package_versions
from idxflow.exporting.formats.form import Format, FormatName, Predictor
from schemas.counts import counted
from schemas.errors import BadTable, IdxflowError
from schemas.image_table import Batch, ImageTable, rows_within
from schemas.text import share
from tasks.inference.perceptron import Perceptron

TOLERANCE = 5e-6
"""How far a probability may be off: four times what other orders of summation were measured to cost (1.3e-6)."""
ROUNDED = 4
"""How many times its own rounding a probability may be off, where that is more: of a network with large logits."""
MOST = 1e-3
"""The most that a probability may be off, whatever its rounding: beyond that nothing would be proved."""
BATCHES = (1, 7, 64, 1_000)
"""Images of a batch, in turn."""
NAMED = 5
"""Images that a message names."""


class NotProved(IdxflowError):
    """A format does not give the stored predictions, or could not be written or read: nothing was exported."""


class FormatProof(BaseModel, frozen=True):
    """What a written format was found to give, over all test images; see the fields."""

    format: FormatName
    file: str = Field(description="the file or folder that was read")
    images: int = Field(description="test images that it was asked about, each once")
    equal: int = Field(description="of them with the stored class")
    ties: int = Field(
        description="of the others those whose two classes have the same probability, as far as the tolerance tells:"
        " they are no difference"
    )
    largest_difference: float = Field(
        description="of a probability, of the predicted and of the true class, from the stored one"
    )
    tolerance: float = Field(default=TOLERANCE, description="how far a probability may be off: another order of sums")
    accuracy: float = Field(description="share of right predictions of the file, in [0, 1]")
    stored_accuracy: float = Field(description="share of right ones of the stored predictions, in [0, 1]")
    exact: bool = Field(description="whether equality was asked for; if not, its accuracy is what counts")
    packages: dict[str, str] = Field(description="versions of what read it")

    @property
    def words(self) -> str:
        """What was found, in a line."""
        said = f"{self.equal:,} of {counted(self.images, 'class', ',')} as stored"
        if self.ties:
            said += f", {counted(self.ties, 'tie')}"
        off = f"{said}, probabilities at most {self.largest_difference:.1e} off"
        accuracy = f"test accuracy {share(self.accuracy)}, the model's own {share(self.stored_accuracy)}"
        return off if self.exact else f"{accuracy}; {off}"


class Proofs(BaseModel, frozen=True):
    """`proof.json`: what was held against what."""

    model: str = Field(description="stage/version of the model")
    content: str = Field(description="the digest of its content")
    evaluation: str = Field(description="stage/version of the predictions")
    tolerance: float = TOLERANCE
    batches: tuple[int, ...] = Field(default=BATCHES, description="images of a batch, in turn")
    formats: tuple[FormatProof, ...]


@dataclass(frozen=True)
class StoredScores:
    """
    The test rows, as evaluate scored them.

    Args:
        table:       the test table.
        predicted:   uint16 (n,), the stored class.
        probability: float32 (n,), of it.
        true:        float32 (n,), the probability of the true class, out of its loss.
        model:       the stored model, by whose rounding a probability may be off where that is more than the tolerance.
    """

    table: ImageTable
    predicted: npt.NDArray[np.uint16]
    probability: npt.NDArray[np.float32]
    true: npt.NDArray[np.float32]
    model: Path | None = None

    @cached_property
    def tolerance(self) -> float:
        """How far a probability may be off, of this network; read only where one is off by more than usual."""
        if self.model is None:
            return TOLERANCE
        network = Perceptron.read(self.model)
        rounding = max(network.rounding(batch.image) for batch in self.table.batches())
        return min(MOST, max(TOLERANCE, ROUNDED * rounding))


def read_stored(images: ImageTable, predictions: Path, model: Path) -> StoredScores:
    """
    Read the predictions that were made of a test table.

    Args:   images: the table, hashed; predictions, model: what evaluate and train left, hashed.
    Raises: BadTable: they are not of the same rows.
    """
    import pyarrow.parquet as pq

    columns = ["sample_id", "label", "predicted", "probability", "loss"]
    rows = pq.read_table(predictions, columns=columns, filters=[("split", "==", "test")])
    sample_id, label, predicted, probability, loss = (rows[name].to_numpy() for name in columns)
    if not (np.array_equal(label, images.labels()) and np.array_equal(sample_id, np.arange(images.samples))):
        raise BadTable(
            predictions.name,
            expected=f"a prediction of each of {counted(images.samples, 'test image', ',')}",
            found=f"{counted(len(label), 'row', ',')} of other images",
            way_out="Run `idxflow run --refresh evaluate` to score them again. Nothing was exported.",
        )
    return StoredScores(images, predicted, probability, np.exp(-loss), model)


def prove(form: Format, predict: Predictor, stored: StoredScores) -> FormatProof:
    """
    Ask a written format about every test image, and hold the answers against the stored ones.

    Args:   predict: what `form` has read of the file.
    Raises: NotProved: an answer is no probability of each class, or is another one than stored, and `form` is exact.
    """
    classes, count = len(stored.table.metadata.classes), stored.table.samples
    differs: list[int] = []
    equal = ties = right = 0
    largest, tolerance = 0.0, TOLERANCE
    for batch in _in_turn(stored.table):
        at = batch.sample_id
        found = predict(np.ascontiguousarray(batch.image))
        if found.shape != (len(at), classes) or found.dtype != np.float32 or not np.isfinite(found).all():
            raise NotProved(
                f"format {form.name}",
                expected=f"probabilities, float32 {(len(at), classes)}",
                found=f"{found.dtype} {found.shape}" if found.shape != (len(at), classes) else _odd(found),
                way_out=_way_out(form),
            )
        rows, chosen = np.arange(len(at)), found.argmax(axis=1)
        kept = found[rows, stored.predicted[at]]
        off = np.abs(kept - stored.probability[at])
        largest = max(largest, float(off.max()), float(np.abs(found[rows, batch.label] - stored.true[at]).max()))
        same = chosen == stored.predicted[at]
        if largest > TOLERANCE or not same.all():
            tolerance = stored.tolerance
        tie = ~same & (off <= tolerance) & (found.max(axis=1) - kept <= tolerance)
        equal, ties, right = equal + int(same.sum()), ties + int(tie.sum()), right + int((chosen == batch.label).sum())
        differs += at[~same & ~tie].tolist()
    if form.exact and (differs or largest > tolerance):
        raise NotProved(
            f"format {form.name}",
            expected=f"the stored class of {counted(count, 'test image', ',')}, and probabilities within"
            f" {tolerance:.2g}",
            found=f"{_named(differs)}probabilities up to {largest:.1e} off",
            way_out=_way_out(form),
        )
    return FormatProof(
        format=form.name,
        file=form.file,
        images=count,
        equal=equal,
        ties=ties,
        largest_difference=largest,
        tolerance=tolerance,
        accuracy=right / count,
        stored_accuracy=float(np.mean(stored.predicted == stored.table.labels())),
        exact=form.exact,
        packages=package_versions(form.readers),
    )


def _in_turn(table: ImageTable) -> Iterator[Batch]:
    """Yield every row once, in batches of all sizes; fewer where images are large, or classes many."""
    most = rows_within(max(BATCHES), 4 * max(table.pixels, len(table.metadata.classes)))
    sizes = itertools.cycle(min(size, most) for size in BATCHES)
    for group in table.batches():
        yield from _cut(group, sizes)


def _cut(group: Batch, sizes: Iterable[int]) -> Iterator[Batch]:
    start = 0
    for size in sizes:
        rows = slice(start, start + size)
        yield Batch(group.sample_id[rows], group.label[rows], group.image[rows])
        start += size
        if start >= len(group.label):
            return


def _named(differs: list[int]) -> str:
    if not differs:
        return ""
    first = f"{', '.join(map(str, differs[:NAMED]))}{', ...' if len(differs) > NAMED else ''}"
    return f"another class of {counted(len(differs), 'image', ',')} (sample_id {first}), "


def _odd(found: npt.NDArray[np.float32]) -> str:
    return f"{found.dtype}" if found.dtype != np.float32 else "NaN or infinity"


def _way_out(form: Format) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in package_versions(form.readers).items())
    return f"Nothing was exported. Leave {form.name} out of --format, and report this: it was read by {versions}."
