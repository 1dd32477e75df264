"""Eighty kinds of wrong answers, each in a download, a first use, a probe and a revalidation."""

from __future__ import annotations

import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.choose import any_answers
from schemas.datasets import RemoteFile
from tasks.transport import transfer
from tasks.transport.first_use import take_from
from tasks.transport.freshness import Answer, ask
from tasks.transport.mirror import Patience
from tasks.transport.part import Validators
from tests.faults.answers import ANSWERS
from tests.faults.mirror import Mirror
from tests.faults.raw_mirror import RawMirror
from tests.tasks.bench import BODY, NAME, SHA256, Bench

SECONDS = 0.5
"""Of each time-out; a mirror is waited for at most twice that in a try that is not repeated."""
HURRIED = Patience(
    connect_seconds=SECONDS,
    read_seconds=SECONDS,
    head_seconds=SECONDS,
    rate_seconds=SECONDS,
    least_rate=4096,
    tries=2,
    silent_tries=1,
    backoff=0.001,
    largest=2**20,
)
STATED = HURRIED.tries * (HURRIED.head_seconds + HURRIED.rate_seconds + HURRIED.read_seconds)
"""The stated patience with one mirror: each try has a head, and a body that is too slow or falls silent."""
MEMORY = 4 * 2**20
"""Bytes of Python's own that an answer may take at most, the wrong one and the good one."""
SOUND = {"a negative length", "a length that is no number", "a length of 5000 digits"}
"""Kinds that only the headers of the answer are of: the file itself is whole."""
UNTOLD = {"a short length", "gzip of the file", "gzip of gzip of the file"}
"""Kinds that bring a file like many others: of a first use only decompressing it tells."""
KINDS = pytest.mark.parametrize("kind", ANSWERS)


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Check how long the block takes, and how much memory."""
    tracemalloc.start()
    started = time.monotonic()
    try:
        yield
        assert time.monotonic() - started < seconds
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


def remote(*mirrors: str, **known: Any) -> RemoteFile:
    """The file, of which as much is known as is given."""
    return RemoteFile(name=NAME, mirrors=mirrors, **known)


@KINDS
def test_a_download_goes_on_with_the_next_mirror(kind: str, bench: Bench) -> None:
    """A wrong answer is given up within twice the stated patience, in little memory, and the next mirror is asked."""
    with RawMirror(ANSWERS[kind], BODY) as bad, Mirror({NAME: BODY}) as good, bounded(2 * STATED):
        summary = bench.get(bad.url, good.url, patience=HURRIED)
    assert (summary.mirror, len(summary.failures)) == ((bad.url, 0) if kind in SOUND else (good.url, 1))


@pytest.mark.slow
@KINDS
def test_a_first_use_goes_on_with_the_next_mirror(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So does the first use of a file of which nothing is known, where the answer is not one that others give, too."""
    monkeypatch.setattr(transfer, "Patience", lambda: HURRIED)
    with RawMirror(ANSWERS[kind], BODY) as bad, Mirror({NAME: BODY}) as good, bounded(2 * STATED):
        taken, faults = take_from(bad.url, [remote(bad.url)], tmp_path)
        assert (set(taken), set(faults)) == (({NAME}, set()) if kind in SOUND | UNTOLD else (set(), {NAME}))
        assert not taken or (taken[NAME].sha256 == SHA256) == (kind in SOUND)
        taken, faults = take_from(good.url, [remote(good.url)], tmp_path)
    assert (taken[NAME].sha256, faults) == (SHA256, {})


@pytest.mark.slow
@KINDS
def test_a_probe_goes_on_with_the_next_mirror(kind: str) -> None:
    """Whether a mirror has MNIST is told by one that says so, whatever another one says."""
    with RawMirror(ANSWERS[kind], BODY) as bad, Mirror({NAME: BODY}) as good, bounded(2 * SECONDS + 1):
        assert any_answers((bad.url, good.url), NAME, seconds=SECONDS + 0.5)
        for thread in threading.enumerate():
            if thread.name.startswith("probe"):
                thread.join()  # the mirror stays as long as it is asked


@pytest.mark.slow
@KINDS
def test_a_revalidation_ends(kind: str) -> None:
    """A mirror that is asked whether its file has changed is not believed that it has not, and is not waited for."""
    with RawMirror(ANSWERS[kind], BODY) as bad, Mirror({NAME: BODY}) as good, bounded(2 * SECONDS + 1):
        known = Validators(address=f"{bad.url}/{NAME}", etag='"1"', last_modified=None)
        said = ask(remote(bad.url, good.url, sha256=SHA256), known, SECONDS)
        assert said in (Answer.CHANGED, Answer.NONE, *([Answer.UNCHANGED] if kind == "304 unasked" else []))
        assert ask(remote(bad.url, good.url, sha256=SHA256), None, SECONDS) is Answer.UNKNOWN


def test_there_are_eighty_kinds() -> None:
    """The matrix holds what it says."""
    assert len(ANSWERS) >= 80


def test_a_short_patience_is_the_usual_one_in_all_else() -> None:
    """What is measured here in tenths of seconds holds for the usual patience as well."""
    usual = Patience()
    assert replace(usual, head_seconds=usual.connect_seconds + usual.read_seconds) == usual
