"""How much memory some work takes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable


def peak_memory(work: Callable[[], object], tries: int = 3, *, limit: float = 0) -> int:
    """
    Return how many bytes Python allocated at most at once while `work` ran.

    The least of some tries: what other threads of the test process allocate meanwhile is counted too, and what is
    made at a first call only. The first try below `limit` is the last one.
    """
    peaks: list[int] = []
    while len(peaks) < tries and min(peaks, default=limit) >= limit:
        tracemalloc.start()
        try:
            work()
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    return min(peaks)
