"""The course of a training: where it stops, which epoch it keeps, and that a broken one goes on as a whole one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from schemas.events import Event, Progress, listening
from schemas.image_table import ImageTable
from tests.tasks.by_hand import trained
from tests.tasks.small_split import same_weights

BRISK = {"hidden": (5, 4), "learning_rate": 0.05, "batch_size": 16, "epochs": 6, "validation_fraction": 0.2}
NOISY = {
    **BRISK, "optimizer": "adamw", "dropout": 0.2, "shift": 1, "schedule": "cosine", "weight_decay": 0.1,
}  # fmt: skip
HASTY = {**BRISK, "learning_rate": 0.5, "epochs": 60, "patience": 3}


@pytest.mark.parametrize("memory", [None, 1], ids=["held", "streamed"])
@pytest.mark.parametrize("fields", [BRISK, NOISY, HASTY], ids=["plain", "noisy", "patient"])
@pytest.mark.parametrize("broken_after", [1, 4])
def test_a_broken_training_ends_as_an_unbroken_one(
    table: ImageTable, tmp_path: Path, fields: dict[str, Any], broken_after: int, memory: int | None
) -> None:
    """Interrupted after an epoch, a new process goes on with the next one, and leaves the same bits."""
    fields = {**fields, "memory": memory}
    expected, course = trained(table, fields)
    seen: list[int] = []

    def interrupt(event: Event) -> None:
        assert isinstance(event, Progress)
        if event.note:
            return
        seen.append(event.done)
        if event.done == broken_after and len(seen) == broken_after:
            raise KeyboardInterrupt

    with listening(interrupt):
        with pytest.raises(KeyboardInterrupt):
            trained(table, fields, tmp_path / "checkpoints")
        found, history = trained(table, fields, tmp_path / "checkpoints")
    assert seen == list(range(1, len(course.epochs) + 1))
    assert history == course
    assert same_weights(found, expected)


def told(events: list[Event]) -> list[int]:
    """The epochs whose figures were told as they ended."""
    return [event.done for event in events if isinstance(event, Progress) and not event.note]


def test_what_was_trained_to_its_end_is_only_picked_up(table: ImageTable, tmp_path: Path) -> None:
    """Interrupted after its last epoch, a training runs no further one, whether or not patience ended it."""
    for fields in (BRISK, HASTY):
        expected, course = trained(table, fields, tmp_path / "checkpoints")
        events: list[Event] = []
        with listening(events.append):
            found, history = trained(table, fields, tmp_path / "checkpoints")
        assert (told(events), history) == ([], course)
        assert same_weights(found, expected)
        shutil.rmtree(tmp_path / "checkpoints")


def test_patience_ends_training_and_keeps_the_best(table: ImageTable) -> None:
    """So many epochs after the lowest validation loss it is over, and the weights are those of that epoch."""
    events: list[Event] = []
    with listening(events.append):
        weights, history = trained(table, HASTY)
    assert [event.epoch for event in history.epochs] == told(events)
    assert isinstance(events[-1], Progress)
    assert events[-1].note == f"the model is from epoch {history.kept}"
    losses = [row.validation_loss or 0.0 for row in history.epochs]
    assert history.kept == 1 + losses.index(min(losses))
    assert len(losses) == history.kept + 3 < 60
    assert history.updates == 8 * len(losses)
    expected, _ = trained(table, {**HASTY, "epochs": history.kept, "patience": 0})
    assert same_weights(weights, expected)


def test_without_patience_the_last_epoch_is_kept(table: ImageTable) -> None:
    """All epochs are run, whatever validation says."""
    history = trained(table, {**HASTY, "epochs": 10, "patience": 0})[1]
    assert (len(history.epochs), history.kept) == (10, 10)
