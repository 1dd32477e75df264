"""References that are bound to files."""

from __future__ import annotations

from pathlib import Path

from artifacts.ref import Ref


def test_an_artifact_is_opened_once_a_file_of_it_is_asked_for(tmp_path: Path) -> None:
    """Nothing happens before, and no second time."""
    (tmp_path / "table").touch()
    asked = list[str]()

    def open_it() -> Path:
        asked.append("opened")
        return tmp_path

    ref = Ref(stage="parse", name="", version="0" * 16, digest="0" * 64, manifest="0" * 64).opened_by(open_it)
    assert (ref.digest, asked) == ("0" * 64, [])
    assert ref.file() == ref.file("table") == tmp_path / "table"
    assert asked == ["opened"]
