"""
The figures of a study's page, as SVG that stands inside of it and takes its colours, light or dark, from its style.

They are drawn by hand, in units that are pixels on a narrow telephone: a thousand trials make a page of a few hundred
kilobytes, and every mark can say which trial it is. What differs in colour differs in form or in stroke as well.
Equal arguments give equal text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from schemas.counts import counted
from schemas.space import Choice, Domain, Range, compact
from schemas.tuning import Objective, Study, Trial

WIDTH = 360
LEVELS = 7
"""Colours of complete trials, by their rank: `q0`, the worst, to `q6`."""
CURVE_POINTS = 20_000
"""Points of all learning curves together, at most; each has twelve at least."""
CROWD = 60
"""Trials beyond which lines are drawn fainter."""
LETTER = 6.3
"""Width of a letter, about: labels that would touch are left out."""


@dataclass(frozen=True)
class Scale:
    """From values to places. Args: low, high: values, low < high; start, end: where these lie; log: by logarithm."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return where a value lies; beyond an end at that end."""
        low, high, at = (math.log(each) if self.log else each for each in (self.low, self.high, self._within(value)))
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def _within(self, value: float) -> float:
        return min(max(value, self.low), self.high)

    def ticks(self, about: int = 5) -> list[float]:
        """Return round values between the ends; of a log scale powers of ten, and 2 and 5 times these if few."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            for factors in ((1,), (1, 2, 5)):
                found = [factor * 10.0**power for power in powers for factor in factors]
                if len(inside := [each for each in found if self.low <= each <= self.high]) > 2:
                    return inside
            return inside
        rough = (self.high - self.low) / about
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.7)
        first = math.ceil(self.low / step - 1e-9)
        return [round(at * step, 12) for at in range(first, math.floor(self.high / step + 1e-9) + 1)]


def figure_of(value: float, objective: Objective, step: float) -> str:
    """Write an accuracy or a loss. Args: step: between it and the next one: as many digits are written as part them."""
    unit = 100 if objective == "accuracy" else 1
    digits = max(0, -math.floor(math.log10(unit * step) + 1e-9))
    return f"{unit * value:.{digits}f}" + ("\N{NO-BREAK SPACE}%" if objective == "accuracy" else "")


def objective_ticks(scale: Scale, objective: Objective) -> list[tuple[float, str]]:
    """Return where round accuracies or losses lie on a scale, and how they are written."""
    ticks = scale.ticks(4)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else scale.high - scale.low
    return [(scale(tick), figure_of(tick, objective, step)) for tick in ticks]


def measured(trial: Trial, objective: Objective) -> float | None:
    """Return what a trial is compared by, as people read it: its accuracy, or its loss; None if it failed."""
    return trial.accuracy if objective == "accuracy" else trial.loss


def shown_range(values: Sequence[float], objective: Objective) -> tuple[float, float]:
    """
    Return the values that a figure shows: all, but for the few far worse ones that would flatten the others.

    Far worse is below the first quartile by more than one and a half times what that is below the best.
    """
    ordered = sorted(values, reverse=objective == "loss")  # the worst first
    quartile, best = ordered[len(ordered) // 4], ordered[-1]
    limit = quartile - 1.5 * (best - quartile)
    worst = next(each for each in ordered if (each >= limit if objective == "accuracy" else each <= limit))
    low, high = min(worst, best), max(worst, best)
    margin = 0.06 * (high - low) or max(0.02 * abs(high), 1e-6)
    low, high = low - margin, high + margin
    return (max(low, 0.0), min(high, 1.0)) if objective == "accuracy" else (max(low, 0.0), high)


def draw_history(study: Study) -> str:
    """Draw what each trial came to in the order of asking, the best so far, and what was pruned or failed."""
    objective, trials = study.rules.objective, study.trials
    known = [(each, value) for each in trials if (value := measured(each, objective)) is not None]
    height, bottom = 250, 205
    if not known:
        return ""
    low, high = shown_range([value for _, value in known], objective)
    across, up = Scale(0.5, len(trials) + 0.5, 44, WIDTH - 8), Scale(low, high, bottom, 30)
    marks = list(_frame(up, objective, across, counted_by="trial"))
    best: float | None = None
    steps = list[str]()
    for at, each in enumerate(trials, 1):
        value = measured(each, objective)
        if each.state == "complete" and value is not None:
            ahead = best is None or (value > best if objective == "accuracy" else value < best)
            if best is None:
                steps.append(f"M{_n(across(at))} {_n(up(value))}")
            elif ahead:
                steps.append(f"H{_n(across(at))}V{_n(up(value))}")
            best = value if ahead else best
    if steps:
        marks.append(f'<path class="best" d="{"".join(steps)}H{_n(across(len(trials)))}"/>')
    size = 3.2 if len(trials) <= 100 else 2 if len(trials) <= 400 else 1.4
    for at, each in enumerate(trials, 1):
        value = measured(each, objective)
        kind = "winner" if each.number == study.best else each.state
        y = bottom - size if value is None else up(value)
        marks.append(_mark(across(at), y, size, kind, f"<title>{escape(_named(each, objective))}</title>"))
    beyond = sum(not low <= value <= high for each, value in known)
    marks += _key(study, 14)
    winner = study.winner
    told = f"{counted(len(trials), 'trial')} in the order of asking, by held-out {objective}"
    if winner:
        told += f"; the best, trial {winner.number}, came to {_said(winner, objective)}"
    if beyond:
        told += f"; {beyond} far worse or of few epochs, at the edge"
    return _svg("history", "What the trials came to", f"{told}.", height, marks)


def _mark(x: float, y: float, size: float, kind: str, said: str) -> str:
    """Return the mark of a trial in the history: a star, a point, a wedge or a cross, each with its name."""
    if kind == "winner":
        return f'<path class="winner" d="{_star(x, y, 8)}">{said}</path>'
    if kind == "complete":
        return f'<circle class="complete" cx="{_n(x)}" cy="{_n(y)}" r="{_n(size)}">{said}</circle>'
    start, wide = f"M{_n(x - size)} {_n(y - size)}", _n(2 * size)
    if kind == "pruned":
        return f'<path class="pruned" d="{start}h{wide}l{_n(-size)} {_n(1.8 * size)}z">{said}</path>'
    return f'<path class="failed" d="{start}l{wide} {wide}m0 -{wide}l-{wide} {wide}">{said}</path>'


def draw_curves(study: Study) -> str:
    """Draw the held-out accuracy or loss of every trial over its epochs: the winner's emphasised, pruned ones faint."""
    objective = study.rules.objective
    curves = [(each, _curve(each, objective)) for each in study.trials if each.history]
    if not curves:
        return ""
    longest = max(each.history.epochs[-1].epoch for each, _ in curves if each.history)
    most = max(12, CURVE_POINTS // len(curves))
    values = [value for _, curve in curves for _, value in curve]
    low, high = shown_range(values, objective)
    if objective == "accuracy":
        low = min(low, *values, low)  # it is bounded, and what was pruned early is to be seen; a loss may be any figure
    else:
        first = [value for each, curve in curves if each.number == study.best for _, value in curve]
        high = max(high, *first, high)  # the winner's curve is seen from its beginning
    height, bottom = 250, 205
    across, up = Scale(1, max(longest, 2), 44, WIDTH - 10), Scale(low, high, bottom, 30)
    marks = list(_frame(up, objective, across, counted_by="epoch"))
    drawn = list[str]()
    for each, curve in sorted(curves, key=lambda one: (one[0].number == study.best, one[0].state == "complete")):
        kind = "winner" if each.number == study.best else each.state
        said = f"<title>{escape(_named(each, objective))}</title>"
        if len(curve) == 1:
            x, y = across(curve[0][0]), up(curve[0][1])
            drawn.append(f'<circle class="{kind} dot" cx="{_n(x)}" cy="{_n(y)}" r="2">{said}</circle>')
            continue
        # Beyond the figure a line ends at its edge: a scale goes no further.
        points = " ".join(f"{_n(across(epoch))},{_n(up(value))}" for epoch, value in _thinned(curve, most))
        drawn.append(f'<polyline class="{kind}" points="{points}">{said}</polyline>')
    marks += [f'<g class="curves{" many" if len(curves) > CROWD else ""}">', *drawn, "</g>"]
    if (winner := study.winner) and winner.kept and (value := measured(winner, objective)) is not None:
        marks.append(f'<path class="winner" d="{_star(across(winner.kept), up(value), 7)}"/>')
    marks += _key(study, 14, curves=True)
    told = f"Held-out {objective} by epoch of {counted(len(curves), 'trial')}"
    if winner:
        told += f"; the winner, trial {winner.number}, is kept from epoch {winner.kept} with {_said(winner, objective)}"
    return _svg("curves", "Learning curves", f"{told}.", height, marks)


def _curve(trial: Trial, objective: Objective) -> list[tuple[int, float]]:
    rows = trial.history.epochs if trial.history else ()
    pairs = [(row.epoch, row.validation_accuracy if objective == "accuracy" else row.validation_loss) for row in rows]
    return [(epoch, value) for epoch, value in pairs if value is not None and math.isfinite(value)]


def _thinned(curve: list[tuple[int, float]], most: int) -> list[tuple[int, float]]:
    """Return so many of a curve's points, evenly spread, the first and the last among them."""
    if len(curve) <= most:
        return curve
    return [curve[round(at * (len(curve) - 1) / (most - 1))] for at in range(most)]


def draw_importance(study: Study) -> str:
    """Draw the share of each field in the spread of what the trials came to, as bars; empty where none is known."""
    if not study.importance:
        return ""
    widest = max(len(name) for name in study.importance)
    left = min(LETTER * widest + 10, 140)
    across, marks = Scale(0, max(study.importance.values()), left, WIDTH - 44), list[str]()
    for at, (name, part) in enumerate(study.importance.items()):
        y = 6 + 24 * at
        marks += [
            _text(left - 8, y + 12, name, "end"),
            f'<rect class="bar" x="{_n(left)}" y="{y}" width="{_n(max(across(part) - left, 1))}" height="16" rx="2"/>',
            _text(
                across(part) + 6,
                y + 12,
                f"{100 * part:.0f}\N{NO-BREAK SPACE}%" if part >= 0.005 else "< 1\N{NO-BREAK SPACE}%",
            ),
        ]
    shares = ", ".join(f"{name} {100 * part:.0f} %" for name, part in study.importance.items())
    told = f"Share of each field in the spread of the held-out {study.rules.objective}: {shares}."
    return _svg("importance", "What mattered", told, 24 * len(study.importance) + 10, marks)


def draw_parallel(study: Study) -> str:
    """
    Draw each trial as a line over axes that lie one beneath the other: a value of each field, and what came of it.

    The field that mattered most lies next to the result. A field that is tried by its logarithm has such an axis.
    """
    objective, space = study.rules.objective, study.rules.space
    names = sorted(space.domains, key=lambda name: (study.importance.get(name, 0.0), name))
    ranked = study.ranked
    place = {each.number: at for at, each in enumerate(ranked)}
    known = [value for each in ranked if (value := measured(each, objective)) is not None]
    row, top = 62, 28
    axes = {name: _axis(space.domains[name]) for name in names}
    marks, labels = list[str](), list[str]()
    for at, name in enumerate(names):
        labels += _axis_marks(axes[name], name, top + row * at)
    result: Scale | None = None
    last = top + row * len(names)
    if known:
        result = Scale(
            *shown_range(known, objective), *((12, WIDTH - 12) if objective == "accuracy" else (WIDTH - 12, 12))
        )
        better = "" if objective == "accuracy" else ", lower is better"
        labels += _axis_marks(Axis(result, objective_ticks(result, objective)), f"held-out {objective}{better}", last)

    def line(trial: Trial) -> str:
        points = [
            (axes[name].place(trial.values[name], place.get(trial.number, 0) / max(len(ranked), 1)), top + row * at)
            for at, name in enumerate(names)
            if name in trial.values
        ]
        value = measured(trial, objective)
        if trial.state == "complete" and result and value is not None:
            points.append((result(value), last))
        return "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points)

    unfinished = [each for each in study.trials if each.state != "complete"]
    for each in (*unfinished, *reversed(ranked)):
        kind: str = each.state
        if each.number == study.best:
            kind = "winner"
        elif each.state == "complete":
            kind = f"q{LEVELS - 1 - place[each.number] * LEVELS // len(ranked)}"
        said = f"<title>{escape(_named(each, objective))}</title>"
        marks.append(f'<path class="{kind}" d="{line(each)}">{said}</path>')
    marks += labels  # above the lines, which would hide them
    if winner := study.winner:
        for at, name in enumerate(names):
            if name in winner.values:
                x = axes[name].place(winner.values[name], 0)
                marks.append(f'<circle class="at" cx="{_n(x)}" cy="{top + row * at}" r="4"/>')
        value = measured(winner, objective)
        if result and value is not None:
            marks.append(f'<path class="winner star" d="{_star(result(value), last, 8)}"/>')
    told = f"Each line is a trial: its value of {', '.join(names)}, and the held-out {objective} that came of it."
    if winner:
        told += f" The winner: {', '.join(f'{name} {compact(value)}' for name, value in winner.values.items())}."
    height, crowd = (last if known else last - row) + 26, " many" if len(study.trials) > CROWD else ""
    return _svg("parallel", "Values and what came of them", told, height, [f'<g class="lines{crowd}">', *marks, "</g>"])


@dataclass(frozen=True)
class Axis:
    """
    One of the parallel axes.

    Args:
        scale:  of numbers; None: of categories.
        labels: what stands below it, and where.
        slots:  where each category lies, and the width that it has.
    """

    scale: Scale | None
    labels: list[tuple[float, str]]
    slots: dict[str, float] | None = None

    def place(self, value: Any, share: float) -> float:
        """Return where a value lies. Args: share: the rank among all, in [0, 1): it parts lines of one category."""
        if self.scale:
            return self.scale(float(value)) if not isinstance(value, str | list | tuple) else self.scale.start
        slots = self.slots or {}
        width = (WIDTH - 24) / max(len(slots), 1)
        return slots.get(compact(value), 12.0) + (share * 0.4 * width if share else 0)


def _axis(domain: Domain) -> Axis:
    if isinstance(domain, Range):
        scale = Scale(domain.low, domain.high, 12, WIDTH - 12, domain.log)
        ends = [(scale(each), f"{each:g}") for each in (domain.low, domain.high)]
        return Axis(scale, _apart([*ends, *((scale(each), f"{each:g}") for each in scale.ticks())]))
    return _categories(domain)


def _categories(domain: Choice) -> Axis:
    names = [compact(each) for each in domain.values]
    width = (WIDTH - 24) / len(names)
    slots = {name: 12 + width * (at + 0.3) for at, name in enumerate(names)}
    return Axis(None, _apart([(slots[name], name) for name in names]), slots)


def _apart(labels: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Return the labels that touch no earlier one."""
    kept = list[tuple[float, float, tuple[float, str]]]()
    for x, text in labels:
        half = LETTER * len(text) / 2 + 4
        middle = min(max(x, half), WIDTH - half)
        if all(middle + half <= low or middle - half >= high for low, high, _ in kept):
            kept.append((middle - half, middle + half, (x, text)))
    return [label for _, _, label in kept]


def _axis_marks(axis: Axis, name: str, y: float) -> Iterator[str]:
    yield _text(12, y - 8, name, kind="name")
    yield f'<path class="axis" d="M12 {_n(y)}H{WIDTH - 12}"/>'
    for x, label in axis.labels:
        yield f'<path class="axis" d="M{_n(x)} {_n(y)}v4"/>'
        half = LETTER * len(label) / 2
        anchor = "start" if x < half else "end" if x > WIDTH - half else "middle"
        at = 2 if anchor == "start" else WIDTH - 2 if anchor == "end" else x
        yield _text(at, y + 16, label, anchor, kind="tick")


def _frame(up: Scale, objective: Objective, across: Scale, counted_by: str) -> Iterator[str]:
    """Yield the lines of the objective's axis with their labels, and the numbers below the figure."""
    for y, label in objective_ticks(up, objective):
        yield f'<path class="grid" d="M44 {_n(y)}H{WIDTH - 8}"/>'
        yield _text(38, y + 4, label, "end")
    for tick in sorted({1, *(round(each) for each in across.ticks(6) if each >= 1 and float(each).is_integer())}):
        if tick > 1 and across(tick) - across(1) < 16:
            continue
        yield _text(across(tick), up.start + 18, f"{tick}", "middle")
    yield _text((across.start + across.end) / 2, up.start + 36, counted_by, "middle")


def _key(study: Study, y: float, *, curves: bool = False) -> Iterator[str]:
    """Yield what the marks mean: those that are there."""
    x = 6.0
    entries: list[tuple[str, Callable[[float], str]]] = []
    if study.winner:
        entries.append(
            (f"trial {study.best}, the winner", lambda at: f'<path class="winner" d="{_star(at, y - 4, 6)}"/>')
        )
    others = study.count("complete") - (study.winner is not None)
    if others and not curves:
        entries.append(("complete", lambda at: f'<circle class="complete" cx="{_n(at)}" cy="{_n(y - 4)}" r="3.2"/>'))
    elif others:
        entries.append(("complete", lambda at: f'<path class="complete" d="M{_n(at - 6)} {_n(y - 4)}h12"/>'))
    if study.count("pruned"):
        wedge = lambda at: f'<path class="pruned" d="M{_n(at - 3.5)} {_n(y - 7)}h7l-3.5 6z"/>'  # noqa: E731
        faint = lambda at: f'<path class="pruned" d="M{_n(at - 6)} {_n(y - 4)}h12"/>'  # noqa: E731
        entries.append(("pruned", faint if curves else wedge))
    if study.count("failed") and not curves:
        entries.append(("failed", lambda at: f'<path class="failed" d="M{_n(at - 3)} {_n(y - 7)}l6 6m0 -6l-6 6"/>'))
    for words, draw in entries:
        yield draw(x + 6)
        yield _text(x + 16, y, words)
        x += 16 + 5.6 * len(words) + 12


def _named(trial: Trial, objective: Objective) -> str:
    """Say in a line which trial a mark is."""
    said = _said(trial, objective)
    rest = f" after {counted(len(trial.history.epochs), 'epoch')}" if trial.state == "pruned" and trial.history else ""
    return f"trial {trial.number}: {trial.state}{f', {said}' if said else ''}{rest}"


def _said(trial: Trial, objective: Objective) -> str:
    value = measured(trial, objective)
    if value is None:
        return ""
    return f"{100 * value:.2f} %" if objective == "accuracy" else f"{value:.4f}"


def _star(x: float, y: float, size: float) -> str:
    """Return the path of a star with five points."""
    corners = [
        (x + radius * math.sin(math.pi * at / 5), y - radius * math.cos(math.pi * at / 5))
        for at, radius in enumerate([size, size * 0.42] * 5)
    ]
    return "M" + "L".join(f"{_n(across)} {_n(down)}" for across, down in corners) + "z"


def _text(x: float, y: float, words: str, anchor: str = "start", kind: str = "") -> str:
    anchored = f' text-anchor="{anchor}"' if anchor != "start" else ""
    styled = f' class="{kind}"' if kind else ""
    return f'<text x="{_n(x)}" y="{_n(y)}"{anchored}{styled}>{escape(words)}</text>'


def _n(value: float) -> str:
    """Return a number of pixels, to a tenth."""
    return f"{round(value, 1):g}" if abs(value) >= 0.05 else "0"


def _svg(name: str, title: str, told: str, height: float, marks: Sequence[str]) -> str:
    """Return a figure that tells those who cannot see it what it shows."""
    return (
        f'<svg class="{name}" viewBox="0 0 {WIDTH} {_n(height)}" role="img" aria-labelledby="{name}-is {name}-tells">'
        f'<title id="{name}-is">{escape(title)}</title><desc id="{name}-tells">{escape(told)}</desc>'
        f"{''.join(marks)}</svg>"
    )
