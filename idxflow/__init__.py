"""The top floor: the command line, the only one that prints, and the Python API, `idxflow.api`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idxflow.floors import refuse_shadows

if TYPE_CHECKING:
    from idxflow.api import Archive, ArchivedRun, Images, doctor, open_remote, open_store, plan, run, tune

refuse_shadows()
__all__ = ["Archive", "ArchivedRun", "Images", "doctor", "open_remote", "open_store", "plan", "run", "tune"]


def __getattr__(name: str) -> Any:
    """Load the API when it is used: the command line starts without it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from idxflow import api

    return getattr(api, name)


def __dir__() -> list[str]:
    """List the API, for completion."""
    return sorted([*globals(), *__all__])
