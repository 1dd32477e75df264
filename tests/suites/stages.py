"""Stages of every behaviour, without Prefect, which workers need not import."""

from __future__ import annotations

import logging
import os
import signal
import time
from pathlib import Path

from artifacts.ref import Ref
from artifacts.stage import stage
from schemas.errors import BadIdx, TrainingDiverged
from schemas.events import Progress, emit
from schemas.parameters import Summary
from schemas.training import Training

STEPS = 30
"""Steps of what is slow; each is a twentieth of a second."""
ENDLESS = 4000
"""Steps of what is endless."""
MEMORY = 4 * 2**30
"""Bytes that the workers of a test may take together."""


def note(where: str, what: str) -> None:
    """Add a line to a file, at once."""
    with Path(where).open("a") as file:
        file.write(f"{what} {os.getpid()}\n")


@stage("parse", name="{name}")
def make(name: str, out: Path) -> Summary:
    """Make a file."""
    if name.startswith("bad"):
        raise BadIdx(name, expected="good", found="bad", way_out="Do not ask for it.")
    (out / "file").write_text(name)
    return Summary()


@stage("train", name="its own {number}", on_main_thread=True)
def trial(table: Ref, number: int, how: str, notes: str, training: Training, out: Path) -> Summary:
    """
    Be a training of some kind.

    Args: how: fine, odd, diverges, foreign, full, slow, endless, dies, dies so often.  notes: a file.
    """
    note(notes, f"trial {number}")
    text = table.file().read_text()
    match how.split():
        case ["odd"]:
            logging.getLogger("idxflow.test").warning("trial %d is odd", number)
        case ["diverges"]:
            raise TrainingDiverged(f"trial {number}", expected="figures", found="NaN", way_out="Take smaller steps.")
        case ["foreign"]:
            raise LookupError("something of a library's")
        case ["full"]:
            raise OSError(28, "No space left on device")
        case ["slow" | "endless"]:
            steps = STEPS if how == "slow" else ENDLESS
            for step in range(steps):
                emit(Progress("train", "epochs", step + 1, steps, {"loss": 1 / (step + 1)}))
                time.sleep(0.05)
        case ["dies", *times]:
            begun = Path(notes).read_text().count(f"trial {number} ")
            if begun <= int(*times or (99,)):
                time.sleep(0.1)  # what says that it has begun is on its way
                os.kill(os.getpid(), signal.SIGKILL)
    (out / "file").write_text(f"{text} {number}")
    (out / "memory").write_text(str(training.memory))
    return Summary(content={"memory": "0" * 64})


def call_of(table: object, number: int, how: str, notes: str) -> dict[str, object]:
    """Return the arguments of a trial."""
    return {"table": table, "number": number, "how": how, "notes": notes, "training": Training()}
