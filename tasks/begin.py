"""begin: the first epochs of a training, and the state that train, or a longer begin, goes on from."""

from __future__ import annotations

from pathlib import Path

from artifacts.ref import Ref
from artifacts.stage import stage
from schemas.errors import StageError
from schemas.held_out import Way
from schemas.model import Numerics
from schemas.parameters import Summary
from schemas.training import HISTORY, EpochRow, Training
from tasks.fitting.dealing import GROUPS, read_deal
from tasks.fitting.holding import hold_out
from tasks.fitting.stretch import CHECKPOINT, Stretch
from tasks.formats.table import Parts, open_table
from tasks.train import network_for, run_epochs, tell_findings, train, write_history


class BeginSummary(Summary):
    """How far the training is. `ended`: patience has ended it, and whoever goes on has nothing to do."""

    train_rows: int
    validation_rows: int
    held_out: Way
    findings: tuple[str, ...]
    updates: int
    ended: bool
    last: EpochRow
    numerics: Numerics


@stage(
    packages=("tensorflow", "keras", "numpy"),
    on_main_thread=True,
    imports="tasks.fitting.backend",
    outside_key=("begun",),
)
def begin(  # noqa: PLR0917 - what the engine hands over counts as well
    table: Parts,
    normalizer: Ref,
    training: Training,
    held_out: Way,
    until: int,
    checkpoints: Path,
    out: Path,
    groups: Ref | None = None,
    begun: Ref | None = None,
) -> BeginSummary:
    """
    Train the first epochs of what `train` would, and leave its state and its history.

    Args:
        until: how many epochs are done at its end, unless patience ends the training before; the training, its
               schedule with it, is that of all its epochs.
        begun: of this stage, with fewer epochs of this training; they are not done again.
    Raises: StageError: `until` is not below the epochs of the training; as `train`.
    """
    if not 1 <= until < training.epochs:
        raise StageError(
            "until",
            expected=f"1 up to {training.epochs - 1}, of a training of {training.epochs} epochs",
            found=str(until),
            way_out="The stage train does all of them.",
        )
    data = open_table(table)
    deal = read_deal(groups.file(GROUPS)) if groups else None
    held = hold_out(data, held_out, training, deal)
    tell_findings(held)
    version = train.parts(train.bind(table, normalizer, training, held_out, groups)).version
    stretch = Stretch(version, checkpoints, begun.file(CHECKPOINT).parent if begun else None, until)

    from tasks.fitting.backend import numerics  # no sooner: it takes seconds

    course = run_epochs(network_for(data, normalizer, training, held), data, training, held, stretch)
    course.leave(out)
    history = course.history(held)
    write_history(out / HISTORY, history)
    return BeginSummary(
        train_rows=history.train_rows,
        validation_rows=history.validation_rows,
        held_out=history.way,
        findings=history.findings,
        updates=history.updates,
        ended=course.ended,
        last=history.epochs[-1],
        numerics=numerics(),
    )
