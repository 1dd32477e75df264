"""The process environment of a run: ours where nobody has said otherwise."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from idxflow.server.environment import prepare_environment, profile_api_url, user_api_url

PROFILES = """
active = "work"
[profiles.work]
PREFECT_API_URL = "http://prefect.example/api"
[profiles.home]
PREFECT_LOGGING_LEVEL = "DEBUG"
"""


def test_everything_lies_under_the_home_folder(desk: Path) -> None:
    """Prefect's home, database and memo lie below ours; nobody is told anything; records are JSON."""
    prepare_environment(desk / "data")
    assert os.environ["IDXFLOW_HOME"] == str(desk / "data")
    assert os.environ["PREFECT_HOME"] == str(desk / "data" / "prefect")
    assert os.environ["PREFECT_SERVER_DATABASE_CONNECTION_URL"].endswith(f"{desk}/data/prefect/prefect.db")
    assert os.environ["PREFECT_RESULTS_DEFAULT_SERIALIZER"] == "json"
    assert os.environ["DO_NOT_TRACK"] == "1"
    assert os.environ["PREFECT_LOGGING_EXTRA_LOGGERS"] == "idxflow"


def test_what_a_person_has_set_stays(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that are set already are kept, a database under its older name too; only the home folder is not."""
    monkeypatch.setenv("PREFECT_HOME", "/theirs")
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", "sqlite+aiosqlite:////theirs.db")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    monkeypatch.setenv("IDXFLOW_HOME", "elsewhere")
    prepare_environment(desk)
    assert os.environ["PREFECT_HOME"] == "/theirs"
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"
    assert "PREFECT_SERVER_DATABASE_CONNECTION_URL" not in os.environ
    assert os.environ["IDXFLOW_HOME"] == str(desk)


def test_verbose_lets_the_libraries_talk(desk: Path) -> None:
    """With `verbose` Prefect logs to the console, and TensorFlow is not told to be quiet."""
    prepare_environment(desk, verbose=True)
    assert os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] == "INFO"
    assert "TF_CPP_MIN_LOG_LEVEL" not in os.environ


def test_a_prefect_profile_counts_as_a_choice(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The active profile's API is found without Prefect, and Prefect is left the home where the profile lies."""
    (desk / ".prefect").mkdir()
    (desk / ".prefect" / "profiles.toml").write_text(PROFILES)
    assert user_api_url() == profile_api_url() == "http://prefect.example/api"
    prepare_environment(desk / "data")
    assert "PREFECT_HOME" not in os.environ
    monkeypatch.setenv("PREFECT_API_URL", "http://mine/api")
    assert user_api_url() == "http://mine/api"


@pytest.mark.parametrize("profiles", [None, "not = [toml", PROFILES.replace('"work"', '"home"'), "active = 'gone'"])
def test_no_profile_is_no_choice(profiles: str | None, desk: Path) -> None:
    """Without a readable profile that names an API, nothing is chosen."""
    (desk / ".prefect").mkdir()
    if profiles is not None:
        (desk / ".prefect" / "profiles.toml").write_text(profiles)
    assert user_api_url() is None


def test_ephemeral_is_stronger_than_a_chosen_api(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary server is used although an API is set, and no profile can bring one back."""
    monkeypatch.setenv("PREFECT_API_URL", "http://mine/api")
    prepare_environment(desk, ephemeral=True)
    assert "PREFECT_API_URL" not in os.environ
    assert os.environ["PREFECT_HOME"] == str(desk / "prefect")
