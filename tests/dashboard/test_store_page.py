"""The page of a store in a real browser, without a network: sorted, filtered, drawn, on a phone, dark and printed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from artifacts.archive.runs import read_history
from artifacts.store.store import Store
from idxflow.views.store_page import store_page
from tests.idxflow.histories import write_year

pytestmark = pytest.mark.slow
RUNS = 1000


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a store with a thousand runs, as a file."""
    store = Store(tmp_path_factory.mktemp("store"))
    write_year(store, RUNS)
    path = store.home / "page.html"
    made = store_page(store, read_history(store), datetime.now(UTC), store.home, "store")
    path.write_text(made.html, encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser without a network, in which nothing may go wrong."""
    context = browser.new_context(viewport={"width": 1280, "height": 1600}, offline=True)
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


def shown(page: Page, column: int) -> list[str]:
    """Return the texts of a column in the rows that are to be seen."""
    read = "(rows, at) => rows.filter((row) => !row.hidden).map((row) => row.cells[at].textContent.trim())"
    found: list[str] = page.locator("table.runs tbody tr").evaluate_all(read, column)
    return found


def accuracies(page: Page) -> list[float]:
    """Return the test accuracies that are to be seen, in their order."""
    return [float(text.split()[0]) for text in shown(page, 5) if text]


def test_the_table_is_sorted_by_a_column(page: Page) -> None:
    """A click sorts by accuracy from the highest on, another one the other way around; runs without one stay last."""
    head = page.get_by_role("columnheader", name="Test", exact=True)
    head.get_by_role("button").click()
    found = accuracies(page)
    assert len(found) > 900
    assert found == sorted(found, reverse=True)
    assert shown(page, 5)[-1] == ""
    expect(head).to_have_attribute("aria-sort", "descending")
    head.get_by_role("button").click()
    assert accuracies(page) == sorted(found)
    assert shown(page, 5)[-1] == ""


def test_a_run_is_sorted_by_when_it_began(page: Page) -> None:
    """The newest stands first; a click on its column turns that around."""
    first = shown(page, 2)
    assert first[0] > first[-1]
    page.get_by_role("columnheader", name="When").get_by_role("button").click()
    assert shown(page, 2) == first[::-1]


def test_the_table_is_filtered(page: Page) -> None:
    """Words, bounds and choices leave the runs for which all of them hold, and their number is told."""
    page.get_by_label("Search").fill("hidden=[100,50] test>96")
    assert set(shown(page, 3)) == {"mnist"}
    assert all("hidden=[100,50]" in text for text in shown(page, 4))
    assert min(accuracies(page)) >= 96  # 96.004 is shown as 96.00
    expect(page.locator("#count")).to_have_text(f"{len(shown(page, 0))} of 1,000")
    page.get_by_label("Search").fill("")
    page.get_by_label("State").select_option("failed")
    assert set(shown(page, 10)) == {"failed"}
    page.get_by_label("Data set").select_option("digits")
    assert set(shown(page, 3)) == {"digits"}
    page.get_by_label("Search").fill("nothing like this")
    expect(page.get_by_text("No run is left by this filter.")).to_be_visible()
    assert shown(page, 0) == []


def test_accuracy_over_time_follows_the_filter(page: Page) -> None:
    """A chart for each data set, a point for each completed run with its interval; of what is filtered alone."""
    charts = page.locator("#charts figure")
    expect(charts).to_have_count(3)
    points, intervals = page.locator("#charts circle.point"), page.locator("#charts line.interval")
    assert points.count() == intervals.count() == len(accuracies(page))
    page.get_by_label("Data set").select_option("digits")
    expect(charts).to_have_count(1)
    assert points.count() == len(accuracies(page))
    best = page.locator("#charts circle.best title").text_content()
    assert f"{max(accuracies(page)):.2f}" in str(best)


def test_learning_curves_of_chosen_runs_lie_over_each_other(page: Page) -> None:
    """Boxes and points choose runs, eight at most; each has a line, an entry with its figure, and a way out."""
    lines, chosen = page.locator("#curve polyline"), page.locator("#chosen li")
    expect(lines).to_have_count(4)
    boxes = page.locator("table.runs tbody input[type=checkbox]")
    for place in range(40, 44):
        boxes.nth(place).check()
    expect(lines).to_have_count(8)
    expect(boxes.nth(50)).to_be_disabled()
    chosen.nth(0).get_by_role("button").click()
    expect(lines).to_have_count(7)
    expect(boxes.nth(50)).to_be_enabled()
    figure = chosen.nth(0).locator(".value")
    expect(figure).to_contain_text("%")
    page.get_by_label("Of the").select_option("loss")
    expect(figure).not_to_contain_text("%")
    expect(lines).to_have_count(7)
    page.locator("#charts circle.best").first.click()
    expect(lines).to_have_count(8)


def test_a_report_is_a_click_away(page: Page) -> None:
    """The link of a run leads to its report, in the store beside the page."""
    page.locator("table.runs a").first.click()
    page.wait_for_url("**/report.html")
    assert page.title().startswith("report of")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off(browser: Browser, address: str, screenshots: Path, width: int, scheme: str) -> None:
    """On a phone and on a desk, light and dark: no figure is beyond the edge, and each run's accuracy is in view."""
    context = browser.new_context(viewport={"width": width, "height": 2000}, color_scheme=scheme, offline=True)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.locator("#runs .scroll").evaluate("box => box.scrollWidth - box.clientWidth") == 0
    place = page.locator("table.runs tbody tr").first.locator("td.number").first.bounding_box()
    assert place
    assert place["x"] + place["width"] <= width
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    page.screenshot(path=screenshots / f"store-page-{scheme}-{width}.png")
    context.close()


def test_a_printed_page_has_all_rows_and_no_controls(page: Page, screenshots: Path) -> None:
    """On paper the table is as long as it is, and what cannot be pressed there is not there."""
    page.emulate_media(media="print")
    expect(page.get_by_label("Search")).to_be_hidden()
    assert page.locator("#runs .scroll").evaluate("box => box.scrollHeight - box.clientHeight") <= 1
    expect(page.locator("#charts circle.point").first).to_be_visible()
    page.screenshot(path=screenshots / "store-page-printed.png")


def test_without_its_script_the_page_says_the_same(browser: Browser, address: str) -> None:
    """The table stands in the file; what needs the script is not shown."""
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto(address)
    expect(page.locator("table.runs tbody tr")).to_have_count(RUNS)
    expect(page.locator("#words")).to_be_hidden()
    expect(page.locator("#charts")).to_be_hidden()
    context.close()
