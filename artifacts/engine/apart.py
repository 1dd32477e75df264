"""
Workers with home folders of their own: what stages take and leave travels through the remote that hosts share.

The run puts what an execution takes into the remote; the worker takes it from there into its own home, does the work,
and puts the artifact back; the run takes that. Everything is checked on its way, as whatever comes from a remote is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from artifacts.bundle import BUNDLE, is_bundle
from artifacts.engine.execution import Done, Execution
from artifacts.environment import home_folder
from artifacts.keys import references
from artifacts.ref import Ref
from artifacts.remote.link import Link, link_to
from artifacts.remote.pushing import Pushed
from artifacts.store.bundles import spread_refs
from artifacts.store.store import Store
from schemas.errors import ClusterError

PATIENCE = 180.0
"""Seconds for which a worker tries to reach the remote: work of hours is not lost to a connection of minutes."""
PAUSE = 5.0
"""Seconds between two attempts."""
AGAIN = "Run again once it can be reached: what was finished is stored."


def needs_this_host(execution: Execution) -> bool:
    """
    Tell whether an execution has to be done where the run is.

    So is what comes from outside, whose files and folders other hosts may not have, and what is to be rebuilt: of a
    version that is there already a remote keeps the first. And a bundle, which is but a list of what the run has.
    """
    nothing = next(_taken(execution), None) is None
    return nothing or execution.rebuild is not None or execution.stage.stage == BUNDLE


def offer(execution: Execution, offered: set[Ref], check: Callable[[], None]) -> None:
    """
    Put what an execution takes into the remote.

    Args:   offered: what is there already; what is put is added.  check: raises where nobody wants the artifact.
    Raises: ClusterError: the remote is away, refuses, or has another content there.  ArtifactDamaged: it is so here.
    """
    for ref in _taken(execution):
        if ref not in offered:
            _put(execution, ref, f"remote {execution.remote}", check)
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
    Put what this worker made, or had, into the remote. Another content that is there already stays, and counts.

    Raises: ClusterError: it cannot be reached; the artifact stays in the worker's home folder.
    """
    _put(execution, done.ref, f"worker {address}", check, others=("differs",))


def take_over(execution: Execution, done: Done) -> Done:
    """
    Take what a worker made into the run's home folder.

    Returns: what it did, of the artifact that lies here.
    Raises:  ClusterError: it is not in the remote, or that cannot be reached.
    """
    if not (found := _patiently(execution.stored, lambda: None)):
        raise ClusterError(
            f"remote {execution.remote}",
            expected=f"{execution.subject}, as a worker has put it there",
            found=_trouble(execution),
            way_out=AGAIN,
        )
    fetched = found.row.fetched if done.row.cached else ""  # what was computed was computed, wherever
    row = done.row.model_copy(update={"path": found.row.path, "bytes": found.row.bytes, "fetched": fetched})
    return replace(done, ref=found.ref, row=row, warnings=tuple(dict.fromkeys([*done.warnings, *found.warnings])))


def _put(execution: Execution, ref: Ref, subject: str, check: Callable[[], None], others: tuple[str, ...] = ()) -> None:
    """Put an artifact of this home folder. Args: others: what may become of it beside being there."""
    link, store = _link(execution), execution.store

    def push() -> Any:
        return link.push(store, ref.stage, ref.version, execution.run) or link.is_refused(execution.run)

    pushed = _patiently(push, check)
    if not isinstance(pushed, Pushed) and store.is_committed(ref.stage, ref.version):
        store.open(ref)  # raises where it is damaged, so that it is rebuilt
    if not isinstance(pushed, Pushed) or pushed.state not in {"pushed", "there", *others}:
        odd = f"{pushed.state}: {pushed.theirs[:64]}" if isinstance(pushed, Pushed) else _trouble(execution)
        expected = f"{ref.stage} {ref.version} in the remote {execution.remote}, for other hosts"
        raise ClusterError(subject, expected=expected, found=odd, way_out=AGAIN)


def _taken(execution: Execution) -> Iterator[Ref]:
    """Yield what an execution takes, each once: of a bundle itself, then, once that is here, its members."""
    known = set[Ref]()
    for ref in references(list(execution.arguments.values())):
        if ref not in known:
            yield ref
            known.add(ref)
        for member in spread_refs(execution.store, [ref]) if is_bundle(ref) else ():
            if member not in known:
                yield member
                known.add(member)


def _link(execution: Execution) -> Link:
    if execution.remote is None:
        raise RuntimeError("An execution without a remote does not leave its home folder.")
    return link_to(execution.remote, execution.store.home)


def _trouble(execution: Execution) -> str:
    return _link(execution).trouble.rstrip(".") or "none, or another than it should be"


def _fetched(execution: Execution, ref: Ref) -> Any:
    """
    Return an artifact of this home folder, from the remote where it is not here; None where it is nowhere.

    Raises: ClusterError: the one that is here has another content than the run's.
    """
    store = execution.store
    with store.waited_for(ref.stage, ref.version):
        found = store.read(ref.stage, ref.version, locked=True)
        found = found or _link(execution).fetch(store, ref.stage, ref.version, execution.run)
    if found and found.ref.digest != ref.digest:
        raise ClusterError(
            f"{ref.stage} {ref.version}",
            expected=f"the content {ref.digest[:16]} that the run has",
            found=f"{found.ref.digest[:16]} in the home folder of a worker, {store.home}",
            way_out=f"Delete that folder's artifacts/{ref.stage}/{ref.version}, and run again.",
        )
    return found


def _patiently(work: Callable[[], Any], check: Callable[[], None]) -> Any:
    """Do something again until it returns what is true, for some minutes. Returns: that, or the last that is not."""
    end = time.monotonic() + PATIENCE
    while not (found := work()) and time.monotonic() < end:
        check()
        time.sleep(PAUSE)
    return found
