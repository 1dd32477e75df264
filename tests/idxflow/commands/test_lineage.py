"""The lineage as people see it: trees, a document, a drawing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from artifacts.archive.lineage import Edge, Lineage, Node, trace
from artifacts.ref import Ref
from artifacts.store.store import Store
from idxflow.cli.commands.lineage import lineage
from idxflow.views.layout import local_time
from idxflow.views.lineage import brief, flowchart
from schemas.errors import UsageError
from tests.artifacts.archive.making import MACHINE, clean_up, make, stored

NOON = "2026-01-01T12:00:00+00:00"
TREES = """\
train {train}
7 B, {noon}, content {train_content}
code {train_code} (1 file), keras 3.15.1
training: epochs 3, hidden [50,50], rate 1e-07
run 000000000000, commit 8287eba9072d, Python 3.12.1, Linux x86_64, idxflow
0.1.0

Made from (run, commit and software as above, unless shown)
├── table: parse train {parse}
│   13 B, {noon}, content {parse_content}
│   code {parse_code} (1 file)
│   run bbbbbbbbbbbb, commit 8287eba9072d with uncommitted changes
│   └── images: download images.gz {download}
│       8 B, {noon}, content {download_content}
│       from file:///srv/mnist/
│       SHA-256 aaaaaaaaaaaa, no proof of it is stored
│       code {download_code} (1 file)
│       file: name images.gz, sha256 000000000000, shards 1 value
└── normalizer: normalize {normalize}
    no longer in the store

Used in (run, commit and software as above, unless shown)
├── model: evaluate {evaluate}
│   9 B, {noon}, content {evaluate_content}
│   code {evaluate_code} (1 file), keras 3.15.1
│   └── scores: report {report}
│       7 B, {noon}, content {report_content}
│       code {report_code} (1 file)
└── model: report {report} (as above)
"""


@pytest.fixture
def refs(desk: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Ref]:
    """A line of artifacts in the home folder, whose normaliser was cleaned up; and a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    store = Store(desk / ".idxflow")
    archive = make(
        store, "download", "images.gz", files={"content": b"download"},
        parameters={"file": {"name": "images.gz", "sha256": "0" * 64, "mirrors": None, "shards": {"one": 1}}},
        summary={"bytes": 7, "sha256": "a" * 64, "mirror": "file:///srv/mnist/"},
    )  # fmt: skip
    training = {"training": {"epochs": 3, "hidden": [50, 50], "rate": 1e-7}}
    table = make(
        store, "parse", "train", inputs={"images": [archive]}, files={"content": b"parse [/] end"}, run="b" * 12,
        environment=MACHINE.model_copy(update={"git_dirty": True}),
    )  # fmt: skip
    normalizer = make(store, "normalize", inputs={"table": table})
    model = make(
        store, "train", inputs={"table": table, "normalizer": normalizer}, files={"model.keras": b"weights"},
        parameters={**training, "reference": None},
    )  # fmt: skip
    scores = make(store, "evaluate", inputs={"model": model})
    page = make(store, "report", inputs={"model": model, "scores": scores}, parameters=training)
    clean_up(store, normalizer)
    return {ref.stage: ref for ref in (archive, table, normalizer, model, scores, page)}


def traced(desk: Path, ref: Ref) -> Lineage:
    """Return the lineage of an artifact."""
    store = Store(desk / ".idxflow")
    return trace(store, stored(store, ref))


def test_the_trees_tell_everything_once(desk: Path, refs: dict[str, Ref], capsys: pytest.CaptureFixture[str]) -> None:
    """Each artifact in full once, then by name; what is gone, and what was made under other circumstances, is said."""
    assert lineage(f"train/{refs['train'].version[:6]}") == 0
    nodes = traced(desk, refs["train"]).nodes
    facts = {"noon": local_time(NOON)}
    for node in nodes:
        facts |= {node.stage: node.version, f"{node.stage}_content": node.digest[:12]}
        facts |= {f"{node.stage}_code": node.made.code[:12]} if node.made else {}
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert printed == TREES.format(**facts).splitlines()


@pytest.mark.parametrize(("stage", "words"), [("download", "Made from nothing: it"), ("report", "Used in nothing")])
def test_an_end_of_the_line_is_told(
    stage: str, words: str, refs: dict[str, Ref], capsys: pytest.CaptureFixture[str]
) -> None:
    """A download was made from nothing, of a report nothing was made."""
    assert lineage(f"{stage}/{refs[stage].version}") == 0
    assert words in capsys.readouterr().out


def test_no_line_is_wider_than_a_terminal(refs: dict[str, Ref], capsys: pytest.CaptureFixture[str]) -> None:
    """Where words can be parted, nothing goes beyond 80 columns."""
    lineage(f"download/{refs['download'].version}")
    assert max(len(line.rstrip()) for line in capsys.readouterr().out.splitlines()) <= 80


def test_the_document_is_the_lineage(desk: Path, refs: dict[str, Ref], capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` prints the lineage and nothing else."""
    assert lineage(refs["train"].version, json=True) == 0
    assert Lineage.model_validate(json.loads(capsys.readouterr().out)) == traced(desk, refs["train"])


def test_the_drawing_has_every_node_and_edge(
    desk: Path, refs: dict[str, Ref], capsys: pytest.CaptureFixture[str]
) -> None:
    """`--mermaid` prints a flowchart: the mirror, each artifact, each edge by its argument; what is gone is dashed."""
    assert lineage(refs["train"].version, mermaid=True) == 0
    drawing = capsys.readouterr().out.splitlines()
    assert drawing[0] == "flowchart LR"
    assert '  m0[("file:///srv/mnist/")]' in drawing
    for stage, kind in (("normalize", "gone"), ("train", "asked")):
        assert any(re.fullmatch(rf'  n\d\["{stage}<br>{refs[stage].version}"\]:::{kind}', line) for line in drawing)
    assert "  m0 --> n0" in drawing
    assert [line for line in drawing if re.fullmatch(r'  n0 -->\|"images"\| n\d', line)]
    assert len([each for each in drawing if '-->|"' in each]) == len(traced(desk, refs["train"]).up) + 3


def test_names_cannot_break_the_drawing() -> None:
    """Whatever a name holds, it ends no label; an input that was not exactly that artifact has a dotted arrow."""
    node = Node(id='a/"', stage="a", name='x"] --> y`<b>#\n', version="0", digest="0", made=None)
    odd = Lineage(
        artifact="a/b",
        nodes=(node,),
        up=(Edge(source=node.id, target=node.id, argument='|"', digest="", match="content"),),
        down=(),
    )
    drawing = list(flowchart(odd))
    assert drawing[1] == '  n0["a x#34;#93; --#62; y#96;#60;b#62;#35;#10;<br>0"]:::gone'
    assert drawing[2] == '  n0 -.->|"#124;#34;"| n0'


def test_only_one_form_at_a_time() -> None:
    """JSON and a drawing at once are refused before anything is read."""
    with pytest.raises(UsageError, match="expected one of them, found both"):
        lineage("latest", json=True, mermaid=True)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"epochs": 5, "layers": [5, 5], "gone": None, "checks": {"a": 1}}, "epochs 5, layers [5,5], checks 1 value"),
        ([1, 2, 3, 4, 5], "5 values"),
        ([{"a": 1}], "1 value"),
        ([], "[]"),
        (1e-7, "1e-07"),
        (True, "True"),
        ("a" * 64, "a" * 12),
    ],
)  # fmt: skip
def test_a_parameter_is_told_briefly(value: object, words: str) -> None:
    """Short lists stand as they are, long and deep values are counted, digests are cut."""
    assert brief(value) == words
