"""The page of messages: what it quotes is what the code says, and no kind of error is left out."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from schemas import errors

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
FLOORS = ("idxflow", "flows", "tasks", "artifacts", "schemas")
PARENTS = {"IdxflowError", "StageError"}
"""Which are raised by no name of theirs."""


def texts() -> set[str]:
    """Every text in the code, but for docstrings; of one with values in it each piece between them."""
    found = set()
    for path in (file for floor in FLOORS for file in (ROOT / floor).rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in told)
        found |= {node.value for node in constants if isinstance(node.value, str)}
    return found


def test_what_is_quoted_is_said() -> None:
    """The first cell of each row is in a text of the code, to the letter."""
    quoted = re.findall(r"^\| `([^`]+)` \|", PAGE, flags=re.MULTILINE)
    assert len(quoted) > 20
    said = texts()
    lost = [words for words in quoted if not any(words in text for text in said)]
    assert not lost


def test_every_kind_of_error_has_its_place() -> None:
    """Each class of `schemas.errors` stands in a heading, and no heading names one that is not there."""
    kinds = {
        name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.IdxflowError)
    }
    named = {name for heading in re.findall(r"^## (.+)$", PAGE, flags=re.MULTILINE)
             for name in re.findall(r"`(\w+)`", heading)}  # fmt: skip
    assert named == kinds - PARENTS
