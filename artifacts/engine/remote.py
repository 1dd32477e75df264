"""What a worker does with an execution that was sent to it: whether it is fit for it, the work, how far it is."""

from __future__ import annotations

import hashlib
import logging
import platform
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from artifacts.engine.apart import hand_over, settle
from artifacts.engine.execution import Done, Execution
from artifacts.engine.foreign import own_error
from artifacts.engine.forwarding import Forwarding
from artifacts.engine.stopping import Stopped
from artifacts.store.flock import is_locked
from schemas.errors import ClusterError
from schemas.events import listening
from schemas.parameters import Parameters

ALIKE = ("distributed", "dask")
"""Packages whose versions have to be the same at both ends."""
NAMED = 3
_ALONE = threading.Lock()
"""One execution at a time in a process: what warns, and tells how far it is, is then the one that is at work."""
logger = logging.getLogger("idxflow.worker")


@dataclass(frozen=True)
class Terms:
    """
    What a worker has to agree with.

    Args:
        topic:    of messages about how far it is.
        number:   of the execution in them.
        software: see `software`.
        version:  of the artifact, as whoever sent it out computed it.
        code:     digest of each file that decides the result, there.
        packages: version of each package that does.
    """

    topic: str
    number: str
    software: Mapping[str, str]
    version: str
    code: Mapping[str, str]
    packages: Mapping[str, str]


@cache
def software() -> dict[str, str]:
    """Return what has to be the same at both ends beside a stage's code: Python's minor version, Dask, the engine."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    python = ".".join(platform.python_version_tuple()[:2])
    return {"Python": python, **{name: version(name) for name in ALIKE}, "idxflow": digest.hexdigest()[:16]}


def unlike(wanted: Mapping[str, str]) -> str:
    """Compare this process's software with another's. Returns: what differs, in words; empty where nothing does."""
    here = software()
    return ", ".join(
        f"{name} {here.get(name)} where the run has {wanted[name]}" for name in wanted if here.get(name) != wanted[name]
    )


def import_early(modules: tuple[str, ...]) -> None:
    """Start to import modules that executions will need; who needs one sooner waits for it."""

    def work() -> None:
        for module in modules:
            try:
                import_module(module)
            except Exception as error:  # where it matters a stage meets it again
                logger.info("Not imported ahead: %s: %s", type(error).__name__, error)

    threading.Thread(target=work, name="ahead", daemon=True).start()


def work(execution: Execution, terms: Terms) -> Done | Exception:
    """
    Carry out an execution here, in a thread of a worker.

    Returns: what it did, or its error: one that were raised would be logged by Dask with all its arguments.
    """
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def tell(kind: str, **facts: Any) -> None:
        worker.log_event(terms.topic, {"number": terms.number, "kind": kind, "worker": worker.address, **facts})

    def check() -> None:
        task = worker.state.tasks.get(key)
        if task is None or task.state == "cancelled":  # who sent it is gone, or has no use for it any more
            raise Stopped

    tell("begun")
    try:
        with _ALONE:
            _refuse_unfit(execution, terms, worker.address)
            fitted = replace(execution, arguments=_within(execution.arguments, worker.memory_manager.memory_limit))
            shares = (execution.store.holds / execution.run).exists()
            if not shares:
                fitted = settle(fitted, _place(worker.address), check)
            with listening(Forwarding(tell, check)):
                done = fitted(check)
            if not shares:
                hand_over(fitted, done, _place(worker.address), check)
            return replace(done, apart=not shares)
    except Exception as error:
        return own_error(execution.subject, error)


def _within(arguments: Mapping[str, Any], limit: int | None) -> Mapping[str, Any]:
    """
    Return arguments that keep to half of a worker's memory, where nobody has said how much they may take.

    `memory` is a field of configurations that is in no key, as it changes no bit.

    Args: limit: bytes; None or 0: the worker has none.
    """

    def fit(value: Any) -> Any:
        fits = isinstance(value, Parameters) and "memory" in value.outside_key and getattr(value, "memory", 0) is None
        return value.model_copy(update={"memory": limit // 2}) if fits and limit else value

    return {name: fit(value) for name, value in arguments.items()}


def _refuse_unfit(execution: Execution, terms: Terms, address: str) -> None:
    """Raise ClusterError where this process would do something else, or to a store that nobody else reads."""
    if found := unlike(terms.software):
        raise _unfit(address, "the software of the run", found, "Install the same there, and start the workers again.")
    home, note = execution.store.home, execution.store.holds / execution.run
    if not note.exists() and not execution.remote:
        way_out = "Mount it there under the same path, or share a remote (docs/remote.md), or run without --cluster."
        raise _unfit(address, f"the home folder {home} with the run in it", "another folder, or none", way_out)
    if note.exists() and not is_locked(note):
        raise _unfit(
            address,
            f"locks of the home folder {home} that hold between its hosts",
            "a file that the run has locked, and nobody there sees that",
            "Use a file system that passes flock on, as NFS 4 does, or run on this machine without --cluster.",
        )
    parts = execution.stage.parts(execution.arguments, execution.store.scans)
    if parts.version != terms.version:
        code = [
            name
            for name in sorted(parts.code.keys() | terms.code.keys())
            if parts.code.get(name) != terms.code.get(name)
        ]
        packages = [
            f"{name} {parts.packages.get(name)}"
            for name in terms.packages
            if parts.packages.get(name) != terms.packages[name]
        ]
        found = ", ".join([*packages, *code][:NAMED]) or "another key"
        way_out = "Install the same version there, and start the workers again."
        raise _unfit(address, f"the code of {execution.subject} as the run has it", f"another: {found}", way_out)


def _unfit(address: str, expected: str, found: str, way_out: str) -> ClusterError:
    return ClusterError(f"worker {_place(address)}", expected=expected, found=found, way_out=way_out)


def _place(address: str) -> str:
    return address.rpartition("://")[2]
