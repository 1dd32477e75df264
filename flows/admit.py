"""
Size before work: what a run would compute needs so much memory and disk, so much is free, and what does not fit is
refused before it has begun. The formulas stand in `flows.size`.

How many images there are is published, or stands in the headers of files that lie here. Of remote files without either
it is known once they are decompressed: then the same is asked again, before anything is made of them.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from artifacts.current import CurrentRun, current_run
from artifacts.engine.plan import Plan, Planning
from artifacts.engine.tracing import calls_of
from artifacts.refresh import Refresh
from artifacts.store.store import Store
from flows.bundling import headers_of_bundles
from flows.dag import dag
from flows.identify import local_path
from flows.size import Work, needs_of
from schemas.datasets import Dataset, RemoteFile, Split
from schemas.errors import IdxflowError, TooLarge
from schemas.needs import Needs, StageNeeds
from schemas.text import amount
from schemas.training import Training
from tasks.fitting.memory import free_memory, used_memory
from tasks.formats.idx import MAX_HEADER_BYTES, Header, read_header
from tasks.formats.inflate import inflate, inflate_library, unxz
from tasks.formats.kinds import GZIP, IDX, XZ, kind_of_file

logger = logging.getLogger("idxflow.size")


@dataclass(frozen=True)
class Room:
    """
    What a run can have.

    Args:
        memory: bytes that the process may take, what it has already included.
        disk:   bytes that are free on the disk of the home folder.
    """

    memory: int
    disk: int


def room_of(home: Path) -> Room:
    """Look what is free now."""
    there = next(folder for folder in (home, *home.parents) if folder.is_dir())
    return Room(memory=free_memory() + used_memory(), disk=shutil.disk_usage(there).free)


class Sizes:
    """
    How large a data set is, as far as that is known.

    Args: headers: of IDX files, by the name of the file that they are of.
    """

    def __init__(self, data: Dataset, headers: Mapping[str, Header] | None = None) -> None:
        self._data = data
        known = dict(headers or {})
        local = {file.name: local_path(file) for file in data.files if file.name not in known}
        found = {file.name: header_in(path, file) for file in data.files if (path := local.get(file.name))}
        self._headers = {name: header for name, header in found.items() if header} | known
        self._stored = {name: path.stat().st_size for name, path in local.items() if path}

    @property
    def known(self) -> bool:
        """Whether it is known how many images both splits have."""
        return all(self._rows(split) is not None for split in self._data.splits.values())

    def work(self, training: Training, memory: int) -> Work:
        """Return what decides how large a run is; `memory`: bytes that the process may take."""
        spec = self._data.splits["train"].spec
        rows = {name: self._rows(split) or 0 for name, split in self._data.splits.items()}
        if fraction := self._data.test_fraction:  # both are cut from the same files
            whole = rows["train"]
            rows = {"train": whole - int(whole * fraction), "test": int(whole * fraction)}
        return Work(
            pixels=spec.pixels,
            classes=len(spec.classes),
            train=rows["train"],
            test=rows["test"],
            files={file.name: self._bytes(file) for file in self._data.files},
            training=training,
            free=memory,
            parts={name: count for name, split in self._data.splits.items() if (count := len(split.parts))},
        )

    def _rows(self, split: Split) -> int | None:
        if split.spec.samples:
            return split.spec.samples
        if self._data.packed:
            return self._data.packed.counts.get("train" if self._data.test_fraction else split.spec.split)
        headers = [self._headers.get(shard.images.name) for shard in split.shards]
        return sum(header.shape[0] for header in headers if header) if all(headers) else None

    def _bytes(self, file: RemoteFile) -> tuple[int, int]:
        header = self._headers.get(file.name)
        stored = file.bytes or self._stored.get(file.name, 0)
        return stored, header.size if header else file.raw_bytes or 0


def header_in(path: Path, file: RemoteFile) -> Header | None:
    """Read the IDX header of a file, compressed or not; None where it has none that reads: its stage tells why."""
    with suppress(IdxflowError, OSError):
        kind, _ = kind_of_file(path)
        if kind is IDX:
            with path.open("rb") as raw:
                return read_header(raw.read(MAX_HEADER_BYTES), file.name)
        if kind in (GZIP, XZ):
            blocks = inflate(path, inflate_library(), file.name) if kind is GZIP else unxz(path, file.name)
            head = b""
            for block in blocks:
                head += block
                if len(head) >= MAX_HEADER_BYTES:
                    break
            return read_header(head, file.name)
    return None


def estimate(sizes: Sizes, training: Training, stages: Collection[tuple[str, str]], memory: int) -> Needs:
    """Estimate what some stages need, each with what it is of; `memory`: bytes that the process may take."""
    return Needs(stages=needs_of(sizes.work(training, memory), stages), known=sizes.known)


def computed(plan: Plan) -> tuple[tuple[str, str], ...]:
    """Return the stages of a plan that are not cached, with what each is of."""
    return tuple((row.stage, row.name) for row in plan.stages if row.state != "cached")


def refuse(data: Dataset, sizes: Sizes, needs: Needs, training: Training, room: Room) -> None:
    """
    Refuse what does not fit.

    Raises: TooLarge: the stage that needs the most memory does not fit into it, or all together not onto the disk.
    """
    work = sizes.work(training, room.memory)
    if needs.memory > room.memory:
        largest = max(needs.stages, key=lambda each: each.memory)
        raise TooLarge(
            f"{data.name}, stage {largest.stage}",
            expected=f"a run that fits into {amount(room.memory, 'bytes')} of memory, which is free",
            found=f"one that needs {_least(needs)} {amount(needs.memory, 'bytes')}: {_size(work, data)}",
            way_out=f"{_smaller(largest, work)} on a machine with more memory, or go on all the same with --force. "
            "docs/size.md says how this is estimated.",
        )
    if needs.disk > room.disk:
        raise TooLarge(
            data.name,
            expected=f"a run that fits into {amount(room.disk, 'bytes')} of disk, which is free",
            found=f"one that leaves {_least(needs)} {amount(needs.disk, 'bytes')}: {_size(work, data)}",
            way_out="Free space with `idxflow gc`, choose a folder on another disk with --home, or go on all the same "
            "with --force.",
        )


@dataclass(frozen=True)
class Admission:
    """
    Asks before a run begins, and again once its files are there, whether it fits.

    Args: force: only warn where it does not.
    """

    store: Store
    data: Dataset
    training: Training
    refresh: tuple[str, ...]
    force: bool = False

    def check(self, headers: Mapping[str, Header] | None = None) -> None:
        """
        Look whether it fits. What is cached is looked for only where the whole pipeline would not.

        Args:   headers: of IDX files, by the name of the file that they are of, where they are known by now.
        Raises: TooLarge: it does not.
        """
        known = headers_of_bundles(self.store, self.data) | dict(headers or {})
        room, sizes = room_of(self.store.home), Sizes(self.data, known)
        needs = estimate(sizes, self.training, calls_of(lambda: dag(self.data, self.training), self.store), room.memory)
        if needs.memory > room.memory or needs.disk > room.disk:
            planning = Planning(self.store, Refresh(self.refresh), self.data.name)
            planning.dataset_id = self.data.identity
            with planning.walking():
                dag(self.data, self.training)
            needs = estimate(sizes, self.training, computed(planning.plan), room.memory)
        try:
            refuse(self.data, sizes, needs, self.training, room)
        except TooLarge as error:
            if not self.force:
                raise
            logger.warning("%s", error)

    def sized(self, raw: Mapping[str, Any]) -> None:
        """
        Look once more, where nothing but the files themselves tells how many images there are.

        Args:   raw: what `decompress` returned, by file.
        Raises: TooLarge: it does not fit.  Stopped: a file did not come to its end well.
        """
        if not Sizes(self.data, headers_of_bundles(self.store, self.data)).known:
            current_run().require(*raw.values())
            self.check(headers_of(self.data, raw, current_run()))


def headers_of(data: Dataset, raw: Mapping[str, Any], run: CurrentRun) -> dict[str, Header]:
    """
    Read the IDX headers of decompressed files, where they are there.

    Args:    raw: what `decompress` returned, by file.
    Returns: them, by the name of the file that they are of.
    """
    refs = {file: run.reference(raw[file.name]) for file in data.files if file.name in raw}
    found = {file.name: header_in(ref.file(), file) for file, ref in refs.items() if ref}
    return {name: header for name, header in found.items() if header}


def _least(needs: Needs) -> str:
    return "about" if needs.known else "at least"


def _size(work: Work, data: Dataset) -> str:
    """Say what makes a run large."""
    images = f"{work.rows:,} images of " if work.rows else "images of "
    layers = ", ".join(map(str, work.training.hidden)) or "none"
    return f"{images}{data.splits['train'].spec.shape}, {work.classes:,} classes, hidden layers: {layers}"


def _smaller(needs: StageNeeds, work: Work) -> str:
    """Say what would make the largest stage smaller."""
    if needs.stage in {"train", "evaluate", "report"} and 4 * work.weights > needs.memory // 2:
        return "Train fewer units (--set training.hidden=[...]), or fewer classes or smaller images,"
    if needs.stage == "train":
        return "Let training hold less of the table (--set training.memory=...), or run it"
    return "Make the images smaller, or run it"
