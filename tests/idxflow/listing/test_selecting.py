"""Which runs are wanted, and in which order."""

from __future__ import annotations

import pytest

from idxflow.listing.rows import Row, lines_of
from idxflow.listing.selecting import read_condition, sorted_lines, value_of
from schemas.errors import UsageError
from schemas.training import Training

RUN = Row.model_validate(
    {
        "id": "0123456789ab",
        "started": "2026-11-24T10:00:00+00:00",
        "dataset": "mnist",
        "dataset_id": "mnist",
        "profile": "tutorial",
        "state": "completed",
        "seconds": 12.0,
        "stages": 20,
        "computed": (),
        "training": Training(hidden=(100, 50), epochs=10).model_dump(mode="json"),
        "test_accuracy": 0.9605,
        "test_loss": 0.133,
        "train_accuracy": 0.99,
    }
)


@pytest.mark.parametrize(
    "text",
    [
        "test>0.96",
        "test>96",
        "test>96%",
        "test <= 96.05 %",
        "train>=99",
        "loss<0.2",
        "time<60",
        "epochs=10",
        "training.epochs=10",
        "hidden=[100,50]",
        "hidden=[100, 50]",
        "hidden!=[50,50]",
        "activation=tanh",
        "state=completed",
        "dataset=mnist",
        "run=0123456789ab",
        "profile!=tuned",
        "when>2026-11-01",
        "when<2026-11-25",
        "seed=123",
        "calibrate=false",
    ],
)
def test_a_condition_that_holds(text: str) -> None:
    """Accuracies as shares or per cent, values as `--set` takes them, moments by their day."""
    assert read_condition(text).holds(RUN)


@pytest.mark.parametrize(
    "text",
    [
        "test>97",
        "loss>1",
        "epochs>10",
        "hidden=[50,50]",
        "state=failed",
        "when>2026-12-01",
        "epochs=ten",
        "activation>3",
    ],
)
def test_a_condition_that_does_not(text: str) -> None:
    """What is another value, or of another kind, does not fit."""
    assert not read_condition(text).holds(RUN)


def test_what_a_run_has_not_is_not_equal_to_anything() -> None:
    """A run without an accuracy is neither above nor below a bound."""
    failed = RUN.model_copy(update={"test_accuracy": None, "state": "failed"})
    assert not read_condition("test>0").holds(failed)
    assert not read_condition("test<1").holds(failed)
    assert read_condition("test!=0.5").holds(failed)


def test_an_older_record_has_its_profiles_value() -> None:
    """What a record does not say of its configuration is as the profile has it."""
    assert value_of(RUN.model_copy(update={"training": {}}), "epochs") == 50


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "test",
            "--where: expected NAME=VALUE, or !=, <, <=, >, >=, found 'test'. Quote it, as the shell takes < and >",
        ),
        ("tset>0.9", "found 'tset'. Did you mean test?"),
        ("epoch=3", "found 'epoch'. Did you mean epochs?"),
        ("test>high", "--where: expected an accuracy, as 0.97 or 97 %, found 'high'."),
        ("when>yesterday", "--where: expected a day or a moment, as 2026-11-30"),
        ("=3", "--where: expected NAME=VALUE"),
    ],
)
def test_what_is_no_condition_is_refused(text: str, words: str) -> None:
    """The refusal says what belongs there; an operator that the shell has taken is explained."""
    with pytest.raises(UsageError) as caught:
        read_condition(text)
    assert words in str(caught.value)


def test_lines_are_sorted_and_those_without_a_value_last() -> None:
    """Accuracies from the highest on, losses from the lowest on; the other way around on demand."""
    rows = [
        RUN.model_copy(update={"id": name * 12, "test_accuracy": accuracy, "test_loss": loss, "dataset_id": name})
        for name, accuracy, loss in (("a", 0.9, 0.3), ("b", None, None), ("c", 0.95, 0.2), ("d", 0.8, 0.25))
    ]

    def order(name: str, *, turned: bool = False) -> str:
        return "".join(line.newest.id[0] for line in sorted_lines(lines_of(rows), name, turned=turned))

    assert order("test") == "cadb"
    assert order("test", turned=True) == "dacb"
    assert order("loss") == "cdab"
    assert order("run") == "abcd"
    assert order("when") == "abcd"
    assert order("hidden") == "abcd"
    with pytest.raises(UsageError, match="--sort: expected one of test, train, "):
        order("accuracy")
