"""Moments as records have them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator


def _is_moment(text: str) -> str:
    """Refuse what is no moment, or one that no clock can show in another time zone."""
    try:
        moment = datetime.fromisoformat(text)
        moment.astimezone()
    except OverflowError as error:
        raise ValueError(str(error)) from error
    if moment.tzinfo is None:
        raise ValueError("a moment without its time zone")
    return text


Moment = Annotated[str, AfterValidator(_is_moment)]
"""ISO 8601 with a time zone, which is UTC in everything that idxflow writes."""
