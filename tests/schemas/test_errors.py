"""The error tree, and what each error says."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from schemas import errors
from schemas.errors import IdxflowError

ERRORS = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, IdxflowError)]


def drawn_tree() -> dict[str, str]:
    """Return each class that the module's docstring draws, with its parent."""
    parents, above = {}, ["Exception"]
    for line in str(errors.__doc__).splitlines():
        if match := re.match(r"    ((?:│   |    )*)(?:[├└]── )?(\w+)(?:\s|$)", line):
            depth = 0 if match[2] == "IdxflowError" else len(match[1]) // 4 + 1
            above[depth + 1 :] = [match[2]]
            parents[match[2]] = above[depth]
    return parents


def test_the_drawing_is_the_tree() -> None:
    """The tree in the docstring names every class under its parent, and no other."""
    assert drawn_tree() == {kind.__name__: kind.__bases__[0].__name__ for kind in ERRORS}


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_has_four_parts(kind: type[IdxflowError]) -> None:
    """Every error says subject, expected, found and the way out, and says the same after pickling."""
    error = kind("a.gz", expected="1 byte", found="2", way_out="Try again.")
    assert str(error) == "a.gz: expected 1 byte, found 2. Try again."
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert vars(copy) == vars(error)
    assert str(copy) == str(error)
