"""TensorFlow and Keras, as the stages import them."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tasks.fitting.backend import keras, numerics, quiet_loading, tf

ROOT = Path(__file__).parents[2]


def test_importing_says_nothing() -> None:
    """A first import writes nothing to the terminal, and a user's other float type has no effect."""
    script = (
        "import tasks.fitting.backend as b; b.tf.constant(1); assert b.keras.config.floatx() == 'float32'; "
        "assert b.numerics().inter_op_threads == 1"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**environment, "KERAS_FLOATX": "float64", "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_only_errors_are_logged() -> None:
    """TensorFlow's own logger stays calm while a process trains one model after the other."""
    assert not tf.get_logger().isEnabledFor(logging.WARNING)


def test_loading_keeps_what_others_say(capfd: pytest.CaptureFixture[str]) -> None:
    """Only TensorFlow's own log lines are dropped; the rest is passed on, error or not, to the last half line."""
    with pytest.raises(ImportError), quiet_loading():
        os.write(2, b"I0000 00:00:1795479463.116466   11684 port.cc:153] oneDNN custom operations are on.\nkept\nhalf")
        raise ImportError
    os.write(2, b" a line\nlater\n")
    assert capfd.readouterr().err == "kept\nhalf a line\nlater\n"


def test_loading_holds_nothing_back() -> None:
    """What another thread says is on the terminal at once, and a child that lives on keeps nobody waiting."""
    reading, writing = os.pipe()
    stderr = os.dup(2)
    os.dup2(writing, 2)
    try:
        with quiet_loading():
            child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
            os.write(2, b"said\n")
            assert os.read(reading, 100) == b"said\n"
        child.communicate()
    finally:
        os.dup2(stderr, 2)
        for each in (stderr, reading, writing):
            os.close(each)


def test_numerics_are_those_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The versions are the imported ones, an unset switch reads default, and one thread looks for operations."""
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    monkeypatch.delenv("TF_DETERMINISTIC_OPS", raising=False)
    monkeypatch.delenv("TF_NUM_INTEROP_THREADS", raising=False)  # it counted when TensorFlow was imported
    found = numerics()
    assert (found.tensorflow, found.keras, found.numpy) == (tf.__version__, keras.__version__, np.__version__)
    assert (found.onednn, found.deterministic_ops) == ("0", "default")
    assert found.inter_op_threads >= 1
