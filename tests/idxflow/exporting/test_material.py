"""What an export speaks of: found by the lineage, hashed, held, and of nobody's machine."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator

import pytest

from artifacts.ref import Ref
from artifacts.store.holds import Held, Hold
from artifacts.store.integrity import identity
from artifacts.store.store import Store
from idxflow.exporting.export import Material, gather
from schemas.errors import ArtifactDamaged, StoreError
from tests.artifacts.archive.making import clean_up, make, stored
from tests.idxflow.exporting.model_line import DIGITS, FINDING, evaluation, model_line


@pytest.fixture
def hold(store: Store) -> Iterator[Hold]:
    """A hold of the test's own."""
    with Hold(store.holds, "test") as hold:
        yield hold


@pytest.fixture
def refs(store: Store) -> dict[str, Ref]:
    """The artifacts of a run."""
    return model_line(store)


def version(artifact: object) -> str | None:
    """Return the version of what was gathered, if it was."""
    return getattr(getattr(artifact, "ref", None), "version", None)


def gathered(store: Store, refs: dict[str, Ref], hold: Hold) -> Material:
    """Gather the material of the model."""
    return gather(store, stored(store, refs["train"]), hold)


def test_everything_of_a_model_is_found(store: Store, refs: dict[str, Ref], hold: Hold) -> None:
    """The normaliser and the table are inputs of the model, evaluation and report were made of it."""
    material = gathered(store, refs, hold)
    assert version(material.model) == refs["train"].version
    assert version(material.normalizer) == refs["normalize"].version
    assert version(material.scores) == refs["evaluate"].version
    assert version(material.report) == refs["report"].version
    assert material.spec == DIGITS.splits["train"].spec
    assert material.findings == (f"train split: {FINDING}",)


@pytest.mark.parametrize("gone", ["nothing", "decompress", "report"])
def test_the_files_of_both_splits_are_listed(gone: str, store: Store, refs: dict[str, Ref], hold: Hold) -> None:
    """Files are of their split, train first: by the report where the way to them is broken, else by who needs them."""
    for stage, version in [each for each in store.versions() if each[0] == gone]:
        shutil.rmtree(store.folder(stage, version))
    found = [(split, source.name, source.sha256) for split, source in gathered(store, refs, hold).files]
    expected = [(name, file.name, file.sha256) for name, split in DIGITS.splits.items() for file in split.files]
    assert sorted(found) == sorted(expected)
    assert [split for split, *_ in found] == ["train", "train", "test", "test"]


def test_a_file_of_two_versions_is_listed_once(store: Store, refs: dict[str, Ref], hold: Hold) -> None:
    """A report that was made from another version of the same train table does not make its files test files."""
    file = DIGITS.splits["train"].shards[0].images
    came = {"bytes": file.bytes, "sha256": file.sha256, "mirror": "https://mirror.example/"}
    again = make(store, "download", file.name, parameters={"file": file}, code="2", summary=came)
    table = make(store, "parse", "train", inputs={"files": [again]}, parameters={"spec": DIGITS.splits["train"].spec})
    late = {"created": "2026-02-02T12:00:00+00:00"}
    make(
        store, "report", inputs={"model": refs["train"], "tables": {"train": table}, "scores": refs["evaluate"]},
        parameters={"dataset": DIGITS}, **late,  # type: ignore[arg-type]
    )  # fmt: skip
    found = [(split, source.name) for split, source in gathered(store, refs, hold).files]
    assert found.count(("train", file.name)) == 1
    assert ("test", file.name) not in found


def test_the_reports_own_evaluation_counts(store: Store, refs: dict[str, Ref], hold: Hold) -> None:
    """A later evaluation of the same model is not mixed with the report of an earlier one, unless that one is gone."""
    inputs = {"model": refs["train"], "train": refs["table"], "test": refs["parse"]}
    later = evaluation(store, inputs, 0.5, code="2", created="2026-02-02T12:00:00+00:00")
    assert version(gathered(store, refs, hold).scores) == refs["evaluate"].version
    clean_up(store, refs["evaluate"])
    assert version(gathered(store, refs, hold).scores) == later.version


def test_what_is_gone_is_none(store: Store, refs: dict[str, Ref], hold: Hold) -> None:
    """What was cleaned up is left out of an export, as long as something still tells the model's classes."""
    clean_up(store, refs["evaluate"], refs["normalize"], refs["table"])
    material = gathered(store, refs, hold)
    assert (material.scores, material.normalizer) == (None, None)
    assert material.spec == DIGITS.splits["train"].spec
    clean_up(store, refs["report"])
    with pytest.raises(StoreError, match=r"train table or its report in the store, .* found neither\. Run again"):
        gathered(store, refs, hold)


def test_a_normaliser_that_was_made_anew_differently_is_not_the_models(
    store: Store, refs: dict[str, Ref], hold: Hold
) -> None:
    """What is stored under the normaliser's version counts only with the content that the model was trained on."""
    profile = next(each for each in store.versions() if each[0] == "validate" and each[1] != refs["validate"].version)
    found = store.inspect(*profile)
    assert found
    again = make(
        store, "normalize", inputs={"table": refs["table"], "profile": found.ref},
        files={"normalizer.json": b"{}", "mean.npy": b"another mean"},
    )  # fmt: skip
    assert again.version == refs["normalize"].version
    assert gathered(store, refs, hold).normalizer is None


def test_everything_is_held_while_it_is_read(store: Store, refs: dict[str, Ref], hold: Hold) -> None:
    """A clean-up at the same time leaves all of it alone, and what has nothing to do with it not."""
    other = make(store, "parse", "other", parameters={"spec": {"of": "another run"}})
    gathered(store, refs, hold)
    held = Held(store.holds)
    assert {each for each in store.versions() if each not in held} == {("parse", other.version)}


@pytest.mark.parametrize("stage", ["download", "verify", "decompress", "parse", "validate", "normalize", "evaluate"])
def test_damage_anywhere_is_refused(stage: str, store: Store, refs: dict[str, Ref], hold: Hold) -> None:
    """A flipped byte in anything that the export speaks of is an error that names it, though it looks untouched."""
    damaged = next(version for each, version in store.versions() if each == stage)
    path = next(path for path in store.folder(stage, damaged).iterdir() if path.suffix in {"", ".gz", ".npy", ".csv"})
    path.chmod(0o644)
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    note = path.with_name("hashed.json")
    note.write_text(json.dumps({each: identity(path.with_name(each)) for each in json.loads(note.read_bytes())}))
    os.utime(note, (time.time() + 1,) * 2)
    assert store.inspect(stage, damaged)  # to a quick look
    with pytest.raises(ArtifactDamaged, match=rf"artifact {stage}/{damaged}: .* found {path.name}: expected SHA-256"):
        gathered(store, refs, hold)
    assert path.exists()


def test_only_what_measured_the_model_is_in_its_lineage(store: Store, refs: dict[str, Ref], hold: Hold) -> None:
    """Below the model stand its evaluation and its report; older ones stay at home."""
    inputs = {"model": refs["train"], "train": refs["table"], "test": refs["parse"]}
    old = evaluation(store, inputs, 0.5, code="0", created="2025-01-01T12:00:00+00:00")
    lineage = gathered(store, refs, hold).lineage
    assert {node.version for node in lineage.below()} == {refs["evaluate"].version, refs["report"].version}
    assert old.version not in {node.version for node in lineage.nodes}
    assert {edge.target for edge in lineage.down} == {node.id for node in lineage.below()}


@pytest.mark.parametrize(
    ("mirror", "told"),
    [
        ("file:///home/somebody/mnist/", "a folder"),
        ("/home/somebody/mnist", "a folder"),
        ("http://mirror.example/", "http://mirror.example/"),
        ("the store", "the store"),
    ],
)
def test_a_folder_is_only_called_one(mirror: str, told: str, store: Store, hold: Hold) -> None:
    """Which folder of whose machine the files came from is not told; which web server is."""
    material = gathered(store, model_line(store, mirror=mirror), hold)
    sources = [node.made.source for node in material.lineage.nodes if node.made and node.made.source]
    assert {source.mirror for source in sources} == {told}
