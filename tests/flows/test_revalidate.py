"""flows/revalidate.py: only what may have changed on its mirror is downloaded again, by real runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from artifacts.archive.reasons import sentence
from artifacts.store.store import Store
from flows.job import Job
from flows.pipeline import pipeline
from flows.plan import plan_pipeline
from schemas.catalog import load_dataset
from schemas.errors import DownloadFailed
from schemas.training import Training
from tests.faults.mirror import Exchange, Fault, Mirror, good, html

pytestmark = pytest.mark.usefixtures("prefect_server")
FOLDER = Path(__file__).parents[2] / "schemas" / "catalog" / "digits"
NAMES = [file.name for file in load_dataset("digits").files]
TRAINING = Training(epochs=1)


@pytest.fixture
def mood() -> list[Fault]:
    """How the mirror answers from now on: by the last one."""
    return [good]


@pytest.fixture
def mirror(mood: list[Fault]) -> Iterator[Mirror]:
    """A mirror of the digits."""
    files = {name: (FOLDER / name).read_bytes() for name in NAMES}

    def answer(exchange: Exchange) -> None:
        mood[-1](exchange)

    with Mirror(files, faults=repeat(answer)) as mirror:
        yield mirror


@pytest.fixture
def own(mirror: Mirror, tmp_path: Path) -> str:
    """The digits as somebody's own set, on that mirror only, without checksums."""
    text = (FOLDER.parent / "digits.toml").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("mirrors")]
    kept = "\n".join(lines).replace("[train]", f'mirrors = ["{mirror.url}"]\n\n[train]', 1)
    path = tmp_path / "own.toml"
    path.write_text(kept)
    return str(path)


def run(dataset: str, **parameters: Any) -> Any:
    return pipeline(dataset, TRAINING, **parameters)


def test_what_has_not_changed_is_not_taken_again(home: Path, mirror: Mirror, own: str) -> None:
    """With --revalidate each file is asked for by its ETag, the answers are 304, and everything stays cached."""
    run(own)
    taken = len(mirror.requests)
    record = run(own, revalidate=True)
    assert all(stage.cached for stage in record.stages)
    asked = mirror.requests[taken:]
    assert len(asked) == len(NAMES)
    assert all("If-None-Match" in request.headers for request in asked)
    run(own)
    assert len(mirror.requests) == taken + len(NAMES)


def test_what_may_have_changed_is_taken_again_and_found_the_same(home: Path, mirror: Mirror, own: str) -> None:
    """A mirror that has lost its ETags is read again; the bytes are the same, and all that follows stays cached."""
    run(own)
    mirror.tagged = False
    rows = plan_pipeline(Store(home), Job(dataset=own, training=TRAINING, revalidate=True)).stages
    assert {sentence(row.changes) for row in rows if row.stage == "download"} == {
        "refresh: its mirror does not say that it is unchanged"
    }
    record = run(own, revalidate=True)
    assert sorted(stage.name for stage in record.stages if not stage.cached) == sorted(NAMES)
    assert {stage.stage for stage in record.stages if not stage.cached} == {"download"}


def test_what_has_changed_is_refused_and_what_is_stored_stays(home: Path, mirror: Mirror, own: str) -> None:
    """Another file on the mirror fails a run that asks, by its checksum; a run that does not ask goes on as before."""
    run(own)
    mirror.files[NAMES[0]] += b"more"
    with pytest.raises(DownloadFailed, match=NAMES[0]):
        run(own, revalidate=True)
    assert all(stage.cached for stage in run(own).stages)


@pytest.mark.parametrize("tagged", [True, False], ids=["tagged", "untagged"])
def test_a_mirror_that_does_not_answer_is_warned_of(home: Path, mirror: Mirror, own: str, *, tagged: bool) -> None:
    """Nobody there: the stored copies are used, whether the mirror had ETags or not, and the run's record says so."""
    mirror.tagged = tagged
    run(own)
    mirror.files.clear()
    record = run(own, revalidate=True)
    assert record.state == "completed"
    assert len([warning for warning in record.warnings if "does not answer" in warning]) == len(NAMES)


def test_a_mirror_that_fails_after_its_answer_is_warned_of(
    home: Path, mirror: Mirror, mood: list[Fault], own: str
) -> None:
    """A page of HTML instead of each file: the stored copies are used, and the record names mirror and failure."""
    run(own)
    mood.append(html)
    record = run(own, revalidate=True)
    assert record.state == "completed"
    assert {stage.stage for stage in record.stages if not stage.cached} == {"download"}
    said = rf"an HTML page \((more than )?\d+ bytes\) from {re.escape(mirror.url)}/; the stored copy, which is sound,"
    for name, warning in zip(sorted(NAMES), sorted(record.warnings), strict=True):
        assert re.fullmatch(rf"{re.escape(name)}: {said} is used\.", warning)


def test_what_a_person_wants_anew_has_to_come_from_a_mirror(
    home: Path, mirror: Mirror, mood: list[Fault], own: str
) -> None:
    """Downloads that are refreshed by name fail where no mirror gives them, though copies are stored; those stay."""
    run(own)
    mood.append(html)
    with pytest.raises(DownloadFailed, match=r"an HTML page \((more than )?\d+ bytes\)"):
        run(own, revalidate=True, refresh=("download",))
    assert all(stage.cached for stage in run(own).stages)
