"""The report in a real browser, without a network: a cell of the confusion matrix opens its images, on any screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.tasks.report_inputs import build_inputs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of the digits, as a file."""
    folder = tmp_path_factory.mktemp("report")
    build_inputs(folder / "home").report(folder / "out")
    return (folder / "out" / "report.html").as_uri()


@pytest.fixture(params=[390, 1280])
def context(request: pytest.FixtureRequest, browser: Browser) -> Iterator[BrowserContext]:
    """A browser of a phone's or a desk's width, in which nothing may go wrong."""
    context = browser.new_context(viewport={"width": request.param, "height": 900}, offline=True)
    problems: list[str] = []
    context.on("weberror", lambda error: problems.append(str(error.error)))
    context.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    yield context
    context.close()
    assert not problems, problems


@pytest.fixture
def page(context: BrowserContext, address: str) -> Page:
    """The page."""
    page = context.new_page()
    page.goto(address)
    return page


def test_a_cell_opens_its_images(page: Page, screenshots: Path) -> None:
    """None is open at first; a click on a cell shows as many images as it counts, each drawn; another cell its own."""
    expect(page.locator(".cell").filter(visible=True)).to_have_count(0)
    cells = page.locator("table.matrix a")
    assert cells.count() > 5
    for cell in (cells.first, cells.last):
        count = int(cell.inner_text())
        cell.click()
        expect(page.locator(".cell").filter(visible=True)).to_have_count(1)
        images = page.locator(".cell img").filter(visible=True)
        expect(images).to_have_count(count)
        drawn = "images => images.every((image) => image.complete && image.naturalWidth === 8)"
        page.wait_for_function(f"({drawn})([...document.querySelectorAll('.cell:target img')])")
    width = page.viewport_size["width"] if page.viewport_size else 0
    page.locator("#confusion").screenshot(path=screenshots / f"report-cell-{width}.png")


def test_it_is_as_wide_as_the_screen(page: Page) -> None:
    """The page scrolls down alone, also with a cell open, and the whole matrix of ten classes is to be seen."""
    page.locator("table.matrix a").first.click()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("table.matrix").evaluate("table => table.scrollWidth <= table.parentElement.clientWidth")
