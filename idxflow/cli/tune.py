"""The work of `idxflow tune`: the sweep, its summary, and the winner's settings as a profile."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.run_record import RunRecord
from idxflow.cli.run import run_pipeline
from idxflow.cli.settings import Settings
from idxflow.views.console import Console
from schemas.errors import UsageError
from schemas.tuning import HEADER

if TYPE_CHECKING:
    from flows.tuning import TuningJob

NOTHING = "Nothing has run."


def sweep_options(*, space: list[str] | None, **others: object) -> dict[str, Any]:
    """Return what was given of a sweep, by the field of `schemas.tuning.Sweep`. Raises: UsageError: a wrong --space."""
    given = {name: value for name, value in others.items() if value is not None}
    return given | ({"space": read_spaces(space)} if space else {})


def read_spaces(given: list[str]) -> dict[str, Any]:
    """
    Read the values of `--space`: NAME=DOMAIN, or the path of a TOML with a table `[space]`.

    Raises: UsageError: one of them is neither; a field twice.
    """
    found: dict[str, Any] = {}
    for each in given:
        name, equals, domain = each.partition("=")
        more = {name.strip(): domain.strip()} if equals else _of_file(each)
        if twice := found.keys() & more.keys():
            raise _wrong("each field once", f"{', '.join(sorted(twice))} twice")
        found |= more
    return found


def _of_file(path: str) -> dict[str, Any]:
    if not path.endswith(".toml"):
        raise _wrong("NAME=DOMAIN, as training.learning_rate=log:1e-4..1e-1, or a TOML", repr(path))
    try:
        document = tomllib.loads(Path(path).expanduser().read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise _wrong("TOML", f"{path}: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(
            "a TOML with a table [space]", f"{path}: {getattr(error, 'strerror', None) or 'no text'}"
        ) from error
    space = document.get("space")
    if not isinstance(space, dict) or document.keys() != {"space"}:
        raise _wrong("one table, [space]", f"{path}: {', '.join(document) or 'nothing'}")
    # [space.training] with bare names, or "training.x" in quotes, or bare names: all the same.
    nested = space.pop("training", {}) if isinstance(space.get("training"), dict) else {}
    return {**space, **nested}


def refuse_foreign(best: Path) -> None:
    """See that a file of another kind is not replaced. Raises: UsageError: there is one."""
    if not best.exists():
        if not best.absolute().parent.is_dir():
            raise UsageError("--best", expected="a file in a folder that is there", found=str(best), way_out=NOTHING)
        return
    try:
        ours = best.is_file() and best.read_text("utf-8").startswith(HEADER)
    except (OSError, UnicodeDecodeError):
        ours = False
    if not ours:
        way_out = f"Name another file with --best. {NOTHING}"
        raise UsageError(str(best), expected="no file, or one of an earlier sweep", found="another", way_out=way_out)


def run_sweep(
    settings: Settings, console: Console, best: Path, *, retry: bool = False, json: bool = False
) -> RunRecord:
    """
    Run the sweep, show it, and write the winner's settings.

    Returns: the record of the run, which has completed.
    Raises:  what ended the run.
    """

    def flow(**_: Any) -> RunRecord:
        from flows.tuning import tuning

        record: RunRecord = tuning(**sweep_job(settings, retry=retry).parameters)
        return record

    sweep_job(settings, retry=retry)  # a wrong space is refused before anything is started
    record = run_pipeline(settings, console, json=json, flow=flow)
    if record.study:
        from artifacts.store.files import write_atomically

        write_atomically(best.absolute(), Path(record.study.best).read_bytes())
        console.fact("Profile", f"{best}: idxflow run --profile {best}")
    return record


def sweep_job(settings: Settings, *, retry: bool) -> TuningJob:
    """Return what a sweep with these settings is asked for. Raises: UsageError: a wrong space."""
    from flows.sweeping import space_of
    from flows.tuning import TuningJob
    from flows.workers import require_workers

    who = settings.workers
    job = TuningJob(
        dataset=settings.dataset,
        training=settings.training,
        sweep=settings.tune,
        retry=retry,
        mirrors=settings.mirror,
        refresh=settings.refresh,
        revalidate=settings.revalidate,
        force=settings.force,
        pack=settings.pack,
        workers=who if "runner" in who.model_fields_set else who.model_copy(update={"runner": "dask"}),
    )
    space_of(job)
    require_workers(job.workers)
    return job


def _wrong(expected: str, found: str) -> UsageError:
    return UsageError("--space", expected=expected, found=found, way_out=NOTHING)
