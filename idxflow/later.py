"""What Prefect's import would load and next to no process needs, loaded when it is first used."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

GRAMMAR = "rfc3987_syntax"


@contextmanager
def grammar_later() -> Iterator[None]:
    """
    Have a jsonschema that the block imports, as Prefect does, check IRIs as ever, but load their grammar only then.

    Where the grammar is installed, as with the extra `export`, jsonschema imports it to have it; to build its parser
    takes a third of Prefect's import, in the command, in the server, each time.
    """
    if GRAMMAR in sys.modules or find_spec(GRAMMAR) is None:
        yield
        return

    def is_valid_syntax(term: str, value: str) -> bool:
        return bool(import_module(GRAMMAR).is_valid_syntax(term, value))

    stand_in = ModuleType(GRAMMAR)
    vars(stand_in)[is_valid_syntax.__name__] = is_valid_syntax
    sys.modules[GRAMMAR] = stand_in
    try:
        yield
    finally:
        del sys.modules[GRAMMAR]  # who imports it from now on gets it
