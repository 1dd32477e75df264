"""
The report's figures: SVG files that stand alone and follow the reader's light or dark scheme.

Equal arguments give equal bytes: Matplotlib's bundled font, a fixed salt, neither dates nor versions. Text stays text,
in the reader's own font. Importing this module loads Matplotlib; a stage imports it inside its body.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal, cast

import matplotlib.style
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.ticker import MaxNLocator, PercentFormatter

from schemas.calibration import Calibration
from schemas.training import History

INK, MUTED, LINE, BLUE, RED = "#1f2530", "#667085", "#dfe3ea", "#2f62d0", "#c8502f"
"""Colours on a light ground."""
DARK = {INK: "#e8eaf0", MUTED: "#9aa4b5", LINE: "#333b48", BLUE: "#82a8ff", RED: "#ff9470"}
"""What each becomes on a dark ground."""
RIGHT, WRONG = (58, 108, 217), (214, 84, 48)
"""Red, green and blue of the confusion matrix's cells; how deep they are is their opacity, so any ground will do."""
COUNTED = 20
"""Classes up to which the confusion matrix shows its counts; more do not fit into the cells."""
NAMED = 60
"""Classes up to which it shows their names, and lines between the cells."""
SHORT = 14
"""Characters of a class name in a figure."""


@dataclass(frozen=True)
class Picture:
    """
    An image with its title.

    Args:
        image: uint8 (rows, columns), 0 black to 255 white; or (rows, columns, 3), red, green and blue.
        title: one line or more.
    """

    image: npt.NDArray[np.uint8]
    title: str


def shorten(name: str) -> str:
    """Make a class name fit a figure: at most 14 characters, each of which SVG can hold and a reader can see."""
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)
    return shown if len(shown) <= SHORT else f"{shown[: SHORT - 1]}\N{HORIZONTAL ELLIPSIS}"


def draw_curve(history: History, figure_of: Literal["loss", "accuracy"]) -> bytes:
    """
    Draw the train rows' loss or accuracy over the epochs, with its validation twin where rows were held out.

    A line marks the epoch that the model is from, if that is not the last one.
    """
    with _style():
        figure = Figure(figsize=(5.2, 3.4), layout="constrained")
        axes = figure.subplots()
        epochs = [row.epoch for row in history.epochs]
        lines = {"train": (figure_of, BLUE, "-"), "validation": (f"validation_{figure_of}", RED, "--")}
        for label, (field, color, dashes) in lines.items():
            values = [getattr(row, field) for row in history.epochs]
            if None not in values:
                marker = "o" if len(epochs) == 1 else None
                axes.plot(epochs, values, dashes, color=color, label=label, marker=marker, linewidth=1.8)
        marked = history.kept < epochs[-1]
        axes.set_title(figure_of.capitalize(), loc="left", pad=20 if marked else None)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        if figure_of == "accuracy":
            axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        axes.grid(axis="y", color=LINE, linewidth=0.8)
        legend = axes.legend(loc="upper right" if figure_of == "loss" else "lower right", frameon=False)
        if marked:
            _mark(axes, history.kept, legend if 3 * history.kept > 2 * epochs[-1] else None)
        return _svg(figure)


def _mark(axes: Axes, epoch: int, legend: Legend | None) -> None:
    """Draw an upright line at the epoch that the model is from; a legend that it would cross moves to its left."""
    along = axes.get_xaxis_transform()  # epochs to the right, the axes' height upwards
    axes.axvline(epoch, color=MUTED, linewidth=0.8)
    # Between the title and the axes, where no curve can be.
    axes.annotate(
        f"model from epoch {epoch}",
        (epoch, 1),
        (0, 4),
        xycoords=along,
        textcoords="offset points",
        ha="right" if legend else "left",
        color=MUTED,
    )
    if legend:
        legend.set_bbox_to_anchor((epoch, 0, 0, 1), along)


def draw_reliability(calibration: Calibration) -> bytes:
    """
    Draw how often predictions are right over the probability that they have: on the diagonal both are the same.

    A bar is a bin, as high as its accuracy; a line leads from there to its mean probability. The more images a bin has,
    the deeper its bar.
    """
    with _style():
        figure = Figure(figsize=(5.2, 3.9), layout="constrained")
        axes = figure.subplots()
        most = max(each.images for each in calibration.bins)
        for each in calibration.bins:
            if each.accuracy is None or each.confidence is None:
                continue
            width, middle = each.upper - each.lower, (each.lower + each.upper) / 2
            depth = 0.25 + 0.75 * math.log1p(each.images) / math.log1p(most)
            axes.bar(middle, each.accuracy, 0.92 * width, color=BLUE, alpha=depth, linewidth=0)
            axes.plot(
                [middle, middle], [each.accuracy, each.confidence], color=RED, linewidth=2.4, solid_capstyle="butt"
            )
        axes.plot([0, 1], [0, 1], "--", color=MUTED, linewidth=1)
        axes.set_title("Right, by probability", loc="left")
        axes.set_xlabel("probability of the predicted class")
        axes.set_ylabel("share of right predictions")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        axes.grid(axis="y", color=LINE, linewidth=0.8)
        axes.set_axisbelow(True)
        return _svg(figure)


def draw_confusion(confusion: Sequence[Sequence[int]], classes: Sequence[str], support: Sequence[int]) -> bytes:
    """
    Draw a confusion matrix, true classes downwards.

    A right cell is as deep as its share of its true class; wrong ones are far fewer, and are measured by the largest
    of their shares.

    Args:
        confusion: [true class][predicted class], counts of images.
        classes:   class names, in label order.
        support:   images of each class, those that were taken for a class that is not drawn included.
    """
    counts, size = np.array(confusion), len(classes)
    share = counts / np.maximum(np.array(support)[:, None], 1)
    diagonal = np.eye(size, dtype=bool)
    worst = share[~diagonal].max()
    depth = np.where(diagonal, share, 0.8 * (share / worst) ** 0.7 if worst else 0)
    cells = np.where(diagonal[..., None], RIGHT, WRONG)
    colors = np.dstack([cells, np.rint(255 * depth)]).astype(np.uint8)
    with _style():
        inches = min(max(3.4, 0.46 * size), 10) + 0.6
        figure = Figure(figsize=(inches, inches), layout="constrained")
        axes = figure.subplots()
        axes.imshow(colors, interpolation="none")
        edges = np.arange(size + 1 if size <= NAMED else 0) - 0.5
        axes.set_xticks(edges, minor=True)
        axes.set_yticks(edges, minor=True)
        axes.grid(which="minor", color=LINE, linewidth=0.6)
        axes.tick_params(which="both", length=0)
        axes.xaxis.set_label_position("top")
        axes.xaxis.tick_top()
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")
        names = [shorten(name) for name in classes] if size <= NAMED else []
        ticks = range(len(names))
        upright = max(map(len, names), default=0) > 3
        axes.set_xticks(ticks, names, rotation=90 if upright else 0, parse_math=False)
        axes.set_yticks(ticks, names, parse_math=False)
        for true, predicted in np.argwhere(counts) if size <= COUNTED else ():
            color = "#ffffff" if depth[true, predicted] > 0.7 else INK
            text = f"{counts[true, predicted]}"
            axes.text(predicted, true, text, color=color, ha="center", va="center", fontsize=8.5)
        return _svg(figure)


def columns_of(pictures: int) -> int:
    """Return the width of a grid of so many pictures: up to five in a row, ten as 2 x 5, more twice as wide as high."""
    return min(pictures, max(5, math.ceil(math.sqrt(2 * pictures))))


def draw_pictures(pictures: Sequence[Picture], columns: int) -> bytes:
    """Draw at least one picture in a grid, gray or in colour, without axes, each under its title; all of one shape."""
    rows, lines = math.ceil(len(pictures) / columns), max(picture.title.count("\n") + 1 for picture in pictures)
    height, width = pictures[0].image.shape[:2]
    side, gap, title = 1.35, 0.15, 0.12 + 0.19 * lines  # of an image, between two, and above one; in inches
    tall = side * height / width
    total = rows * (tall + title)
    with _style():
        figure = Figure(figsize=(columns * (side + gap) - gap, total))
        # Laid out by hand: exactly to the edges, and without the passes that Matplotlib's own layout takes.
        place = {"left": 0, "right": 1, "bottom": 0, "top": 1 - title / total}
        place |= {"wspace": gap / side, "hspace": title / tall}
        grid = figure.subplots(rows, columns, squeeze=False, gridspec_kw=place)
        for axes in grid.flat:
            axes.set_axis_off()
        for axes, picture in zip(grid.flat, pictures, strict=False):
            axes.imshow(picture.image, cmap="gray", vmin=0, vmax=255, interpolation="none")
            axes.set_title(picture.title, parse_math=False)
        return _svg(figure)


def _style() -> AbstractContextManager[None]:
    """Matplotlib's defaults, whatever the reader's own matplotlibrc says, and ours over them."""
    ours: dict[str, Any] = {
        "svg.hashsalt": "idxflow",
        "svg.fonttype": "none",
        "font.family": "DejaVu Sans",
        "font.size": 10,
        "text.color": INK,
        "axes.titlecolor": INK,
        "axes.titlesize": 11,
        "axes.labelcolor": MUTED,
        "axes.edgecolor": LINE,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": LINE,
        "ytick.color": LINE,
        "xtick.labelcolor": MUTED,
        "ytick.labelcolor": MUTED,
    }
    return cast("AbstractContextManager[None]", matplotlib.style.context(["default", ours]))


def _svg(figure: Figure) -> bytes:
    """Save a figure, and give it its dark colours and the reader's font."""
    target = BytesIO()
    with warnings.catch_warnings():
        # The bundled font only measures; the reader's own draws the letters that it lacks.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        nothing = dict.fromkeys(("Date", "Creator", "Type", "Format"))
        figure.savefig(target, format="svg", transparent=True, metadata=nothing)
    svg = target.getvalue().decode()
    head, body = svg[svg.index("<svg") :].split(">", 1)
    dark = "".join(
        f'[style*="{use}: {light}"]{{{use}:{color}!important}}'
        for light, color in DARK.items()
        for use in ("fill", "stroke")
    )
    style = f"text{{font-family:system-ui,sans-serif!important}}@media(prefers-color-scheme:dark){{{dark}}}"
    return f"{head}><style>{style}</style>{body}".encode()
