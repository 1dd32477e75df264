"""The page of a study: what it shows, and how it becomes one HTML file that asks for nothing from anywhere."""

from __future__ import annotations

from pathlib import Path

from schemas.tuning import Study

TEMPLATE = Path(__file__).with_name("study.html")


def render_study(study: Study) -> str:
    """Return a study as one self-contained page; every value in it is escaped."""
    from jinja2 import Environment, StrictUndefined  # no sooner: of the study's facts alone nobody needs it

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(study=study) + "\n"
