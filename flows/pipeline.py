"""The main job as a Prefect flow: from four files on a mirror to a trained, evaluated and explained model."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from prefect import flow
from pydantic import Field

from artifacts.engine.current import Outcome, current_run
from artifacts.engine.recorded import recorded
from artifacts.engine.threads import StageThreads
from flows.admit import Admission
from flows.ahead import prepared
from flows.choose import choose_dataset
from flows.dag import dag
from flows.dashboard import shown
from flows.form import DatasetName, FormTraining
from flows.identify import confirm, take_unknown
from flows.revalidate import ask_mirrors
from flows.temporary import lock_temporary_server
from schemas.addresses import MirrorAddress
from schemas.stages import StageName
from schemas.training import Training


@flow(name="idxflow", task_runner=StageThreads(max_workers=16))  # type: ignore[arg-type]  # Prefect leaves the runner's type open
@shown
@recorded
@prepared
def pipeline(
    dataset: DatasetName | None = None,
    training: FormTraining = Training(),  # noqa: B008 - immutable
    mirrors: tuple[MirrorAddress, ...] = (),
    refresh: tuple[StageName, ...] = (),
    *,
    revalidate: bool = False,
    alert_below: Annotated[float, Field(ge=0, le=1)] | None = None,  # noqa: ARG001 - read by `shown`
    force: bool = False,
) -> Outcome:
    """
    Download, verify, decompress, parse, validate, normalize, train, evaluate, report: what is there is not redone.

    Args:
        dataset: A name of the catalog (mnist, fashion-mnist, kmnist, digits) or the path of a data set's .toml. Without
            one the run is about MNIST if it is stored or a mirror answers within 3 s, else about the bundled digits.
        training: Architecture, optimizer and schedule. Whatever is left empty is as the chosen profile has it.
        mirrors: Addresses (http, https, file) or folders to try in order, before the catalog's own. Secrets do not
            belong here, parameters are shown to all: write ${NAME} for a variable of the worker's environment.
        refresh: Stages to compute anew even where they are cached.
        revalidate: Ask each file's mirror whether it has changed, by If-None-Match and If-Modified-Since, and download
            anew what may have. Without it, what is stored and sound is not asked about.
        alert_below: Test accuracy, from 0 to 1, below which the run warns and emits idxflow.accuracy-below-bound, for
            an automation to act on. The run completes all the same.
        force: Go on, with a warning, where more memory or disk is needed than is free.
    """
    data = take_unknown(current_run().store, choose_dataset(dataset, mirrors))
    if revalidate:
        ask_mirrors(data)
    store = current_run().store
    admission = Admission(store, data, training, refresh, force=force)
    admission.check()
    return dag(data, training, checked=partial(confirm, store, data), sized=admission.sized)


if __name__ == "__main__":
    lock_temporary_server()
    pipeline()
