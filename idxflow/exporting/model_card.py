"""The card that goes with an exported model: what it is, its use, its origin, how to load it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from artifacts.archive.lineage import Source
from artifacts.manifest import Manifest
from idxflow.exporting.proof import BATCHES, TOLERANCE, FormatProof
from schemas.calibration import points
from schemas.counts import counted
from schemas.datasets import TableSpec
from schemas.pictures import PictureSpec
from schemas.results import LISTED, Metrics, find_caveats, wilson_interval
from schemas.text import amount, share, span
from schemas.training import History, Training
from schemas.visible import visible
from tasks.explaining.page import thousands
from tasks.explaining.profiles import nearest_profile
from tasks.report import list_settings, most_confused

TEMPLATE = Path(__file__).with_suffix(".md")
CONFUSIONS = 3
MARKS = re.compile(r"([\\`*_\[\]<>|#~&])")
"""Characters with a meaning in a line of Markdown."""


@dataclass(frozen=True)
class Packed:
    """Of what a set was packed, and how its images were made of that: a sentence each."""

    kind: str
    words: str

    @classmethod
    def of(cls, source: Mapping[str, Any] | None) -> Packed | None:
        """Read a `schemas.source.Source` out of a manifest. Returns: None of a set that was not packed."""
        if not source:
            return None
        pictures = source["kind"] == "pictures"
        return cls(source["kind"], PictureSpec.model_validate(source["picture"]).words if pictures else "")


@dataclass(frozen=True)
class Card:
    """
    The content of the card.

    Args:
        model:    the model's manifest.
        spec:     of the train table.
        title:    the data set's, or its name where no report of it is stored.
        source:   where the data set comes from and under which licence; empty where no report is stored.
        files:    the downloaded files, with the split that each is of.
        findings: what was unusual about the data, a sentence each.
        metrics:  None where no evaluation is stored.
        contents: name of each other file of the folder, with what it is.
        packed:   of a set that was packed, from what, and how its images were made.
        formats:  the formats in the folder, by name.
        proofs:   what each of them was found to give; empty where nothing could be proved.
        unproved: why nothing was.
        signed:   SHA-256 of the public key that verifies the signature; empty without one.
        figures:  the report's, by their names below the folder.
    """

    model: Manifest
    spec: TableSpec
    title: str
    source: str
    files: tuple[tuple[str, Source], ...]
    findings: tuple[str, ...]
    training: Training
    history: History
    metrics: Metrics | None
    contents: dict[str, str]
    packed: Packed | None = None
    formats: tuple[str, ...] = ("keras",)
    proofs: tuple[FormatProof, ...] = ()
    unproved: str = ""
    signed: str = ""
    figures: tuple[str, ...] = ()


def render(card: Card) -> str:
    """Fill the template `model_card.md`. Its filter `text` is for text from outside, which is no Markdown."""
    profile, usual = nearest_profile(card.training)
    found = card.metrics.test.calibration if card.metrics else None
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)  # noqa: S701 - no HTML
    environment.filters |= {
        "text": as_text,
        "share": share,
        "span": span,
        "points": points,
        "thousands": thousands,
        "amount": amount,
        "counted": counted,
    }
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        card=card,
        profile=profile,
        usual=usual,
        method=describe_method(card.training),
        settings=list_settings(card.training, usual),
        most=LISTED,
        layers=(card.spec.pixels, *card.training.hidden, len(card.spec.classes)),
        interval=wilson_interval(card.metrics.test.accuracy, card.metrics.test.samples) if card.metrics else None,
        sure=found.words(propose=False) if found else "",
        tolerance=max((proof.tolerance for proof in card.proofs), default=TOLERANCE),
        batches=BATCHES,
        caveats=find_caveats(card.metrics) if card.metrics else (),
        confusions=most_confused(card.metrics.test, CONFUSIONS) if card.metrics else (),
    )


def describe_method(training: Training) -> str:
    """Return how the weights were fitted, and to what, in words."""
    sgd = training.optimizer == "sgd"
    means = {
        "momentum": sgd and training.momentum,
        "decoupled weight decay": training.weight_decay,
        "dropout": training.dropout,
    }
    words = "stochastic gradient descent" if sgd else "Adam"
    if used := [name for name, strength in means.items() if strength]:
        words += f" with {', '.join(used[:-1])}{' and ' if used[1:] else ''}{used[-1]}"
    return f"{words} on the cross-entropy{' of smoothed labels' if training.label_smoothing else ''}"


def as_text(words: str) -> str:
    """Return a text as Markdown that shows it unchanged."""
    return MARKS.sub(r"\\\1", visible(" ".join(words.split())))
