"""
Workers with home folders of their own: what stages take and leave travels through the remote that hosts share.

The run puts what an execution takes into the remote; the worker takes it from there into its own home, does the work,
and puts the artifact back; the run takes that. Everything is checked on its way, as whatever comes from a remote is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from artifacts.engine.execution import Done, Execution
from artifacts.environment import home_folder
from artifacts.keys import references
from artifacts.ref import Ref
from artifacts.remote.link import Link, link_to
from artifacts.store.store import Store
from schemas.errors import ClusterError

PATIENCE = 180.0
"""Seconds for which a worker tries to reach the remote: work of hours is not lost to a connection of minutes."""
PAUSE = 5.0
"""Seconds between two attempts."""
AGAIN = "Run again once it can be reached: what was finished is stored."


def needs_this_host(execution: Execution) -> bool:
    """Tell whether a stage reads a person's own files, which other hosts do not have."""
    return "own" in execution.stage.wants


def offer(execution: Execution, offered: set[Ref]) -> None:
    """
    Put what an execution takes into the remote.

    Args:   offered: what is there already; what is put is added.
    Raises: ClusterError: the remote is away, or refuses.
    """
    link = _link(execution)
    for ref in _taken(execution):
        if ref in offered:
            continue
        if link.push(execution.store, ref.stage, ref.version, execution.run) is None:
            raise ClusterError(
                f"remote {execution.remote}",
                expected=f"to take what {execution.subject} needs, for a worker of another host",
                found=_trouble(execution),
                way_out=AGAIN,
            )
        offered.add(ref)


def settle(execution: Execution, address: str, check: Callable[[], None]) -> Execution:
    """
    Return an execution in the home folder of this worker, with what it takes fetched.

    Args:   address: of the worker; check: raises where nobody wants the artifact any more.
    Raises: ClusterError: something is not in the remote, or that cannot be reached.  StoreError: the disk.
    """
    here = replace(execution, store=Store(home_folder()))
    for ref in _taken(here):
        if not _patiently(partial(_fetched, here, ref), check):
            raise ClusterError(
                f"worker {address}",
                expected=f"{ref.stage} {ref.version} in the remote {here.remote}",
                found=_trouble(here),
                way_out=AGAIN,
            )
    return here


def hand_over(execution: Execution, done: Done, address: str, check: Callable[[], None]) -> None:
    """
    Put what this worker made, or had, into the remote.

    Raises: ClusterError: it cannot be reached; the artifact stays in the worker's home folder.
    """
    ref, link = done.ref, _link(execution)
    if not _patiently(lambda: link.push(execution.store, ref.stage, ref.version, execution.run), check):
        raise ClusterError(
            f"worker {address}",
            expected=f"the remote {execution.remote} to take {execution.subject}",
            found=_trouble(execution),
            way_out=AGAIN,
        )


def take_over(execution: Execution, done: Done) -> Done:
    """
    Take what a worker made into the run's home folder.

    Returns: what it did, of the artifact that lies here.
    Raises:  ClusterError: it is not in the remote, or that cannot be reached.
    """
    here = replace(execution, rebuild=None)
    if not (found := _patiently(here.stored, lambda: None)):
        raise ClusterError(
            f"remote {execution.remote}",
            expected=f"{execution.subject}, as a worker has put it there",
            found=_trouble(execution),
            way_out=AGAIN,
        )
    fetched = found.row.fetched if done.row.cached else ""  # what was computed was computed, wherever
    row = done.row.model_copy(update={"path": found.row.path, "bytes": found.row.bytes, "fetched": fetched})
    return replace(done, ref=found.ref, row=row, warnings=tuple(dict.fromkeys([*done.warnings, *found.warnings])))


def _taken(execution: Execution) -> list[Ref]:
    return list(dict.fromkeys(references(list(execution.arguments.values()))))


def _link(execution: Execution) -> Link:
    if execution.remote is None:
        raise RuntimeError("An execution without a remote does not leave its home folder.")
    return link_to(execution.remote, execution.store.home)


def _trouble(execution: Execution) -> str:
    return _link(execution).trouble.rstrip(".") or "none, or another than it should be"


def _fetched(execution: Execution, ref: Ref) -> Any:
    """Return an artifact of this home folder, from the remote where it is not here; None where it is nowhere."""
    store = execution.store
    with store.waited_for(ref.stage, ref.version):
        found = store.read(ref.stage, ref.version, locked=True)
        return found or _link(execution).fetch(store, ref.stage, ref.version, execution.run)


def _patiently(work: Callable[[], Any], check: Callable[[], None]) -> Any:
    """Do something again until it returns what is true, for some minutes. Returns: that, or the last that is not."""
    end = time.monotonic() + PATIENCE
    while not (found := work()) and time.monotonic() < end:
        check()
        time.sleep(PAUSE)
    return found
