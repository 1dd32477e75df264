"""
The decorator that makes a function a stage: its name, its key, and how it is called.

A stage's arguments are references (alone, in lists or in dicts), `Parameters` models and plain values; they make the
key. One that is None, as it is by default, is not in it: a stage that takes one thing more keeps the keys of those that
do without. Seven names are injected and make no key: `out`, the empty folder for the artifact's files; `scratch`, a
folder that stays between runs; `checkpoints`, one that stays until this artifact is committed; `known`, which finds a
stored file by its SHA-256, and nothing where the artifact is rebuilt; `spare`, which then still does, unless a person
asked for the rebuilding; `own`, the notes on people's own folders; `earlier`, which finds the folder of the newest
artifact of the stage and name that the same code made, and nothing where the artifact is rebuilt.

Arguments that a stage names as `derived` follow from the others, which decide them: they are in its lineage, and not in
its key, so that the key is known before they are.

Arguments that a stage names as `outside_key` save it work and change no bit of its result, as an artifact with a part
of that work done. They are in neither key nor lineage, and None where a person asked for the rebuilding; what is given
is bound and checked as any input.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any

from artifacts.code import code_digests
from artifacts.current import current_run
from artifacts.environment import package_versions
from artifacts.keys import KeyParts, plain, references
from artifacts.manifest import Input
from artifacts.ref import STAGE_WORD
from artifacts.store.scans import ScanIndex
from schemas.errors import StageError
from schemas.parameters import Summary

NAMED = 3
"""Files that a message names."""
INJECTED = frozenset({"out", "scratch", "checkpoints", "known", "spare", "own", "earlier"})


class Stage:
    """
    One stage of a flow. Calling it inside a recorded flow submits it as a Prefect task.

    Args:
        function:       the work itself; testable alone, as it stands.
        stage:          its name: the function's, unless another one is given.
        name:           of what, as a format over the arguments: "{file.name}"; empty where a run has one only.
        packages:       those whose version decides the result's bits.
        imports:        the heaviest module that it imports inside its body; a run that will need it begins early.
        on_main_thread: run where the flow's body runs, so that Ctrl-C and a cancellation interrupt it.
        outside_key:    arguments that decide the time it takes and no bit of its result; None by default.
        on_demand:      arguments of which it reads few artifacts, if any: each is hashed when it is first asked for a
                        file; all others before the work begins.
        derived:        arguments that follow from the others; None by default.
    """

    def __init__(  # noqa: PLR0917 - the decorator alone calls it
        self,
        function: Callable[..., Summary],
        stage: str,
        name: str,
        packages: tuple[str, ...],
        imports: str,
        on_main_thread: bool,
        outside_key: frozenset[str] = frozenset(),
        on_demand: frozenset[str] = frozenset(),
        derived: frozenset[str] = frozenset(),
    ) -> None:
        self.function, self.stage, self.name = function, stage, name
        self.packages, self.imports, self.on_main_thread = packages, imports, on_main_thread
        self.outside_key, self.on_demand, self.derived = outside_key, on_demand, derived
        if not STAGE_WORD.fullmatch(self.stage):
            raise ValueError(f"stage {self.stage!r}: expected small letters, digits and underscores, 32 at most")
        for argument in sorted(outside_key | derived):
            if argument not in self.signature.parameters or self.signature.parameters[argument].default is not None:
                raise ValueError(f"stage {self.stage!r}: expected an argument {argument} that is None by default")
        self.__doc__ = function.__doc__
        self._code: dict[str, str] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a stage by the place where it is defined: another process runs its own code."""
        return _find, (self.function.__module__, self.function.__qualname__)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """
        Submit the stage; its arguments may be what other stages returned.

        Returns: a Prefect future of what was done; what was done itself from a main-thread stage.
        Raises:  RuntimeError: not inside a recorded flow.
        """
        return current_run().submit(self, self.bind(*args, **kwargs))

    @cached_property
    def signature(self) -> inspect.Signature:
        """The function's signature without what is injected."""
        whole = inspect.signature(self.function)
        return whole.replace(parameters=[p for p in whole.parameters.values() if p.name not in INJECTED])

    def bind(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the arguments of a call by name, with the defaults of those that are left out."""
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments

    def name_of(self, arguments: Mapping[str, Any]) -> str:
        """Return what an execution with these arguments is of."""
        return self.name.format(**arguments)

    def deciding(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments that decide the result, and those that follow from them."""
        return {name: value for name, value in arguments.items() if name not in self.outside_key}

    def inputs(self, arguments: Mapping[str, Any]) -> tuple[Input, ...]:
        """List the artifacts among the arguments that decide the result, as the manifest does."""
        return tuple(
            Input(argument=argument, stage=ref.stage, name=ref.name, version=ref.version, digest=ref.digest)
            for argument, value in self.deciding(arguments).items()
            for ref in references(value)
        )

    @cached_property
    def wants(self) -> frozenset[str]:
        """Which of the injected arguments the function takes."""
        return INJECTED & inspect.signature(self.function).parameters.keys()

    def parts(self, arguments: Mapping[str, Any], scans: ScanIndex | None = None) -> KeyParts:
        """
        Return what the result depends on.

        Args: arguments: by name, references as objects; scans: where what was found in the code is kept.
        """
        if self._code is None:
            self._code = code_digests(self.function.__module__, scans)
        if scans:
            scans.save()
        arguments = {name: value for name, value in self.deciding(arguments).items() if name not in self.derived}
        inputs = {name for name, value in arguments.items() if references(value)}
        return KeyParts(
            stage=self.stage,
            parameters={
                name: plain(value)
                for name, value in arguments.items()
                if name not in inputs and not (value is None and self.signature.parameters[name].default is None)
            },
            inputs={name: plain(arguments[name]) for name in inputs},
            code=self._code,
            packages=package_versions(self.packages),
        )

    def refuse_edits(self, loaded: Collection[str], scans: ScanIndex | None = None) -> None:
        """
        See that the stage's code on the disk is what its key was made of.

        Args:   loaded: names of modules that may have been edited, as they were imported before.
        Raises: StageError: it is not, so that what the stage imports late would be other code.
        """
        known, now = self._code or {}, code_digests(self.function.__module__, scans, now=True)
        edited = sorted(
            file
            for file in known.keys() | now.keys()
            if known.get(file) != now.get(file) and _module_of(file) not in loaded
        )
        if edited:
            raise StageError(
                self.stage,
                expected="the code that this process began with",
                found=f"{', '.join(edited[:NAMED])}: edited since",
                way_out="Run again; in a notebook, restart it first.",
            )


def _module_of(file: str) -> str:
    """Return the name of the module that lies in a file; of a data file none that is ever imported."""
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def stage(
    stage: str = "",
    *,
    name: str = "",
    packages: tuple[str, ...] = (),
    imports: str = "",
    on_main_thread: bool = False,
    outside_key: Collection[str] = (),
    on_demand: Collection[str] = (),
    derived: Collection[str] = (),
) -> Callable[[Callable[..., Summary]], Stage]:
    """Make a function a stage; see `Stage` for the arguments."""
    sets = frozenset(outside_key), frozenset(on_demand), frozenset(derived)
    return lambda function: Stage(function, stage or function.__name__, name, packages, imports, on_main_thread, *sets)


def _find(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)
