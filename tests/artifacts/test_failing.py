"""How a run fails, and how it does not fail where it tries again."""

from __future__ import annotations

import pytest

from artifacts.engine.failing import Failures
from artifacts.engine.stopping import Stopped
from schemas.errors import ArtifactDamaged, BadIdx, IdxflowError
from schemas.events import Event, StageFailed, listening


def error(kind: type[IdxflowError]) -> IdxflowError:
    return kind("x", expected="good", found="bad", way_out="Mend it.")


def test_damage_is_no_end_and_any_other_error_is() -> None:
    """After damage a run goes on; after another error nothing begins any more, and the first one is told, once."""
    told, failures = list[Event](), Failures()
    with listening(told.append):
        failures.add("parse", "train", error(ArtifactDamaged))
        failures.check()
        failures.add("parse", "test", error(BadIdx))
        failures.add("parse", "more", error(BadIdx))
    assert [event for event in told if isinstance(event, StageFailed)] == [
        StageFailed("parse", "test", str(error(BadIdx)))
    ]
    with pytest.raises(Stopped):
        failures.check()


def test_another_attempt_begins_anew() -> None:
    """What ended the attempt before, beside damage that is healed now, does not stop the next one."""
    failures = Failures()
    failures.add("parse", "test", error(BadIdx))
    failures.clear()
    failures.check()
    failures.await_all(())
    failures.add("parse", "test", error(BadIdx))
    assert failures.final
