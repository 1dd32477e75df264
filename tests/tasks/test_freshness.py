"""tasks/transport/freshness.py: a mirror is asked whether its file has changed, and the file is not taken again."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.datasets import RemoteFile
from tasks.transport.freshness import Answer, ask
from tasks.transport.part import Validators
from tests.faults import mirror as faults
from tests.faults.mirror import Mirror
from tests.tasks.bench import BODY, NAME, SHA256, Bench, broken, served


def remote(*mirrors: str) -> RemoteFile:
    return RemoteFile(name=NAME, bytes=len(BODY), sha256=SHA256, mirrors=mirrors)


def taken(bench: Bench, mirror: Mirror) -> Validators:
    """Download the file, and return by what its mirror can be asked."""
    validators = bench.get(mirror.url).validators
    assert validators is not None
    return validators


def test_an_unchanged_file_is_not_taken_again(bench: Bench) -> None:
    """The ETag of the download is sent back, and the mirror's 304 has no body."""
    with served() as mirror:
        validators = taken(bench, mirror)
        assert ask(remote(mirror.url), validators, 5) is Answer.UNCHANGED
    assert mirror.requests[-1].headers["If-None-Match"] == validators.etag
    assert validators.address == f"{mirror.url}/{NAME}"


def test_another_file_on_the_mirror_is_seen(bench: Bench) -> None:
    """A mirror whose file has another ETag by now has changed."""
    with served() as mirror:
        validators = taken(bench, mirror)
        mirror.files[NAME] = BODY + b"more"
        assert ask(remote(mirror.url), validators, 5) is Answer.CHANGED


def test_a_date_is_asked_by_as_well(bench: Bench) -> None:
    """Where a mirror gave Last-Modified, it is sent back as If-Modified-Since."""
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    with broken(faults.status(304)) as mirror:
        validators = Validators(address=f"{mirror.url}/{NAME}", etag=None, last_modified=date)
        assert ask(remote(mirror.url), validators, 5) is Answer.UNCHANGED
    headers = mirror.requests[-1].headers
    assert headers["If-Modified-Since"] == date
    assert "If-None-Match" not in headers


def test_secrets_of_the_address_are_used_and_not_kept(bench: Bench) -> None:
    """The mirror is asked with user, password and query, which the validators do not hold."""
    with served() as mirror:
        secret = f"http://user:word@{mirror.netloc}/mnist?token=abc"
        validators = bench.get(secret).validators
        assert validators is not None
        assert validators.address == f"{mirror.url}/{NAME}"
        assert ask(remote("http://other/", secret), validators, 5) is Answer.UNCHANGED
    assert mirror.requests[-1].path.endswith("?token=abc")
    assert "Authorization" in mirror.requests[-1].headers


@pytest.mark.parametrize("fault", [faults.status(503), faults.hang_up, faults.status(404)])
def test_a_mirror_that_does_not_tell_is_told_from_one_that_changed(bench: Bench, fault: faults.Fault) -> None:
    """An error, a missing file and no answer say nothing about the file, with validators to ask by or without."""
    with broken(fault) as mirror:
        validators = Validators(address=f"{mirror.url}/{NAME}", etag='"1"', last_modified=None)
        for known in (validators, None):
            assert ask(remote(mirror.url), known, 1) is Answer.NONE


def test_without_anything_to_ask_by_only_the_bytes_tell(bench: Bench, tmp_path: Path) -> None:
    """No validators, a mirror no longer in use, a folder: where the file is, nobody knows whether it is the same."""
    with served(tagged=False) as mirror:
        assert bench.get(mirror.url).validators is None
        assert ask(remote("odd://x", mirror.url), None, 5) is Answer.UNKNOWN
        elsewhere = Validators(address="http://elsewhere/x.gz", etag='"1"', last_modified=None)
        assert ask(remote(mirror.url), elsewhere, 5) is Answer.UNKNOWN
        assert "If-None-Match" not in mirror.requests[-1].headers
    assert ask(remote(mirror.url, tmp_path.as_uri()), None, 5) is Answer.NONE
    (tmp_path / NAME).write_bytes(BODY)
    assert ask(remote(mirror.url, tmp_path.as_uri()), None, 5) is Answer.UNKNOWN
