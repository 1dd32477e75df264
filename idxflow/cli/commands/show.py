"""`idxflow show`: everything about one run or one artifact."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from flows.run_record import RunRecord
from idxflow.archive import open_store
from idxflow.cli.ending import DONE
from idxflow.cli.options import Home, Json
from idxflow.cli.printing import put_json
from idxflow.views.artifact_page import artifact_facts, print_artifact
from idxflow.views.console import open_console
from idxflow.views.run_page import print_run, run_facts


def show(
    word: Annotated[
        str,
        Parameter(help="A run's id or a version, or as many of its first digits as are unique; an alias; latest."),
    ],
    /,
    *,
    json: Json = False,
    home: Home = None,
) -> int:
    """Tell everything about one run or one artifact."""
    archive, console = open_store(home), open_console(json=json)
    found = archive.find(word)
    if isinstance(found, RunRecord):
        run = run_facts(archive.store, found, datetime.now(UTC))
        if json:
            put_json(run.model_dump_json(indent=2))
        else:
            print_run(console, run)
    else:
        artifact = artifact_facts(archive.store, found)
        if json:
            put_json(artifact.model_dump_json(indent=2))
        else:
            print_artifact(console, artifact)
    return DONE
