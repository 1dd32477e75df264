"""Streams whose reader leaves."""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import redirect_stdout

import pytest

from idxflow.cli.output import lasting_streams


def test_a_stream_falls_silent_when_its_reader_leaves() -> None:
    """What is written before is read; what comes after is lost, and is no error, at the end neither."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as pipe, redirect_stdout(pipe):
        with lasting_streams():
            sys.stdout.write("heard\n")
            sys.stdout.flush()
            assert os.read(reader, 100) == b"heard\n"
            os.close(reader)
            for _ in range(3):
                assert sys.stdout.write("unheard\n") == 8
                sys.stdout.flush()
            sys.stdout.write("left over\n")
        assert sys.stdout is pipe


def test_all_is_written_when_the_block_ends() -> None:
    """What is buffered is flushed, and the streams are what they were."""
    before = sys.stdout, sys.stderr
    kept = io.TextIOWrapper(io.BytesIO())
    with redirect_stdout(kept), lasting_streams():
        sys.stdout.write("x")
    assert kept.buffer.getvalue() == b"x"
    assert (sys.stdout, sys.stderr) == before


class Full(io.StringIO):
    """A file on a disk that is full."""

    def write(self, text: str) -> int:
        """Fail."""
        raise OSError(errno.ENOSPC, "No space left on device")


def test_other_failures_are_told() -> None:
    """A disk that is full is no reader that left."""
    with redirect_stdout(Full()), pytest.raises(OSError, match="No space"), lasting_streams():
        sys.stdout.write("x")
