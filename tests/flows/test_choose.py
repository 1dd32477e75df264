"""Which data set a run without a name is about."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from socket import socket
from uuid import uuid4

import pytest

from artifacts.current import CURRENT
from artifacts.engine.recorder import Recorder
from artifacts.refresh import Refresh
from artifacts.store.store import Store
from flows import choose
from flows.choose import any_answers, choose_dataset
from schemas.catalog import load_dataset
from schemas.datasets import Dataset
from schemas.errors import UsageError
from tests.artifacts.building import build
from tests.faults.mirror import Mirror

NAME = "train-images-idx3-ubyte.gz"


@pytest.fixture
def served() -> Iterator[str]:
    """The address of a mirror that has the first MNIST file, by name."""
    with Mirror({NAME: b"x"}) as mirror:
        yield f"{mirror.url}/"


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """A run over an empty store, with the catalog's own mirrors taken away: tests are offline."""
    monkeypatch.setattr(choose, "load_dataset", offline)
    current = Recorder(Store(tmp_path / "home"), uuid4(), Refresh(), "")
    token = CURRENT.set(current)
    yield current
    CURRENT.reset(token)


def offline(name: str, mirrors: tuple[str, ...] = ()) -> Dataset:
    """Load a data set of the catalog with nothing but the given mirrors."""
    dataset = load_dataset(name)
    if name == "digits":
        return dataset
    document = dataset.model_dump()
    for split in document["splits"].values():
        for shard in split["shards"]:
            for file in shard.values():
                file["mirrors"] = mirrors
    return Dataset.model_validate(document)


def test_an_answering_mirror_means_mnist(run: Recorder, served: str, caplog: pytest.LogCaptureFixture) -> None:
    """When a mirror has the file the run is about MNIST, and nobody is warned."""
    assert choose_dataset(None, (served,)).name == run.dataset == "mnist"
    assert not caplog.records


def test_no_mirror_means_digits_and_a_loud_warning(run: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    """Without a mirror the run is about the bundled digits, and says so with the way out."""
    with caplog.at_level(logging.WARNING, "idxflow"):
        assert choose_dataset(None, ("http://127.0.0.1:9/",)).name == run.dataset == "digits"
    assert "NOT MNIST" in caplog.text
    assert "--mirror" in caplog.text


def test_a_stored_mnist_needs_no_mirror(run: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in the store is used, whatever the network says."""
    import hashlib

    dataset = offline("mnist")
    contents = {file.name: file.name.encode() for file in dataset.files}
    document = dataset.model_dump()
    for split in document["splits"].values():
        for shard in split["shards"]:
            for file in shard.values():
                file["sha256"] = hashlib.sha256(contents[file["name"]]).hexdigest()
    stored = Dataset.model_validate(document)
    monkeypatch.setattr(choose, "load_dataset", lambda name, mirrors=(): stored if name == "mnist" else None)
    for salt, (name, content) in enumerate(contents.items()):
        build(run.store, {name: content}, "download", salt)
    assert choose_dataset(None, ()).name == "mnist"


def test_a_name_is_taken_at_its_word(run: Recorder) -> None:
    """A named set is not second-guessed; an unknown one is refused with the known names."""
    assert choose_dataset("mnist", ("http://127.0.0.1:9/",)).name == run.dataset == "mnist"
    with pytest.raises(UsageError, match="digits"):
        choose_dataset("nothing-like-that", ())


def test_asking_ends_in_time(silent: str, served: str) -> None:
    """A mirror that never answers costs the time-out and no more, and nothing when another one answers."""
    started = time.monotonic()
    assert not any_answers((silent,), NAME, seconds=0.3)
    assert time.monotonic() - started < 2
    started = time.monotonic()
    assert any_answers((silent, served), NAME, seconds=20)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("has", [True, False])
def test_a_folder_can_be_a_mirror(tmp_path: Path, has: bool) -> None:
    """A file address answers when the file is there."""
    if has:
        (tmp_path / NAME).write_bytes(b"x")
    assert any_answers((tmp_path.as_uri(),), NAME) is has


def test_a_mirror_without_the_file_does_not_count(served: str) -> None:
    """An answer that says 404 is no answer."""
    assert not any_answers((served,), "other.gz")
