#!/usr/bin/env bash
# TensorFlow 2.21.0, Keras 3.15.1: does TFLiteConverter.from_concrete_functions convert a function of a Keras model?
#
# Guess:  yes. The function is right when it is called, the model is handed over beside it to be tracked, and a converter
#         that cannot find a variable's value would say so.
# Found:  the conversion succeeds without a word, and the file answers with whatever lay in memory: it reads variables
#         that were never set. A function of a plain tf.Variable is converted right, and so is the same model by
#         from_keras_model, or by way of a SavedModel that keras.export.ExportArchive wrote.
# Matters for: whoever converts a function to name its outputs, or to put something before or behind a Keras 3 model.
#         Go by way of ExportArchive and from_saved_model, and compare the file's answers with the model's.
#
# Output seen:
#   Keras model, from_concrete_functions: wrong
#   Keras model, from_keras_model: right
#   Keras model, ExportArchive and from_saved_model: right
#   tf.Variable, from_concrete_functions: right
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq "tensorflow==2.21.0" "keras==3.15.1" "numpy==2.4.6"
cat > "$folder/measure.py" <<'PYTHON'
import contextlib
import io
import sys
import warnings

import keras
import numpy as np
import tensorflow as tf

warnings.simplefilter("ignore")
x = np.ones((2, 4), np.float32)
expected = np.full((2, 3), 4, np.float32)
pixels = keras.Input((4,), name="x")
model = keras.Model(pixels, keras.layers.Dense(3, kernel_initializer="ones")(pixels))
kernel = tf.Variable(np.ones((4, 3), np.float32))
tracked = tf.Module()
tracked.kernel = kernel
spec = [tf.TensorSpec((None, 4), tf.float32, name="x")]


def of_function(function, trackable):
    concrete = tf.function(function, input_signature=spec).get_concrete_function()
    np.testing.assert_array_equal(concrete(tf.constant(x)), expected)
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], trackable)


def of_archive():
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", lambda x: model(x), input_signature=spec)
    archive.write_out("saved_model", verbose=False)
    return tf.lite.TFLiteConverter.from_saved_model("saved_model")


WAYS = {
    "Keras model, from_concrete_functions": lambda: of_function(lambda x: model(x), model),
    "Keras model, from_keras_model": lambda: tf.lite.TFLiteConverter.from_keras_model(model),
    "Keras model, ExportArchive and from_saved_model": of_archive,
    "tf.Variable, from_concrete_functions": lambda: of_function(lambda x: x @ kernel, tracked),
}
found = []
for name, way in WAYS.items():
    with contextlib.redirect_stdout(io.StringIO()):
        file = way().convert()
    answer = next(iter(tf.lite.Interpreter(model_content=file).get_signature_runner()(x=x).values()))
    found.append(np.allclose(answer, expected))
    print(f"{name}: {'right' if found[-1] else 'wrong'}")
sys.exit(0 if found == [False, True, True, True] else 3)
PYTHON
cd "$folder"
TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1 "$folder/venv/bin/python" "$folder/measure.py" 2> "$folder/said" || {
  code=$?; cat "$folder/said" >&2; exit "$code"; }
