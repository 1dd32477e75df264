"""What pages tell people to write and to type, for tests that do as they say."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from tests.processes import PROJECT


def blocks(page: str, heading: str) -> list[str]:
    """Return the fenced blocks of a section of a page. Args: page: its path.  heading: without the number signs."""
    text = (PROJECT / page).read_text("utf-8")
    sections = re.split(r"^##+ (.+)$", text, flags=re.MULTILINE)  # one number sign may begin a comment of a block
    section = sections[sections.index(heading) + 1]
    return re.findall(r"^```[a-z]*\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)


def settings(block: str, told: Mapping[str, str]) -> dict[str, str]:
    """
    Return the variables that a file of settings sets.

    Args: told: what stands in the page for an example, each of which occurs in it, and what it is here.
    """
    for example, value in told.items():
        assert example in block, f"{example} does not stand in the page any more"
        block = block.replace(example, value)
    return dict(line.split("=", 1) for line in shlex.split(block, comments=True))


def commands(block: str) -> list[list[str]]:
    """Return the words of the commands of a block that are Prefect's: what a test runs by `python -m`."""
    return [shlex.split(line) for line in block.splitlines() if line.startswith("prefect ")]
