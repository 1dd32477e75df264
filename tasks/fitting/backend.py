"""
TensorFlow and Keras, imported quietly and with the same numerics everywhere.

Importing this module takes seconds: stages do it inside their body, so that a cached run never pays for it. A variable
that is already set in the environment wins (`TF_CPP_MIN_LOG_LEVEL=0` shows all of TensorFlow's messages).
"""

from __future__ import annotations

import os
import platform
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

import numpy as np

from schemas.model import Numerics

CHATTER = re.compile(rb"WARNING: All log messages before absl|[IWE]\d{4} \d\d:\d\d:\d|\d{4}-\d\d-\d\d [\d:.]+: [IWE] ")

LAST = b"\0\n"
"""What no library writes: the end of what is passed on."""


@contextmanager
def quiet_loading() -> Iterator[None]:
    """
    Leave TensorFlow's log lines out of what the process writes to standard error; pass on the rest, line by line.

    Its libraries log while they are being loaded, before any level can be set. Other threads write meanwhile.
    """
    stderr = os.dup(2)
    reading, writing = os.pipe()

    def pass_on() -> None:
        with os.fdopen(reading, "rb") as said:
            for line in iter(said.readline, LAST):
                if not CHATTER.match(line):
                    with suppress(OSError):  # who read it has left, or its disk is full: no matter of the import's
                        os.write(stderr, line.removesuffix(LAST))
                if line.endswith(LAST):
                    return  # behind half a line

    reader = threading.Thread(target=pass_on, name="stderr")
    reader.start()
    os.dup2(writing, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.write(writing, LAST)  # a child that was started meanwhile may hold the pipe open
        reader.join()
        os.close(writing)
        os.close(stderr)


os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# A small perceptron is faster on the processor, and only there are repeated runs known to be bit-identical.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
# An update is a chain of small operations. A second thread finds none to run at the same time, and searching for them
# takes a core from the one that does: an epoch is a tenth slower then. Bits are the same.
if not os.environ.get("TF_NUM_INTEROP_THREADS", "").isdecimal():  # TensorFlow takes no other value either
    os.environ["TF_NUM_INTEROP_THREADS"] = "1"
INTEROP_THREADS = int(os.environ["TF_NUM_INTEROP_THREADS"])  # whatever becomes of the environment later

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

__all__ = ["keras", "numerics", "tf", "use_threads"]


def use_threads(count: int) -> None:
    """
    Have TensorFlow use so many threads inside of one operation; 0: one per core. Bits do not depend on it.

    A number that the environment or a program has set stays, as does the one with which this process has begun.
    """
    said = os.environ.get("TF_NUM_INTRAOP_THREADS", "").isdecimal()
    if not said and not tf.config.threading.get_intra_op_parallelism_threads():
        with suppress(RuntimeError):  # it has begun
            tf.config.threading.set_intra_op_parallelism_threads(count)


def numerics() -> Numerics:
    """Return the numerics settings of this process."""
    return Numerics(
        tensorflow=tf.__version__,
        keras=keras.__version__,
        numpy=np.__version__,
        machine=platform.machine(),
        onednn=os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        xla_flags=os.environ.get("XLA_FLAGS", ""),
        deterministic_ops=os.environ.get("TF_DETERMINISTIC_OPS", "default"),
        intra_op_threads=tf.config.threading.get_intra_op_parallelism_threads(),
        # What a program has set takes precedence over the environment, for TensorFlow as well.
        inter_op_threads=tf.config.threading.get_inter_op_parallelism_threads() or INTEROP_THREADS,
    )
