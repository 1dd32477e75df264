"""Text for people: durations, amounts, figures, moments. What messages of stages need stands in `schemas.counts`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator

from schemas.counts import counted


def duration(seconds: float) -> str:
    """Return `12 ms`, `1.2 s`, `2 min 05 s` or `3 h 04 min`."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def amount(count: float, unit: str) -> str:
    """Return `9.9 MB` for bytes (powers of 1000), else the count with its unit: `12 epochs`, `1 epoch`."""
    if unit != "bytes":
        return f"{count:.3g} {unit}" if isinstance(count, float) else counted(int(count), unit.removesuffix("s"))
    if count < 1000:
        return f"{count:.0f} B"
    power = next((power for power in (1, 2, 3) if count < 999.95 * 1000**power), 4)
    return f"{count / 1000**power:.1f} {' kMGT'[power]}B"


def progress_of(done: int, total: int | None, unit: str) -> str:
    """Return `12/50 epochs`, `3.1/9.9 MB`, or without a total `3.1 MB`."""
    so_far = amount(done, unit)
    if total is None:
        return so_far
    whole = amount(total, unit)
    number, name = so_far.split(" ")
    return f"{number if unit != 'bytes' or whole.endswith(f' {name}') else so_far}/{whole}"


def share(ratio: float) -> str:
    """Return a ratio in [0, 1] as `96.32 %`."""
    return f"{ratio:.2%}".replace("%", " %")


def span(interval: tuple[float, float]) -> str:
    """Return an interval of ratios in [0, 1] as `95.91 to 96.65 %`."""
    low, high = interval
    return f"{100 * low:.2f} to {share(high)}"


def facts_line(facts: Mapping[str, float], note: str = "") -> str:
    """Return an epoch's figures, and a note: `loss 0.0712, accuracy 98.91 %, val loss 0.1301, ...; of epoch 5`."""
    figures = ", ".join(
        f"{name.replace('_', ' ')} {share(facts[name]) if name.endswith('accuracy') else f'{facts[name]:.4f}'}"
        for name in sorted(facts, key=lambda name: (name.startswith("val_"), name.endswith("accuracy")))
    )
    return "; ".join(filter(None, [figures, note]))


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
