"""What voids or weakens a test accuracy, in sentences that stand wherever the figure does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydantic import BaseModel, ConfigDict, Field

from schemas.intervals import least_difference
from schemas.metrics import Metrics
from schemas.words import share

LEAKED = "images that occur in the train split as well"
"""How validate calls them; the caveat says it with the figures that follow from it."""
LARGEST_SHARE = 0.5
"""Share of the largest class above which a caveat says it."""
LARGEST_GAP = 0.05
"""How far train accuracy may be above test accuracy without a caveat."""


class Caveat(BaseModel):
    """A reason to believe the test accuracy less."""

    model_config = ConfigDict(frozen=True)
    kind: str = Field(description="leak, majority or gap")
    message: str = Field(description="one or two short sentences, with the figures")


def find_caveats(metrics: Metrics) -> tuple[Caveat, ...]:
    """
    Say what voids or weakens the test accuracy, the gravest first.

    - leak: test images occur in the train split as well; with the accuracy on the others.
    - majority: more than half of the test images are of one class.
    - gap: the train accuracy is more than 5 points above the test accuracy, and the 95 % interval of their difference
      (Newcombe) does not reach 0: sampling alone does not explain it.
    """
    found = {"leak": _leak(metrics), "majority": _majority(metrics), "gap": _gap(metrics)}
    return tuple(Caveat(kind=kind, message=message) for kind, message in found.items() if message)


def unsaid(warnings: Iterable[str], caveats: tuple[Caveat, ...]) -> Iterator[str]:
    """Yield the warnings of a run that none of its caveats says again, so that each thing is said once."""
    leak = any(caveat.kind == "leak" for caveat in caveats)
    return (warning for warning in warnings if not (leak and LEAKED in warning))


def _leak(metrics: Metrics) -> str:
    samples, leaked = metrics.test.samples, metrics.leaked
    if not leaked:
        return ""
    if metrics.unseen_accuracy is None:
        return f"All {samples:,} test images occur in the train split: none of them was unseen."
    occur = "occurs" if leaked == 1 else "occur"
    return (
        f"{leaked:,} of {samples:,} test images ({share(leaked / samples)}) {occur} in the train split; "
        f"accuracy on the unseen ones: {share(metrics.unseen_accuracy)} of {samples - leaked:,}."
    )


def _majority(metrics: Metrics) -> str:
    largest = max(metrics.test.classes, key=lambda one: one.support, default=None)
    part = largest.support / metrics.test.samples if largest else 0.0
    if largest is None or part <= LARGEST_SHARE:
        return ""
    return (
        f"{share(part)} of the test images are of one class, {largest.name}: always naming it would be right as often."
    )


def _gap(metrics: Metrics) -> str:
    train, test = metrics.train, metrics.test
    gap = train.accuracy - test.accuracy
    if gap <= LARGEST_GAP or least_difference((train.accuracy, train.samples), (test.accuracy, test.samples)) <= 0:
        return ""
    return (
        f"Test accuracy is {100 * gap:.2f} points below train accuracy, more than chance explains: "
        "the model overfits, or the splits differ."
    )
