"""A finished run on the disk, as the lower floors leave one."""

from __future__ import annotations

from pathlib import Path

from artifacts.environment import current_environment
from artifacts.keys import KeyParts, content_digest
from artifacts.manifest import Manifest
from artifacts.run_record import StageRecord
from flows.run_record import RunRecord, Score
from schemas.held_out import HeldOut
from schemas.results import Caveat, ClassMetrics, Metrics, SplitMetrics
from schemas.training import Training


def record_run(
    home: Path, *, state: str = "completed", warnings: tuple[str, ...] = (), caveats: tuple[Caveat, ...] = ()
) -> RunRecord:
    """Write the artifacts of a run that a summary reads, and the run's record."""
    stages = tuple(
        StageRecord(
            stage=stage,
            name=name,
            version=digit * 16,
            cached=stage == "parse",
            seconds=1.5,
            bytes=1000,
            path=str(home / "artifacts" / stage / (digit * 16)),
        )
        for stage, name, digit in (("parse", "train", "1"), ("train", "", "2"), ("evaluate", "", "3"))
    )
    for stage in stages:
        Path(stage.path).mkdir(parents=True)
    split = SplitMetrics(
        samples=1500,
        accuracy=0.98765,
        loss=0.05,
        classes=tuple(ClassMetrics(name=str(n), support=1, precision=1, recall=1, f1=1) for n in range(10)),
        confusion=(),
        halves=(1.0, 1.0),
        first_labels=(5, 0, 4),
        first_predictions=(5, 0, 9),
    )
    metrics = Metrics(train=split, test=split.model_copy(update={"samples": 297, "accuracy": 0.9}))
    (Path(stages[2].path) / "metrics.json").write_text(metrics.model_dump_json())
    parts = KeyParts(stage="parse", parameters={}, inputs={}, code={}, packages={})
    manifest = Manifest(
        stage="parse",
        name="train",
        version=parts.version,
        key=parts.key,
        parts=parts,
        inputs=(),
        files={},
        digest=content_digest({}),
        summary={"rows": 1500, "shape": [8, 8]},
        created="2026-01-01T00:00:00+00:00",
        seconds=1.0,
        environment=current_environment(),
        run="0" * 12,
        flow_run="",
    )
    (Path(stages[0].path) / "manifest.json").write_text(manifest.model_dump_json())
    done = state == "completed"
    record = RunRecord.model_validate(
        {
            "id": "0123456789ab",
            "dataset": "digits",
            "profile": "tutorial",
            "seed": 123,
            "state": state,
            "started": "2026-01-01T00:00:00+00:00",
            "seconds": 28.4,
            "stages": stages,
            "metrics": {split: Score(accuracy=score, loss=0.05) for split, score in (("train", 0.98765), ("test", 0.9))}
            if done
            else {},
            "caveats": caveats,
            "held_out": HeldOut(way="stratified", rows=150, of=1500) if done else None,
            "report": str(home / "artifacts/report/x/report.html") if done else None,
            "model": f"{stages[1].path}/model.keras" if done else None,
            "dashboard": "http://127.0.0.1:4200/runs/flow-run/x",
            "flow_run": "x",
            "training": Training(),
            "warnings": warnings,
            "error": None if done else "it broke",
        }
    )
    (home / "runs").mkdir()
    (home / "runs" / f"{record.id}.json").write_text(record.model_dump_json())
    return record
