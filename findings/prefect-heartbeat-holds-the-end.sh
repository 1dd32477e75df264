#!/usr/bin/env bash
# Prefect 3.8.8: do heartbeats, one in 180 s unless set otherwise, change how long a flow takes?
#
# Guess:  no. It is sent by a daemon thread beside the flow, far more rarely than once in a short flow.
# Found:  a synchronous flow waits at its end for that thread, which sleeps in steps of a second and looks between
#         them whether the flow has ended: an empty flow takes up to a second longer, whatever the interval is.
#         An asynchronous flow does not wait for it.
# Matters for: pipelines that run often and are mostly cached, and whoever times them. To be without it, leave the
#         interval unset where nobody watches for crashed runs.
#
# Output seen (median of seven empty flows, seconds from the end of the body to the end of the call):
#   heartbeat 180 s: 1.0
#   no heartbeat:    0.0 (0.1 on a slower machine)
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq "prefect==3.8.8" "fastapi==0.139.0" "sqlalchemy==2.0.36"
cat > "$folder/measure.py" <<'PYTHON'
import statistics
import sys
import time

from prefect import flow
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

ended = 0.0


@flow
def empty():
    global ended
    ended = time.perf_counter()


def rest(frequency):
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: frequency}):
        found = []
        for _ in range(7):
            empty()
            found.append(time.perf_counter() - ended)
    return statistics.median(found)


empty()  # starts the temporary server
beating, silent = rest(180), rest(None)
print(f"heartbeat 180 s: {beating:.1f}\nno heartbeat:    {silent:.1f}")
sys.exit(0 if beating - silent > 0.4 else 3)
PYTHON
cd "$folder"
PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS=180 PREFECT_HOME="$folder/home" PREFECT_LOGGING_LEVEL=ERROR \
  PREFECT_SERVER_ANALYTICS_ENABLED=false DO_NOT_TRACK=1 "$folder/venv/bin/python" "$folder/measure.py"
