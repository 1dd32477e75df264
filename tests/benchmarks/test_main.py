"""The benchmarks as a person runs them, on the bundled digits, and the folder and mirror of MNIST's files."""

from __future__ import annotations

from pathlib import Path
from urllib.request import urlopen

import pytest

from benchmarks.__main__ import page, speed, sweep
from benchmarks.harness import Report
from benchmarks.mnist import FILES, mirror, open_folder
from benchmarks.processes import PYTHON, run_process
from benchmarks.show import END, START
from schemas.errors import StageError, UsageError
from tests.benchmarks.digits import DIGITS


@pytest.mark.slow
def test_data_is_measured_shown_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The data stages beside the tutorial's: the machine, a table with verdicts, JSON, and the page made of it."""
    speed(mnist=DIGITS, work=tmp_path, repeats=1, epochs=1, dataset="digits", only=["data"])
    said = capsys.readouterr().out
    assert "cores" in said
    assert "verify to normalize, Prefect left out, beside the tutorial's load and normalise" in said
    report = Report.model_validate_json((tmp_path / "speed-data.json").read_bytes())
    assert {len(seconds) for seconds in report.times["data"].values()} == {1}
    assert [figure.goal.bar for figure in report.figures] == [0.4, None, None, None]
    (tmp_path / "pictures").mkdir()
    (tmp_path / "benchmarks.md").write_text(f"{START}\n{END}\n")
    page(work=tmp_path, docs=tmp_path)
    assert "idxflow: verify to normalize" in (tmp_path / "benchmarks.md").read_text()
    assert (tmp_path / "pictures" / "benchmark-bars.webp").stat().st_size


def test_a_process_that_fails_is_told_with_its_last_words() -> None:
    """The error has the exit code, the last line that was said, and the command to run by hand."""
    with pytest.raises(StageError, match=r"found 3, its last line: two\. Run it by hand: .*python"):
        run_process([PYTHON, "-c", "import sys; print('one\\ntwo'); sys.exit(3)"])


def test_a_wrong_folder_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    """`python -m benchmarks speed` without the files says what is missing, and measures nothing."""
    with pytest.raises(StageError, match=r"found 1, its last line: .*make bench MNIST=DIR"):
        run_process([PYTHON, "-m", "benchmarks", "speed", "--mnist", str(tmp_path), "--work", str(tmp_path / "work")])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_everything_is_measured(tmp_path: Path) -> None:
    """Cold and warm runs, evaluation, both trainings: every bar of the table has a figure."""
    speed(mnist=DIGITS, work=tmp_path, repeats=1, epochs=1, dataset="digits")
    report = Report.model_validate_json((tmp_path / "speed.json").read_bytes())
    assert {"packing", "predicting"} <= report.times.keys()
    bars = [figure.goal.bar for figure in report.figures if figure.goal.bar]
    assert bars == [0.55, 0.55, 1.2, 0.4, 0.5, 0.13, 1.5, 99.2, 0.45]
    assert all(min(seconds) > 0 for times in report.times.values() for seconds in times.values())
    assert [path.name for path in tmp_path.iterdir()] == ["speed.json"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_sweep_is_measured(tmp_path: Path) -> None:
    """Two workers, one, and Optuna around plain fit train the same trials; the second call trains none."""
    sweep(mnist=DIGITS, work=tmp_path, trials=3, epochs=2, dataset="digits")
    report = Report.model_validate_json((tmp_path / "sweep.json").read_bytes())
    assert [figure.goal.bar for figure in report.figures] == [0.15, 0.6, 4.0]
    assert all(len(seconds) == 1 and seconds[0] > 0 for seconds in report.times["sweep"].values())
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.json"]


def test_a_missing_file_is_named_with_a_way_out(tmp_path: Path) -> None:
    """A folder without one of the files is refused before anything is measured."""
    for name in FILES[:3]:
        (tmp_path / name).touch()
    with pytest.raises(UsageError, match=rf"found no {FILES[3]}\. Download them once.*MNIST=DIR"):
        open_folder(tmp_path)
    (tmp_path / FILES[3]).touch()
    assert open_folder(tmp_path) == tmp_path


def test_the_mirror_serves_the_folder_while_it_is_open(tmp_path: Path) -> None:
    """A file comes over HTTP as it is on the disk, and afterwards nobody listens."""
    (tmp_path / "a.gz").write_bytes(b"abc")
    with mirror(tmp_path) as address, urlopen(f"{address}a.gz") as answer:
        assert answer.read() == b"abc"
    with pytest.raises(OSError, match="refused"):
        urlopen(f"{address}a.gz")
