"""
New images named by a trained network, without Prefect: which network, what it was trained on, what is new at a place.

The flow of a deployment that does the same is `flows.scoring`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from artifacts.archive.lookup import find_run, stored_artifact
from artifacts.archive.runs import subject_of
from artifacts.keys import plain
from artifacts.manifest import Manifest
from artifacts.ref import Ref
from artifacts.store.files import read_plain, sha256_of
from artifacts.store.flock import locked
from artifacts.store.store import Store
from flows.answer_files import joined, with_origin
from flows.parts import PARSE, VALIDATE, as_parts, rows_of, rows_of_profile, stored_parts
from flows.run_record import RunRecord
from schemas.addresses import below_home
from schemas.datasets import TableSpec
from schemas.errors import UsageError
from schemas.image_spec import ImageSpec
from schemas.pictures import Fit, Grey, PictureSpec
from schemas.scoring import REFERENCE, SCORED, SCORES, ExportedModel, Meaning, Place, Reference, Scored
from tasks.adopt import SUMS, TAKEN, adopt, other_content, read_sums
from tasks.formats.table import Parts
from tasks.formats.tree import left_out
from tasks.reference import meaning_of, reference
from tasks.score import content_of, digests_of, score

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIX = "-scores"
"""Of the identity under which such runs are counted: what a clean-up keeps for a data set's own runs stays."""


class Preparing(BaseModel):
    """What is done with pictures that are not as those of the training; what is not said is done as it was there."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    fit: Fit | None = Field(
        default=None,
        description="of a picture of another size: exact refuses it, pad keeps its aspect, stretch does not",
    )
    pad: Grey | None = Field(default=None, description="level around a padded picture, 0 to 255")
    background: Grey | None = Field(default=None, description="level that transparent parts are laid on, 0 to 255")
    frames: Literal["refuse", "first"] | None = Field(
        default=None, description="first: take the first frame of an animated picture"
    )
    deep: Literal["refuse", "shift"] | None = Field(
        default=None, description="shift: of 16 bits a channel keep the higher 8"
    )


@dataclass(frozen=True)
class Trained:
    """
    A network, and what is known of its training.

    Args:
        run:     that made it; None of an exported one.
        dataset: name of its data set.
        identity: what tells that set from another of its name.
        accuracy: of the test split, in [0, 1]; None: it is not known.
        shape, picture: of an image, and how pictures were prepared; None: it was trained on rows of pixels.
        made:    the artifacts that it is found by; None of an exported one.
        folder:  of an exported one.
    """

    run: RunRecord | None
    dataset: str
    identity: str
    shape: ImageSpec
    picture: PictureSpec | None
    accuracy: float | None
    made: Made | None = None
    folder: ExportedModel | None = None

    def stages(self) -> tuple[Any, Any]:
        """Call what brings the model and its reference. Returns: what their calls did, or references."""
        if self.folder:
            adopted = adopt(self.folder)
            return adopted, adopted
        if self.made is None:
            raise RuntimeError("a network that is neither stored nor exported")
        return self.made.model, reference(self.made.profile, self.made.scores, self.made.meaning)


@dataclass(frozen=True)
class Made:
    """What a run has left of a network. Args: model, scores: of train, evaluate; profile: of the train split."""

    model: Ref
    profile: Parts
    scores: Ref
    meaning: Meaning


@dataclass(frozen=True)
class Answered:
    """What was said of one place. Args: version, folder: of score's artifact."""

    place: Place
    version: str
    cached: bool
    folder: Path
    scored: Scored

    def table(self) -> pa.Table:
        """Return a row per image and refused file; see `tasks.score.answer_schema` and `flows.answer_files.ORIGIN`."""
        return self.read(self.folder, self.place.path)

    @staticmethod
    def read(folder: Path, place: str) -> pa.Table:
        """Read the same of an artifact of score. Args: place: the absolute path that it is about."""
        import pyarrow.parquet as pq

        made = Manifest.model_validate_json((folder / "manifest.json").read_bytes()).created
        return with_origin(pq.ParquetFile(folder / SCORES).read(), place, made)


@dataclass(frozen=True)
class Said:
    """
    What a network said.

    Args:
        model:   the artifact that it is.
        asked:   about what.
        answers: of each place that has anything new.
    """

    model: Ref
    asked: tuple[Asked, ...]
    answers: list[Answered]

    def so_far(self, store: Store) -> pa.Table:
        """Return all that the network has answered so far to what was asked, as `Answered.table`."""
        found = [(folder, each) for each in self.asked for folder in each.earlier(store, self.model.digest)]
        return joined([Answered.read(folder, str(each.path)) for folder, each in found])


def may_be_exported(word: str) -> bool:
    """Tell whether an exported folder lies at a word; a word of the store comes first where it has no separator."""
    return (Path(below_home(word)) / SUMS).is_file()


def trained(store: Store, word: str) -> Trained:
    """
    Find a network by a person's word.

    Args:   word: a run, a model, an alias, or latest; or the path of an exported folder.
    Raises: UsageError: none, of a run that did not complete, or what it left is no longer stored.  ArtifactDamaged.
    """
    path = Path(below_home(word))
    if os.sep in word and path.is_dir():
        return exported(path, word)
    try:
        run = RunRecord.of(find_run(store, word))
    except UsageError:
        if path.is_dir():  # a word of the store comes first: a folder that is called as an alias changes nothing
            return exported(path, word)
        raise
    rows = {(row.stage, row.name): row for row in run.stages}
    chosen = {
        "train": [row for row in run.stages if (row.stage, row.name) == ("train", "")],  # not one of a sweep's
        PARSE: rows_of(store, run.stages, PARSE, "train"),
        VALIDATE: rows_of_profile(store, run.stages, "train"),
        "evaluate": [row for row in run.stages if (row.stage, row.name) == ("evaluate", "")],
    }
    if missing := [stage for stage, some in chosen.items() if not some]:
        raise UsageError(
            subject_of(store, run),
            expected="a completed run of the pipeline",
            found=f"one without {', '.join(missing)}",
            way_out="`idxflow runs` lists the others.",
        )
    found = {stage: stored_parts(store, some) for stage, some in chosen.items()}
    spec = TableSpec.model_validate(found[PARSE][0].manifest.parts.parameters["spec"])
    packed, picture = next((row for (stage, _), row in rows.items() if stage == "pack"), None), None
    if packed:
        source = stored_artifact(store, "pack", packed.version).manifest.parts.parameters["source"]
        picture = PictureSpec.model_validate(source["picture"]) if source["kind"] == "pictures" else None
    meaning = meaning_of(spec, picture, run.dataset)
    made = Made(found["train"][0].ref, as_parts(found[VALIDATE]), found["evaluate"][0].ref, meaning)
    test = run.metrics.get("test")
    return Trained(run, run.dataset, run.identity, spec.shape, picture, test.accuracy if test else None, made)


def exported(path: Path, given: str) -> Trained:
    """
    Read what an exported folder says of its model. Args: given: the path, as a person wrote it.

    Raises: UsageError: it is none, or has no reference, as a folder of an older idxflow.
    """
    if missing := [name for name in (SUMS, *TAKEN) if not (path / name).is_file()]:
        raise UsageError(
            given,
            expected="the word for a model, or a folder that `idxflow export` has written",
            found=f"a folder without {', '.join(missing)}",
            way_out="Export the model once more with this version, or name a run.",
        )
    try:
        known = Reference.model_validate_json(read_plain(path / REFERENCE))
    except (ValidationError, OSError) as error:
        found = f"one that does not read ({type(error).__name__})"
        way_out = "Export the model once more with this version."
        raise UsageError(f"{given}/{REFERENCE}", expected="a reference", found=found, way_out=way_out) from error
    listed = read_plain(path / SUMS)
    sums = read_sums(listed)
    for name in TAKEN:  # each time: the folder may have been damaged since it was adopted
        if sha256_of(path / name) != sums.get(name):
            raise other_content(given, name, f"what {SUMS} says")
    content = hashlib.sha256(listed).hexdigest()
    folder = ExportedModel(path=os.path.abspath(path), name=given, content=content)  # noqa: PTH100 - a link stays one
    identity = f"exported-{content[:8]}"
    return Trained(None, known.dataset, identity, known.shape, known.picture, known.accuracy, folder=folder)


def picture_spec(network: Trained, said: Preparing) -> PictureSpec:
    """Return what a picture becomes: as in the training, but for what is said."""
    known = network.picture or PictureSpec(shape=network.shape)
    given = {name: value for name, value in said.model_dump().items() if value is not None}
    return PictureSpec.model_validate({**known.model_dump(), "color": "convert", **given})


@dataclass(frozen=True)
class Asked:
    """
    What is asked about a place: which answers count as about the same question follows from it.

    Args:
        path:  absolute.
        given: as a person wrote it.
    """

    path: Path
    given: str
    picture: PictureSpec
    label: str | None

    @classmethod
    def of(cls, given: str, picture: PictureSpec, label: str | None) -> Asked:
        """Ask about a path. Raises: UsageError: nothing lies there."""
        path = Path(os.path.abspath(below_home(given)))  # noqa: PTH100 - a link stays one
        if not path.exists():
            expected, way_out = "a picture, folder, archive, table or IDX file", "Correct the path. Nothing has run."
            raise UsageError(given, expected=expected, found="nothing there", way_out=way_out)
        return cls(path, given, picture, label)

    @property
    def where(self) -> str:
        """Which place it is, however its path is written."""
        return hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]

    def place(self, store: Store, seen: Seen | None) -> Place | None:
        """
        Look what lies there.

        Args:    seen: what was named before, and is left out.
        Returns: None where nothing is new.
        Raises:  StageError: it cannot be read.
        """
        if not self.path.is_dir():
            content = store.own_files.content(self.path).sha256
            return None if seen and content in seen.digests else self._place(content)
        listing = store.own_folders.listing(self.path, left_out)
        digests = digests_of(listing.names, listing.digests)
        if not seen or not seen.files:
            return self._place(content_of(digests, sorted(digests)))
        new = tuple(sorted(name for name, digest in digests.items() if (name, digest) not in seen.files))
        return self._place(content_of(digests, new), new) if new else None

    def _place(self, content: str, only: tuple[str, ...] | None = None) -> Place:
        return Place(
            path=str(self.path),
            name=self.given,
            where=self.where,
            content=content,
            picture=self.picture,
            only=only,
            label=self.label,
        )

    def earlier(self, store: Store, model: str) -> Iterator[Path]:
        """
        Yield the folders of all that a model has answered to this so far, oldest first, each whole.

        Args: model: its digest.
        """
        wanted = {"where": self.where, "label": self.label, "picture": plain(self.picture)}
        manifests = [
            each
            for each in store.manifests("score")
            if any(taken.digest == model for taken in each.inputs)
            if wanted.items() <= each.parts.parameters.get("place", {}).items()
        ]
        for manifest in sorted(manifests, key=lambda each: (each.created, each.version)):
            if found := store.read("score", manifest.version):
                yield found.folder


@dataclass(frozen=True)
class Seen:
    """Files that answers are about, those that were refused too: name and SHA-256 of each, and the latter alone."""

    files: frozenset[tuple[str, str]]
    digests: frozenset[str]

    @classmethod
    def in_folders(cls, folders: Iterable[Path]) -> Seen:
        """Read the answers of artifacts."""
        import pyarrow.parquet as pq

        files = set[tuple[str, str]]()
        for folder in folders:
            table = pq.ParquetFile(folder / SCORES).read(["file", "sha256"])
            files.update(zip(*(table[name].to_pylist() for name in table.column_names), strict=True))
        return cls(frozenset(files), frozenset(digest for _, digest in files))


def walk(run: Any, model: Any, known: Any, places: Sequence[Place]) -> list[Answered]:
    """
    Call score for each place.

    Args: run: the current one, see `artifacts.current.CurrentRun`; model, known: what `Trained.stages` returned.
    """
    done = [(place, score(model, known, place)) for place in places]
    answers = []
    for place, result in done:
        ref = run.reference(result)
        scored = Scored.model_validate_json(ref.file(SCORED).read_bytes())
        cached = next(row.cached for row in run.rows if (row.stage, row.version) == ("score", ref.version))
        answers.append(Answered(place, ref.version, cached, ref.file(SCORED).parent, scored))
    return answers


def ask(network: Trained, paths: Sequence[str], said: Preparing, label: str | None) -> tuple[Asked, ...]:
    """Ask about paths, about each place once, however it is written. Raises: UsageError: nothing lies at one."""
    picture, asked = picture_spec(network, said), dict[Path, Asked]()
    for given in paths:
        each = Asked.of(given, picture, label)
        asked.setdefault(each.path, each)
    return tuple(asked.values())


def answer(
    run: Any,
    network: Trained,
    asked: Sequence[Asked],
    *,
    only_new: bool = False,
) -> Said:
    """
    Name what lies at some paths.

    Args:
        run:      the current one, a recorder of any kind.
        only_new: leave out each file that the network has named, or refused, at this path before.
    Raises: the first error of a stage.
    """
    run.dataset, run.dataset_id = network.dataset, f"{network.identity}{SUFFIX}"
    store = run.store

    def body() -> Said:
        model, known = network.stages()
        ref = model if isinstance(model, Ref) else run.reference(model)
        with ExitStack() as alone:
            places = []
            for each in sorted(asked, key=lambda each: each.where) if only_new else asked:
                if only_new:  # two at once would take the same files
                    alone.enter_context(locked(store.locks / f"place-{each.where}.lock"))
                seen = Seen.in_folders(each.earlier(store, ref.digest)) if only_new else None
                places.append(each.place(store, seen))
            return Said(ref, tuple(asked), walk(run, model, known, [place for place in places if place]))

    said_of: Said = run.attempt(body)
    run.publish(
        scored_by=network.run.id if network.run else network.folder and network.folder.name,
        profile=network.run.profile if network.run else "",
        seed=network.run.seed if network.run else 0,
        scored={each.place.name: each.scored.model_dump(mode="json", exclude={"metrics"}) for each in said_of.answers},
    )
    return said_of
