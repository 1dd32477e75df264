"""A set that grows: shards that are settled are taken as bundles, and what is in those is as sure as it ever was."""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from artifacts.archive.audit import Auditor
from artifacts.archive.collect import collect
from artifacts.archive.lineage import trace
from artifacts.bundle import MEMBERS
from artifacts.engine.direct import recording_directly
from artifacts.engine.plan import Planning
from artifacts.manifest import Manifest
from artifacts.refresh import Refresh
from artifacts.remote.shared import Shared
from artifacts.run_record import StageRecord
from artifacts.store.bundles import spread_rows
from artifacts.store.flock import try_lock
from artifacts.store.store import Store
from flows.bundling import KINDS, headers_of_bundles, spans_of
from flows.dag import GRAPH, dag, prepare
from flows.gate import Gate, Wanted
from flows.parts import rows_of
from schemas.events import Event, StageChanged, listening
from schemas.image_table import TABLE, ImageTable
from schemas.remote import RemotePlace
from schemas.training import Training
from tasks.bundle import BELOW, bundle
from tests.flows.own_sets import draw
from tests.flows.parted_sets import PartedSet, computed
from tests.flows.test_parts import SAME, by_name

NAMES = ["a", "b", "c", "d", "e"]
DEEPER = ["download", "verify", "decompress"]


@pytest.fixture
def bundled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two shards are a bundle."""
    monkeypatch.setattr("flows.bundling.BUNDLED", 2)


def grow(own: PartedSet, names: list[str]) -> tuple[StageRecord, ...]:
    """Describe a set of these train shards, and prepare it."""
    own.describe(names, ["x"])
    return own.prepare()


@pytest.fixture
def own(tmp_path: Path, bundled: None) -> PartedSet:
    """A set of five train shards and a test shard, which were prepared: two bundles, and one part."""
    made = PartedSet(tmp_path, 3, (6, 6))
    for number, name in enumerate((*NAMES, "f", "x")):
        made.write(name, *draw(number, 30))
    grow(made, NAMES)
    return made


def folder_of(rows: tuple[StageRecord, ...], own: PartedSet, name: str) -> Path:
    """Return the folder of an artifact that a run used, in a bundle or not."""
    return Path(by_name(tuple(spread_rows(own.store, rows)))[name].path)


def test_settled_shards_are_taken_as_bundles(own: PartedSet) -> None:
    """Of four of five shards no stage is called, and the record has three rows a bundle; nothing is computed."""
    rows = own.prepare()
    assert computed(rows) == []
    assert [f"{row.stage} {row.name}" for row in rows if row.stage not in DEEPER] == [
        *(f"bundle train {places} {kind}" for places in ("1-2", "3-4") for kind in KINDS),
        "parse train e-images.idx",
        "parse test",
        "profile train e-images.idx",
        "validate train",
        "validate test",
        "normalize ",
    ]
    assert {row.name for row in rows if row.stage in DEEPER} == {
        f"{shard}-{kind}.idx" for shard in ("e", "x") for kind in ("images", "labels")
    }
    assert [row.name for row in rows_of(own.store, rows, "parse", "train")] == [
        f"train {name}-images.idx" for name in NAMES
    ]


def test_an_appended_shard_runs_its_part_and_the_bundle_that_it_fills(own: PartedSet) -> None:
    """The sixth shard is computed alone, and with the fifth becomes a bundle, of which the next run takes three."""
    rows = grow(own, [*NAMES, "f"])
    assert computed(rows) == [
        *(f"{stage} f-{each}.idx" for stage in DEEPER for each in ("images", "labels")),
        "parse train f-images.idx",
        "profile train f-images.idx",
        *(f"bundle train 5-6 {kind}" for kind in KINDS),
        "validate train",
        "validate test",
        "normalize",
    ]
    assert [row.name for row in rows_of(own.store, rows, "parse", "train")] == [
        f"train {name}-images.idx" for name in (*NAMES, "f")
    ]
    assert (
        by_name(rows)["validate train"].reason == "parse train f-images.idx is new, profile train f-images.idx is new"
    )
    assert computed(own.prepare()) == []
    assert [row.name for row in own.prepare() if row.stage == "parse"] == ["test"]


def test_what_takes_bundles_names_them_alone(own: PartedSet) -> None:
    """The manifest of validate names two bundles and a part of each kind, and its key has as many digests."""
    manifest = Manifest.model_validate_json(
        (folder_of(own.prepare(), own, "validate train") / "manifest.json").read_bytes()
    )
    assert [(each.argument, each.stage) for each in manifest.inputs] == [
        *[("table", "bundle")] * 2,
        ("table", "parse"),
        *[("profiles", "bundle")] * 2,
        ("profiles", "profile"),
    ]
    assert [len(manifest.parts.inputs[name]) for name in ("table", "profiles")] == [3, 3]


def test_bundles_come_to_the_bits_of_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Statistics, weights, predictions and figures are the same however many shards are bundled."""
    found = []
    for count in (2, 100):
        monkeypatch.setattr("flows.bundling.BUNDLED", count)
        own = PartedSet(tmp_path / str(count), 3, (6, 6))
        for number, name in enumerate((*NAMES, "x")):
            own.write(name, *draw(number, 30))
        own.describe(NAMES, ["x"])
        own.run(Training(epochs=1))
        rows = own.run(Training(epochs=1))
        assert computed(rows) == []
        found.append(by_name(rows))
    assert "bundle train 1-2 tables" in found[0]
    assert "bundle train 1-2 tables" not in found[1]
    for stage, names in SAME.items():
        for name in names:
            files = [Path(rows[stage].path) / name for rows in found]
            assert files[0].exists() == files[1].exists()
            assert not files[0].exists() or files[0].read_bytes() == files[1].read_bytes(), f"{stage} {name}"
    weights = [
        Manifest.model_validate_json((Path(rows["train"].path) / "manifest.json").read_bytes()).files["model.keras"]
        for rows in found
    ]
    assert weights[0].content == weights[1].content


def flip(path: Path) -> None:
    """Change a byte in the middle of a file, its size as it was."""
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("parse train b-images.idx", "table.parquet"),
        ("profile train b-images.idx", "sums.npy"),
        ("parse train b-images.idx", "manifest.json"),
        ("profile train b-images.idx", "result.json"),
        ("parse train b-images.idx", "record.json"),
        ("verify b-labels.idx", "proof.json"),
    ],
)
def test_a_damaged_member_is_rebuilt_alone(own: PartedSet, name: str, file: str) -> None:
    """A flipped byte in any file of a member is noticed by its times: that one is put aside and computed again."""
    flip(folder_of(own.prepare(), own, name) / file)
    rows = own.prepare()
    assert computed(rows) == [name]
    assert computed(own.prepare()) == []


@pytest.mark.parametrize("name", ["parse train b-images.idx", "verify a-images.idx"])
def test_a_member_that_is_gone_is_rebuilt_alone(own: PartedSet, name: str) -> None:
    """A bundle of which something was deleted is none until that is there again."""
    shutil.rmtree(folder_of(own.prepare(), own, name))
    rows = own.prepare()
    assert computed(rows) == [name]
    assert computed(own.prepare()) == []


def test_a_member_without_its_commit_is_computed_again(own: PartedSet) -> None:
    """Files without a commit record are no artifact, however they look."""
    (folder_of(own.prepare(), own, "parse train a-images.idx") / "record.json").unlink()
    assert computed(own.prepare()) == ["parse train a-images.idx"]


@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_a_damaged_bundle_is_made_again_of_what_is_there(own: PartedSet, damage: str) -> None:
    """The list of members is an artifact as any: damaged it is put aside, and only it is computed."""
    row = by_name(own.prepare())["bundle train 1-2 tables"]
    path = Path(row.path) / MEMBERS
    if damage == "flip":
        flip(path)
    elif damage == "cut":
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-20])
    else:
        shutil.rmtree(row.path)
    assert computed(own.prepare()) == ["bundle train 1-2 tables"]
    assert computed(own.prepare()) == []


def test_a_forged_note_does_not_make_a_member_whole(own: PartedSet) -> None:
    """A note of how members looked that does not fit is worth nothing: each is checked, and noted again."""
    row = by_name(own.prepare())["bundle train 1-2 tables"]
    note = Path(row.path) / "hashed.json"
    for content in ("", "[]", "{}", '{"members.json": 1}'):
        note.write_text(content)
        assert computed(own.prepare()) == []
    flip(folder_of(own.prepare(), own, "parse train a-images.idx") / TABLE)
    note.write_text("{}")
    assert computed(own.prepare()) == ["parse train a-images.idx"]


def test_members_are_read_only_where_they_look_otherwise(own: PartedSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of members that look as they did nothing is read; of one that was touched everything is checked, once."""
    own.prepare()
    read = list[str]()
    inspect = Store.inspect

    def noted(store: Store, stage: str, version: str, **how: Any) -> object:
        read.append(stage)
        return inspect(store, stage, version, **how)

    monkeypatch.setattr(Store, "inspect", noted)
    rows = own.prepare()
    assert (read.count("parse"), read.count("profile"), read.count("verify")) == (2, 1, 4)
    table = folder_of(rows, own, "parse train a-images.idx") / TABLE
    shutil.copystat(table, table)
    table.touch()
    read.clear()
    own.prepare()
    assert read.count("parse") == 3
    read.clear()
    own.prepare()
    own.prepare()
    assert read.count("parse") <= 5  # once more where it was touched within the clock's tick


def test_raw_files_of_settled_shards_are_not_missed(own: PartedSet) -> None:
    """Settled shards do without raw files, but where one of a bundle is parsed again: then all of it are brought in."""
    rows = grow(own, ["a", "b"])
    for stage in ("download", "decompress"):
        for manifest in own.store.manifests(stage):
            if manifest.name.startswith(("a-", "b-")):
                shutil.rmtree(own.store.folder(stage, manifest.version))
    assert computed(own.prepare()) == []
    flip(folder_of(rows, own, "parse train a-images.idx") / TABLE)
    assert computed(own.prepare()) == [
        *(
            f"{stage} {name}-{kind}.idx"
            for stage in ("download", "decompress")
            for name in "ab"
            for kind in ("images", "labels")
        ),
        "parse train a-images.idx",
    ]


@pytest.mark.parametrize("stage", ["download", "parse", "profile"])
def test_what_is_to_be_rebuilt_is_rebuilt_in_bundles_too(own: PartedSet, stage: str) -> None:
    """With --refresh of a stage below them no bundle is taken: each part is."""
    data = own.data()
    with recording_directly(own.store, dataset=data.name, dataset_id=data.identity) as run:
        run.refresh = Refresh((stage,))
        run.attempt(lambda: prepare(data))
    made = [name for name in computed(run.rows) if name.startswith(stage)]
    assert len(made) == {"download": 12, "parse": 6, "profile": 5}[stage]


def test_a_changed_shard_is_found_in_its_bundle(own: PartedSet) -> None:
    """Another content of a shard is another bundle, and its part alone is computed; the reason names the shard."""
    own.write("b", *draw(77, 30))
    rows = grow(own, NAMES)
    assert [name for name in computed(rows) if name.startswith(("parse", "bundle"))] == [
        "parse train b-images.idx",
        *(f"bundle train 1-2 {kind}" for kind in KINDS),
    ]
    assert "train b-images.idx changed" in by_name(rows)["validate train"].reason
    assert "a-images" not in by_name(rows)["validate train"].reason


def test_a_shard_taken_out_of_a_bundle_computes_no_part(own: PartedSet) -> None:
    """The bundles behind it are others; their parts are those that were there."""
    rows = grow(own, ["a", "c", "d", "e"])
    assert not any(name.startswith(("parse", "profile", *DEEPER)) for name in computed(rows))
    assert "parse train b-images.idx is gone" in by_name(rows)["validate train"].reason


def test_a_plan_takes_bundles_as_a_run_does(own: PartedSet) -> None:
    """A plan has the rows of a run, cached; where a member is damaged it says so of that one, and changes nothing."""
    rows, plan = own.prepare(), own.plan()
    assert [name for name in plan if not name.startswith(("train", "evaluate", "report"))] == list(by_name(rows))
    assert {row.state for name, row in plan.items() if name in by_name(rows)} == {"cached"}
    flip(folder_of(rows, own, "parse train c-images.idx") / TABLE)
    plan = own.plan()
    assert [name for name, row in plan.items() if row.state == "will run" and name.startswith("parse")] == [
        "parse train c-images.idx"
    ]
    assert plan["bundle train 1-2 tables"].state == "cached"
    assert not (own.store.home / "quarantine").exists()


def test_the_key_of_a_bundle_is_known_before_its_members(own: PartedSet) -> None:
    """It follows from what the shards are and from the code of all stages below it, not from where they stand."""
    (span, _) = spans_of(own.data().splits["train"])
    stored = {manifest.version for manifest in own.store.manifests("bundle")}
    version = bundle.parts(bundle.bind("tables", span)).version
    assert version in stored
    assert bundle.parts(bundle.bind("tables", span.model_copy(update={"first": 9}))).version == version
    code = bundle.parts(bundle.bind("tables", span)).code
    for each in BELOW:
        assert each.parts({}).code.items() <= code.items()
        assert set(each.packages) <= set(bundle.packages)


def test_a_clean_up_keeps_what_is_in_bundles(own: PartedSet) -> None:
    """The newest run names bundles alone: their members, and the raw files that these were made from, stay."""
    own.prepare()
    before = set(own.store.versions())
    grow(own, ["a", "b", "c", "d"])
    done = collect(own.store, keep=1, older_than=None, now=datetime.now(UTC))
    gone = before - set(own.store.versions())
    assert {each.artifact for each in done.candidates if each.kind == "artifact"} >= gone
    rows = own.prepare()
    kept = {(row.stage, row.version) for row in (*rows, *spread_rows(own.store, rows))}
    assert {"parse", "profile", "verify", "bundle"} <= {stage for stage, _ in kept}
    assert all(own.store.is_committed(*each) for each in kept)
    raw = [manifest.name for manifest in own.store.manifests("download")]
    assert {f"{name}-images.idx" for name in ("a", "b", "c", "d")} <= set(raw)
    assert Auditor(own.store, everything=True, repair=False).run(datetime.now(UTC)).problems == ()


def test_a_run_holds_what_is_in_its_bundles(own: PartedSet) -> None:
    """While a run that took bundles lives, a clean-up that keeps no run leaves their members."""
    data = own.data()
    with recording_directly(own.store, dataset=data.name, dataset_id=data.identity) as run:
        run.attempt(lambda: prepare(data))
        for record in own.store.runs.glob("*.json"):
            record.unlink()  # nothing but the hold is left
        collect(own.store, keep=1, older_than=None, now=datetime.now(UTC))
        used = {(row.stage, row.version) for row in spread_rows(own.store, run.rows)}
        assert all(own.store.is_committed(*each) for each in used)


def test_a_clean_up_takes_nothing_between_look_and_hold(own: PartedSet) -> None:
    """Who looks at members holds off all clean-ups until they are held; runs do not hold off each other."""
    path = own.store.locks / "holding.lock"
    with own.store.holding(), own.store.holding():
        assert try_lock(path) is None
    with own.store.holding(alone=True):
        assert try_lock(path) is None


def test_lineage_leads_through_bundles_to_the_files(own: PartedSet) -> None:
    """What the whole split was made from is each of its files, and a file leads to what was made of it."""
    rows = own.prepare()
    row = by_name(rows)["validate train"]
    stored = own.store.read(row.stage, row.version)
    assert stored
    names = {node.name for node in trace(own.store, stored).above() if node.stage == "download"}
    assert names == {f"{name}-{kind}.idx" for name in NAMES for kind in ("images", "labels")}


def test_another_host_takes_bundles_from_the_remote(own: PartedSet, tmp_path: Path) -> None:
    """Nothing is computed there, and of settled shards only what is used is fetched; a run that is pulled has all."""
    rows = own.prepare()
    place = RemotePlace(url=(tmp_path / "shared").as_uri())
    with closing(Shared(place, own.store)) as shared:
        shared.push()
    home = Store(tmp_path / "other")
    data = own.data()
    with recording_directly(home, dataset=data.name, dataset_id=data.identity, remote=place) as run:
        run.attempt(lambda: prepare(data))
    assert computed(run.rows) == []
    assert {row.fetched for row in run.rows if row.stage == "bundle"} == {str(place)}
    there = {(manifest.stage, manifest.name) for manifest in home.manifests()}
    assert ("parse", "train a-images.idx") in there
    assert ("decompress", "a-images.idx") not in there
    assert Auditor(home, everything=True, repair=False).run(datetime.now(UTC)).problems == ()
    third = Store(tmp_path / "third")
    newest = max(own.store.runs.glob("*.json"), key=lambda path: path.stat().st_mtime).stem
    with closing(Shared(place, third)) as shared:
        moved = shared.pull(newest)
    assert {each.state for each in moved} == {"pulled"}
    assert all(third.is_committed(row.stage, row.version) for row in spread_rows(own.store, rows))
    assert ("download", "a-images.idx") in {(each.stage, each.name) for each in third.manifests()}


def test_how_many_rows_there_are_is_known_of_bundles(own: PartedSet) -> None:
    """What is estimated before a run reads no file of a settled shard: its bundle says how many images that has."""
    headers = headers_of_bundles(own.store, own.data())
    assert {name: header.shape for name, header in headers.items() if name.startswith("b-")} == {
        "b-images.idx": (30, 6, 6),
        "b-labels.idx": (30,),
    }
    assert len(headers) == 8


def test_the_pipeline_reads_bundles_as_one_table(own: PartedSet) -> None:
    """Training, evaluation and report of a set in bundles come to their end, and another run computes nothing."""
    rows = own.run(Training(epochs=1))
    assert [name for name in computed(rows) if name in GRAPH] == ["train", "evaluate", "report"]
    assert computed(own.run(Training(epochs=1))) == []
    tables = [Path(row.path) / TABLE for row in rows_of(own.store, rows, "parse", "train")]
    labels = np.concatenate([draw(number, 30)[1] for number in range(5)])
    np.testing.assert_array_equal(ImageTable(*tables).labels(), labels)


@pytest.mark.slow
def test_the_gate_counts_who_was_tested_on_bundles(own: PartedSet) -> None:
    """A test set in bundles was looked at by each model that was evaluated on it, whether they were settled or not."""
    own.write("y", *draw(41, 30))
    own.describe(["a"], ["x", "y"])
    for seed in (1, 2, 3):
        data, gate = own.data(), Gate(own.store, Wanted("champion", None))
        with recording_directly(own.store, dataset=data.name, dataset_id=data.identity) as run:
            outcome = run.attempt(partial(dag, data, Training(epochs=1, seed=seed), judge=gate.judge))
        manifest = own.store.manifest("promote", outcome.verdict.ref.version)
        assert manifest
        assert manifest.parts.parameters["terms"]["looks"] == seed
    assert any(row.name == "test 1-2 tables" for row in run.rows)


def test_members_are_told_as_settled_and_not_one_by_one(own: PartedSet) -> None:
    """A run says of a settled bundle three lines, and of its parts none."""
    seen = list[Event]()
    with listening(seen.append):
        own.prepare()
    named = [f"{event.stage} {event.name}" for event in seen if isinstance(event, StageChanged)]
    assert "bundle train 1-2 tables" in named
    assert "parse train a-images.idx" not in named
    planning = Planning(own.store, Refresh(), "parts")
    seen.clear()
    with planning.walking(), listening(seen.append):
        dag(own.data(), Training(epochs=1))
    assert seen == []
