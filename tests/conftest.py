"""What tests share: where the genuine MNIST files are, and a real Prefect server."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import tempfile

# Before Prefect is imported by anything: a quiet one that phones nobody.
os.environ.update(
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    DO_NOT_TRACK="1",
    PREFECT_LOGGING_LEVEL="ERROR",
    PREFECT_RESULTS_DEFAULT_SERIALIZER="json",
)

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

MNIST_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
SHARED_MEMORY = "/dev/shm"


def pytest_configure(config: pytest.Config) -> None:
    """
    Decide where tests write, and how many examples Hypothesis draws.

    Memory flushes a file in no time, a disk in milliseconds, and tests write a hundred thousand of them; whoever sets
    TMPDIR has them there. With the slow tests a test has Hypothesis's hundred examples, without them a quarter.
    """
    roomy = os.access(SHARED_MEMORY, os.W_OK) and shutil.disk_usage(SHARED_MEMORY).free > 2**32
    if roomy and "TMPDIR" not in os.environ:
        os.environ["TMPDIR"] = tempfile.tempdir = tempfile.mkdtemp(dir=SHARED_MEMORY)
        Path(tempfile.tempdir).chmod(0o711)  # as /tmp: other users, whom tests play, pass through
        atexit.register(leave_memory, tempfile.tempdir)  # the first that is registered is called last
    settings.register_profile("quick", deadline=None, max_examples=25)
    settings.register_profile("whole", deadline=None)
    settings.load_profile("quick" if "not slow" in config.option.markexpr else "whole")


def leave_memory(folder: str) -> None:
    """Delete what tests wrote to memory."""
    shutil.rmtree(folder, ignore_errors=True)


def pytest_sessionfinish(exitstatus: int) -> None:
    """Keep it where something is to be looked into."""
    if exitstatus:
        atexit.unregister(leave_memory)


def pytest_collection_finish() -> None:
    """Have the garbage collector leave alone the million objects of TensorFlow's and Prefect's import."""
    gc.freeze()


@pytest.fixture(scope="session")
def mnist_files() -> Path:
    """The folder of the four genuine MNIST files."""
    folder = Path(os.environ.get("IDXFLOW_MNIST_DIR") or Path(__file__).parents[2] / "shared" / "mnist")
    if not all((folder / name).is_file() for name in MNIST_FILES):
        pytest.skip("the genuine MNIST files are not here: set IDXFLOW_MNIST_DIR to their folder")
    return folder


@pytest.fixture(autouse=True)
def no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process forgets no secret: those of a test would be hidden in the texts of all others."""
    monkeypatch.setattr("schemas.secrets._forms", set())


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """
    A real Prefect server with a database of its own, for as long as the session lasts.

    Flows of this process send no heartbeats, as those of `idxflow run`: each would wait a second at its end.
    """
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    with (
        prefect_test_harness(server_startup_timeout=120),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        yield


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, which runs of this test use."""
    folder = tmp_path / "home"
    monkeypatch.setenv("IDXFLOW_HOME", str(folder))
    return folder
