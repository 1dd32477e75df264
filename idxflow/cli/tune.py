"""The work of `idxflow tune`: the sweep, its summary, and the winner's settings as a profile."""

from __future__ import annotations

import os
import shlex
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artifacts.store.files import write_atomically
from flows.run_record import RunRecord
from idxflow.cli.run import run_pipeline
from idxflow.cli.settings import Settings
from idxflow.views.console import Console
from idxflow.views.layout import short_path
from schemas.errors import IdxflowError, UsageError
from schemas.profile_file import is_profile_file
from schemas.space import flat
from schemas.tuning import HEADER
from tasks.quality.search_space import require_optuna

if TYPE_CHECKING:
    from flows.tuning_job import TuningJob

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
    return flat(space)


def target_of(best: Path, profile: str | None) -> Path:
    """
    Return where the winner's settings go, absolute and without links.

    Args:   profile: what was given as the profile.
    Raises: UsageError: a file of another kind is there, or the very profile; nothing can be written there.
    """
    target = best.expanduser().resolve()
    if profile is not None and is_profile_file(profile) and Path(profile).expanduser().resolve() == target:
        way_out = f"Name another file with --best. {NOTHING}"
        raise UsageError(str(best), expected="another file than the profile", found="the profile", way_out=way_out)
    if not (target.parent.is_dir() and os.access(target.parent, os.W_OK)):
        found = "one that cannot be written to" if target.parent.is_dir() else "none"
        raise UsageError(f"--best {best}", expected="a folder to write to", found=found, way_out=NOTHING)
    if target.exists() and not is_ours(target):
        way_out = f"Name another file with --best. {NOTHING}"
        raise UsageError(str(best), expected="no file, or one of an earlier sweep", found="another", way_out=way_out)
    return target


def is_ours(file: Path) -> bool:
    """Tell whether a file is one that a sweep has written."""
    try:
        return file.is_file() and file.read_text("utf-8").startswith(HEADER)
    except (OSError, UnicodeDecodeError):
        return False


def run_sweep(job: TuningJob, settings: Settings, console: Console, best: Path, *, json: bool = False) -> RunRecord:
    """
    Run the sweep, show it, and write the winner's settings.

    Args:    best: as `target_of` returns it.
    Returns: the record of the run, which has completed.
    Raises:  what ended the run.
    """

    def flow(**_: Any) -> RunRecord:
        from flows.tuning import tuning

        record: RunRecord = tuning(**job.parameters)
        return record

    record = run_pipeline(settings, console, json=json, flow=flow)
    if record.study:
        if (means := record.study.tested) and means[0] < means[1]:
            console.warn("On the test split the winner is behind the profile's own settings: keep those.")
        if before := write_best(best, Path(record.study.best), console):
            console.fact("Before", f"{before}: what stood in {best.name}")
        dataset = settings.dataset or record.dataset
        console.fact(
            "Profile", f"{best.name}: idxflow run --dataset {shlex.quote(dataset)} --profile {short_path(best)}"
        )
    return record


def write_best(best: Path, stored: Path, console: Console) -> str:
    """
    Write the winner's settings; another sweep's that stand there are kept beside.

    Returns: where those are kept; empty: there were none. What goes wrong is a warning, as the store has them.
    """
    aside = ""
    try:
        content = stored.read_bytes()
        if best.exists() and (there := best.read_bytes()) != content:
            if not is_ours(best):
                console.warn(f"{best} is there by now, and of another kind; the winner's settings: {stored}")
                return ""
            write_atomically(before := best.with_name(f"{best.stem}.before{best.suffix}"), there)
            aside = short_path(before)
        write_atomically(best, content)
    except (OSError, IdxflowError) as error:
        console.warn(f"{best} cannot be written ({error}); the winner's settings: {stored}")
    return aside


def sweep_job(settings: Settings, space: dict[str, Any] | None, *, retry: bool) -> TuningJob:
    """
    Return what a sweep with these settings is asked for.

    Args:   space: as it was given on the command line: it takes the place of that of a file.
    Raises: UsageError: a wrong space; a package that is not installed.
    """
    from flows.sweeping import space_of
    from flows.tuning_job import TuningJob
    from flows.workers import require_workers

    require_optuna()
    job = TuningJob(
        dataset=settings.dataset,
        training=settings.training,
        sweep=settings.tune.model_copy(update={"space": space}) if space else settings.tune,
        retry=retry,
        mirrors=settings.mirror,
        refresh=settings.refresh,
        revalidate=settings.revalidate,
        force=settings.force,
        pack=settings.pack,
        workers=settings.workers,
    )
    space_of(job)
    require_workers(job.workers)
    return job


def _wrong(expected: str, found: str) -> UsageError:
    return UsageError("--space", expected=expected, found=found, way_out=NOTHING)
