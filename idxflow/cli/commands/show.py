"""
Show everything about one run or one artifact.

A run: state, configuration, metrics, its stages, and the state of their
artifacts. An artifact: how it was made, from what, and which runs used it.
A study, or a run that tuned: the winner, its tests, and the best trials.

Examples:
  idxflow show latest      the newest run, in any state
  idxflow show 43be        a run or a version, by its first digits
  idxflow show train/f28 --json
  idxflow show 43be:12     the training of trial 12 of a sweep
"""

from __future__ import annotations

from datetime import UTC, datetime

from flows.run_record import RunRecord
from idxflow.api import open_store
from idxflow.cli.ending import DONE
from idxflow.cli.options import Home, Json, Word
from idxflow.cli.output import put_json
from idxflow.comparing.studies import STAGE, read_study
from idxflow.views.artifact import artifact_facts, print_artifact
from idxflow.views.console import open_console
from idxflow.views.run import print_run, run_facts
from idxflow.views.study import print_study


def show(word: Word, /, *, json: Json = False, home: Home = None) -> int:
    """Show everything about one run or one artifact."""
    archive, console = open_store(home), open_console(json=json)
    found = archive.find(word)
    if isinstance(found, RunRecord):
        run = run_facts(archive.store, found, datetime.now(UTC))
        put_json(run) if json else print_run(console, run)
    elif found.ref.stage == STAGE:
        study = read_study(found)
        put_json(study) if json else print_study(console, study)
    else:
        artifact = artifact_facts(archive.store, found)
        put_json(artifact) if json else print_artifact(console, artifact)
    return DONE
