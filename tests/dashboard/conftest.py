"""What the tests of the dashboard share: a browser, and a real server on which real runs have been."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from flows.run_record import RunRecord
from tests.dashboard.looking import Look, Window
from tests.deployments.host import Host
from tests.deployments.site import QUICK, Site

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="session", autouse=True)
def chromium() -> str:
    """The browser's program."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not here; `make test-dashboard` installs it, and runs these tests")
    return CHROMIUM


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """A browser, for no longer than a module: meanwhile Playwright's event loop runs in this thread."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def screenshots(
    tmp_path_factory: pytest.TempPathFactory, record_testsuite_property: Callable[[str, object], None]
) -> Path:
    """The folder of the pictures: IDXFLOW_SCREENSHOTS, else a temporary one, which the test report names."""
    chosen = os.environ.get("IDXFLOW_SCREENSHOTS")
    folder = Path(chosen).absolute() if chosen else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    record_testsuite_property("screenshots", str(folder))
    return folder


@pytest.fixture(scope="session")
def site(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A home folder with a server of its own."""
    folder = tmp_path_factory.mktemp("dashboard")
    with Host(folder / "home") as host, Site(host.start().api, folder, host.password) as site:
        yield site


@pytest.fixture(scope="session")
def first(site: Site) -> RunRecord:
    """The first run, by `idxflow run`: the bundled digits, with the tutorial's network."""
    return site.run("--dataset", "digits")


@pytest.fixture(scope="session")
def deployments(site: Site, first: RunRecord) -> dict[str, UUID]:
    """The ids of the deployments, by name, while `idxflow up` takes their runs."""
    site.up()
    return {name: site.client.read_deployment_by_name(f"idxflow/{name}").id for name in ("nightly", "on-demand")}


@pytest.fixture(scope="session")
def second(site: Site, deployments: dict[str, UUID]) -> RunRecord:
    """A deployed run, of few epochs."""
    found = site.request("on-demand", QUICK)
    site.wait(found, "Completed")
    return site.record(found)


@pytest.fixture
def look(browser: Browser, site: Site, screenshots: Path) -> Iterator[Window]:
    """Open windows, in which nothing may have gone wrong in the end."""
    opened: list[Look] = []

    def open_window(theme: str = "dark", width: int = 1400, *, known: bool = True) -> Look:
        password = site.password if known else None
        opened.append(Look(browser, site.api.removesuffix("/api"), screenshots, theme, width, password))
        return opened[-1]

    yield open_window
    for window in opened:
        window.close()
