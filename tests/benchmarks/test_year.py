"""A year of nightly runs: what is beside the stages' work, and what a year comes to."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from artifacts.store.store import Store
from benchmarks.__main__ import year
from benchmarks.harness import Report
from benchmarks.nights import AtWork, Night, describe, forget_peak, peak_memory, size_of, write_shard
from benchmarks.year import figures_of
from flows.identify import identify
from schemas.catalog import load_dataset
from schemas.events import StageChanged


def night(number: int, *, fresh: bool = False, bookkeeping: float = 1.0, record: int = 1000) -> Night:
    """What a night took."""
    facts = {"seconds": 4.0, "processor": 4.0, "beside": bookkeeping / 2, "computed": 14, "cached": 20}
    sizes = {"peak": 10**9, "manifests": 10**5, "database": number * 10**5, "home": 10**7, "remote": 10**7}
    return Night.model_validate(
        {"night": number, "fresh": fresh, "bookkeeping": bookkeeping, "record": record, **facts, **sizes}
    )


def test_a_year_is_its_last_week_beside_its_first() -> None:
    """The first night, and those with which a process began, do not count, but for memory; the database has its bar."""
    nights = [night(1, fresh=True, bookkeeping=9.0)]
    nights += [night(number, fresh=number == 31, bookkeeping=1 + number / 100) for number in range(2, 61)]
    found = {figure.what: figure for figure in figures_of(nights)}
    ratio = found["a nightly run beside its stages' work, the last week beside the first"]
    assert ratio.value == pytest.approx(1.57 / 1.05)
    assert ratio.low == pytest.approx(1.54 / 1.05)
    assert ratio.high == pytest.approx(1.60 / 1.05)
    assert ratio.verdict == "missed"
    assert (found["Prefect's database, night 60"].value, found["Prefect's database, night 60"].verdict) == (6.0, "bar")
    assert {what for what in found if what.startswith("memory")} == {
        "memory of a nightly run, night 1",
        "memory of a nightly run, night 31",
    }


def test_stages_at_work_at_the_same_time_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two stages that overlap the time is from where the first begins to where the last has ended."""
    now = [0.0]
    monkeypatch.setattr("benchmarks.nights.time.perf_counter", lambda: now[0])
    work = AtWork()
    events = [
        (1.0, "download", "started"),
        (2.0, "parse", "started"),
        (3.0, "verify", "cached"),
        (4.0, "download", "computed"),
        (6.0, "parse", "computed"),
        (9.0, "train", "started"),
        (9.5, "train", "computed"),
    ]
    for moment, stage, state in events:
        now[0] = moment
        work(StageChanged(stage, "", state, "0" * 16))  # type: ignore[arg-type]
    assert work.seconds == pytest.approx(5.5)
    assert work.cached == 1
    assert [stage for stage, _ in work.made] == ["download", "parse", "train"]


def test_a_set_of_so_many_nights_is_one_of_its_own(tmp_path: Path) -> None:
    """Each night is a train shard of other images; a shard that is there stays as it is."""
    for number in range(1, 4):
        write_shard(tmp_path / "set", f"night-{number:03}", number, 20)
    write_shard(tmp_path / "set", "test", 99, 20)
    before = (tmp_path / "set" / "night-002-images.gz").stat().st_mtime_ns
    write_shard(tmp_path / "set", "night-002", 7, 20)
    assert (tmp_path / "set" / "night-002-images.gz").stat().st_mtime_ns == before
    data = identify(Store(tmp_path / "home"), load_dataset(str(describe(tmp_path / "set", 3))))
    assert [len(split.shards) for split in data.splits.values()] == [3, 1]
    assert len({file.sha256 for file in data.files}) == 8
    assert len(gzip.decompress((tmp_path / "set" / "night-001-images.gz").read_bytes())) == 16 + 20 * 64


def test_prefects_files_are_left_out_of_a_home(tmp_path: Path) -> None:
    """Size and number of files of a home folder are those of idxflow."""
    (tmp_path / "prefect").mkdir()
    (tmp_path / "prefect" / "prefect.db").write_bytes(b"x" * 1000)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "a.json").write_bytes(b"x" * 10)
    assert size_of(tmp_path) == (10, 1)


def test_the_peak_of_memory_is_that_of_one_run() -> None:
    """What an earlier run has taken and given back is forgotten."""
    bytearray(2**28)[:: 2**12] = b"x" * 2**16
    forget_peak()
    before = peak_memory()
    block = bytearray(2**26)
    block[:: 2**12] = b"x" * 2**14
    assert 2**25 < peak_memory() - before < 2**28


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_short_year_is_measured(tmp_path: Path) -> None:
    """A few nightly runs: every figure is there, and each night's line is kept."""
    year(work=tmp_path, nights=3, images=40)
    report = Report.model_validate_json((tmp_path / "year.json").read_bytes())
    assert [figure.goal.bar for figure in report.figures if figure.goal.bar] == [1.2, 100.0]
    assert all(figure.value > 0 for figure in report.figures)
    lines = (tmp_path / "nights.jsonl").read_text("utf-8").splitlines()
    assert [Night.model_validate_json(line).night for line in lines] == [1, 2, 3]
