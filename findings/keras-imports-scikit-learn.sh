#!/usr/bin/env bash
# Keras 3.15.1 on JAX 0.10.2, scikit-learn 1.7.2 installed beside it: does `import keras` load scikit-learn?
#
# Guess:  no. Its wrappers for scikit-learn are there for whoever uses them, and load it then.
# Found:  it does, all of it with parts of SciPy, wherever scikit-learn can be imported; without it Keras imports as well.
# Matters for: command lines, workers and scheduled runs that train with Keras: a package that brings scikit-learn for
#         something else makes each start of a process longer. Keep it out of the environment, or where it is not needed
#         at the start, out of sight (sys.modules["sklearn"] = None before the import).
#
# Output seen (modules of scikit-learn after `import keras`, and the median of its seconds in five processes):
#   scikit-learn installed: 67 modules, 2.04 s
#   out of sight:           0 modules, 1.28 s
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq "keras==3.15.1" "scikit-learn==1.7.2" "numpy==2.4.6" "jax==0.10.2"
cat > "$folder/measure.py" <<'PYTHON'
import os
import statistics
import subprocess
import sys

os.environ["KERAS_BACKEND"] = "jax"
BODY = """
import sys, time
{before}
start = time.perf_counter()
import keras
print(time.perf_counter() - start, sum(name.startswith("sklearn.") for name in sys.modules))
"""


def measure(before):
    found = []
    for _ in range(6):
        done = subprocess.run([sys.executable, "-c", BODY.format(before=before)], capture_output=True, text=True, check=True)
        seconds, modules = done.stdout.split()
        found.append((float(seconds), int(modules)))
    return statistics.median(seconds for seconds, _ in found[1:]), found[-1][1]  # the first one writes bytecode


installed, hidden = measure(""), measure("sys.modules['sklearn'] = None")
print(f"scikit-learn installed: {installed[1]} modules, {installed[0]:.2f} s")
print(f"out of sight:           {hidden[1]} modules, {hidden[0]:.2f} s")
sys.exit(0 if installed[1] > 50 and hidden[1] == 0 and installed[0] > 1.1 * hidden[0] else 3)
PYTHON
cd "$folder"
unset PYTHONDONTWRITEBYTECODE
"$folder/venv/bin/python" "$folder/measure.py"
