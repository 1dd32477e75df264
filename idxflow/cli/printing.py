"""Standard output without a terminal's colours: the only `print` there is, for lines and for JSON documents."""

from __future__ import annotations

from schemas.secrets import conceal
from schemas.text import in_json, visible


def put(text: str) -> None:
    """Print lines, with control characters written out."""
    print(visible(conceal(text)), flush=True)  # noqa: T201 - the only one


def put_json(document: str) -> None:
    """Print a JSON document; control characters in its texts are escaped."""
    print(in_json(document), flush=True)  # noqa: T201 - as above
