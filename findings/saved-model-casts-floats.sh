#!/usr/bin/env bash
# TensorFlow 2.21.0, Keras 3.15.1: does a SavedModel whose input is uint8 refuse floats?
#
# Guess:  yes. Its signature says uint8, an image classifier that takes raw pixels is asked about pixels scaled to 0 to 1
#         by somebody sooner or later, and tf.function raises TypeError where a tensor of another type is passed.
# Found:  it refuses tensors, and casts arrays: the function of a loaded SavedModel, `loaded.serve(x)`, takes a NumPy
#         array of float32 for uint8 without a word. 0.9 becomes 0, and the answer is that of a black image. Of a tensor
#         of tf.float32 it raises TypeError; the signature, `loaded.signatures["serving_default"]`, refuses it as well.
# Matters for: whoever hands a SavedModel to others. Show them the signature, which takes no arrays, and not the function.
#
# Output seen (the sum of four pixels of 0.9):
#   uint8 9, function: [36.]
#   NumPy float32 0.9, function: [0.]
#   tf.float32 0.9, function: TypeError
#   tf.float32 0.9, signature: InvalidArgumentError
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq "tensorflow==2.21.0" "keras==3.15.1" "numpy==2.4.6"
cat > "$folder/measure.py" <<'PYTHON'
import sys

import keras
import numpy as np
import tensorflow as tf

pixels = keras.Input((4,), dtype="uint8", name="x")
model = keras.Model(pixels, keras.layers.Dense(1, kernel_initializer="ones")(keras.layers.Rescaling(1.0)(pixels)))
model.export("saved_model", format="tf_saved_model", verbose=False)
loaded = tf.saved_model.load("saved_model")
signature = loaded.signatures["serving_default"]
scaled = np.full((1, 4), 0.9, np.float32)
WAYS = {
    "uint8 9, function": lambda: loaded.serve(np.full((1, 4), 9, np.uint8)),
    "NumPy float32 0.9, function": lambda: loaded.serve(scaled),
    "tf.float32 0.9, function": lambda: loaded.serve(tf.constant(scaled)),
    "tf.float32 0.9, signature": lambda: next(iter(signature(x=tf.constant(scaled)).values())),
}
found = []
for name, way in WAYS.items():
    try:
        found.append(str(np.asarray(way())[0]))
    except Exception as error:
        found.append(type(error).__name__)
    print(f"{name}: {found[-1]}")
sys.exit(0 if found == ["[36.]", "[0.]", "TypeError", "InvalidArgumentError"] else 3)
PYTHON
cd "$folder"
TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1 "$folder/venv/bin/python" "$folder/measure.py" 2> "$folder/said" || {
  code=$?; cat "$folder/said" >&2; exit "$code"; }
