"""
New images named by a trained network, without Prefect: which network, what it was trained on, what is new at a place.

The flow of a deployment that does the same is `flows.scoring`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from artifacts.archive.lookup import find_run, stored_artifact
from artifacts.archive.runs import subject_of
from artifacts.ref import Ref
from artifacts.store.store import Store
from flows.run_record import RunRecord
from schemas.addresses import below_home
from schemas.datasets import TableSpec
from schemas.errors import BadSource, UsageError
from schemas.pictures import Fit, Grey, PictureSpec
from schemas.scoring import SCORED, SCORES, Meaning, Place, Scored
from tasks.formats.tree import left_out
from tasks.reference import reference
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
    frames: str | None = Field(default=None, description="first: take the first frame of an animated picture")
    deep: str | None = Field(default=None, description="shift: of 16 bits a channel keep the higher 8")


@dataclass(frozen=True)
class Trained:
    """A network, and what is known of its training. Args: run: that made it; sure_right: see `Reference`."""

    run: RunRecord
    model: Ref
    profile: Ref
    scores: Ref
    meaning: Meaning


@dataclass(frozen=True)
class Answered:
    """What was said of one place. Args: version: of score's artifact; folder: its files."""

    place: Place
    version: str
    cached: bool
    folder: Path
    scored: Scored

    def table(self) -> pa.Table:
        """Return a row per image and refused file; see `tasks.score.answer_schema`."""
        return self.read(self.folder)

    @staticmethod
    def read(folder: Path) -> pa.Table:
        """Read the same of an artifact of score."""
        import pyarrow.parquet as pq

        return pq.ParquetFile(folder / SCORES).read()


def trained(store: Store, word: str) -> Trained:
    """
    Find a network by a person's word.

    Args:   word: a run, a model, an alias, or latest.
    Raises: UsageError: none, of a run that did not complete, or what it left is no longer stored.  ArtifactDamaged.
    """
    run = RunRecord.of(find_run(store, word))
    rows = {(row.stage, row.name): row for row in run.stages}
    wanted = {"train": "", "parse": "train", "validate": "train", "evaluate": ""}
    if missing := [stage for stage, name in wanted.items() if (stage, name) not in rows]:
        raise UsageError(
            subject_of(store, run),
            expected="a completed run of the pipeline",
            found=f"one without {', '.join(missing)}",
            way_out="`idxflow runs` lists the others.",
        )
    found = {stage: stored_artifact(store, stage, rows[stage, name].version) for stage, name in wanted.items()}
    spec = TableSpec.model_validate(found["parse"].manifest.parts.parameters["spec"])
    packed = rows.get(("pack", ""))
    packed = packed or next((row for (stage, _), row in rows.items() if stage == "pack"), None)
    picture = None
    if packed and (manifest := store.manifest("pack", packed.version)):
        source = manifest.parts.parameters["source"]
        picture = PictureSpec.model_validate(source["picture"]) if source["kind"] == "pictures" else None
    meaning = Meaning(
        shape=spec.shape,
        classes=spec.classes,
        stored=spec.stored_labels,
        transpose=spec.transpose,
        picture=picture,
    )
    return Trained(run, found["train"].ref, found["validate"].ref, found["evaluate"].ref, meaning)


def picture_spec(meaning: Meaning, said: Preparing) -> PictureSpec:
    """Return what a picture becomes: as in the training, but for what is said."""
    known = meaning.picture or PictureSpec(shape=meaning.shape)
    given = {name: value for name, value in said.model_dump().items() if value is not None}
    return PictureSpec.model_validate({**known.model_dump(), "color": "convert", **given})


def find_place(
    store: Store, given: str, picture: PictureSpec, label: str | None, *, seen: frozenset[str]
) -> Place | None:
    """
    Look what lies at a path.

    Args:    given: the path, as a person wrote it; seen: what `taken` says of files that are not to be taken again.
    Returns: None where nothing is new.
    Raises:  BadSource: nothing there.  StageError: it cannot be read.
    """
    path = Path(os.path.abspath(below_home(given)))  # noqa: PTH100 - a link stays one
    if not path.exists():
        raise BadSource(
            given,
            expected="a picture, folder, archive, table or IDX file",
            found="nothing there",
            way_out="Correct the path.",
        )
    if not path.is_dir():
        content = store.own_files.content(path).sha256
        if f"{path.name} {content}" in seen:
            return None
        return Place(path=str(path), name=given, content=content, picture=picture, label=label)
    listing = store.own_folders.listing(path, left_out)
    if not seen:
        return Place(path=str(path), name=given, content=listing.content, picture=picture, label=label)
    digests = digests_of(listing.names, listing.digests)
    new = tuple(sorted(name for name, digest in digests.items() if f"{name} {digest}" not in seen))
    content = content_of(digests, new)
    return Place(path=str(path), name=given, content=content, picture=picture, label=label, only=new) if new else None


def earlier(store: Store, network: Trained, given: str) -> Iterator[Path]:
    """Yield the folders of what a network has said of a place so far, oldest first, each whole."""
    manifests = [
        each
        for each in store.manifests("score")
        if each.name == given and any(taken.digest == network.model.digest for taken in each.inputs)
    ]
    for manifest in sorted(manifests, key=lambda each: (each.created, each.version)):
        if found := store.read("score", manifest.version):
            yield found.folder


def taken(folders: Sequence[Path]) -> frozenset[str]:
    """Return name and digest of every file that answers are about, those that were refused too."""
    import pyarrow.parquet as pq

    found = set[str]()
    for folder in folders:
        table = pq.ParquetFile(folder / SCORES).read(["file", "sha256"])
        columns = (table[name].to_pylist() for name in table.column_names)
        found |= {f"{file} {sha256}" for file, sha256 in zip(*columns, strict=True)}
    return frozenset(found)


def walk(run: Any, network: Trained, places: Sequence[Place]) -> list[Answered]:
    """Call the stages of the current run. Args: run: that keeps them, see `artifacts.current.CurrentRun`."""
    known = reference(network.profile, network.scores, network.meaning)
    done = [(place, score(network.model, known, place)) for place in places]
    answers = []
    for place, result in done:
        ref = run.reference(result)
        scored = Scored.model_validate_json(ref.file(SCORED).read_bytes())
        cached = next(row.cached for row in run.rows if (row.stage, row.version) == ("score", ref.version))
        answers.append(Answered(place, ref.version, cached, ref.file(SCORED).parent, scored))
    return answers


def answer(
    run: Any,
    network: Trained,
    paths: Sequence[str],
    said: Preparing,
    *,
    label: str | None = None,
    only_new: bool = False,
) -> list[Answered]:
    """
    Name what lies at some paths.

    Args:
        run:      the current one, a recorder of any kind.
        only_new: leave out each file that the network has named, or refused, at this path before.
    Raises: as `find_place`; the first error of a stage.
    """
    run.dataset, run.dataset_id = network.run.dataset, f"{network.run.identity}{SUFFIX}"
    store, picture = run.store, picture_spec(network.meaning, said)

    def body() -> list[Answered]:
        found = []
        for given in paths:
            seen = taken(list(earlier(store, network, given))) if only_new else frozenset()
            found.append(find_place(store, given, picture, label, seen=seen))
        return walk(run, network, [place for place in found if place])

    answers: list[Answered] = run.attempt(body)
    run.publish(
        scored_by=network.run.id,
        profile=network.run.profile,
        seed=network.run.seed,
        scored={each.place.name: each.scored.model_dump(mode="json", exclude={"metrics"}) for each in answers},
    )
    return answers
