"""
Which alias a word means: an alias belongs to the data set of what it stands for.

`champion@mnist` is the alias of one data set: `aliases/champion@mnist.json`, or `aliases/champion.json` while that
stands for something of this set. A data set is called by its name, or by what tells it from another of that name.
`champion` alone is whichever of these there is, if there is one only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from artifacts.archive.index import RunIndex
from artifacts.archive.name_records import ALIAS, AT, Alias, alias_files, find_alias, read_alias, split_word
from artifacts.store.store import Store
from schemas.errors import UsageError

SETS_SHOWN = 5
"""Data sets that a message names at most."""


@dataclass(frozen=True)
class Place:
    """
    Where the alias that a word means is written, or is to be.

    Args:
        name:   of the alias, as in its file: `champion`, `champion@mnist`.
        alias:  as it is; None: there is none yet.
        across: whether it is of another data set than the artifact that it is to stand for.
    """

    name: str
    alias: Alias | None
    across: bool = False


def sets_of(store: Store, alias: Alias) -> frozenset[str]:
    """Return the identities of the data sets that an alias is of; none where nobody knows."""
    if bound := split_word(alias.name)[1]:
        return frozenset({bound})
    return sets_of_artifact(store, *alias.artifact) if alias.artifact else frozenset()


def sets_of_artifact(store: Store, stage: str, version: str) -> frozenset[str]:
    """Return the identities of the data sets whose runs made or used an artifact."""
    with RunIndex(store) as index:
        return frozenset(each.identity for each in index.users(stage, version))


def sets_called(store: Store, word: str) -> frozenset[str]:
    """Return the identities of the data sets that a word may mean: itself, and those of sets of that name."""
    with RunIndex(store) as index:
        return frozenset({word, *(each.identity for each in index.runs() if word in {each.dataset, each.identity})})


def aliases_called(store: Store, word: str) -> list[Alias]:
    """
    List the aliases that a word may mean, those that are removed only where no other is.

    Raises: StoreError: the file of one does not read.
    """
    name, dataset = split_word(word)
    if not ALIAS.fullmatch(name) or (AT in word and not dataset):
        return []
    plain, bound = find_alias(store, name), _bound(store, name)
    if dataset:
        sets = sets_called(store, dataset) if bound or plain else frozenset()
        found = [alias for alias in bound if split_word(alias.name)[1] in sets]
        if plain and not any(alias.artifact for alias in found) and sets & sets_of(store, plain):
            found.append(plain)
    else:
        found = [*([plain] if plain else ()), *bound]
    return [alias for alias in found if alias.artifact] or found


def the_alias(store: Store, word: str) -> Alias | None:
    """
    Return the one alias that a word means, removed or not; None where none is called so.

    Raises: UsageError: there are several.  StoreError: the file of one does not read.
    """
    found = aliases_called(store, word)
    if len(found) > 1 and any(alias.artifact for alias in found):
        raise ambiguous(word, called(store, found))
    return found[0] if found else None


def place_for(store: Store, word: str, sets: Collection[str], *, new: bool = False) -> Place:
    """
    Find where the alias that a word means is to be written.

    Args:
        sets: identities of the data sets of what it is to stand for; none: nobody knows.
        new:  the word without a data set means the alias of that set, whether or not there is one already. Without it,
              it means the one that there is, of whatever set.
    Raises:
        UsageError: there are several.  StoreError: the file of one does not read.
    """
    name, dataset = split_word(word)
    if dataset:
        wanted = sets_called(store, dataset)
        own = sorted(wanted & frozenset(sets))
        alias = the_alias(store, word)
        return Place(alias.name if alias else f"{name}{AT}{(own or [dataset])[0]}", alias, bool(sets) and not own)
    there = [alias for alias in aliases_called(store, name) if alias.artifact]
    fitting = [alias for alias in there if not (known := sets_of(store, alias)) or not sets or known & frozenset(sets)]
    if new:
        mine = f"{name}{AT}{sorted(sets)[0]}" if sets else name
        bound = find_alias(store, mine)
        plain = next((alias for alias in fitting if alias.name == name), None)
        alias = bound if bound and (bound.artifact or not plain) else plain
        return Place(alias.name if alias else mine, alias)
    if not there:
        return Place(name, find_alias(store, name))
    choice = fitting if len(there) > 1 else there
    if len(choice) != 1:
        raise ambiguous(name, called(store, there))
    return Place(choice[0].name, choice[0], choice[0] not in fitting)


def called(store: Store, aliases: Iterable[Alias]) -> list[str]:
    """Name aliases with their data sets."""
    names = []
    for alias in aliases:
        sets = sorted(sets_of(store, alias))
        names.append(alias.name if AT in alias.name or not sets else f"{alias.name}{AT}{sets[0]}")
    return names


def ambiguous(word: str, names: list[str]) -> UsageError:
    """Return the error for a word that several aliases are called by. Args: names: with their data sets."""
    found = f"{len(names)}: {', '.join(names[:SETS_SHOWN])}{', ...' if len(names) > SETS_SHOWN else ''}"
    return UsageError(f"alias {word!r}", expected="one alias", found=found, way_out=f"Say which, as {names[0]}.")


def _bound(store: Store, name: str) -> list[Alias]:
    """List the aliases of a name that have their data set in it, removed or not."""
    return [read_alias(path) for path in alias_files(store) if path.name.startswith(f"{name}{AT}")]
