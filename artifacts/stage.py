"""
The decorator that makes a function a stage: its key, cache, publishing, lock and run name.

A stage's arguments are references (alone, in lists or in dicts), `Parameters` models and plain values; they make
the key. Five names are injected and make no key: `out`, the empty folder for the artifact's files; `scratch`, a
folder that stays between runs; `checkpoints`, one that stays until this artifact is committed; `known`, which finds a
stored file by its SHA-256, and nothing where the artifact is made anew; `spare`, which then still does, unless a person
asked for it anew.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from artifacts.code import code_digests
from artifacts.engine.current import CurrentRun, current_run
from artifacts.engine.refresh import ASKED
from artifacts.environment import current_environment, package_versions
from artifacts.keys import KeyParts, content_digest, plain, references
from artifacts.manifest import Input, Manifest
from artifacts.ref import Ref
from artifacts.store.disk import disk
from artifacts.store.files import remove_folder
from artifacts.store.publishing import publish, seal_entries, staging
from artifacts.store.store import Store
from schemas.errors import StoreError
from schemas.events import StageChanged, emit
from schemas.parameters import Summary

INJECTED = frozenset({"out", "scratch", "checkpoints", "known", "spare"})


class Stage:
    """
    One stage of the pipeline. Calling it inside a recorded flow submits it as a Prefect task.

    Args:
        function:       the work itself; testable alone, as it stands.
        stage:          one of `schemas.stages.STAGES`.
        name:           of what, as a format over the arguments: "{file.name}"; empty where a run has one only.
        packages:       those whose version decides the result's bits.
        on_main_thread: run where the flow's body runs, so that Ctrl-C and a cancellation interrupt it.
    """

    def __init__(
        self, function: Callable[..., Summary], stage: str, name: str, packages: tuple[str, ...], on_main_thread: bool
    ) -> None:
        self.function, self.stage, self.name = function, stage, name
        self.packages, self.on_main_thread = packages, on_main_thread
        self.__doc__ = function.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """
        Submit the stage; its arguments may be what other stages returned.

        Returns: a Prefect future of the artifact's reference; the reference itself from a main-thread stage.
        Raises:  RuntimeError: not inside a flow that is decorated with `recorded`.
        """
        return current_run().submit(self, args, kwargs)

    @cached_property
    def signature(self) -> inspect.Signature:
        """The function's signature without what is injected."""
        whole = inspect.signature(self.function)
        return whole.replace(parameters=[p for p in whole.parameters.values() if p.name not in INJECTED])

    @cached_property
    def wants(self) -> frozenset[str]:
        """Which of the injected arguments the function takes."""
        return INJECTED & inspect.signature(self.function).parameters.keys()

    @cached_property
    def code(self) -> dict[str, str]:
        """Digest of each file that the stage runs or fills; see `artifacts.code`."""
        return code_digests(self.function.__module__)

    def parts(self, arguments: Mapping[str, Any]) -> KeyParts:
        """Return what the result depends on; `arguments` by name, references as objects."""
        inputs = {name for name, value in arguments.items() if references(value)}
        return KeyParts(
            stage=self.stage,
            parameters={name: plain(value) for name, value in arguments.items() if name not in inputs},
            inputs={name: plain(arguments[name]) for name in inputs},
            code=self.code,
            packages=package_versions(self.packages),
        )

    def compute(self, run: CurrentRun, arguments: dict[str, Any]) -> Ref:
        """
        Check the inputs, do the work in a staging folder, and publish it.

        Raises: ArtifactDamaged: an input is not what it was; StoreError: the disk; whatever the function raises.
        """
        parts, store = self.parts(arguments), run.store
        name = self.name.format(**arguments)
        emit(StageChanged(self.stage, name, "started", parts.version))
        started = time.perf_counter()
        with staging(store, self.stage, parts.version) as out:
            anew, checkpoints = run.refresh.reason(self.stage, name), store.checkpoints(self.stage, parts.version)
            if anew:
                remove_folder(checkpoints)
            offered = {
                "out": out,
                "scratch": store.incoming,
                "checkpoints": checkpoints,
                "known": self._finder(store, wanted=not anew),
                "spare": self._finder(store, wanted=anew != ASKED),
            }
            with store.readers.reading(references(list(arguments.values()))), disk(store.home):
                bound = {argument: _each(value, store.open) for argument, value in arguments.items()}
                summary = self.function(**bound, **{each: offered[each] for each in self.wants})
            entries = seal_entries(out, summary.content)
            manifest = Manifest(
                stage=self.stage,
                name=name,
                version=parts.version,
                key=parts.key,
                parts=parts,
                inputs=inputs_of(arguments),
                files=entries,
                digest=content_digest({file: entry.content for file, entry in entries.items()}),
                summary=summary.model_dump(mode="json"),
                created=datetime.now(UTC).isoformat(timespec="milliseconds"),
                seconds=round(time.perf_counter() - started, 6),
                environment=current_environment(),
                run=run.id,
                flow_run=run.flow_run,
            )
            return publish(store, out, manifest)

    def _finder(self, store: Store, *, wanted: bool) -> Callable[[str], Path | None]:
        return (lambda sha256: store.find_file(self.stage, sha256)) if wanted else lambda _: None


def stage(
    stage: str, *, name: str = "", packages: tuple[str, ...] = (), on_main_thread: bool = False
) -> Callable[[Callable[..., Summary]], Stage]:
    """Make a function a stage; see `Stage` for the arguments."""
    return lambda function: Stage(function, stage, name, packages, on_main_thread)


def inputs_of(arguments: Mapping[str, Any]) -> tuple[Input, ...]:
    """List the artifacts among a stage's arguments, as its manifest does."""
    return tuple(
        Input(argument=argument, stage=ref.stage, name=ref.name, version=ref.version, digest=ref.digest)
        for argument, value in arguments.items()
        for ref in references(value)
    )


def parse_references(value: Any) -> Any:
    """Turn what Prefect hands over (plain dicts, in lists and dicts) back into references."""
    if isinstance(value, dict):
        if value.keys() == Ref.model_fields.keys():
            return Ref.model_validate(value)
        return {name: parse_references(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [parse_references(item) for item in value]
    return value


def _each(value: Any, bind: Callable[[Ref], Ref]) -> Any:
    """Apply `bind` to every reference in an argument."""
    match value:
        case Ref():
            return bind(value)
        case list():
            return [_each(item, bind) for item in value]
        case dict():
            return {name: _each(item, bind) for name, item in value.items()}
    return value


def uncommitted(ref: Ref) -> StoreError:
    """Make the error for a stage whose result could not be recorded; Prefect itself only logs that."""
    return StoreError(
        f"artifact {ref.stage} {ref.version}",
        expected="its record to be written",
        found="none; the log above says why",
        way_out="See that the home folder can be written and has space, then run again.",
    )
