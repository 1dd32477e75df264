"""`idxflow verify`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from artifacts.archive.audit import Audit
from artifacts.store.store import Store
from idxflow.cli.ending import DONE, FAILED, WRONG_USAGE
from idxflow.cli.main import main
from tests.artifacts.archive.history import write_run
from tests.artifacts.building import build, publish
from tests.faults.scenarios import ref_of

VERSION = ref_of(0).version
FLAW = "a: expected 1000 bytes, found 3"


@pytest.fixture
def store(desk: Path) -> Store:
    """A store of three artifacts of two files in the working folder."""
    store = Store(desk / ".idxflow")
    for salt in range(3):
        build(store, {"a": b"x" * 1000, "b": b"y"}, salt=salt)
    return store


@pytest.fixture
def damaged(store: Store) -> Path:
    """The folder of the first artifact, of which a file is cut."""
    folder = store.folder("parse", VERSION)
    (folder / "a").chmod(0o644)
    (folder / "a").write_bytes(b"cut")
    return folder


def lines(text: str) -> list[str]:
    """Return lines without what depends on the clock."""
    return re.sub(r"hashed in .*", "hashed", text).splitlines()


def test_a_sound_store_is_told_in_one_line(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """What was hashed, how much, how fast; exit code 0."""
    assert main(["verify"]) == DONE
    output, errors = capsys.readouterr()
    assert re.fullmatch(r"Sound: 3 artifacts, 6 files, 3\.0 kB hashed in [\d.]+ m?s \([\d.]+ [kMG]?B/s\)\.\n", output)
    assert not errors
    assert main(["verify", "--all"]) == DONE
    assert lines(capsys.readouterr().out) == ["Sound: 3 artifacts, 6 files, 3.0 kB hashed"]


def test_a_record_from_the_future_is_told(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """It is named where everything is looked at, and is no damage."""
    write_run(store, "00000000000a", minute=100 * 525_600, sequence=1)
    assert main(["verify", "--all"]) == DONE
    assert "WARNING Dated in the future: 1 record (run 00000000000a). The clock was wrong" in capsys.readouterr().out
    assert main(["verify"]) == DONE
    assert "WARNING" not in capsys.readouterr().out


def test_damage_is_named_and_left_where_it_is(damaged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line each on standard error, the way out, and exit code 1; nothing is moved."""
    assert main(["verify"]) == FAILED
    output, errors = capsys.readouterr()
    assert errors == f"ERROR artifacts/parse/{VERSION}: {FLAW}.\n"
    assert lines(output) == [
        "Sound: 2 artifacts, 4 files, 2.0 kB hashed",
        "Found 1 problem. --repair moves damaged artifacts to quarantine; the next run rebuilds them.",
    ]
    assert damaged.exists()


def test_repair_moves_damage_aside(damaged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The place in quarantine is told, still with exit code 1; after that the store is sound, and says what is left."""
    assert main(["verify", "--repair"]) == FAILED
    output, errors = capsys.readouterr()
    place = f"quarantine/parse/{VERSION}-1/{VERSION}"
    assert errors == f"ERROR artifacts/parse/{VERSION}: {FLAW}. Moved to {place}.\n"
    assert lines(output)[1:] == ["Found 1 problem."]
    assert not damaged.exists()
    assert Path(".idxflow", place, "a").read_bytes() == b"cut"
    assert main(["verify"]) == DONE
    assert lines(capsys.readouterr().out) == [
        "Sound: 2 artifacts, 4 files, 2.0 kB hashed",
        "Leftover or in quarantine: 1 item. --all lists, `idxflow gc` deletes.",
    ]
    assert main(["verify", "--all"]) == DONE
    assert f"Leftover: quarantine/parse/{VERSION}-1: {FLAW}" in lines(capsys.readouterr().out)


def test_all_looks_at_records_too(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """A record that does not read is a problem for --all alone; two are two."""
    for run in ("a" * 12, "b" * 12):
        (store.runs / f"{run}.json").write_text("{")
    assert main(["verify"]) == DONE
    capsys.readouterr()
    assert main(["verify", "--all"]) == FAILED
    output, errors = capsys.readouterr()
    assert errors.splitlines() == [f"ERROR runs/{run * 12}.json: it is no run's record." for run in "ab"]
    assert "Found 2 problems. --repair" in output


def test_what_a_run_left_undone_is_not_wrong(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """An artifact without its record counts neither as sound nor as damage."""
    publish(store, {"a": b"half"}, salt=7)
    assert main(["verify", "--all"]) == DONE
    version = ref_of(7).version
    assert lines(capsys.readouterr().out) == [
        f"Leftover: artifacts/parse/{version}: a run ended before its record was written",
        "Sound: 3 artifacts, 6 files, 3.0 kB hashed",
    ]


def test_what_is_being_made_is_left_out(store: Store, damaged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What looks damaged under a run's lock may be half of a replacement: it is counted apart, and no failure."""
    with store.locked("parse", VERSION):
        assert main(["verify", "--repair"]) == DONE
    assert lines(capsys.readouterr().out)[1:] == ["Skipped: 1 artifact that a run is writing now."]
    assert damaged.exists()


def test_the_document_stands_alone(damaged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` prints what was found and nothing else; the exit code is the same."""
    assert main(["verify", "--repair", "--json"]) == FAILED
    output, errors = capsys.readouterr()
    found = Audit.model_validate_json(output)
    assert (found.artifacts, found.files, found.bytes, found.busy) == (2, 4, 2002, 0)
    (problem,) = found.problems
    assert (problem.subject, problem.found) == (f"artifacts/parse/{VERSION}", FLAW)
    assert problem.moved_to == f"quarantine/parse/{VERSION}-1/{VERSION}"
    assert not errors
    assert main(["verify", "--json"]) == DONE
    assert Audit.model_validate_json(capsys.readouterr().out).problems == ()


def test_progress_is_told_beside_the_document(
    store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long work says how far it is: on standard output, or on standard error where that belongs to the document."""
    monkeypatch.setattr("idxflow.views.console.PLAIN_SECONDS", -1.0)
    assert main(["verify"]) == DONE
    assert capsys.readouterr().out.count("verify     ") == 2
    assert main(["verify", "--json"]) == DONE
    output, errors = capsys.readouterr()
    assert Audit.model_validate_json(output).artifacts == 3
    assert errors.count("verify     ") == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [([], "expected a store, as a run leaves one"), (["--frob"], "--frob"), (["stray"], "stray")],
)
def test_wrong_usage_is_one_line(
    options: list[str], words: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A home without a store, an unknown option, a stray word: exit code 2, nothing made."""
    assert main(["verify", *options, "--json"]) == WRONG_USAGE
    output, errors = capsys.readouterr()
    assert not output
    assert errors.count("\n") == 1
    assert words in errors
    assert not list(desk.iterdir())
