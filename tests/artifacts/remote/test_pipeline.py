"""The whole pipeline of two hosts that share a remote: what the one has computed the other never does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from artifacts.remote.opening import VARIABLES
from artifacts.store.store import Store
from tests.artifacts.remote.server import Bucket, bucket
from tests.processes import PROJECT, run_python, served_environment

__all__ = ["bucket"]
QUICK = ("run", "--json", "--dataset", "digits", "--set", "training.epochs=2")


def idxflow(home: Path, bucket: Bucket, *words: str) -> Any:
    """Run a command in a process of its own. Returns: the JSON document that it prints."""
    place = {VARIABLES["url"]: str(bucket.place.url), VARIABLES["endpoint"]: bucket.address}
    keys = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "not-a-secret-of-anybody"}
    environment = served_environment(
        **place, **keys, AWS_REGION="us-east-1", IDXFLOW_HOME=str(home), PYTHONPATH=str(PROJECT)
    )
    out, _ = run_python("-m", "idxflow", *words, cwd=home.parent, environment=environment)
    return json.loads(out)


@pytest.mark.slow
@pytest.mark.parametrize("runner", ["threads", "dask"])
def test_host_b_takes_everything_from_host_a(runner: str, prefect_server: None, bucket: Bucket, tmp_path: Path) -> None:
    """Every row of B's record is cached and says from where, with A's figures; a third host pulls A's run."""
    first = idxflow(tmp_path / "a", bucket, *QUICK, "--runner", runner)
    assert not any(row["cached"] for row in first["stages"])
    assert not first["warnings"]
    second = idxflow(tmp_path / "b", bucket, *QUICK, "--runner", runner)
    assert [(row["cached"], row["fetched"]) for row in second["stages"]] == [(True, bucket.place.url)] * len(
        first["stages"]
    )
    assert second["metrics"] == first["metrics"]
    content = [{(each.stage, each.version): each.digest for each in Store(tmp_path / h).manifests()} for h in "ab"]
    assert content[0] == content[1]
    moved = idxflow(tmp_path / "c", bucket, "remote", "pull", first["id"], "--json")
    assert {each["state"] for each in moved} == {"pulled"}
    assert idxflow(tmp_path / "c", bucket, "show", first["id"], "--json")["id"] == first["id"]
    assert idxflow(tmp_path / "c", bucket, "remote", "verify", "--json")["problems"] == []
