"""The record of a run of the pipeline: what every run's record says, and what this flow publishes in its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from artifacts.ref import Ref
from artifacts.run_record import Record
from schemas.calibration import FEWEST_ROWS
from schemas.counts import counted
from schemas.held_out import HeldOut
from schemas.model import MODEL
from schemas.results import METRICS, REPORT, Caveat, Metrics, SplitMetrics, find_caveats
from schemas.scoring import Scored
from schemas.text import share
from schemas.training import HISTORY, History, Training
from schemas.tuning import BEST, PAGE, STUDY, Objective, Study
from schemas.verdict import Promotion

if TYPE_CHECKING:
    from artifacts.engine.recorder import Recorder
    from flows.dag import Outcome
    from flows.job import Job

FOUND = ("metrics", "caveats", "held_out", "report", "model", "promotion")
"""What a record says of a run once that has completed, and nothing before."""


OF_DATA = frozenset({"pack", "group", "validate"})
"""Stages whose findings are about the data: they hold for every run."""


class Score(BaseModel):
    """The headline of one split."""

    model_config = ConfigDict(frozen=True)
    accuracy: float
    loss: float
    interval: tuple[float, float] | None = Field(default=None, description="95 % interval of the accuracy (Wilson)")
    calibration_error: float | None = Field(default=None, description="expected calibration error, in [0, 1]")
    calibration: str | None = Field(default=None, description="how far the probabilities can be believed, in words")


class StudyFacts(BaseModel):
    """What a sweep found, as a run's record keeps it; all of it is in the artifact of the stage study."""

    model_config = ConfigDict(frozen=True)
    id: str = Field(
        default="", description="what tells the sweep from others: those that go on with it have it as well"
    )
    version: str = Field(description="of the study")
    objective: Objective
    trials: int
    complete: int
    pruned: int
    failed: int
    winner: int | None = Field(description="number of the best trial; None: none completed")
    values: dict[str, Any] = Field(default_factory=dict, description="what was tried, as the winner has it")
    accuracy: float | None = Field(default=None, description="of the winner's held-out rows, in [0, 1]")
    loss: float | None = Field(default=None, description="the same, in nats")
    held_out: int | None = Field(default=None, description="how many rows these are of")
    tested: tuple[float, float] | None = Field(
        default=None, description="mean test accuracy over the seeds: the winner's, the profile's own"
    )
    verdict: str = Field(default="", description="whether the winner is better, in words; empty: nothing was tested")
    page: str = Field(description="path of study.html")
    best: str = Field(description="path of best.toml, the winner's configuration")

    @classmethod
    def of(cls, ref: Ref, id: str = "") -> Self:  # noqa: A002 - as in the record
        """Read a study that is in the store. Args: id: of the sweep."""
        study = Study.model_validate_json(ref.file(STUDY).read_bytes())
        winner = study.winner
        return cls(
            id=id,
            version=ref.version,
            objective=study.rules.objective,
            trials=len(study.trials),
            complete=study.count("complete"),
            pruned=study.count("pruned"),
            failed=study.count("failed"),
            winner=study.best,
            values=winner.values if winner else {},
            accuracy=winner.accuracy if winner else None,
            loss=winner.loss if winner else None,
            held_out=winner.history.validation_rows if winner and winner.history else None,
            tested=study.means,
            verdict=study.verdict,
            page=str(ref.file(PAGE)),
            best=str(ref.file(BEST)),
        )

    @property
    def brief(self) -> str:
        """Say it in a few words: `tune, 24 trials, best 98.12 % held-out`."""
        if self.accuracy is None or self.loss is None:
            return f"tune, {counted(self.trials, 'trial')}, none completed"
        best = share(self.accuracy) if self.objective == "accuracy" else f"loss {self.loss:.4f}"
        return f"tune, {counted(self.trials, 'trial')}, best {best} held-out"


def _score(split: SplitMetrics, propose: bool | None = None) -> Score:
    """Return the headline of a split. Args: propose: to calibrate, where that is worth it; None: say nothing of it."""
    score = Score(accuracy=split.accuracy, loss=split.loss, interval=split.interval)
    if (known := split.calibration) is None:
        return score
    words = None if propose is None else known.words(propose=propose)
    return score.model_copy(update={"calibration_error": known.error, "calibration": words})


def _plain(training: Any) -> Any:
    return training.model_dump(mode="json") if isinstance(training, Training) else training


class RunRecord(Record):
    """What one run did, from which parameters, and what came of it."""

    profile: str = ""
    seed: int = 0
    metrics: dict[str, Score] = Field(default_factory=dict, description="by split")
    caveats: tuple[Caveat, ...] = Field(default=(), description="what voids or weakens the test accuracy")
    held_out: HeldOut | None = Field(default=None, description="of the train rows; None before the run has completed")
    report: str | None = Field(default=None, description="path of the HTML page")
    model: str | None = Field(default=None, description="path of the .keras file")
    promotion: Promotion | None = Field(default=None, description="of the alias that the model was to take")
    promotes: str = Field(default="", description="of a run that judged the model of another one: that run")
    hints_of: str = Field(default="", description="of a run that looked for wrong labels: the run whose they are")
    folds: int = Field(default=0, description="of such a run: how many networks were trained, each without one fold")
    scored_by: str = Field(default="", description="of a run that named new images: the run whose model did")
    scored: dict[str, Scored] = Field(default_factory=dict, description="of such a run: what was named, by place")
    sweep: dict[str, Any] = Field(
        default_factory=dict, description="of a run that tuned: what was asked for, as `schemas.tuning.Sweep`"
    )
    study: StudyFacts | None = Field(default=None, description="of a run that tuned: what was found, once it completed")
    training: Annotated[dict[str, Any], BeforeValidator(_plain)] = Field(
        default_factory=dict, description="configuration, as `schemas.training.Training`; another version's as it was"
    )

    @property
    def tuned(self) -> str:
        """What a run that tuned did, in a few words; empty of any other run."""
        if self.study:
            return self.study.brief
        return f"tune, {counted(self.sweep.get('trials', 0), 'trial')} asked for" if self.sweep else ""

    @classmethod
    def of(cls, record: Record) -> Self:
        """
        Read what the pipeline has published in a record.

        A field that another flow, or another version of idxflow, has published in another form stays empty.
        """
        known = record.model_dump(warnings=False)
        try:
            return cls.model_validate(known)
        except ValidationError as error:
            unlike = {each["loc"][0] for each in error.errors()}
            return cls.model_validate({name: value for name, value in known.items() if name not in unlike})


def asked(job: Job) -> dict[str, Any]:
    """Return what a record says from its beginning of what the run was asked for."""
    return {
        "dataset": job.dataset or "",
        "refresh": job.refresh,
        "profile": job.training.profile,
        "seed": job.training.seed,
        "training": _plain(job.training),
        **{name: RunRecord.model_fields[name].get_default(call_default_factory=True) for name in FOUND},
    }


def cached_findings(run: Recorder) -> Iterator[str]:
    """Say again what stages have found about the data that were computed by an earlier run, as they said it."""
    for row in run.rows:
        if row.cached and row.stage in OF_DATA and (manifest := run.store.manifest(row.stage, row.version)):
            subject = f"{run.dataset} {row.name}" if row.stage == "validate" else run.dataset
            yield from (f"{subject}: {finding}" for finding in manifest.summary.get("findings", ()))


def found(run: Recorder, outcome: Outcome, job: Job) -> dict[str, Any]:
    """Return what a completed run has come to; what is odd about a model is said of one that is cached, too."""
    model, page = run.reference(outcome.model), run.reference(outcome.report)
    metrics = Metrics.model_validate_json(run.reference(outcome.scores).file(METRICS).read_bytes())
    history = History.model_validate_json(model.file(HISTORY).read_bytes())
    for said in (*history.findings, *cached_findings(run)):
        if said not in run.warnings:
            run.warnings.append(said)
    # Where too few rows are held out it could not be done.
    propose = not job.training.calibrate and history.validation_rows >= FEWEST_ROWS
    return {
        "metrics": {"train": _score(metrics.train), "test": _score(metrics.test, propose)},
        "caveats": find_caveats(metrics),
        "held_out": history.held_out,
        "report": str(page.file(REPORT)),
        "model": str(model.file(MODEL)),
    }
