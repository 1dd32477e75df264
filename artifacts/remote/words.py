"""What a person's word stands for in a remote: the words of `artifacts.archive.lookup`, looked for there."""

from __future__ import annotations

import re
from dataclasses import dataclass

from artifacts.archive.aliases import SETS_SHOWN
from artifacts.archive.lookup import LISTS, MODEL
from artifacts.archive.name_records import ALIAS, AT, LATEST, Alias
from artifacts.remote.backend import Backend
from artifacts.remote.crew import Crew
from artifacts.remote.layout import ALIASES, ARTIFACTS, RUNS, artifact_of
from artifacts.remote.travelling import last_first, look_at_alias, look_at_run
from artifacts.run_record import Record
from schemas.errors import UsageError

RUN = re.compile(rf"{RUNS}([0-9a-f]{{12}})\.json")


@dataclass(frozen=True)
class Meant:
    """
    What a word stands for: a run, an artifact, or an alias and its artifact.

    Args: run: its record.  artifact: stage and version.
    """

    run: Record | None = None
    artifact: tuple[str, str] | None = None
    alias: Alias | None = None


def meant_there(backend: Backend, crew: Crew, word: str) -> Meant:
    """
    Find what a word stands for in a remote.

    Raises: UsageError: nothing, or more than one thing.  Unbelievable: what it is does not read.  RemoteError.
    """
    first, _, dataset = word.partition(AT)
    if first == LATEST:
        return Meant(run=_latest(backend, crew, word, dataset))
    if ALIAS.fullmatch(first) and (alias := _alias(backend, word, first, dataset)):
        if alias.artifact is None:
            expected, found = "one that is set", "one that was removed"
            raise UsageError(f"alias {word!r}", expected=expected, found=found, way_out=LISTS)
        return Meant(artifact=alias.artifact, alias=alias)
    stage, slash, start = word.rpartition("/")
    artifacts = [
        artifact
        for entry in backend.list(f"{ARTIFACTS}{stage}/" if re.fullmatch("[a-z][a-z0-9_]*", stage) else ARTIFACTS)
        if (artifact := artifact_of(entry.name)) and artifact[1].startswith(start) and stage in ("", artifact[0])
    ]
    runs = [] if slash else [("", run) for run in _runs(backend) if run.startswith(word)]
    whole = [each for each in (*runs, *artifacts) if each[1] == start]
    matches = (whole or [*runs, *artifacts]) if start else []
    if len(matches) != 1:
        few = ["/".join(filter(None, each)) for each in matches[:SETS_SHOWN]]
        raise UsageError(
            repr(word),
            expected="the beginning of one run or version in the remote, an alias, or latest",
            found=f"{len(matches)}: {', '.join(few)}" if matches else "nothing of that name",
            way_out="`idxflow remote status` tells what is there. Nothing has changed.",
        )
    of, one = matches[0]
    return Meant(artifact=(of, one)) if of else Meant(run=look_at_run(backend, one))


def _runs(backend: Backend) -> list[str]:
    return [match[1] for entry in backend.list(RUNS) if (match := RUN.fullmatch(entry.name))]


def _alias(backend: Backend, word: str, name: str, dataset: str) -> Alias | None:
    """Find an alias by its name; `champion` alone is that of a data set too, where there is one only."""
    if exact := look_at_alias(backend, word):
        return exact
    names = [entry.name.removeprefix(ALIASES).removesuffix(".json") for entry in backend.list(ALIASES)]
    bound = [each for each in names if each.partition(AT)[0] == name and not dataset]
    found = [alias for each in bound if (alias := look_at_alias(backend, each)) and alias.artifact]
    if len(found) > 1:
        few = ", ".join(alias.name for alias in found[:SETS_SHOWN])
        way_out = f"Say which, as {found[0].name}."
        raise UsageError(f"alias {word!r}", expected="one alias", found=few, way_out=way_out)
    return found[0] if found else None


def _latest(backend: Backend, crew: Crew, word: str, dataset: str) -> Record:
    """Return the run of the remote that ended last, of those that completed with a model."""
    for record in last_first(backend, crew):
        if (
            record.state == "completed"
            and any(row.stage == MODEL for row in record.stages)
            and (not dataset or dataset in {record.dataset, record.identity})
        ):
            return record
    expected, way_out = "a completed run with a model in the remote", "`idxflow remote push` puts one there."
    raise UsageError(word, expected=expected, found="none", way_out=way_out)
