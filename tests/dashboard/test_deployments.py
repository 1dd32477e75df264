"""What a person sees of the deployments in Prefect's dashboard, and of the runs that are started there."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import expect

from flows.differing import differing, in_words
from flows.pipeline import pipeline
from flows.run_record import RunRecord
from idxflow.deploying.deployments import described
from schemas.text import share
from schemas.training import Training
from tests.dashboard.looking import Look, Window
from tests.deployments.site import Site

pytestmark = pytest.mark.slow


def flow_run_name(record: RunRecord) -> str:
    """Return the name that the dashboard has for a run."""
    told = (record.profile, in_words(differing(record.training)), share(record.metrics["test"].accuracy))
    return " / ".join(filter(None, ("digits", *told)))


def start(window: Look) -> UUID:
    """Submit the form, go to the run that comes of it, and return its id."""
    assert window.submit() == 201
    window.page.get_by_role("button", name="View run").last.click()
    window.page.wait_for_url("**/flow-run/**")
    return UUID(window.page.url.partition("?")[0].rpartition("/")[2])


def test_a_deployment_says_what_it_does_and_when(look: Window, deployments: dict[str, UUID]) -> None:
    """The nightly one has its description, tags and limit, and a schedule with its hour and time zone."""
    (nightly,) = (each for each in described() if each.name == "nightly")
    window = look()
    window.open(f"/deployments/deployment/{deployments['nightly']}", "Description")
    window.sees(nightly.description, *nightly.tags, "Concurrency Limit", "Ready")
    window.keep("deployment")
    window.page.locator(".deployment-schedule-card__content").hover()
    window.sees(re.compile(r"At 03:00 AM every day.*Europe/Paris"))
    window.keep("schedule")


def test_the_form_explains_itself(look: Window, deployments: dict[str, UUID]) -> None:
    """Each parameter and field stands there by name, with its help, and with its default if the profiles have one."""
    window = look()
    window.open(f"/deployments/deployment/{deployments['on-demand']}/run")
    for name, described_as in pipeline.parameters.properties.items():
        window.sees(f"{name} (Optional)", described_as["description"])
    fields: dict[str, Any] = (pipeline.parameters.definitions or {})["Training"]["properties"]
    for name, field in fields.items():
        label = name.replace("_", " ").title()
        window.sees(f"{label} (Optional)", field["description"])
        default = field.get("default")
        offered = [shown for shown in window.offers(label) if shown]
        assert [type(default)(shown) for shown in offered] == ([] if default is None else [default])
    window.keep("form")


def test_a_wrong_value_is_refused_by_the_form(look: Window, deployments: dict[str, UUID], site: Site) -> None:
    """Of zero epochs no run comes; the dashboard names the field and what is wrong with it."""
    window = look()
    window.open(f"/deployments/deployment/{deployments['on-demand']}/run")
    window.field("Epochs").fill("0")

    def begun() -> set[UUID]:
        """Its runs; those of the nightly one are planned meanwhile."""
        wanted = deployments["on-demand"]
        return {run.id for run in site.client.read_flow_runs() if run.deployment_id == wanted}

    before = begun()
    assert window.submit() == 409
    window.sees(re.compile("Validation failed for field 'training.epochs'.*0 is less than the minimum of 1"))
    window.keep("refused")
    assert begun() == before
    (refusal,) = window.problems
    assert "409 (Conflict)" in refusal
    window.problems.clear()


def test_a_run_is_started_from_the_form(
    look: Window, second: RunRecord, deployments: dict[str, UUID], site: Site
) -> None:
    """It runs with what was filled in; where all is stored, each task is Cached, and tags and log say so."""
    window = look()
    window.open(f"/deployments/deployment/{deployments['on-demand']}/run")
    window.page.get_by_role("button", name="str", exact=True).first.click()
    window.field("dataset").fill("digits")
    window.field("Epochs").fill(str(second.training["epochs"]))
    started = start(window)
    window.sees("deployed", "nothing-changed", flow_run_name(second))
    window.sees("Nothing changed: all 20 stages cached.")
    window.open(f"/runs/flow-run/{started}", "Task Runs")
    window.sees("20 Task runs")
    expect(window.page.locator(".p-tabs").get_by_text("Cached", exact=True).filter(visible=True)).to_have_count(20)
    window.keep("cached")
    assert all(stage.cached for stage in site.record(started).stages)


def test_the_profile_that_is_chosen_is_trained(
    look: Window, first: RunRecord, deployments: dict[str, UUID], site: Site
) -> None:
    """With another profile chosen and one field filled in, all else of the training is as that profile has it."""
    window = look()
    window.open(f"/deployments/deployment/{deployments['on-demand']}/run")
    window.page.get_by_role("button", name="str", exact=True).first.click()
    window.field("dataset").fill("digits")
    window.choose("Profile", "tuned")
    window.keep("tuned")
    window.field("Epochs").fill("2")
    started = start(window)
    assert site.wait(started, "Completed", "Failed", "Crashed").name == "Completed"
    record = site.record(started)
    assert (record.profile, record.training) == ("tuned", Training(profile="tuned", epochs=2).model_dump(mode="json"))
    window.sees(flow_run_name(record))


def test_the_history_of_a_key_tells_the_accuracy(look: Window, first: RunRecord, second: RunRecord) -> None:
    """All runs of a data set and profile stand under one key, each by a name that holds its accuracy."""
    assert flow_run_name(first) != flow_run_name(second)
    window = look()
    window.open("/artifacts")
    window.sees("metrics-digits-tutorial", "summary-digits-tutorial")
    window.keep("artifacts")
    window.follow("metrics-digits-tutorial")
    window.sees("Created metrics-digits-tutorial", flow_run_name(first), flow_run_name(second))
    window.keep("history")
