"""
onnx: one graph of the network's few operators, for onnxruntime and whatever else reads ONNX.

It is built here, operator by operator: Keras's own export of this very model makes the constants of its normalisation
two further inputs. Operators and their defaults are those of opset 20 of ONNX, where `Gelu` is the exact one and `Elu`
has Keras's alpha. The file has no date and no path, so that two exports of a model are the same bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from artifacts.store import files
from idxflow.exporting.formats.form import INPUT, LARGEST, OUTPUT, Format, FormatName, Predictor, Trained

if TYPE_CHECKING:
    from idxflow.exporting.formats.perceptron import Perceptron

IR, OPSET = 10, 20
"""What onnxruntime reads since 1.18: newer ones, the defaults of the package `onnx`, are refused by it."""


def build_graph(network: Perceptron, facts: dict[str, str]) -> Any:
    """
    Build the ONNX model of a perceptron, and have the package `onnx` check it.

    Args:    facts: what else the file tells, by name.
    Returns: an `onnx.ModelProto` from `pixels`, uint8 (n, values), to `probabilities`, float32 (n, classes).
    """
    from onnx import TensorProto, checker, helper, numpy_helper

    nodes: list[Any] = []
    constants: list[Any] = []

    def constant(name: str, value: npt.ArrayLike) -> str:
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name))
        return name

    def add(operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    x = add("Cast", [INPUT], "floats", to=TensorProto.FLOAT)
    x = add("Sub", [x, constant("mean", network.mean)], "centred")
    # Not times the inverse, which would be rounded once more.
    x = add("Div", [x, constant("std", network.std)], "normalized")
    for at, layer in enumerate(network.layers, 1):
        numbers = [constant(f"kernel_{at}", layer.kernel), constant(f"bias_{at}", layer.bias)]
        x = add("Gemm", [x, *numbers], f"sum_{at}")
        if layer.activation != "linear":
            x = add(layer.activation.capitalize(), [x], f"hidden_{at}")
    if network.scale is not None:
        x = add("Mul", [x, constant("inverse_temperature", network.scale)], "tempered")
    add("Softmax", [x], OUTPUT, axis=-1)
    inputs = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["images", len(network.mean)])
    outputs = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["images", len(network.layers[-1].bias)])
    graph = helper.make_graph(nodes, "perceptron", [inputs], [outputs], constants)
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, ir_version=IR, opset_imports=opsets, producer_name="idxflow")
    helper.set_model_props(model, facts)
    checker.check_model(model, full_check=True)
    return model


@dataclass(frozen=True)
class Onnx:
    """One file that needs onnxruntime and NumPy."""

    name: FormatName = "onnx"
    file: str = "model.onnx"
    meaning: str = "the same for onnxruntime: `pixels`, uint8 (n, values), to `probabilities`, float32 (n, classes)"
    exact: bool = True
    needs: tuple[str, ...] = ("onnx", "onnxruntime")
    readers: tuple[str, ...] = ("onnxruntime", "onnx")
    largest: int | None = LARGEST

    def write(self, trained: Trained, folder: Path) -> None:
        """Write the graph, with the model's version, its classes and the shape of an image as properties."""
        from idxflow.exporting.formats.perceptron import read_perceptron

        facts = {
            "model": trained.artifact,
            "classes": json.dumps(trained.spec.classes),
            "shape": json.dumps(trained.spec.shape.array),
        }
        model = build_graph(read_perceptron(trained.keras), facts)
        files.write_new(folder / self.file, model.SerializeToString(deterministic=True))

    def load(self, folder: Path) -> Predictor:
        """Load the file with onnxruntime, on the processor."""
        import onnxruntime

        session = onnxruntime.InferenceSession(folder / self.file, providers=["CPUExecutionProvider"])

        def predict(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
            return np.asarray(session.run([OUTPUT], {INPUT: pixels})[0])

        return predict


FORMS: dict[str, Format] = {"": Onnx()}
