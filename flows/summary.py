"""
A run told on one page of Markdown, and in one table, as Prefect's dashboard shows them.

The dashboard's Markdown knows tables, HTML's `img` and `data:` addresses, SVG in them included; it knows no Mermaid.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from artifacts.run_record import StageRecord
from flows.many import Shown, grouped, shown
from flows.run_record import RunRecord
from schemas.counts import counted
from schemas.results import REPORT, unsaid
from schemas.text import amount, duration, share, span
from schemas.training import HISTORY, History, Training
from schemas.visible import visible

LARGEST = 950_000
"""Bytes of a page; Prefect asks for less than a million."""
FIGURES = {
    "Learning curve": ("loss", "accuracy"),
    "Test images, by true and predicted class": ("confusion",),
    "One train image of each class": ("samples",),
    "The worst mistakes, by loss": ("mistakes",),
}
"""The report's figures, by their heading here."""
SHOWN = 8
"""Digits of a version or digest; every command takes them."""
LISTED = 4
"""Inputs of a stage that are listed; of more the number is told."""
ABREAST = 2
"""Inputs on a line, so that the table fits into a narrow window: of one that does not, the dashboard cuts the rest."""


@dataclass(frozen=True)
class Made:
    """
    An artifact of the run, as its manifest has it; or many of one stage, of which no more is told.

    Args:
        digest: of its content.
        inputs: versions of what it was made from.
    """

    row: Shown
    digest: str
    inputs: tuple[str, ...]


def nothing_changed(record: RunRecord) -> bool:
    """Tell whether a run completed and found all of its stages cached."""
    return record.state == "completed" and bool(record.stages) and all(stage.cached for stage in record.stages)


def headline(record: RunRecord) -> str:
    """Say in a line how a run ended."""
    if record.state != "completed":
        return f"{record.state}: {record.error}"
    scores = f"test {share(record.metrics['test'].accuracy)}, train {share(record.metrics['train'].accuracy)}"
    return f"{scores}; {'nothing changed: ' if nothing_changed(record) else ''}{stages_told(record)}"


def stages_told(record: RunRecord) -> str:
    """Say how many stages were cached, and name those that were computed."""
    computed = [stage.stage for stage in record.stages if not stage.cached]
    total = len(record.stages)
    if not total:
        return "no stage finished"
    if record.state != "completed":
        return f"{counted(total, 'stage')} finished, {total - len(computed)} of them cached"
    if len(computed) in {0, total}:
        return f"all {counted(total, 'stage')} {'computed' if computed else 'cached'}"
    return f"{total - len(computed)} of {total} stages cached; computed: {', '.join(dict.fromkeys(computed))}"


def metrics_table(record: RunRecord) -> list[dict[str, str]]:
    """Return the figures of a completed run, a row each."""
    scores = [(split, record.metrics[split]) for split in ("test", "train")]
    test = record.metrics["test"]
    return [
        {"figure": figure, "value": value}
        for figure, value in (
            ("test accuracy", share(test.accuracy)),
            *((("test accuracy, 95 % interval", span(test.interval)),) if test.interval else ()),
            ("train accuracy", share(record.metrics["train"].accuracy)),
            *(("caveat", caveat.message) for caveat in record.caveats),
            *((("calibration", test.calibration),) if test.calibration else ()),
            *((("promotion", record.promotion.line),) if record.promotion else ()),
            *((f"{split} loss", f"{score.loss:.4f}") for split, score in scores),
            *((("held out", str(record.held_out)),) if record.held_out else ()),
            ("seed", str(record.seed)),
            ("epochs", "".join(_epochs(record))),
            ("duration", duration(record.seconds)),
            ("stages", stages_told(record)),
            ("run", record.id),
        )
    ]


def promotion_table(record: RunRecord) -> list[dict[str, str]]:
    """Return what became of an alias in a run that judged the model of another one, a row a fact."""
    if (became := record.promotion) is None:
        return []
    facts = {
        "alias": became.alias,
        "verdict": became.words,
        "the alias stands for the model": "yes" if became.stands else "no",
        "run whose model it is": record.promotes,
        "artifact": f"promote/{became.verdict}",
        "run": record.id,
    }
    return [{"figure": figure, "value": value} for figure, value in facts.items()]


def summary_page(record: RunRecord) -> str:
    """Return the page of a run that has ended; it reads the manifests and the report's figures."""
    words, tables = list(_words(record)), list(_tables(record))
    room = LARGEST - sum(len(block.encode()) + 2 for block in (*words, *tables))
    return "\n\n".join((*words, *_figures(record, room), *tables))


def report_place(record: RunRecord) -> str | None:
    """Return where in its home folder a run's report is, which its page tells; None where it has none."""
    report = next((row for row in record.stages if row.stage == "report"), None)
    return f"artifacts/report/{report.version}/{REPORT}" if report and record.report else None


def _words(record: RunRecord) -> Iterator[str]:
    """Yield how it ended, its figures, and where to look further."""
    if record.state == "completed":
        yield f"# {_text(record.dataset)}: {share(record.metrics['test'].accuracy)} of the test images are right"
    else:
        yield f"# {_text(record.dataset) or 'No data set'}: {record.state}"
    if nothing_changed(record):
        yield f"**Nothing changed: {stages_told(record)}.**"
    if record.error:
        yield f"> **Error:** {_text(record.error)}"
    for warning in unsaid(record.warnings, record.caveats):
        yield f"> **Warning:** {_text(warning)}"
    if record.metrics:
        splits = [(split, record.metrics[split]) for split in ("test", "train")]
        rows = [
            (f"**{split}**", share(score.accuracy), span(score.interval) if score.interval else "", f"{score.loss:.4f}")
            for split, score in splits
        ]
        yield _table(("", "accuracy", "95 % interval", "loss"), rows)
    for caveat in record.caveats:
        yield f"> **Caveat:** {_text(caveat.message)}"
    if record.metrics and (words := record.metrics["test"].calibration):
        yield f"**Calibration:** {_text(words)}."
    if record.promotion:
        yield f"**Promotion:** {_text(record.promotion.line)}."
    epochs, chosen = _epochs(record)
    about = f"{record.dataset}, {record.profile} profile, seed {record.seed}, {epochs} epochs{chosen}"
    about += f"; held out: {record.held_out}" if record.held_out else ""
    yield f"{_text(about)}; {record.state} in {duration(record.seconds)}. {stages_told(record).capitalize()}."
    yield "Look further, in the home folder of the machine that ran it: " + _where(record)


def _epochs(record: RunRecord) -> tuple[str, str]:
    """Say how many epochs there were, and, where validation chose it, which of them the model is from."""
    training = Training.model_validate(record.training)
    wanted = str(training.epochs)
    model = next((row for row in record.stages if row.stage == "train"), None)
    if not training.patience or not model:
        return wanted, ""
    history = History.model_validate_json((Path(model.path) / HISTORY).read_bytes())
    return f"{len(history.epochs)} of {wanted}", f", the model from epoch {history.kept}"


def _tables(record: RunRecord) -> Iterator[str]:
    """Yield what was computed and why, and what was made from what."""
    made = [_made(*rows) for rows in grouped(record.stages)]
    if computed := [row for row in record.stages if not row.cached]:
        yield "## What was computed, and why"
        # A list, because the dashboard's tables cut what is long.
        yield "\n".join(
            f"- **{row.stage}** {_text(row.name)}".rstrip()
            + f", {duration(row.seconds)}, {amount(row.bytes, 'bytes')}"
            + (f": {_text(row.reason)}" if row.reason else "")
            for row in map(shown, grouped(computed))
        )
    if made:
        yield "## Lineage, from the mirror's files on"
        yield _table(
            ("stage", "of", "", "version", "content", "made from"),
            [
                (
                    one.row.stage,
                    _text(one.row.name),
                    "cached" if one.row.cached else "**computed**",
                    _code(one.row.version),
                    _code(one.digest),
                    _made_from(one.inputs),
                )
                for one in made
            ],
        )


def _where(record: RunRecord) -> str:
    commands = f"`idxflow show {record.id}`"
    model = next((row for row in record.stages if row.stage == "train"), None)
    if model:
        commands += f", `idxflow lineage {model.version[:SHOWN]}`"
    if report := report_place(record):
        commands += f"; the whole report is `{report}`"
    return f"{commands}."


def _made(row: StageRecord, *others: StageRecord) -> Made:
    if others:
        return Made(shown([row, *others]), "", ())
    manifest = json.loads((Path(row.path) / "manifest.json").read_bytes())
    return Made(shown([row]), manifest["digest"], tuple(each["version"] for each in manifest["inputs"]))


def _made_from(inputs: tuple[str, ...]) -> str:
    if len(inputs) > LISTED:
        return counted(len(inputs), "artifact")
    codes = [_code(version) for version in inputs]
    return "<br>".join(" ".join(codes[start : start + ABREAST]) for start in range(0, len(codes), ABREAST))


def _figures(record: RunRecord, room: int) -> Iterator[str]:
    """Yield the report's figures under their headings, as many as there is room for in bytes."""
    folder = next((Path(row.path) for row in record.stages if row.stage == "report" and record.report), None)
    for heading, names in FIGURES.items():
        paths = [path for name in names if folder and (path := folder / f"{name}.svg").is_file()]
        if not paths:
            continue  # a run that failed, or a model without mistakes
        width = ' width="48%"' if len(paths) > 1 else ""
        images = " ".join(f'<img src="{_address(path)}" alt="{path.stem}"{width}>' for path in paths)
        block = f"## {heading}\n\n{images}"
        if len(block) > room:
            block = f"## {heading}\n\nToo large for this page; see the report."
        room -= len(block) + 2
        yield block


def _address(path: Path) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = list(header)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (titles, ["---"] * len(titles), *rows))


def _code(version: str) -> str:
    return f"`{version[:SHOWN]}`" if version else ""


def _text(text: str) -> str:
    """Return text, on one line, that Markdown shows as it is. (The dashboard shows no numeric character references.)"""
    return re.sub(r"([\\`*_{}\[\]()#+!|~<>&-])", r"\\\1", visible(" ".join(text.split())))
