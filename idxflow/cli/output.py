"""Standard output: lines and JSON documents that do not steer a terminal, and streams that outlast their reader."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO, cast

from pydantic import TypeAdapter

from schemas.secrets import conceal
from schemas.visible import in_json, visible

GONE = frozenset({errno.EPIPE, errno.EIO})
"""What writing fails with once nobody reads: the pipe is closed, the terminal hung up."""

ANY: TypeAdapter[object] = TypeAdapter(object)


def put(text: str) -> None:
    """Print lines without colours, with control characters written out."""
    print(visible(conceal(text)), flush=True)  # noqa: T201 - the only one


def put_json(document: object) -> None:
    """
    Print a JSON document; control characters in its texts are escaped.

    Args: document: a pydantic model, a list or dict of such, or what JSON has.
    """
    print(in_json(ANY.dump_json(document, indent=2).decode()), flush=True)  # noqa: T201 - as above


@contextmanager
def lasting_streams() -> Iterator[None]:
    """Silence standard output and error, without an error, once nobody reads them; flush both at the end."""
    with redirect_stdout(_lasting(sys.stdout)) as out, redirect_stderr(_lasting(sys.stderr)) as err:
        try:
            yield
        finally:
            out.flush()
            err.flush()


def _lasting(stream: TextIO | None) -> TextIO:
    # None: the process was started without one, as by `>&-`.
    return cast(TextIO, _Lasting(stream)) if stream is not None else Path(os.devnull).open("w")


class _Lasting:
    """A stream that is turned to the null device when writing to it fails because nobody reads it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, and return how much."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush."""
        self._try(self._stream.flush)

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except OSError as error:
            if error.errno not in GONE:
                raise
            # What is still buffered goes there too, and does not fail once more at the end.
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)
