"""Checkpoints: what is read is what was written, and anything else is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.training import EpochRow
from tasks.fitting.backend import numerics
from tasks.fitting.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from tasks.fitting.stretch import CHECKPOINT
from tests.memory import peak_memory

ROWS = tuple(EpochRow(epoch=number, loss=1 / 3, accuracy=0.1, validation_loss=2 / 7) for number in (1, 2))
WEIGHTS = [np.arange(6, dtype=np.float32).reshape(2, 3), np.array([np.pi], np.float32)]
OF = "0123456789abcdef"
STATE = Checkpoint(ROWS, WEIGHTS, [np.array(7), np.array([1.5], np.float32)], [-array for array in WEIGHTS])


def test_a_checkpoint_comes_back_bit_by_bit(tmp_path: Path) -> None:
    """Figures, weights, the optimizer's variables and the best weights come back as they were, the latest ones."""
    write_checkpoint(tmp_path, Checkpoint(ROWS[:1], WEIGHTS[:1], []), OF)
    write_checkpoint(tmp_path, STATE, OF)
    found = read_checkpoint(tmp_path, OF)
    assert found
    assert found.epochs == ROWS
    for one, other in ((found.weights, WEIGHTS), (found.optimizer, STATE.optimizer), (found.best, STATE.best)):
        assert len(one) == len(other)
        for array, expected in zip(one, other, strict=True):
            np.testing.assert_array_equal(array, expected, strict=True)
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


def test_there_need_be_none(tmp_path: Path) -> None:
    """An empty folder, one that is not there, and a link in a checkpoint's place are no checkpoint."""
    write_checkpoint(tmp_path / "other", STATE, OF)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / CHECKPOINT).symlink_to(tmp_path / "other" / CHECKPOINT)
    assert (
        read_checkpoint(tmp_path, OF)
        is read_checkpoint(tmp_path / "none", OF)
        is read_checkpoint(tmp_path / "linked", OF)
        is None
    )


def test_it_is_written_array_by_array(tmp_path: Path) -> None:
    """Beside the arrays themselves memory holds nothing of their size, and reading takes them once."""
    arrays = [np.ones(2**20, np.float32) for _ in range(8)]
    state = Checkpoint(ROWS, arrays, arrays, arrays)
    assert peak_memory(lambda: write_checkpoint(tmp_path, state, OF), limit=arrays[0].nbytes) < arrays[0].nbytes
    assert peak_memory(lambda: read_checkpoint(tmp_path, OF), limit=25 * arrays[0].nbytes) < 25 * arrays[0].nbytes


def test_that_of_another_artifact_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A checkpoint on the way to another version is not gone on from, wherever it lies, and that is said."""
    write_checkpoint(tmp_path, STATE, OF)
    assert read_checkpoint(tmp_path, "f" * 16) is None
    assert "of another training or machine: training does not go on from it" in caplog.text


def test_one_with_too_few_epochs_is_of_no_use(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where as many epochs are done as it has, it is read; where more are, it is not, without a word."""
    write_checkpoint(tmp_path, STATE, OF)
    assert read_checkpoint(tmp_path, OF, least=2)
    assert read_checkpoint(tmp_path, OF, least=3) is None
    assert not caplog.text


def test_that_of_other_numerics_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where TensorFlow would compute other bits than before, training starts from the beginning."""
    write_checkpoint(tmp_path, STATE, OF)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert read_checkpoint(tmp_path, OF) is None
    monkeypatch.undo()
    assert read_checkpoint(tmp_path, OF)


def test_threads_inside_an_operation_are_no_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many a process has follows from what it trained first, and bits do not follow from it: training goes on."""
    write_checkpoint(tmp_path, STATE, OF)
    other = numerics().model_copy(update={"intra_op_threads": 7})
    monkeypatch.setattr("tasks.fitting.checkpoint.numerics", lambda: other)
    assert read_checkpoint(tmp_path, OF)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_checkpoint_is_none(tmp_path: Path, data: st.DataObject) -> None:
    """Any byte flipped, and any end cut off, is found: training starts from the beginning."""
    write_checkpoint(tmp_path, STATE, OF)
    content = bytearray((tmp_path / CHECKPOINT).read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[place] ^= data.draw(st.integers(1, 255))
    else:
        del content[place:]
    (tmp_path / CHECKPOINT).write_bytes(content)
    assert read_checkpoint(tmp_path, OF) is None
