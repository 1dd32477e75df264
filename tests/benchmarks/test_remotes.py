"""Pushes and pulls beside obstore's own calls: the bucket that they go to, and the figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from artifacts.remote.opening import open_backend
from artifacts.remote.probing import probe
from artifacts.store.store import Store
from benchmarks.__main__ import remote
from benchmarks.bucket import serving
from benchmarks.carrier import make_large
from benchmarks.harness import Report
from benchmarks.remotes import KEYS, place_at


def test_the_bucket_is_one_that_a_remote_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps conditions, lists and deletes: the probe of a first use finds nothing wrong with it."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with serving() as address:
        backend = open_backend(place_at(address, "probed"))
        assert probe(backend) == ""
        for number in range(1200):
            assert backend.put_new(f"runs/{number:012}.json", b"x" * number)
        entries = {entry.name: entry.bytes for entry in backend.list("runs/")}
        assert entries == {f"runs/{number:012}.json": number for number in range(1200)}


def test_a_large_artifact_has_no_two_equal_blocks(tmp_path: Path) -> None:
    """It is sound, and its blocks differ, so that nothing of it is put once for all."""
    store = Store(tmp_path)
    found = store.read("parse", make_large(store, 3 * 2**20), fully=True)
    assert found
    content = (found.folder / "file").read_bytes()
    assert len({content[first : first + 2**20] for first in range(0, len(content), 2**20)}) == 3


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_both_journeys_are_measured(tmp_path: Path) -> None:
    """A small large one and a few small ones: every bar has a figure."""
    remote(work=tmp_path, repeats=1, large=24, many=20)
    report = Report.model_validate_json((tmp_path / "remote.json").read_bytes())
    assert [figure.goal.bar for figure in report.figures] == [0.8, 0.8, 300.0, 500.0, 500.0]
    assert all(min(seconds) > 0 for times in report.times.values() for seconds in times.values())
