"""Many pictures through processes: the order of names, every file with its outcome, nothing left when it ends."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from schemas.errors import StageError
from schemas.image_spec import ImageSpec
from schemas.pictures import PictureSpec
from tasks.formats import decoding
from tasks.formats.decoding import Batch, decode_all
from tasks.formats.pictures import decode
from tasks.formats.refused import Refused
from tasks.formats.tree import open_tree
from tests.processes import PROJECT, bare_environment, until
from tests.tasks.picture_bytes import flat, grey, saved, turned

SPEC = PictureSpec(shape=ImageSpec(rows=2, columns=3))


def told(batches: Iterable[Batch]) -> Iterator[object]:
    """Yield what became of each file, as plain values."""
    for batch in batches:
        pixels = iter(batch.pixels)
        for name, sha256, result in zip(batch.names, batch.sha256, batch.results, strict=True):
            yield name, sha256, result.reason if isinstance(result, Refused) else (next(pixels).tolist(), result)
        assert next(pixels, None) is None


OTHERS = set[int]()
"""Processes that other tests have started and leave for the whole session, as their server."""


def processes() -> set[int]:
    """Return the processes that a test here has started and that still run."""
    tasks = Path("/proc/self/task").glob("*/children")
    return {int(number) for task in tasks for number in task.read_text().split()} - OTHERS


@pytest.fixture(autouse=True)
def _others() -> Iterator[None]:
    """Leave out what ran before."""
    OTHERS.update(processes())
    yield
    OTHERS.clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of 40 pictures, some of them odd."""
    for number in range(40):
        data = {7: b"text", 8: b"", 9: turned("PNG", 3), 10: saved(flat(1, 9, 9), "PNG")}.get(
            number, saved(flat(number), "PNG")
        )
        (tmp_path / f"{number:02}.png").write_bytes(data)
    (tmp_path / "link.png").symlink_to("00.png")
    return tmp_path


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_every_file_has_its_outcome_in_the_order_of_names(
    workers: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the number of processes, the batches are those of decoding one picture after the other."""
    monkeypatch.setattr(decoding, "ALONE", 0)
    monkeypatch.setattr(decoding, "CHUNK", 7)
    with open_tree(folder) as tree:
        names = [entry.name for entry in tree.entries]
        found = list(told(decode_all(tree, names, SPEC, workers)))
    alone = list[object]()
    for name in names[:-1]:
        data = (folder / name).read_bytes()
        try:
            result = decode(data, SPEC)
        except Refused as refused:
            alone.append((name, hashlib.sha256(data).hexdigest(), refused.reason))
        else:
            alone.append((name, hashlib.sha256(data).hexdigest(), (result.pixels.tolist(), result.notes)))
    assert found == [*alone, ("link.png", None, "it is a symbolic link, which is not followed")]
    assert not processes()


def test_colour_comes_as_three_channels(tmp_path: Path) -> None:
    """Pixels are uint8 of (rows, columns, 3), and cannot be written to."""
    (tmp_path / "a.png").write_bytes(grey("PNG"))
    with open_tree(tmp_path) as tree:
        (found,) = decode_all(tree, ["a.png"], PictureSpec(shape=ImageSpec(rows=2, columns=3, channels=3)), 1)
    assert found.pixels.shape == (1, 2, 3, 3)
    assert found.pixels.dtype == np.uint8
    with pytest.raises(ValueError, match="read-only"):
        found.pixels[0] = 0


def test_large_pictures_come_in_small_chunks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk ends with the bytes that it may have, so that memory does not follow the size of pictures."""
    monkeypatch.setattr(decoding, "CHUNK_BYTES", 100)
    with open_tree(folder) as tree:
        names = [entry.name for entry in tree.entries]
        assert [name for batch in decode_all(tree, names, SPEC, 2) for name in batch.names] == names
        assert not list(decode_all(tree, [], SPEC, 2))


def test_few_small_pictures_take_one_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many take those that may be taken, and so do few large ones; never more than there are pictures."""

    def started(*names: str, workers: int) -> int:
        with open_tree(folder) as tree:
            batches = decode_all(tree, names, SPEC, workers)
            next(batches)
            count = len(processes())
            batches.close()
            return count

    assert started("00.png", "01.png", "02.png", workers=2) == 1
    monkeypatch.setattr(decoding, "ALONE_BYTES", 100)
    assert started("00.png", "01.png", "02.png", workers=2) == 2
    assert started("00.png", "01.png", workers=3) == 2
    assert started("00.png", workers=3) == 1
    monkeypatch.setattr(decoding, "ALONE", 1)
    assert started("00.png", "01.png", "02.png", workers=3) == 3


def test_a_process_that_is_killed_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a process that was killed: the error names the pictures that it had, and what to do."""
    monkeypatch.setattr(decoding, "ALONE", 0)
    monkeypatch.setattr(decoding, "CHUNK", 1)
    with open_tree(folder) as tree:
        batches = decode_all(tree, [entry.name for entry in tree.entries], SPEC, 2)
        next(batches)
        for number in processes():
            os.kill(number, signal.SIGKILL)
        with pytest.raises(StageError, match=r"pictures \d+.png to .*ended by SIGKILL.*short of memory"):
            list(batches)
    assert not processes()


def test_a_process_that_cannot_start_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it said last is in the message."""
    monkeypatch.setattr(decoding, "PROGRAM", "raise SystemExit('no such library')")
    with open_tree(folder) as tree, pytest.raises(StageError, match=r"exit code 1 \(no such library\)"):
        list(decode_all(tree, ["00.png"], SPEC, 1))


def test_who_stops_reading_leaves_no_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing the iterator ends the processes, whatever they do."""
    monkeypatch.setattr(decoding, "CHUNK", 1)
    with open_tree(folder) as tree:
        batches = decode_all(tree, [entry.name for entry in tree.entries], SPEC, 1)
        next(batches)
        assert len(processes()) == 1
        batches.close()
    assert not processes()


def test_a_process_that_decodes_starts_in_no_time() -> None:
    """It imports Pillow, with the two plugins that are not common, and neither NumPy nor pydantic."""
    script = (
        "import sys, tasks.formats.picture_worker as w;"
        "recipe = w.Recipe(2, 3, 1, 'exact', 0, 'convert', None, 'refuse', 'refuse');"
        "answers = w.Answers(recipe, []); answers.add(sys.stdin.buffer.read()); answers.pixels(); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, input=grey("PNG"), capture_output=True, check=True
    )
    loaded = done.stdout.decode().split()
    assert "PIL.Image" in loaded
    assert not {"numpy", "pydantic"} & set(loaded)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_its_parent(sent: signal.Signals, tmp_path: Path) -> None:
    """After Ctrl-C, and when the parent is killed, the processes end by themselves, and say nothing."""
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for number in range(6000):
            archive.writestr(f"{number}.png", grey("PNG"))
    program = (
        "import sys, pathlib; from tasks.formats.decoding import decode_all; from tasks.formats.tree import open_tree;"
        "from schemas.pictures import PictureSpec; tree = open_tree(pathlib.Path(sys.argv[1]));"
        "found = decode_all(tree, [e.name for e in tree.entries], PictureSpec(shape=[2, 3]), 2); next(found);"
        "print(pathlib.Path('/proc/self/task').joinpath(str(__import__('os').getpid()), 'children').read_text());"
        "sys.stdout.flush(); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "x.zip")]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=PROJECT, env=bare_environment(), stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stderr is not None
        started = [int(number) for number in parent.stdout.readline().split()]
        assert len(started) == 2
        if sent == signal.SIGINT:
            os.killpg(parent.pid, sent)
        else:
            parent.send_signal(sent)
        parent.wait(20)
        until(lambda: not any(Path(f"/proc/{number}/cmdline").exists() for number in started))
        said = parent.stderr.read().decode()
        assert said.count("Traceback") == (sent == signal.SIGINT)
