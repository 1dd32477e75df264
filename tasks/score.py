"""Score: new images named by a trained network, how sure it is of each, and whether they are like those of training."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from artifacts.ref import Ref
from artifacts.stage import stage
from artifacts.store.files import sha256_of
from artifacts.store.own_folders import OwnFolders
from schemas.arrays import as_array, as_flags, as_names, as_texts
from schemas.errors import StageError
from schemas.image_table import Batch, rows_per_group
from schemas.model import MODEL
from schemas.parameters import Summary
from schemas.scoring import (
    DRIFT_FEATURES,
    PIXEL_FEATURES,
    REFERENCE,
    SCORED,
    SCORES,
    DriftFeature,
    Place,
    Reference,
    Scored,
    Shift,
)
from schemas.visible import in_a_line
from tasks.formats.tree import left_out, open_tree
from tasks.formats.unlabelled import Block, Reading, Refusal, changed
from tasks.inference.perceptron import Perceptron
from tasks.quality.drift import beyond_chance, histogram, measure_shift
from tasks.quality.profile import profile_images
from tasks.quality.scoring import Scores, Tally
from tasks.quality.scoring import score as score_rows

if TYPE_CHECKING:
    import pyarrow as pa

SCRATCH = ".unpacked"
"""Hidden while it is there: IDX files out of their archives."""


def answer_schema() -> pa.Schema:
    """Return the Arrow schema of `scores.parquet`, a row per image or refused file; see `schemas.scoring.Answer`."""
    import pyarrow as pa

    name = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [
            pa.field("file", name, nullable=False),
            pa.field("part", name),
            pa.field("sample", pa.uint32()),
            pa.field("predicted", name),
            pa.field("probability", pa.float32()),
            pa.field("runner_up", name),
            pa.field("runner_up_probability", pa.float32()),
            pa.field("sure", pa.bool_()),
            pa.field("unlike", pa.bool_()),
            pa.field("label", name),
            pa.field("reason", name),
            pa.field("sha256", name),
        ]
    )


@dataclass
class Scoring:
    """
    Images on their way into answers, group by group; what is said of all of them is added up.

    Args:
        network:   that names them.
        reference: of its training.
        digests:   SHA-256 of each file, by name, as far as it is known.
    """

    network: Perceptron
    reference: Reference
    digests: Mapping[str, str]
    tables: list[pa.Table] = field(default_factory=list)
    refusals: list[pa.Table] = field(default_factory=list)
    files: set[str] = field(default_factory=set)
    refused: Counter[str] = field(default_factory=Counter)
    predicted: Counter[int] = field(default_factory=Counter)
    images: int = 0
    sure: int = 0
    unlike: int = 0
    beyond: Counter[str] = field(default_factory=Counter)
    labelled: int = 0
    unknown: int = 0
    _parts: list[Block] = field(default_factory=list)
    _waiting: int = 0
    _values: dict[str, list[npt.NDArray[Any]]] = field(default_factory=dict)
    _measured: list[Scores] = field(default_factory=list)

    def add(self, found: Block | Refusal) -> None:
        """Take images, or a file that has none."""
        if isinstance(found, Refusal):
            self.refused[found.reason] += 1
            self.refusals.append(self._refusal(found))
            return
        # Cut as a table is, so that a whole split comes to evaluate's bits; see `idxflow.comparing.images`.
        group, start = rows_per_group(self.reference.shape.pixels), 0
        while start < len(found.pixels):
            stop = min(len(found.pixels), start + group - self._waiting)
            rows = slice(start, stop)
            files, parts, samples, labels, pixels = found
            self._parts.append(Block(files[rows], parts[rows], samples[rows], labels[rows], pixels[rows]))
            self._waiting += stop - start
            start = stop
            if self._waiting == group:
                self.flush()

    def flush(self) -> None:
        """Name the images that wait."""
        if not self._parts:
            return
        files = [name for part in self._parts for name in part.files]
        samples = np.concatenate([np.asarray(part.samples, np.uint32) for part in self._parts])
        labels = [label for part in self._parts for label in part.labels]
        arrays = [name for part in self._parts for name in part.parts]
        pixels = (
            self._parts[0].pixels if len(self._parts) == 1 else np.concatenate([part.pixels for part in self._parts])
        )
        self._parts.clear()
        self._waiting = 0
        self.files.update(files)
        self._name(files, arrays, samples, labels, pixels)

    def _name(
        self,
        files: list[str],
        arrays: list[str | None],
        samples: npt.NDArray[np.uint32],
        labels: list[str | None],
        pixels: npt.NDArray[np.uint8],
    ) -> None:
        n, rows = len(files), np.arange(len(files))
        probabilities = self.network(pixels)
        first = probabilities.argmax(axis=1)
        best = probabilities[rows, first]
        rest = probabilities.copy()
        rest[rows, first] = -1
        second = rest.argmax(axis=1)
        unlike = self._profile(pixels)
        sure = (best >= np.float32(self.reference.sure)) & ~unlike if self.reference.sure is not None else None
        self._values.setdefault("probability", []).append(best)
        self.images += n
        self.unlike += int(unlike.sum())
        self.sure += int(sure.sum()) if sure is not None else 0
        self.predicted.update(dict(zip(*(each.tolist() for each in np.unique(first, return_counts=True)), strict=True)))
        if any(label is not None for label in labels):
            self._measure(probabilities, labels)
        self.tables.append(
            self._table(files, arrays, samples, first, best, second, probabilities[rows, second], sure, unlike, labels)
        )

    def _profile(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
        """Add the profile of images. Returns: which of them lie beyond the train images in a feature."""
        none = np.zeros(len(pixels), np.uint16)
        found, _ = profile_images(Batch(none.astype(np.uint32), none, pixels), self.reference.shape.channels)
        unlike = np.zeros(len(pixels), np.bool_)
        for name in PIXEL_FEATURES:
            low, high = self.reference.extremes[name]
            values = getattr(found, name)
            for side, beyond in ((f"{name} low", values < low), (f"{name} high", values > high)):
                self.beyond[side] += int(beyond.sum())
                unlike |= beyond
        for name in ("mean", "ink"):
            self._values.setdefault(name, []).append(getattr(found, name))
        return unlike

    def _measure(self, probabilities: npt.NDArray[np.float32], labels: list[str | None]) -> None:
        """Keep what is needed of the images that have a label."""
        place = {str(stored): at for at, stored in enumerate(self.reference.stored)}
        place |= {name: at for at, name in enumerate(self.reference.classes)}
        at = np.fromiter((-1 if label is None else place.get(label, -2) for label in labels), np.int64, len(labels))
        self.unknown += int((at == -2).sum())
        self.labelled += int((at >= 0).sum())
        if (at >= 0).any():
            self._measured.append(score_rows(probabilities[at >= 0], at[at >= 0]))

    def _table(self, *columns: Any) -> pa.Table:
        import pyarrow as pa

        files, parts, samples, first, best, second, runner_up, sure, unlike, labels = columns
        names, n = as_texts(self.reference.classes), len(files)
        schema = answer_schema()
        arrays = [
            as_names(files),
            as_names(parts),
            as_array(samples, np.uint32),
            pa.DictionaryArray.from_arrays(as_array(first, np.int32), names),
            as_array(best, np.float32),
            pa.DictionaryArray.from_arrays(as_array(second, np.int32), names),
            as_array(runner_up, np.float32),
            pa.nulls(n, pa.bool_()) if sure is None else as_flags(sure),
            as_flags(unlike),
            as_names(labels),
            pa.nulls(n, schema.field("reason").type),
            as_names(list(map(self._digest, files))),
        ]
        return pa.Table.from_arrays(arrays, schema=schema)

    def _digest(self, file: str) -> str | None:
        return self.digests.get(file) or self.digests.get("")

    def _refusal(self, refusal: Refusal) -> pa.Table:
        import pyarrow as pa

        schema = answer_schema()
        given = {"file": refusal.file, "reason": refusal.reason, "sha256": self._digest(refusal.file)}
        arrays = [as_names([given[each.name]]) if given.get(each.name) else pa.nulls(1, each.type) for each in schema]
        return pa.Table.from_arrays(arrays, schema=schema)

    def scored(self) -> Scored:
        """Say what was found in all."""
        classes = self.reference.classes
        return Scored(
            files=len(self.files),
            images=self.images,
            refused=dict(self.refused.most_common()),
            classes={classes[at]: self.predicted[at] for at in sorted(self.predicted)},
            sure=self.sure if self.reference.sure is not None else None,
            sure_right=self.reference.sure_right,
            unlike=self.unlike,
            unlike_chance=self._unlike_chance(),
            shifts=tuple(self._shifts()) if self.images else (),
            labelled=self.labelled,
            unknown=self.unknown,
            metrics=self._metrics() if self.labelled else None,
        )

    def _unlike_chance(self) -> float:
        """Return how probable chance alone makes it that so many lie beyond the train images on any of ten sides."""
        trained, sides = sum(self.reference.histograms["mean"].counts), 2 * len(PIXEL_FEATURES)
        return min(
            1.0, sides * min((beyond_chance(each, self.images, trained) for each in self.beyond.values()), default=1.0)
        )

    def _shifts(self) -> Iterator[Shift]:
        for feature in DRIFT_FEATURES:
            known = self.reference.histograms[feature]
            yield measure_shift(feature, np.asarray(known.counts), self._counts(feature, np.asarray(known.edges)))

    def _counts(self, feature: DriftFeature, edges: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        if feature == "class":
            return np.array([self.predicted[at] for at in range(len(self.reference.classes))], np.int64)
        return histogram(np.concatenate(self._values[feature]), edges)

    def _metrics(self) -> Any:
        tally = Tally(self.reference.classes, self.labelled, unseen=True)
        for scores in self._measured:
            tally.add(scores)
        return tally.measure()


class ScoreSummary(Summary):
    """What was taken, and what came of it; the whole is in `scored.json`."""

    files: int
    images: int
    refused: int
    drift: tuple[str, ...]
    accuracy: float | None


@stage(name="{place.name}", packages=("numpy", "scipy", "pillow"))
def score(model: Ref, reference: Ref, place: Place, own: OwnFolders, out: Path) -> ScoreSummary:
    """Name every image of a place, and say of each file that gives none why."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    known = Reference.model_validate_json(reference.file(REFERENCE).read_bytes())
    path, scratch = Path(place.path), out / SCRATCH
    scratch.mkdir()
    listing = (own.noted(path) or own.listing(path, left_out)) if path.is_dir() else None
    # All that comes out of one file has its digest.
    digests = {"": place.content} if listing is None else digests_of(listing.names, listing.digests)
    if listing and place.content != content_of(digests, sorted(digests) if place.only is None else place.only):
        raise changed(place.name)
    network = Perceptron.read(model.file(MODEL))
    check_fit(network, known)
    scoring = Scoring(network, known, digests)
    reading = Reading(
        shape=known.shape,
        picture=place.picture,
        transpose=known.transpose,
        only=None if place.only is None else frozenset(place.only),
        label=place.label,
        classes=frozenset(known.classes),
        known=digests if listing else {},
        scratch=scratch,
    )
    with open_tree(path, listing.scan if listing else None) as tree:
        for found in reading.read(tree):
            scoring.add(found)
        scoring.flush()
    shutil.rmtree(scratch)
    if listing is None and sha256_of(path) != place.content:
        raise changed(place.name)
    scored = scoring.scored()
    tables = [*scoring.tables, *scoring.refusals] or [answer_schema().empty_table()]
    pq.write_table(pa.concat_tables(tables).unify_dictionaries(), out / SCORES, compression="zstd")
    (out / SCORED).write_text(scored.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return ScoreSummary(
        files=scored.files,
        images=scored.images,
        refused=sum(scored.refused.values()),
        drift=scored.drift,
        accuracy=scored.metrics and scored.metrics.accuracy,
    )


def check_fit(network: Perceptron, known: Reference) -> None:
    """See that a network and its reference belong together. Raises: StageError: they do not."""
    expected, found = (known.shape.pixels, len(known.classes)), (network.pixels, network.classes)
    if expected != found:
        raise StageError(
            MODEL,
            expected="{} pixels and {} classes, as its reference says".format(*expected),
            found="{} and {}".format(*found),
            way_out="Export or train the model once more.",
        )


def digests_of(names: tuple[str, ...], digests: npt.NDArray[np.uint8]) -> dict[str, str]:
    """Return the SHA-256 of each file of a listing that was hashed, by its name in one line."""
    digits, read = digests.tobytes().hex(), digests.max(axis=1, initial=0) > 0
    return {in_a_line(name): digits[64 * at : 64 * at + 64] for at, name in enumerate(names) if read[at]}


def content_of(digests: Mapping[str, str], names: Iterable[str]) -> str:
    """Return the SHA-256 of a part of a folder: of some files, in order, by name and digest."""
    return hashlib.sha256("".join(f"{digests.get(name)} {name}\n" for name in names).encode()).hexdigest()
