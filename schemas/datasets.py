"""What a labelled IDX data set is: its files, checksums, shape, classes and what to check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, Field, Strict, model_validator

from schemas.class_names import Classes
from schemas.corrections import Corrections
from schemas.file_name import FileName, stored_name
from schemas.held_out import Way
from schemas.image_spec import ImageSpec
from schemas.parameters import Parameters, Sha256, Wanted
from schemas.source import Source

Severity = Literal["ignore", "warn", "error"]


DatasetName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]


Origin = Literal["published", "own file", "first use"]
"""Who says what a file has to be: its description; the file itself, which lies on this machine; its first download."""


Count = Annotated[int, Strict(), Field(gt=0, le=2**50)]
StoredLabel = Annotated[int, Strict(), Field(ge=-(2**31), lt=2**31)]
LabelColumn = Annotated[int, Strict(), Field(ge=0)]
Switch = Annotated[bool, Strict()]
LabelForm = Literal["integers", "one-hot"]


class RemoteFile(Parameters):
    """
    One file on a mirror, and what identifies it: its content, never its name or its place.

    A description need not publish a `sha256`. It is then found before anything is computed: of a file on this machine
    by hashing it, of a remote one by what was trusted on its first use (`flows.identify`).
    """

    outside_key: ClassVar[frozenset[str]] = frozenset({"mirrors", "described_in", "trusted_as"})
    name: FileName = Field(description="path below each mirror, perhaps with a query")
    bytes: int | None = Field(default=None, gt=0, description="size of the file")
    sha256: Sha256 | None = Field(default=None, description="of the file; None while it is not known")
    origin: Origin = Field(default="published", description="who says so")
    raw_bytes: int | None = Field(default=None, gt=0, description="published size of the decompressed file")
    mirrors: tuple[str, ...] = Field(description="base addresses, tried in order: http, https or file")
    described_in: str = Field(
        default="", description="name of the TOML file of a set of one's own, for messages; empty: the catalog's"
    )
    trusted_as: str = Field(default="", description="of a first use: name of its record in trust/, for messages")

    @property
    def known(self) -> bool:
        """Whether its content is known."""
        return self.sha256 is not None

    @property
    def file_name(self) -> str:
        """What the file is called where it is stored: no folder, no query; see `schemas.file_name.stored_name`."""
        return stored_name(self.name)


PROOF = "proof.json"
"""What verify calls the file that it leaves, a `Proof`."""
SMALLEST = 9
"""Bytes of the smallest IDX file, raw: a header of one dimension and one value."""


class Proof(BaseModel, frozen=True, extra="forbid"):
    """
    What a downloaded file is, read from the disk, beside what it had to be.

    Args:
        bytes, sha256:     of the file, and the expected ones; `expected_bytes` is None where no size is published.
        crc32:             CRC-32 of the decompressed data, 8 hexadecimal digits, as the gzip trailer states it.
        raw_size_mod_2_32: size of the decompressed data modulo 2^32, in bytes, as the gzip trailer (ISIZE) states it.
        origin:            who said what it has to be.

    The trailer is that of the last member; decompress compares the data with it. Both fields are None where the last
    bytes are no trailer: of a raw or `.xz` file, and of a `.gz` that is padded with zeros, where the size shows it.
    """

    name: str
    bytes: int = Field(ge=SMALLEST)
    sha256: Sha256
    crc32: str | None = Field(default=None, pattern=r"^[0-9a-f]{8}$")
    raw_size_mod_2_32: int | None = Field(default=None, ge=0, lt=2**32)
    origin: Origin
    expected_bytes: int | None
    expected_sha256: Sha256


class Shard(Parameters):
    """One pair of files: images, and the labels that belong to them."""

    images: RemoteFile
    labels: RemoteFile


class TableSpec(Parameters):
    """
    What the images and labels of one split have to look like.

    A stored label means a class in one of three ways: `label_offset` (integers in a row), `label_values` (integers in
    any order, with gaps), or its place in a row of `labels = "one-hot"`.
    """

    outside_key: ClassVar[frozenset[str]] = frozenset({"dataset", "described_in", "shard"})
    dataset: str = Field(default="", description="name of the set, for messages")
    split: Literal["train", "test"]
    shard: str = Field(default="", description="of a part of the split: the shard that it is; empty: it is all of it")
    shape: ImageSpec = Field(description="of an image, with 3 channels in colour; after `transpose`")
    classes: Classes = Field(description="class names, in label order")
    label_offset: StoredLabel = Field(default=0, description="the stored label of the first class")
    label_values: tuple[StoredLabel, ...] | None = Field(default=None, description="the stored label of each class")
    label_column: LabelColumn | None = Field(default=None, description="column of a two-dimensional label file")
    labels: LabelForm = Field(default="integers", description="what the label files hold")
    transpose: Switch = Field(
        default=False, description="the files hold columns x rows: parse swaps them, and no channels"
    )
    samples: int | None = Field(default=None, gt=0, description="published number of images")
    test_fraction: float | None = Field(
        default=None, gt=0, lt=1, description="share of the files' images that are the test split; the others are train"
    )
    described_in: str = Field(default="", description="name of the TOML file of a set of one's own, for messages")

    @property
    def of(self) -> str:
        """What it is of, in words: `train`, or `train night-7-images.gz` of a part."""
        return f"{self.split} {self.shard}".strip()

    def part(self, shard: str) -> TableSpec:
        """Return what the part of one shard has to look like: how many images the split has says nothing of it."""
        return self.model_copy(update={"samples": None, "shard": shard})

    @property
    def pixels(self) -> int:
        """Values of an image: rows * columns * channels."""
        return self.shape.pixels

    @property
    def stored_labels(self) -> tuple[int, ...]:
        """What the files call each class, in label order; of one-hot labels the column of its 1."""
        return self.label_values or tuple(range(self.label_offset, self.label_offset + len(self.classes)))

    @property
    def stored_shape(self) -> ImageSpec:
        """The shape of an image as the files have it."""
        return self.shape.turned if self.transpose else self.shape

    def way_out(self, own: str) -> str:
        """Return what a person can do: `own` about a set of their own, else that its files are published."""
        return own if self.described_in else "Bring the published files with --mirror."

    @model_validator(mode="after")
    def _says_labels_in_one_way(self) -> TableSpec:
        if self.labels == "one-hot" and (self.label_offset or self.label_values or self.label_column is not None):
            other = "label_offset" if self.label_offset else "label_values" if self.label_values else "label_column"
            raise Wanted("one of them", f'labels = "one-hot" and {other}')
        if self.label_values is None:
            return self
        if self.label_offset:
            raise Wanted("one of them", "label_values and label_offset")
        values, classes = len(self.label_values), len(self.classes)
        if values != classes:
            raise Wanted(f"one for each of {classes} classes", f"label_values: {values} of them")
        value, times = Counter(self.label_values).most_common(1)[0]
        if times > 1:
            raise Wanted("each value once", f"label_values: {value} twice")
        return self


class Checks(Parameters):
    """How serious a finding of the validate stage is for this data set."""

    blank: Severity = Field(default="warn", description="images whose pixels are all equal")
    duplicate: Severity = Field(default="warn", description="images that occur more than once in a split")
    leak: Severity = Field(default="warn", description="test images that occur in the train split as well")
    missing_class: Severity = Field(default="error", description="a class without a train image")
    imbalance: Severity = Field(default="warn", description="largest class over smallest above `max_imbalance`")
    max_imbalance: float = Field(default=10.0, ge=1, allow_inf_nan=False)
    drift: Severity = Field(default="warn", description="the test split's profile is unlike the train split's")
    max_drift: float = Field(
        default=0.2, gt=0, allow_inf_nan=False, description="population stability index that counts as drift"
    )


class Split(Parameters):
    """A list of shards that together make one table, and the labels of it that a person has corrected."""

    when_given: ClassVar[frozenset[str]] = frozenset({"corrections"})
    spec: TableSpec
    shards: tuple[Shard, ...] = Field(description="none where the set is packed from a place of one's own")
    corrections: Corrections | None = None

    @property
    def parts(self) -> tuple[TableSpec, ...]:
        """
        What the part of each shard has to look like; none where all shards are one part.

        They are where there is one shard, where a test split is cut out of all of them, and where labels are corrected,
        as a correction numbers the images of the whole split.
        """
        if len(self.shards) < 2 or self.spec.test_fraction is not None or self.corrections:
            return ()
        times = Counter(shard.images.name for shard in self.shards)
        return tuple(
            self.spec.part(name if times[name := shard.images.name] == 1 else f"{number} {name}")
            for number, shard in enumerate(self.shards, 1)
        )

    @property
    def files(self) -> tuple[RemoteFile, ...]:
        """Every file of the split: images and labels of each shard in turn."""
        return tuple(file for shard in self.shards for file in (shard.images, shard.labels))


class Dataset(Parameters):
    """
    A labelled image set with a train and a test split.

    Args:
        identity: what sets it apart from every other set, also one of the same name: the name of a set of the catalog,
            `leaves-3fa2b1c4` for one's own, by the place of its description.
        place:    16 digits for the first remote address that its description names, as it is written there; else for
            that of the mirrors that were given; empty where there is none.
        home:     that address as it may be shown: without user, password and query.
    """

    outside_key: ClassVar[frozenset[str]] = frozenset({"identity", "place", "home"})
    name: DatasetName
    identity: str = ""
    place: str = ""
    home: str = ""
    title: str
    source: str = Field(description="where the set comes from and under which licence")
    splits: dict[Literal["train", "test"], Split]
    checks: Checks = Checks()
    held_out: Way = Field(default="stratified", description="which rows of the train split are held out")
    packed: Source | None = Field(default=None, description="where its images and labels lie, if not in IDX files")

    @model_validator(mode="after")
    def _has_both_splits(self) -> Dataset:
        if set(self.splits) != {"train", "test"}:
            raise ValueError(f"splits: expected train and test, found {', '.join(self.splits) or 'none'}")
        return self

    @property
    def known(self) -> bool:
        """Whether the content of every file is known."""
        return all(file.known for file in self.files)

    @property
    def own(self) -> bool:
        """Whether it is a user's own set: none of the catalog's."""
        return any(file.described_in for file in self.files)

    @property
    def test_fraction(self) -> float | None:
        """Share of the train files' images that was cut off them as the test split; None where it has its own files."""
        return self.splits["test"].spec.test_fraction

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in label order."""
        return self.splits["train"].spec.classes

    @property
    def corrected(self) -> dict[str, Corrections]:
        """The corrections of each split that has any, train first."""
        found = ((name, self.splits[name].corrections) for name in ("train", "test") if name in self.splits)
        return {name: corrections for name, corrections in found if corrections}

    def with_files(self, files: Mapping[str, RemoteFile]) -> Dataset:
        """Return the same set with other facts about its files, by their names."""

        def replaced(split: Split) -> Split:
            shards = (
                Shard(
                    images=files.get(shard.images.name, shard.images), labels=files.get(shard.labels.name, shard.labels)
                )
                for shard in split.shards
            )
            return split.model_copy(update={"shards": tuple(shards)})

        return self.model_copy(update={"splits": {name: replaced(split) for name, split in self.splits.items()}})

    @property
    def files(self) -> tuple[RemoteFile, ...]:
        """Every file of the data set, each once."""
        return tuple(dict.fromkeys(file for split in self.splits.values() for file in split.files))
