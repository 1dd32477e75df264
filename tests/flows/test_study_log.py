"""What a study remembers beside its artifacts, whatever ended the process that wrote it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from artifacts.store.store import Store
from flows.study_log import opened

STUDY = "0123456789abcdef"
ROUND = ({"learning_rate": 0.1, "hidden": [50, 50]}, {"learning_rate": 0.0123456789, "hidden": [100]})


def log_file(home: Path) -> Path:
    """Return the file of the log."""
    return home / "studies" / f"{STUDY}.jsonl"


def test_log_keeps_what_was_asked_and_what_failed(tmp_path: Path) -> None:
    """Rounds come back to the last digit, failures with their reasons, and another study has a log of its own."""
    store = Store(tmp_path)
    with opened(store, STUDY) as log:
        assert log.asked(0) == ()
        log.ask(0, ROUND)
        log.fail(2, 3, "the loss is no number")
    with opened(store, STUDY) as log:
        assert log.asked(0) == ROUND
        assert log.asked(2) == ()
        assert log.failed(2, 3) == "the loss is no number"
        assert not log.failed(2, None)
        assert not log.failed(1, 3)
    with opened(store, STUDY[::-1]) as log:
        assert log.asked(0) == ()


def test_retry_forgets_what_failed_and_no_round(tmp_path: Path) -> None:
    """After a retry no trial counts as failed, until it fails again."""
    store = Store(tmp_path)
    with opened(store, STUDY) as log:
        log.ask(0, ROUND)
        log.fail(1, None, "once")
        log.retry()
        assert not log.failed(1, None)
        log.fail(2, None, "again")
    with opened(store, STUDY) as log:
        assert (log.failed(1, None), log.failed(2, None)) == ("", "again")
        assert log.asked(0) == ROUND


def test_torn_line_takes_no_other_with_it(tmp_path: Path) -> None:
    """A line of which a kill has left a part is left out, and the next one is whole."""
    store = Store(tmp_path)
    with opened(store, STUDY) as log:
        log.ask(0, ROUND)
    whole = log_file(tmp_path).read_bytes()
    for end in range(1, len(whole)):
        log_file(tmp_path).write_bytes(whole[:end])
        with opened(store, STUDY) as log:
            if not log.asked(0):
                log.ask(0, ROUND)
            log.fail(1, None, "later")
        with opened(store, STUDY) as log:
            assert (log.asked(0), log.failed(1, None)) == (ROUND, "later")


def test_second_sweep_of_a_study_waits(tmp_path: Path) -> None:
    """Two at once write one log, one after the other."""
    store, order = Store(tmp_path), list[str]()

    def second() -> None:
        with opened(Store(tmp_path), STUDY) as log:
            order.append(f"second: {log.failed(1, None)}")

    with opened(store, STUDY) as log:
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.1)
        log.fail(1, None, "the first's")
        order.append("first")
    thread.join(10)
    assert order == ["first", "second: the first's"]
