"""
Nightly runs, each after one more shard of a set: what a run takes beside its stages' work.

Started by `benchmarks.year`. A run is `idxflow.run`, as a notebook or a scheduler's script calls it: on the home
folder's own server, with its remote. The first run of the process is marked: it loads libraries, and its memory is that
of a run in a process of its own.
"""

from __future__ import annotations

import gc
import gzip
import os
import re
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from schemas.events import Event, StageChanged, listening

SIDE, CLASSES = 8, 10
"""Of an image, as of the bundled digits; and how many classes."""


class Year(BaseModel):
    """
    What to run.

    Args:
        folder: of the set's files.
        home:   of the runs; its server is up.
        first, nights: number of the first run, which has as many train shards, and of the last one.
        images: of a shard.
        every:  so many runs home and remote are looked through once, and at the last one.
        remote: a folder that is the remote; None: none, or another that the environment names.
    """

    model_config = ConfigDict(frozen=True)
    folder: Path
    home: Path
    first: int
    nights: int
    images: int
    every: int = 20
    remote: Path | None = None


class Night(BaseModel):
    """
    One run.

    Args:
        fresh:       whether it was the first of its process.
        seconds:     all of it.
        bookkeeping: seconds in which no stage was at work: the union of the times from the moment at which one begins
                     to be computed, its inputs not yet hashed, to its commit is taken off.
        processor:   seconds of all cores, in this process; `beside`: of those the ones outside of the stages' times.
        computed:    stages that were; cached: that were not.
        peak:        bytes of memory at most in this run.
        record:      bytes of its record; manifests: of those that it made.
        database:    bytes of Prefect's database, with what is still in its journal.
        home, home_files, remote, remote_files: bytes and files, where they were looked through; home: without Prefect.
    """

    model_config = ConfigDict(frozen=True)
    night: int
    fresh: bool
    seconds: float
    bookkeeping: float
    processor: float
    beside: float
    computed: int
    cached: int
    peak: int
    record: int
    manifests: int
    database: int
    home: int = 0
    home_files: int = 0
    remote: int = 0
    remote_files: int = 0


def write_shard(folder: Path, name: str, seed: int, images: int) -> None:
    """Write a shard, if it is not there: uint8 (images, 8, 8), like no others, each brightest where its class is."""
    if (folder / f"{name}-labels.gz").exists():
        return
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(images) % CLASSES).astype(np.uint8)
    drawn = random.integers(0, 90, (images, SIDE, SIDE), np.uint8)
    drawn[np.arange(images), labels % SIDE, labels // SIDE] += 150
    bodies = {"images": (0x803, (images, SIDE, SIDE), drawn), "labels": (0x801, (images,), labels)}
    folder.mkdir(parents=True, exist_ok=True)
    for kind, (magic, shape, body) in bodies.items():
        header = struct.pack(f">{1 + len(shape)}I", magic, *shape)
        (folder / f"{name}-{kind}.gz").write_bytes(gzip.compress(header + body.tobytes(), 1, mtime=0))


def describe(folder: Path, nights: int) -> Path:
    """Describe the set of so many shards, and of one test shard. Returns: the path."""
    names = [("train", f"night-{night:03}") for night in range(1, nights + 1)] + [("test", "test")]
    shards = "".join(
        f'[[{split}.shards]]\nimages.name = "{name}-images.gz"\nlabels.name = "{name}-labels.gz"\n'
        for split, name in names
    )
    path = folder / "nights.toml"
    classes = [str(label) for label in range(CLASSES)]
    path.write_text(
        f'title = "Nights"\nsource = "drawn by a benchmark"\nshape = [{SIDE}, {SIDE}]\nclasses = {classes}\n'
        f'mirrors = ["."]\n{shards}',
        encoding="utf-8",
    )
    return path


class AtWork:
    """The times in which stages of a run are at work; a listener."""

    def __init__(self) -> None:
        self._began: dict[tuple[str, str], float] = {}
        self._busy = 0
        self.seconds = self.processor = 0.0
        self._since = (0.0, 0.0)
        self.made = list[tuple[str, str]]()
        self.cached = 0

    def __call__(self, event: Event) -> None:
        """Take in an event."""
        if not isinstance(event, StageChanged):
            return
        key = event.stage, event.name
        if event.state == "started":
            if not self._began:
                self._since = time.perf_counter(), time.process_time()
            self._began[key] = time.perf_counter()
            return
        if event.state == "cached":
            self.cached += 1
            return
        self.made.append((event.stage, event.version))
        if self._began.pop(key, None) is not None and not self._began:
            self.seconds += time.perf_counter() - self._since[0]
            self.processor += time.process_time() - self._since[1]


def peak_memory() -> int:
    """Return the bytes of memory that this process had at most since `forget_peak`."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))
    return int(found[1]) * 1024 if found else 0


def forget_peak() -> None:
    """Let the peak of memory begin anew."""
    Path("/proc/self/clear_refs").write_text("5", "ascii")


def size_of(folder: Path) -> tuple[int, int]:
    """Return the bytes and the number of all files below a folder; Prefect's are left out."""
    size = count = 0
    for parent, folders, names in os.walk(folder):
        if "prefect" in folders and Path(parent) == folder:
            folders.remove("prefect")
        for name in names:
            try:
                size += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118 - of 100,000 files
            except FileNotFoundError:
                continue
            count += 1
    return size, count


def size_of_database(home: Path) -> int:
    """Return the bytes of Prefect's database and of its journal."""
    return sum(path.stat().st_size for path in (home / "prefect").glob("prefect.db*"))


def run_year(year: Year) -> Iterator[Night]:
    """Do the runs, one after the other. Yields: what each took."""
    import idxflow

    write_shard(year.folder, "test", 10**6, year.images)
    for night in range(1, year.first):
        write_shard(year.folder, f"night-{night:03}", night, year.images)
    for night in range(year.first, year.nights + 1):
        write_shard(year.folder, f"night-{night:03}", night, year.images)
        path, work = describe(year.folder, night), AtWork()
        gc.collect()
        forget_peak()
        started, processor = time.perf_counter(), time.process_time()
        with listening(work):
            run = idxflow.run(path, home=year.home, epochs=1)
        seconds, processor = time.perf_counter() - started, time.process_time() - processor
        looked = night == year.nights or night % year.every == 0
        home, home_files = size_of(year.home) if looked else (0, 0)
        remote, remote_files = size_of(year.remote) if looked and year.remote else (0, 0)
        folders = [year.home / "artifacts" / stage / version for stage, version in work.made]
        yield Night(
            night=night,
            fresh=night == year.first,
            seconds=seconds,
            bookkeeping=seconds - work.seconds,
            processor=processor,
            beside=processor - work.processor,
            computed=len(work.made),
            cached=work.cached,
            peak=peak_memory(),
            record=(year.home / "runs" / f"{run.id}.json").stat().st_size,
            manifests=sum((folder / "manifest.json").stat().st_size for folder in folders),
            database=size_of_database(year.home),
            home=home,
            home_files=home_files,
            remote=remote,
            remote_files=remote_files,
        )


def main() -> None:
    """Do what the one argument asks for, and print a line of JSON a run."""
    year = Year.model_validate_json(sys.argv[1])
    said = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a run prints is nobody's answer
    for night in run_year(year):
        said.write(night.model_dump_json() + "\n")
        said.flush()


if __name__ == "__main__":
    main()
