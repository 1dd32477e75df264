"""The automations on a real server: made, found again, and left to whom they belong."""

from __future__ import annotations

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.events.schemas.automations import AutomationCore

from idxflow.deploying.deployments import AUTOMATIONS_FILE, described, put_automations

pytestmark = pytest.mark.usefixtures("prefect_server")
GIVEN = {each["name"]: each for each in yaml.safe_load(AUTOMATIONS_FILE.read_text())["automations"]}


def test_none_acts_unasked() -> None:
    """As it ships, each automation either only logs or is switched off."""
    assert len(GIVEN) == 3
    for each in GIVEN.values():
        assert not each["enabled"] or each["actions"] == [{"type": "do-nothing"}]


def test_heartbeats_may_be_missed_three_times() -> None:
    """The bound for silence is longer than three heartbeats, and holds for runs with the tag of prefect.yaml alone."""
    (trigger,) = (each["trigger"] for each in GIVEN.values() if each["trigger"]["posture"] == "Proactive")
    for each in described():
        assert trigger["within"] > 3 * int(each.work_pool.job_variables["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"])
        assert trigger["match_related"]["prefect.resource.id"].removeprefix("prefect.tag.") in each.tags


def test_a_second_time_changes_nothing_and_keeps_what_a_person_changed() -> None:
    """They are made once; later the trigger is the file's, but switch and actions are the person's."""
    with get_client(sync_client=True) as client:
        assert put_automations(client) == (3, 0)
        name = next(iter(GIVEN))
        (mine,) = client.read_automations_by_name(name)
        actions = [{"type": "do-nothing"}, {"type": "cancel-flow-run"}]
        fields = set(AutomationCore.model_fields) - {"owner_resource"}
        changed = {"enabled": False, "actions": actions, "description": ""}
        theirs = AutomationCore.model_validate(mine.model_dump(mode="json", include=fields) | changed)
        client.update_automation(mine.id, theirs)
        assert put_automations(client) == (0, 3)
        (after,) = client.read_automations_by_name(name)
        assert (after.id, after.enabled) == (mine.id, False)
        assert [action.type for action in after.actions] == ["do-nothing", "cancel-flow-run"]
        assert after.description == GIVEN[name]["description"]
        for each in GIVEN:
            (found,) = client.read_automations_by_name(each)
            client.delete_automation(found.id)
