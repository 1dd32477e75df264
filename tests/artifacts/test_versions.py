"""Older and newer idxflow on one store: what one has left, the other reads, keeps and never moves."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from artifacts.archive.audit import Auditor
from artifacts.archive.collect import collect
from artifacts.archive.runs import read_history
from artifacts.keys import KeyParts
from artifacts.run_record import FORMAT
from artifacts.store.store import Store
from idxflow.cli.ending import DONE
from idxflow.cli.main import main
from tests.artifacts.archive.history import stage_record, write_run
from tests.artifacts.building import build

EARLIER = Path(__file__).with_name("earlier")
"""The record of a run of the digits, and one of its artifacts, as idxflow left them before records had a format."""
RUN, NEWER = "1556ed530dd5", "0123456789ab"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder that an earlier idxflow has left."""
    return Path(shutil.copytree(EARLIER, tmp_path / "home"))


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """Run a command. Returns: its JSON."""
    assert main([*words, "--json"]) == DONE
    return json.loads(capsys.readouterr().out)


def test_an_earlier_record_is_read(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Today's commands take what an earlier idxflow recorded: the run, its figures, its artifact, and all is sound."""
    (listed,) = answer(capsys, "runs", "--home", str(home))
    assert (listed["id"], listed["state"], listed["stages"]) == (RUN, "completed", 20)
    shown = answer(capsys, "show", RUN, "--home", str(home))
    assert shown["metrics"]["test"]["accuracy"] == listed["test_accuracy"] > 0.4
    assert shown["unknown"] == {}
    assert answer(capsys, "verify", "--all", "--home", str(home))["problems"] == []
    assert answer(capsys, "lineage", "verify/14bbc307acc6a2a1", "--home", str(home))["nodes"]
    assert main(["gc", "--yes", "--home", str(home)]) == DONE
    assert Store(home).read("verify", "14bbc307acc6a2a1", fully=True) is not None


def test_what_a_newer_one_has_written_is_kept_and_shown(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fields that nobody knows here, in a record, its rows and its configuration, are no damage, and hold artifacts."""
    store = Store(home)
    ref = build(store, {"a": b"x"}, "score", run=NEWER)
    write_run(store, NEWER, [stage_record(ref)], sequence=9, dataset="digits")
    path = store.runs / f"{NEWER}.json"
    record = json.loads(path.read_bytes())
    record |= {"format": FORMAT + 1, "drift": {"level": 0.2}}
    record["stages"][0]["host"] = "b"
    record["training"]["calibrate"] = True
    path.write_text(written := json.dumps(record))
    assert not read_history(store).unreadable
    shown = answer(capsys, "show", NEWER, "--home", str(home))
    assert shown["unknown"]["drift"] == {"level": 0.2}
    assert {each["name"]: each["value"] for each in shown["configuration"]}["calibrate"] is True
    assert main(["show", NEWER, "--home", str(home)]) == DONE
    assert "drift" in capsys.readouterr().out
    assert not Auditor(store, everything=True, repair=True).run(datetime.now(UTC)).problems
    collect(store, keep=1, older_than=None, now=datetime.now(UTC))
    assert store.read("score", ref.version, fully=True) is not None
    assert path.read_text() == written


def test_a_newer_manifest_is_sound(tmp_path: Path) -> None:
    """A key that has parts, and a manifest that has fields, which nobody knows here is checked with them."""
    store = Store(tmp_path)
    parts = KeyParts.model_validate(
        {"stage": "parse", "parameters": {}, "inputs": {}, "code": {}, "packages": {}, "device": "cpu"}
    )
    ref = build(store, {"a": b"x"}, parts=parts)
    assert parts.key != KeyParts(stage="parse", parameters={}, inputs={}, code={}, packages={}).key
    found = store.read("parse", ref.version, fully=True)
    assert found is not None
    assert found.manifest.parts.model_extra == {"device": "cpu"}
