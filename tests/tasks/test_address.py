"""What a mirror is asked for."""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.file_name import wanted
from tasks.transport.mirror import address_of


def test_a_query_stays_out_of_a_files_path() -> None:
    """The file's name goes to the end of the path, and a query, such as a signature, stays behind it."""
    assert address_of("https://host/a/?key=1", "x.gz") == "https://host/a/x.gz?key=1"


@pytest.mark.parametrize(
    ("mirror", "name", "address"),
    [
        ("https://host/a/", "2026 summer/x y.gz", "https://host/a/2026%20summer/x%20y.gz"),
        ("https://host/a", "x.gz?version=2", "https://host/a/x.gz?version=2"),
        ("https://host/a/?key=1", "x.gz?version=2", "https://host/a/x.gz?version=2&key=1"),
        ("https://host/a%20b/", "c#d%.gz", "https://host/a%20b/c%23d%25.gz"),
        ("file:///a%20b/", "x y.gz?version=2", "file:///a%20b/x%20y.gz%3Fversion=2"),
    ],
)
def test_a_name_is_percent_encoded(mirror: str, name: str, address: str) -> None:
    """Spaces and signs are encoded; a query is one over http, and part of the name in a folder."""
    assert address_of(mirror, name) == address


@given(st.text())
def test_a_name_stays_within_its_folder(name: str) -> None:
    """Every name that may stand in a description is the file of that name below the folder, and no other."""
    if wanted(name):
        return
    path = urlsplit(address_of("file:///srv/data", name)).path
    assert url2pathname(path) == f"/srv/data/{name}"
