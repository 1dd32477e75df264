"""The pipeline as a graph of stages: what takes what. It knows no Prefect, so that a plan can walk it as a run does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from artifacts.current import current_run
from artifacts.engine.tracing import stages_of
from schemas.catalog import load_dataset
from schemas.datasets import Dataset
from schemas.pictures import PictureSpec
from schemas.source import Source
from schemas.training import Training
from schemas.verdict import Terms
from tasks.decompress import decompress
from tasks.download import download
from tasks.evaluate import evaluate
from tasks.group import group
from tasks.normalize import normalize
from tasks.pack import pack
from tasks.parse import parse
from tasks.promote import promote
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
    verdict: Any = None


@dataclass(frozen=True)
class Prepared:
    """Data that passed every check: what the calls of its stages returned, tables and profiles by split."""

    tables: Mapping[Any, Any]
    profiles: Mapping[Any, Any]
    normalizer: Any
    groups: Any
    packed: Any
    proofs: list[Any]


def prepare(
    data: Dataset,
    checked: Callable[[], None] = lambda: None,
    sized: Callable[[Mapping[str, Any]], None] = lambda _: None,
) -> Prepared:
    """
    Call the stages that bring data in and check them.

    Args: checked, sized: as of `dag`.
    """
    proofs: dict[str, Any] = {}
    packed = groups = None
    if data.packed:
        packed = pack(data.packed)
        images = labels = {name: [packed] for name in data.splits}
        test = [packed] if data.test_fraction is None else []
        whole = data.splits["train"].spec.model_copy(update={"test_fraction": None})
        groups = group([packed], [packed], test, test, whole)
    else:
        stored = {file.name: download(file) for file in data.files}
        proofs = {file.name: verify(file, stored[file.name]) for file in data.files}
        raw = {file.name: decompress(file, stored[file.name], proofs[file.name]) for file in data.files}
        sized(raw)
        images = {name: [raw[shard.images.name] for shard in split.shards] for name, split in data.splits.items()}
        labels = {name: [raw[shard.labels.name] for shard in split.shards] for name, split in data.splits.items()}
    tables = {
        name: parse(images[name], labels[name], split.spec, split.corrections, groups)
        for name, split in data.splits.items()
    }
    specs = {name: split.spec for name, split in data.splits.items()}
    known = validate(tables["train"], specs["train"], data.checks, None, packed)
    profiles = {"train": known, "test": validate(tables["test"], specs["test"], data.checks, known, packed)}
    normalizer = normalize(tables["train"], profiles["train"])
    current_run().require(*profiles.values(), normalizer)  # nothing is trained before all that is cheap has passed
    checked()
    return Prepared(tables, profiles, normalizer, groups, packed, list(proofs.values()))


def dag(
    data: Dataset,
    training: Training,
    checked: Callable[[], None] = lambda: None,
    sized: Callable[[Mapping[str, Any]], None] = lambda _: None,
    judge: Callable[[Any, Any, Any], Any] | None = None,
) -> Outcome:
    """
    Call every stage, with what the others leave.

    Args:
        checked: called once both splits have passed every check, before anything is trained.
        sized:   called with the IDX files, by name, before they are read: their headers tell how many images there are.
        judge:   calls promote, given the model, its scores and the test table; None where nothing is to be promoted.
    """
    had = prepare(data, checked, sized)
    tables, profiles = had.tables, had.profiles
    model = train(tables["train"], had.normalizer, training, data.held_out, had.groups)
    scores = evaluate(model, tables["train"], tables["test"], profiles)
    verdict = judge(model, scores, tables["test"]) if judge else None
    page = report(
        data, training, had.proofs, tables, profiles, had.normalizer, model, scores, had.packed, had.groups, verdict
    )
    return Outcome(scores, model, page, verdict)


_DIGITS = load_dataset("digits")
_SPEC = _DIGITS.splits["train"].spec
_PLACE = Source(
    path="", name="", kind="pictures", content="0" * 64, picture=PictureSpec(shape=_SPEC.shape), classes=_SPEC.classes
)
_OF_FILES = stages_of(lambda: dag(_DIGITS, Training()))
_GATED = stages_of(lambda: dag(_DIGITS, Training(), judge=lambda _, scores, test: promote(scores, test, Terms())))
_OF_PLACE = stages_of(lambda: dag(_DIGITS.model_copy(update={"packed": _PLACE}), Training()))
GRAPH = {name: stage for name, stage in (_OF_PLACE | _GATED).items() if name not in _GATED} | _GATED
"""Every stage by name: those of a place that is packed first, then in the order in which the graph calls them."""
STAGES = tuple(_OF_FILES)
"""The names of the stages of a set of IDX files, in order, where nothing is to be promoted."""
