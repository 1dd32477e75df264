"""What is asked of a trained network about new images, what it is compared with, and what it said."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, Field, model_validator

from schemas.class_names import Classes
from schemas.image_spec import ImageSpec
from schemas.parameters import Parameters, Sha256
from schemas.pictures import PictureSpec
from schemas.results import SplitMetrics
from schemas.text import share

REFERENCE, SCORES, SCORED = "reference.json", "scores.parquet", "scored.json"
"""What the stages `reference` and `score` leave: a `Reference`; a row per image and refused file; a `Scored`."""
DriftFeature = Literal["mean", "ink", "class", "probability"]
DRIFT_FEATURES: tuple[DriftFeature, ...] = ("mean", "ink", "class", "probability")
PIXEL_FEATURES = ("minimum", "maximum", "mean", "ink", "spread")
"""Of an image's profile, what is compared with the extremes of the train images; see `tasks.quality.profile`."""
LEVEL = 0.002
"""Probability that images like those of training are said to have drifted, over all features together."""
LEAST_SHIFT = 0.05
"""Population stability index above noise below which a difference is no drift, however sure: too small to matter."""
FEW = 50
"""Images below which hardly any drift could be seen, and that is said."""
LEAST_UNLIKE = 0.01
"""Share of images unlike any trained on below which that alone is no drift."""


class Histogram(BaseModel, frozen=True):
    """How often a value lies below, between and from the last of k ascending edges on: k + 1 counts."""

    edges: tuple[float, ...]
    counts: tuple[Annotated[int, Field(ge=0)], ...]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.counts) != len(self.edges) + 1 or not sum(self.counts):
            raise ValueError("expected a count more than edges, of one value at least")
        return self


class Reference(BaseModel, frozen=True):
    """
    What a network was trained for and on, as far as whoever names new images with it needs to know.

    Args:
        dataset:    name of its data set.
        shape:      of an image, after `transpose`.
        classes:    names, in label order.
        stored:     what the data set's files call each class.
        transpose:  its IDX files hold columns x rows.
        picture:    how its pictures were prepared; None where it was trained on rows of pixels.
        histograms: of mean and ink over the train images; of predicted class and its probability over the test images,
                    which the network had not seen either.
        extremes:   least and largest value of each feature of an image's profile over the train images.
        sure:       probability from which the network counts as sure; None: of too few test images nobody knows.
        sure_right: share of right ones among the test images that it was sure of, in [0, 1].
        accuracy:   of the test split, in [0, 1].
    """

    dataset: str = ""
    shape: ImageSpec
    classes: Classes
    stored: tuple[int, ...]
    transpose: bool = False
    picture: PictureSpec | None = None
    histograms: dict[DriftFeature, Histogram]
    extremes: dict[str, tuple[float, float]]
    sure: float | None = None
    sure_right: float | None = None
    accuracy: float | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.stored) != len(self.classes) or len(self.histograms["class"].counts) != len(self.classes):
            raise ValueError(f"expected as many stored labels, and counts, as classes, which are {len(self.classes)}")
        if set(self.extremes) != set(PIXEL_FEATURES):
            raise ValueError(f"expected extremes of {', '.join(PIXEL_FEATURES)}")
        return self

    @model_validator(mode="before")
    @classmethod
    def _check_features(cls, given: Any) -> Any:
        if isinstance(given, dict) and set(given.get("histograms", ())) != set(DRIFT_FEATURES):
            raise ValueError(f"expected histograms of {', '.join(DRIFT_FEATURES)}")
        return given


class Meaning(Parameters):
    """What images and labels of a training mean, beside the artifacts that it left; see `Reference`."""

    shape: ImageSpec
    classes: Classes
    stored: tuple[int, ...]
    transpose: bool = False
    picture: PictureSpec | None = None
    dataset: str = ""


class ExportedModel(Parameters):
    """
    A folder that `idxflow export` has written.

    Args: path: no part of any key; name: what it is called; content: SHA-256 of its checksums.
    """

    outside_key: ClassVar[frozenset[str]] = frozenset({"path", "name"})
    path: str
    name: str
    content: Sha256


class Place(Parameters):
    """
    Where new images lie: a picture, a folder, an archive, a table, a file of arrays, an IDX file.

    Args:
        path:    absolute; no part of any key.
        name:    what it is called, in messages and in the run's record.
        where:   which place it is, however its path is written: the beginning of that path's SHA-256. The same images
                 elsewhere are answers of their own, with the names that they have there.
        content: SHA-256 of the file, or of name and content of those files of a folder that are taken.
        picture: what each picture becomes.
        only:    names of the files that are taken; None: all.
        label:   column of the labels in a table.
    """

    outside_key: ClassVar[frozenset[str]] = frozenset({"path", "name", "only"})
    path: str
    name: str
    where: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    content: Sha256
    picture: PictureSpec
    only: tuple[str, ...] | None = None
    label: str | None = None


class Shift(BaseModel, frozen=True):
    """
    How unlike the images of training new ones are in one feature.

    Args:
        psi:    population stability index; see `tasks.quality.drift.stability`.
        noise:  what it would be on average if nothing had changed.
        chance: probability of at least this index if nothing had changed, in [0, 1].
    """

    feature: DriftFeature
    psi: float
    noise: float
    chance: float

    @property
    def drifted(self) -> bool:
        """Whether chance does not explain it, and it is large enough to matter."""
        return self.chance < LEVEL / (len(DRIFT_FEATURES) + 1) and self.psi - self.noise >= LEAST_SHIFT


class Scored(BaseModel, frozen=True):
    """
    What a network said about the images of one place.

    Args:
        files, images: those that were taken.
        refused:       files that were not, by reason.
        classes:       images of each predicted class, by name; of those that occur.
        sure:          images of which the network is sure; None where nobody knows from where on it is.
        sure_right:    share of right ones among the test images that it was sure of, in [0, 1].
        unlike:        images unlike any trained on.
        unlike_chance: probability of at least so many of them if nothing had changed, in [0, 1].
        shifts:        by feature; empty without an image.
        labelled:      images with a label that is a class of the network.
        unknown:       images with another label.
        metrics:       of the labelled ones; None without any.
    """

    files: int
    images: int
    refused: dict[str, int]
    classes: dict[str, int]
    sure: int | None
    sure_right: float | None
    unlike: int
    unlike_chance: float
    shifts: tuple[Shift, ...]
    labelled: int = 0
    unknown: int = 0
    metrics: SplitMetrics | None = None

    @property
    def drift(self) -> tuple[str, ...]:
        """The features by which the images have drifted from those of training; `unlike` where too many are."""
        unlike = self.images and self.unlike >= LEAST_UNLIKE * self.images
        found = [shift.feature for shift in self.shifts if shift.drifted]
        many = unlike and self.unlike_chance < LEVEL / (len(DRIFT_FEATURES) + 1)
        return (*found, *(["unlike"] if many else []))

    @property
    def words(self) -> str:
        """Say in a sentence whether the images have drifted."""
        if not self.images:
            return "no image, so nothing is known of drift"
        if not self.drift:
            return "none seen" + (", among too few images to see much" if self.images < FEW else "")
        told = {
            "mean": "brightness",
            "ink": "share of inked pixels",
            "class": "predicted classes",
            "probability": "how sure the network is",
            "unlike": f"{share(self.unlike / self.images)} of the images are unlike any trained on",
        }
        return "; ".join(told[each] for each in self.drift)


class Answer(BaseModel, frozen=True):
    """A row of `scores.parquet`: an image that was named, or a file that was refused."""

    file: str
    part: str | None = Field(description="name of the array in it, of a file with several")
    sample: int | None = Field(description="row in its file, from 0; None of a refused file")
    predicted: str | None = Field(description="name of the most probable class")
    probability: float | None = Field(description="of it, in [0, 1]")
    runner_up: str | None = Field(description="name of the second most probable class")
    runner_up_probability: float | None
    sure: bool | None = Field(description="whether the probability is one from which the network counts as sure")
    unlike: bool | None = Field(description="whether the image is unlike any trained on")
    label: str | None = Field(description="as the place has it; None where it has none")
    reason: str | None = Field(description="why a file was refused")
