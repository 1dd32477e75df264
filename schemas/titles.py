"""The title of a data set."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from schemas.file_name import printable
from schemas.parameters import Wanted


def _check_title(title: str) -> str:
    if not printable(title):
        raise Wanted("a title in one line")
    return title


Title = Annotated[str, Field(max_length=300), AfterValidator(_check_title)]
