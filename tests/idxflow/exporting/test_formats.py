"""Every format computes what the model computes: each activation, temperature, size and shape, any number of images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from idxflow.exporting.formats.form import FORMATS, LARGEST, Format, Trained, find_formats
from idxflow.exporting.formats.perceptron import read_perceptron
from idxflow.exporting.proof import TOLERANCE, FormatProof, StoredScores, prove, read_stored
from schemas.datasets import TableSpec
from schemas.errors import StoreError, UsageError
from schemas.image_spec import ImageSpec
from schemas.image_table import ImageTable
from schemas.training import Training
from tests.idxflow.exporting.real_model import IMAGES, RealModel, real_model

EXACT = tuple(name for name in FORMATS if name != "litert-int8")
ACTIVATIONS = ("tanh", "relu", "sigmoid", "elu", "gelu")


def laid_out(real: RealModel, folder: Path, shape: tuple[int, ...] = (8, 8)) -> tuple[Trained, StoredScores, Path]:
    """Write a model, its table and predictions. Returns: also an empty folder for formats."""
    scratch, out = folder / "scratch", folder / "out"
    scratch.mkdir()
    out.mkdir()
    for name, content in vars(real).items():
        (scratch / f"{name}.keras").write_bytes(content)
    table = ImageTable(scratch / "table.keras")
    stored = read_stored(table, scratch / "predictions.keras", scratch / "model.keras")
    spec = TableSpec(split="train", shape=ImageSpec.model_validate(list(shape)), classes=stored.table.metadata.classes)
    return Trained(scratch / "model.keras", scratch, spec, "train/0123456789abcdef"), stored, out


def proved(form: Format, trained: Trained, stored: StoredScores, out: Path) -> FormatProof:
    """Write, read and prove one format."""
    form.write(trained, out)
    return prove(form, form.load(out), stored)


@pytest.mark.parametrize(("activation", "temperature"), [*((each, None) for each in ACTIVATIONS), ("relu", 0.4366)])
def test_every_format_is_the_model(activation: str, temperature: float | None, tmp_path: Path) -> None:
    """With each activation, and with a temperature, every exact format gives each image its class and probability."""
    training = Training.model_validate({"hidden": (7, 5), "activation": activation})
    trained, stored, out = laid_out(real_model(training, temperature=temperature), tmp_path)
    for form in find_formats(EXACT, 1):
        found = proved(form, trained, stored, out)
        assert (found.format, found.images, found.equal, found.ties) == (form.name, IMAGES, IMAGES, 0)
        assert found.largest_difference <= TOLERANCE
        assert set(found.packages) == set(form.readers)


def test_a_tanh_approximation_would_be_noticed(tmp_path: Path) -> None:
    """The GELU of the file is the exact one: the approximate one has the same classes, and other probabilities."""
    import onnx

    training = Training(hidden=(64, 64), activation="gelu")
    trained, stored, out = laid_out(real_model(training), tmp_path)
    form = find_formats(["onnx"], 1)[0]
    proved(form, trained, stored, out)
    model = onnx.load(out / form.file)
    for node in model.graph.node:
        if node.op_type == "Gelu":
            node.attribute.append(onnx.helper.make_attribute("approximate", "tanh"))
    onnx.save(model, out / form.file)
    with pytest.raises(
        Exception, match=r"format onnx: expected the stored class of 90 test images, .* found prob.* off"
    ):
        prove(form, form.load(out), stored)


@pytest.mark.parametrize(
    ("shape", "classes", "hidden"),
    [((5, 9, 3), 2, (6,)), ((8, 8), 300, (9,)), ((8, 8), 10, ()), ((257, 256), 3, (2,))],
    ids=["colour", "many classes", "no hidden layer", "so large that the mean is a weight"],
)
def test_every_shape_is_exported(shape: tuple[int, ...], classes: int, hidden: tuple[int, ...], tmp_path: Path) -> None:
    """Colour, many classes, no hidden layer, and images whose mean is a weight and no configuration: all the same."""
    real = real_model(Training(hidden=hidden), shape, classes)
    trained, stored, out = laid_out(real, tmp_path, shape)
    for form in find_formats(EXACT, 1):
        found = proved(form, trained, stored, out)
        assert found.equal + found.ties == IMAGES


def test_int8_is_measured(tmp_path: Path) -> None:
    """The rounded file is another model, a smaller one, whose accuracy is counted on every test image."""
    trained, stored, out = laid_out(real_model(Training(hidden=(200, 200))), tmp_path)
    exact, rounded = find_formats(["litert-int8", "litert"], 1)
    proved(exact, trained, stored, out)
    found = proved(rounded, trained, stored, out)
    assert (found.exact, found.images) == (False, IMAGES)
    answers = np.concatenate([rounded.load(out)(batch.image).argmax(axis=1) for batch in stored.table.batches()])
    assert found.accuracy == np.mean(answers == stored.table.labels())
    assert found.equal == np.sum(answers == stored.predicted)
    assert found.largest_difference > TOLERANCE
    assert found.words.startswith("test accuracy ")
    assert (out / rounded.file).stat().st_size < (out / exact.file).stat().st_size / 2


def test_an_onnx_file_has_one_input(tmp_path: Path) -> None:
    """It has one input of raw pixels and one output, the operators of the network, and tells its classes and shape."""
    import onnx

    trained, _, out = laid_out(real_model(), tmp_path)
    form = find_formats(["onnx"], 1)[0]
    form.write(trained, out)
    model = onnx.load(out / form.file)
    assert [each.name for each in model.graph.input] == ["pixels"]
    assert [each.name for each in model.graph.output] == ["probabilities"]
    kinds = [node.op_type for node in model.graph.node]
    assert kinds == ["Cast", "Sub", "Div", "Gemm", "Tanh", "Gemm", "Softmax"]
    told = {each.key: each.value for each in model.metadata_props}
    assert told["model"] == "train/0123456789abcdef"
    assert (json.loads(told["classes"]), json.loads(told["shape"])) == (list("0123456789"), [8, 8])


@pytest.mark.parametrize("name", ["onnx", "litert", "litert-int8"])
def test_two_files_of_a_model_are_the_same_bytes(name: str, tmp_path: Path) -> None:
    """A file has no date and no path: written again, from another folder, it has the same bytes."""
    written = []
    for place in ("one", "another"):
        (tmp_path / place).mkdir()
        trained, _, out = laid_out(real_model(Training(hidden=(64,))), tmp_path / place)
        form = find_formats([name], 1)[0]
        form.write(trained, out)
        written.append((out / form.file).read_bytes())
    assert written[0] == written[1]
    assert len(written[0]) > 4 * 64 * 10
    assert str(tmp_path).encode() not in written[0]


@pytest.mark.parametrize("name", ["onnx", "litert", "saved_model"])
def test_floats_are_refused_by_the_file_itself(name: str, tmp_path: Path) -> None:
    """Scaled pixels are an error of the format's own runtime, where the Keras file takes them without a word."""
    trained, _, out = laid_out(real_model(), tmp_path)
    form = find_formats([name], 1)[0]
    form.write(trained, out)
    predict = form.load(out)
    scaled = np.full((2, 64), 0.5, np.float32)
    with pytest.raises(Exception, match=r"(?i)float"):
        predict(scaled)  # type: ignore[arg-type]


def test_unknown_and_impossible_formats_are_refused() -> None:
    """A wrong name is told the right ones, and a model beyond 2 GiB which formats hold it; order does not matter."""
    assert [form.name for form in find_formats(["saved_model", "onnx", "onnx"], 1)] == ["onnx", "saved_model"]
    for wrong in (["tflite"], [], [""]):
        with pytest.raises(UsageError, match=r"--format: expected keras, onnx, .* or saved_model, found '"):
            find_formats(wrong, 1)
    with pytest.raises(UsageError, match=r"--format onnx: expected at most .* keras and saved_model hold any number"):
        find_formats(["onnx"], LARGEST // 4 + 1)
    assert find_formats(["keras", "saved_model"], LARGEST)


def test_what_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the error names what is missing and how to get it, before anything is read."""
    monkeypatch.setattr("idxflow.exporting.formats.form.find_spec", lambda name: None if name == "onnx" else name)
    with pytest.raises(
        UsageError, match=r"--format onnx: expected onnx and onnxruntime .* found no onnx\. .*idxflow\[exp"
    ):
        find_formats(["onnx"], 1)
    assert find_formats(["litert"], 1)


def test_another_network_is_not_guessed_at() -> None:
    """A model with a layer that train does not make is refused by name, and not exported in part."""
    from tasks.fitting.backend import keras

    pixels = keras.Input((4,), dtype="uint8")
    inside = keras.layers.Normalization(mean=[0.0] * 4, variance=[1.0] * 4)(pixels)
    odd = keras.Model(pixels, keras.layers.Softmax()(keras.layers.Dense(2)(keras.layers.LayerNormalization()(inside))))
    with pytest.raises(StoreError, match=r"found InputLayer .*, LayerNormalization .*keras or saved_model"):
        read_perceptron(odd)
