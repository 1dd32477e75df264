"""What a sweep found, as a page of Markdown for Prefect's dashboard."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from schemas.counts import counted
from schemas.space import compact
from schemas.text import share
from schemas.tuning import Study, Trial
from schemas.visible import in_a_line

SHOWN = 20
"""Trials that the page lists, the best."""
PIPE = r"\|"
"""A bar within a cell."""
LARGEST = 900_000
"""Bytes of a page at most; Prefect asks for less than a million."""
HEADINGS = {
    "history": "What the trials came to",
    "parallel": "Values and what came of them",
    "curves": "Learning curves",
}
"""The figures of the page, the most telling first."""


def study_page(study: Study) -> str:
    """Return a page in Markdown: the winner, its tests, what mattered, the best trials, and what became of the rest."""
    words = "\n".join([*_headline(study), *_winner(study), *_tests(study), *_importance(study), *_trials(study)])
    return "\n".join([words, "", *_figures(study, LARGEST - len(words.encode()))])


def _headline(study: Study) -> Iterator[str]:
    winner = study.winner
    yield f"## {_text(study.rules.dataset)}"
    yield ""
    counts = ", ".join(f"{study.count(state)} {state}" for state in ("complete", "pruned", "failed"))
    told = f"{counted(len(study.trials), 'trial')} ({counts}), compared by held-out {study.rules.objective}."
    if winner is None or winner.accuracy is None or winner.loss is None:
        yield f"**No winner**: no trial completed. {told}"
    else:
        yield f"**Trial {winner.number}**: held-out accuracy {share(winner.accuracy)}, loss {winner.loss:.4f}. {told}"
    if study.means:
        yield ""
        own = f"the profile's own settings {share(study.means[1])}"
        yield f"**Test accuracy** {share(study.means[0])}, {own} (means of {counted(len(study.tested), 'seed')}): "
        yield f"{_text(study.verdict)}."
    yield ""


def _winner(study: Study) -> Iterator[str]:
    if not (winner := study.winner):
        return
    rows = [
        (name, compact(winner.values[name]), compact(getattr(study.training, name)), domain)
        for name, domain in study.rules.space.words.items()
        if name in winner.values
    ]
    yield from _table(("setting", "winner", "the profile's own", "tried"), rows)


def _tests(study: Study) -> Iterator[str]:
    rows = [
        (str(each.seed), *map(share, each.accuracies), str(each.better), str(each.worse), f"{each.p_value:.2g}")
        for each in study.tested
    ]
    if rows:
        header = ("seed", "winner", "the profile's own", "only the winner right", "only the other right", "p")
        yield from _table(header, rows, right=header[1:])
        looked = f"{counted(study.looks, 'model')} of this study looked at the test images"
        yield f"{looked}. p: exact McNemar test, two-sided."
        yield ""


def _importance(study: Study) -> Iterator[str]:
    if not study.importance:
        yield f"Which setting mattered is not known: {_text(study.unsaid)}."
        yield ""
        return
    shares = [(name, f"{100 * part:.0f} %") for name, part in study.importance.items()]
    yield from _table((f"what mattered ({study.evaluator})", "share"), shares, right=("share",))


def _trials(study: Study) -> Iterator[str]:
    names = list(study.rules.space.domains)
    ranked = study.ranked[:SHOWN]
    header = ("trial", *names, "accuracy", "loss", "epochs", "model")
    yield from _table(header, [_row(each, names) for each in ranked], right=header[:-1])
    if (more := study.count("complete") - len(ranked)) > 0:
        yield f"The best {len(ranked)}; {more} more, and every curve, stand in `study.html`."
        yield ""
    for each in [each for each in study.trials if each.state == "failed"][:SHOWN]:
        yield f"- trial {each.number} failed: {_text(each.reason)}"


def _row(trial: Trial, names: Sequence[str]) -> tuple[str, ...]:
    return (
        str(trial.number),
        *(compact(trial.values[name]) if name in trial.values else "" for name in names),
        "" if trial.accuracy is None else share(trial.accuracy),
        "" if trial.loss is None else f"{trial.loss:.4f}",
        str(len(trial.history.epochs)) if trial.history else "",
        f"`{trial.stage}/{trial.version}`",
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> Iterator[str]:
    if not rows:
        return
    yield f"| {' | '.join(header)} |"
    yield f"| {' | '.join('---:' if name in right else '---' for name in header)} |"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', PIPE) for cell in row)} |"
    yield ""


def _figures(study: Study, room: int) -> Iterator[str]:
    """Yield the figures under their headings, as many as there is room for in bytes."""
    from tasks.explaining.study_page import FIGURES, address

    for name, heading in HEADINGS.items():
        if not (drawn := FIGURES[name](study)):
            continue
        block = f'## {heading}\n\n<img src="{address(drawn)}" alt="{name}" width="70%">\n'
        if len(block) > room:
            block = f"## {heading}\n\nToo large for this page; see `study.html`.\n"
        room -= len(block)
        yield block


def _text(text: str) -> str:
    """Return text, on one line, that Markdown shows as it is. (The dashboard shows no numeric character references.)"""
    return re.sub(r"([\\`*_{}\[\]()#+!|~<>&-])", r"\\\1", in_a_line(text))
