"""The lineage: down to the bytes, up to the report, by version and by content, whatever is gone."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from artifacts.archive.lineage import Edge, Lineage, Node, trace
from artifacts.ref import Ref
from artifacts.store.store import Store
from tests.artifacts.archive.making import MACHINE, clean_up, make, stored

FILE = {"file": {"name": "images.gz", "sha256": "0" * 64}}
BYTES = {"bytes": 7, "sha256": "a" * 64, "mirror": "https://mirror.example/", "failures": []}


def line(store: Store) -> dict[str, Ref]:
    """Make a line from a download to an evaluation."""
    archive = make(store, "download", "images.gz", parameters=FILE, summary=BYTES)
    proof = make(
        store, "verify", "images.gz", parameters=FILE, inputs={"archive": archive}, summary={"origin": "published"}
    )
    raw = make(store, "decompress", "images.gz", inputs={"archive": archive, "proof": proof})
    table = make(store, "parse", "train", inputs={"images": [raw]}, parameters={"spec": {"split": "train"}})
    model = make(store, "train", inputs={"table": table}, parameters={"training": {"epochs": 3}}, run="a" * 12)
    scores = make(store, "evaluate", inputs={"model": model, "train": table})
    return {"download": archive, "verify": proof, "decompress": raw, "parse": table, "train": model, "evaluate": scores}


def traced(store: Store, ref: Ref) -> Lineage:
    """Return the lineage of an artifact."""
    return trace(store, stored(store, ref))


def name(ref: Ref) -> str:
    """Return the id of an artifact's node."""
    return f"{ref.stage}/{ref.version}"


def found(edges: tuple[Edge, ...]) -> set[tuple[str, str, str, str]]:
    """Return edges by the stages at their ends."""
    stage = {edge: (edge.source.partition("/")[0], edge.target.partition("/")[0]) for edge in edges}
    return {(*stage[edge], edge.argument, edge.match) for edge in edges}


def stages(nodes: tuple[Node, ...]) -> list[str]:
    """Return the stages of nodes."""
    return [node.stage for node in nodes]


def test_a_model_is_traced_down_to_its_bytes(store: Store) -> None:
    """Upwards stand all inputs of inputs, each artifact once though two ways lead to it, in the order of the stages."""
    refs = line(store)
    lineage = traced(store, refs["train"])
    assert lineage.artifact == name(refs["train"])
    assert [node.id for node in lineage.nodes] == [name(ref) for ref in refs.values()]
    assert stages(lineage.above()) == ["download", "verify", "decompress", "parse"]
    assert found(lineage.up) == {
        ("parse", "train", "table", "exact"),
        ("decompress", "parse", "images", "exact"),
        ("download", "decompress", "archive", "exact"),
        ("verify", "decompress", "proof", "exact"),
        ("download", "verify", "archive", "exact"),
    }
    assert {edge.digest for edge in lineage.up if edge.argument == "table"} == {refs["parse"].digest}


def test_the_first_bytes_say_where_they_come_from(store: Store) -> None:
    """A download tells name, size, SHA-256, mirror, and that its checksum was published; the others have no source."""
    lineage = traced(store, line(store)["train"])
    sources = [node.made.source for node in lineage.nodes if node.made and node.made.source]
    assert [source.model_dump() for source in sources] == [
        {
            "name": "images.gz",
            "bytes": 7,
            "sha256": "a" * 64,
            "mirror": "https://mirror.example/",
            "checksum": "published",
        }
    ]


@pytest.mark.parametrize(
    ("proof", "checksum"),
    [
        ({"parameters": FILE, "summary": {"origin": "first use"}}, "first use"),
        ({"parameters": {"file": {"name": "same bytes of another set"}}, "summary": {"origin": "published"}}, None),
        (None, None),
    ],
)
def test_a_checksum_is_only_called_what_its_proof_calls_it(
    store: Store, proof: dict[str, Any] | None, checksum: str | None
) -> None:
    """Trust on first use is said, and without a proof of this very file nothing is."""
    archive = make(store, "download", "images.gz", parameters=FILE, summary=BYTES)
    if proof:
        make(store, "verify", "images.gz", inputs={"archive": archive}, **proof)
    made = traced(store, archive).nodes[0].made
    assert made
    assert made.source
    assert made.source.checksum == checksum


def test_what_was_made_of_an_artifact_is_found(store: Store) -> None:
    """Downwards stands all that was made of it and of that; a download has nothing above it."""
    refs = line(store)
    lineage = traced(store, refs["download"])
    assert lineage.up == ()
    assert stages(lineage.below()) == ["verify", "decompress", "parse", "train", "evaluate"]
    assert ("parse", "evaluate", "train", "exact") in found(lineage.down)
    assert found(traced(store, refs["train"]).down) == {("train", "evaluate", "model", "exact")}
    assert traced(store, refs["evaluate"]).down == ()


def test_a_node_says_how_it_was_made(store: Store) -> None:
    """Parameters, code, packages, environment, commit, time, run and size are those of the manifest."""
    refs = line(store)
    made = traced(store, refs["evaluate"]).node(name(refs["train"])).made
    assert made
    assert (made.parameters, made.packages) == ({"training": {"epochs": 3}}, {"keras": "3.15.1"})
    assert (made.created, made.run, made.bytes, made.seconds) == ("2026-01-01T12:00:00+00:00", "a" * 12, 6, 1.5)
    assert (made.environment, made.code_files, len(made.code)) == (MACHINE, 1, 64)
    other = make(store, "train", inputs={"table": refs["parse"]}, code="2")
    others = traced(store, other).node(name(other)).made
    assert others
    assert others.code != made.code


def test_an_input_that_was_cleaned_up_is_shown_as_such(store: Store) -> None:
    """What is gone keeps its name, version and content; what it was made from is no longer known."""
    refs = line(store)
    clean_up(store, refs["decompress"])
    lineage = traced(store, refs["train"])
    gone = lineage.node(name(refs["decompress"]))
    assert (gone.made, gone.name, gone.digest) == (None, "images.gz", refs["decompress"].digest)
    assert stages(lineage.above()) == ["decompress", "parse"]


def test_another_version_of_the_same_content_stands_in_for_what_is_gone(store: Store) -> None:
    """After an edit that changed no content, the newest version with that content leads on to the bytes."""
    refs = line(store)
    older, newer = (
        make(store, "parse", "train", inputs={"images": [refs["decompress"]]}, code=code, created=created)
        for code, created in (("2", "2026-03-01T12:00:00+00:00"), ("3", "2026-02-01T12:00:00+00:00"))
    )
    assert "content" not in {edge.match for edge in traced(store, refs["train"]).up}
    clean_up(store, refs["parse"])
    lineage = traced(store, refs["train"])
    assert {(edge.source, edge.match) for edge in lineage.up if edge.argument == "table"} == {
        (name(refs["parse"]), "exact"),
        (name(older), "content"),
    }
    assert name(newer) not in {node.id for node in lineage.nodes}
    assert "download" in stages(lineage.above())
    assert ("parse", "train", "table", "content") in found(traced(store, newer).down)


def test_an_input_that_was_made_anew_differently_is_told(store: Store) -> None:
    """A version whose content is not what was taken is no exact input, and has no part in what was made before."""
    refs = line(store)
    again = make(
        store, "parse", "train", inputs={"images": [refs["decompress"]]}, parameters={"spec": {"split": "train"}},
        files={"content": b"other bytes"},
    )  # fmt: skip
    assert again.version == refs["parse"].version
    lineage = traced(store, refs["train"])
    assert ("parse", "train", "table", "changed") in found(lineage.up)
    assert next(edge.digest for edge in lineage.up if edge.argument == "table") == refs["parse"].digest
    assert traced(store, again).down == ()


@pytest.mark.parametrize("harm", ["no record", "no manifest", "no json", "no object", "no manifest of ours", "moved"])
def test_what_does_not_read_is_passed_over(store: Store, harm: str) -> None:
    """An artifact that is not committed, or whose manifest is none or another's, counts as not there."""
    refs = line(store)
    folder = store.folder("evaluate", refs["evaluate"].version)
    manifest = folder / "manifest.json"
    match harm:
        case "no record":
            (folder / "record.json").unlink()
        case "no manifest":
            manifest.unlink()
        case "moved":
            folder.rename(folder.with_name("f" * 16))
        case _:
            manifest.chmod(0o644)
            manifest.write_text({"no json": "{", "no object": "[]", "no manifest of ours": "{}"}[harm])
    assert traced(store, refs["train"]).down == ()


def test_the_document_reads_back(store: Store) -> None:
    """What `--json` prints is the lineage, whole: edges name nodes."""
    lineage = traced(store, line(store)["train"])
    document = lineage.model_dump_json()
    assert Lineage.model_validate_json(document) == lineage
    ids = {node["id"] for node in json.loads(document)["nodes"]}
    assert {end for edge in (*lineage.up, *lineage.down) for end in (edge.source, edge.target)} <= ids


def test_a_thousand_versions_are_traced_at_once(store: Store) -> None:
    """The manifests of a thousand versions take well under a second."""
    refs = line(store)
    manifest = json.loads((store.folder("train", refs["train"].version) / "manifest.json").read_bytes())
    for number in range(1000):
        folder = store.folder("train", f"{number:016x}")
        folder.mkdir()
        (folder / "manifest.json").write_text(json.dumps(manifest | {"version": folder.name}))
        (folder / "record.json").touch()
    before = time.perf_counter()
    lineage = traced(store, refs["parse"])
    assert time.perf_counter() - before < 1
    assert len(lineage.below()) == 1002
