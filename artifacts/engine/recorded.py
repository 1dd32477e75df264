"""The decorator that makes a flow's body a recorded one: cached stages, healed damage, a record a run."""

from __future__ import annotations

import functools
import inspect
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

from prefect.context import FlowRunContext

from artifacts.engine.current import CURRENT, Outcome
from artifacts.engine.refresh import Refresh
from artifacts.engine.run import Run
from artifacts.run_record import RunRecord
from artifacts.store.foreign import own_error
from artifacts.store.holds import let_go
from artifacts.store.store import Store

P = ParamSpec("P")


def home_folder() -> Path:
    """Return the folder of all run-time data: IDXFLOW_HOME, or `.idxflow` in the working folder."""
    return Path(os.environ.get("IDXFLOW_HOME") or ".idxflow").absolute()


class _WarningKeeper(logging.Handler):
    """Puts every warning of idxflow's loggers into a run's record, once; not those of another run in this process."""

    def __init__(self, run: Run) -> None:
        super().__init__(logging.WARNING)
        self._run = run

    def emit(self, record: logging.LogRecord) -> None:
        # Handlers run where the warning was logged. A thread that belongs to no run may work for any.
        if CURRENT.get(self._run) is self._run and (message := record.getMessage()) not in self._run.warnings:
            self._run.warnings.append(message)


def recorded(body: Callable[P, Outcome]) -> Callable[P, RunRecord]:
    """
    Make a function the body of a flow whose stages are cached and whose runs are recorded.

    The body takes `training`, `refresh` (names of stages to compute anew) and `dataset` (a name, or None) beside
    whatever else it wants. The outer decorator is Prefect's `flow`.

    Returns: a function that returns the run's record.
    Raises:  the first error of any stage, as one of our own (see `artifacts.foreign`), after the record has been
             written with state `failed`; what ends a process, after it was written with state `interrupted`.
    """

    @functools.wraps(body)
    def run_body(*args: P.args, **kwargs: P.kwargs) -> RunRecord:
        bound = inspect.signature(body).bind(*args, **kwargs)
        bound.apply_defaults()
        context = FlowRunContext.get()
        if context is None or context.flow_run is None:
            raise RuntimeError(f"{body.__name__} runs as a Prefect flow; call the decorated one.")
        training, refresh = bound.arguments["training"], Refresh(bound.arguments["refresh"])
        run = Run(Store(home_folder()), context.flow_run.id, training, refresh, bound.arguments["dataset"] or "")
        keeper, root, token = _WarningKeeper(run), logging.getLogger("idxflow"), CURRENT.set(run)
        root.addHandler(keeper)
        try:
            run.save("running")
            run.attempt(lambda: body(*args, **kwargs))
            return run.save("completed")
        except Exception as error:
            failed = own_error(f"run {run.id}", error)
            run.save("failed", failed)
        except BaseException as error:  # Ctrl-C, a cancellation, or the reader of the output has left
            run.save("interrupted", error)
            raise
        finally:
            root.removeHandler(keeper)
            CURRENT.reset(token)
            let_go(run.close)
        raise failed  # out here it has no context: Prefect would log that as well

    # Prefect validates parameters by the signature: its names belong to the body's module, not to this one.
    signature = inspect.signature(body, eval_str=True).replace(return_annotation=RunRecord)
    run_body.__signature__ = signature  # type: ignore[attr-defined]
    run_body.__annotations__ = {name: each.annotation for name, each in signature.parameters.items()}
    return run_body
