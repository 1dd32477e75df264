"""What tests share: where the genuine MNIST files are, and a real Prefect server."""

from __future__ import annotations

import os

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


def pytest_configure(config: pytest.Config) -> None:
    """Draw Hypothesis's hundred examples a test where the slow tests run too, a quarter of them where they do not."""
    settings.register_profile("quick", deadline=None, max_examples=25)
    settings.register_profile("whole", deadline=None)
    settings.load_profile("quick" if "not slow" in config.option.markexpr else "whole")


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
    """A real Prefect server with a database of its own, for as long as the session lasts."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, which runs of this test use."""
    folder = tmp_path / "home"
    monkeypatch.setenv("IDXFLOW_HOME", str(folder))
    return folder
