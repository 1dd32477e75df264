"""
The page of a store: its runs as a table that sorts and filters, accuracy over time, learning curves of chosen runs.

One HTML file that asks for nothing from anywhere. What is on it is there without its script, which sorts, filters and
draws; a report is a link to a file beside it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from artifacts.archive.names import Names
from artifacts.archive.runs import RunHistory
from artifacts.store.store import Store
from flows.differing import in_words
from flows.run_record import RunRecord
from idxflow.listing.curves import Curve, read_curve
from idxflow.listing.rows import Row, row_of
from idxflow.views.layout import local_time
from idxflow.views.run import place_of
from idxflow.views.runs import computed
from schemas.counts import counted
from schemas.results import REPORT
from schemas.text import duration, share, span
from schemas.tuning import PAGE
from schemas.visible import in_a_line
from tasks.explaining.style import shared_style

MARK = "<!doctype html>\n<!-- idxflow page -->\n"
"""What such a page begins with, and nobody else's: it is replaced."""
FILE = "page.html"
"""Its place in a home folder, unless told otherwise."""
TEMPLATE, STYLE, SCRIPT = (Path(__file__).with_suffix(suffix) for suffix in (".html", ".css", ".js"))
LARGEST_CURVES = 1_800_000
"""Characters of all curves at most: those of the newest runs. A thousand runs of 50 epochs take less."""
BEST = 6
"""Data sets whose best run stands above all; the table has all."""


@dataclass(frozen=True)
class PageRow:
    """A run on the page. Args: report: address as seen from the page; curve: number of its curve; None: no such."""

    row: Row
    aliases: tuple[str, ...]
    report: str | None
    words: str
    curve: int | None

    @property
    def what(self) -> str:
        """What it has otherwise than its profile."""
        return in_words(self.row.differs)

    @property
    def when(self) -> str:
        """When it began, local time."""
        return local_time(self.row.started)

    @property
    def made(self) -> str:
        """Which stages it computed."""
        return computed(self.row)


@dataclass(frozen=True)
class StorePage:
    """A page and what is in it. Args: left_out: runs whose curves there was no room for."""

    html: str
    runs: int
    curves: int
    left_out: int


def store_page(store: Store, history: RunHistory, now: datetime, folder: Path, home: str) -> StorePage:
    """
    Return the page of a store.

    Args:
        now:    of the writing.
        folder: in which the page will lie; links to reports are seen from there.
        home:   what the store is called on it.
    """
    records = [RunRecord.of(record) for record in history.records]
    known = aliases_of(store)
    curves, numbers, left_out = _curves(store, records)
    rows = [
        PageRow(
            row=row_of(store, record, now),
            aliases=known.get(_model(record), ()),
            report=_link(store, record, folder),
            words="study" if record.study else "report",
            curve=numbers.get(_model(record)),
        )
        for record in records
    ]
    told = {
        "home": home,
        "written": now.astimezone().strftime("%Y-%m-%d %H:%M"),
        "unreadable": len(history.unreadable),
        "left_out": left_out,
    }
    return StorePage(_render(rows, curves, told), len(rows), len(curves), left_out)


def best_of(rows: Sequence[PageRow]) -> list[PageRow]:
    """Return the run with the highest test accuracy of each data set, that with the most runs first."""
    best: dict[str, PageRow] = {}
    for each in rows:
        accuracy = each.row.test_accuracy
        if accuracy is not None and each.row.state == "completed":
            there = best.get(each.row.dataset_id)
            if there is None or accuracy > (there.row.test_accuracy or 0):
                best[each.row.dataset_id] = each
    counts = Counter(each.row.dataset_id for each in rows)
    return sorted(best.values(), key=lambda each: -counts[each.row.dataset_id])[:BEST]


def aliases_of(store: Store) -> dict[str, tuple[str, ...]]:
    """Return the aliases of models, by version."""
    found: dict[str, tuple[str, ...]] = {}
    for alias in Names(store).aliases():
        if alias.artifact and alias.artifact[0] == "train":
            version = alias.artifact[1]
            found[version] = (*found.get(version, ()), alias.name)
    return found


def facts_of(rows: Sequence[PageRow], curves: Sequence[Curve]) -> str:
    """Return what the script draws from, as JSON that is safe inside of a script element."""
    runs = [
        {
            "id": each.row.id,
            "when": datetime.fromisoformat(each.row.started).timestamp(),
            "set": each.row.dataset,
            "what": " ".join(filter(None, [each.row.profile, each.what])),
            "test": each.row.test_accuracy if each.row.state == "completed" else None,
            "interval": each.row.interval,
            "curve": each.curve,
        }
        for each in rows
    ]
    document = {"runs": runs, "curves": [_packed(curve) for curve in curves]}
    return json.dumps(document, separators=(",", ":")).replace("<", "\\u003c")


def _packed(curve: Curve) -> dict[str, Any]:
    """Return a curve in few characters: epochs that follow each other are left out."""
    given = {
        "accuracy": curve.held_out_accuracy,
        "loss": curve.held_out_loss,
        "train accuracy": curve.accuracy,
        "train loss": curve.loss,
    }
    packed: dict[str, Any] = {name: values for name, values in given.items() if values is not None}
    packed["kept"] = curve.kept
    if curve.epochs != tuple(range(1, len(curve.epochs) + 1)):
        packed["epochs"] = curve.epochs
    return packed


def _curves(store: Store, records: Sequence[RunRecord]) -> tuple[list[Curve], dict[str, int], int]:
    """Return the curves of the newest runs, while there is room, their numbers by version, and how many are left."""
    curves, numbers, room, left_out = list[Curve](), dict[str, int](), LARGEST_CURVES, 0
    seen = set[str]()
    for record in records:
        version = _model(record)
        if not version or version in seen:
            continue
        seen.add(version)
        if room <= 0:
            left_out += 1
        elif curve := read_curve(store, version):
            room -= len(json.dumps(_packed(curve), separators=(",", ":")))
            numbers[version] = len(curves)
            curves.append(curve)
    return curves, numbers, left_out


def _model(record: RunRecord) -> str:
    """Return the version of a run's model; nothing of a run that has none, or many."""
    versions = [row.version for row in record.stages if row.stage == "train"]
    return versions[0] if len(versions) == 1 else ""


def _link(store: Store, record: RunRecord, folder: Path) -> str | None:
    """Return the address of a run's page, as seen from a folder."""
    if record.state != "completed":
        return None
    stage, file = ("study", PAGE) if record.study else ("report", REPORT)
    found = place_of(store, record, stage, file)
    return quote(Path(os.path.relpath(found, folder)).as_posix()) if found else None


def _render(rows: Sequence[PageRow], curves: Sequence[Curve], told: Mapping[str, object]) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"visible": in_a_line, "share": share, "span": span, "took": duration, "counted": counted}
    script = SCRIPT.read_text(encoding="utf-8")
    states = Counter[str](each.row.state for each in rows)
    facts: dict[str, Any] = {
        "rows": rows,
        "best": best_of(rows),
        "sets": sorted({each.row.dataset for each in rows} - {""}),
        "states": sorted(states),
        "ended": ", ".join(_told(states)),
        **told,
        "data": facts_of(rows, curves),
        "style": f"{shared_style()}{STYLE.read_text(encoding='utf-8')}",
        "script": script,
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    return MARK + environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(facts) + "\n"


def _told(states: Counter[str]) -> Iterator[str]:
    yield from (f"{count:,} {state}" for state, count in states.most_common())
