"""Names of files: which are refused, and what a file is called where it is stored."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.file_name import LONGEST, stored_name, wanted

SOUND = (
    "train-images-idx3-ubyte.gz",
    "2026 summer/train images (1).gz",
    "a.gz?version=2",
    "a.gz?v=1&raw=true",
    "a.gz?design=2&author=me&file=keys.gz",
    "a/b/c.d/e.gz",
    "100%.gz",
    "{x}[b]#;'.gz",
    "..a/b...gz",
    "Bl\u00e4tter/\u8449.gz",
    "x" * LONGEST,
)
ODD = {
    "": "spaces",
    " ": "spaces",
    "a.gz ": "spaces",
    "a\nb.gz": "control",
    "a\u2028b.gz": "control",
    "a\0.gz": "control",
    "/etc/a.gz": "below a mirror",
    "~/a.gz": "below a mirror",
    "C:\\a.gz": "below a mirror",
    "https://host/a.gz": "below a mirror",
    "a\\b.gz": "/ between folders",
    "..\\b.gz": "/ between folders",
    "../a.gz": "inside of the mirror",
    "a/../../b.gz": "inside of the mirror",
    "a/..": "inside of the mirror",
    "a/./b.gz": "inside of the mirror",
    "a//b.gz": "inside of the mirror",
    "a/": "inside of the mirror",
    "%2e%2e/a.gz": "percent-encoded ('../a.gz'?)",
    "train%20images.gz": "percent-encoded ('train images.gz'?)",
    "x" * (LONGEST + 1): "255 bytes",
    "\u8449" * 86: "255 bytes",
    "a/" * 600 + "b": "1024 with its folders",
    "a.gz?": "query",
    "a.gz?version": "query",
    "a.gz?a=../b": "query",
    "a.gz?v=1?w=2": "query",
    "a.gz?token=x": "secret",
    "a.gz?v=1&X-Amz-Signature=x": "secret",
    "a.gz?apiKey=x": "secret",
    "a.gz?sv=2&sig=x": "secret",
    "a.gz?AUTH=x": "secret",
    "a.gz?v=${TOKEN}": "secret",
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_name_is_taken(name: str) -> None:
    """Folders, spaces, signs, other alphabets and a plain query are part of a name."""
    assert not wanted(name)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_name_is_refused(name: str) -> None:
    """What leads out of a mirror, cannot be stored, or may be a secret is refused, with what belongs there."""
    assert ODD[name] in wanted(name)


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("train-images-idx3-ubyte.gz", "train-images-idx3-ubyte.gz"),
        ("2026 summer/train images (1).gz?version=2", "train-images-1-.gz"),
        (".hidden.gz", "file-.hidden.gz"),
        ("\u8449.gz", "file--.gz"),
        ("manifest.json.gz", "file-manifest.json.gz"),
        ("a/Result.json", "file-Result.json"),
        ("con.gz", "file-con.gz"),
    ],
)
def test_the_stored_name(name: str, stored: str) -> None:
    """The last part without its query, in plain letters; never a name of the store or of a device."""
    assert stored_name(name) == stored


@given(st.one_of(st.text(), st.from_regex(r"[a. /\\{}?%-]+", fullmatch=True)))
def test_a_stored_name_is_plain_whatever_the_name(name: str) -> None:
    """Every name that is taken has a plain stored one, which is stored under itself, and stays in its mirror."""
    if wanted(name):
        return
    stored = stored_name(name)
    assert stored.isascii() and stored[0].isalnum() and "/" not in stored and len(stored) <= 130
    assert stored_name(stored) == stored
    assert ".." not in PurePosixPath(name.partition("?")[0]).parts
