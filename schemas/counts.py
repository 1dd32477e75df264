"""How many of a thing, as a person reads it: apart from `schemas.text`, as most stages count in their messages."""

from __future__ import annotations


def counted(number: int, thing: str, form: str = "d") -> str:
    """
    Return `1 artifact`, `2 classes` or, in the form `,`, `60,000 images`.

    Args: thing: in the singular; the plural adds an s, or es behind an s.
    """
    return f"{number:{form}} {thing if number == 1 else f'{thing}es' if thing.endswith('s') else f'{thing}s'}"
