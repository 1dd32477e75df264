"""The pipeline as a graph of stages: what takes what. It knows no Prefect, so that a plan can walk it as a run does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from artifacts.current import current_run
from artifacts.engine.tracing import stages_of
from flows.bundling import Files, Parted, brought, proofs_of, seemingly_settled, settled, spans_of, told
from schemas.catalog import load_dataset
from schemas.datasets import Dataset
from schemas.pictures import PictureSpec
from schemas.source import Source
from schemas.training import Training
from schemas.verdict import Terms
from tasks.evaluate import evaluate
from tasks.group import group
from tasks.normalize import normalize
from tasks.pack import pack
from tasks.parse import parse
from tasks.promote import promote
from tasks.report import report
from tasks.train import train
from tasks.validate import validate


@dataclass(frozen=True)
class Outcome:
    """What the graph leaves that a person asks for first: what the calls of its stages returned."""

    scores: Any
    model: Any
    report: Any
    verdict: Any = None


@dataclass(frozen=True)
class Prepared:
    """
    Data that passed every check: what the calls of its stages returned, by split.

    Args:
        tables, profiles: of a split that is one part one call, else a list of them, one a part or a bundle of parts.
        validated:        one a split.
    """

    tables: Mapping[Any, Any]
    profiles: Mapping[Any, Any]
    validated: Mapping[Any, Any]
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
    packed = groups = None
    parted = dict[Any, Parted]()
    if data.packed:
        packed = pack(data.packed)
        test = [packed] if data.test_fraction is None else []
        whole = data.splits["train"].spec.model_copy(update={"test_fraction": None})
        groups = group([packed], [packed], test, test, whole)
        files = Files({}, {})
    else:
        spans = {name: spans_of(split) for name, split in data.splits.items()}
        # While what is new is brought in, what is settled is looked at.
        likely = {name: seemingly_settled(each) for name, each in spans.items()}
        files = brought(data, chain(*likely.values()))
        there = {name: settled(each) for name, each in likely.items()}
        files = brought(data, (each.span for some in there.values() for each in some.values()), files)
        sized(files.raw)
        parted = {name: Parted(split, spans[name], there[name]) for name, split in data.splits.items() if split.parts}
    tables, profiles = dict[Any, Any](), dict[Any, Any]()
    for name, split in data.splits.items():
        if name in parted:
            parted[name].parse(files.raw)
        else:
            images = [packed] if data.packed else [files.raw[shard.images.name] for shard in split.shards]
            labels = [packed] if data.packed else [files.raw[shard.labels.name] for shard in split.shards]
            tables[name] = parse(images, labels, split.spec, split.corrections, groups)
    for each in parted.values():
        each.profile()
    for name, each in parted.items():
        each.bundle(files.proofs)
        tables[name], profiles[name] = each.tables, each.profiles
    proofs = proofs_of(files, parted.values())
    specs = {name: split.spec for name, split in data.splits.items()}
    known = validate(tables["train"], specs["train"], data.checks, None, packed, profiles.get("train"))
    measured = profiles.get("train") or known
    tested = validate(tables["test"], specs["test"], data.checks, measured, packed, profiles.get("test"))
    validated = {"train": known, "test": tested}
    profiles = {name: profiles.get(name) or validated[name] for name in data.splits}
    normalizer = normalize(known)
    current_run().require(*validated.values(), normalizer)  # nothing is trained before all that is cheap has passed
    checked()
    return Prepared(tables, profiles, validated, normalizer, groups, packed, proofs)


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
    known, of_place = had.validated, (had.packed, had.groups)
    page = report(told(data), training, had.proofs, tables, known, had.normalizer, model, scores, *of_place, verdict)
    return Outcome(scores, model, page, verdict)


_DIGITS = load_dataset("digits")
_SPEC = _DIGITS.splits["train"].spec
_PLACE = Source(
    path="", name="", kind="pictures", content="0" * 64, picture=PictureSpec(shape=_SPEC.shape), classes=_SPEC.classes
)
_SHARDS = _DIGITS.model_copy(
    update={
        "splits": {
            name: split.model_copy(update={"shards": split.shards * 2}) for name, split in _DIGITS.splits.items()
        }
    }
)
_OF_FILES = stages_of(lambda: dag(_DIGITS, Training()))
_GATED = stages_of(lambda: dag(_SHARDS, Training(), judge=lambda _, scores, test: promote(scores, test, Terms())))
_OF_PLACE = stages_of(lambda: dag(_DIGITS.model_copy(update={"packed": _PLACE}), Training()))
GRAPH = {name: stage for name, stage in (_OF_PLACE | _GATED).items() if name not in _GATED} | _GATED
"""Every stage by name: those of a place that is packed first, then in the order in which the graph calls them."""
STAGES = tuple(_OF_FILES)
"""The names of the stages of a set of IDX files, of one shard a split, in order, where nothing is to be promoted."""
