"""Two runs compared: what is left of each, what differs in what they were made from, and in their results."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, PrivateAttr, computed_field

from artifacts.archive.lookup import find_stored
from artifacts.archive.runs import state_of, subject_of
from artifacts.bundle import BUNDLE
from artifacts.keys import canonical_json, leaves
from artifacts.store.bundles import spread_rows
from artifacts.store.disk import disk
from artifacts.store.integrity import Stored
from artifacts.store.store import Store
from flows.origins import origins_of
from flows.parts import PARSE
from flows.run_record import RunRecord
from idxflow.comparing.significance import Disagreement, disagreement
from schemas.errors import UsageError
from schemas.results import METRICS, PREDICTIONS, Metrics, SplitMetrics

DATA = ("download", "parse")
"""Stages whose content is the data: the files as downloaded, and the tables."""
Facts = Mapping[str, Mapping[str, Any]]
"""Nested values by the stage that depends on them; by an empty name those of the run as a whole."""


class Side(BaseModel):
    """One of the two runs."""

    model_config = ConfigDict(frozen=True)
    id: str
    dataset: str
    profile: str
    seed: int
    started: str = Field(description="UTC, ISO 8601")
    model: str = Field(description="version of its model")
    gone: tuple[str, ...] = Field(description="its artifacts that are no longer in the store: stage, and what it is of")


class Difference(BaseModel):
    """An input of the runs that is not the same in both; None is the value of what is absent."""

    model_config = ConfigDict(frozen=True)
    name: str = Field(description="dotted path of a parameter or fact; name of an artifact, or of a file of code")
    a: JsonValue
    b: JsonValue
    stages: tuple[str, ...] = Field(description="what depends on it: stages, each with what it is of")


class Change(BaseModel):
    """A figure of both runs."""

    model_config = ConfigDict(frozen=True)
    a: float
    b: float

    @computed_field  # type: ignore[prop-decorator]
    @property
    def difference(self) -> float:
        """B less A."""
        return self.b - self.a


class MetricChange(Change):
    """A metric of one split: accuracies in [0, 1], the loss in nats."""

    split: Literal["train", "test"]
    metric: Literal["accuracy", "first half accuracy", "second half accuracy", "loss"]


class ClassChange(Change):
    """The recall of a class of the test split: right predictions / images, in [0, 1]."""

    name: str
    support_a: int = Field(description="images of this class in A's test split")
    support_b: int = Field(description="images of this class in B's test split")


class Comparison(BaseModel):
    """Two runs compared; the document of `idxflow compare --json`."""

    model_config = ConfigDict(frozen=True)
    a: Side
    b: Side
    parameters: tuple[Difference, ...] = Field(description="configuration, data set, and parameters of the stages")
    data: tuple[Difference, ...] = Field(description="content digests of downloads and tables")
    code: tuple[Difference, ...] = Field(description="digests of the files of code that the stages ran")
    environment: tuple[Difference, ...] = Field(description="where the models were trained")
    untold: tuple[str, ...] = Field(
        description="artifacts that differ, and of which one is gone: "
        "their parameters, data, code and environment are not compared"
    )
    metrics: tuple[MetricChange, ...] = Field(
        description="accuracy and loss alone, from the runs' records, where an evaluation is gone"
    )
    classes: tuple[ClassChange, ...] | None = Field(description="those whose recall changed, largest change first")
    unchanged_classes: int = Field(default=0, description="how many others there are, with the same recall in both")
    no_classes: str | None = Field(description="why these cannot be compared")
    disagreement: Disagreement | None = Field(description="the models' test predictions, image by image")
    no_disagreement: str | None = Field(description="why these cannot be compared")
    _test: tuple[Stored, ...] = PrivateAttr(default=())
    """The parts of the table of the test images, for their pictures; none where one is not stored."""

    def _repr_html_(self) -> str:
        """Return the verdict and the tables for a notebook."""
        from idxflow.views.notebook import comparison_html

        return comparison_html(self, self._test)

    def to_html(self) -> str:
        """Return it as one page, with the images that only one of the two gets right; it asks for nothing else."""
        from idxflow.views.notebook import comparison_page

        return comparison_page(self, self._test)


@dataclass(frozen=True)
class Evidence:
    """
    A completed run and its artifacts, by stage and what each is of: `parse test`, `train`.

    Args:
        versions: of all of them.
        stored:   those that are still in the store.
        metrics:  None where the evaluation is not among these.
    """

    record: RunRecord
    versions: dict[str, str]
    stored: dict[str, Stored]
    metrics: Metrics | None

    @property
    def gone(self) -> tuple[str, ...]:
        """Its artifacts that are no longer in the store."""
        return tuple(name for name in self.versions if name not in self.stored)

    @property
    def evaluation(self) -> Path:
        """The folder of the evaluate artifact, which is stored and was hashed in full."""
        return self.stored["evaluate"].folder

    @property
    def test_tables(self) -> list[str]:
        """Content digests of the tables that the model was tested on."""
        return [each.digest for each in self.stored["evaluate"].manifest.inputs if each.argument == "test"]

    @property
    def test_parts(self) -> tuple[Stored, ...]:
        """The parts of the table of the test images; none where one is no longer in the store."""
        tests = [name for name in self.versions if name == f"{PARSE} test" or name.startswith(f"{PARSE} test ")]
        found = [self.stored.get(name) for name in tests]
        return tuple(each for each in found if each) if all(found) else ()

    def parameters(self, names: Collection[str]) -> Facts:
        """Return the run's data set and configuration, and the parameters of some of its stages."""
        run = {"dataset": self.record.identity, "training": self.record.training}
        return {"": run} | {name: each.manifest.parts.parameters for name, each in self._among(names).items()}

    def data(self, names: Collection[str]) -> Facts:
        """Return the content digests of downloads and tables."""
        return {"": {name: each.ref.digest for name, each in self._among(names).items() if each.ref.stage in DATA}}

    def code(self, names: Collection[str]) -> Facts:
        """Return the digest of each file of code by stage."""
        return {each.ref.stage: each.manifest.parts.code for each in self._among(names).values()}

    def environment(self, names: Collection[str]) -> Facts:
        """Return where the model was trained."""
        trained = self._among(names).get("train")
        return {"": trained.manifest.environment.model_dump(mode="json") if trained else {}}

    def _among(self, names: Collection[str]) -> dict[str, Stored]:
        return {name: each for name, each in self.stored.items() if name in names}


def gather(store: Store, record: RunRecord) -> Evidence:
    """
    Check what is stored of a run's artifacts, and read its metrics.

    Raises: UsageError: it was not completed.  ArtifactDamaged: an artifact is not what its manifest says.
            StoreError: the disk.
    """
    stages = {f"{row.stage} {row.name}".strip(): row for row in spread_rows(store, record.stages)}
    state = state_of(store, record)
    if state != "completed" or not {"train", "evaluate"} <= stages.keys():
        raise UsageError(
            subject_of(store, record),
            expected="a completed run, which has metrics",
            found="one without training and evaluation" if state == "completed" else "one without",
            way_out="`idxflow runs` lists the others.",
        )
    # evaluate is hashed in full, as its files are read; the others are checked as in a cached run.
    found = {
        name: find_stored(store, row.stage, row.version, fully=row.stage == "evaluate") for name, row in stages.items()
    }
    stored = {name: each for name, each in found.items() if each}
    metrics = None
    if "evaluate" in stored:
        with disk(folder := stored["evaluate"].folder):
            metrics = Metrics.model_validate_json((folder / METRICS).read_bytes())
    return Evidence(record, {name: row.version for name, row in stages.items()}, stored, metrics)


def compare_runs(store: Store, a: RunRecord, b: RunRecord) -> Comparison:
    """
    Compare two completed runs, as far as their artifacts are still stored.

    Raises: UsageError: one was not completed.  ArtifactDamaged: an artifact is not what its manifest says.
            StoreError: the disk.
    """
    one, other = gather(store, a), gather(store, b)
    gone = {*one.gone, *other.gone}
    both = (one.stored.keys() | other.stored.keys()) - gone
    if any(row.stage == BUNDLE for row in (*a.stages, *b.stages)):  # of files in bundles the tables tell
        both = {name for name in both if not name.startswith("download ")}
    # Of a stage that only one run has, data and code are compared; its parameters have no counterpart.
    common = one.stored.keys() & other.stored.keys()
    classes, no_classes = _class_changes(one, other)
    found, why_not = _disagreement(store, one, other)
    comparison = Comparison(
        a=_side(one),
        b=_side(other),
        parameters=differences(one.parameters(common), other.parameters(common)),
        data=differences(one.data(both), other.data(both)),
        code=differences(one.code(both), other.code(both)),
        environment=differences(one.environment(both), other.environment(both)),
        untold=tuple(
            name
            for name in {**one.versions, **other.versions}
            if name in gone and one.versions.get(name) != other.versions.get(name)
        ),
        metrics=tuple(_metric_changes(one, other)),
        classes=classes,
        unchanged_classes=_common_classes(one, other) - len(classes or ()) if classes is not None else 0,
        no_classes=no_classes,
        disagreement=found,
        no_disagreement=why_not,
    )
    comparison._test = one.test_parts or other.test_parts
    return comparison


def _side(evidence: Evidence) -> Side:
    own = {"model": evidence.versions["train"], "gone": evidence.gone}
    return Side.model_validate(evidence.record.model_dump() | own)


def differences(a: Facts, b: Facts) -> tuple[Difference, ...]:
    """Compare value by value; the same difference in several stages is one."""
    found: dict[bytes, Difference] = {}
    for stage in {**a, **b}:
        one, other = (dict(leaves(facts.get(stage, {}))) for facts in (a, b))
        for name in {**one, **other}:
            # As keys see it: 1 is neither 1.0 nor true.
            if canonical_json(one.get(name)) == canonical_json(other.get(name)):
                continue
            key = canonical_json([name, one.get(name), other.get(name)])
            stages = found[key].stages if key in found else ()
            stages += (stage,) if stage else ()
            found[key] = Difference(name=name, a=one.get(name), b=other.get(name), stages=stages)
    return tuple(found.values())


def _metric_changes(a: Evidence, b: Evidence) -> Iterator[MetricChange]:
    for split in ("train", "test"):
        one, other = _figures(a, split), _figures(b, split)
        for metric in (name for name in one if name in other):
            yield MetricChange.model_validate({"split": split, "metric": metric, "a": one[metric], "b": other[metric]})


def _figures(evidence: Evidence, split: Literal["train", "test"]) -> dict[str, float]:
    """Return the metrics of a split by name: those of the evaluation, else the two that the run's record has."""
    if evidence.metrics is None:
        score = evidence.record.metrics.get(split)
        return {"accuracy": score.accuracy, "loss": score.loss} if score else {}
    found: SplitMetrics = getattr(evidence.metrics, split)
    return {
        "accuracy": found.accuracy,
        "first half accuracy": found.halves[0],
        "second half accuracy": found.halves[1],
        "loss": found.loss,
    }


def _class_changes(a: Evidence, b: Evidence) -> tuple[tuple[ClassChange, ...] | None, str | None]:
    """Compare the recalls, or return why that is not possible."""
    if a.metrics is None or b.metrics is None:
        return None, _no_evaluation(a, b)
    named = {each.name: each for each in b.metrics.test.classes}
    common = [(one, named[one.name]) for one in a.metrics.test.classes if one.name in named]
    changes = [
        ClassChange(name=one.name, a=one.recall, b=other.recall, support_a=one.support, support_b=other.support)
        for one, other in common
        if one.recall != other.recall
    ]
    if not common:
        return None, "the runs have no class in common"
    return tuple(sorted(changes, key=lambda change: -abs(change.difference))), None


def _common_classes(a: Evidence, b: Evidence) -> int:
    """Return how many classes both have; none where an evaluation is gone."""
    if a.metrics is None or b.metrics is None:
        return 0
    return len({each.name for each in a.metrics.test.classes} & {each.name for each in b.metrics.test.classes})


def _disagreement(store: Store, a: Evidence, b: Evidence) -> tuple[Disagreement | None, str | None]:
    """Compare the test predictions, or return why that is not possible."""
    if a.metrics is None or b.metrics is None:
        return None, _no_evaluation(a, b)
    if a.test_tables != b.test_tables:
        return None, "the models were tested on different images: the content of the test tables differs"
    classes = [each.name for each in a.metrics.test.classes]
    origins = origins_of(store, a.record)
    if not origins.known:
        origins = origins_of(store, b.record)  # the tables are equal
    with disk(a.evaluation), disk(b.evaluation):
        found = disagreement(a.evaluation / PREDICTIONS, b.evaluation / PREDICTIONS, classes, origins)
    return found, None if found else "the stored predictions are of different images: sample ids or labels differ"


def _no_evaluation(a: Evidence, b: Evidence) -> str:
    which = " and ".join(name for name, each in (("A", a), ("B", b)) if each.metrics is None)
    return f"the evaluation of {which} is no longer in the store"
