"""
The Python API: what a store holds, for notebooks and scripts.

    import idxflow
    store = idxflow.open_store()
    run = store.run("latest")
    run.metrics.test.accuracy
    images = run.table("test")
    run.predict(images.image).name

Runs and artifacts have the same words as on the command line. What is loaded is hashed in full first, and a damaged
artifact is an error. The commands are thin layers over this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack, get_args

from pydantic import ValidationError

from artifacts.archive.lookup import find, find_artifact, find_run, stored_artifact
from artifacts.archive.names import Names
from artifacts.archive.runs import RunHistory, RunState, read_history, state_of, subject_of
from artifacts.run_record import Record
from artifacts.store.integrity import Stored
from artifacts.store.store import Store, existing_store
from flows.parts import PARSE, as_parts, rows_of, stored_parts
from flows.run_record import RunRecord
from idxflow.asking import TrainingValues, ask, check_dataset
from idxflow.comparing.images import Images, Kind, load_images
from schemas.errors import IdxflowError, UsageError
from schemas.model import MODEL
from schemas.remote import RemotePlace
from schemas.results import METRICS, PREDICTIONS
from schemas.source import Choices
from schemas.training import HISTORY, Training
from schemas.tuning import Sweep
from schemas.workers import Workers

if TYPE_CHECKING:
    import keras
    import numpy.typing as npt

    from artifacts.archive.audit import Audit
    from artifacts.archive.collect import Cleanup
    from artifacts.archive.lineage import Lineage
    from artifacts.engine.direct import DirectRun
    from artifacts.engine.plan import Plan
    from artifacts.remote.shared import Shared
    from flows.answers import Answered
    from idxflow.comparing.comparison import Comparison
    from idxflow.comparing.history import TrainingHistory
    from idxflow.comparing.images import Classifier, Predictions
    from idxflow.comparing.studies import FoundStudy
    from idxflow.comparing.trainings import TrainingComparison
    from idxflow.diagnosing.diagnosis import Diagnosis
    from idxflow.exporting.export import Exported
    from idxflow.hinting.hints import LabelHints
    from idxflow.predicting.document import Answers
    from idxflow.views.page_files import WrittenPage
    from schemas.results import Metrics
    from tasks.formats.packed import Origins
    from tasks.formats.table import Parts

__all__ = ["Archive", "ArchivedRun", "Images", "open_store", "plan", "run"]
SplitName = Literal["train", "test"]


@dataclass(frozen=True, repr=False)
class ArchivedRun:
    """A run of the history. Args: record: its configuration, stages, timing and warnings."""

    store: Store
    record: RunRecord

    def __repr__(self) -> str:
        return f"<run {self.id} of {self.record.dataset or 'no data set'}: {self.state}>"

    def _repr_html_(self) -> str:
        """Return its figures, curves and pictures for a notebook."""
        from idxflow.views.notebook import run_html

        return run_html(self)

    @property
    def id(self) -> str:
        """12 hexadecimal digits."""
        return self.record.id

    @property
    def state(self) -> RunState:
        """running, completed, failed, or killed: its record says running, but no process runs it any more."""
        return state_of(self.store, self.record)

    def artifact(self, stage: str, name: str = "") -> Stored:
        """
        Return an artifact that the run made or used, every file of it hashed.

        Args:   name: of what: a file, a split; empty where a run has only one.
        Raises: UsageError: the run has none, or it is no longer stored.  ArtifactDamaged: it is not what it was.
        """
        for row in self.record.stages:
            if (row.stage, row.name) == (stage, name):
                return stored_artifact(self.store, row.stage, row.version, fully=True)
        raise UsageError(
            subject_of(self.store, self.record),
            expected=f"a stage {stage} {name}".strip(),
            found=", ".join(f"{row.stage} {row.name}".strip() for row in self.record.stages) or "no stages",
            way_out="A run that failed or was killed has those that it came to. `idxflow runs` lists others.",
        )

    def parts(self, split: SplitName) -> Parts:
        """
        Return the artifact that has the table of a split, or of a split of several shards those of its parts, in order.

        Raises: as `artifact`.
        """
        rows = rows_of(self.store, self.record.stages, PARSE, split)
        if not rows:
            return self.artifact(PARSE, split).ref  # which says what there is
        return as_parts(stored_parts(self.store, rows, fully=True))

    @cached_property
    def metrics(self) -> Metrics:
        """The metrics of both splits. Raises: as `artifact`."""
        from schemas.results import Metrics

        return Metrics.model_validate_json(self.artifact("evaluate").ref.file(METRICS).read_bytes())

    @cached_property
    def history(self) -> TrainingHistory:
        """The course of the training, one row per epoch; `to_pandas()` makes a table of it. Raises: as `artifact`."""
        from idxflow.comparing.history import TrainingHistory

        return TrainingHistory.model_validate_json(self.artifact("train").ref.file(HISTORY).read_bytes())

    def table(self, split: SplitName, kind: Kind = "raw") -> Images:
        """
        Load a split as arrays.

        Normalized pixels are not for the model, which takes raw ones and normalises them: `predict` refuses them.

        Args:   kind: raw pixels, or normalized as the run's network was trained on.
        Raises: as `artifact`; UsageError: no such kind; BadTable.
        """
        if kind not in get_args(Kind):
            expected, way_out = " or ".join(get_args(Kind)), "Nothing was read."
            raise UsageError(f"the {split} table", expected=expected, found=repr(kind), way_out=way_out)
        normalizer = self.artifact("normalize").ref if kind == "normalized" else None
        return load_images(self.parts(split), normalizer)

    def model(self) -> keras.Model:
        """
        Load the trained model, in Keras's safe mode: raw pixels, uint8 (n, values of an image), to probabilities.

        It checks nothing: floats from 0 to 1 are accepted and classified wrong. `predict` checks them first.

        Raises: as `artifact`.
        """
        path = self.artifact("train").ref.file(MODEL)
        from tasks.fitting.backend import keras

        return keras.saving.load_model(path, compile=False, safe_mode=True)

    def predict(self, images: npt.ArrayLike) -> Predictions:
        """
        Predict the class of images with the trained model, which is loaded once.

        A whole split in its order gives evaluate's stored predictions, bit for bit. Fewer images at once, which the
        processor sums in another order, give the same but for the last digits (1e-6).

        Args:
            images: raw pixels, 0 to 255, as in the data set's files: uint8 (n, rows, columns), (n, rows * columns) or
                    one image (rows, columns); in colour (n, rows, columns, 3), (n, rows * columns * 3) or one image
                    (rows, columns, 3). Integers of another type are taken if they are all from 0 to 255.
        Raises: UsageError: floats, bools, integers out of range, another shape, or none.  As `artifact`.
        """
        return self._classifier.predict(images)

    @cached_property
    def _classifier(self) -> Classifier:
        from idxflow.comparing.images import Classifier
        from tasks.formats.table import open_table
        from tasks.inference.perceptron import Perceptron

        meaning = open_table(self.parts("train")).metadata
        network = Perceptron.read(self.artifact("train").ref.file(MODEL))
        return Classifier(network, meaning.shape, meaning.classes)

    def hints(self, most: int = 50, *, folds: int | None = None) -> LabelHints:
        """
        Return the train images whose labels are worth a second look, the most doubtful first.

        Args:   most:  how many at most.
                folds: ask so many networks that have not seen the images; `idxflow hints --folds` trains them.
        Raises: as `artifact`; UsageError: these networks have not been trained.
        """
        from idxflow.hinting.hints import gather_hints

        scores = self.artifact("evaluate")
        if folds is not None:
            scores = self._crosscheck(folds)
        classes = tuple(one.name for one in self.metrics.train.classes)
        return gather_hints(self.store, self.record, scores, classes, most=most, folds=folds)

    def _crosscheck(self, folds: int) -> Stored:
        from flows.folds import base_of, crosschecked

        if (found := crosschecked(self.store, base_of(self.store, self.record), folds)) is None:
            raise UsageError(
                f"run {self.id}",
                expected=f"scores of {folds} networks that have not seen the images",
                found="none",
                way_out=f"`idxflow hints {self.id} --folds {folds}` trains them.",
            )
        return stored_artifact(self.store, found.stage, found.version, fully=True)

    def predictions(self) -> Any:
        """
        Return evaluate's predictions as a pyarrow table: one row per image, train before test.

        Columns: split, sample_id, label, predicted, probability of the predicted class, loss of the true one in nats;
                 of a set that was packed also file, as `file` has it.
        Raises:  as `artifact`.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        found = pq.read_table(self.artifact("evaluate").ref.file(PREDICTIONS))
        if not self._origins.known:
            return found
        places = zip(found["split"].to_pylist(), found["sample_id"].to_pylist(), strict=True)
        files = [self._origins.name(split, sample_id) for split, sample_id in places]
        return found.append_column("file", pa.array(files, pa.string()))

    def file(self, split: SplitName, sample_id: int) -> str:
        """
        Return the name of the file that an image came from, below the place that was packed: `oak/1.png`.

        Of a file with many images its row stands behind: `digits.csv, row 7`. The name is empty where none is known: of
        IDX files that a description names, and where what knew it is no longer stored.

        Raises: ArtifactDamaged.
        """
        return self._origins.name(split, sample_id)

    @cached_property
    def _origins(self) -> Origins:
        from flows.origins import origins_of

        return origins_of(self.store, self.record)


@dataclass(frozen=True, repr=False)
class Archive:
    """An open store; see `open_store`. Args: remote: where runs of this store share their artifacts."""

    store: Store
    remote: RemotePlace | None = None

    def __repr__(self) -> str:
        return f"<store {self.store.home}>"

    def _repr_html_(self) -> str:
        """Return its newest runs for a notebook."""
        from idxflow.views.notebook import store_html

        return store_html(self)

    @property
    def names(self) -> Names:
        """The aliases and pins."""
        return Names(self.store)

    def history(self) -> RunHistory:
        """Read the history: the runs, newest first, and the files that are no run's record."""
        return read_history(self.store)

    def runs(self) -> list[ArchivedRun]:
        """List the runs, newest first."""
        return [ArchivedRun(self.store, RunRecord.of(record)) for record in self.history().records]

    def run(self, word: str = "latest") -> ArchivedRun:
        """
        Find a run: by the beginning of its id, by what it made, an alias, or `latest`: the newest completed run.

        Raises: UsageError: none, or more than one.
        """
        return ArchivedRun(self.store, RunRecord.of(find_run(self.store, word)))

    def artifact(self, word: str) -> Stored:
        """Find an artifact: by the beginning of its version, an alias; a run's word stands for its model."""
        return find_artifact(self.store, word)

    def find(self, word: str, *, completed: bool = False) -> RunRecord | Stored:
        """
        Find the run or artifact that a word stands for.

        Args:   completed: `latest` is the newest completed run, and not the newest in any state.
        Raises: UsageError; ArtifactDamaged.
        """
        found = find(self.store, word, completed=completed)
        return RunRecord.of(found) if isinstance(found, Record) else found

    def lineage(self, word: str) -> Lineage:
        """Return what an artifact was made from, and what was made from it."""
        from artifacts.archive.lineage import trace

        return trace(self.store, self.artifact(word))

    def study(self, word: str) -> FoundStudy:
        """
        Return what a sweep found: of a run that tuned, or of its study. `to_pandas()` makes a table of its trials.

        Raises: UsageError: it is none, or no longer stored; ArtifactDamaged.
        """
        from idxflow.comparing.studies import find_study

        return find_study(self.store, find(self.store, word, completed=True))

    def compare_trainings(self, a: str, b: str) -> TrainingComparison:
        """
        Compare two trainings by their held-out rows, as two trials of a sweep, `43be:12`; nobody need have tested them.

        Raises: UsageError; ArtifactDamaged.
        """
        from idxflow.comparing.trainings import compare_trainings

        return compare_trainings(self.store, self.artifact(a), self.artifact(b))

    def compare(self, a: str, b: str) -> Comparison:
        """Compare two runs."""
        from idxflow.comparing.comparison import compare_runs

        first, second = (RunRecord.of(find_run(self.store, word)) for word in (a, b))
        return compare_runs(self.store, first, second)

    def export(
        self,
        word: str,
        folder: Path | str,
        *,
        formats: Sequence[str] = ("keras",),
        sign: Path | str | None = None,
        sbom: bool = False,
    ) -> Exported:
        """
        Write a model, and everything needed to use it, to a new or empty folder; see `idxflow.exporting.export`.

        Args:
            formats: keras, onnx, litert, litert-int8, saved_model; each is proved on all stored test predictions.
            sign:    a private key, with which the folder is signed.
            sbom:    list the packages that are installed here.
        Raises: UsageError; ArtifactDamaged; NotProved: a format gives other predictions than those that are stored.
        """
        from idxflow.exporting.export import export

        key = None if sign is None else Path(sign)
        return export(self.store, self.artifact(word), Path(folder), formats=formats, sign=key, sbom=sbom)

    def predict(
        self, word: str, *paths: Path | str, label: str | None = None, only_new: bool = False, **preparing: Any
    ) -> Answers:
        """
        Name the images that lie at some paths, and record that as a run.

        Args:
            word:      of a run or model, see `run`; or the path of an exported folder.
            paths:     pictures, folders, archives, CSV, npz or IDX files.
            label:     column of the labels in a table.
            only_new:  leave out files that the model has named, or refused, at the same path before.
            preparing: of pictures that are not as for training: `fit`, `pad`, `background`, `frames`, `deep`.
        Raises: UsageError: no such model, or a value that is none.  or a path where nothing lies.  As `run`.
        """
        from artifacts.engine.direct import recording_directly
        from flows.answers import Preparing, answer, trained
        from flows.answers import ask as ask_about
        from idxflow.predicting.document import Answers

        try:
            said = Preparing.model_validate({name: value for name, value in preparing.items() if value is not None})
        except ValidationError as error:
            first = error.errors()[0]
            where, expected = f"--{first['loc'][0]}", first.get("ctx", {}).get("expected", first["msg"])
            found_there, way_out = repr(first["input"]), "Nothing has run."
            raise UsageError(where, expected=expected, found=found_there, way_out=way_out) from error
        network = trained(self.store, word)
        asked = ask_about(network, [str(path) for path in paths], said, label)
        with recording_directly(self.store, remote=self.remote) as run:
            found = answer(run, network, asked, only_new=only_new)
        _show_answers(self.store, run, found.answers)
        return Answers.of(run.id, self.store, network, found)

    def page(self, out: Path | str | None = None) -> WrittenPage:
        """
        Write the history as one HTML page without a network.

        Args:   out: a file that is new, or an earlier page; None: `page.html` in the home folder.
        Raises: UsageError: it is neither, or cannot be written.
        """
        from idxflow.views.layout import short_path
        from idxflow.views.page_files import WrittenPage, check_page, write_page
        from idxflow.views.store_page import FILE, MARK, store_page

        path = self.store.home / FILE if out is None else Path(out)
        check_page(path, MARK)
        folder = path.absolute().parent.resolve()
        made = store_page(self.store, self.history(), datetime.now(UTC), folder, short_path(self.store.home))
        write_page(path, made.html)
        return WrittenPage(path.absolute(), made.runs, made.curves, len(made.html.encode()))

    def verify(self, *, everything: bool = False, repair: bool = False) -> Audit:
        """Hash every file of every artifact; see `artifacts.archive.audit.Auditor`."""
        from artifacts.archive.audit import Auditor

        return Auditor(self.store, everything=everything, repair=repair).run(datetime.now(UTC))

    def clean_up(self, *, keep: int, older_than: timedelta | None = None, really: bool = False) -> Cleanup:
        """Return what nothing keeps, and delete it if `really`; see `artifacts.archive.collect`."""
        from artifacts.archive.collect import collect, survey

        return (collect if really else survey)(self.store, keep=keep, older_than=older_than, now=datetime.now(UTC))


def _show_answers(store: Store, run: DirectRun, answers: list[Answered]) -> None:
    """Show what was named in the dashboard, if the home folder's server runs."""
    from flows.scored_page import DRIFT, FLOW, drift_payload, headline, key_of, page
    from idxflow.server.posting import Posting, post_later

    told = headline(answers)
    posting = Posting(
        flow=FLOW,
        name=f"{run.dataset} / {told}",
        tags=[run.dataset, "scores", *([] if answers else ["nothing-changed"])],
        ended=datetime.now(UTC).isoformat(),
        message=f"By `idxflow predict`, run {run.id} of `idxflow runs`.",
        key=key_of(run.dataset_id) if answers else "",
        page=page(answers) if answers else "",
        told=told,
        events=[(DRIFT, drift_payload(each)) for each in answers if each.scored.drift and not each.cached],
    )
    with suppress(OSError, IdxflowError):  # a dashboard is there to be looked at, and fails no call
        post_later(store.home, posting)


def open_store(home: Path | str | None = None) -> Archive:
    """
    Open the store of a home folder.

    Args:   home: None: what IDXFLOW_HOME or the settings files name, else `.idxflow` in the working folder.
    Raises: UsageError: there is none.
    """
    from idxflow.cli.settings import load_settings

    settings = load_settings({"home": None if home is None else str(home)})
    return Archive(existing_store(settings.home), settings.remote)


def doctor(home: Path | str | None = None) -> Diagnosis:
    """
    Say how this installation and a home folder are, as `idxflow doctor` does; nothing is changed.

    Args: home: as of `open_store`; there need not be one. Settings that do not read are among the problems.
    """
    from idxflow.diagnosing.diagnosis import diagnose

    return diagnose(None if home is None else str(home))


def open_remote(
    home: Path | str | None = None, *, url: str | None = None, endpoint: str | None = None, region: str | None = None
) -> Shared:
    """
    Open the remote of a home folder, which is created if it is not there: to push, pull, check and clean up.

    Args:   home: as of `open_store`.  url, endpoint, region: instead of what the settings name.
    Raises: UsageError: there is no remote, or what it needs is not installed.  RemoteError: it is away, or is refused.
    """
    from artifacts.remote.shared import Shared
    from idxflow.cli.settings import load_settings

    given = {name: value for name, value in (("url", url), ("endpoint", endpoint), ("region", region)) if value}
    settings = load_settings({"home": None if home is None else str(home), "remote": given or None})
    return Shared(settings.remote, Store(settings.home))


def plan(
    dataset: str | Path | None = None,
    training: Training | None = None,
    *,
    mirrors: tuple[str, ...] = (),
    refresh: tuple[str, ...] = (),
    revalidate: bool = False,
    pack: Choices | None = None,
    home: Path | str | None = None,
    **values: Unpack[TrainingValues],
) -> Plan:
    """
    Return what `run` with the same arguments would do, and why; nothing is computed. See there for the arguments.

    Raises: UsageError: no such data set or stage, a wrong value, or an address with a secret in it.
    """
    from flows.plan import plan_pipeline
    from idxflow.cli.options import home_of

    job = ask(dataset, training, values, refresh, mirrors=mirrors, revalidate=revalidate, pack=pack or Choices())
    return plan_pipeline(Store(home_of(None if home is None else str(home)), create=False), job)


def run(
    dataset: str | Path | None = None,
    training: Training | None = None,
    *,
    mirrors: tuple[str, ...] = (),
    refresh: tuple[str, ...] = (),
    revalidate: bool = False,
    alert_below: float | None = None,
    force: bool = False,
    pack: Choices | None = None,
    workers: Workers | None = None,
    home: Path | str | None = None,
    ephemeral: bool = False,
    **values: Unpack[TrainingValues],
) -> ArchivedRun:
    """
    Run the pipeline in this process, as `idxflow run` does, and return the run: what is stored is not computed again.

        run("digits", epochs=200)
        run("mnist", profile="tuned", seed=7)

    Progress is a line every few seconds of what takes long. A run starts the home folder's Prefect server where none
    works, and that stays; its dashboard shows the run. It works where an event loop runs already, as in a notebook. Of
    several threads one after the other runs. Ctrl-C ends it as KeyboardInterrupt: finished stages are stored, and
    called again it goes on. Only the home folder is taken from the environment and settings files, all else is here.

    Args:
        dataset:     a name of the catalog, or a path: of a description (.toml), a folder of pictures, an archive, a
                     CSV or an .npz. None: MNIST if it is stored or a mirror answers within 3 s, else the digits.
        training:    the whole configuration. None: what `values` say.
        mirrors:     addresses (http, https, file) or folders to try, in order, before the catalog's own.
        refresh:     stages to rebuild even where they are cached.
        revalidate:  ask each file's mirror whether it has changed.
        alert_below: test accuracy, in [0, 1], below which the run warns and emits an event.
        force:       go on where more memory or disk is needed than is free.
        pack:        what is said of a folder, archive, table or file of arrays.
        workers:     who computes; None: threads of this process. See `schemas.workers.Workers`.
        home:        as for `open_store`; it is made where there is none.
        ephemeral:   use a temporary server, which ends with this process.
        values:      of the configuration, by name: `profile`, `epochs`, `hidden`, `seed` and so on; what is not named
                     is the profile's, and without one the profile is tutorial.
    Raises:
        UsageError:        no such data set or stage, a wrong name or value: nothing has run.
        StageError:        a stage failed; see `schemas.errors`. The run is in the history, with what it has finished.
        ServerError:       Prefect's server cannot be started, or does not answer.
        KeyboardInterrupt: Ctrl-C.
    """
    from flows.workers import require_workers
    from idxflow.calling import carried_out
    from idxflow.cli.options import home_of

    others = {"mirrors": mirrors, "revalidate": revalidate, "alert_below": alert_below, "force": force}
    job = ask(dataset, training, values, refresh, pack=pack or Choices(), workers=workers or Workers(), **others)
    require_workers(job.workers)
    check_dataset(job)
    folder = home_of(None if home is None else str(home))
    record = carried_out(job, folder, ephemeral=ephemeral)
    return ArchivedRun(existing_store(folder), record)


def tune(
    dataset: str | Path | None = None,
    training: Training | None = None,
    *,
    space: Mapping[str, Any] | None = None,
    trials: int = 24,
    round: int = 8,  # noqa: A002 - as the option is called
    prune: bool = False,
    objective: Literal["accuracy", "loss"] = "accuracy",
    seeds: int = 3,
    retry: bool = False,
    mirrors: tuple[str, ...] = (),
    refresh: tuple[str, ...] = (),
    revalidate: bool = False,
    force: bool = False,
    pack: Choices | None = None,
    workers: Workers | None = None,
    home: Path | str | None = None,
    ephemeral: bool = False,
    **values: Unpack[TrainingValues],
) -> FoundStudy:
    """
    Try settings of the training, as `idxflow tune` does, and return the study: what is stored is not trained again.

        found = tune("mnist", epochs=20, space={"learning_rate": "log:1e-3..1e-1", "hidden": [[50, 50], [100, 50]]})
        run("mnist", profile=str(found.best_toml))

    Args:
        space:     what is tried, by field; None: step size, momentum, decay and hidden units. See docs/tuning.md.
        trials:    in all; those that are stored count.
        round:     trials that are asked for at once.
        prune:     end trials early that are behind.
        objective: what is compared, of the held-out rows.
        seeds:     trainings of the winner, and of the settings that the trials differ from, for the test.
        retry:     try once more what has failed in this sweep before.
        workers:   who trains; None: processes of this machine, one for each core.
    All else is as of `run`, and so are the errors.
    """
    from flows.sweeping import space_of
    from flows.tuning_job import TuningJob
    from flows.workers import require_workers
    from idxflow.calling import carried_out
    from idxflow.cli.options import home_of
    from tasks.quality.search_space import require_optuna

    require_optuna()
    if space is not None and not isinstance(space, Mapping):
        raise UsageError("space", expected="a mapping of fields", found=repr(space), way_out="Nothing has run.")
    common = {"mirrors": mirrors, "revalidate": revalidate, "force": force}
    job = ask(dataset, training, values, refresh, pack=pack or Choices(), **common)
    try:
        sweep = Sweep.model_validate(
            {
                "space": dict(space or {}),
                "trials": trials,
                "round": round,
                "prune": prune,
                "objective": objective,
                "seeds": seeds,
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        subject = ".".join(map(str, first["loc"]))
        found, way_out = repr(first["input"]), "Nothing has run."
        raise UsageError(subject, expected=first["msg"], found=found, way_out=way_out) from error
    shared = {name: getattr(job, name) for name in ("dataset", "training", "mirrors", "refresh", "pack")}
    asked = TuningJob(
        sweep=sweep,
        retry=retry,
        revalidate=revalidate,
        force=force,
        workers=workers or Workers(runner="dask"),
        **shared,
    )
    space_of(asked)
    require_workers(asked.workers)
    check_dataset(job)

    def flow(**_: Any) -> RunRecord:
        from flows.tuning import tuning

        done: RunRecord = tuning(**asked.parameters)
        return done

    folder = home_of(None if home is None else str(home))
    record = carried_out(job, folder, ephemeral=ephemeral, flow=flow)
    return Archive(existing_store(folder)).study(record.id)
