"""
The report's page: what it shows, and how it becomes one HTML file.

The file asks for nothing from anywhere: figures are data addresses, the style is inside, and there is no script.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from schemas.calibration import FEWEST_ROWS, points
from schemas.counts import counted
from schemas.datasets import Dataset, Proof
from schemas.image_spec import ImageSpec
from schemas.model import NormalizerFacts
from schemas.results import LISTED, Caveat, ClassMetrics, Metrics, Statistics, find_caveats, wilson_interval
from schemas.training import EpochRow, History, Training
from schemas.verdict import Verdict
from schemas.visible import in_a_line
from tasks.explaining.style import shared_style
from tasks.formats.packed import Origins
from tasks.quality.hints import Hints
from tasks.quality.near_pairs import NearLeaks
from tasks.quality.projection import THRESHOLD

TEMPLATE = Path(__file__).with_suffix(".html")


@dataclass(frozen=True)
class Illustration:
    """A figure: SVG bytes, and what they show, for those who cannot see it."""

    svg: bytes
    alt: str

    @property
    def address(self) -> str:
        """The whole figure as a `data:` address."""
        return f"data:image/svg+xml;base64,{base64.b64encode(self.svg).decode()}"


@dataclass(frozen=True)
class Setting:
    """One field of the configuration; `usual` is the profile's value where this one differs, else empty."""

    name: str
    value: str
    meaning: str
    usual: str


@dataclass(frozen=True)
class Confusion:
    """How many images of a true class (`support` in all) were taken for another one."""

    true: str
    predicted: str
    count: int
    support: int


@dataclass(frozen=True)
class Mistake:
    """
    A test image that was taken for another class.

    Args:
        true, predicted: class indices.
        probability:     of the predicted class, in [0, 1].
        loss:            cross-entropy of the true class, in nats.
    """

    sample_id: int
    true: int
    predicted: int
    probability: float
    loss: float


@dataclass(frozen=True)
class WrongImage:
    """
    A misclassified test image that can be seen.

    Args:
        probability: of the predicted class, in [0, 1].
        true:        that of the true one.
        address:     the image as a `data:` address.
    """

    sample_id: int
    probability: float
    true: float
    address: str


@dataclass(frozen=True)
class Cell:
    """
    Test images of one class that were taken for another: a cell of the confusion matrix.

    Args:
        true, predicted: class indices.
        count:           how many there are.
        images:          those that the page has room for, the highest loss first.
    """

    true: int
    predicted: int
    count: int
    images: tuple[WrongImage, ...]

    @property
    def anchor(self) -> str:
        """Its place in the page."""
        return f"as-{self.true}-{self.predicted}"


@dataclass(frozen=True)
class Page:
    """
    All that the page shows.

    Args:
        profile:    the profile that the configuration is nearest to.
        settings:   the configuration, one row per field.
        statistics: of each split, train first.
        proofs:     of each file, in the catalog's order.
        contents:   SHA-256 of the content of each artifact that the page shows, by its name for people.
        confusions: of test images, the most frequent first.
        mistakes:   of test images, the highest loss first.
        wrong:      the cells of the confusion matrix with wrong images, in class order.
        hints:      train images whose label may be wrong.
        figures:    loss, accuracy, samples, confusion, reliability; mistakes, hints and near pairs, if there are any.
        origins:    of samples, for their files' names.
        near:       test images that are nearly equal to train images.
        files:      of a set that was packed, what became of its files, by how many.
        verdict:    of the gate; None where nothing was to be promoted.
    """

    SAMPLES: ClassVar[int] = 100
    """Classes of which a sample is shown at most, the largest."""
    DRAWN: ClassVar[int] = 60
    """Classes of the confusion matrix's figure where there are more than tables list, the largest."""
    GRID: ClassVar[int] = 20
    """Classes up to which the cells of the confusion matrix can be chosen."""
    CORRECTED: ClassVar[int] = 20
    """Corrected labels of a split that are listed at most."""

    dataset: Dataset
    training: Training
    profile: str
    settings: tuple[Setting, ...]
    history: History
    metrics: Metrics
    statistics: dict[str, Statistics]
    normalizer: NormalizerFacts
    proofs: tuple[Proof, ...]
    contents: dict[str, str]
    confusions: tuple[Confusion, ...]
    mistakes: tuple[Mistake, ...]
    hints: Hints
    figures: dict[str, Illustration]
    origins: Origins = Origins()  # noqa: RUF009 - it knows nothing
    near: NearLeaks = NearLeaks()  # noqa: RUF009 - none
    files: dict[str, int] = field(default_factory=dict)
    verdict: Verdict | None = None
    wrong: tuple[Cell, ...] = ()

    @property
    def model(self) -> str:
        """As much of the digest of the model as finds it in a store; empty where the page does not know it."""
        return self.contents.get("model and history", "")[:12]

    @property
    def opened(self) -> tuple[Cell, ...]:
        """The cells of which images can be seen."""
        return tuple(cell for cell in self.wrong if cell.images)

    @property
    def grid(self) -> bool:
        """Whether the confusion matrix is a table of which each cell can be chosen; else it is a figure alone."""
        return len(self.metrics.test.classes) <= self.GRID

    def cell(self, true: int, predicted: int) -> Cell | None:
        """Return a cell of which images can be seen."""
        return next((cell for cell in self.opened if (cell.true, cell.predicted) == (true, predicted)), None)

    def sample(self, split: str, sample_id: int) -> str:
        """Return what an image is called: by its sample id, and the file that it comes from where that is known."""
        file = self.origins.name(split, sample_id)
        return f"{sample_id}: {file}" if file else f"{sample_id}"

    @property
    def layers(self) -> tuple[int, ...]:
        """Units of each layer: the values of an image, the hidden ones, the classes."""
        spec = self.dataset.splits["train"].spec
        return spec.pixels, *self.training.hidden, len(spec.classes)

    @property
    def shape(self) -> ImageSpec:
        """The shape of an image."""
        return self.dataset.splits["train"].spec.shape

    @property
    def caveats(self) -> tuple[Caveat, ...]:
        """What voids or weakens the test accuracy."""
        return find_caveats(self.metrics)

    @property
    def listed(self) -> tuple[int, ...]:
        """The classes that tables list, as class indices: all, or those with the most test images."""
        return self.metrics.test.largest()

    @property
    def tested(self) -> tuple[ClassMetrics, ...]:
        """What was measured of them on the test split."""
        return tuple(self.metrics.test.classes[label] for label in self.listed)

    @property
    def left_out(self) -> str:
        """Which classes tables list, in a sentence; empty where they list all."""
        classes = len(self.metrics.test.classes)
        return f"Of {classes:,} classes the {LISTED} with the most test images." if classes > LISTED else ""

    @property
    def changed(self) -> tuple[str, ...]:
        """Names of the settings that differ from the profile's."""
        return tuple(setting.name for setting in self.settings if setting.usual)

    @property
    def best(self) -> EpochRow | None:
        """The epoch with the lowest validation loss, the first of equals; None where nothing was held out."""
        held_out = [row for row in self.history.epochs if row.validation_loss is not None]
        return min(held_out, key=lambda row: row.validation_loss or 0.0, default=None)

    @property
    def stopped(self) -> bool:
        """Whether the training ended before its last epoch."""
        return len(self.history.epochs) < self.training.epochs


def percent(share: float, digits: int = 2) -> str:
    """Write a share in [0, 1] as per cent."""
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def thousands(number: int) -> str:
    """Write a whole number with its thousands apart."""
    return f"{number:,}"


def render(page: Page) -> str:
    """Fill the template `page.html` and put the shared style into it; every value of the page is escaped."""
    from jinja2 import Environment, StrictUndefined  # no sooner: of the page's facts alone nobody needs it

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "percent": percent,
        "thousands": thousands,
        "counted": counted,
        "visible": in_a_line,
        "points": points,
    }
    environment.globals |= {
        "wilson_interval": wilson_interval,
        "near_levels": THRESHOLD,
        "fewest_rows": FEWEST_ROWS,
        "style": shared_style(),
    }
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(page=page) + "\n"
