"""
A place of one's own (a folder of pictures, an archive, a table, a file of arrays) as a data set.

What lies there is found from names and headers, and noted with the digest of the listing: a place that has not changed
is not looked through again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from artifacts.code import code_digests
from artifacts.keys import digest_of as digest_of_parts
from artifacts.store.disk import disk
from artifacts.store.files import read_plain, write_atomically
from artifacts.store.store import Store
from schemas.addresses import below_home
from schemas.catalog import digest_of, is_place
from schemas.catalog.corrections import with_corrections
from schemas.catalog.places import load_place
from schemas.catalog.reading import find_description, set_name
from schemas.corrections import CORRECTIONS
from schemas.datasets import Dataset, Split, TableSpec
from schemas.errors import BadSource, StoreError, UsageError
from schemas.source import TEST_FRACTION, Choices, Source, SplitName
from tasks.formats.tree import left_out

SURVEY = "tasks.formats.survey"
KINDS = {"pictures": "Pictures", "table": "A table of pixels", "arrays": "Arrays", "idx": "IDX files"}
"""What a set is made of, in words."""
SUFFIX = re.compile(r"(?:\.(?:zip|tar|gz|tgz|csv|tsv|npz))+$", re.IGNORECASE)
"""Endings that are no part of a set's name."""


def packed_dataset(store: Store, given: str, choices: Choices) -> Dataset | None:
    """
    Return a data set that is packed: what lies at a path, or what a description with [pack] names.

    Args:    given: the path; `~` is the user's home folder.  choices: they win over those of a description.
    Returns: None where `given` is neither.
    Raises:  UsageError: a wrong description.  As `own_dataset`.
    """
    if is_place(given):
        place, tables = table_in(below_home(given))
        return own_dataset(store, place, place.name or given, choices, tables)
    if (found := load_place(given)) is None:
        return None
    place, described = found
    said = {name: getattr(choices, name) for name in choices.model_fields_set}
    data = own_dataset(
        store, place, place.name, Choices.model_validate({**described.choices, **said}), described.pack.tables
    )
    description = find_description(given)
    name = set_name(description)
    specs = {
        split: each.model_copy(update={"spec": each.spec.model_copy(update={"dataset": name, "described_in": given})})
        for split, each in data.splits.items()
    }
    update = {
        "name": name,
        "identity": f"{name}-{digest_of(os.path.abspath(description))[:8]}",  # noqa: PTH100 - as for other descriptions
        "title": described.title,
        "source": described.source or data.source,
        "checks": described.checks,
        "held_out": described.held_out,
        "splits": specs,
    }
    beside = description.parent / CORRECTIONS
    if data.corrected and os.path.lexists(beside) and not beside.samefile(place / CORRECTIONS):
        raise UsageError(
            f"{place.name}/{CORRECTIONS}",
            expected=f"one file of corrections, in the place or beside {description.name}",
            found="both",
            way_out="Put their lines into one.",
        )
    return with_corrections(data.model_copy(update=update), beside, wanted=False)


def own_dataset(
    store: Store, place: Path, given: str, choices: Choices, tables: Mapping[SplitName, str] | None = None
) -> Dataset:
    """
    Describe what lies at a place.

    Args:   given: what messages call it.  tables: that a person has named as what lists its pictures, by part.
    Raises: BadSource: nothing that can be used.  StageError: it cannot be read.  UsageError: no name follows from it.
    """
    path = Path(os.path.abspath(place))  # noqa: PTH100 - what lies beside a link is seen from its folder
    source = find_source(store, path, given, choices, tables or {})
    name = name_of(path)
    fraction = None if "test" in source.splits else choices.test_fraction or TEST_FRACTION
    splits = {
        split: Split(
            spec=TableSpec(
                dataset=name,
                split=split,
                shape=source.shape,
                classes=source.classes,
                test_fraction=fraction,
                described_in=f"a description of it (idxflow describe {given} --out {name}.toml)",
            ),
            shards=(),
        )
        for split in ("train", "test")
    }
    data = Dataset(
        name=name,
        identity=f"{name}-{digest_of(str(path))[:8]}",
        title=SUFFIX.sub("", path.name) or path.name,
        source=f"{KINDS[source.kind]} of one's own, packed from {given}",
        splits=splits,
        packed=source,
    )
    return with_corrections(data, path / CORRECTIONS, wanted=False) if path.is_dir() else data


def table_in(path: Path) -> tuple[Path, dict[SplitName, str]]:
    """Return the folder of a table that lists pictures, and that table; of everything else the path itself."""
    from tasks.formats.listed import lists_pictures

    if not lists_pictures(path):
        return path, {}
    return path.absolute().parent, {"train": path.name}


def name_of(path: Path) -> str:
    """Return what the set of a place is called: by its name, or a number where that has no letter a to z or digit."""
    try:
        return set_name(Path(f"{SUFFIX.sub('', path.name)}.toml"))
    except UsageError:
        return f"set-{digest_of(path.name)[:8]}"


def find_source(store: Store, path: Path, given: str, choices: Choices, tables: Mapping[SplitName, str]) -> Source:
    """Look what lies at a place, or take what was noted of the same contents. Raises: as `own_dataset`."""
    if not path.exists():
        way_out = f"Correct the path: {path}."
        raise BadSource(given, expected="a folder, archive or file", found="nothing there", way_out=way_out)
    listing = store.own_folders.listing(path, left_out) if path.is_dir() else None
    content = listing.content if listing else store.own_files.content(path).sha256
    decided = [content, choices.model_dump(mode="json"), dict(tables), code_digests(SURVEY, store.scans)]
    note = store.home / "own" / f"{digest_of_parts(decided)[:16]}.json"
    with suppress(OSError, ValidationError):
        noted = Source.model_validate_json(read_plain(note))
        here = {"path": str(path), "name": given, "allow_refused": choices.allow_refused}
        return noted.model_copy(update=here)
    from tasks.formats.survey import survey
    from tasks.formats.tree import open_tree

    with open_tree(path, listing.scan if listing else None) as tree:
        found = survey(tree, choices, tables)
    source = Source(
        path=str(path),
        name=given,
        kind=found.kind,
        content=content,
        picture=found.picture,
        classes=found.classes,
        splits=found.splits,
        label=choices.label,
        chosen=choices.classes,
        tables=found.tables,
        counts=found.counts,
        allow_refused=choices.allow_refused,
    )
    if (store.home / "artifacts").is_dir():
        with suppress(StoreError), disk(note):
            write_atomically(note, source.model_dump_json().encode(), durable=False)
    return source
