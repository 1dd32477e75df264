"""
Many pictures: read by this process, decoded by others, at a memory that does not grow with their number.

Processes, as small pictures are decoded slower by two threads than by one. They are programs of their own, neither
forked, which would copy the locks of threads that are not there, nor spawned by `multiprocessing`, which would run the
main module once more. So a decoder that is killed, warns or prints does so beside the run.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from schemas.errors import StageError
from schemas.pictures import PictureSpec
from tasks.formats.picture_worker import read_frame, write_frame
from tasks.formats.pictures import Recipe
from tasks.formats.refused import Refused
from tasks.formats.tree import Tree
from tasks.formats.tree_folder import FolderTree

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

CHUNK = 500
"""Pictures that a process gets at once."""
CHUNK_BYTES = 2**23
"""Bytes of files, and of pixels, after which a chunk ends: large pictures come in smaller ones."""
ALONE = 5000
"""Pictures below which one process is enough where they are small: two would gain less than their start takes."""
ALONE_BYTES = 2**24
"""Bytes of their files from which they are not small: half a second of JPEGs."""
PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from tasks.formats.picture_worker import main; main()"
)
SAID = 400
"""Characters of what a process said last that a message shows."""

Read = tuple[str, bytes | Refused | None]
"""A file's name, and what it holds or why it could not be read; None: the process that decodes it reads it, too."""


class Batch(NamedTuple):
    """
    What became of some files, in order.

    Args:
        names:   of the entries.
        sha256:  of each one's bytes, in hex; None where they could not be read.
        results: of each, what was done to it, a short line each, or the reason why there is no image.
        pixels:  uint8 (n, rows, columns) or (n, rows, columns, 3), of those that have one; it cannot be written to.
    """

    names: list[str]
    sha256: list[str | None]
    results: list[tuple[str, ...] | Refused]
    pixels: npt.NDArray[np.uint8]


def decode_all(tree: Tree, names: Sequence[str], spec: PictureSpec, workers: int) -> Generator[Batch, None, None]:
    """
    Decode pictures, in the order in which `tree.stream` reads them: that of `names`, but of a tar as they lie in it.

    Args:
        names:   of entries, each once.
        workers: processes that decode, at least 1; fewer than ALONE small pictures take one.
    Yields: what became of each name, chunk after chunk. Closing the iterator, an error or Ctrl-C ends the processes.
    Raises: StageError: a process was killed or failed.
    """
    recipe = Recipe.of(spec)
    room = min(CHUNK, max(1, CHUNK_BYTES // spec.shape.pixels))
    if not names:
        return
    root = tree.root if isinstance(tree, FolderTree) else ""
    files = _named(tree, names) if root else _streamed(tree, names)
    with _Pool(_processes(tree, names, workers), root, recipe) as pool:
        waiting: deque[Future[Batch]] = deque()
        for chunk in _chunks(files, room):
            waiting.append(pool.submit(chunk))
            if len(waiting) > pool.size + 1:
                yield waiting.popleft().result()
        for future in waiting:
            yield future.result()


def _processes(tree: Tree, names: Sequence[str], workers: int) -> int:
    """Return how many processes are worth their start."""
    if len(names) < ALONE:
        chosen = set(names)
        if sum(entry.bytes for entry in tree.entries if entry.name in chosen) < ALONE_BYTES:
            return 1
    return max(1, min(workers, len(names)))


def _named(tree: Tree, names: Iterable[str]) -> Iterator[tuple[str, Refused | None, int]]:
    """Yield the files of a folder, which other processes read; its size last."""
    entries = {entry.name: entry for entry in tree.entries}
    for name in names:
        entry = entries[name]
        yield name, Refused(entry.unreadable) if entry.unreadable else None, entry.bytes


def _streamed(tree: Tree, names: Iterable[str]) -> Iterator[tuple[str, bytes | Refused, int]]:
    """Yield the files of an archive, which are read here; its size last."""
    for name, data in tree.stream(names):
        yield name, data, len(data) if isinstance(data, bytes) else 0


def _chunks(files: Iterable[tuple[str, bytes | Refused | None, int]], room: int) -> Iterator[list[Read]]:
    chunk, size = list[Read](), 0
    for name, data, taken in files:
        chunk.append((name, data))
        size += taken
        if len(chunk) == room or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


class _Pool:
    """Processes that decode, and for each a thread that hands it chunks and waits for the answers."""

    def __init__(self, size: int, root: str, recipe: Recipe) -> None:
        self.size, self._root, self._recipe = size, root, recipe
        self._idle, self._all = SimpleQueue[_Worker](), list[_Worker]()

    def __enter__(self) -> _Pool:
        self._threads = ThreadPoolExecutor(self.size, "decoding")
        self._log = tempfile.TemporaryFile()
        try:
            for _ in range(self.size):
                self._all.append(_Worker(self._root, self._recipe, self._log))
                self._idle.put(self._all[-1])
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def submit(self, chunk: list[Read]) -> Future[Batch]:
        """Have a chunk decoded by the process that is idle first."""
        return self._threads.submit(self._decode, chunk)

    def _decode(self, chunk: list[Read]) -> Batch:
        worker = self._idle.get()
        try:
            return worker.decode(chunk)
        finally:
            self._idle.put(worker)

    def __exit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        for worker in self._all:
            worker.end()
        self._threads.shutdown(cancel_futures=True)  # a thread that waits for an answer sees the end of the output
        for worker in self._all:
            worker.close()
        self._log.close()


class _Worker:
    """One process that decodes."""

    def __init__(self, root: str, recipe: Recipe, log: IO[bytes]) -> None:
        path = json.dumps([each for each in sys.path if isinstance(each, str)])
        command = [sys.executable, "-I", "-S", "-c", PROGRAM, path]
        self._root, self._recipe, self._log, self._begun = root, recipe, log, False
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)

    def decode(self, chunk: list[Read]) -> Batch:
        """Have a chunk decoded and wait for it. Raises: StageError: the process has ended."""
        asked = [len(data) if data is not None else name for name, data in chunk if not isinstance(data, Refused)]
        try:
            answered = self._ask(asked, [data for _, data in chunk if isinstance(data, bytes)])
        except OSError:  # a broken pipe
            answered = None
        if answered is None:
            raise self._died(chunk)
        return _batch(chunk, self._recipe, *answered)

    def _ask(self, asked: list[int | str], datas: list[bytes]) -> tuple[Any, bytes] | None:
        to, back = self._process.stdin, self._process.stdout
        if to is None or back is None:
            return None
        if not self._begun:
            write_frame(to, [self._root, *self._recipe], [])
            self._begun = True
        write_frame(to, asked, datas)
        return read_frame(back)

    def _died(self, chunk: list[Read]) -> StageError:
        code = self._process.wait()
        try:
            how = f"was ended by {signal.Signals(-code).name}"
        except ValueError:
            how = f"ended with exit code {code}"
        self._log.seek(0)
        said = self._log.read().decode(errors="replace").strip()[-SAID:]
        return StageError(
            f"pictures {chunk[0][0]} to {chunk[-1][0]}",
            expected="a process that decodes them",
            found=f"that it {how}{f' ({said})' if said else ''}",
            way_out="If the machine was short of memory, free some and run again; if not, one of them makes Pillow "
            "fail: move half of them away and run again, until it is found.",
        )

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()

    def close(self) -> None:
        """Wait for its end and close its pipes."""
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:  # what it did not read is still in the buffer
                    continue


def _batch(chunk: list[Read], recipe: Recipe, answers: list[Any], body: bytes) -> Batch:
    import numpy as np

    shape = (-1, recipe.rows, recipe.columns, 3)[: 3 if recipe.channels == 1 else 4]
    digests, results = list[str | None](), list[tuple[str, ...] | Refused]()
    answered = zip(*answers, strict=True)
    for _, data in chunk:
        digest, notes, reason = (None, (), data.reason) if isinstance(data, Refused) else next(answered)
        digests.append(digest)
        results.append(tuple(notes) if reason is None else Refused(reason))
    return Batch([name for name, _ in chunk], digests, results, np.frombuffer(body, np.uint8).reshape(shape))
