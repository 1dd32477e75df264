"""The two pictures of docs/benchmarks.md: figures beside their bars, and the growth of the stages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure as Canvas

from benchmarks.harness import Figure, Line
from benchmarks.show import number

INK, MUTED, GRID, BLUE, RED = "#1f2530", "#667085", "#dfe3ea", "#2f62d0", "#c8502f"
MARKS = "os^Dv<>P*"
WIDTH = 80
"""Characters of a figure's name in a line."""
FULL = 1.6
"""Shares of a bar from which on a missed figure's bar is cut."""


def draw_bars(figures: Sequence[Figure], path: Path) -> None:
    """Draw each figure that has a bar as a share of it: 1 is the bar, a tick the stretch, shorter is better."""
    shown = [figure for figure in figures if figure.goal.bar is not None][::-1]
    canvas = Canvas(figsize=(11, 0.42 * len(shown) + 1.2), layout="constrained", facecolor="white")
    axes = canvas.subplots()
    for at, figure in enumerate(shown):
        share = figure.of_bar(figure.value)
        color = RED if figure.verdict == "missed" else BLUE
        axes.barh(at, min(share, FULL), height=0.62, color=color)
        label = number(figure.value, figure.unit)
        if share > FULL:
            label += " \N{HORIZONTAL ELLIPSIS}"
        ground = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axes.text(min(share, FULL) + 0.015, at, label, va="center", color=INK, fontsize=9, bbox=ground, zorder=3)
        if figure.goal.stretch is not None:
            goal = figure.of_bar(figure.goal.stretch)
            axes.plot([goal, goal], [at - 0.42, at + 0.42], color=INK, linewidth=1.6)
    axes.axvline(1, color=INK, linewidth=1, linestyle="--")
    axes.set_yticks(range(len(shown)), [_shorten(figure.what) for figure in shown], fontsize=9, color=INK)
    axes.set_xlim(0, FULL + 0.2)
    axes.set_ylim(-0.7, len(shown) - 0.1)
    axes.set_xlabel(
        "share of the bar: shorter is better; the dashed line is the bar, the tick the stretch", color=MUTED, fontsize=9
    )
    axes.grid(axis="x", color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0)
    canvas.savefig(path, dpi=110)


def draw_growth(lines: Sequence[Line], path: Path) -> None:
    """Draw time and memory over size, a line a stage, of which there is at least one; dotted is linear growth."""
    canvas = Canvas(figsize=(11, 4.6), layout="constrained", facecolor="white")
    left, right = canvas.subplots(1, 2)
    colors = [f"C{at}" for at in range(10)]
    for line, mark, color in zip(lines, MARKS, colors, strict=False):
        style = {"marker": mark, "color": color, "linewidth": 1.4, "markersize": 5}
        left.loglog(line.samples, line.seconds, label=f"{line.stage} ({line.slope:.2f})", **style)
        right.semilogx(line.samples, [peak / 1e6 for peak in line.peak], **style)
    samples, around = lines[0].samples, left.get_ylim()
    for power in range(-4, 4):
        left.loglog(samples, [10**power * size / samples[0] for size in samples], ":", color=MUTED, linewidth=0.8)
    left.set_ylim(around)
    left.set_title("seconds; in brackets the slope, 1 is linear", loc="left", fontsize=10, color=INK)
    right.set_title("memory at most, MB", loc="left", fontsize=10, color=INK)
    right.set_ylim(0, None)
    for axes in (left, right):
        axes.set_xlabel("train images", color=MUTED)
        axes.grid(color=GRID, linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xticks(samples, [f"{size:,}" for size in samples])
        axes.minorticks_off()
    canvas.legend(*left.get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=9)
    canvas.savefig(path, dpi=110)


def _shorten(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}\N{HORIZONTAL ELLIPSIS}"
