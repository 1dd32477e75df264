"""What a word stands for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from artifacts.archive.lookup import find, find_artifact, find_run, is_untested, stored_artifact
from artifacts.archive.names import Names
from artifacts.ref import Ref
from artifacts.run_record import Record
from artifacts.store.integrity import Stored
from artifacts.store.store import Store
from schemas.errors import ArtifactDamaged, StoreError, UsageError
from tests.artifacts.archive.history import stage_record, write_run
from tests.artifacts.archive.sweeps import write_sweep
from tests.artifacts.building import build, publish

NOW = datetime(2026, 1, 2, tzinfo=UTC)
MAKER = "0" * 12
"""The run that `tests.artifacts.building` writes into its manifests."""


@pytest.fixture
def model(store: Store) -> Ref:
    """A model in the store."""
    return build(store, {"model.keras": b"weights"}, "train")


def version_of(found: Record | Stored) -> str:
    """The version of an artifact that was found; for a run its id."""
    return found.id if isinstance(found, Record) else found.ref.version


@pytest.mark.parametrize("digits", [1, 4, 12])
def test_a_run_is_found_by_the_beginning_of_its_id(store: Store, digits: int) -> None:
    """Any unique beginning of an id is enough."""
    write_run(store, "a" * 12)
    write_run(store, "b" * 12)
    assert find(store, "a" * digits) == find_run(store, "a" * digits)
    assert find_run(store, "a" * digits).id == "a" * 12


@pytest.mark.parametrize("digits", [1, 4, 16])
@pytest.mark.parametrize("stage", ["", "train/"])
def test_an_artifact_is_found_by_the_beginning_of_its_version(
    store: Store, model: Ref, digits: int, stage: str
) -> None:
    """Any unique beginning of a version is enough, with its stage or without."""
    word = stage + model.version[:digits]
    assert version_of(find(store, word)) == model.version
    assert find_artifact(store, word).folder == store.folder("train", model.version)


def test_the_stage_tells_versions_apart(store: Store, model: Ref) -> None:
    """What two stages' versions begin with is unique with the stage before it, even without a digit."""
    table = next(
        ref for salt in range(1000) if (ref := build(store, {"a": b"a"}, salt=salt)).version[0] == model.version[0]
    )
    with pytest.raises(UsageError, match="expected the beginning of one run or version"):
        find(store, model.version[0])
    assert version_of(find(store, f"train/{model.version[0]}")) == model.version
    assert version_of(find(store, "train/")) == model.version
    assert version_of(find(store, f"parse/{table.version}")) == table.version


def test_a_run_may_be_taken_for_no_version(store: Store, model: Ref) -> None:
    """What both a run's id and a version begin with is ambiguous, and both are named."""
    run = write_run(store, model.version[:4] + "0" * 8).id
    with pytest.raises(UsageError) as caught:
        find(store, model.version[:4])
    assert caught.value.found == f"2: run {run}, train/{model.version}"


def test_a_whole_id_wins_over_what_begins_so(store: Store) -> None:
    """A whole run id that a version begins with as well stands for the run."""
    ref = build(store, {"a": b"a"})
    write_run(store, ref.version[:12])
    assert version_of(find(store, ref.version[:12])) == ref.version[:12]
    assert version_of(find(store, ref.version[:13])) == ref.version


def test_an_ambiguous_word_names_a_few_candidates(store: Store) -> None:
    """Of many candidates the first five are named, the others counted."""
    for number in range(8):
        write_run(store, f"a{number:011}")
    with pytest.raises(
        UsageError, match=r"^a: expected .*, found 8: run a00000000000, (run \w+, ){4}and 3 more\. Give"
    ):
        find_run(store, "a")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("abcdefa0", "run abcdef000000"),
        ("champoin", "champion"),
        ("latets", "latest"),
        ("tarin", "train/VERSION"),
    ],
)
def test_a_misspelt_word_is_met_with_what_was_probably_meant(store: Store, model: Ref, word: str, meant: str) -> None:
    """Nothing found: a close id, alias or word is offered, and what lists them."""
    write_run(store, "abcdef000000")
    Names(store).set_alias("champion", "train", model.version, NOW)
    with pytest.raises(UsageError, match=f"Did you mean {meant}\\? `idxflow runs` lists runs"):
        find(store, word)


@pytest.mark.parametrize("word", ["", "/", "zzz", "../train", "parse/", "é"])
def test_nothing_is_found_for_a_word_that_means_nothing(store: Store, model: Ref, word: str) -> None:
    """A word of nothing, a path, or a stage without artifacts finds nothing, also where there is one artifact only."""
    with pytest.raises(UsageError, match="found nothing of that name"):
        find(store, word)


def test_an_unfinished_artifact_is_not_found(store: Store) -> None:
    """What a killed run left without its commit is no candidate."""
    ref = publish(store, {"a": b"a"})
    with pytest.raises(UsageError, match="found nothing of that name"):
        find(store, ref.version)


@pytest.mark.parametrize(
    ("state", "words"), [("failed", "failed"), ("interrupted", "was interrupted"), ("running", "was killed")]
)
def test_latest_is_the_newest_run_that_completed(
    store: Store, model: Ref, caplog: pytest.LogCaptureFixture, state: str, words: str
) -> None:
    """As a run and as an artifact; a newer one that did not complete is passed over, and named."""
    write_run(store, "a" * 12, [stage_record(model)], minute=1)
    found = [find_run(store, "latest").id, version_of(find(store, "latest", completed=True))]
    assert found == ["a" * 12] * 2
    assert not caplog.messages
    write_run(store, "b" * 12, minute=2, state=state)
    found = [find_run(store, "latest").id, version_of(find(store, "latest", completed=True))]
    assert found == ["a" * 12] * 2
    assert find_artifact(store, "latest").ref.version == model.version
    assert caplog.messages == [f"latest is run {'a' * 12}: the newer run {'b' * 12} {words}."] * 3


def test_latest_is_the_newest_run_to_who_looks_at_runs(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """How the newest one ended is what `show latest` is asked for."""
    write_run(store, "a" * 12, minute=1)
    write_run(store, "b" * 12, minute=2, state="failed")
    assert version_of(find(store, "latest")) == "b" * 12
    assert not caplog.messages


def test_latest_may_be_of_one_data_set(store: Store, model: Ref, caplog: pytest.LogCaptureFixture) -> None:
    """By its name, or by what tells it from another set of that name; newer runs of other sets are no matter."""
    row = stage_record(model)
    write_run(store, "a" * 12, [row], minute=1, dataset="leaves", dataset_id="leaves-1111aaaa")
    write_run(store, "b" * 12, [row], minute=2, dataset="leaves", dataset_id="leaves-2222bbbb")
    write_run(store, "c" * 12, [row], minute=3, dataset="mnist")
    write_run(store, "d" * 12, [row], minute=4, dataset="mnist", state="failed")
    assert find_run(store, "latest@leaves").id == "b" * 12
    assert find_run(store, "latest@leaves-1111aaaa").id == "a" * 12
    assert version_of(find_artifact(store, "latest@leaves")) == model.version
    assert version_of(find(store, "latest@mnist")) == "d" * 12
    assert caplog.messages == []
    assert find_run(store, "latest@mnist").id == "c" * 12
    assert caplog.messages == [f"latest@mnist is run {'c' * 12}: the newer run {'d' * 12} failed."]
    with pytest.raises(UsageError, match=r"latest@digits: expected a completed run, found none\..* of leaves, mnist"):
        find_run(store, "latest@digits")
    with pytest.raises(UsageError, match="'latest@': expected"):
        find_run(store, "latest@")


def test_latest_of_an_empty_history_says_how_to_make_one(store: Store) -> None:
    """Without a run, or without a completed one, `latest` stands for nothing."""
    with pytest.raises(UsageError, match=r"latest: expected a run, found none. Make one with `idxflow run`"):
        find(store, "latest")
    write_run(store, "a" * 12, state="failed")
    for search in (find_artifact, find_run):
        with pytest.raises(UsageError, match=r"latest: expected a completed run, found none: run a{12} failed\. Make"):
            search(store, "latest")


def test_a_run_stands_for_its_model(store: Store, model: Ref) -> None:
    """As an artifact, a run's word is the artifact of its train stage."""
    write_run(store, "a" * 12, [stage_record(build(store, {"a": b"a"})), stage_record(model, cached=True)])
    assert find_artifact(store, "aaa").ref.version == model.version


def test_a_run_without_a_model_says_so(store: Store) -> None:
    """A run that failed before it trained has no artifact to stand for; one with two models has too many."""
    write_run(store, "a" * 12, state="failed")
    with pytest.raises(UsageError, match=r"run a{12}, which failed: expected one with a model, found one without"):
        find_artifact(store, "a")
    write_run(store, "b" * 12, [stage_record(build(store, {"a": b"a"}, "train", salt)) for salt in (1, 2)])
    with pytest.raises(UsageError, match=r"run b{12}: expected one model, found 2: train/"):
        find_artifact(store, "b" * 12)


def test_an_artifact_stands_for_the_run_that_made_it(store: Store, model: Ref) -> None:
    """As a run, a version's or an alias's word is the run that made the artifact, as long as its record is there."""
    Names(store).set_alias("champion", "train", model.version, NOW)
    with pytest.raises(UsageError, match=f"train/{model.version}: expected the record of run 0{{12}}, which made it"):
        find_run(store, "champion")
    write_run(store, MAKER, [stage_record(model)])
    write_run(store, "a" * 12, [stage_record(model, cached=True)], minute=1)
    assert find_run(store, model.version).id == find_run(store, "champion").id == MAKER


@pytest.mark.parametrize("state", ["interrupted", "failed", "running", "gone"])
def test_an_artifact_whose_maker_did_not_complete_stands_for_the_newest_run_that_did(
    store: Store, model: Ref, state: str
) -> None:
    """With that artifact; where there is none, the maker it is, which says for itself how it ended."""
    if state != "gone":
        write_run(store, MAKER, [stage_record(model)], state=state)
        assert find_run(store, model.version).id == MAKER
    write_run(store, "a" * 12, [stage_record(model, cached=True)], minute=1)
    write_run(store, "b" * 12, [stage_record(model, cached=True)], minute=2)
    write_run(store, "c" * 12, [stage_record(model, cached=True)], minute=3, state="failed")
    write_run(store, "d" * 12, minute=4)
    assert find_run(store, model.version).id == "b" * 12


def test_an_alias_stands_for_its_artifact(store: Store, model: Ref) -> None:
    """An alias is what it was set to last; a removed one is nothing."""
    names = Names(store)
    names.set_alias("champion", "parse", build(store, {"a": b"a"}).version, NOW)
    names.set_alias("champion", "train", model.version, NOW)
    assert version_of(find(store, "champion")) == find_artifact(store, "champion").ref.version == model.version
    names.remove_alias("champion", NOW)
    with pytest.raises(UsageError, match="alias 'champion': expected one that is set, found one that was removed"):
        find(store, "champion")


def test_a_damaged_artifact_is_refused_and_left_where_it_is(store: Store, model: Ref) -> None:
    """A word for an artifact that is not what it was is an error that says how to mend it; nothing is moved."""
    path = store.folder("train", model.version) / "model.keras"
    path.chmod(0o644)
    path.write_bytes(b"WEIGHTS")
    with pytest.raises(ArtifactDamaged, match=rf"train/{model.version}: .* found model\.keras: expected SHA-256"):
        find_artifact(store, model.version)
    assert path.read_bytes() == b"WEIGHTS"


def test_an_artifact_that_is_gone_says_so(store: Store, model: Ref) -> None:
    """A run's model that is no longer in the store is named, with the way to have it again."""
    gone = model.model_copy(update={"version": "f" * 16})
    write_run(store, "a" * 12, [stage_record(gone)])
    with pytest.raises(UsageError, match=r"artifact train/f{16}: .* found none: it was cleaned up"):
        find_artifact(store, "a" * 12)
    with pytest.raises(UsageError, match="rebuilds it"):
        stored_artifact(store, "train", "f" * 16)


def test_a_run_whose_record_does_not_read_is_named(store: Store) -> None:
    """The word for a damaged record is an error of the store, not a wrong word."""
    (store.runs / f"{'a' * 12}.json").write_text("{")
    with pytest.raises(StoreError, match=r"run a{12}: expected a record that reads"):
        find(store, "aa")


def test_latest_is_a_run_with_a_model(store: Store, model: Ref, caplog: pytest.LogCaptureFixture) -> None:
    """A newer completed run of another job, which has no model, is passed over in silence; to see runs, it is there."""
    trained = write_run(store, "a" * 12, [stage_record(model)])
    other = write_run(store, "b" * 12, [stage_record(build(store, {"a": b"a"}, "fold"))], minute=1)
    assert find_run(store, "latest").id == trained.id
    assert version_of(find_artifact(store, "latest")) == model.version
    assert not caplog.records
    assert version_of(find(store, "latest")) == other.id


def test_a_trial_is_found_by_its_number(store: Store) -> None:
    """Of a sweep, its study or an alias of it a number is that trial: trained to its end, or as far as it came."""
    record, study = write_sweep(store, trials=8, pruned=2, failed=1)
    rows = {row.name: row for row in record.stages if row.name.startswith("trial ")}  # the last one of each
    for name, row in rows.items():
        number = name.removeprefix("trial ")
        for sweep in (record.id[:5], study.version, f"study/{study.version[:6]}"):
            found = find(store, f"{sweep}:{number}")
            assert isinstance(found, Stored)
            assert (found.ref.stage, found.ref.version) == (row.stage, row.version)
    assert {row.stage for row in rows.values()} == {"begin", "train"}
    Names(store).set_alias("sweep", "study", study.version, NOW)
    assert version_of(find_artifact(store, "sweep:1")) == rows["trial 1"].version


@pytest.mark.parametrize("number", ["0", "10", "99", "", "x", "1x"])
def test_what_is_no_trial_says_which_there_are(store: Store, number: str) -> None:
    """A trial that failed, or never was, is an error that says how far the numbers go."""
    record, _ = write_sweep(store, trials=9, pruned=0, failed=1)
    failed = next(at for at in range(1, 10) if f"trial {at}" not in {row.name for row in record.stages})
    for word in (number, str(failed)) if number == "0" else (number,):
        with pytest.raises(UsageError, match=r"expected a trial that was trained, of 1 to 9, found"):
            find(store, f"{record.id}:{word}")


def test_a_run_that_did_not_tune_has_no_trials(store: Store, model: Ref) -> None:
    """A number behind another run, or behind nothing, is an error and no trial."""
    write_run(store, "a" * 12, [stage_record(model)])
    with pytest.raises(UsageError, match="expected a run that tuned, found one without trials"):
        find(store, "aa:1")
    with pytest.raises(UsageError, match="found nothing of that name"):
        find(store, ":1")


def test_a_run_that_tuned_stands_for_its_winner(store: Store, model: Ref) -> None:
    """Where a model is wanted it is the winner's; latest is a run of the pipeline, however new a sweep is."""
    write_run(store, "a" * 12, [stage_record(model)])
    record, study = write_sweep(store, minute=5)
    winner = next(row for row in record.stages if row.name.startswith("winner "))
    assert version_of(find_artifact(store, record.id)) == winner.version
    assert version_of(find_artifact(store, "latest")) == model.version
    assert find_run(store, "latest").id == "a" * 12
    assert find_run(store, study.version).id == record.id


def test_latest_of_trials_is_the_newest_sweep(store: Store, model: Ref) -> None:
    """Before a number `latest` is the newest completed sweep, of all data sets or of one, whatever ran since."""
    with pytest.raises(UsageError, match="expected a run that tuned"):
        find(store, "latest:1")
    old, _ = write_sweep(store, "a" * 12, trials=3, pruned=0, failed=0, dataset="mnist", seed=3)
    new, _ = write_sweep(store, "b" * 12, trials=3, pruned=0, failed=0, minute=1)
    write_run(store, "c" * 12, [stage_record(model)], minute=2)
    for word, record in (("latest:2", new), ("latest@mnist:2", old), ("latest@digits:2", new)):
        row = next(row for row in record.stages if row.name == "trial 2")
        assert version_of(find(store, word)) == version_of(find_artifact(store, word)) == row.version


def test_a_run_of_the_pipeline_tells_more_of_a_model_than_a_sweep(store: Store) -> None:
    """Where both have a model, its run is the newest of the pipeline; where only a sweep has, it is untested."""
    record, _ = write_sweep(store, trials=3, pruned=0, failed=0)
    rows = {row.name: row for row in record.stages}
    words = [rows[f"trial {number}"].version for number in (1, 2)]
    assert [is_untested(store, word) for word in words] == [True, True]
    assert [find_run(store, word).id for word in words] == [record.id] * 2
    run = write_run(store, "c" * 12, [rows["trial 1"].model_copy(update={"name": ""})], minute=2)
    assert [is_untested(store, word) for word in words] == [False, True]
    assert [find_run(store, word).id for word in words] == [run.id, record.id]
    assert is_untested(store, record.id)
    assert not is_untested(store, run.id)
