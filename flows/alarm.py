"""The alarm that a model is not good enough: a warning in the run, and an event that an automation can act on."""

from __future__ import annotations

import logging
from pathlib import Path

from prefect.client.schemas.objects import FlowRun
from prefect.events import emit_event

from schemas.results import Metrics
from schemas.text import share

BELOW_BOUND = "idxflow.accuracy-below-bound"
"""The name of the event."""
logger = logging.getLogger("idxflow.dashboard")


def sound_alarm(metrics: Path, bound: float, flow_run: FlowRun, dataset: str, profile: str) -> None:
    """
    Warn and emit the event, if the test accuracy is below the bound.

    Args:
        metrics: path of evaluate's `metrics.json`.
        bound:   in [0, 1].
    """
    accuracy = Metrics.model_validate_json(metrics.read_bytes()).test.accuracy
    if accuracy >= bound:
        return
    logger.warning(
        "test accuracy: expected at least %s (alert_below), found %s. `idxflow compare` tells what differs from an "
        "earlier run.",
        share(bound),
        share(accuracy),
    )
    deployment = {
        "prefect.resource.id": f"prefect.deployment.{flow_run.deployment_id}",
        "prefect.resource.role": "deployment",
    }
    emit_event(
        BELOW_BOUND,
        resource={
            "prefect.resource.id": f"prefect.flow-run.{flow_run.id}",
            "prefect.resource.name": f"{dataset} / {profile}",
        },
        related=[deployment] if flow_run.deployment_id else [],
        payload={"accuracy": accuracy, "bound": bound, "dataset": dataset, "profile": profile},
    )
