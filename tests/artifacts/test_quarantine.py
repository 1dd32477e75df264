"""Quarantine: what is put aside keeps its reason, and nothing that lies there is ever lost to another."""

from __future__ import annotations

from pathlib import Path

from artifacts.store.quarantine import Quarantine


def test_what_is_put_aside_keeps_its_reason(tmp_path: Path) -> None:
    """The thing lies beside the reason; of several of one name the last one's reason is told."""
    quarantine = Quarantine(tmp_path / "quarantine")
    assert quarantine.reason("parse", "v") is None
    for number in range(11):
        (tmp_path / "v").mkdir()
        (tmp_path / "v" / "file").write_text(str(number))
        place = quarantine.take(tmp_path / "v", "parse", f"reason {number}")
        assert place == tmp_path / "quarantine" / "parse" / f"v-{number + 1}" / "v"
    assert quarantine.reason("parse", "v") == "reason 10"
    assert len(list(quarantine.folder.glob("parse/*/v/file"))) == 11


def test_what_somebody_else_has_taken_leaves_nothing(tmp_path: Path) -> None:
    """Of two who find the same damage, the slower one finds nothing, and says so."""
    quarantine = Quarantine(tmp_path / "quarantine")
    assert quarantine.take(tmp_path / "gone", "parse", "reason") is None
    assert list((tmp_path / "quarantine" / "parse").iterdir()) == []
    assert quarantine.reason("parse", "gone") is None
