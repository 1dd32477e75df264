"""No search for garbage among what lives to the end of the process, as imports do."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lasting() -> Iterator[None]:
    """
    Keep what the block makes for good, as imports do.

    Prefect and TensorFlow are hundreds of thousands of objects each: looking for garbage among them while they are
    made, and ever after, takes half a second.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
