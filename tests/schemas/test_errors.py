"""What each error says."""

from __future__ import annotations

import inspect
import pickle

import pytest

from schemas import errors
from schemas.errors import IdxflowError

ERRORS = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, IdxflowError)]


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_has_four_parts(kind: type[IdxflowError]) -> None:
    """Every error says subject, expected, found and the way out, and says the same after pickling."""
    error = kind("a.gz", expected="1 byte", found="2", way_out="Try again.")
    assert str(error) == "a.gz: expected 1 byte, found 2. Try again."
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert vars(copy) == vars(error)
    assert str(copy) == str(error)
