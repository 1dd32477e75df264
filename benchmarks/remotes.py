"""Remotes: 2 GB pushed and pulled beside a plain copy by obstore, and 10,000 small artifacts, on the loopback."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from artifacts.store.store import Store
from benchmarks.bucket import NAME, serving
from benchmarks.carrier import FILE, PLAIN, STAGE, Carried, Journey, make_large, make_many
from benchmarks.harness import Goal, Result, Setting, ratio, summarize
from benchmarks.processes import clean_environment, run_process
from schemas.errors import StageError
from schemas.remote import RemotePlace

MB = 10**6
KEYS = {"AWS_ACCESS_KEY_ID": "BENCH", "AWS_SECRET_ACCESS_KEY": "no secret of anybody"}
PUSH, PUT, PULL, GET = "push", "obstore's put", "pull", "obstore's get"
PUSH_MANY, PULL_MANY = "push of many", "pull of many"
KINDS = {PUSH: "push", PUT: "put", PULL: "pull", GET: "get", PUSH_MANY: "push many", PULL_MANY: "pull many"}


def travel(kind: str, home: Path, place: RemotePlace) -> Carried:
    """Carry something in a process of its own. Raises: StageError: nothing came."""
    journey = Journey.model_validate({"kind": kind, "home": home, "place": place})
    command = [sys.executable, "-m", "benchmarks.carrier", journey.model_dump_json()]
    carried = Carried.model_validate_json(run_process(command, clean_environment() | KEYS))
    if not carried.moved:
        raise StageError(kind, expected="something to be carried", found="nothing", way_out="Run it by hand.")
    return carried


def place_at(address: str, prefix: str) -> RemotePlace:
    """Return a remote of its own in the bucket at an address."""
    return RemotePlace(url=f"s3://{NAME}/{prefix}", endpoint=address, region="us-east-1")


def measure_large(setting: Setting, size: int) -> Result:
    """
    Measure an artifact of one file of so many bytes, there and back, beside the same file by obstore's own calls.

    Each turn has a bucket of its own, and what is fetched is what was put just before.
    """
    peaks, times = list[int](), {name: list[float]() for name in (PUSH, PUT, PULL, GET)}
    with TemporaryDirectory(dir=setting.work) as folder:
        here, back = Path(folder) / "here", Path(folder) / "back"
        version = make_large(Store(here), size)
        os.link(here / "artifacts" / STAGE / version / FILE, here / PLAIN)
        for turn in range(setting.repeats):
            with serving() as address:
                for name in ((PUSH, PUT), (PUT, PUSH))[turn % 2] + ((PULL, GET), (GET, PULL))[turn % 2]:
                    shutil.rmtree(back, ignore_errors=True)
                    back.mkdir()
                    ours = name in {PUSH, PULL}
                    home = here if name in {PUSH, PUT} else back
                    carried = travel(KINDS[name], home, place_at(address, "ours" if ours else "plain"))
                    times[name].append(carried.seconds)
                    setting.told(f"{name}, {carried.peak / MB:.0f} MB of memory", carried.seconds)
                    peaks += [carried.peak] if ours else []
    what = f"{size / 1e9:.1f} GB"
    at_least = Goal(0.8, at_least=True)
    return Result(
        times,
        [
            ratio(f"{what} pushed: rate beside obstore's put", times[PUT], times[PUSH], at_least),
            ratio(f"{what} pulled: rate beside obstore's get", times[GET], times[PULL], at_least),
            summarize(f"{what}: memory of push and of pull", "MB", [peak / MB for peak in peaks], Goal(300.0)),
        ],
    )


def measure_many(setting: Setting, count: int) -> Result:
    """Measure so many artifacts of 200 bytes, pushed from one home folder and pulled into another."""
    times = {name: list[float]() for name in (PUSH_MANY, PULL_MANY)}
    with TemporaryDirectory(dir=setting.work) as folder:
        here = Path(folder) / "here"
        make_many(Store(here), count)
        for turn in range(setting.repeats):
            with serving() as address:
                homes = {PUSH_MANY: here, PULL_MANY: Path(folder) / f"back-{turn}"}
                for name, home in homes.items():
                    carried = travel(KINDS[name], home, place_at(address, "many"))
                    if carried.moved < count:
                        expected, found = f"{count} artifacts carried", str(carried.moved)
                        raise StageError(name, expected=expected, found=found, way_out="Run it by hand.")
                    times[name].append(carried.seconds)
                    setting.told(f"{name}, {count / carried.seconds:.0f} a second", carried.seconds)
                shutil.rmtree(homes[PULL_MANY])
    at_least = Goal(500.0, at_least=True)
    return Result(
        times,
        [
            summarize(
                f"{count:,} small artifacts {word}, a second", "", [count / each for each in times[name]], at_least
            )
            for name, word in ((PUSH_MANY, "pushed"), (PULL_MANY, "pulled"))
        ],
    )
