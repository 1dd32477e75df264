"""
TensorFlow and Keras, imported quietly and with the same numerics everywhere.

Importing this module takes seconds: stages do it inside their body, so that a cached run never pays for it. A variable
that is already set in the environment wins (`TF_CPP_MIN_LOG_LEVEL=0` shows all of TensorFlow's messages).
"""

from __future__ import annotations

import os
import platform
import re
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import numpy as np

from schemas.numerics import Numerics

CHATTER = re.compile(rb"WARNING: All log messages before absl|[IWE]\d{4} \d\d:\d\d:\d|\d{4}-\d\d-\d\d [\d:.]+: [IWE] ")


@contextmanager
def quiet_loading() -> Iterator[None]:
    """
    Hold back what is written to the process's standard error; at the end, write it without TensorFlow's log lines.

    Its libraries log while they are being loaded, before any level can be set.
    """
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            said.seek(0)
            os.write(2, b"".join(line for line in said if not CHATTER.match(line)))


os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# A small perceptron is faster on the processor, and only there are repeated runs known to be bit-identical.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

verbose = os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"

with warnings.catch_warnings(), nullcontext() if verbose else quiet_loading():
    warnings.simplefilter("ignore")
    import keras
    import tensorflow as tf

if not verbose:
    tf.get_logger().setLevel("ERROR")  # it warns of each model that a process trains after the first few

# A keras.json in the home folder may say otherwise.
keras.config.set_floatx("float32")
keras.config.set_dtype_policy("float32")

__all__ = ["keras", "numerics", "tf"]


def numerics() -> Numerics:
    """Return the numerics settings of this process."""
    return Numerics(
        tensorflow=tf.__version__,
        keras=keras.__version__,
        numpy=np.__version__,
        machine=platform.machine(),
        onednn=os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        deterministic_ops=os.environ.get("TF_DETERMINISTIC_OPS", "default"),
        intra_op_threads=tf.config.threading.get_intra_op_parallelism_threads(),
        inter_op_threads=tf.config.threading.get_inter_op_parallelism_threads(),
    )
