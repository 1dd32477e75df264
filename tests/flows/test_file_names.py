"""Files in folders, with spaces and signs in their names, by real runs: from a folder and over http."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from artifacts.store.store import Store
from idxflow.cli.app import call
from tests.flows.own_sets import OwnSet, assert_own, computed, run

pytestmark = pytest.mark.usefixtures("prefect_server")
SHARDS = ("2025 autumn/leaves {1} [x]", "2026/leaves {1} [x]")
"""Their files have the same names, in different folders."""


class Handler(SimpleHTTPRequestHandler):
    """A plain web server of a folder, which notes what it is asked for."""

    asked: tuple[str, ...] = ()

    def do_GET(self) -> None:
        """Note the path and answer."""
        type(self).asked += (self.path,)
        super().do_GET()

    def log_request(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder. Yields: its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def leaves(tmp_path: Path) -> OwnSet:
    """A set of two train shards."""
    own = OwnSet(tmp_path / "leaves")
    own.describe(shards=SHARDS)
    for seed, name in enumerate((*SHARDS, "test")):
        own.write(name, seed, 60)
    return own


def test_files_of_one_name_in_two_folders(home: Path, leaves: OwnSet) -> None:
    """Each shard is its own file; a second run computes nothing, and the store is whole."""
    assert_own(home, run(leaves), leaves, *SHARDS)
    record = run(leaves)
    assert computed(record) == []
    names = {row.name for row in record.stages if row.stage == "download"}
    assert names >= {f"{shard}-{kind}.gz" for shard in SHARDS for kind in ("images", "labels")}
    stored = {path.name for path in (Store(home).artifacts / "download").rglob("*.gz")}
    assert stored >= {"leaves-1-x--images.gz", "leaves-1-x--labels.gz"}
    assert call(["verify", "--home", str(home)]) == 0


def test_a_query_is_asked_for(home: Path, leaves: OwnSet) -> None:
    """Over http folders and spaces are percent-encoded, and a query goes with the name."""
    toml = Path(leaves.toml)
    with served(leaves.folder / "files") as address:
        leaves.describe(shards=SHARDS, mirrors=(address,))
        toml.write_text(toml.read_text().replace('.gz"', '.gz?version=2"'))
        assert_own(home, run(leaves), leaves, *SHARDS)
        assert computed(run(leaves)) == []
    assert "/2025%20autumn/leaves%20%7B1%7D%20%5Bx%5D-images.gz?version=2" in Handler.asked
