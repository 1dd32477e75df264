"""promote: whether a model is better than the one that has the alias, by more than chance, and no class pays for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from artifacts.ref import Ref
from artifacts.stage import stage
from schemas.counts import counted
from schemas.parameters import Summary
from schemas.results import METRICS, PREDICTIONS, Metrics
from schemas.text import share
from schemas.verdict import LISTED, VERDICT, LowerClass, Outcome, Terms, Verdict
from tasks.formats.table import Parts, digest_of_parts
from tasks.quality.paired import least_lead, mcnemar

COLUMNS = ("split", "sample_id", "label", "predicted")


@dataclass(frozen=True)
class Pair:
    """
    What two models say of the same test images.

    Args:
        label: class index, uint16 (n,), n > 0.
        now:   whether the candidate names the image right, bool (n,).
        then:  whether the champion does, bool (n,).
    """

    label: npt.NDArray[np.uint16]
    now: npt.NDArray[np.bool_]
    then: npt.NDArray[np.bool_]

    @property
    def better(self) -> npt.NDArray[np.bool_]:
        """The images that only the candidate names right, bool (n,)."""
        return self.now & ~self.then

    @property
    def worse(self) -> npt.NDArray[np.bool_]:
        """The images that only the champion names right, bool (n,)."""
        return self.then & ~self.now


def lower_classes(pair: Pair, names: Sequence[str], terms: Terms) -> tuple[LowerClass, ...]:
    """
    Find the classes whose recall has fallen by more than the margin, the largest fall first.

    A fall counts where chance does not explain it: by the exact test of the class alone, at a level that all classes
    with test images share evenly (Bonferroni). So among equal models a class is held against a candidate one time in
    twenty at most, however many classes there are and however few images they have.

    Args: names: of the classes, in label order.
    """
    images, better, worse = (
        np.bincount(pair.label[rows], minlength=len(names))
        for rows in (np.ones(len(pair.label), bool), pair.better, pair.worse)
    )
    tested = max(int(np.count_nonzero(images)), 1)
    # In whole images, as 0.01 has no exact form: a fall of exactly the margin is within it.
    fallen = np.flatnonzero(worse - better > np.floor(terms.margin * images + 1e-9))
    found = [
        LowerClass(
            name=names[at],
            images=int(images[at]),
            better=int(better[at]),
            worse=int(worse[at]),
            p_value=(p_value := mcnemar(int(worse[at]), int(better[at]))),
            counts=p_value < terms.class_level / tested,
        )
        for at in fallen.tolist()
    ]
    return tuple(sorted(found, key=lambda one: (not one.counts, -one.fall)))


def judge(accuracy: float, pair: Pair | None, names: Sequence[str], samples: int, terms: Terms) -> Verdict:
    """
    Say whether the candidate takes the alias.

    Args:
        accuracy: of the candidate on test, in [0, 1].
        pair:     None where there is nothing to compare it with, or nothing that can be.
        names:    of the classes, in label order.
        samples:  test images.
    """
    facts = {
        "force": terms.force or "",
        "samples": samples,
        "accuracy": accuracy,
        "level": terms.level,
        "margin": terms.margin,
        "floor": terms.floor,
        "looks": terms.looks,
    }
    outcome: Outcome = "first"
    why = []
    if terms.obstacle:
        outcome, why = "refused", [terms.obstacle]
    elif pair:
        better, worse = int(pair.better.sum()), int(pair.worse.sum())
        p_value, lower = mcnemar(worse, better), lower_classes(pair, names, terms)
        outcome = "promoted"
        if better <= worse or p_value >= terms.level:
            why.append(_not_better(better, worse, p_value, terms.level))
        if counting := [one for one in lower if one.counts]:
            why.append(f"{counted(len(counting), 'class')} {'is' if len(counting) == 1 else 'are'} worse")
        facts |= {
            "champion_accuracy": float(pair.then.mean()),
            "better": better,
            "worse": worse,
            "p_value": p_value,
            "least_lead": least_lead(better + worse, terms.level),
            "lower": lower[:LISTED],
            "lower_classes": len(lower),
        }
    if terms.floor is not None and accuracy < terms.floor:
        why.append(f"its test accuracy, {share(accuracy)}, is below {share(terms.floor)}")
    if why and outcome != "refused":
        outcome = "kept"
    if why and terms.force:
        outcome = "forced"
    return Verdict.model_validate({"outcome": outcome, "why": " and ".join(why), **facts})


def _not_better(better: int, worse: int, p_value: float, level: float) -> str:
    if better > worse:
        return "chance explains the difference"
    if better == worse:
        return "it is no better" if better else "it names the same images right"
    return "it is worse" if p_value < level else "it is no better"


def read_pair(candidate: Path, champion: Path) -> Pair | None:
    """
    Read what two models say of the test images.

    Args:    candidate, champion: files `predictions.parquet` as evaluate writes them.
    Returns: None where they are of other images: other sample ids, or other labels.
    """
    one, other = _test_rows(candidate), _test_rows(champion)
    if not all(np.array_equal(one[name], other[name]) for name in ("sample_id", "label")):
        return None
    return Pair(one["label"], one["predicted"] == one["label"], other["predicted"] == other["label"])


def _test_rows(path: Path) -> dict[str, npt.NDArray[np.uint16]]:
    """Read the test split's rows, by sample_id; one row group at a time, as the train split may be long."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        groups = (file.read_row_group(group, columns=list(COLUMNS)) for group in range(file.num_row_groups))
        rows = pa.concat_tables([group.filter(pc.equal(group["split"], "test")) for group in groups])
    rows = rows.sort_by("sample_id")
    return {name: rows[name].to_numpy() for name in COLUMNS[1:]}


OTHER_IMAGES = "the champion was tested on other images"


class PromoteSummary(Summary):
    """The verdict, briefly."""

    outcome: Outcome
    words: str


@stage()
def promote(scores: Ref, test: Parts, terms: Terms, out: Path, champion: Ref | None = None) -> PromoteSummary:
    """
    Write the verdict on a candidate.

    Args:
        scores:   evaluate's of the candidate.
        test:     the table that it was tested on; the champion's has to have the same content.
        champion: evaluate's of the champion; None where there is none.
    """
    measured = Metrics.model_validate_json(scores.file(METRICS).read_bytes()).test
    pair = None
    if champion is not None and terms.obstacle is None:
        if terms.tested_on == digest_of_parts(test):
            pair = read_pair(scores.file(PREDICTIONS), champion.file(PREDICTIONS))
        if pair is None:
            terms = terms.model_copy(update={"obstacle": OTHER_IMAGES})
    names = [one.name for one in measured.classes]
    verdict = judge(measured.accuracy, pair, names, measured.samples, terms)
    (out / VERDICT).write_text(verdict.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return PromoteSummary(outcome=verdict.outcome, words=verdict.words)
