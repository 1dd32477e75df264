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
    # Nobody looks at these, and every process wakes for them fifty times a second, beside as many trainings as cores.
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.tick.limit": "30s",
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
        certificate, key: of TLS, as PEM: who has them is let in, and nobody else of this machine.
    """

    workers: int
    memory: int
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
    """Keep the cluster until the input ends. The only argument is the folder for what Dask writes, which goes then."""
    folder = Path(sys.argv[1])
    # Whoever prints in a worker prints beside the address, and fills no pipe that nobody reads.
    said = os.dup(1)
    os.dup2(2, 1)
    import dask

    dask.config.set(CONFIG)
    from distributed import LocalCluster

    if not (line := sys.stdin.buffer.readline()):  # the run has ended before it could say what it wants
        end(folder)
    asked = Asked(**json.loads(line))
    cluster = LocalCluster(
        n_workers=asked.workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        protocol="tls://",
        security=security_of(asked),
        dashboard_address=None,
        memory_limit=asked.memory,
        local_directory=str(folder),
        silence_logs=logging.CRITICAL,
    )
    os.write(said, f"{cluster.scheduler_address}\n".encode())
    os.close(said)
    sys.stdin.buffer.read()
    end(folder)


def end(folder: Path) -> None:
    """End all processes of the cluster, and delete their folder."""
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
