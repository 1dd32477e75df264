"""A program that runs a small sweep, and prints each epoch of a trial as it hears of it: `trial 3 17`."""

from __future__ import annotations

import json
import sys

from flows.run_record import RunRecord
from flows.tuning import tuning
from schemas.events import Event, Progress, listening
from schemas.training import Training
from schemas.tuning import TRIAL, Sweep
from schemas.workers import Workers

TRAINING = Training(epochs=60, hidden=(40,))
SWEEP = Sweep(space={"learning_rate": "log:1e-3..1e-1", "hidden": "[40]|[60,40]|[200,100]"}, trials=4, round=2, seeds=1)


def tell(event: Event) -> None:
    """Print how far a trial is."""
    if isinstance(event, Progress) and event.unit == "epochs" and event.subject.startswith(TRIAL):
        sys.stdout.write(f"{event.subject} {event.done}\n")
        sys.stdout.flush()


def main() -> None:
    """Run the sweep; the only argument is its workers, as JSON."""
    workers = Workers.model_validate(json.loads(sys.argv[1]))
    with listening(tell):
        record: RunRecord = tuning(dataset="digits", training=TRAINING, sweep=SWEEP, workers=workers)
    sys.stdout.write(f"{record.state}\n")


if __name__ == "__main__":
    main()
