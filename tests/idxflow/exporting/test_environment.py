"""The bill of materials: what is installed, the same each time, and nothing of whose machine it is."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import distributions, version
from pathlib import Path

import pytest

from artifacts.store.store import Store
from idxflow.exporting.environment import list_environment
from idxflow.exporting.export import export
from tests.artifacts.archive.making import stored
from tests.idxflow.exporting.model_line import model_line
from tests.processes import PROJECT


def test_it_lists_what_is_installed(store: Store, desk: Path) -> None:
    """Every installed package stands in it with its version, and an export with it has it in its sums and its card."""
    export(store, stored(store, model_line(store)["train"]), desk / "model", sbom=True)
    bill = json.loads((desk / "model" / "sbom.cdx.json").read_bytes())
    listed = {component["name"]: component["version"] for component in bill["components"]}
    assert set(listed) == {each.metadata["Name"] for each in distributions()}
    assert listed["numpy"] == version("numpy")
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    for name in ("SHA256SUMS", "README.md"):
        assert "sbom.cdx.json" in (desk / "model" / name).read_text()


def test_it_is_the_same_each_time_and_tells_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of them are equal, whatever date the environment gives, and hold no path, number of their own or moment."""
    first = list_environment()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    assert list_environment() == first
    bill = json.loads(first)
    assert "serialNumber" not in bill
    assert "timestamp" not in bill["metadata"]
    for private in (b"file:", str(PROJECT).encode(), sys.prefix.encode(), str(Path.home()).encode() + b"/"):
        assert private not in first


@pytest.mark.slow
def test_it_keeps_to_the_schema(tmp_path: Path) -> None:
    """CycloneDX's own schema accepts it."""
    (tmp_path / "sbom.cdx.json").write_bytes(list_environment())
    script = """
import sys
from pathlib import Path
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(Path(sys.argv[1]).read_text())
sys.exit(found and str(found))
"""
    command = [sys.executable, "-c", script, str(tmp_path / "sbom.cdx.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
