"""The plan of the real graph, without Prefect: over no store, over what the stages left, and after changes."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from artifacts.archive.reasons import sentence
from artifacts.current import CURRENT
from artifacts.engine.plan import PlannedStage
from artifacts.store.store import Store
from flows import choose
from flows.dag import STAGES
from flows.job import Job
from flows.plan import plan_pipeline
from flows.run_record import RunRecord
from schemas.catalog import load_dataset
from schemas.errors import UsageError
from schemas.training import Training
from tests.flows.test_choose import offline
from tests.flows.walking import RUN, TRAINING, digits_home, walk

FILES = [file.name for file in load_dataset("digits").files]
SPLITS = ["train", "test"]
EVERYTHING = [
    *(f"{stage} {name}" for stage in ("download", "verify", "decompress") for name in FILES),
    *(f"{stage} {name}" for stage in ("parse", "validate") for name in SPLITS),
    *("normalize", "train", "evaluate", "report"),
]
"""The subjects of the graph, in its order."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home folder of a run over the digits; to be read only."""
    return digits_home(tmp_path_factory.getbasetemp())


@pytest.fixture
def own(kept: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(kept, tmp_path / "home"))


def planned(home: Path, *refresh: str, **training: Any) -> dict[str, PlannedStage]:
    """Plan a run over the digits. Returns: its stages by what they make."""
    settings = Training.model_validate({**TRAINING.model_dump(), **training})
    plan = plan_pipeline(Store(home, create=False), Job(dataset="digits", training=settings, refresh=refresh))
    assert plan.dataset == "digits"
    return {f"{row.stage} {row.name}".strip(): row for row in plan.stages}


def states(rows: dict[str, PlannedStage], state: str) -> list[str]:
    """Name what is in a state, in the order of the graph."""
    return [subject for subject, row in rows.items() if row.state == state]


def record_of(home: Path) -> RunRecord:
    """Return the record of the run."""
    return RunRecord.model_validate_json((home / "runs" / f"{RUN}.json").read_bytes())


def test_over_no_store_the_whole_graph_is_to_be_made(tmp_path: Path) -> None:
    """Everything will run; each stage says what it waits for, versions are known of the first, and nothing is made."""
    rows = planned(tmp_path / "home")
    assert states(rows, "will run") == EVERYTHING
    assert {sentence(row.changes) for row in rows.values()} == {"never run"}
    assert [subject for subject, row in rows.items() if row.version] == EVERYTHING[:4]
    first = FILES[0]
    assert rows[f"verify {first}"].waits_for == (f"download {first}",)
    assert rows[f"decompress {first}"].waits_for == (f"download {first}", f"verify {first}")
    assert rows["parse test"].waits_for == (f"decompress {FILES[2]}", f"decompress {FILES[3]}")
    assert rows["validate train"].waits_for == ("parse train",)
    assert rows["validate test"].waits_for == ("parse test", "validate train")
    assert rows["train"].waits_for == ("parse train", "normalize")
    assert rows["evaluate"].waits_for == ("train", "parse train", "parse test", "validate train", "validate test")
    assert set(EVERYTHING) - set(rows["report"].waits_for) == {
        *(f"{stage} {name}" for stage in ("download", "decompress") for name in FILES),
        "report",
    }
    assert not (tmp_path / "home").exists()


def test_after_a_run_everything_is_cached(kept: Path) -> None:
    """Stage by stage the plan names the versions that the run made, with no reason to make another."""
    rows = planned(kept)
    assert [(row.stage, row.name, row.version) for row in rows.values()] == [
        (row.stage, row.name, row.version) for row in record_of(kept).stages
    ]
    assert {(row.state, row.changes, row.waits_for) for row in rows.values()} == {("cached", (), ())}


def test_a_moved_store_is_as_good(own: Path, tmp_path: Path) -> None:
    """No key holds a path: under another name all is cached as before."""
    own.rename(tmp_path / "moved")
    assert states(planned(tmp_path / "moved"), "cached") == EVERYTHING


def test_a_plan_comes_true(own: Path) -> None:
    """What the plan says of another training is what a run then does, version by version."""
    rows = planned(own, seed=7)
    assert states(rows, "will run") == ["train", "report"]
    assert states(rows, "depends") == ["evaluate"]
    assert sentence(rows["train"].changes) == "training.seed 123 -> 7"
    assert sentence(rows["report"].changes) == "training.seed 123 -> 7"
    assert rows["evaluate"].changes == ()
    settings = Training.model_validate({**TRAINING.model_dump(), "seed": 7})
    done = {f"{row.stage} {row.name}".strip(): row for row in walk(Store(own), "b" * 12, settings, minute=1).stages}
    assert [subject for subject, row in done.items() if row.cached] == states(rows, "cached")
    assert {subject: done[subject].version for subject, row in rows.items() if row.version} == {
        subject: row.version for subject, row in rows.items() if row.version
    }
    assert states(planned(own, seed=7), "cached") == EVERYTHING
    assert states(planned(own), "cached") == EVERYTHING


@pytest.mark.parametrize(
    ("stage", "will_run", "depends"),
    [
        ("report", ["report"], []),
        ("evaluate", ["evaluate"], ["report"]),
        ("normalize", ["normalize"], ["train", "evaluate", "report"]),
        ("validate", ["validate train", "validate test"], EVERYTHING[-4:]),
        ("parse", ["parse train", "parse test"], EVERYTHING[-6:]),
        ("download", EVERYTHING[:4], EVERYTHING[4:]),
    ],
)
def test_what_is_asked_for_anew_leaves_open_what_comes_of_it(
    stage: str, will_run: list[str], depends: list[str], kept: Path
) -> None:
    """A refreshed stage will run, under the version that it had if that is known; what comes of it alone is open."""
    rows = planned(kept, stage)
    assert (states(rows, "will run"), states(rows, "depends")) == (will_run, depends)
    versions = {f"{row.stage} {row.name}".strip(): row.version for row in record_of(kept).stages}
    for subject in will_run:
        assert sentence(rows[subject].changes) == "refresh: asked for"
        assert rows[subject].version == (None if rows[subject].waits_for else versions[subject])


def test_what_was_cleaned_up_is_made_again(own: Path) -> None:
    """An artifact of an earlier run that is gone will be rebuilt, and the plan knows that it was there."""
    model = next(row for row in record_of(own).stages if row.stage == "train")
    shutil.rmtree(own / "artifacts" / "train" / model.version)
    rows = planned(own)
    assert (rows["train"].state, rows["train"].version) == ("will run", model.version)
    assert sentence(rows["train"].changes) == "removed: made before, and cleaned up since"
    assert states(rows, "depends") == ["evaluate", "report"]


def test_an_unknown_data_set_is_refused(tmp_path: Path) -> None:
    """As a run would refuse it, with the names that there are; and no plan is left standing around."""
    with pytest.raises(UsageError, match="digits, fashion-mnist, kmnist, mnist"):
        plan_pipeline(Store(tmp_path / "home", create=False), Job.model_construct(dataset="mnits"))
    with pytest.raises(LookupError):
        CURRENT.get()
    assert not (tmp_path / "home").exists()


def test_without_a_name_the_data_are_chosen_as_by_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without MNIST in the store or on a mirror the plan is about the digits, and says so; with a mirror it is not."""
    monkeypatch.setattr(choose, "load_dataset", offline)
    store = Store(tmp_path / "home", create=False)
    with caplog.at_level(logging.WARNING, "idxflow"):
        assert plan_pipeline(store, Job()).dataset == "digits"
    assert "NOT MNIST" in caplog.text
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / FILES[0]).touch()
    plan = plan_pipeline(store, Job(mirrors=((tmp_path / "mirror").as_uri(),)))
    assert (plan.dataset, len(plan.stages)) == ("mnist", 20)
    assert {row.stage for row in plan.stages} == set(STAGES)
    assert not store.home.exists()
