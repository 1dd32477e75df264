"""What the gate finds about a model that is to take an alias, and what it is asked by."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, Field

from schemas.counts import counted
from schemas.parameters import Parameters
from schemas.text import share
from schemas.visible import in_a_line

VERDICT = "verdict.json"
"""What promote leaves: a `Verdict`."""
Outcome = Literal["first", "promoted", "kept", "refused", "forced"]
LEVEL = 0.01
"""
Significance level of the paired test.

Networks of one configuration and different seeds differ by more than the luck of the test images: of pairs of them
more are significant than the level says (docs/promotion.md has the figures), and a gate is asked night by night.
"""
CLASS_LEVEL = 0.05
"""Significance level of the tests of single classes, which share it: here luck would hold a good model back."""
MARGIN = 0.01
"""How far the recall of a class may fall without a word: one point."""
LISTED = 20
"""Classes that a verdict lists at most."""
NAMED = 3
"""Classes that a sentence names at most."""


class Terms(Parameters):
    """
    By what the gate judges.

    Args:
        level:     significance level of the paired test.
        margin:    how far the recall of a class may fall without being tested, in [0, 1].
        class_level: significance level that the tests of single classes share.
        floor:     test accuracy in [0, 1] that is the least; None: any will do.
        looks:     how many different models have been evaluated on these test images, this one included.
        tested_on: content digest of the test table that the champion was evaluated on; None where there is none.
        obstacle:  why the two cannot be compared, in words, whatever their tables are; None: nothing is in the way.
        force:     a person's reason to promote whatever is found; None: nobody has one.
    """

    when_given: ClassVar[frozenset[str]] = frozenset({"floor", "tested_on", "obstacle", "force"})
    level: float = Field(default=LEVEL, gt=0, lt=1)
    margin: float = Field(default=MARGIN, ge=0, le=1)
    class_level: float = Field(default=CLASS_LEVEL, gt=0, lt=1)
    floor: float | None = Field(default=None, ge=0, le=1)
    looks: int = Field(default=1, ge=0)
    tested_on: str | None = None
    obstacle: str | None = None
    force: str | None = None


class LowerClass(BaseModel, frozen=True):
    """A class whose recall has fallen by more than the margin."""

    name: str
    images: int = Field(description="test images of this class")
    better: int = Field(description="of these, how many only the candidate names right")
    worse: int = Field(description="and how many only the champion does")
    p_value: float = Field(description="of the exact McNemar test of this class alone, two-sided")
    counts: bool = Field(description="whether chance does not explain it, all classes of the test set considered")

    @property
    def fall(self) -> float:
        """By how much the recall has fallen, in [0, 1]."""
        return (self.worse - self.better) / self.images


class Verdict(BaseModel, frozen=True):
    """
    Whether a model, the candidate, takes an alias from the one that has it, the champion.

    The outcome: `first` (nothing had the alias), `promoted` (better), `kept` (not better, or not good enough: the alias
    stays), `refused` (the two cannot be compared: the alias stays), `forced` (kept or refused, but for a person).
    """

    outcome: Outcome
    why: str = Field(default="", description="what speaks against it, in words; empty where nothing does")
    force: str = Field(default="", description="a person's reason to promote whatever is found; empty: nobody has one")
    samples: int = Field(description="test images")
    accuracy: float = Field(description="of the candidate on test, in [0, 1]")
    champion_accuracy: float | None = Field(default=None, description="of the champion; None: they were not compared")
    better: int | None = Field(default=None, description="test images that only the candidate names right")
    worse: int | None = Field(default=None, description="test images that only the champion names right")
    p_value: float | None = Field(default=None, description="of the exact McNemar test, two-sided")
    level: float = Field(description="its significance level")
    least_lead: int | None = Field(
        default=None,
        description="the least lead, better less worse, that would have been significant on as many images; None: none",
    )
    margin: float = Field(description="how far the recall of a class may fall without being tested, in [0, 1]")
    lower: tuple[LowerClass, ...] = Field(
        default=(), description="classes whose recall fell by more than that, the largest fall first; 20 at most"
    )
    lower_classes: int = Field(default=0, description="how many there are")
    floor: float | None = Field(default=None, description="test accuracy that is the least, in [0, 1]")
    looks: int = Field(description="how many different models have been evaluated on these test images")

    @property
    def promotes(self) -> bool:
        """Whether the alias is to stand for the candidate."""
        return self.outcome in {"first", "promoted", "forced"}

    @property
    def words(self) -> str:
        """The verdict in one line."""
        if self.outcome == "first":
            head = f"promoted as the first: test accuracy {share(self.accuracy)}, and no other to compare it with"
        elif self.outcome == "promoted":
            head = "promoted"
        elif self.outcome == "forced":
            head = f"promoted by force ({in_a_line(self.force)}), although {self.why}"
        else:
            head = f"not promoted: {self.why}"
        compared = self._compared()
        joint = ": " if self.outcome == "promoted" else "; "
        if self.force and self.outcome in {"first", "promoted"}:
            compared = "; ".join(filter(None, (compared, "--force was not needed")))
        return "; ".join((joint.join(filter(None, (head, compared))), looked_at(self.looks)))

    def _compared(self) -> str:
        if self.better is None or self.worse is None or self.p_value is None:
            return ""
        found = f"{self.better:,} better, {self.worse:,} worse, p = {self.p_value:.2g}, {self._classes()}"
        apart = self.better + self.worse
        if self.least_lead is None:
            return f"{found}; no lead on so few images that part them, {apart}, would have been more than chance"
        points = f"{100 * self.least_lead / self.samples:.2g} points"
        return (
            f"{found}; of {counted(apart, 'image', ',')} that part them a lead of {self.least_lead:,} ({points}) counts"
        )

    def _classes(self) -> str:
        margin = f"{100 * self.margin:g} {'point' if self.margin == 0.01 else 'points'}"
        if not self.lower:
            return f"no class worse by more than {margin}"
        counting = [one for one in self.lower if one.counts]
        shown = counting or self.lower
        named = ", ".join(
            f"{in_a_line(one.name)} by {100 * one.fall:.1f} points ({one.better} better, {one.worse} worse)"
            for one in shown[:NAMED]
        )
        more = (len(counting) if counting else self.lower_classes) - NAMED
        named += f" and {more} more" if more > 0 else ""
        return f"worse: {named}" if counting else f"no class worse by more than {margin} and chance (lower: {named})"


def looked_at(looks: int) -> str:
    """Say how often a test set has been looked at. Args: looks: different models evaluated on it."""
    return f"this test set has been looked at {'once' if looks == 1 else f'{looks:,} times'}"


class Promotion(BaseModel, frozen=True):
    """What became of an alias in a run that was to promote its model; part of the run's record."""

    alias: str = Field(description="with its data set, as champion@mnist, where the alias has it in its name")
    outcome: Outcome
    moved: bool = Field(description="whether the alias stands for another artifact than before")
    standing: bool = Field(default=False, description="whether it stood for this very model already")
    words: str = Field(description="the verdict in one line")
    verdict: str = Field(description="version of the artifact promote/VERSION")

    @property
    def stands(self) -> bool:
        """Whether the alias stands for the model now."""
        return self.moved or self.standing

    @property
    def line(self) -> str:
        """Alias and verdict in one line."""
        return f"{self.alias}: {f'this model has it already ({self.words})' if self.standing else self.words}"
