"""
What a person's word stands for.

A word is the beginning of a run's id or of a version, `stage/` and the beginning of a version, an alias, or `latest`.
An alias wins over beginnings, a whole id or version over what merely begins so. Beginnings are looked for among the
names of files: nothing is read for them.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from artifacts.archive.name_records import LATEST, alias_files, find_alias
from artifacts.archive.runs import list_runs, read_run, run_ids
from artifacts.disk import disk
from artifacts.integrity import Damage, Stored
from artifacts.publishing import settle
from artifacts.run_record import RunRecord
from artifacts.store import Store
from schemas.errors import ArtifactDamaged, StoreError, UsageError

MODEL = "train"
"""The stage whose artifact a run stands for."""
SHOWN = 5
"""Candidates that a message names at most."""
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


def find(store: Store, word: str) -> RunRecord | Stored:
    """
    Find the run or the artifact that a word stands for; `latest` is a run.

    Raises: UsageError: nothing, or more than one thing.  ArtifactDamaged.  StoreError: a record does not read.
    """
    if word == LATEST:
        return find_run(store, word)
    found = _resolve(store, word)
    return stored_artifact(store, found.stage, found.id) if found.stage else _run(store, found.id)


def find_run(store: Store, word: str) -> RunRecord:
    """
    Find the run that a word stands for; for an artifact and its alias, that is the one that made it.

    Raises: UsageError: nothing, or more than one thing.  ArtifactDamaged.  StoreError: a record does not read.
    """
    if word == LATEST:
        if records := list_runs(store):
            return records[0]
        raise _no_run("a run", "none")
    found = _resolve(store, word)
    if not found.stage:
        return _run(store, found.id)
    maker = stored_artifact(store, found.stage, found.id).manifest.run
    if (record := read_run(store, maker)) is None:
        raise UsageError(
            str(found),
            expected=f"the record of run {maker}, which made it",
            found="none",
            way_out="Name another run that used it: `idxflow show` lists them.",
        )
    return record


def find_artifact(store: Store, word: str) -> Stored:
    """
    Find the artifact that a word stands for: for a run its model, for `latest` that of the last completed one.

    Raises: UsageError: nothing, or more than one thing.  ArtifactDamaged.  StoreError: a record does not read.
    """
    if word == LATEST:
        completed = [record for record in list_runs(store) if record.state == "completed"]
        if not completed:
            raise _no_run("a completed run", "none")
        return _model(store, completed[0])
    found = _resolve(store, word)
    return stored_artifact(store, found.stage, found.id) if found.stage else _model(store, _run(store, found.id))


def stored_artifact(store: Store, stage: str, version: str, *, fully: bool = False) -> Stored:
    """
    Check an artifact, as quickly as a run does that finds it cached, and leave it where it is.

    Args:   fully: hash every file, as whoever is about to read one should.
    Raises: UsageError: it is not in the store.  ArtifactDamaged: it is not what it was.
    """
    settle(store, stage, version)
    try:
        found = store.inspect(stage, version, fully=fully)
    except Damage as damage:
        raise ArtifactDamaged(
            f"artifact {stage}/{version}",
            expected="what its manifest says",
            found=str(damage),
            way_out="Put it aside with `idxflow verify --repair`; a run that needs it makes it anew.",
        ) from damage
    if found is None:
        raise UsageError(
            f"artifact {stage}/{version}",
            expected="it to be in the store",
            found="none: it was cleaned up, put aside or never finished",
            way_out="A run of the same code, data and configuration makes it anew.",
        )
    return found[0]


def _model(store: Store, record: RunRecord) -> Stored:
    """Return the model of a run."""
    models = [Found(row.stage, row.version) for row in record.stages if row.stage == MODEL]
    if not models:
        raise UsageError(
            f"run {record.id}",
            expected="one with a model",
            found=f"a {record.state} one without",
            way_out="Name another run, or the version of an artifact: `idxflow show` lists those of a run.",
        )
    if len(models) > 1:
        raise _ambiguous(f"run {record.id}", "one model", models)
    return stored_artifact(store, models[0].stage, models[0].id)


def _run(store: Store, run: str) -> RunRecord:
    """Return the record of a run that is there."""
    if (record := read_run(store, run)) is None:
        raise StoreError(
            f"run {run}",
            expected="a record that reads",
            found="a damaged one",
            way_out=f"Restore runs/{run}.json from a backup, or delete it.",
        )
    return record


def _resolve(store: Store, word: str) -> Found:
    """Find the one thing that a word stands for."""
    if alias := find_alias(store, word):
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
    if not matches:
        raise _nothing(store, word, known)
    if len(matches) > 1:
        raise _ambiguous(word, "the beginning of one run or version", matches)
    return matches[0]


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


def _no_run(expected: str, found: str) -> UsageError:
    return UsageError(LATEST, expected=expected, found=found, way_out="Make one with `idxflow run`.")
