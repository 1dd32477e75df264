"""The exported folder: whole or not there; it checks itself, names nobody's machine, and its snippet runs."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from artifacts.archive.lineage import Lineage
from artifacts.ref import Ref
from artifacts.store import files
from artifacts.store.disk import Disk
from artifacts.store.holds import Held, Hold
from artifacts.store.integrity import Proven, Stored, identity
from artifacts.store.store import Store
from idxflow.exporting.export import Exported, export
from idxflow.exporting.formats.form import FORMATS
from idxflow.exporting.material import Material, gather
from idxflow.exporting.proof import NotProved, Proofs
from schemas.errors import ArtifactDamaged, StoreError, UnforeseenError, UsageError
from schemas.image_table import ImageTable
from schemas.pictures import PictureSpec
from schemas.source import Source
from schemas.training import Training
from tests.artifacts.archive.making import clean_up, make, stored
from tests.idxflow.exporting.model_line import DIGITS, FINDING, evaluation, model_line
from tests.idxflow.exporting.real_model import IMAGES, real_model
from tests.processes import PROJECT

WHOLE = {
    "README.md", "SHA256SUMS", "confusion.csv", "figures/confusion.svg", "figures/loss.svg", "history.json",
    "labels.json", "lineage.json", "manifest.json", "mean.npy", "metrics.json", "model.keras", "normalizer.json",
    "proof.json", "report.html",
}  # fmt: skip


@pytest.fixture
def refs(store: Store) -> dict[str, Ref]:
    """The artifacts of a run, whose files came from a folder of somebody's."""
    return model_line(store, mirror="file:///home/somebody/digits/")


@pytest.fixture
def target(desk: Path) -> Path:
    """Where the model goes: a folder in one that is otherwise empty."""
    (desk / "out").mkdir()
    return desk / "out" / "model"


def exported(store: Store, ref: Ref, target: Path) -> Exported:
    """Export an artifact."""
    return export(store, stored(store, ref), target)


def names(folder: Path) -> set[str]:
    """Return the names of all files below a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def check_sums(folder: Path) -> set[str]:
    """Hold every file against SHA256SUMS. Returns: their names."""
    lines = [line.split("  ") for line in (folder / "SHA256SUMS").read_text().splitlines()]
    for digest, name in lines:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    return {*(name for _, name in lines), "SHA256SUMS"}


def test_the_folder_is_whole_and_checks_itself(store: Store, refs: dict[str, Ref], target: Path) -> None:
    """Every file is there, writable by its owner, in SHA256SUMS, and what the store holds; nothing else is left."""
    before = os.umask(0o077)
    try:
        done = exported(store, refs["train"], target)
    finally:
        os.umask(before)
    assert names(target) == WHOLE == check_sums(target) == set(done.files)
    assert {(target / name).stat().st_mode & 0o777 for name in WHOLE} == {0o644}
    assert (done.artifact, done.folder, done.left_out) == (f"train/{refs['train'].version}", target, ())
    assert done.files["model.keras"] == len(real_model().model)
    for stage, name in (
        ("train", "model.keras"),
        ("train", "manifest.json"),
        ("evaluate", "metrics.json"),
        ("report", "report.html"),
    ):
        assert (target / name).read_bytes() == (store.folder(stage, refs[stage].version) / name).read_bytes()
    assert json.loads((target / "labels.json").read_bytes()) == {
        "dataset": "digits", "classes": list("0123456789"), "label_offset": 0, "label_values": [*range(10)],
        "shape": [8, 8], "transpose": False, "picture": None,
    }  # fmt: skip
    assert Lineage.model_validate_json((target / "lineage.json").read_bytes()).artifact == done.artifact
    assert DIGITS.title.partition(":")[0] in (target / "README.md").read_text()
    assert [*target.parent.iterdir()] == [target]


def test_nothing_names_this_machine(store: Store, refs: dict[str, Ref], target: Path, desk: Path) -> None:
    """No path of the store, of the target, or of where the files came from stands in the folder."""
    exported(store, refs["train"], target)
    for path in (target / name for name in names(target)):
        for private in (b"somebody", str(desk).encode(), b"file:/"):
            assert private not in path.read_bytes(), path.name


def test_what_was_cleaned_up_is_left_out(store: Store, refs: dict[str, Ref], target: Path) -> None:
    """Without evaluation and normaliser their files are missing, which the card says; it does not link to them."""
    clean_up(store, refs["evaluate"], refs["normalize"])
    done = exported(store, refs["train"], target)
    missing = ("normalizer.json", "mean.npy", "metrics.json", "confusion.csv")
    assert done.left_out == missing
    assert (done.proofs, done.unproved) == ((), "its evaluation is no longer in the store")
    assert check_sums(target) == WHOLE - {*missing, "proof.json"}
    card = (target / "README.md").read_text()
    assert "**No metrics**: no evaluation" in card
    assert not [name for name in missing if f"({name})" in card]


def test_every_format_is_in_the_folder(store: Store, refs: dict[str, Ref], target: Path, desk: Path) -> None:
    """All formats at once: each in its place, proved, in the sums and the card, readable, naming no machine."""
    before = os.umask(0o077)
    try:
        done = export(store, stored(store, refs["train"]), target, formats=FORMATS)
    finally:
        os.umask(before)
    more = {
        "model.onnx", "model.tflite", "model-int8.tflite", "score.py", "saved_model/saved_model.pb",
        "saved_model/fingerprint.pb", "saved_model/variables/variables.index",
        "saved_model/variables/variables.data-00000-of-00001",
    }  # fmt: skip
    assert names(target) == WHOLE | more == check_sums(target) == set(done.files)
    assert {(target / name).stat().st_mode & 0o777 for name in names(target)} == {0o644}
    assert [proof.format for proof in done.proofs] == [*FORMATS]
    told = Proofs.model_validate_json((target / "proof.json").read_bytes())
    assert (told.model, told.formats) == (done.artifact, done.proofs)
    assert told.evaluation == f"evaluate/{refs['evaluate'].version}"
    card = (target / "README.md").read_text()
    for proof in done.proofs:
        assert f"[{proof.file}]({proof.file})" in card
        assert re.search(rf"\| {proof.format} \| {IMAGES} \| \d+ \| \S+ \| \d+\.\d\d % \|", card)
    for path in (target / name for name in names(target)):
        for private in (b"somebody", str(desk).encode(), str(target.parent).encode(), b"file:/"):
            assert private not in path.read_bytes(), path.name
    assert [*target.parent.iterdir()] == [target]


def test_a_format_that_is_not_proved_leaves_nothing(store: Store, target: Path) -> None:
    """A model that gives other predictions than the stored ones is refused, whichever format shows it."""
    other = real_model(Training(hidden=(7,), seed=124)).model
    refs = model_line(store, model=other)
    with pytest.raises(
        NotProved, match=r"format onnx: expected the stored class of 90 test images, .* Nothing was exp"
    ):
        export(store, stored(store, refs["train"]), target, formats=["onnx"])
    with pytest.raises(NotProved, match=r"format keras: "):
        exported(store, refs["train"], target)
    assert not [*target.parent.iterdir()]


@pytest.mark.parametrize("name", ["keras", "onnx"])
def test_a_library_that_fails_leaves_nothing(name: str, store: Store, target: Path) -> None:
    """What Keras cannot load is an error of idxflow's own that names the format, and no part of the folder is there."""
    refs = model_line(store, model=b"no model")
    with pytest.raises(
        UnforeseenError, match=rf"format {name}: .* found ValueError .*Nothing was exported\. Leave {name}"
    ):
        export(store, stored(store, refs["train"]), target, formats=[name])
    assert not [*target.parent.iterdir()]


@pytest.mark.parametrize(("gone", "told"), [("evaluate", "its evaluation"), ("parse", "its test table")])
def test_what_cannot_be_proved_is_not_converted(
    gone: str, told: str, store: Store, refs: dict[str, Ref], target: Path
) -> None:
    """Without stored predictions or their table the stored Keras file is still exported, unproved, and nothing else."""
    clean_up(store, refs[gone])
    model = stored(store, refs["train"])
    with pytest.raises(StoreError, match=rf"to prove onnx, found {told} is gone\. Run again .* or export keras alone"):
        export(store, model, target, formats=["keras", "onnx"])
    assert not [*target.parent.iterdir()]
    assert export(store, model, target).unproved == f"{told} is no longer in the store"
    assert f"Nothing, since {told} is no longer in the store." in (target / "README.md").read_text()
    assert (target / "model.keras").read_bytes() == real_model().model


def leaves(picture: PictureSpec) -> Source:
    """A folder of somebody's pictures."""
    return Source(
        path="/home/somebody/leaves", name="leaves", kind="pictures", content="0" * 64, picture=picture,
        classes=DIGITS.classes,
    )  # fmt: skip


def test_what_a_scorer_needs_stands_in_the_labels(store: Store, target: Path) -> None:
    """How pictures became images, and whether the files lie on their side, is told to whoever brings new ones."""
    spec = DIGITS.splits["train"].spec.model_copy(update={"transpose": True})
    train = DIGITS.splits["train"].model_copy(update={"spec": spec})
    picture = PictureSpec.model_validate({"shape": [8, 8], "fit": "pad", "pad": 255, "background": 7})
    packed = leaves(picture)
    splits = {"train": train, "test": DIGITS.splits["test"]}
    refs = model_line(store, dataset=DIGITS.model_copy(update={"splits": splits, "packed": packed}))
    exported(store, refs["train"], target)
    labels = json.loads((target / "labels.json").read_bytes())
    assert labels["transpose"] is True
    assert PictureSpec.model_validate(labels["picture"]) == picture
    assert not any(b"somebody" in (target / name).read_bytes() for name in names(target))


@pytest.mark.parametrize("stage", ["parse", "report"])
def test_another_stages_artifact_is_refused(stage: str, store: Store, refs: dict[str, Ref], target: Path) -> None:
    """What is no model is refused, with the model that was made of it or that it was made from."""
    ref = refs["table"] if stage == "parse" else refs[stage]
    with pytest.raises(UsageError, match=rf"found one of stage {stage}\. Export train/{refs['train'].version}\."):
        exported(store, ref, target)


def test_without_a_model_the_way_out_is_the_history(store: Store, target: Path) -> None:
    """An artifact that has to do with no model sends people to the list of runs."""
    with pytest.raises(UsageError, match="`idxflow runs` lists runs"):
        exported(store, make(store, "parse", "train"), target)


def test_an_empty_folder_is_taken(store: Store, refs: dict[str, Ref], target: Path) -> None:
    """A folder that is there and empty is as good as a new one; so is one below folders that are not there."""
    target.mkdir()
    exported(store, refs["train"], target)
    exported(store, refs["train"], target.parent / "a" / "b" / "c")
    assert check_sums(target) == check_sums(target.parent / "a" / "b" / "c") == WHOLE


def test_a_link_to_an_empty_folder_is_followed(store: Store, refs: dict[str, Ref], target: Path) -> None:
    """The folder that a link leads to is filled, and the link stays one."""
    target.mkdir()
    link = target.with_name("link")
    link.symlink_to(target)
    assert exported(store, refs["train"], link).folder == target
    assert link.is_symlink()
    assert check_sums(target) == WHOLE


@pytest.mark.parametrize(
    ("occupied", "found"),
    [("a folder", "one with files"), ("a file", "a file"), ("the desk", "the working folder")],
)
def test_an_occupied_target_is_refused(
    occupied: str, found: str, store: Store, refs: dict[str, Ref], target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written into what is there already, nor into the folder that the shell is in."""
    if occupied == "a file":
        target.touch()
    else:
        target.mkdir()
        (target / "mine").touch()
    if occupied == "the desk":
        (target / "mine").unlink()
        monkeypatch.chdir(target)
    with pytest.raises(UsageError, match=rf"{target}: expected a new or empty folder, found {found}\."):
        exported(store, refs["train"], target)
    assert not (target / "README.md").exists()


def test_damage_leaves_nothing(store: Store, refs: dict[str, Ref], target: Path) -> None:
    """A flipped byte in the evaluation stops the export before anything is written."""
    path = store.folder("evaluate", refs["evaluate"].version) / "confusion.csv"
    path.chmod(0o644)
    path.write_bytes(b"T" + path.read_bytes()[1:])
    with pytest.raises(ArtifactDamaged, match=r"confusion\.csv: expected SHA-256"):
        exported(store, refs["train"], target)
    assert not [*target.parent.iterdir()]


def test_what_is_made_anew_meanwhile_is_not_mixed(store: Store, refs: dict[str, Ref], target: Path) -> None:
    """A file that changes between its check and its copy is noticed, and nothing is exported."""

    class Busy(Store):
        def inspect(
            self, stage: str, version: str, *, fully: bool = False, proven: Proven | None = None
        ) -> Stored | None:
            found = super().inspect(stage, version, fully=fully, proven=proven)
            if stage == "normalize":
                path = self.folder(stage, version) / "mean.npy"
                path.chmod(0o644)
                path.write_bytes(b"another")
            return found

    with pytest.raises(ArtifactDamaged, match=r"mean\.npy changed meanwhile"):
        exported(Busy(store.home), refs["train"], target)
    assert not [*target.parent.iterdir()]


@pytest.mark.parametrize("step", ["make_folder", "write", "sync", "protect", "rename"])
def test_a_failing_disk_leaves_nothing(
    step: str, store: Store, refs: dict[str, Ref], target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever step fails, the error names the folder and the cause, and no part of it is there."""

    class Full(Disk):
        pass

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    model = stored(store, refs["train"])
    setattr(Full, step, fail)
    monkeypatch.setattr(files, "DISK", Full())
    folder = rf"({target}: expected a folder that can be|{store.holds}: expected a folder that can be read and)"
    with pytest.raises(StoreError, match=rf"{folder} written, found No space left"):
        export(store, model, target)
    assert not [*target.parent.iterdir()]


def test_a_model_of_another_version_of_idxflow_is_told(store: Store, target: Path) -> None:
    """A manifest that says other things than ours is no crash: the version that made it is named."""
    table = make(store, "parse", "train", parameters={"spec": DIGITS.splits["train"].spec})
    model = make(store, "train", inputs={"table": table}, files={"model.keras": b"", "history.json": b"{}"})
    with pytest.raises(StoreError, match=r"Export it with idxflow 0\.1\.0, which made it\."):
        exported(store, model, target)
    assert not [*target.parent.iterdir()]


@pytest.mark.slow
def test_a_stranger_can_use_it(store: Store, target: Path) -> None:
    """On a real model sha256sum passes, and the card's snippet, run as it stands, names an image as evaluate did."""
    command = [sys.executable, "-m", "idxflow", "run", "--dataset", "digits", "--set", "training.epochs=3"]
    alone = {"PYTHONPATH": str(PROJECT), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    options = ["--home", str(store.home), "--ephemeral", "--json"]
    ran = subprocess.run([*command, *options], env=os.environ | alone, capture_output=True, text=True, check=True)
    refs = {(stage["stage"], stage["name"]): stage["version"] for stage in json.loads(ran.stdout)["stages"]}
    model = store.inspect("train", refs["train", ""])
    assert model
    export(store, model, target, formats=FORMATS)

    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=target, capture_output=True, text=True, check=True)
    assert checked.stdout.count(": OK\n") == len(names(target)) - 1
    assert WHOLE - {"figures/confusion.svg"} <= names(target)
    content = b"".join((target / name).read_bytes() for name in names(target))
    for private in (str(store.home), str(PROJECT), sys.prefix):
        assert private.encode() not in content

    table = ImageTable(store.folder("parse", refs["parse", "test"]) / "table.parquet")
    scored = pq.read_table(store.folder("evaluate", refs["evaluate", ""]) / "predictions.parquet").to_pylist()
    surest = max((row for row in scored if row["split"] == "test"), key=lambda row: row["probability"])
    np.save(target / "image.npy", table.read().image[surest["sample_id"]].reshape(1, *table.metadata.shape.array))
    snippet = re.search(r"```python\n(.*?)```", (target / "README.md").read_text(), re.DOTALL)
    assert snippet
    mine, swapped = re.subn(r"images = np\.zeros\(.*\)", 'images = np.load("image.npy")', snippet[1])
    assert swapped == 1
    for script, answer in (
        (snippet[1], r"\d \d+\.\d%\n"),
        (mine, f"{surest['predicted']} {surest['probability']:.1%}\n"),
    ):
        done = subprocess.run([sys.executable, "-c", script], cwd=target, capture_output=True, text=True, check=True)
        assert re.fullmatch(answer, done.stdout)
    for change, found in ((" / 255", r"float64 \(1, 8, 8\)"), ("[0]", r"uint8 \(8, 8\)")):
        script = mine.replace('np.load("image.npy")', f'np.load("image.npy"){change}')
        done = subprocess.run([sys.executable, "-c", script], cwd=target, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert re.search(rf"images: expected raw pixels, 0 to 255, uint8 \(n, 8, 8\), found {found}\n", done.stderr)


@pytest.fixture
def hold(store: Store) -> Iterator[Hold]:
    """A hold of the test's own."""
    with Hold(store.holds, "test") as hold:
        yield hold


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
    assert [version(part) for part in material.test] == [refs["parse"].version]
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


def test_a_test_table_of_other_rows_proves_nothing(
    store: Store, refs: dict[str, Ref], hold: Hold, target: Path
) -> None:
    """A test table that was rebuilt otherwise is not the one that was scored: the model is exported unproved."""
    table = stored(store, refs["parse"]).manifest
    raw = [Ref.model_validate(each.model_dump() | {"manifest": "0" * 64}) for each in table.inputs]
    clean_up(store, refs["parse"])
    spec = DIGITS.splits["test"].spec
    again = make(
        store, "parse", "test", inputs={"files": raw}, parameters={"spec": spec}, files={"table.parquet": b"?"}
    )
    assert again.version == refs["parse"].version
    assert gathered(store, refs, hold).test == ()
    assert exported(store, refs["train"], target).unproved == "its test table is no longer in the store"


def test_without_a_report_the_pack_tells_of_pictures(store: Store, hold: Hold) -> None:
    """How pictures became images is known as long as the report or the pack is stored."""
    picture = PictureSpec.model_validate({"shape": [8, 8], "fit": "stretch"})
    pack = make(store, "pack", parameters={"source": leaves(picture)})
    spec = DIGITS.splits["train"].spec
    table = make(store, "parse", "train", inputs={"files": [pack]}, parameters={"spec": spec})
    model = make(store, "train", inputs={"table": table}, files={"model.keras": b"", "history.json": b"{}"})
    assert gather(store, stored(store, model), hold).picture == picture
    clean_up(store, pack)
    assert gather(store, stored(store, model), hold).picture is None


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
    path = next(
        path
        for path in store.folder(stage, damaged).iterdir()
        if path.suffix in {"", ".gz", ".npy", ".csv", ".parquet"}
    )
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
