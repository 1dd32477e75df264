"""
Say how this installation and its home folder are: one paste for a bug report.

Versions, machine, disks, BLAS, store, locks, server and ports; what is not as it
has to be stands last. No name of yours or of this machine is in it, no secret,
and of variables only the name. Exit code 1 where there is a problem.

Examples:
  idxflow doctor
  idxflow doctor --home /srv/idxflow --json
"""

from __future__ import annotations

from idxflow.cli.ending import DONE, FAILED
from idxflow.cli.options import Home, Json
from idxflow.cli.output import put_json


def doctor(*, home: Home = None, json: Json = False) -> int:
    """Say how this installation is."""
    from idxflow.diagnosing.diagnosis import diagnose
    from idxflow.views.console import open_console
    from idxflow.views.diagnosis import print_diagnosis

    found = diagnose(home)
    put_json(found) if json else print_diagnosis(open_console(json=json), found)
    return FAILED if found.problems else DONE
