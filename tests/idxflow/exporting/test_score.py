"""The scoring example of an exported folder: it names images as the model does, and refuses what is no image."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest

from artifacts.store.store import Store
from idxflow.exporting.export import export
from schemas.image_table import ImageTable
from tests.artifacts.archive.making import stored
from tests.idxflow.exporting.model_line import model_line
from tests.idxflow.exporting.real_model import IMAGES, real_model

ALONE = """
import runpy, sys
foreign = {"tensorflow", "keras", "onnx", "idxflow", "schemas", "tasks", "artifacts", "pyarrow", "pandas"}
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    if found := foreign & set(sys.modules):
        print("imported", found)
"""


@pytest.fixture
def folder(store: Store, desk: Path) -> Path:
    """A folder with an ONNX file and no Keras file."""
    export(store, stored(store, model_line(store)["train"]), desk / "model", formats=["onnx"])
    assert not (desk / "model" / "model.keras").exists()
    return desk / "model"


@pytest.fixture
def images(tmp_path: Path) -> npt.NDArray[np.uint8]:
    """The test images, uint8 (90, 8, 8)."""
    (tmp_path / "table.parquet").write_bytes(real_model().table)
    return ImageTable(tmp_path / "table.parquet").read().image.reshape(IMAGES, 8, 8)


def score(folder: Path, images: npt.NDArray[np.generic]) -> subprocess.CompletedProcess[str]:
    """Run the example, from elsewhere, on images, and have it say what it imported that it should not."""
    np.save(folder.parent / "images.npy", images)
    command = [sys.executable, "-c", ALONE, str(folder / "score.py"), "images.npy"]
    return subprocess.run(command, cwd=folder.parent, capture_output=True, text=True, check=False)


def test_it_names_every_image_with_onnxruntime_alone(folder: Path, images: npt.NDArray[np.uint8]) -> None:
    """Its table is the stored predictions, and it has imported neither TensorFlow nor anything of idxflow."""
    done = score(folder, images)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    scored = pq.read_table(io.BytesIO(real_model().predictions), filters=[("split", "==", "test")])
    assert [int(row["image"]) for row in rows] == [*range(IMAGES)]
    assert [int(row["class"]) for row in rows] == scored["predicted"].to_pylist()
    np.testing.assert_allclose([float(row["probability"]) for row in rows], scored["probability"], atol=6e-6)
    one = list(csv.DictReader(io.StringIO(score(folder, images[5]).stdout)))
    assert [(row["image"], row["class"]) for row in one] == [("0", rows[5]["class"])]


def test_it_refuses_what_is_no_image(folder: Path, images: npt.NDArray[np.uint8]) -> None:
    """Floats, other shapes and integers of another type end it with what was expected and found; so does no array."""
    for wrong, found in (
        (images / 255, r"float64 (90, 8, 8)"),
        (images.astype(np.float32), r"float32 (90, 8, 8)"),
        (images.astype(np.int64), r"int64 (90, 8, 8)"),
        (images.reshape(IMAGES * 2, 32), r"uint8 (180, 32)"),
        (images[..., :7], r"uint8 (90, 8, 7)"),
    ):
        done = score(folder, wrong)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.endswith(
            f"images.npy: expected raw pixels, 0 to 255, uint8 (n, 8, 8) or (n, 64), found {found}\n"
        )
    (folder.parent / "images.npy").write_text("no array")
    command = [sys.executable, str(folder / "score.py"), "images.npy"]
    done = subprocess.run(command, cwd=folder.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
