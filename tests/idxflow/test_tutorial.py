"""The tutorial notebook: executed as a reader does it, in a kernel, offline, in a home folder of its own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nbformat

from idxflow.api import open_store
from idxflow.server.local import stop_server
from tests.processes import PROJECT, bare_environment, run_python

TUTORIAL = PROJECT / "docs" / "tutorial.ipynb"
SHOWN = {
    "run": "Run ", "history": "100 epochs", "images": "297 images of 8 x 8", "predict": "Predictions for 297 images",
    "compare": "Is the difference in test accuracy significant?", "hints": "Doubtful labels", "store": "2 runs.",
}  # fmt: skip
"""What cells show in words, by the cell's id."""
NOWHERE = "http://127.0.0.1:9"
"""Where nothing answers: whatever asked for anything from outside would fail."""


def read_notebook(path: Path) -> Any:
    """Read a notebook, and check that it is one."""
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    return notebook


def test_the_tutorial_is_stored_without_outputs() -> None:
    """What it shows is the reader's own: no output, no count, nothing of the machine that it was written on."""
    notebook = read_notebook(TUTORIAL)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all((cell.outputs, cell.execution_count, cell.metadata) == ([], None, {}) for cell in code)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    links = re.findall(r"\]\((?!https?://)([^)]+)\)", json.dumps(notebook))
    assert links
    assert all((TUTORIAL.parent / link).is_file() for link in links)


def test_the_tutorial_does_what_it_says(desk: Path) -> None:
    """Each cell runs, with no network and no error or warning, and shows what its text promises."""
    home, executed = desk / ".idxflow", desk / "executed.ipynb"
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), NOWHERE) | {
        "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1",
    }  # fmt: skip
    environment = bare_environment(PYTHONPATH=str(PROJECT), HOME=str(desk), IDXFLOW_HOME=str(home), **proxies)
    try:
        run_python("-m", "jupyter", "execute", str(TUTORIAL), f"--output={executed}", cwd=desk, environment=environment)
    finally:
        stop_server(home)
    outputs = {cell.id: cell.outputs for cell in read_notebook(executed).cells if cell.cell_type == "code"}
    kinds = {(output.output_type, output.get("name", "")) for each in outputs.values() for output in each}
    assert kinds == {("execute_result", ""), ("stream", "stdout")}
    for name, words in SHOWN.items():
        assert words in outputs[name][-1]["data"]["text/html"], name
    found = re.match(r"(\d\d\.\d\d)% of 297 test images are right", outputs["metrics"][0].text)
    assert found, outputs["metrics"]
    assert 85 < float(found[1]) < 95
    runs = open_store(home).runs()
    assert [run.state for run in runs] == ["completed", "completed"]
    computed = [row.stage for row in runs[0].record.stages if not row.cached]
    assert computed == ["train", "evaluate", "report"]
