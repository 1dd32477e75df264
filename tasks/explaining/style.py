"""The style that all pages share, on a light and on a dark ground, on a screen and printed."""

from __future__ import annotations

from pathlib import Path

STYLE = Path(__file__).with_suffix(".css")


def shared_style() -> str:
    """Return it as CSS."""
    return STYLE.read_text(encoding="utf-8")
