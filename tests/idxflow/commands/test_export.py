"""The export as people ask for it: what is said, and where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

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


def test_formats_signature_and_bill_are_asked_for(refs: dict[str, Ref], capsys: pytest.CaptureFixture[str]) -> None:
    """Formats are named with commas or one by one; each has its line, and the signature the command that verifies."""
    private = ec.generate_private_key(ec.SECP256R1())
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    Path("key").write_bytes(private.private_bytes(*form))
    Path("key").chmod(0o600)
    version = refs["train"].version[:8]
    assert export(version, Path("model"), format=["onnx, saved_model", "litert-int8"], sign=Path("key"), sbom=True) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in said[2:5]] == ["Proved", "Measured", "Proved"]
    assert [line.split(": ", 2)[1].strip() for line in said[2:5]] == ["onnx", "litert-int8", "saved_model"]
    assert said[7].endswith("cd model && model_signing verify key --signature model.sig --public_key KEY.pub .")
    assert said[8].startswith("Public key:      SHA-256 ")
    there = {path.name for path in Path("model").iterdir()}
    assert {"model.onnx", "model-int8.tflite", "saved_model", "score.py", "model.sig", "sbom.cdx.json"} <= there
    assert "model.keras" not in there


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
    assert (document["proofs"], document["signed"]) == ([], "")
    assert document["unproved"] == "its evaluation is no longer in the store"
    assert Path(document["folder"]).is_dir()


def test_the_document_has_the_proofs(refs: dict[str, Ref], capsys: pytest.CaptureFixture[str]) -> None:
    """What was proved stands in the document as in the folder's own proof.json."""
    assert export(refs["train"].version, Path("model"), format=["onnx"], json=True) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["proofs"] == json.loads(Path("model/proof.json").read_text())["formats"]
    assert (document["proofs"][0]["format"], document["proofs"][0]["equal"]) == ("onnx", 90)
