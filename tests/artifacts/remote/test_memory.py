"""What a large artifact takes on its way: pieces, never the whole."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from artifacts.remote.crew import Crew
from artifacts.remote.opening import open_backend
from artifacts.remote.pulling import Pulling
from artifacts.remote.pushing import Pushing
from artifacts.store.store import Store
from schemas.remote import RemotePlace
from tests.artifacts.building import key_parts
from tests.artifacts.remote.server import Bucket, bucket
from tests.processes import PROJECT

__all__ = ["bucket"]
BYTES = 700 * 10**6
BAR = 300 * 10**6


def carry(folder: Path, place: RemotePlace) -> int:
    """Push a large artifact, pull it into another store, and return the most memory that this took, in bytes."""
    here, there = Store(folder / "here"), Store(folder / "there")
    version = write_large(here)
    backend = open_backend(place)
    with Crew(8) as crew:
        if Pushing(backend, here, crew).push("parse", version).state != "pushed":
            raise RuntimeError("not pushed")
        with there.waited_for("parse", version):
            Pulling(backend, there, crew).pull("parse", version)
    if there.read("parse", version, fully=True) is None:
        raise RuntimeError("not there")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def write_large(store: Store) -> str:
    """Leave an artifact of one large file in a store, written piece by piece. Returns: its version."""
    from artifacts.environment import current_environment
    from artifacts.keys import content_digest
    from artifacts.manifest import Manifest
    from artifacts.store.publishing import commit, publish, seal_entries, staging

    parts = key_parts()
    with staging(store, parts.stage, parts.version) as out:
        with (out / "large").open("wb") as file:
            for _ in range(BYTES // 10**6):
                file.write(os.urandom(1000) * 1000)
        entries = seal_entries(out, {})
        facts = {
            "stage": parts.stage,
            "name": "",
            "version": parts.version,
            "key": parts.key,
            "parts": parts,
            "inputs": (),
            "files": entries,
            "digest": content_digest({name: entry.content for name, entry in entries.items()}),
            "summary": {},
            "created": "2026-01-01T00:00:00+00:00",
            "seconds": 0.0,
            "environment": current_environment(),
            "run": "0" * 12,
            "flow_run": "0",
        }
        ref = publish(store, out, Manifest.model_validate(facts))
    commit(store, ref)
    return parts.version


@pytest.mark.slow
def test_a_large_artifact_is_never_whole_in_memory(bucket: Bucket, tmp_path: Path) -> None:
    """700 MB go to a server and come back in a process that never has 300 MB, TensorFlow and all else left out."""
    command = [
        sys.executable,
        "-m",
        "tests.artifacts.remote.test_memory",
        str(tmp_path),
        bucket.place.model_dump_json(),
    ]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert BYTES / 10 < int(done.stdout) < BAR, done.stdout


if __name__ == "__main__":
    print(carry(Path(sys.argv[1]), RemotePlace.model_validate_json(sys.argv[2])))  # noqa: T201
