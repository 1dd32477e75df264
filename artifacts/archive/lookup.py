"""
What a person's word stands for.

A word is the beginning of a run's id or of a version, `stage/` and the beginning of a version, an alias, an alias, `@`
and a data set, `latest`, or `latest@` and a data set. Of a run that tuned, or of its study, such a word, `:` and a
number is that trial: its training, or the first epochs of it; `latest:12` is one of the newest completed sweep.
So is the beginning of a digest that a page prints, where it is of no name: of an artifact's content, or of a file in
it; of versions with the same content the newest. For that alone manifests are read.
An alias wins over beginnings, a whole id or version over what merely begins so. Beginnings are looked for among the
names of files: nothing is read for them.

`latest` is the newest run that completed with a model, wherever artifacts or metrics are wanted; to see how runs end,
the newest. Other jobs leave runs as well, which have none: only where no run has one, they count.
"""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from artifacts.archive.aliases import the_alias
from artifacts.archive.index import RunIndex
from artifacts.archive.name_records import LATEST, alias_files
from artifacts.archive.runs import ENDED, read_run, run_ids, state_of, subject_of
from artifacts.ref import STAGE_WORD
from artifacts.run_record import Record, StageRecord
from artifacts.store.disk import disk
from artifacts.store.integrity import Damage, Stored
from artifacts.store.publishing import settle
from artifacts.store.store import Store
from schemas.errors import ArtifactDamaged, StoreError, UsageError
from schemas.tuning import TRIAL, WINNER

logger = logging.getLogger("idxflow.lookup")
MODEL = "train"
"""The stage whose artifact a run stands for."""
TRAININGS = (MODEL, "begin")
"""The stages that leave what a trial has come to; the first one counts where there are both."""
OTHER_JOBS = ("-scores", "-hints", "-promotions", "-tune")
"""How the identities end under which runs are counted that are none of the pipeline."""
OF = ":"
"""What stands between a sweep and the number of a trial."""
DIGEST = re.compile("[0-9a-f]{12,64}")
"""What is looked for among digests: shorter words are the beginnings of names."""
SHOWN = 5
"""Candidates that a message names at most."""
REBUILDS = "A run of the same code, data and configuration rebuilds it"
LISTS = "`idxflow runs` lists runs, `idxflow show RUN` its versions, `idxflow alias` the aliases."


@dataclass(frozen=True)
class Found:
    """
    Something that a word may stand for.

    Args:
        stage: of an artifact; empty for a run.
        id:    an artifact's version, or a run's id.
    """

    stage: str
    id: str

    def __str__(self) -> str:
        """Return it as a person would name it."""
        return f"{self.stage}/{self.id}" if self.stage else f"run {self.id}"


def find(store: Store, word: str, *, completed: bool = False) -> Record | Stored:
    """
    Find the run or the artifact that a word stands for; `latest` is a run.

    Args:   completed: `latest` is the newest that completed.
    Raises: UsageError: nothing, or more than one thing.  ArtifactDamaged.  StoreError: a record does not read.
    """
    if (dataset := _latest_of(word)) is not None:
        return _latest(store, dataset, completed=completed)
    found = _resolve(store, word)
    return stored_artifact(store, found.stage, found.id) if found.stage else _run(store, found.id)


def find_run(store: Store, word: str) -> Record:
    """
    Find the run that a word stands for; `latest` is the newest that completed.

    For an artifact and its alias that is the run that made it; where that did not complete, or was a sweep, the newest
    that completed with it, of the pipeline if there is one.

    Raises: UsageError: nothing, or more than one thing.  ArtifactDamaged.  StoreError: a record does not read.
    """
    if (dataset := _latest_of(word)) is not None:
        return _latest(store, dataset, completed=True)
    found = _resolve(store, word)
    if not found.stage:
        return _run(store, found.id)
    maker = stored_artifact(store, found.stage, found.id).manifest.run
    record = read_run(store, maker)
    if record is None or record.state != "completed" or _trials(record):
        with RunIndex(store) as index:
            completed = [each.id for each in index.users(found.stage, found.id) if each.state == "completed"]
        users = [each for each in _records(store, completed) if each.state == "completed"]
        # What a sweep has made, a run of the pipeline may have tested as well: that one tells more.
        record = next((each for each in users if not _trials(each)), next(iter(users), record))
    if record is None:
        raise UsageError(
            str(found),
            expected=f"the record of run {maker}, which made it, or of one that completed with it",
            found="none",
            way_out="Name another run that used it: `idxflow show` lists them.",
        )
    return record


def find_artifact(store: Store, word: str) -> Stored:
    """
    Find the artifact that a word stands for: for a run its model, for `latest` that of the last completed one.

    Raises: UsageError: nothing, or more than one thing.  ArtifactDamaged.  StoreError: a record does not read.
    """
    if (dataset := _latest_of(word)) is not None:
        return _model(store, _latest(store, dataset, completed=True))
    found = _resolve(store, word)
    return stored_artifact(store, found.stage, found.id) if found.stage else _model(store, _run(store, found.id))


def is_untested(store: Store, word: str) -> bool:
    """
    Tell whether a word stands for a training that no run of the pipeline has completed with, or for a run that tuned.

    Raises: as `find`.
    """
    found = find(store, word, completed=True)
    if isinstance(found, Record):
        return bool(_trials(found))
    ref = found.ref
    if ref.stage not in TRAININGS:
        return False
    with RunIndex(store) as index:
        users = [each.id for each in index.users(ref.stage, ref.version)]
    records = list(_records(store, users))
    # Where no record is left, whoever looks for the run says so.
    return ref.stage != MODEL or (bool(records) and all(_trials(each) for each in records))


def stored_artifact(store: Store, stage: str, version: str, *, fully: bool = False) -> Stored:
    """
    Check an artifact that has to be there; see `find_stored`.

    Raises: UsageError: it is not in the store.  ArtifactDamaged: it is not what it was.
    """
    if (found := find_stored(store, stage, version, fully=fully)) is None:
        raise UsageError(
            f"artifact {stage}/{version}",
            expected="it to be in the store",
            found="none: it was cleaned up, put aside or never finished",
            way_out=f"{REBUILDS}.",
        )
    return found


def find_stored(store: Store, stage: str, version: str, *, fully: bool = False) -> Stored | None:
    """
    Check an artifact, as quickly as a run does that finds it cached, and leave it where it is.

    Args:    fully: hash every file, as whoever is about to read one should.
    Returns: None where it is not in the store.
    Raises:  ArtifactDamaged: it is not what it was.
    """
    settle(store, stage, version)
    try:
        found = store.inspect(stage, version, fully=fully)
    except Damage as damage:
        raise ArtifactDamaged(
            f"artifact {stage}/{version}",
            expected="what its manifest says",
            found=str(damage),
            way_out="Put it aside with `idxflow verify --repair`; a run that needs it rebuilds it.",
        ) from damage
    return found


def _model(store: Store, record: Record) -> Stored:
    """Return the model of a run."""
    trained = [row for row in record.stages if row.stage == MODEL]
    # A run that tuned has trained many: it stands for the best of them.
    chosen = [row for row in trained if row.name.startswith(WINNER)][:1] or trained
    models = [Found(row.stage, row.version) for row in chosen]
    if not models:
        raise UsageError(
            subject_of(store, record),
            expected="one with a model",
            found="one without",
            way_out="Name another run, or the version of an artifact: `idxflow show` lists those of a run.",
        )
    if len(models) > 1:
        raise _ambiguous(f"run {record.id}", "one model", models)
    return stored_artifact(store, models[0].stage, models[0].id)


def _records(store: Store, runs: Iterable[str]) -> Iterator[Record]:
    return filter(None, (read_run(store, run) for run in runs))


def _latest_of(word: str) -> str | None:
    """Return the data set of `latest@SET`, nothing of `latest`; None of any other word."""
    first, at, dataset = word.partition("@")
    if is_trial(word):
        return None
    return dataset if first == LATEST and (dataset or not at) else None


def _latest(store: Store, dataset: str, *, completed: bool) -> Record:
    """
    Return the newest run; with `completed` the newest that is, and say which newer one is passed over.

    Args: dataset: of which set, by its name or by what tells it from others of that name; empty: of any.
    """
    with RunIndex(store) as index:
        known = index.runs()
    runs = [each for each in known if not dataset or dataset in {each.dataset, each.identity}]
    wanted = [each.id for each in runs if not completed or each.state == "completed"]
    # The record says how it ended, whatever the index made of it.
    found = next((each for each in _records(store, wanted) if not completed or each.state == "completed"), None)
    if completed and found and not _has_model(found):
        done = (each for each in _records(store, wanted) if each.state == "completed")
        found = next(filter(_has_model, done), found)
    # Other jobs end with a dash in their identity: they make no model, and are newer than the newest one all the time.
    trainings = (each.id for each in runs if not completed or not each.identity.endswith(OTHER_JOBS))
    newest = next(_records(store, trainings), None)
    newer = ""
    if newest and (found is None or newest.id != found.id):
        newer = f"run {newest.id} {ENDED[state_of(store, newest)]}"
    word = f"{LATEST}@{dataset}" if dataset else LATEST
    if found is None:
        sets = ", ".join(sorted({each.dataset for each in known} - {""})[:SHOWN])
        others = f" There are runs of {sets}." if dataset and sets else ""
        raise UsageError(
            word,
            expected="a completed run" if completed else "a run",
            found=f"none: {newer}" if newer else "none",
            way_out=f"Make one with `idxflow run`.{others}",
        )
    if newer and newest and (state_of(store, newest) != "completed" or _has_model(newest)):
        logger.warning("%s is run %s: the newer %s.", word, found.id, newer)
    return found


def _has_model(record: Record) -> bool:
    """Tell whether a run trained a model, and not one for each trial of a sweep."""
    return any(row.stage == MODEL for row in record.stages) and not _trials(record)


def _run(store: Store, run: str) -> Record:
    """Return the record of a run that is there."""
    if (record := read_run(store, run)) is None:
        raise StoreError(
            f"run {run}",
            expected="a record that reads",
            found="a damaged one",
            way_out=f"Restore runs/{run}.json from a backup, or delete it.",
        )
    return record


def is_trial(word: str) -> bool:
    """Tell whether a word is that of a trial: `43be:12`."""
    return OF in word


def _trial(store: Store, word: str) -> Found:
    """Find the training of a trial, by the record of the run that made it."""
    sweep, _, number = word.rpartition(OF)
    if (dataset := _latest_of(sweep)) is not None:
        with RunIndex(store) as index:
            known = [each for each in index.runs() if each.state == "completed"]
        ids = [each.id for each in known if not dataset or dataset in {each.dataset, each.identity}]
        found: Record | Stored | None = next(filter(_trials, _records(store, ids)), None)
    else:
        found = find(store, sweep)
    if found is None or isinstance(found, Record):
        records = [found] if found else []
    else:
        with RunIndex(store) as index:
            users = index.users(found.ref.stage, found.ref.version)
        records = list(_records(store, [each.id for each in users if each.state == "completed"][:1]))
    rows = [row for record in records for row in _trials(record)]
    named = {row.stage: row for row in rows if row.name == f"{TRIAL}{number}"}
    if row := next((named[stage] for stage in TRAININGS if stage in named), None):
        return Found(row.stage, row.version)
    numbers = sorted(int(row.name.removeprefix(TRIAL)) for row in rows)
    raise UsageError(
        repr(word),
        expected=f"a trial that was trained, of {numbers[0]} to {numbers[-1]}" if numbers else "a run that tuned",
        found=(number or "no number") if numbers else "one without trials",
        way_out=f"`idxflow show {sweep}` lists its trials." if numbers else LISTS,
    )


def _trials(record: Record) -> list[StageRecord]:
    """Return the rows of a run's trials; none of a run that did not tune."""
    return [row for row in record.stages if re.fullmatch(rf"{TRIAL}\d+", row.name)]


def _resolve(store: Store, word: str) -> Found:
    """Find the one thing that a word stands for."""
    if is_trial(word):
        return _trial(store, word)
    if alias := the_alias(store, word):
        if alias.artifact:
            return Found(*alias.artifact)
        raise UsageError(
            f"alias {word!r}",
            expected="one that is set",
            found="one that was removed",
            way_out=f"`idxflow alias {word}` shows what it stood for.",
        )
    known = _everything(store)
    stage, slash, start = word.rpartition("/")
    named = [each for each in known if not slash or each.stage == stage]
    whole = [each for each in named if each.id == start]
    matches = whole or [each for each in named if (start or slash) and each.id.startswith(start)]
    matches = [each for each in matches if not each.stage or store.is_committed(each.stage, each.id)]
    if not matches and DIGEST.fullmatch(start):
        matches = _of_digest(store, start, stage if slash else None)
    if not matches:
        raise _nothing(store, word, known)
    if len(matches) > 1:
        raise _ambiguous(word, "the beginning of one run or version", matches)
    return matches[0]


def _of_digest(store: Store, start: str, stage: str | None) -> list[Found]:
    """Find, of each stage, the newest artifact that has a digest with this beginning."""
    if stage is not None and not STAGE_WORD.fullmatch(stage):
        return []
    found: dict[str, tuple[str, str]] = {}
    for each in store.manifests(stage):
        digests = (each.digest, *(entry.sha256 for entry in each.files.values()))
        if any(digest.startswith(start) for digest in digests) and store.is_committed(each.stage, each.version):
            found[each.stage] = max(found.get(each.stage, ("", "")), (each.created, each.version))
    return [Found(stage, version) for stage, (_, version) in sorted(found.items())]


def _everything(store: Store) -> list[Found]:
    """List all runs and, by the names of their folders, all versions."""
    with disk(store.artifacts):
        return [Found("", run) for run in run_ids(store)] + [Found(*each) for each in store.versions()]


def _nothing(store: Store, word: str, known: list[Found]) -> UsageError:
    # A word is held against as much of each id as it is long.
    start = word.rpartition("/")[2]
    words = {each.id[: len(start)]: str(each) for each in known} if start else {}
    words |= {each.stage: f"{each.stage}/VERSION" for each in known if each.stage} | {LATEST: LATEST}
    words |= {path.stem: path.stem for path in alias_files(store)}
    close = difflib.get_close_matches(start or word, words, n=3, cutoff=0.75)
    meant = f"Did you mean {' or '.join(words[each] for each in close)}? " if close else ""
    expected = "the beginning of a run's id or of a version, an alias, or latest"
    return UsageError(repr(word), expected=expected, found="nothing of that name", way_out=meant + LISTS)


def _ambiguous(subject: str, expected: str, matches: list[Found]) -> UsageError:
    few = ", ".join(str(each) for each in matches[:SHOWN])
    more = f", and {len(matches) - SHOWN} more" if len(matches) > SHOWN else ""
    way_out = "Give more digits, or a version with its stage."
    return UsageError(subject, expected=expected, found=f"{len(matches)}: {few}{more}", way_out=way_out)
