"""The page of an artifact."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from artifacts.archive.lookup import stored_artifact
from artifacts.archive.names import Names
from artifacts.keys import KeyParts
from artifacts.manifest import Input
from artifacts.store.integrity import Stored
from artifacts.store.store import Store
from idxflow.views.artifact import ArtifactFacts, artifact_facts, print_artifact
from tests.artifacts.archive.history import stage_record, write_run
from tests.artifacts.building import build
from tests.idxflow.conftest import Screen

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def stored(store: Store) -> Stored:
    """A model in the store, with a manifest as a run writes one."""
    ref = build(store, {"model.keras": b"weights", "history.json": b"{}" * 500}, "train")
    found = stored_artifact(store, ref.stage, ref.version)
    environment = found.manifest.environment.model_copy(
        update={
            "python": "3.11.7",
            "platform": "Linux x86_64",
            "cores": 2,
            "packages": {"keras": "3.15.1", "prefect": "3.8.8"},
            "numerics": {"TF_ENABLE_ONEDNN_OPTS": "0"},
            "git_commit": "8" * 40,
            "git_dirty": True,
        }
    )
    parts = KeyParts(
        stage="train",
        parameters={"training": {"epochs": 50, "hidden": [50, 50], "decay": 1e-7, "long": {"a": "x" * 40, "b": "y"}}},
        inputs={"table": "d" * 64},
        code={"tasks/train.py": "c" * 64, "schemas/errors.py": "e" * 64},
        packages={"keras": "3.15.1"},
    )
    manifest = found.manifest.model_copy(
        update={
            "parts": parts,
            "environment": environment,
            "seconds": 25.6,
            "summary": {"weights": 42310, "last": {"loss": 0.0439325645}},
            "inputs": (Input(argument="table", stage="parse", name="train", version="b" * 16, digest="d" * 64),),
        }
    )
    return Stored(ref=found.ref, manifest=manifest, folder=found.folder)


def page(screen: Screen, facts: ArtifactFacts) -> str:
    """The page as text, each moment as MOMENT."""
    print_artifact(screen, facts)
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "MOMENT", screen.text.getvalue())


def test_the_page_of_an_artifact(store: Store, stored: Stored, screen: Screen) -> None:
    """All that there is to an artifact: who made and uses it, from what, with what, and what is in it."""
    version, entries = stored.ref.version, stored.manifest.files
    write_run(store, "a" * 12, [stage_record(stored.ref)])
    write_run(store, "b" * 12, [stage_record(stored.ref, cached=True)], minute=1)
    write_run(store, "c" * 12)
    names = Names(store)
    names.set_alias("champion", "train", version, NOW)
    names.pin_artifact("train", version, "good", NOW)
    names.pin_run("a" * 12, "", NOW)
    names.pin_run("c" * 12, "", NOW)
    assert (
        page(screen, artifact_facts(store, stored))
        == f"""\
Artifact:        train/{version} train
Made:            MOMENT in 25.6 s by run 000000000000
Used by:         {"b" * 12}, {"a" * 12}
Aliases:         champion
Pin:             run {"a" * 12}
Pin:             train/{version}: good
Folder:          .idxflow/artifacts/train/{version}
Size:            1.0 kB in 2 files
Content:         {stored.manifest.digest[:16]}
Code:            2 files
Bits decided by: keras 3.15.1
Environment:     Python 3.11.7, Linux x86_64, 2 cores
Packages:        prefect 3.8.8
Variables:       TF_ENABLE_ONEDNN_OPTS=0
Git commit:      {"8" * 40} with changes

Parameters
  training.epochs  50
  training.hidden  [50, 50]
  training.decay   1e-07
  training.long.a  {"x" * 40}
  training.long.b  y

Inputs
  table  parse/{"b" * 16} train

Result
  weights  42310
  last     {{"loss": 0.0439325645}}

Files, with their SHA-256
  history.json  1.0 kB
    {entries["history.json"].sha256}
  model.keras      7 B
    {entries["model.keras"].sha256}
"""
    )


def test_an_artifact_that_no_run_knows_says_so(store: Store, screen: Screen) -> None:
    """Without a record, a name, parameters or a result there is nothing to tell of them."""
    ref = build(store, {"a": b"a"})
    text = page(screen, artifact_facts(store, stored_artifact(store, "parse", ref.version)))
    assert "Used by:         no run in the history\n" in text
    assert "Size:            1 B in 1 file\n" in text
    assert not re.search("Aliases|Pin:|Inputs|Result", text)


def test_many_runs_are_counted(store: Store, stored: Stored, screen: Screen) -> None:
    """Of many runs the newest three are named."""
    for number in range(6):
        write_run(store, f"{number:012}", [stage_record(stored.ref)], minute=number)
    facts = artifact_facts(store, stored)
    assert len(facts.runs) == 6
    assert "Used by:         000000000005, 000000000004, 000000000003, and 3 more\n" in page(screen, facts)


def test_nested_parameters_are_told_part_by_part(store: Store, stored: Stored, screen: Screen) -> None:
    """Lists of objects are told by their places, long lists of values in one line that is cut."""
    parts = stored.manifest.parts.model_copy(
        update={"parameters": {"shards": [{"name": "a"}, {"name": "b"}], "classes": ["x" * 9] * 20}}
    )
    manifest = stored.manifest.model_copy(update={"parts": parts})
    text = page(screen, artifact_facts(store, Stored(ref=stored.ref, manifest=manifest, folder=stored.folder)))
    assert '  shards.0  {"name": "a"}\n  shards.1  {"name": "b"}\n  classes   ["xxxxxxxxx", ' in text
    assert max(map(len, text.splitlines())) == 80


def test_the_facts_are_json(store: Store, stored: Stored) -> None:
    """The same facts as JSON, with the whole manifest."""
    Names(store).pin_artifact("train", stored.ref.version, "good", NOW)
    told = json.loads(artifact_facts(store, stored).model_dump_json())
    assert (told["kind"], told["bytes"]) == ("artifact", 1007)
    assert told["manifest"]["parts"]["code"] == {"tasks/train.py": "c" * 64, "schemas/errors.py": "e" * 64}
    assert told["pins"][0]["note"] == "good"
    assert Path(told["folder"]) == stored.folder
