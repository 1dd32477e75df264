"""
What a format is: it writes a trained model to a folder, and reads what it wrote, as whoever gets it will.

Whatever the format, what it wrote takes raw pixels, uint8 (n, values of an image), in any number, and gives
probabilities, float32 (n, classes). Whether they are the right ones is for `idxflow.exporting.proof` to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from schemas.datasets import TableSpec
from schemas.errors import UsageError

FormatName = Literal["keras", "onnx", "litert", "litert-int8", "saved_model"]
FORMATS: tuple[FormatName, ...] = get_args(FormatName)
INPUT, OUTPUT = "pixels", "probabilities"
"""What the input and the output are called, in every format that names them."""
LARGEST = 2**31 - 2**27
"""Bytes of weights up to which a format is written whose file ends at 2 GiB; the rest is for what else is in it."""

Predictor = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
"""Raw pixels, uint8 (n, values of an image), to probabilities, float32 (n, classes)."""


@dataclass(frozen=True)
class Trained:
    """
    The model that is exported, and what it is about.

    Args:
        file:     `model.keras`, with the content that the store vouches for.
        scratch:  a folder for what a format needs on the way; it is deleted.
        spec:     of a train image: its shape and classes.
        artifact: stage/version of the model.
    """

    file: Path
    scratch: Path
    spec: TableSpec
    artifact: str

    @cached_property
    def keras(self) -> Any:
        """The Keras model, loaded in safe mode, once."""
        from tasks.fitting.backend import keras

        return keras.saving.load_model(self.file, compile=False, safe_mode=True)


class Format(Protocol):
    """
    One format.

    Attributes:
        name:    as in `--format`.
        file:    the file or folder that it writes.
        meaning: that in a sentence, for the card.
        exact:   whether it has to give the stored predictions; of another one its accuracy is measured.
        needs:   modules that are in no installation but one with the extra `export`.
        readers: packages that read the file for the proof, whose versions are told.
        largest: bytes of weights that it can hold; None: any number.
    """

    @property
    def name(self) -> FormatName: ...
    @property
    def file(self) -> str: ...
    @property
    def meaning(self) -> str: ...
    @property
    def exact(self) -> bool: ...
    @property
    def needs(self) -> tuple[str, ...]: ...
    @property
    def readers(self) -> tuple[str, ...]: ...
    @property
    def largest(self) -> int | None: ...

    def write(self, trained: Trained, folder: Path) -> None:
        """Write the model to a folder, under the format's own name."""
        ...

    def load(self, folder: Path) -> Predictor:
        """Read what was written to a folder, with nothing but that file."""
        ...


def find_formats(names: Iterable[str], weights: int) -> tuple[Format, ...]:
    """
    Return the formats with these names, each once, in the order of `FORMATS`.

    Args:   weights: of the model, float32 numbers.
    Raises: UsageError: no such format, a package that it needs is not installed, or the model is too large for it.
    """
    wanted = set(names)
    if unknown := sorted(wanted - set(FORMATS)) or (not wanted and [""]):
        expected = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        raise UsageError("--format", expected=expected, found=repr(unknown[0]), way_out="Nothing was exported.")
    found = tuple(_load(name) for name in FORMATS if name in wanted)
    for form in found:
        require(f"--format {form.name}", form.needs)
        if form.largest is not None and 4 * weights > form.largest:
            raise UsageError(
                f"--format {form.name}",
                expected=f"at most {form.largest:,} bytes of weights, as such a file ends at 2 GiB",
                found=f"{4 * weights:,}",
                way_out="keras and saved_model hold any number. Nothing was exported.",
            )
    return found


def require(option: str, modules: Iterable[str]) -> None:
    """Check that modules of the extra `export` are there. Raises: UsageError: one is not."""
    if missing := [module for module in modules if find_spec(module) is None]:
        raise UsageError(
            option,
            expected=f"{' and '.join(modules)} to be installed",
            found=f"no {' and no '.join(missing)}",
            way_out="Install idxflow with its extra `export`: `pip install 'idxflow[export]'`, or `make install` in a "
            "checkout. Nothing was exported.",
        )


def _load(name: FormatName) -> Format:
    """Import a format's module, which imports nothing heavy before it writes or reads."""
    module, _, variant = name.partition("-")
    forms: dict[str, Format] = import_module(f"idxflow.exporting.formats.{module}").FORMS
    return forms[variant]
