"""The pipeline as a graph of stages: what takes what. It knows no Prefect, so that a plan can walk it as a run does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from artifacts.current import current_run
from artifacts.engine.tracing import stages_of
from schemas.catalog import load_dataset
from schemas.datasets import Dataset
from schemas.training import Training
from tasks.decompress import decompress
from tasks.download import download
from tasks.evaluate import evaluate
from tasks.normalize import normalize
from tasks.parse import parse
from tasks.report import report
from tasks.train import train
from tasks.validate import validate
from tasks.verify import verify


@dataclass(frozen=True)
class Outcome:
    """What the graph leaves that a person asks for first: what the calls of its stages returned."""

    scores: Any
    model: Any
    report: Any


def dag(
    data: Dataset,
    training: Training,
    checked: Callable[[], None] = lambda: None,
    sized: Callable[[Mapping[str, Any]], None] = lambda _: None,
) -> Outcome:
    """
    Download, verify, decompress, parse, validate, normalize, train, evaluate, report.

    Args:
        checked: called once both splits have passed every check, before anything is trained.
        sized:   called with the IDX files, by name, before they are read: their headers tell how many images there are.
    """
    stored = {file.name: download(file) for file in data.files}
    proofs = {file.name: verify(file, stored[file.name]) for file in data.files}
    raw = {file.name: decompress(file, stored[file.name], proofs[file.name]) for file in data.files}
    sized(raw)
    tables = {
        name: parse(
            images=[raw[shard.images.name] for shard in split.shards],
            labels=[raw[shard.labels.name] for shard in split.shards],
            spec=split.spec,
            corrections=split.corrections,
        )
        for name, split in data.splits.items()
    }
    known = validate(tables["train"], data.splits["train"].spec, data.checks, None)
    profiles = {"train": known, "test": validate(tables["test"], data.splits["test"].spec, data.checks, known)}
    normalizer = normalize(tables["train"], profiles["train"])
    current_run().require(*profiles.values(), normalizer)  # nothing is trained before all that is cheap has passed
    checked()
    model = train(tables["train"], normalizer, training, data.held_out)
    scores = evaluate(model, tables["train"], tables["test"], profiles)
    page = report(data, training, list(proofs.values()), tables, profiles, normalizer, model, scores)
    return Outcome(scores, model, page)


GRAPH = stages_of(lambda: dag(load_dataset("digits"), Training()))
"""The stages by name, in the order in which the graph calls them."""
STAGES = tuple(GRAPH)
