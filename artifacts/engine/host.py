"""
A process that keeps a Dask cluster for one run: a scheduler, and workers of one thread each, on this machine alone.

It reads one line of JSON on its input, says its address in one line, and ends with all its workers when its input does:
so it never outlives the run, however that ends. It is the leader of a process group, which a kill ends at once.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed.security import Security

CONFIG = {
    "distributed.worker.memory.target": False,  # a worker keeps no data
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    "distributed.worker.profile.enabled": False,
    "distributed.worker.daemon": False,  # a stage may start processes
    "distributed.scheduler.allowed-failures": 3,
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.scheduler.http.routes": [],  # pages have no key
    "distributed.worker.http.routes": [],
    "distributed.nanny.pre-spawn-environ": {},  # the environment of this process says it
}


@dataclass(frozen=True)
class Asked:
    """
    What is read.

    Args:
        workers: how many.
        memory:  bytes that each may take before it is killed.
        folder:  for what Dask writes; it goes at the end.
        certificate, key: of TLS, as PEM: who has them is let in, and nobody else of this machine.
    """

    workers: int
    memory: int
    folder: str
    certificate: str
    key: str

    @property
    def line(self) -> bytes:
        """As it is written."""
        return json.dumps(asdict(self)).encode() + b"\n"


def security_of(asked: Asked) -> Security:
    """Return what a scheduler, a worker and a client of the cluster need to talk to each other."""
    from distributed.security import Security

    pair = {"cert": asked.certificate, "key": asked.key}
    roles = ("scheduler", "worker", "client")
    given = {f"tls_{role}_{what}": value for role in roles for what, value in pair.items()}
    return Security(require_encryption=True, tls_ca_file=asked.certificate, **given)


def main() -> None:
    """Keep the cluster until the input ends."""
    import dask

    dask.config.set(CONFIG)
    from distributed import LocalCluster

    asked = Asked(**json.loads(sys.stdin.buffer.readline() or b"{}"))
    cluster = LocalCluster(
        n_workers=asked.workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        protocol="tls://",
        security=security_of(asked),
        dashboard_address=None,
        memory_limit=asked.memory,
        local_directory=asked.folder,
        silence_logs=logging.CRITICAL,
    )
    sys.stdout.write(f"{cluster.scheduler_address}\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()
    shutil.rmtree(Path(asked.folder), ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
