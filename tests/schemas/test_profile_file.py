"""A configuration in a file, as a sweep writes its winner's."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.errors import UsageError
from schemas.profile_file import is_profile_file, read_profile


def test_file_gives_its_values_and_its_profile(tmp_path: Path) -> None:
    """The values of the file come with the profile that they differ from, the tutorial's if none is named."""
    (file := tmp_path / "best.toml").write_text('[training]\nprofile = "tuned"\nhidden = [100, 50]\n', "utf-8")
    assert read_profile(file) == {"profile": "tuned", "hidden": [100, 50]}
    file.write_text("[training]\nepochs = 3\n", "utf-8")
    assert read_profile(file) == {"profile": "tutorial", "epochs": 3}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[training\n", "TOML"),
        ("[training]\nepoch = 3\n", "training.epoch"),
        ("[training]\nepochs = 0\n", "training.epochs"),
        ('[training]\nprofile = "other"\n', "training.profile"),
        ("epochs = 3\n", "one table, [training]"),
        ("[training]\n[more]\n", "one table, [training]"),
        ("", "found nothing"),
    ],
)
def test_other_file_is_refused(content: str, words: str, tmp_path: Path) -> None:
    """A file that is no configuration is refused with its path and what is wrong in it."""
    (file := tmp_path / "best.toml").write_text(content, "utf-8")
    with pytest.raises(UsageError, match=r"best\.toml") as caught:
        read_profile(file)
    assert words in str(caught.value)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    """A file that is not there is refused by its path."""
    with pytest.raises(UsageError, match=r"none\.toml.*No such file"):
        read_profile(tmp_path / "none.toml")


def test_profiles_by_name_are_no_files() -> None:
    """What ends in .toml is a file, and a profile's name is none."""
    assert is_profile_file("a/best.toml")
    assert not is_profile_file("tuned")
    assert not is_profile_file(None)
