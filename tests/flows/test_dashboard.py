"""What a run looks like in the dashboard of a real Prefect server."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest
from prefect import tags

from flows.pipeline import pipeline
from flows.run_record import RunRecord
from schemas.errors import BadIdx, UsageError
from schemas.training import Training
from tests.flows.seeing import bars, events, flow_run, log_lines, newest_flow_run, posted
from tests.flows.showing import EPOCHS, show
from tests.processes import until

pytestmark = pytest.mark.usefixtures("prefect_server", "home")
BELOW_BOUND = "idxflow.accuracy-below-bound"


def test_a_completed_run_says_what_it_was_about_and_how_good_it_is() -> None:
    """Its name holds data set, profile and test accuracy, its tags are added to those that were there."""
    with tags("of-the-caller"):
        record = show()
    seen = flow_run(record.flow_run)
    assert seen.name == "two / tutorial / 96.30 %"
    assert set(seen.tags) == {"of-the-caller", "two", "tutorial"}


def test_a_run_in_which_nothing_changed_says_so() -> None:
    """In its tags, in its log and beside its figures; the run that computed says none of it, and has the one page."""
    first, second = show(accuracy=0.964), show(accuracy=0.964)
    nothing = "Nothing changed: all 5 stages cached."
    assert "nothing-changed" not in flow_run(first.flow_run).tags
    assert "nothing-changed" in flow_run(second.flow_run).tags
    until(lambda: nothing in log_lines(second.flow_run))
    assert nothing not in log_lines(first.flow_run)
    (table,) = posted(second.flow_run).values()
    assert table.key == "metrics-two-tutorial"
    assert table.description == "test 96.40 %, train 99.00 %; nothing changed: all 5 stages cached"
    assert set(posted(first.flow_run)) == {"metrics-two-tutorial", "summary-two-tutorial"}


def test_an_unchanged_run_has_a_page_where_the_newest_is_another_ones() -> None:
    """Of two that take turns each posts its page again: what the key shows first is of the newest run."""
    first, _, third, fourth = (show(dataset="turns", accuracy=accuracy) for accuracy in (0.5, 0.6, 0.5, 0.5))
    page, again = (posted(record.flow_run)["summary-turns-tutorial"] for record in (first, third))
    assert "Nothing changed: all 5 stages cached" in str(again.data)[:200]
    assert "Nothing changed" not in str(page.data)
    assert set(posted(fourth.flow_run)) == {"metrics-turns-tutorial"}


def test_all_runs_of_a_kind_share_their_keys() -> None:
    """Under one key the dashboard lists the figures of run after run."""
    first, second = show(dataset="My_Data"), show(dataset="My_Data", accuracy=0.5)
    for record in (first, second):
        assert set(posted(record.flow_run)) == {"metrics-my-data-tutorial", "summary-my-data-tutorial"}
    tables = [str(posted(record.flow_run)["metrics-my-data-tutorial"].data) for record in (first, second)]
    assert "96.30 %" in tables[0]
    assert "50.00 %" in tables[1]


def test_a_failed_run_tells_its_error_on_its_page() -> None:
    """Its name says failed; its page tells the error in full, as text; it has no figures."""
    with pytest.raises(BadIdx):
        show(names=("one", "bad"))
    seen = newest_flow_run("showing")
    assert seen.name == "two / tutorial / failed"
    found = posted(str(seen.id))
    assert set(found) == {"summary-two-tutorial"}
    assert r"bad: expected good, found \*bad\* \| \<b\>worse\</b\>. Do not ask" in str(
        found["summary-two-tutorial"].data
    )


def test_a_data_set_that_is_not_there_leaves_no_artifact() -> None:
    """A run that fails before it has begun on a data set says so in its name, and no key is kept of it."""
    with pytest.raises(UsageError):
        pipeline("nowhere.toml")
    seen = newest_flow_run("idxflow")
    assert seen.name == "nowhere / tutorial / failed"
    assert not posted(str(seen.id))


def test_an_interrupted_run_is_named_so() -> None:
    """Who ends a run is not kept waiting for pages: its name says what became of it."""
    with pytest.raises(KeyboardInterrupt):
        show(names=("interrupt",))
    seen = newest_flow_run("showing")
    assert seen.name == "two / tutorial / interrupted"
    assert not posted(str(seen.id))


def test_long_work_is_seen_while_it_goes_on() -> None:
    """A run under way has its name and a bar that moves and ends at 100; what is there at once gets no bar."""
    seen: set[tuple[str, float]] = set()
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.1):
            run = newest_flow_run("showing")
            seen.update((run.name, float(str(bar.data))) for bar in bars(str(run.id)))

    looking = threading.Thread(target=copy_context().run, args=(look,))
    looking.start()
    try:
        record = show(training=Training(seed=7), names=("long",), seconds=4)
    finally:
        ended.set()
        looking.join()
    shares = sorted(share for name, share in seen if name == "two / tutorial / seed=7")
    assert len(set(shares)) >= 3
    assert 0 < shares[0] < 100
    (bar,) = bars(record.flow_run)
    assert bar.data == 100
    assert str(bar.description).startswith(f"train: {EPOCHS}/{EPOCHS} epochs: loss 0.0500")
    assert bar.task_run_id


def test_a_low_accuracy_warns_and_emits_an_event() -> None:
    """Below the bound the run completes, warns in record and log, and an automation has an event to act on."""
    record = show(dataset="poor", accuracy=0.4, alert_below=0.9)
    assert record.state == "completed"
    assert record.warnings[0].startswith("test accuracy: expected at least 90.00 % (alert_below), found 40.00 %.")
    until(lambda: record.warnings[0] in log_lines(record.flow_run))
    resource = f"prefect.flow-run.{record.flow_run}"
    found = until(lambda: [e for e in events(BELOW_BOUND) if e["resource"]["prefect.resource.id"] == resource])
    assert [event["payload"] for event in found] == [
        {"accuracy": 0.4, "bound": 0.9, "dataset": "poor", "profile": "tutorial"}
    ]


def test_an_accuracy_at_the_bound_is_good_enough() -> None:
    """No alarm without a bound, nor at the bound."""
    assert show(accuracy=0.4, alert_below=0.4).warnings == ()
    assert show(accuracy=0.4).warnings == ()


def test_runs_of_one_process_keep_to_themselves() -> None:
    """Of two runs at once in one process each shows its own data set and figures, and raises its own alarm alone."""

    def run(dataset: str, accuracy: float, seconds: float) -> RunRecord:
        return show(dataset=dataset, accuracy=accuracy, seconds=seconds, alert_below=0.5)

    with ThreadPoolExecutor(2) as pool:
        # The good one still learns when the poor one is judged.
        learning = pool.submit(copy_context().run, run, "good", 0.9, 3.0)
        judged = pool.submit(copy_context().run, run, "poor", 0.1, 0.0)
        good, poor = learning.result(), judged.result()
    assert flow_run(good.flow_run).name == "good / tutorial / 90.00 %"
    assert flow_run(poor.flow_run).name == "poor / tutorial / 10.00 %"
    assert set(posted(good.flow_run)) == {"metrics-good-tutorial", "summary-good-tutorial"}
    alarm = until(lambda: [each["resource"] for each in events(BELOW_BOUND) if poor.flow_run in str(each)])
    assert alarm[0]["prefect.resource.name"] == "poor / tutorial"
    assert not [each for each in events(BELOW_BOUND) if good.flow_run in str(each)]


def test_the_loggers_are_left_as_they_were() -> None:
    """The lines of idxflow's loggers go into the run's log, and nothing stays attached afterwards."""
    root = logging.getLogger("idxflow")
    before = root.level, list(root.handlers)
    show()
    assert (root.level, root.handlers) == before
