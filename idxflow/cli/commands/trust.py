"""`idxflow trust`: what remote files without a published checksum were on their first use."""

from __future__ import annotations

import re
from typing import Annotated

from cyclopts import Parameter
from pydantic import TypeAdapter
from rich.text import Text

from artifacts.store.store import Store
from artifacts.store.trust import Trusted
from idxflow.archive import open_store
from idxflow.cli.ending import DONE
from idxflow.cli.options import Home, Json
from idxflow.cli.printing import put_json
from idxflow.views.console import Console, open_console
from idxflow.views.tables import table_lines
from idxflow.views.times import local_time
from schemas.catalog import load_dataset
from schemas.errors import UsageError
from schemas.text import amount, counted

DIGITS = 16
"""Of a SHA-256, as many as a person is shown."""
RECORD = re.compile("[0-9a-f]{16}")
"""The name of a record."""
UNCHANGED = "Nothing has changed."


def trust(
    word: Annotated[
        str | None,
        Parameter(help="The path of the .toml that describes the set, its name as it is listed, or its address."),
    ] = None,
    /,
    *,
    renew: Annotated[
        bool, Parameter(negative="", show_default=False, help="Accept all files of the set as they are now.")
    ] = False,
    forget: Annotated[
        bool, Parameter(negative="", show_default=False, help="Forget what its files were: the next run is the first.")
    ] = False,
    json: Json = False,
    home: Home = None,
) -> int:
    """List what remote files without a published checksum were on their first use; renew or forget it."""
    if renew and forget:
        raise UsageError("--renew, --forget", expected="one of them", found="both", way_out=UNCHANGED)
    if (renew or forget) and not word:
        subject = "--renew" if renew else "--forget"
        raise UsageError(subject, expected="a data set to go with it", found="none", way_out=UNCHANGED)
    store, console = open_store(home).store, open_console(json=json)
    if word is None:
        return _list(store, console, json=json)
    place, names = find_place(store, word)
    if forget:
        if not store.trust.forget(place):
            raise _nothing(word)
        return _say(console, f"{word}: forgotten. The next run takes its files as they are.", json=json)
    trusted = store.trust.renew(place, names) if renew else store.trust.read(place)
    if trusted is None:
        raise _nothing(word)
    if json:
        put_json(trusted.model_dump_json(indent=2))
        return DONE
    if renew:
        files = counted(len(trusted.renewing), "file")
        return _say(
            console,
            f"{word}: the next run takes all {files} as they are then, and trusts them once both splits have passed "
            "every check.",
        )
    print_trusted(console, trusted)
    return DONE


def find_place(store: Store, word: str) -> tuple[str, frozenset[str] | None]:
    """
    Find the place that a data set's files are trusted under.

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


def print_trusted(console: Console, trusted: Trusted) -> None:
    """Print what is trusted of one place."""
    console.line(Text.assemble((trusted.names, "bold"), f"  {trusted.address}"))
    since = f"trusted since {local_time(trusted.since)}"
    console.line(since + (f"; the next run accepts {_count(trusted)} as they are then" if trusted.renewing else ""))
    cells = [
        (name, amount(file.bytes, "bytes"), Text(file.sha256[:DIGITS], "dim")) for name, file in trusted.files.items()
    ]
    for line in table_lines(("file", "size", "SHA-256"), cells, right=("size",)):
        console.line(line)


def _count(trusted: Trusted) -> str:
    renewing = len(trusted.renewing)
    return "all files" if renewing == len(trusted.files) else counted(renewing, "file")


def _list(store: Store, console: Console, *, json: bool) -> int:
    known = store.trust.all()
    if json:
        put_json(TypeAdapter(list[Trusted]).dump_json(known, indent=2).decode())
        return DONE
    if not known:
        console.line("Nothing is trusted on its first use: every file has a checksum, or lies on this machine.")
    else:
        cells = [
            (
                Text(each.names, "bold"),
                counted(len(each.files), "file"),
                f"{local_time(each.since)}{' (to be renewed)' if each.renewing else ''}",
                each.place,
                each.address,
            )
            for each in known
        ]
        for line in table_lines(("set", "files", "since", "record", "address"), cells):
            console.line(line)
    for flaw in store.trust.flaws():
        console.warn(str(flaw))
    return DONE


def _say(console: Console, text: str, *, json: bool = False) -> int:
    if json:
        put_json(TypeAdapter(dict[str, str]).dump_json({"done": text}).decode())
    else:
        console.line(text)
    return DONE


def _nothing(word: str) -> UsageError:
    return UsageError(
        word,
        expected="a set of which something is trusted",
        found="none",
        way_out=f"`idxflow trust` lists them. {UNCHANGED}",
    )
