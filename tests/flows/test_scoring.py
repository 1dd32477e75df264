"""New images named on a schedule: each once, whatever is killed, with what the dashboard and automations are told."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from artifacts.store.store import Store
from flows.answers import Preparing, answer, ask, trained
from flows.run_record import RunRecord
from flows.scored_page import DRIFT, headline, page
from flows.scoring import ScoringJob, scoring
from schemas.errors import UsageError
from tests.flows.own_sets import SIDE, draw, make_set, run
from tests.processes import open_python, served_environment

pytestmark = pytest.mark.usefixtures("prefect_server")


def score(**asked: Any) -> RunRecord:
    """Run the flow; mypy sees through its decorators only so far."""
    done: RunRecord = scoring(**asked)
    return done


def write_pictures(folder: Path, first: int, count: int, *, flat: bool = False) -> None:
    """Write images of the kind that the network was trained on, or flat ones, as PNGs."""
    folder.mkdir(exist_ok=True)
    images, _ = draw(5, first + count)
    for at in range(first, first + count):
        Image.fromarray(np.full((SIDE, SIDE), 255, np.uint8) if flat else images[at]).save(folder / f"{at:03}.png")


def named(path: Path) -> Counter[str]:
    """Return how often each file was named, as a file of answers has it."""
    return Counter(row["file"] for row in pq.read_table(path).to_pylist())


def test_what_is_new_is_named_once(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run takes the files that are new in the folder; the file of answers has all of them, each once."""
    events: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr("flows.scoring.emit_event", lambda name, **more: events.append((name, more)))
    own = make_set(tmp_path / "leaves", 1)
    made = run(own)
    inbox, out = tmp_path / "inbox", tmp_path / "answers.parquet"
    write_pictures(inbox, 0, 30)
    asked = {"model": made.id, "paths": [str(inbox)], "out": str(out)}
    first = score(**asked)
    assert (first.state, first.dataset) == ("completed", "leaves")
    assert [row.stage for row in first.stages if not row.cached] == ["reference", "score"]
    assert named(out) == {f"{at:03}.png": 1 for at in range(30)}
    assert events == []
    again = score(**asked)
    assert [row.stage for row in again.stages] == ["reference"]
    write_pictures(inbox, 30, 40, flat=True)
    third = score(**asked)
    assert third.scored[str(inbox)].images == 40
    assert third.scored_by == made.id
    assert named(out) == {f"{at:03}.png": 1 for at in range(70)}
    (event,) = events
    assert event[0] == DRIFT
    assert event[1]["payload"]["images"] == 40
    assert {"mean", "unlike"} <= set(event[1]["payload"]["features"])


def test_all_of_it_again_where_that_is_asked_for(home: Path, tmp_path: Path) -> None:
    """Without `only_new` a run names whatever lies there, and the file has its answers alone."""
    made = run(make_set(tmp_path / "leaves", 1))
    inbox, out = tmp_path / "inbox", tmp_path / "answers.parquet"
    write_pictures(inbox, 0, 3)
    for _ in range(2):
        score(model=made.id, paths=[str(inbox)], out=str(out), only_new=False)
        assert named(out) == {f"{at:03}.png": 1 for at in range(3)}


def test_a_run_without_a_folder_says_so(home: Path, tmp_path: Path) -> None:
    """The deployment comes without paths: a run of it fails with what to do."""
    made = run(make_set(tmp_path / "leaves", 1))
    with pytest.raises(UsageError, match=r"paths: expected one at least, found none"):
        score(model=made.id)
    assert ScoringJob().only_new


def test_the_page_says_what_was_named(home: Path, tmp_path: Path) -> None:
    """Images, classes, what was refused and drift stand on it, as Markdown that no name steers."""
    from artifacts.engine.direct import recording_directly

    made, store = run(make_set(tmp_path / "leaves", 1)), Store(home)
    write_pictures(tmp_path / "in<b>box", 0, 12)
    (tmp_path / "in<b>box" / "notes.txt").write_text("nothing")
    network = trained(store, made.id)
    with recording_directly(store) as current:
        answers = answer(current, network, ask(network, [str(tmp_path / "in<b>box")], Preparing(), None)).answers
    assert headline(answers) == "12 images named, 1 file refused"
    text = page(answers)
    assert "<b>" not in text.replace(r"\<b\>", "")
    for words in ("| Images | 12 |", "| no picture, by its ending | 1 |", "population stability index"):
        assert words in text
    assert headline([]) == "nothing new"


KILLED = """
import os, signal, sys
from tests.faults.disk import CountingDisk, using
from tests.faults.dying import DyingDisk
from idxflow.cli.main import main
at = int(sys.argv[1])
disk = CountingDisk() if at < 0 else DyingDisk(at)
with using(disk):
    code = main(sys.argv[2:])
print(len(disk.steps) if at < 0 else "", file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_kill_at_any_step_names_no_file_twice_and_none_never(home: Path, tmp_path: Path) -> None:
    """Killed before each step of the file layer, and run again: each file stands once in the answers."""
    made = run(make_set(tmp_path / "leaves", 1))
    inbox, out = tmp_path / "inbox", tmp_path / "answers.parquet"
    environment = served_environment(IDXFLOW_HOME=str(home))

    def predict(at: int) -> tuple[int, str]:
        words = ["predict", made.id, str(inbox), "--new", "--out", str(out)]
        with open_python("-c", KILLED, str(at), *words, environment=environment) as process:
            _, said = process.communicate(timeout=120)
        return process.returncode, said

    write_pictures(inbox, 0, 2)
    code, said = predict(-1)
    assert code == 0, said
    steps = int(said.split()[-1])
    assert steps > 10
    files = 2
    for at in range(steps):
        write_pictures(inbox, files, 2)
        files += 2
        code, said = predict(at)
        assert code in {0, -9}, said
        code, said = predict(-1)
        assert code == 0, f"after step {at}: {said}"
        assert named(out) == {f"{each:03}.png": 1 for each in range(files)}
    assert json.loads((Store(home).runs / f"{made.id}.json").read_bytes())["state"] == "completed"
