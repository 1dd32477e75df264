"""A sweep in a store, as its run leaves one: trials, some of them pruned, the tests of the winner, and the study."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from artifacts.ref import Ref
from artifacts.store.disk import disk
from artifacts.store.files import write_atomically
from artifacts.store.store import Store
from flows.run_record import RunRecord, StudyFacts
from schemas.training import HISTORY, Training
from schemas.tuning import TRIAL, WINNER
from tasks.study import study
from tests.artifacts.archive.history import stage_record, write_run
from tests.artifacts.archive.making import make
from tests.tasks.sweeps import sweep

RUN = "5eed" * 3


def write_sweep(
    store: Store, run: str = RUN, *, trials: int = 8, pruned: int = 2, failed: int = 1, tests: int = 1, minute: int = 0,
    dataset: str = "digits", seed: int = 7, **given: Any,
) -> tuple[RunRecord, Ref]:  # fmt: skip
    """Write what a run that tuned leaves, its record too. Returns: that, and the study."""
    with TemporaryDirectory() as folder:
        arguments = sweep(Path(folder), trials, pruned=pruned, failed=failed, tests=tests, seed=seed, **given)
        table = make(store, "parse", "train", files={"table.parquet": b"the table"})
        rows, trained = [stage_record(table)], list[Ref]()
        told = [each for each in arguments["trials"].told if each.state != "failed"]
        for each, ref in zip(told, arguments["trained"], strict=True):
            files = {HISTORY: ref.file(HISTORY).read_bytes()}
            # Trials that ended early are begun, and a trial that goes on was begun before.
            stages = [ref.stage] if ref.stage == "begin" or not pruned else ["begin", ref.stage]
            for stage in stages:
                values = {"training": {"seed": seed, "number": each.number, "stage": stage}}
                made = make(store, stage, inputs={"table": table}, parameters=values, files=files)
                rows.append(stage_record(made).model_copy(update={"name": f"{TRIAL}{each.number}"}))
            trained.append(made)
        refs, history = dict[str, list[Ref]](), files[HISTORY]
        for kind, called in (("", WINNER), ("own_", "own ")):
            refs[f"{kind}models"] = [
                make(
                    store, "train", inputs={"table": table}, parameters={"of": called, "at": at, "seed": seed},
                    files={"model.keras": f"{called} {at} {seed}".encode(), HISTORY: history},
                )
                for at in range(tests)
            ]  # fmt: skip
            refs[f"{kind}scores"] = [
                make(
                    store, "evaluate", inputs={"model": model},
                    files={path.name: path.read_bytes() for path in scores.file("metrics.json").parent.iterdir()},
                )
                for model, scores in zip(refs[f"{kind}models"], arguments[f"{kind}scores"], strict=True)
            ]  # fmt: skip
            for each in (*refs[f"{kind}models"], *refs[f"{kind}scores"]):
                rows.append(stage_record(each).model_copy(update={"name": f"{called}seed {len(rows)}"}))
        bound = {
            name: [ref.at(store.folder(ref.stage, ref.version)) for ref in each]
            for name, each in {"trained": trained, **refs}.items()
        }
        (out := Path(folder) / "out").mkdir()
        summary = study.function(**(arguments | bound), out=out)
        found = make(
            store, "study", inputs={"trained": trained, **refs}, parameters={"rules": arguments["rules"]},
            files={path.name: path.read_bytes() for path in out.iterdir()}, summary=summary.model_dump(mode="json"),
        )  # fmt: skip
    rows.append(stage_record(found))
    training: Training = arguments["training"]
    record = write_run(
        store, run, rows, minute=minute, dataset=dataset, dataset_id=f"{dataset}-tune", training=training
    )
    facts = StudyFacts.of(found.at(store.folder("study", found.version)), "1" * 16)
    record = record.model_copy(
        update={"metrics": {}, "report": None, "model": None, "study": facts, "sweep": {"trials": trials}}
    )
    with disk(store.runs):
        write_atomically(store.runs / f"{run}.json", record.model_dump_json(indent=2).encode())
    return record, found
