"""
What the Tab key offers: runs, aliases, versions, data sets, fields, paths.

The scripts of cyclopts (`idxflow completion`) ask for it by `idxflow __complete WORDS`, and keep what begins as the
word does. Whatever fails here offers nothing: a person is typing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.catalog import dataset_names
from schemas.training import PROFILES, Training

if TYPE_CHECKING:
    from cyclopts.completion import CompletionContext

    from artifacts.store.store import Store

Offered = list[tuple[str, str]]
"""Words, each with what is said of it."""
Completer = Callable[["CompletionContext"], Offered]
MOST = 50
"""Runs that are offered, the newest ones; and versions of a stage."""
PLACES = (".toml", ".csv", ".tsv", ".npz", ".zip", ".tar", ".gz", ".tgz", ".xz")
"""Endings of what may be a data set."""


def one_of(*words: str) -> Completer:
    """Return a completer that offers these words."""
    return lambda _: [(word, "") for word in words]


def runs_and_names(context: CompletionContext) -> Offered:
    """Offer `latest`, the aliases, the newest runs; behind `train/` the versions of that stage."""
    if (store := _store(context)) is None:
        return []
    stage, slash, _ = context.incomplete.partition("/")
    if slash:
        return [(f"{stage}/{each.name}", "") for each in _newest(store.artifacts / stage)]
    return [*_latest(store), *aliases(context), *_runs(store)]


def models(context: CompletionContext) -> Offered:
    """Offer the same, and folders: an exported model is one."""
    return [*runs_and_names(context), *paths(context.incomplete, ())]


def aliases(context: CompletionContext) -> Offered:
    """Offer the aliases that are set."""
    from artifacts.archive.names import Names

    if (store := _store(context)) is None:
        return []
    return [(each.name, "/".join(each.artifact)) for each in Names(store).aliases() if each.artifact]


def datasets(context: CompletionContext) -> Offered:
    """Offer the sets of the catalog, and what may be one on this machine."""
    return [*((name, "catalog") for name in dataset_names()), *paths(context.incomplete, PLACES)]


def known_datasets(context: CompletionContext) -> Offered:
    """Offer the data sets that have runs."""
    from artifacts.archive.index import RunIndex

    if (store := _store(context)) is None:
        return []
    with RunIndex(store) as index:
        return [(name, "") for name in dict.fromkeys(run.dataset for run in index.runs()) if name]


def profiles(context: CompletionContext) -> Offered:
    """Offer the profiles, and TOML files."""
    return [*((name, "") for name in PROFILES), *paths(context.incomplete, (".toml",))]


def fields(_: CompletionContext) -> Offered:
    """Offer the fields of the training configuration, as `--set` takes them."""
    told = Training.model_fields.items()
    return [(f"training.{name}=", str(field.description or "")) for name, field in told if name != "profile"]


def conditions(_: CompletionContext) -> Offered:
    """Offer what `runs --where` asks of: facts of a run, and fields of the configuration."""
    from idxflow.listing.selecting import FACTS, FIELDS

    return [(f"{name}=", "") for name in (*FACTS, *FIELDS)]


def folders(context: CompletionContext) -> Offered:
    """Offer folders."""
    return paths(context.incomplete, ())


def places(context: CompletionContext) -> Offered:
    """Offer folders, and files of any kind."""
    return paths(context.incomplete, None)


def paths(begun: str, endings: tuple[str, ...] | None) -> Offered:
    """
    Offer what lies below a path that is being typed; a folder that stands alone with what is in it.

    Args: endings: of files that count beside folders; None: every file does.
    """
    found = list(_entries(begun, endings))
    if len(found) == 1 and found[0].endswith("/"):
        found += _entries(found[0], endings)
    return [(path, "") for path in found]


def _entries(begun: str, endings: tuple[str, ...] | None) -> Iterator[str]:
    above, slash, name = begun.rpartition("/")
    with suppress(OSError):
        for entry in sorted(os.scandir(Path(above + slash or ".").expanduser()), key=lambda each: each.name):
            if not entry.name.startswith(name) or (entry.name.startswith(".") and not name):
                continue
            if entry.is_dir():
                yield f"{above}{slash}{entry.name}/"
            elif endings is None or entry.name.lower().endswith(endings or ("/",)):
                yield f"{above}{slash}{entry.name}"


def _store(context: CompletionContext) -> Store | None:
    """Open the store of the home folder that is meant, if there is one."""
    from artifacts.store.store import existing_store
    from idxflow.cli.options import home_of
    from schemas.errors import IdxflowError

    typed = context.get("home")
    with suppress(IdxflowError):
        return existing_store(home_of(typed.raw if typed is not None and typed.provided else None))
    return None


def _latest(store: Store) -> Iterator[tuple[str, str]]:
    from artifacts.archive.index import RunIndex

    with RunIndex(store) as index:
        runs = index.runs()
    if runs:
        yield "latest", "the newest run"
    for dataset in dict.fromkeys(run.dataset for run in runs if run.state == "completed"):
        if dataset:
            yield f"latest@{dataset}", f"the newest of {dataset}"


def _runs(store: Store) -> Offered:
    from artifacts.archive.index import RunIndex

    with RunIndex(store) as index:
        return [(run.id, f"{run.dataset or '-'}, {run.state}, {run.started[:16]}") for run in index.runs()[:MOST]]


def _newest(folder: Path) -> list[os.DirEntry[str]]:
    """Return the newest artifacts of a stage."""
    there = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")] if folder.is_dir() else []
    return sorted(there, key=lambda entry: entry.stat(follow_symlinks=False).st_mtime, reverse=True)[:MOST]
