"""What a sweep found: the winner, its tests, the best trials, and where the page lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.text import Text

from flows.run_record import StudyFacts
from idxflow.comparing.studies import FoundStudy
from idxflow.views.console import Console
from idxflow.views.layout import present, shown_version, table_lines
from schemas.counts import counted
from schemas.space import compact
from schemas.text import share
from schemas.tuning import LEVEL, Study, Trial

BEST = 10
"""Trials that are listed; the page and --json have all."""


def print_study(console: Console, study: FoundStudy) -> None:
    """Print the page of a study."""
    facts = StudyFacts.model_validate(facts_of(study))
    console.paragraph("Study", f"study/{study.version}")
    console.paragraph("Data set", study.rules.dataset)
    for label, value in study_rows(facts):
        console.paragraph(label, value)
    for label, value in present(
        ("Test images", f"{counted(study.looks, 'model')} of this study evaluated on them" if study.looks else ""),
        ("What mattered", what_mattered(study)),
    ):
        console.paragraph(label, value)
    if study.tested:
        console.line(Text("\nThe winner and the profile's own settings on the test images", "bold"))
        console.lines(table_lines(*tested_rows(study)))
    print_trials(console, study)


def facts_of(study: FoundStudy) -> dict[str, object]:
    """Return a study as a run's record keeps it."""
    winner = study.winner
    return {
        "version": study.version,
        "objective": study.rules.objective,
        "trials": len(study.trials),
        **{state: study.count(state) for state in ("complete", "pruned", "failed")},
        "winner": study.best,
        "values": winner.values if winner else {},
        "accuracy": winner.accuracy if winner else None,
        "loss": winner.loss if winner else None,
        "held_out": winner.history.validation_rows if winner and winner.history else None,
        "tested": study.means,
        "verdict": study.verdict,
        "page": str(study.page),
        "best": str(study.best_toml),
    }


def study_rows(facts: StudyFacts) -> Iterator[tuple[str, str]]:
    """Yield what was found, a label and a line each."""
    counts = f"{facts.complete} complete, {facts.pruned} pruned, {facts.failed} failed"
    yield "Trials", f"{facts.trials}: {counts}; compared by held-out {facts.objective}"
    if facts.winner is None or facts.accuracy is None or facts.loss is None:
        yield "Winner", "none: no trial completed"
    else:
        of = f" of {counted(facts.held_out, 'row', ',')}" if facts.held_out else ""
        yield "Winner", f"trial {facts.winner}: held-out accuracy {share(facts.accuracy)}{of}, loss {facts.loss:.4f}"
        yield "Settings", ", ".join(f"{name} {compact(value)}" for name, value in facts.values.items())
    if facts.tested:
        own = f"the profile's own settings {share(facts.tested[1])} (means over the seeds)"
        yield "Test accuracy", f"{share(facts.tested[0])}, {own}: {facts.verdict}"
    yield from present(("Page", Path(facts.page)), ("Best settings", Path(facts.best)))


def what_mattered(study: Study) -> str:
    """Say which fields mattered, or why that is not known."""
    if not study.importance:
        return f"not known: {study.unsaid}" if study.unsaid else ""
    return f"{', '.join(f'{name} {part:.0%}' for name, part in study.importance.items())} ({study.evaluator})"


def tested_rows(study: Study) -> tuple[tuple[str, ...], list[tuple[str, ...]], tuple[str, ...]]:
    """Return the tests as a table: header, a row per seed, and the columns that are aligned to the right."""
    header = ("seed", "winner", "the profile's own", "only the winner right", "only the other right", "p", "so")
    rows = [
        (
            str(each.seed),
            *map(share, each.accuracies),
            str(each.better),
            str(each.worse),
            f"{each.p_value:.2g}",
            "chance explains it" if each.p_value >= LEVEL else "better" if each.better > each.worse else "worse",
        )
        for each in study.tested
    ]
    return header, rows, header[:-1]


def print_trials(console: Console, study: Study, most: int = BEST) -> None:
    """Print the best trials as a table; of those that failed, why."""
    ranked = study.ranked[:most]
    if ranked:
        left = len(study.trials) - len(ranked)
        more = f", of {len(study.trials)}" if left else ""
        console.line(Text(f"\nThe best {counted(len(ranked), 'trial')}{more}", "bold"))
        header, rows, right = trial_rows(study, ranked, console.width)
        console.lines(table_lines(header, rows, right))
    failed = [each for each in study.trials if each.state == "failed"]
    if failed:
        console.line(Text("\nTrials that failed", "bold"))
        console.lines(f"{each.number}: {each.reason}" for each in failed[:most])
        if len(failed) > most:
            console.line(f"and {len(failed) - most} more, which the page lists")


def trial_rows(
    study: Study, trials: Sequence[Trial], width: int | None = None
) -> tuple[tuple[str, ...], list[tuple[str, ...]], tuple[str, ...]]:
    """Return trials as a table: header, rows, and the columns that are aligned to the right. Args: width: of lines."""
    names = list(study.rules.space.domains)
    header = ("trial", "accuracy", "loss", *names, "epochs", "kept", "version")
    rows = [
        (
            str(each.number),
            "" if each.accuracy is None else share(each.accuracy),
            "" if each.loss is None else f"{each.loss:.4f}",
            *(compact(each.values[name]) if name in each.values else "" for name in names),
            str(len(each.history.epochs)) if each.history else "",
            "" if each.kept is None else str(each.kept),
            f"{each.stage}/{shown_version(each.version, width)}",
        )
        for each in trials
    ]
    return header, rows, header[:-1]
