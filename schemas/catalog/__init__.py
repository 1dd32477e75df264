"""
The data sets that idxflow knows by name, one TOML file each: data, not code.

What holds for every file of a set stands once, at the top: shape, classes, mirrors. A set of one's own is
described in the same way and given by the path of its TOML; without `sha256` a file is trusted on first use.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from schemas.addresses import below_home, fill, redact, refuse_windows_path
from schemas.catalog.corrections import with_corrections
from schemas.catalog.mistakes import list_mistakes, mistakes
from schemas.catalog.reading import HOW, find_description, parse_description, read_description, refuse_unknown, set_name
from schemas.class_names import Classes
from schemas.corrections import CORRECTIONS
from schemas.datasets import Checks, Count, Dataset, LabelColumn, LabelForm, StoredLabel, Switch
from schemas.errors import UsageError
from schemas.file_name import FileName, printable
from schemas.held_out import Way
from schemas.image_spec import ListedShape
from schemas.parameters import Parameters, Sha256, Wanted
from schemas.titles import Title

_FOLDER = Path(__file__).parent


def _check_file(name: str) -> str:
    if not name.strip() or not printable(name):
        raise Wanted("the name of a file")
    return name


@dataclass(frozen=True)
class Place:
    """
    Where a description lies, and what follows from that; see `Dataset` and `RemoteFile`.

    Args: described_in: the name of its file; empty for one of the catalog.
    """

    identity: str
    address: str
    described_in: str


class _File(Parameters):
    name: FileName
    bytes: Count | None = None
    sha256: Sha256 | None = None
    raw_bytes: Count | None = None


class _Shard(Parameters):
    images: _File
    labels: _File


class _Labels(Parameters):
    """What labels mean: said at the top for both splits, below [train] or [test] for one."""

    label_offset: StoredLabel | None = None
    label_values: tuple[StoredLabel, ...] | None = None
    label_column: LabelColumn | None = None
    labels: LabelForm | None = None

    def over(self, top: _Labels) -> dict[str, Any]:
        """
        Return what holds for a split that says this, where `top` says that.

        Offset, values and form are three answers to one question: a split that gives one takes none from the top.
        """
        meaning = {"label_offset", "label_values", "labels"}
        column = self.label_column if self.label_column is not None else top.label_column
        said = self if any(getattr(self, name) is not None for name in meaning) else top
        return {"label_column": column, **said.model_dump(include=meaning, exclude_none=True)}


class _Split(_Labels):
    samples: Count | None = None
    shards: tuple[_Shard, ...] = Field(min_length=1)


class _Test(_Split):
    shards: tuple[_Shard, ...] = ()
    fraction: float | None = Field(default=None, gt=0, lt=1)

    @property
    def cut(self) -> bool:
        """
        Whether it is cut off the train files.

        Raises: ValueError: it has files of its own, too, or neither, or says more than the fraction.
        """
        if self.fraction is None and not self.shards:
            raise ValueError("neither [[test.shards]] nor a fraction below [test], which cuts it off the train files")
        more = sorted(self.model_fields_set - {"fraction"})
        if self.fraction is not None and more:
            raise ValueError(f"test.fraction and test.{more[0]}: what is cut off the train files is as they are")
        return self.fraction is not None


class _Description(_Labels):
    """A TOML file's structure, under the names that stand in it."""

    title: Title
    source: Annotated[str, Field(max_length=10_000)]
    shape: ListedShape
    classes: Classes
    transpose: Switch = False
    mirrors: tuple[str, ...] = Field(min_length=1, max_length=100)
    checks: Checks = Checks()
    held_out: Way = "stratified"
    corrections: Annotated[str, Field(max_length=1_000), AfterValidator(_check_file)] = CORRECTIONS
    train: _Split
    test: _Test

    @model_validator(mode="after")
    def _says_one_thing_of_each_file(self) -> _Description:
        said = dict[str, _File]()
        for shard in (*self.train.shards, *self.test.shards):
            for file in (shard.images, shard.labels):
                if (before := said.setdefault(file.name, file)) != file:
                    differing = [name for name in _File.model_fields if getattr(file, name) != getattr(before, name)]
                    raise Wanted(f"the same {differing[0]} wherever it is named", f"the file {file.name!r}")
        return self

    def dataset(self, name: str, mirrors: tuple[str, ...], place: Place) -> Dataset:
        """Return the data set, with what stands at the top filled in for each split and file."""
        return Dataset.model_validate(
            {
                "name": name,
                "identity": place.identity,
                "place": digest_of(place.address)[:16] if place.address else "",
                "home": redact(place.address),
                "title": self.title,
                "source": self.source,
                "checks": self.checks,
                "held_out": self.held_out,
                "splits": {
                    "train": self._split("train", self.train, name, mirrors, place),
                    "test": self._split("test", self.train if self.test.cut else self.test, name, mirrors, place),
                },
            }
        )

    def _split(
        self, kind: Literal["train", "test"], split: _Split, name: str, mirrors: tuple[str, ...], place: Place
    ) -> dict[str, Any]:
        own = {"mirrors": mirrors, "described_in": place.described_in}
        return {
            "spec": {
                "dataset": name,
                "split": kind,
                "samples": split.samples,
                "test_fraction": self.test.fraction,
                "described_in": place.described_in,
                **split.over(self),
                **self.model_dump(include={"shape", "classes", "transpose"}),
            },
            "shards": [
                {"images": shard.images.model_dump() | own, "labels": shard.labels.model_dump() | own}
                for shard in split.shards
            ],
        }


_NAMES = {name for part in (_Description, _Test, _Shard, _File, Checks) for name in part.model_fields}


@lru_cache(maxsize=4)  # a run asks several times, and one of a year of shards has a thousand files to look at
def _described(content: bytes, shown: str) -> _Description:
    return _Description.model_validate(parse_description(content, shown))


@lru_cache(maxsize=4)
def _dataset(content: bytes, shown: str, name: str, mirrors: tuple[str, ...], place: Place) -> Dataset:
    return _described(content, shown).dataset(name, mirrors, place)


def dataset_names() -> tuple[str, ...]:
    """Return the names of the catalog's data sets, in alphabetical order."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def is_place(name_or_path: str) -> bool:
    """Tell whether a data set is named by the path of what is there: no name of the catalog, and no description."""
    known = name_or_path.endswith(".toml") or name_or_path in dataset_names() or not name_or_path.strip()
    return not known and below_home(name_or_path).exists()


def load_dataset(name_or_path: str, mirrors: tuple[str, ...] = ()) -> Dataset:
    """
    Load a data set from the catalog, or from one's own TOML file.

    Args:
        name_or_path: a name of `dataset_names()`, or a path that ends in `.toml`; the set is then called
            as the file is, see `schemas.catalog.reading.set_name`.
        mirrors: base addresses (http, https, file) or folders to try before those of the description;
            folders are relative to the working folder, and in a description to the folder of its file.
            What an address refers to is taken from the environment; see `schemas.addresses`.
    Raises: UsageError: an unknown name, a secret that is not in the environment, or a file that does not describe
            a data set; it says which field.  Of `corrections.csv` beside it, a line that cannot be followed.
    """
    own = name_or_path.endswith(".toml")
    if not own and name_or_path not in dataset_names():
        close = difflib.get_close_matches(name_or_path, dataset_names(), n=1)
        raise refuse_unknown(name_or_path, dataset_names(), close[0] if close else None)
    path = find_description(name_or_path) if own else _FOLDER / f"{name_or_path}.toml"
    try:
        content = read_description(path, name_or_path)
        description = _described(content, name_or_path)
        addresses = [_address(mirror, Path()) for mirror in mirrors]
        described = [_address(mirror, path.parent) for mirror in description.mirrors]
        # As it is written, query and all, and before its secrets are filled in: they may change.
        remote = (each for each in (*description.mirrors, *mirrors) if urlsplit(each).scheme in {"http", "https"})
        name = set_name(path)
        # Not resolved: what lies beside a link is seen from the link's folder.
        identity = f"{name}-{digest_of(os.path.abspath(path))[:8]}" if own else name  # noqa: PTH100
        place = Place(identity, next(remote, ""), path.name if own else "")
        dataset = _dataset(content, name_or_path, name, tuple(dict.fromkeys([*addresses, *described])), place)
    except (OSError, ValueError) as error:  # TOMLDecodeError and ValidationError are ValueErrors
        raise UsageError(
            name_or_path,
            expected="a TOML file that describes a data set",
            found=list_mistakes(mistakes(error, _NAMES, _Description.model_fields)),
            way_out=HOW,
        ) from error
    if not own:
        return dataset
    named = "corrections" in description.model_fields_set
    return with_corrections(dataset, path.parent / below_home(description.corrections), wanted=named)


def digest_of(text: str) -> str:
    """Return 64 hexadecimal digits that stand for a path or an address without revealing it."""
    return hashlib.sha256(os.fsencode(text)).hexdigest()


def _address(mirror: str, folder: Path) -> str:
    """Return `mirror` as a base address, its secrets filled in; what has no scheme is a folder, seen from `folder`."""
    refuse_windows_path("mirror", mirror)
    if not mirror.strip() or not printable(mirror):
        raise UsageError(
            "mirror",
            expected="an address or a folder",
            found=repr(mirror),
            way_out='In TOML "\\t" is a tab, and a folder is written with /.' if mirror.strip() else "Name one.",
        )
    scheme = urlsplit(mirror).scheme
    if scheme not in {"", "http", "https", "file"}:
        raise UsageError(
            f"mirror {redact(mirror)}",
            expected="an http, https or file address, or a folder",
            found=f"the scheme {scheme}",
            way_out="An address without a scheme is a folder: write http:// before a host.",
        )
    if not scheme:
        return (folder / below_home(mirror)).resolve().as_uri().rstrip("/") + "/"
    parts = urlsplit(fill(mirror, os.environ))
    return parts._replace(path=parts.path.rstrip("/") + "/").geturl()
