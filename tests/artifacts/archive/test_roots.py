"""What a clean-up leaves: what recent runs, aliases and pins hold, and all that those were made from."""

from __future__ import annotations

import pytest

from artifacts.archive.names import Names
from artifacts.archive.roots import Artifact, find_roots, read_graph
from artifacts.ref import Ref
from artifacts.store.store import Store
from schemas.errors import StoreError
from tests.artifacts.archive.history import stage_record, write_run
from tests.artifacts.archive.making import clean_up, make
from tests.artifacts.archive.sweeps import write_sweep
from tests.artifacts.building import publish
from tests.faults.scenarios import NOW


def of(*refs: Ref) -> set[Artifact]:
    """Return artifacts by stage and version."""
    return {(ref.stage, ref.version) for ref in refs}


def roots(store: Store, keep: int = 0) -> set[Artifact]:
    return find_roots(store, read_graph(store), keep)


def tables(store: Store, number: int) -> list[Ref]:
    """Make artifacts that have nothing to do with one another."""
    refs = [make(store, "parse", f"table {salt}", parameters={"salt": salt}) for salt in range(number)]
    assert len(of(*refs)) == number
    return refs


def line(store: Store, file: str = "images.gz", weights: bytes = b"weights") -> dict[str, Ref]:
    """Make a line from a download to a report, which takes the download's proof beside the model."""
    archive = make(store, "download", file, parameters={"file": file})
    proof = make(store, "verify", file, inputs={"archive": archive})
    table = make(store, "parse", file, inputs={"raw": [archive]})
    model = make(store, "train", inputs={"table": table}, files={"model.keras": weights})
    scores = make(store, "evaluate", inputs={"model": model, "tables": {"train": table}})
    page = make(store, "report", inputs={"model": model, "scores": scores, "proofs": [proof]})
    return {ref.stage: ref for ref in (archive, proof, table, model, scores, page)}


def test_the_graph_is_every_manifest_that_reads(store: Store) -> None:
    """So are those without a record, and those that lie aside while they are rebuilt; what does not read is not."""
    one, other, aside = tables(store, 3)
    store.folder("parse", aside.version).rename(store.replaced("parse", aside.version))
    half = publish(store, {"a": b"a"})
    (store.folder("parse", other.version) / "manifest.json").chmod(0o644)
    (store.folder("parse", other.version) / "manifest.json").write_text("{")
    graph = read_graph(store)
    assert graph.keys() == of(one, half, aside)
    assert graph["parse", one.version].name == "table 0"


def test_nothing_is_held_where_nobody_holds_anything(store: Store) -> None:
    """An artifact alone is no root, and a store without runs and names has none."""
    line(store)
    assert roots(store, keep=9) == set()


def test_the_last_completed_runs_hold_what_they_used(store: Store) -> None:
    """As many as are to be kept, the newest first, whether they computed or only used it."""
    one, two, three = tables(store, 3)
    write_run(store, "c" * 12, [stage_record(one)], minute=0)
    write_run(store, "b" * 12, [stage_record(two)], minute=1)
    write_run(store, "a" * 12, [stage_record(three, cached=True)], minute=2)
    assert [roots(store, keep) for keep in range(4)] == [set(), of(three), of(two, three), of(one, two, three)]


def test_each_data_set_has_its_own_last_runs(store: Store) -> None:
    """Many runs of one data set push out none of another."""
    one, two, three = tables(store, 3)
    write_run(store, "a" * 12, [stage_record(one)], minute=0, dataset="digits")
    write_run(store, "b" * 12, [stage_record(two)], minute=1)
    write_run(store, "c" * 12, [stage_record(three)], minute=2)
    assert roots(store, keep=1) == of(one, three)


@pytest.mark.parametrize("state", ["failed", "running"])
def test_what_began_after_the_last_completed_run_counts_too(store: Store, state: str) -> None:
    """A run that failed or was killed is to be gone on with; one before the last completed runs is history."""
    before, completed, after = tables(store, 3)
    write_run(store, "a" * 12, [stage_record(before)], minute=0, state=state)
    write_run(store, "b" * 12, [stage_record(completed)], minute=1)
    write_run(store, "c" * 12, [stage_record(after)], minute=2, state=state)
    assert roots(store, keep=1) == of(completed, after)
    assert roots(store, keep=2) == of(before, completed, after)
    assert roots(store, keep=0) == set()


def test_what_is_held_holds_all_that_it_was_made_from(store: Store) -> None:
    """Alone, in lists and in dicts, over any number of steps; what was made of it, it does not hold."""
    refs = line(store)
    other = line(store, "other.gz", b"others")
    write_run(store, "a" * 12, [stage_record(refs["parse"])])
    assert roots(store, keep=1) == of(refs["download"], refs["parse"])
    write_run(store, "b" * 12, [stage_record(other["report"])], minute=1)
    assert roots(store, keep=1) == of(*other.values())


def test_an_alias_and_a_pin_hold_one_artifact(store: Store) -> None:
    """For as long as they stand for it, however many runs there were since."""
    one, two, three = tables(store, 3)
    names = Names(store)
    names.set_alias("champion", one.stage, one.version, NOW)
    names.pin_artifact(two.stage, two.version, "", NOW)
    assert roots(store) == of(one, two)
    names.set_alias("champion", three.stage, three.version, NOW)
    names.unpin(two.version)
    assert roots(store) == of(three)
    names.remove_alias("champion", NOW)
    assert roots(store) == set()


def test_a_pinned_run_holds_all_that_it_used(store: Store) -> None:
    """However old it is, and whatever came of it."""
    one, two, three = tables(store, 3)
    write_run(store, "a" * 12, [stage_record(one), stage_record(two)], minute=0, state="failed")
    write_run(store, "b" * 12, [stage_record(three)], minute=1)
    Names(store).pin_run("a" * 12, "", NOW)
    assert roots(store) == of(one, two)
    assert roots(store, keep=1) == of(one, two, three)


def test_a_named_model_keeps_what_tells_its_worth(store: Store) -> None:
    """Its evaluation and report stay, and with them their own origins; those of another model do not."""
    refs = line(store)
    line(store, "other.gz", b"others")
    Names(store).set_alias("champion", "train", refs["train"].version, NOW)
    assert roots(store) == of(*refs.values())


def test_a_named_table_keeps_nothing_that_was_made_of_it(store: Store) -> None:
    """Only a model has a worth of its own."""
    refs = line(store)
    Names(store).pin_artifact("parse", refs["parse"].version, "", NOW)
    assert roots(store) == of(refs["download"], refs["parse"])


def test_the_worth_of_a_model_is_found_by_its_weights(store: Store) -> None:
    """After an edit that changes no weight, the scores of the earlier version are those of the new one."""
    refs = line(store)
    again = make(store, "train", inputs={"table": refs["parse"]}, files={"model.keras": b"weights"}, code="2")
    assert again.version != refs["train"].version
    Names(store).set_alias("champion", "train", again.version, NOW)
    assert roots(store) == of(again, *refs.values())


def test_where_what_was_taken_is_gone_its_newest_twin_is_held(store: Store) -> None:
    """By content, as lineage tells it, with all that the twin was made from; not while the exact one is there."""
    refs = line(store)
    Names(store).set_alias("champion", "train", refs["train"].version, NOW)
    moments = ("2026-01-03T12:00:00+00:00", "2026-01-02T12:00:00+00:00")
    newest, older = (
        make(store, "parse", "images.gz", inputs={"raw": [refs["download"]]}, code=moment, created=moment)
        for moment in moments
    )
    assert newest.digest == older.digest == refs["parse"].digest
    half = make(store, "parse", "images.gz", code="half", created="2026-01-04T12:00:00+00:00")
    (store.folder("parse", half.version) / "record.json").unlink()
    assert roots(store) == of(*refs.values())
    clean_up(store, refs["parse"])
    assert roots(store) == of(newest, *refs.values())


def test_what_is_gone_is_held_all_the_same(store: Store) -> None:
    """A root that was cleaned up or damaged is a root, and ends the way down: nobody knows what it was made from."""
    refs = line(store)
    write_run(store, "a" * 12, [stage_record(refs["train"])])
    clean_up(store, refs["parse"])
    assert roots(store, keep=1) == of(refs["train"], refs["parse"])
    clean_up(store, refs["train"])
    assert roots(store, keep=1) == of(refs["train"])


@pytest.mark.parametrize(
    "place", ["aliases/champion.json", "pins/parse-0123456789abcdef.json", f"runs/{'b' * 12}.json"]
)
def test_a_record_that_does_not_read_stops_everything(store: Store, place: str) -> None:
    """Nobody knows what it holds, so that nobody may say what nothing holds."""
    (store.home / place).parent.mkdir(exist_ok=True)
    (store.home / place).write_text("{")
    with pytest.raises(StoreError, match=place):
        roots(store)


def test_a_pinned_run_without_its_record_stops_everything(store: Store) -> None:
    """What it held is not known; the way out is to take the pin away."""
    write_run(store, "a" * 12, [stage_record(*tables(store, 1))])
    Names(store).pin_run("a" * 12, "", NOW)
    (store.runs / f"{'a' * 12}.json").unlink()
    with pytest.raises(StoreError, match=r"pin of run a{12}: expected its record.* `idxflow pin a{12} --remove`"):
        roots(store)
    Names(store).unpin("a" * 12)
    assert roots(store) == set()


def test_a_held_artifact_whose_manifest_does_not_read_stops_everything(store: Store) -> None:
    """What it was made from is not known; of one that nobody holds it does not matter."""
    one, other = tables(store, 2)
    write_run(store, "a" * 12, [stage_record(one)])
    for ref in (other, one):
        path = store.folder("parse", ref.version) / "manifest.json"
        path.chmod(0o644)
        path.write_text("{")
        if ref is other:
            assert roots(store, keep=1) == of(one)
    with pytest.raises(StoreError, match=rf"artifact parse/{one.version}: expected its manifest.*verify --repair"):
        roots(store, keep=1)


def test_a_kept_sweep_keeps_all_that_it_used(store: Store) -> None:
    """Its trials stay, those that were pruned too, with the tests of the winner, the study and the data."""
    record, study = write_sweep(store, trials=6, pruned=2, tests=2)
    used = {(row.stage, row.version) for row in record.stages}
    assert {stage for stage, _ in used} == {"parse", "begin", "train", "evaluate", "study"}
    assert roots(store, keep=1) == used == set(read_graph(store))
    assert roots(store) == set()
    Names(store).pin_artifact("study", study.version, "", NOW)
    begun = {each for each in used if each[0] == "begin"}
    taken = {(each.stage, each.version) for each in read_graph(store)["study", study.version].inputs}
    assert roots(store) == used - (begun - taken)


def test_what_only_a_sweep_used_goes_with_it(store: Store) -> None:
    """A later sweep holds its own trials, and a run of the pipeline what it shares; the earlier sweep's others go."""
    old, _ = write_sweep(store, "a" * 12, trials=4, pruned=1, seed=7)
    new, _ = write_sweep(store, "b" * 12, trials=4, pruned=1, seed=8, minute=1)
    shared = next(row for row in old.stages if row.stage == "train")
    write_run(store, "c" * 12, [shared], dataset="digits", minute=2)
    mine = {(row.stage, row.version) for row in new.stages}
    table = next((row.stage, row.version) for row in old.stages if row.stage == "parse")
    assert roots(store, keep=1) == mine | {(shared.stage, shared.version), table}
    gone = set(read_graph(store)) - roots(store, keep=1)
    assert {stage for stage, _ in gone} == {"begin", "train", "evaluate", "study"}
