"""Results as a person reads them: lines of a terminal, and the tables of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from rich.text import Text

from benchmarks.harness import Figure, Line, Report, Unit
from idxflow.views.layout import table_lines

HEADER = ("what", "measured", "least to most", "bar", "stretch", "reached")
RIGHT = {"measured", "bar", "stretch", "median", "least", "most", "slope"}
START, END = "<!-- results -->", "<!-- end of results -->"
COLORS = {"stretch": "green", "bar": "green", "missed": "red", "": ""}


def number(value: float, unit: Unit) -> str:
    """Return a value with its unit: `0.28`, `14.2 s`, `478k/s`, `231 MB`, `99.13 %`."""
    match unit:
        case "samples/s":
            return f"{value / 1e6:.2f}M/s" if value >= 999_500 else f"{value / 1e3:.0f}k/s"
        case "s":
            return f"{value:.3f} s" if value < 1 else f"{value:.1f} s"
        case "MB":
            return f"{value:,.0f} MB"
        case "%":
            return f"{value:.2f} %"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def cells(figure: Figure) -> tuple[str, ...]:
    """Return a figure's line of the table."""
    value, low, high = (number(each, figure.unit) for each in (figure.value, figure.low, figure.high))
    goal = figure.goal
    word = "at least " if goal.at_least else "at most "
    bar = "" if goal.bar is None else word + number(goal.bar, figure.unit)
    stretch = "" if goal.stretch is None else number(goal.stretch, figure.unit)
    return figure.what, value, f"{low} to {high}", bar, stretch, figure.verdict


def result_lines(figures: Sequence[Figure]) -> Iterator[Text]:
    """Yield the table as lines of a terminal."""
    rows: list[tuple[str | Text, ...]] = []
    for figure in figures:
        *plain, verdict = cells(figure)
        rows.append((*plain, Text(verdict, COLORS[verdict])))
    return table_lines(HEADER, rows, RIGHT)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    rule = ["---:" if name in RIGHT else "---" for name in header]
    return "".join(f"| {' | '.join(row)} |\n" for row in [header, rule, *rows])


def latest(reports: Sequence[Report]) -> list[Report]:
    """Return reports, oldest first, each without the benches that a later one has measured as well."""
    kept: list[Report] = []
    for index, report in enumerate(reports):
        later = {name for other in reports[index + 1 :] for name in other.times}
        what = {figure.what for other in reports[index + 1 :] for figure in other.figures}
        times = {name: times for name, times in report.times.items() if name not in later}
        if times:
            figures = [figure for figure in report.figures if figure.what not in what]
            growth = report.growth if "growth" in times else []
            kept.append(report.model_copy(update={"times": times, "figures": figures, "growth": growth}))
    return kept


def page_of(reports: Sequence[Report]) -> str:
    """Return all that was measured, as Markdown: machine, figures, growth, times."""
    return "\n".join(_section(report) for report in reports)


def _section(report: Report) -> str:
    settings = ", ".join(f"{name} {value}" for name, value in report.settings.items())
    machine = "\n".join(f"- {line}" for line in str(report.machine).splitlines())
    parts = [f"{report.began}, {report.seconds / 60:.0f} min; {settings}.\n\n{machine}\n"]
    parts.append(markdown(HEADER, [cells(figure) for figure in report.figures]))
    if report.growth:
        sizes = ", ".join(f"{samples:,}" for samples in report.growth[0].samples)
        header = ("stage", f"seconds at {sizes} train images", "slope", "memory at most")
        parts.append(markdown(header, [_growth_cells(line) for line in report.growth]))
    else:
        rows = [_time_cells(name, seconds) for times in report.times.values() for name, seconds in times.items()]
        parts.append(markdown(("contestant", "median", "least", "most", "turns"), rows))
    return "\n".join(parts)


def _growth_cells(line: Line) -> tuple[str, ...]:
    seconds = ", ".join(number(second, "s") for second in line.seconds)
    return line.stage, seconds, f"{line.slope:.2f}", ", ".join(number(peak / 1e6, "MB") for peak in line.peak)


def _time_cells(name: str, seconds: Sequence[float]) -> tuple[str, ...]:
    times = (median(seconds), min(seconds), max(seconds))
    return name, *(number(value, "s") for value in times), str(len(seconds))


def fill(page: str, content: str) -> str:
    """
    Return a Markdown page with its results replaced.

    Raises: ValueError: it has no place for them.
    """
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"no {START} and {END}")
    return f"{before}{START}\n{content}\n{END}{after}"
