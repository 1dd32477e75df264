"""The export as people ask for it: what is said, and where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from artifacts.ref import Ref
from artifacts.store.store import Store
from idxflow.cli.commands.export import export
from tests.artifacts.archive.making import clean_up
from tests.idxflow.exporting.model_line import model_line
from tests.idxflow.exporting.real_model import real_model


@pytest.fixture
def refs(store: Store) -> dict[str, Ref]:
    """The artifacts of a run."""
    return model_line(store)


def test_the_places_are_told(refs: dict[str, Ref], capsys: pytest.CaptureFixture[str]) -> None:
    """Model, folder, card and the command that checks it, as seen from the working folder and quoted for the shell."""
    assert export(refs["train"].version[:8], Path("my model")) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"Model:           train/{refs['train'].version}"
    assert said[1].startswith("Exported:        my model, 15 files, ")
    assert said[2].startswith("Proved:          keras: 90 of 90 classes as stored, probabilities at most ")
    assert said[3:] == [
        "Card:            my model/README.md",
        "To check it:     cd 'my model' && sha256sum -c SHA256SUMS",
    ]
    assert Path("my model/model.keras").read_bytes() == real_model().model


def test_what_is_left_out_is_warned_of(store: Store, refs: dict[str, Ref], capsys: pytest.CaptureFixture[str]) -> None:
    """Files that could not be had are named, in the document too, which stands alone on standard output."""
    clean_up(store, refs["evaluate"])
    assert export(f"train/{refs['train'].version}", Path("model"), json=True) == 0
    said = capsys.readouterr()
    assert "WARNING metrics.json, confusion.csv left out" in said.err
    assert "WARNING The model was not held against its stored predictions: its evaluation is no longer" in said.err
    document = json.loads(said.out)
    assert document["left_out"] == ["metrics.json", "confusion.csv"]
    assert document["files"]["model.keras"] == len(real_model().model)
    assert Path(document["folder"]).is_dir()
