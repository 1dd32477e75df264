"""A person at Prefect's dashboard: opens pages in a real browser, reads what stands there, and keeps pictures of it."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import Protocol

import numpy as np
from matplotlib.image import imread
from numpy.typing import NDArray
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect

SECONDS = 30
TALL = 2400
"""Pixels; the dashboard scrolls a part of its window, so that a picture holds what the window shows."""
BUSY = 503
"""Prefect's answer when its SQLite database is busy: its pages ask again, and a person presses the button again."""
PREFECTS_OWN = re.compile(
    rf"status of {BUSY}"
    r"|/(favicon[\w-]*|ico/undefined)\.(ico|svg)\)$"  # icons that its pages ask for and its server does not have
    r"|/FlowRunCreate-[\w-]+\.js\)$"  # the form writes down that it was refused
    r"|reading 'getBoundingClientRect'"  # the run's graph, when its page is left while it is drawn
)
"""Errors that come of no part of ours."""
expect.set_options(timeout=1000 * SECONDS)


class Look:
    """
    One window.

    Args:
        address: of the dashboard.
        folder:  for the pictures.
        theme:   the dashboard's, `dark` or `light`; the machine's own is the other one.
        width:   of the window, in pixels.
        password: with which the person has logged in before; None: not yet.
    """

    def __init__(
        self, browser: Browser, address: str, folder: Path, theme: str, width: int, password: str | None = None
    ) -> None:
        self.address, self.folder, self.name = address, folder, f"{theme}-{width}"
        self.problems: list[str] = []
        self._context = browser.new_context(
            viewport={"width": width, "height": TALL}, color_scheme="light" if theme == "dark" else "dark"
        )
        self._context.set_default_timeout(1000 * SECONDS)
        self._context.add_init_script(f"localStorage.setItem('color-scheme', JSON.stringify('{theme}'))")
        if password:
            self._context.add_init_script(f"localStorage.setItem('prefect-password', btoa('{password}'))")
        self.page: Page = self._context.new_page()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self._note(str(error)))

    def open(self, path: str, *tabs: str) -> None:
        """Open a page of the dashboard, and there the tabs of these names, one after the other."""
        self.page.goto(self.address + path)
        for name in tabs:
            self.page.locator(".p-tab").get_by_text(name, exact=True).click()

    def log_in(self, password: str) -> None:
        """Type the password where the dashboard asks for it."""
        self.page.wait_for_url("**/login?**")
        self.page.locator("input[type=password]").fill(password)
        self.page.get_by_role("button", name="Login").click()
        self.page.wait_for_url(lambda address: "/login" not in address)

    def another_page(self, address: str) -> Page:
        """Open a page beside this one, in the same browser with all that it keeps."""
        page = self._context.new_page()
        page.goto(address)
        return page

    def follow(self, name: str) -> None:
        """Click on the link that holds this text, where it stands first."""
        self.page.get_by_role("link").filter(has_text=name).filter(visible=True).first.click()

    def sees(self, *texts: str | re.Pattern[str]) -> None:
        """Wait until each of these texts is to be seen."""
        for text in texts:
            # A text that the page holds twice, once for a narrow window, is seen once.
            found = self.page.get_by_text(text, exact=True).filter(visible=True).first
            expect(found, f"{text!r} is not to be seen").to_be_visible()

    def rows(self) -> list[list[str]]:
        """Read the cells of the page's tables, row by row."""
        rows = self.page.locator("tbody tr")
        expect(rows.first).to_be_visible()
        return [row.locator("td").all_inner_texts() for row in rows.all()]

    def figures(self) -> dict[str, Locator]:
        """Return the figures of the page that are really drawn, by name."""
        images = self.page.locator("article img, .markdown-renderer img")
        expect(images.first).to_be_visible()
        self.page.wait_for_function("[...document.images].every(image => image.complete)")
        return {
            image.get_attribute("alt") or "": image
            for image in images.all()
            if image.evaluate("image => image.naturalWidth") > 0
        }

    def cut_off(self) -> list[str]:
        """Return the beginnings of the tables that are wider than what is shown of them."""
        tables = self.page.locator(".markdown-renderer__table")
        return [
            table.inner_text()[:80]
            for table in tables.all()
            if table.evaluate("table => table.scrollWidth > table.clientWidth")
        ]

    def field(self, label: str) -> Locator:
        """Return what a form has for a parameter: inputs, and the buttons that open a choice."""
        named = self.page.get_by_text(f"{label} (Optional)", exact=True)
        # The innermost block that holds the name: the training's own block holds all of its fields.
        return self.page.locator(".p-label").filter(has=named).last.locator(".p-base-input__control")

    def offers(self, label: str) -> list[str]:
        """Read what a parameter's field is filled in with before anybody has touched it."""
        self.sees(f"{label} (Optional)")
        read = "field => field.value || field.innerText"
        return [str(field.evaluate(read)) for field in self.field(label).all()]

    def choose(self, label: str, value: str) -> None:
        """Choose one of the values that a parameter's field offers, by the keyboard: the mouse hits what lies above."""
        self.field(label).focus()
        self.page.keyboard.press("Space")
        self.page.locator(".p-select-option").get_by_text(value, exact=True).click()
        expect(self.field(label)).to_have_text(value)

    def submit(self) -> int:
        """Submit a form that starts a run. Returns: the status of the server's answer."""
        status = BUSY
        while status == BUSY:
            with self.page.expect_response("**/create_flow_run") as answer:
                self.page.get_by_role("button", name="Submit").click()
            status = answer.value.status
        return status

    def keep(self, name: str) -> Path:
        """Keep a picture of the window."""
        path = self.folder / f"{name}-{self.name}.png"
        self.page.screenshot(path=path)
        return path

    def close(self) -> None:
        """Close the window, which nothing may have gone wrong in."""
        self._context.close()
        assert not self.problems, self.problems

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._note(f"{message.text} ({message.location['url']})")

    def _note(self, told: str) -> None:
        if not PREFECTS_OWN.search(told):
            self.problems.append(told)


class Window(Protocol):
    """Opens a window; see `Look`."""

    def __call__(self, theme: str = "dark", width: int = 1400, *, known: bool = True) -> Look:
        """Open it; `known`: the person has logged in before."""


def pixels(element: Locator) -> NDArray[np.floating]:
    """Return what is to be seen of an element: float (rows, columns, 3), in [0, 1]."""
    seen = imread(BytesIO(element.screenshot()), format="png")
    return np.asarray(seen, dtype=np.float64)[..., :3]
