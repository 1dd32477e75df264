"""`idxflow alias`: names for artifacts, which a clean-up leaves alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from rich.text import Text

from artifacts.archive.index import RunIndex
from artifacts.archive.name_records import Alias, Placement
from artifacts.archive.runs import read_run
from artifacts.store.store import Store
from flows.run_record import RunRecord
from idxflow.archive import open_store
from idxflow.cli.ending import DONE
from idxflow.cli.options import Home, Json
from idxflow.cli.printing import put_json
from idxflow.views.console import Console, open_console
from idxflow.views.tables import table_lines
from idxflow.views.times import local_time
from schemas.errors import UsageError
from schemas.text import share


class Row(BaseModel):
    """What an alias stands for, or did once; all but the moment is None where it was removed."""

    model_config = ConfigDict(frozen=True)
    stage: str | None
    version: str | None
    run: str | None = Field(description="id of the run that made it")
    since: str = Field(description="UTC, ISO 8601")
    test_accuracy: float | None = Field(description="of a model, as far as a run in the history knows it")


class Page(BaseModel):
    """One alias."""

    model_config = ConfigDict(frozen=True)
    name: str
    current: Row
    before: tuple[Row, ...] = Field(description="what it stood for before, the latest first")


def alias(
    name: Annotated[
        str | None, Parameter(help="The alias: up to 64 lower-case letters, digits and hyphens, a letter first.")
    ] = None,
    word: Annotated[
        str | None,
        Parameter(help="What it stands for from now on: a version, a run (its model), another alias, or latest."),
    ] = None,
    /,
    *,
    remove: Annotated[
        bool, Parameter(negative="", show_default=False, help="Let it stand for nothing; its history stays.")
    ] = False,
    json: Json = False,
    home: Home = None,
) -> int:
    """List the aliases, show one with its history, set or remove it."""
    if remove and (word or not name):
        found = f"{word!r} as well" if word else "none"
        raise UsageError("--remove", expected="an alias alone", found=found, way_out="Nothing has changed.")
    if word is not None and not word.strip():
        found, expected = "an empty text", "a run, a version or an alias"
        raise UsageError(f"alias {name}", expected=expected, found=found, way_out="Nothing has changed.")
    archive, console = open_store(home), open_console(json=json)
    store, names, now = archive.store, archive.names, datetime.now(UTC)
    if name is None:
        with RunIndex(store) as index:
            pages = [page_of(each, store, index) for each in names.aliases()]
        if json:
            put_json(TypeAdapter(list[Page]).dump_json(pages, indent=2).decode())
        else:
            print_aliases(console, pages)
        return DONE
    if word:
        target = archive.artifact(word).manifest
        changed = names.set_alias(name, target.stage, target.version, now)
    else:
        changed = names.remove_alias(name, now) if remove else names.alias(name)
    with RunIndex(store) as index:
        page = page_of(changed, store, index)
    if json:
        put_json(page.model_dump_json(indent=2))
    else:
        print_alias(console, page)
    return DONE


def page_of(alias: Alias, store: Store, index: RunIndex) -> Page:
    """Tell what an alias stands for, with what the history knows of it."""
    *before, current = (_row(placement, store, index) for placement in alias.history)
    return Page(name=alias.name, current=current, before=tuple(reversed(before)))


def print_aliases(console: Console, pages: list[Page]) -> None:
    """Print the list."""
    if not pages:
        console.line("No aliases. Set one with: idxflow alias champion latest")
        return
    cells = [(Text(page.name, "bold"), *_cells(page.current)) for page in pages]
    for line in table_lines(("alias", "artifact", "since", "test"), cells, right=("test",)):
        console.line(line)


def print_alias(console: Console, page: Page) -> None:
    """Print one alias and what it stood for before."""
    artifact, since, _ = _cells(page.current)
    accuracy = page.current.test_accuracy
    test = "" if accuracy is None else f", test accuracy {share(accuracy)}"
    console.line(Text.assemble((page.name, "bold"), f": {artifact} since {since}{test}"))
    if page.before:
        console.line()
        cells = [_cells(row) for row in page.before]
        for line in table_lines(("before", "since", "test"), cells, right=("test",)):
            console.line(line)


def _row(placement: Placement, store: Store, index: RunIndex) -> Row:
    accuracy = None
    if placement.stage == "train" and placement.version:
        using = filter(None, (read_run(store, run.id) for run in index.users(placement.stage, placement.version)))
        metrics = (RunRecord.of(run).metrics for run in using)
        accuracy = next((each["test"].accuracy for each in metrics if "test" in each), None)
    return Row(
        stage=placement.stage,
        version=placement.version,
        run=placement.run,
        since=placement.set,
        test_accuracy=accuracy,
    )


def _cells(row: Row) -> tuple[str, str, str]:
    """Return artifact, moment and test accuracy as a table shows them."""
    artifact = f"{row.stage}/{row.version}" if row.stage else "nothing"
    return artifact, local_time(row.since), "-" if row.test_accuracy is None else share(row.test_accuracy)
