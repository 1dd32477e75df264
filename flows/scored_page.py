"""What a run of scoring named, in a line and on a page of Markdown, as Prefect's dashboard shows them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from flows.answers import Answered
from schemas.counts import counted
from schemas.text import share, span

FLOW = "idxflow-scoring"
"""The name of the flow."""
DRIFT = "idxflow.drift"
"""The name of the event that images are unlike those of training."""
SHOWN = 20
"""Classes and reasons that a page lists."""


def key_of(identity: str) -> str:
    """Return the key of the page, which all runs share that score with models of one data set."""
    return re.sub("[^a-z0-9]+", "-", f"scores-{identity}".lower()).strip("-")


def drift_payload(answered: Answered) -> dict[str, object]:
    """Return what the event tells of images that have drifted."""
    scored = answered.scored
    return {
        "place": answered.place.name,
        "features": list(scored.drift),
        "images": scored.images,
        "words": scored.words,
    }


def headline(answers: Sequence[Answered]) -> str:
    """Say in a line what was named."""
    if not answers:
        return "nothing new"
    images, refused = sum(each.scored.images for each in answers), sum(map(_refused, answers))
    told = [f"{counted(images, 'image', ',')} named", f"{counted(refused, 'file', ',')} refused" if refused else ""]
    drifted = "unlike training" if any(each.scored.drift for each in answers) else ""
    return ", ".join(filter(None, [*told, drifted]))


def page(answers: Sequence[Answered]) -> str:
    """Return a page in Markdown: of each place what was named, how sure, how unlike training, and what was refused."""
    return "\n".join(line for each in answers for line in _section(each))


def _section(answered: Answered) -> list[str]:
    scored = answered.scored
    lines = [f"## {_text(answered.place.name)}", ""]
    facts = {"Images": f"{scored.images:,}", "Drift": scored.words}
    if scored.sure is not None and scored.images:
        facts["Sure of"] = f"{scored.sure:,} ({share(scored.sure / scored.images)})"
    if scored.unlike:
        facts["Unlike anything trained on"] = f"{scored.unlike:,}"
    if scored.metrics and scored.metrics.interval:
        right, interval = share(scored.metrics.accuracy), span(scored.metrics.interval)
        facts["Accuracy"] = f"{right} of {scored.labelled:,} labelled images, 95 % interval {interval}"
    lines += ["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in facts.items()), ""]
    if scored.classes:
        most = sorted(scored.classes.items(), key=lambda each: -each[1])[:SHOWN]
        lines += [
            "| class | images |",
            "| --- | ---: |",
            *(f"| {_text(name)} | {count:,} |" for name, count in most),
            "",
        ]
    if scored.refused:
        few = list(scored.refused.items())[:SHOWN]
        lines += [
            "| refused because | files |",
            "| --- | ---: |",
            *(f"| {_text(why)} | {count:,} |" for why, count in few),
            "",
        ]
    if scored.shifts:
        lines += [
            "| feature | population stability index | by chance alone | probability of that |",
            "| --- | ---: | ---: | ---: |",
        ]
        lines += [
            f"| {each.feature} | {each.psi:.4f} | {each.noise:.4f} | {each.chance:.2g} |" for each in scored.shifts
        ]
        lines.append("")
    return lines


def _refused(answered: Answered) -> int:
    return sum(answered.scored.refused.values())


def _text(words: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|#~&])", r"\\\1", " ".join(words.split()))
