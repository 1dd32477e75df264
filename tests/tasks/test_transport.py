"""tasks/transport: what is asked of a mirror and sent to it, what is read of a folder, and how much of an answer."""

from __future__ import annotations

import os
import socket
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.addresses import fill
from schemas.file_name import wanted
from schemas.secrets import conceal_all
from tasks.transport.mirror import MirrorFault, Patience, address_of
from tasks.transport.reader import opened
from tests.faults.answers import CHUNKED, OK, drips, floods
from tests.faults.raw_mirror import RawMirror
from tests.tasks.bench import BODY, HASTY, NAME, Bench, served

PRINTABLE = "".join(map(chr, range(32, 127)))
PASSWORDS = ("M\u00fcller\u00dfe", "100 \u20ac", PRINTABLE, PRINTABLE + "\u00e4\u00f6\u00fc\u20ac", "\u5bc6\u7801")


def basic(user: str, password: str) -> str:
    """What a client sends by basic authentication, in UTF-8."""
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


@pytest.mark.parametrize("password", PASSWORDS)
def test_every_password_works(bench: Bench, password: str) -> None:
    """Umlauts, a euro sign and every printable character arrive as UTF-8, and the file comes."""
    with served() as mirror:
        address = fill(f"http://alice:${{WORD}}@{mirror.netloc}/mnist", {"WORD": password})
        bench.get(address)
    assert mirror.requests[-1].headers["Authorization"] == basic("alice", password)
    for form in (password, quote(password, safe=""), basic("alice", password)[6:], repr(password)[1:-1]):
        assert form not in conceal_all(f"told: {form}, and more")


def test_a_password_of_a_netrc_file_works(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So does one that stands in a .netrc file."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login alice password 5\u20ac-\u00fc\n", "utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    with served() as mirror:
        bench.get(mirror.url)
    assert mirror.requests[-1].headers["Authorization"] == basic("alice", "5\u20ac-\u00fc")


def test_a_token_with_every_character_works(bench: Bench) -> None:
    """What cannot stand in a query is encoded; a fragment, spaces and other letters do not cut it off."""
    with served() as mirror:
        bench.get(fill(f"http://{mirror.netloc}/mnist?token=${{T}}", {"T": "a#b c\u20ac%z%2f"}))
    assert mirror.requests[-1].path.endswith("?token=a%23b%20c%E2%82%AC%25z%2F")


def pipe(path: Path) -> None:
    """Make a named pipe."""
    os.mkfifo(path)


def folder(path: Path) -> None:
    """Make a folder."""
    path.mkdir()


def device(path: Path) -> None:
    """Make a link to a device that never ends."""
    path.symlink_to("/dev/zero")


def bound_socket(path: Path) -> None:
    """Make a socket."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (pipe, "a named pipe, not a regular file"),
        (folder, "a folder, not a regular file"),
        (device, "a device, not a regular file"),
        (bound_socket, "no file"),
    ],
)
def test_only_regular_files_are_read(
    bench: Bench, tmp_path: Path, make: Callable[[Path], None], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is no regular file in a folder mirror is named, at once, and the next mirror is asked."""
    place = tmp_path / "m"
    place.mkdir()
    make(place / NAME)
    with served() as good:
        summary = bench.get(place.as_uri(), good.url)
    assert said in summary.failures[0]


def test_an_address_that_is_no_path_is_a_fault_of_the_mirror(bench: Bench) -> None:
    """A zero byte in a file address costs that mirror only."""
    with served() as good:
        assert bench.get("file:///tmp/%00", good.url).failures


def test_what_wraps_a_body_is_bounded(bench: Bench) -> None:
    """Chunks that are nearly all wrapping end after a few times of what the body may have, however fast they come."""
    wrapping = floods(CHUNKED, b"1;" + b"x" * 2**13 + b"\r\na\r\n")
    with RawMirror(wrapping, BODY) as bad, served() as good:
        summary = bench.get(bad.url, good.url, patience=replace(HASTY, least_rate=0))
    assert "many times as long" in summary.failures[0]


def test_a_head_is_waited_for_as_a_whole() -> None:
    """Headers that never fall silent have one deadline with all that comes before the body."""
    with (
        RawMirror(drips(OK, b"X: y\r\n"), BODY) as mirror,
        pytest.raises(MirrorFault, match=r"no whole head of an answer in 0\.2 s"),
        opened(f"{mirror.url}/x", Patience(head_seconds=0.2)),
    ):
        raise AssertionError("there is no answer")


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
