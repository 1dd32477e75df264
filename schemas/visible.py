"""
Text from outside, as it may be shown: nothing in it steers a terminal, a table or a reader's eye.

It stands apart from `schemas.text`: every error shows text from outside, and so every stage's key has this module.
"""

from __future__ import annotations

import re

_UNSEEN = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters (C0, C1) but for tab and line feed
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks that change the direction of what follows
    "\u2028\u2029\ufeff\ufff9-\ufffb\ud800-\udfff"  # other line ends, annotations, half characters
    "\U000e0000-\U000e007f"  # tags: letters that nobody sees
    "]"
)
FORMULA = ("=", "+", "-", "@", "\t")
"""How a cell begins that a spreadsheet takes for a formula (OWASP, CSV Injection)."""


def visible(text: str) -> str:
    r"""
    Return a text with control characters and the like written out, as `\x1b` or `\u202e`; line feeds and tabs stay.

    Such a text comes back as it is.
    """
    return _UNSEEN.sub(_written_out, text)


def in_a_line(text: str) -> str:
    r"""Return a text as `visible` does, in one line: line feeds and tabs are written out as well."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def cell(text: str) -> str:
    """
    Return a text as a cell of a CSV file: in one line, and no formula.

    A text that a spreadsheet would take for a formula gets a ' before it; a number is none.
    """
    shown = in_a_line(text)
    return f"'{shown}" if shown.startswith(FORMULA) and not _is_number(shown) else shown


def in_json(document: str) -> str:
    """Return a JSON document with the same content, in which `visible` finds nothing to write out."""
    return _UNSEEN.sub(_escaped, document)


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escaped(found: re.Match[str]) -> str:
    """Escape a character as JSON has it; only in texts can such a one stand."""
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?%?", text) is not None
