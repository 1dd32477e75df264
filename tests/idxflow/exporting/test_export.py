"""The exported folder: whole or not there, whatever goes wrong; it checks itself, and its snippet runs."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from artifacts.archive.lineage import Lineage
from artifacts.ref import Ref
from artifacts.store import files
from artifacts.store.disk import Disk
from artifacts.store.integrity import Stored
from artifacts.store.store import Store
from idxflow.exporting.export import Exported, export
from schemas.errors import ArtifactDamaged, StoreError, UsageError
from schemas.image_table import ImageTable
from tests.artifacts.archive.making import clean_up, make, stored
from tests.idxflow.exporting.model_line import DIGITS, model_line
from tests.processes import PROJECT

WHOLE = {
    "README.md", "SHA256SUMS", "confusion.csv", "history.json", "labels.json", "lineage.json", "manifest.json",
    "mean.npy", "metrics.json", "model.keras", "normalizer.json",
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
    assert {path.name for path in target.iterdir()} == WHOLE == check_sums(target) == set(done.files)
    assert {path.stat().st_mode & 0o777 for path in target.iterdir()} == {0o644}
    assert (done.artifact, done.folder, done.left_out) == (f"train/{refs['train'].version}", target, ())
    assert done.files["model.keras"] == len(b"weights")
    for stage, name in (("train", "model.keras"), ("train", "manifest.json"), ("evaluate", "metrics.json")):
        assert (target / name).read_bytes() == (store.folder(stage, refs[stage].version) / name).read_bytes()
    assert json.loads((target / "labels.json").read_bytes()) == {
        "dataset": "digits", "classes": list("0123456789"), "label_offset": 0, "label_values": [*range(10)],
        "shape": [8, 8]
    }  # fmt: skip
    assert Lineage.model_validate_json((target / "lineage.json").read_bytes()).artifact == done.artifact
    assert DIGITS.title.partition(":")[0] in (target / "README.md").read_text()
    assert [*target.parent.iterdir()] == [target]


def test_nothing_names_this_machine(store: Store, refs: dict[str, Ref], target: Path, desk: Path) -> None:
    """No path of the store, of the target, or of where the files came from stands in the folder."""
    exported(store, refs["train"], target)
    for path in target.iterdir():
        for private in (b"somebody", str(desk).encode(), b"file:/"):
            assert private not in path.read_bytes(), path.name


def test_what_was_cleaned_up_is_left_out(store: Store, refs: dict[str, Ref], target: Path) -> None:
    """Without evaluation and normaliser their files are missing, which the card says; it does not link to them."""
    clean_up(store, refs["evaluate"], refs["normalize"])
    done = exported(store, refs["train"], target)
    missing = ("normalizer.json", "mean.npy", "metrics.json", "confusion.csv")
    assert done.left_out == missing
    assert check_sums(target) == WHOLE - {*missing}
    card = (target / "README.md").read_text()
    assert "Its metrics are not here" in card
    assert not [name for name in missing if f"({name})" in card]


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
        def inspect(self, stage: str, version: str, *, fully: bool = False) -> Stored | None:
            found = super().inspect(stage, version, fully=fully)
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
    export(store, model, target)

    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=target, capture_output=True, text=True, check=True)
    assert checked.stdout.count(": OK\n") == len(WHOLE) - 1
    assert str(store.home).encode() not in b"".join(path.read_bytes() for path in target.iterdir())

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
