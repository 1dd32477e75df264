"""
The page of a study: what it shows, and how it becomes one HTML file.

The file asks for nothing from anywhere: figures and style are inside, and so are the few lines that sort its table,
without which it shows the same.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.counts import counted
from schemas.space import compact, configured
from schemas.training import Training
from schemas.tuning import LEVEL, Study, Trial
from schemas.visible import in_a_line
from tasks.explaining import study_figures as figures
from tasks.explaining.profiles import nearest_profile
from tasks.explaining.style import shared_style

FIGURES: dict[str, Callable[[Study], str]] = {
    "history": figures.draw_history,
    "importance": figures.draw_importance,
    "parallel": figures.draw_parallel,
    "curves": figures.draw_curves,
}
"""What draws each figure; empty where there is nothing to draw."""
TEMPLATE, STYLE = (Path(__file__).with_suffix(suffix) for suffix in (".html", ".css"))
SORTING = """
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const keyOf = (row, at) => row.cells[at].textContent.trim();
  const numberOf = (text) => Number(text.replace(/[,%\\s]/g, ""));
  for (const head of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending", at = head.cellIndex;
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      body.append(...Array.from(body.rows).sort((one, two) => {
        const a = keyOf(one, at), b = keyOf(two, at);
        if (!a || !b) return Number(!a) - Number(!b);
        const x = numberOf(a), y = numberOf(b);
        const order = Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, "en", {numeric: true}) : x - y;
        return up ? order : -order;
      }));
    });
  }
}
"""
"""What sorts the table by a column; rows without a value stay last. The page says the same where it does not run."""


@dataclass(frozen=True)
class Tried:
    """A field of the space: what was tried, the winner's value, that of the shared configuration, and its meaning."""

    name: str
    domain: str
    winner: str
    own: str
    meaning: str


def tried(study: Study) -> tuple[Tried, ...]:
    """Return the fields of the space, those that mattered most first."""
    winner, order = study.winner, list(study.importance)
    names = sorted(
        study.rules.space.domains, key=lambda name: (order.index(name) if name in order else len(order), name)
    )
    return tuple(
        Tried(
            name=name,
            domain=study.rules.space.domains[name].words,
            winner=compact(winner.values[name]) if winner and name in winner.values else "",
            own=compact(getattr(study.training, name)),
            meaning=Training.model_fields[name].description or "",
        )
        for name in names
    )


def changed(study: Study) -> dict[str, str]:
    """Return what the trials share and the profile has otherwise, by field."""
    _, usual = nearest_profile(study.training)
    return {name: compact(getattr(study.training, name)) for name in usual if name not in study.rules.space.domains}


def as_profile(study: Study) -> bool:
    """Tell whether the winner is what the trials differ from."""
    return study.winner is not None and configured(study.training, study.winner.values) == study.training


def percent(share: float | None, digits: int = 2) -> str:
    """Write a share in [0, 1] as per cent; nothing where there is none."""
    return "" if share is None else f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def render_study(study: Study) -> str:
    """Return a study as one page; every value in it is escaped."""
    from jinja2 import Environment, StrictUndefined  # no sooner: of the study's facts alone nobody needs it

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"percent": percent, "counted": counted, "visible": in_a_line, "value": _value}
    facts: dict[str, Any] = {
        "study": study,
        "winner": study.winner,
        "tried": tried(study),
        "changed": changed(study),
        "as_profile": as_profile(study),
        "level": LEVEL,
        "figures": {name: draw(study) for name, draw in FIGURES.items()},
        "style": f"{shared_style()}{STYLE.read_text(encoding='utf-8')}",
        "script": SORTING,
        "script_hash": base64.b64encode(hashlib.sha256(SORTING.encode()).digest()).decode(),
        "epochs_of": _epochs,
    }
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(facts) + "\n"


def standalone(figure: str) -> str:
    """Return a figure as SVG that stands alone, with the colours that it takes from the page's style."""
    colours = shared_style().partition("* {")[0]
    style = f"{colours}{STYLE.read_text(encoding='utf-8')}"
    head, body = figure.split(">", 1)
    return f'{head} xmlns="http://www.w3.org/2000/svg"><style>{style}</style>{body}'


def address(figure: str) -> str:
    """Return a figure as a `data:` address."""
    return f"data:image/svg+xml;base64,{base64.b64encode(standalone(figure).encode()).decode()}"


def _value(value: Any) -> str:
    return "" if value is None else compact(value)


def _epochs(trial: Trial) -> int | None:
    return len(trial.history.epochs) if trial.history else None
