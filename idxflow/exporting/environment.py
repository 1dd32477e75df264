"""
The bill of materials: every package of this interpreter's environment, as CycloneDX, by cyclonedx-bom.

It is made from what is installed: from a file of requirements it would list what another system would install. The same
environment gives the same bytes: no date, no number of its own, and no path or address of this machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from idxflow.exporting.formats.form import require
from schemas.errors import StoreError

BILL = "sbom.cdx.json"
OPTION = "--sbom"
SPEC = "1.6"
"""Version of CycloneDX."""
TELLABLE = ("http://", "https://", "mailto:")
"""Beginnings of references that lead nowhere on this machine."""
PLACE = "PackageSource"
"""Beginning of the comment of a reference to where a package was installed from: perhaps a folder, or an own index."""


def require_bill() -> None:
    """Check that cyclonedx-bom is installed. Raises: UsageError: it is not."""
    require(OPTION, ("cyclonedx_py",))


def list_environment() -> bytes:
    """
    Return the bill of materials of this interpreter, JSON.

    Raises: StoreError: cyclonedx-bom failed.
    """
    # Not validated here, which takes 13 s: a test does it.
    options = ["--output-reproducible", "--no-validate", "--spec-version", SPEC, "--output-format", "JSON"]
    # A date in the environment would be taken over.
    plain = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    # -P: nothing of the working folder is taken for the package.
    command = [sys.executable, "-P", "-m", "cyclonedx_py", "environment", *options, "--output-file", "-"]
    done = subprocess.run(command, env=plain, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StoreError(
            f"{OPTION}: the bill of materials",
            expected="cyclonedx-bom to list what is installed",
            found=(done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1],
            way_out=f"Leave out {OPTION}. Nothing was exported.",
        )
    bill = json.loads(done.stdout)
    for component in bill["components"]:
        _forget_places(component)
    return f"{json.dumps(bill, indent=2, ensure_ascii=False)}\n".encode()


def _forget_places(component: dict[str, Any]) -> None:
    """Take out where a package was installed from, and any reference to a file."""
    kept = [each for each in component.pop("externalReferences", []) if _tellable(each)]
    if kept:
        component["externalReferences"] = kept
    if "purl" in component:
        component["purl"] = component["purl"].partition("?")[0]


def _tellable(reference: Mapping[str, str]) -> bool:
    return reference["url"].startswith(TELLABLE) and not reference.get("comment", "").startswith(PLACE)
