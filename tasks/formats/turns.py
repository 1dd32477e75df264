"""How many parts of splits a process has in memory at once: their threads take turns, however many parts there are."""

from __future__ import annotations

import os
import threading

AT_ONCE = 4
"""Parts at most."""
TURNS = threading.BoundedSemaphore(min(AT_ONCE, max(2, os.cpu_count() or 2)))
"""Whoever reads or writes the rows of a part holds one. Two at least: one of each split."""
