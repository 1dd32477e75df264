#!/usr/bin/env bash
# Dask 2026.8.0: "Attempted to run task on 4 different workers, but all those workers died": did the task run there?
#
# Guess:  yes. A task that kills its worker is tried on four of them and then fails as KilledWorker; others go on.
# Found:  the scheduler counts each death for every task that it had assigned to the worker, whether that had begun or
#         only waited behind the one that was running. A task beside a deadly one may fail as KilledWorker without having
#         begun once. With more than two tasks of a name for each thread the scheduler keeps them back, and spares them.
# Matters for: sweeps of few, long tasks, where one takes too much memory. Count the beginnings yourself, and send what has
#         had none once more.
#
# Output seen (rounds until a harmless task was blamed that had not begun; it varies):
#   round 1: KilledWorker for the deadly task; for harmless ones that never began: []
#   round 2: KilledWorker for the deadly task; for harmless ones that never began: [1]
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq "distributed==2026.8.0" "dask==2026.8.0"
cat > "$folder/measure.py" <<'PYTHON'
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

from distributed import Client, KilledWorker, LocalCluster


def deadly():
    time.sleep(0.3)  # the others are assigned by then
    os.kill(os.getpid(), 9)


def harmless(number, folder):
    Path(folder, str(number)).touch()
    time.sleep(0.3)


def one_round():
    settings = {"threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": logging.CRITICAL}
    with tempfile.TemporaryDirectory() as folder, LocalCluster(n_workers=1, **settings) as cluster, Client(cluster) as client:
        bad = client.submit(deadly, pure=False)
        good = [client.submit(harmless, number, folder, pure=False) for number in range(2)]
        failed = [number for number, future in enumerate(good) if isinstance(future.exception(), KilledWorker)]
        return type(bad.exception()).__name__, [number for number in failed if not Path(folder, str(number)).exists()]


if __name__ == "__main__":
    for count in range(1, 13):
        deadly_one, blamed = one_round()
        print(f"round {count}: {deadly_one} for the deadly task; for harmless ones that never began: {blamed}", flush=True)
        if blamed:
            sys.exit(0)
    sys.exit(3)
PYTHON
cd "$folder"
DASK_CONFIG="$folder/dask" "$folder/venv/bin/python" measure.py
