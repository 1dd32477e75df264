"""The four files that the benchmarks bring from a folder, and the mirror that they serve them from."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from schemas.errors import UsageError

FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def open_folder(folder: Path) -> Path:
    """
    Return the folder of the four files, as an absolute path.

    Raises: UsageError: a file is missing.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise UsageError(
            f"--mnist {folder}",
            expected=f"a folder with {', '.join(FILES)}",
            found=f"no {', no '.join(missing)}",
            way_out="Download them once, for example from https://storage.googleapis.com/cvdf-datasets/mnist/, "
            "and name their folder: make bench MNIST=DIR. Nothing is taken from the network while it is measured.",
        )
    return folder.absolute()


def read_split(folder: Path, split: Literal["train", "t10k"]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return a split's images, uint8 (n, rows, columns), and its labels, uint8 (n,)."""
    images, labels = (gzip.decompress((folder / name).read_bytes()) for name in FILES if name.startswith(split))
    shape = np.frombuffer(images, ">u4", count=3, offset=4)
    return np.frombuffer(images, np.uint8, offset=16).reshape(shape), np.frombuffer(labels, np.uint8, offset=8)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - as in http.server
        """Stay silent."""


@contextmanager
def mirror(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine for as long as the block runs. Yields: its address."""
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
