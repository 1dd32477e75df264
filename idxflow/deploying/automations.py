"""The automations of automations.yaml on a server: made where they are missing, updated where they are there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

AUTOMATIONS_FILE = Path(__file__).with_name("automations.yaml")


def put_automations(client: SyncPrefectClient, file: Path = AUTOMATIONS_FILE) -> tuple[int, int]:
    """
    Make or update each automation of the file; by name, so that a second time changes nothing.

    What a person has changed stays: whether it is switched on, and its actions, where a notification goes.

    Returns: how many were made, and how many were there.
    """
    from prefect.events.schemas.automations import AutomationCore

    made = there = 0
    for given in yaml.safe_load(file.read_text("utf-8"))["automations"]:
        wanted = AutomationCore.model_validate(given)
        if not (found := client.read_automations_by_name(wanted.name)):
            client.create_automation(wanted)
            made += 1
        for each in found:  # `prefect automation create` twice makes two of a name
            kept = wanted.model_copy(update={"enabled": each.enabled, "actions": each.actions})
            client.update_automation(each.id, kept)
        there += bool(found)
    return made, there
