"""What a mirror is asked for."""

from __future__ import annotations

from tasks.address import address_of


def test_a_query_stays_out_of_a_files_path() -> None:
    """The file's name goes to the end of the path, and a query, such as a signature, stays behind it."""
    assert address_of("https://host/a/?key=1", "x.gz") == "https://host/a/x.gz?key=1"
