"""
List remote files without a published checksum, as they were on first use; renew or forget them.

Such files have to stay what they were then. They are trusted together, as one
generation of a data set, once both of its splits have passed every check.
A file on this machine is hashed whenever it changes, and needs no trust.

Examples:
  idxflow trust                        all data sets
  idxflow trust leaves                 the files of one
  idxflow trust leaves.toml --renew    the set was published again: accept all its files as they are now
  idxflow trust leaves.toml --forget
"""

from __future__ import annotations

import re
from typing import Annotated

from cyclopts import Parameter

from artifacts.store.store import Store
from idxflow.api import open_store
from idxflow.cli.ending import DONE
from idxflow.cli.options import Home, Json, flag
from idxflow.cli.output import put_json
from idxflow.views.console import open_console
from idxflow.views.store import print_all_trusted, print_trusted
from schemas.catalog import load_dataset
from schemas.counts import counted
from schemas.errors import UsageError

RECORD = re.compile("[0-9a-f]{16}")
"""The name of a record."""
UNCHANGED = "Nothing has changed."


def trust(
    word: Annotated[
        str | None,
        Parameter(help="The path of the .toml that describes the data set, its name as listed, or its address."),
    ] = None,
    /,
    *,
    renew: Annotated[bool, flag("Accept all files of the data set as they are now.")] = False,
    forget: Annotated[bool, flag("Delete what is recorded of its files: the next use is the first.")] = False,
    json: Json = False,
    home: Home = None,
) -> int:
    """List what is trusted on first use; renew or forget it."""
    if renew and forget:
        raise UsageError("--renew, --forget", expected="one of them", found="both", way_out=UNCHANGED)
    if (renew or forget) and not word:
        subject = "--renew" if renew else "--forget"
        raise UsageError(subject, expected="a data set to go with it", found="none", way_out=UNCHANGED)
    store, console = open_store(home).store, open_console(json=json)
    if word is None:
        known = store.trust.all()
        put_json(known) if json else print_all_trusted(console, known, store.trust.flaws())
        return DONE
    place, names = find_place(store, word)
    if forget:
        if not store.trust.forget(place):
            raise _nothing(word)
        done = f"{word}: forgotten. The next run accepts its files as they are."
        put_json({"done": done}) if json else console.line(done)
        return DONE
    if (trusted := store.trust.renew(place, names) if renew else store.trust.read(place)) is None:
        raise _nothing(word)
    if json:
        put_json(trusted)
    elif renew:
        files, then = counted(len(trusted.renewing), "file"), "trusts them once both splits have passed every check"
        console.line(f"{word}: the next run accepts {files} as they are then, and {then}.")
    else:
        print_trusted(console, trusted)
    return DONE


def find_place(store: Store, word: str) -> tuple[str, frozenset[str] | None]:
    """
    Find the record of a data set's trusted files.

    Args:    word: a description's path, the name of a set, an address, or the name of a record.
    Returns: the place, and the names of the set's files that have no checksum; None where the word says no set.
    Raises:  UsageError: nothing or more than one is trusted by that name, or the description names no remote mirror.
    """
    if word.endswith(".toml"):
        return _place_of(store, word)
    known = store.trust.all()
    found = [each.place for each in known if word in {each.address, each.place, *each.sets, *each.sets.values()}]
    if not found and RECORD.fullmatch(word) and store.trust.has(word):
        found = [word]  # one that does not read
    if len(found) == 1:
        return found[0], None
    if not found:
        raise _nothing(word)
    raise UsageError(
        word,
        expected="the name of one set",
        found=f"{len(found)}: {', '.join(f'{each.place} ({each.address})' for each in known if each.place in found)}",
        way_out=f"Name one by its digits, or by the path of its .toml. {UNCHANGED}",
    )


def _place_of(store: Store, path: str) -> tuple[str, frozenset[str]]:
    dataset = load_dataset(path)
    names = frozenset(file.name for file in dataset.files if not file.sha256)
    if dataset.place:
        trusted = None if store.trust.has(dataset.place) else store.trust.find(dataset.place, dataset.identity)
        return trusted.place if trusted else dataset.place, names
    if trusted := store.trust.find("", dataset.identity):  # by way of --mirror
        return trusted.place, names
    raise UsageError(
        path,
        expected="a set with a remote mirror",
        found="files on this machine only, which are hashed whenever they change",
        way_out=f"There is nothing to accept: a run takes them as they are. {UNCHANGED}",
    )


def _nothing(word: str) -> UsageError:
    return UsageError(
        word,
        expected="a data set with trusted files",
        found="none",
        way_out=f"`idxflow trust` lists them. {UNCHANGED}",
    )
