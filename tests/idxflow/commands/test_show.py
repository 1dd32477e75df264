"""`idxflow show`."""

from __future__ import annotations

import json

import pytest

from artifacts.ref import Ref
from artifacts.store.store import Store
from idxflow.cli.commands.show import show
from idxflow.cli.ending import DONE
from schemas.errors import ArtifactDamaged, UsageError


def test_a_run_is_shown(model: Ref, capsys: pytest.CaptureFixture[str]) -> None:
    """A run's word shows its page, as does `latest`."""
    assert show("aaaa") == show("latest") == DONE
    page = capsys.readouterr().out
    assert page.startswith("Run:             aaaaaaaaaaaa: completed in 30.0 s\n")
    assert page[: len(page) // 2] * 2 == page


def test_an_artifact_is_shown(model: Ref, capsys: pytest.CaptureFixture[str]) -> None:
    """A version's word shows its page."""
    assert show(f"train/{model.version[:4]}") == DONE
    assert capsys.readouterr().out.startswith(f"Artifact:        train/{model.version} train\n")


def test_an_artifact_is_found_by_its_digests(model: Ref, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """The digest of its content and the SHA-256 of a file, whole or their first twelve digits; no fewer."""
    manifest = store.manifest("train", model.version)
    assert manifest
    for digest in (model.digest, *(entry.sha256 for entry in manifest.files.values())):
        for word in (digest, digest[:12], f"train/{digest[:12]}"):
            assert show(word) == DONE
            assert capsys.readouterr().out.startswith(f"Artifact:        train/{model.version} train\n")
        for word in (digest[:11], f"parse/{digest}", f"../train/{digest}"):
            with pytest.raises(UsageError, match="nothing of that name"):
                show(word)
        with pytest.raises(UsageError, match="nothing of that name"):
            show(f"{digest[:-1]}{'0' if digest[-1] != '0' else '1'}")


@pytest.mark.parametrize(("word", "kind"), [("latest", "run"), ("train/", "artifact")])
def test_as_json_it_is_one_document(model: Ref, capsys: pytest.CaptureFixture[str], word: str, kind: str) -> None:
    """With JSON there is one document on standard output, and nothing else."""
    assert show(word, json=True) == DONE
    output, errors = capsys.readouterr()
    assert json.loads(output)["kind"] == kind
    assert not errors


def test_what_is_not_there_is_a_wrong_word(model: Ref, store: Store) -> None:
    """A word for nothing is refused; one for a damaged artifact is an error."""
    with pytest.raises(UsageError, match="expected the beginning of a run's id"):
        show("zzz")
    path = store.folder("train", model.version) / "model.keras"
    path.chmod(0o644)
    path.write_bytes(b"")
    with pytest.raises(ArtifactDamaged, match="expected 7 bytes, found 0"):
        show(model.version)
