"""The work of a sweep: its trials, round by round, and what is made of them in the end; see `flows.tuning`."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artifacts.current import CURRENT, Call
from artifacts.engine.execution import Done
from artifacts.engine.plan import Planning
from artifacts.environment import package_versions
from artifacts.ref import Ref
from artifacts.refresh import Refresh
from flows.admit import Admission
from flows.choose import choose_dataset
from flows.dag import Prepared, prepare
from flows.identify import confirm, take_unknown
from flows.many import tell_parts
from flows.revalidate import ask_mirrors
from flows.run_record import StudyFacts
from flows.study_log import StudyLog, opened
from flows.suggesting import Known, Suggesting
from schemas.counts import counted
from schemas.datasets import Dataset
from schemas.errors import IdxflowError, StageError, TrainingDiverged, UsageError
from schemas.events import Event, StageChanged, emit, listening
from schemas.space import Choice, Space, compact, configured, default_space, read_space
from schemas.text import share
from schemas.training import HISTORY, History, Training
from schemas.tuning import (
    REDUCTION,
    Rules,
    Told,
    TrialEnded,
    Trials,
    count_weights,
    measure,
    rank,
    rungs,
)
from tasks.begin import begin
from tasks.evaluate import evaluate
from tasks.quality.search_space import require_optuna
from tasks.study import study
from tasks.train import train

if TYPE_CHECKING:
    from artifacts.engine.recorder import Recorder
    from flows.tuning_job import TuningJob

logger = logging.getLogger("idxflow.tune")
ASKING = 1
"""Raise it where `flows.suggesting` comes to ask otherwise: a study is not to be asked in two ways."""
LARGEST_SEED = 2**31 - 1
"""As of a training."""
SUFFIX = "-tune"
"""Of the identity under which such runs are counted: what a clean-up keeps for a data set's own runs stays."""


def space_of(job: TuningJob) -> Space:
    """
    Return the space of a sweep.

    Raises: UsageError: it does not read, or does not go with the rest of what is asked for.
    """
    sweep, training = job.sweep, job.training
    way_out = "Nothing has run."
    if not training.validation_fraction:
        raise UsageError(
            "tune",
            expected="held-out rows to compare trials by",
            found="training.validation_fraction 0",
            way_out=way_out,
        )
    space = read_space(sweep.space or default_space(training), training)
    if sweep.prune and "epochs" in space.domains:
        found = "both --prune and training.epochs in the space"
        raise UsageError("tune", expected="trials of one length, where some end early", found=found, way_out=way_out)
    if sweep.prune and min(sweep.round, sweep.trials) < REDUCTION:
        expected = f"rounds of {REDUCTION} trials at least, of which one goes on"
        raise UsageError("--prune", expected=expected, found=str(min(sweep.round, sweep.trials)), way_out=way_out)
    if training.seed + sweep.seeds - 1 > LARGEST_SEED:
        found = f"{sweep.seeds} from {training.seed} on"
        raise UsageError("--seeds", expected=f"seeds up to {LARGEST_SEED}", found=found, way_out=way_out)
    return space


def largest(space: Space, training: Training, ends: tuple[int, int]) -> Training:
    """
    Return a configuration of a space that takes the most memory: the largest of its networks and batches.

    Args: ends: values of an image, and classes.
    """
    units, batches = space.domains.get("hidden"), space.domains.get("batch_size")
    tried = units.values if isinstance(units, Choice) else (training.hidden,)
    batch = max(batches.ends) if batches else training.batch_size
    each = (configured(training, {"hidden": hidden, "batch_size": batch}) for hidden in tried)
    return max(each, key=lambda training: count_weights(training, ends))


@dataclass(frozen=True)
class Ended:
    """A trial that has ended. Args: trained: its artifact, and its history; None if it failed."""

    told: Told
    trained: Done | None = None
    history: History | None = None

    def known(self, rules: Rules) -> Known:
        """Return it as Optuna is told of it."""
        if self.history is None:
            return Known(self.told.values, None, 0)
        value, epochs = measure(self.history, rules.objective), len(self.history.epochs)
        return Known(self.told.values, value, epochs, self.told.state == "pruned")


@dataclass(frozen=True)
class Swept:
    """What a sweep leaves. Args: study: what the call of that stage returned."""

    id: str
    rules: Rules
    trials: tuple[Ended, ...]
    study: Done


@dataclass
class Sweeping:
    """One sweep within its run; an attempt of the run is one call of `walk`."""

    job: TuningJob
    run: Recorder
    space: Space = field(init=False)
    log: StudyLog = field(init=False)
    rules: Rules = field(init=False)
    suggesting: Suggesting = field(init=False)
    had: Prepared = field(init=False)
    data: Dataset = field(init=False)
    asked: dict[str, Told] = field(default_factory=dict)
    later: Iterator[Call] = field(init=False)
    best: float = -math.inf
    retried: bool = False

    def __post_init__(self) -> None:
        require_optuna()
        self.space = space_of(self.job)

    def walk(self) -> Swept:
        """Bring the data in, try, and test the winner. Raises: as `flows.tuning.work`."""
        job, run = self.job, self.run
        self.best = -math.inf
        data = self.data = take_unknown(run.store, choose_dataset(job.dataset, job.mirrors, job.pack))
        run.dataset_id = f"{run.dataset_id or run.dataset}{SUFFIX}"
        if job.revalidate:
            ask_mirrors(data)
        admission = Admission(
            run.store, data, largest(self.space, job.training, self.ends), job.refresh, force=job.force
        )
        admission.check()
        self._start_workers()
        run.many = tell_parts(data)
        self.had = prepare(data, partial(confirm, run.store, data), admission.sized)
        sweep, training = job.sweep, job.training
        self.rules = Rules(
            dataset=data.name,
            space=self.space,
            round=sweep.round,
            objective=sweep.objective,
            epochs=training.epochs,
            rungs=rungs(training.epochs, prune=sweep.prune),
            seed=training.seed,
        )
        self.suggesting = Suggesting(self.rules, training)
        with opened(run.store, self.identity) as self.log:
            if job.retry and not self.retried:  # once, however often the run is attempted
                self.log.retry()
                self.retried = True
            ended: list[Ended] = []
            self.later = self._later()
            with listening(self._tell):
                while len(ended) < sweep.trials:
                    ended += self._round(ended)
            return Swept(self.identity, self.rules, tuple(ended), self._conclude(ended))

    def _start_workers(self) -> None:
        """Start those who will train while the data is brought in; where it is there, whoever first has work does."""
        planning = Planning(self.run.store, Refresh(self.job.refresh), self.data.name)
        planning.dataset_id = self.data.identity
        with planning.walking():
            prepare(self.data)
        if any(row.state != "cached" for row in planning.plan.stages):
            self.run.workers.start([train.imports])

    @property
    def identity(self) -> str:
        """What tells this study from others: the rules, the data, the code of training; not how many trials."""
        parts = train.parts(self._bound(train, self.job.training), self.run.store.scans)
        rules = self.rules.model_dump_json(exclude={"dataset"})
        asking = f"{ASKING} {package_versions(('optuna',))}"
        return hashlib.sha256(f"{parts.key}\n{rules}\n{asking}".encode()).hexdigest()[:16]

    def _round(self, before: Sequence[Ended]) -> list[Ended]:
        """Ask for the trials of a round, and see how they end; of the last one as many as are wanted."""
        after, wanted = len(before), min(self.rules.round, self.job.sweep.trials - len(before))
        values = self.log.asked(after)
        if not values:
            values = self.suggesting.suggest([each.known(self.rules) for each in before], self.rules.round)
            self.log.ask(after, values)
        asked = [
            Told(number=after + place, values=each, state="failed") for place, each in enumerate(values[:wanted], 1)
        ]
        self.asked |= {told.words: told for told in asked}
        return self._try(asked)

    def _try(self, asked: Sequence[Told]) -> list[Ended]:
        """Train the trials of a round, from rung to rung; what was left behind on the way is pruned."""
        rules, ended, begun = self.rules, dict[int, Ended](), dict[int, Done]()
        alive = list(asked)
        for until in rules.rungs[:-1]:
            for each in self._train(alive, until, begun):
                ended[each.told.number] = each
                if each.trained:
                    begun[each.told.number] = each.trained
            alive = self._best_of([ended[told.number] for told in alive])
        for each in self._train(alive, None, begun):
            ended[each.told.number] = each
        return [ended[told.number] for told in asked]

    def _train(self, alive: Sequence[Told], until: int | None, begun: dict[int, Done]) -> list[Ended]:
        """Train some trials, all of their epochs or `until` so many, each from where it is."""
        known = {told.number: self.log.failed(told.number, until) for told in alive}
        # The longest first: at the end of a round no worker waits long for another.
        order = sorted((told for told in alive if not known[told.number]), key=lambda told: -self._weights(told))
        calls = []
        for told in order:
            training = configured(self.job.training, told.values)
            stage, more = (begin, {"until": until}) if until else (train, {})
            bound = self._bound(stage, training, begun=begun.get(told.number), **more)
            calls.append(Call(stage, bound, told.words))
        early = () if until else tuple(islice(self.later, 1))
        outcomes = dict(zip((told.number for told in order), self.run.try_all(calls, early), strict=True))
        return [self._ended(told, outcomes.get(told.number), known[told.number], until) for told in alive]

    def _ended(self, told: Told, outcome: Done | IdxflowError | None, reason: str, until: int | None) -> Ended:
        """Return how a trial ended in its first `until` epochs, or in all. Args: reason: why it is known to fail."""
        if isinstance(outcome, Done):
            state = "complete" if until is None else "pruned"
            return Ended(told.model_copy(update={"state": state}), outcome, self._history(outcome))
        if isinstance(outcome, TrainingDiverged):  # so it does each time; a lost worker may be another day's luck
            self.log.fail(told.number, until, str(outcome))
        ended = told.model_copy(update={"state": "failed", "reason": str(outcome) if outcome else reason})
        emit(self._end(ended, ended.reason))
        return Ended(ended)

    def _tell(self, event: Event) -> None:
        """Say of each whole training of a trial what came of it, as it ends."""
        if not isinstance(event, StageChanged) or isinstance(event, TrialEnded) or event.state == "started":
            return
        if event.stage != train.stage or event.name not in self.asked or CURRENT.get(self.run) is not self.run:
            return
        history = self._read(self.run.store.folder(event.stage, event.version) / HISTORY)
        value = measure(history, self.rules.objective)
        best = value > self.best
        self.best = max(value, self.best)
        told = self.asked[event.name].model_copy(update={"state": "complete"})
        emit(self._end(told, _figures(history), event=event, best=best))

    def _end(self, told: Told, said: str, *, event: StageChanged | None = None, best: bool = False) -> TrialEnded:
        values = " ".join(f"{name}={compact(value)}" for name, value in told.values.items())
        return TrialEnded(
            train.stage,
            told.words,
            "cached" if event and event.state == "cached" else "computed",
            event.version if event else "",
            event.seconds if event else 0.0,
            number=told.number,
            of=self.job.sweep.trials,
            values=values,
            said=said,
            outcome=told.state,
            best=best,
        )

    def _best_of(self, tried: Iterable[Ended]) -> list[Told]:
        """Return the third of some trials that goes on, in the order of asking; the others are pruned."""
        ranked = sorted((each for each in tried if each.history), key=self._rank)
        going = {each.told.number for each in ranked[: -(-len(ranked) // REDUCTION)]}
        for each in ranked:
            if each.history and each.told.number not in going:
                after = counted(len(each.history.epochs), "epoch")
                emit(self._end(each.told, f"{_figures(each.history)} after {after}"))
        return [each.told for each in sorted(ranked, key=lambda each: each.told.number) if each.told.number in going]

    def _rank(self, ended: Ended) -> tuple[float, float, int, int]:
        if ended.history is None:
            raise RuntimeError("a trial that failed has no rank")
        return rank(ended.told.number, ended.history, self.rules.objective, self._weights(ended.told))

    def _weights(self, told: Told) -> int:
        return count_weights(configured(self.job.training, told.values), self.ends)

    @property
    def ends(self) -> tuple[int, int]:
        """Values of an image, and classes."""
        spec = self.data.splits["train"].spec
        return spec.pixels, len(spec.classes)

    def _tested(self, name: str, training: Training) -> dict[tuple[str, int], Call]:
        """Return the trainings by which settings are tested, one with each seed."""
        seeds = (self.job.training.seed + place for place in range(self.job.sweep.seeds))
        return {
            (name, seed): Call(train, self._bound(train, configured(training, {"seed": seed})), f"{name} seed {seed}")
            for seed in seeds
        }

    def _later(self) -> Iterator[Call]:
        """
        Yield trainings of the own settings, which are tested whatever is found: a round ends with one of them.

        At the end of a round its last trials are at work, and the next round waits for what they give.
        """
        for (_, seed), call in self._tested("own", self.job.training).items():
            if seed != self.job.training.seed or not self.space.has(self.job.training):  # that is the first trial
                yield call

    def _conclude(self, ended: Sequence[Ended]) -> Done:
        """Train the winner and the own configuration with every seed, test both, and leave the study."""
        run, own = self.run, self.job.training
        complete = [each for each in ended if each.told.state == "complete"]
        if not complete:
            first = next(each.told.reason for each in ended if each.told.state == "failed").rstrip(".")
            way_out = "Narrow the space; what failed for another reason than its loss is tried again."
            raise StageError("tune", expected="a trial that completes", found=f"none: {first}", way_out=way_out)
        best = configured(own, min(complete, key=self._rank).told.values)
        calls = self._tested("winner", best) | self._tested("own", own)
        trained = dict(zip(calls, run.try_all([*calls.values()]), strict=True))
        failed = {key: outcome for key, outcome in trained.items() if isinstance(outcome, IdxflowError)}
        untested = tuple(
            f"{name} settings with seed {seed} were not tested: {str(outcome).rstrip('.')}"
            for (name, seed), outcome in failed.items()
        )
        for said in untested:
            logger.warning("%s", said)
        seeds = tuple(
            seed for name, seed in calls if name == "own" and not {("winner", seed), ("own", seed)} & failed.keys()
        )
        models = {key: trained[key] for key in calls if key[1] in seeds}
        tables, profiles = self.had.tables, self.had.profiles
        tested = [
            Call(evaluate, evaluate.bind(model, tables["train"], tables["test"], profiles), calls[key].called)
            for key, model in models.items()
        ]
        scores = dict(zip(models, run.try_all(tested), strict=True))
        for outcome in scores.values():
            if isinstance(outcome, IdxflowError):
                raise outcome
        concluded: Done = run.submit(
            study,
            study.bind(
                self.rules,
                own,
                Trials(told=tuple(each.told for each in ended)),
                self.ends,
                [each.trained for each in ended if each.trained],
                list(seeds),
                *([of[name, seed] for seed in seeds] for name in ("winner", "own") for of in (models, scores)),
                untested,
            ),
        ).result()
        return concluded

    def _bound(self, stage: Any, training: Training, **more: Any) -> dict[str, Any]:
        tables, normalizer = self.had.tables, self.had.normalizer
        table = tables["train"]
        of_parts = [self._ref(part) for part in table] if isinstance(table, list) else self._ref(table)
        refs = {"table": of_parts, "normalizer": self._ref(normalizer)}
        groups = None if self.had.groups is None else self._ref(self.had.groups)
        bound: dict[str, Any] = stage.bind(
            **refs, training=training, held_out=self.data.held_out, groups=groups, **more
        )
        return bound

    def _ref(self, result: Any) -> Ref:
        return self.run.reference(result)

    def _history(self, done: Done) -> History:
        return self._read(self._ref(done).file(HISTORY))

    @staticmethod
    def _read(file: Path) -> History:
        """Read a history. Raises: StageError: nothing was held out, by which trials could be compared."""
        history = History.model_validate_json(file.read_bytes())
        if not history.validation_rows:
            way_out = "Set a larger training.validation_fraction, or bring more images."
            raise StageError("tune", expected="held-out rows to compare trials by", found="none", way_out=way_out)
        return history


def _figures(history: History) -> str:
    """Say what came of the held-out rows."""
    row = history.epochs[history.kept - 1]
    return f"held-out {share(row.validation_accuracy or 0.0)}, loss {row.validation_loss or 0.0:.4f}"


def asked(job: TuningJob) -> dict[str, Any]:
    """Return what a record says from its beginning of what the sweep was asked for."""
    training = job.training
    return {
        "dataset": job.dataset or "",
        "profile": training.profile,
        "seed": training.seed,
        "training": training.model_dump(mode="json"),
        "sweep": job.sweep.model_dump(mode="json"),
        "study": None,
    }


def found(run: Recorder, swept: Swept) -> dict[str, Any]:
    """Return what a record says of a sweep that has completed."""
    return {"study": StudyFacts.of(run.reference(swept.study), swept.id)}
