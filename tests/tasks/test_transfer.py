"""tasks/transport/transfer.py: tries, waits and resumption, against real HTTP mirrors that fail on demand."""

from __future__ import annotations

import gzip
import hashlib
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from schemas.datasets import RemoteFile
from schemas.errors import DownloadFailed
from schemas.events import Event, Progress, listening
from tests.faults import mirror as faults
from tests.faults.mirror import Exchange, Fault
from tests.tasks.bench import BODY, CUT, HASTY, NAME, Bench, broken, served


def test_a_passing_fault_is_tried_again_with_growing_waits(bench: Bench) -> None:
    """Three times status 503 and then the file: four requests, with exponential backoff less a random part."""
    waits: list[float] = []
    patience = replace(HASTY, backoff=1, sleep=waits.append, random=lambda: 0.5)
    with served(faults.status(503), faults.status(500), faults.status(502)) as mirror:
        summary = bench.get(mirror.url, patience=patience)
    assert waits == [0.75, 1.5, 3.0]
    assert (len(mirror.requests), summary.failures) == (4, ())


def test_retry_after_is_honoured_in_both_forms(bench: Bench) -> None:
    """Retry-After is waited for, as seconds and as a date; one that does not read counts as none."""
    waits: list[float] = []
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    queue = [faults.status(429, {"Retry-After": value}) for value in ("17", soon, "soon")]
    with served(*queue) as mirror:
        bench.get(mirror.url, patience=replace(HASTY, sleep=waits.append, random=lambda: 0))
    assert waits == [17, pytest.approx(28, abs=3), pytest.approx(0.004)]


def test_a_mirror_that_asks_for_hours_is_left(bench: Bench) -> None:
    """A Retry-After above the cap is not waited for and not ignored: the next mirror is asked."""
    waits: list[float] = []
    with broken(faults.status(503, {"Retry-After": "7200"})) as bad, served() as good:
        summary = bench.get(bad.url, good.url, patience=replace(HASTY, sleep=waits.append))
    assert summary.failures == (f"status 503, to be asked again in 7200 s from {bad.url}",)
    assert (len(bad.requests), waits) == (1, [])


def test_no_server_at_all_is_told_in_the_systems_words(bench: Bench) -> None:
    """A refused connection is tried again, then reported without the library's own message."""
    with served() as gone:
        url = gone.url
    waits: list[float] = []
    with pytest.raises(DownloadFailed) as failed:
        bench.get(url, patience=replace(HASTY, sleep=waits.append))
    assert failed.value.found == f"no answer (Connection refused) from {url}"
    assert len(waits) == 3


REST = f"bytes={CUT}-"


def cut_untagged(exchange: Exchange) -> None:
    """Cut an answer that has no validator."""
    exchange.etag = None
    faults.cut(CUT)(exchange)


@pytest.mark.parametrize(
    ("queue", "tagged", "asked"),
    [
        ([faults.cut(CUT)], True, [None, REST]),
        ([faults.cut(CUT), faults.whole], True, [None, REST]),
        ([faults.cut(CUT), faults.wrong_range], True, [None, REST, None]),
        ([faults.cut(CUT), faults.status(416)], True, [None, REST, None]),
        ([faults.cut(CUT), cut_untagged], True, [None, REST, None]),
        ([faults.cut(CUT)], False, [None, None]),
    ],
    ids=["the rest", "Range ignored", "another range", "Range refused", "no validator any more", "no validator"],
)
def test_a_cut_is_resumed_where_it_was(bench: Bench, queue: list[Fault], tagged: bool, asked: list[str | None]) -> None:
    """The rest only is asked for, if the file has not changed; without a validator, or that range, all of it comes."""
    with served(*queue, tagged=tagged) as mirror:
        summary = bench.get(mirror.url)
    assert [request.headers.get("Range") for request in mirror.requests] == asked
    assert all(request.headers["If-Range"].startswith('"') for request in mirror.requests if "Range" in request.headers)
    assert summary.failures == ()


@pytest.mark.parametrize(
    ("left", "asked"),
    [(None, [REST]), (BODY, []), (bytes(CUT), [REST, None])],
    ids=["as it was", "whole", "damaged"],
)
def test_a_later_run_resumes_what_an_earlier_one_left(
    bench: Bench, left: bytes | None, asked: list[str | None]
) -> None:
    """The next run fetches the rest of a part, nothing of a whole one, and all where the disk has damaged it."""
    with served(faults.cut(CUT), faults.status(404)) as mirror:
        with pytest.raises(DownloadFailed):
            bench.get(mirror.url)
        bench.assert_empty()
        (part,) = [path for path in bench.parts if path.suffix == ".part"]
        if left is not None:
            part.write_bytes(left)
        mirror.requests.clear()
        summary = bench.get(mirror.url)
    assert [request.headers.get("Range") for request in mirror.requests] == asked
    assert (bench.parts, summary.failures) == ([], ())


def test_a_changed_etag_starts_from_the_first_byte(bench: Bench) -> None:
    """When the mirror's file changed between the cut and the rest, all of it is fetched, none of the old is kept."""
    old = bytes(len(BODY))

    def cut_and_change(exchange: Exchange) -> None:
        mirror.files[NAME] = BODY
        faults.cut(CUT)(exchange)

    with served(cut_and_change, body=old) as mirror:
        bench.get(mirror.url)
    assert mirror.requests[1].headers["Range"] == f"bytes={CUT}-"
    assert len(mirror.requests) == 2


def test_another_mirror_does_not_continue_a_part(bench: Bench) -> None:
    """What one mirror began is never completed with another's bytes."""
    with broken(faults.cut(CUT)) as first, served() as second:
        bench.get(first.url, second.url)
    assert [request.headers.get("Range") for request in second.requests] == [None]


def test_redirects_are_followed_and_their_bodies_are_not_read(bench: Bench) -> None:
    """A redirect leads to the file, even when its own body never ends."""
    with served() as target:

        def redirect(exchange: Exchange) -> None:
            exchange.head(302, None, {"Location": f"{target.url}/{NAME}"})
            while not exchange.closing.wait(0.001):
                exchange.write(bytes(2**16))

        with served(redirect) as mirror:
            summary = bench.get(mirror.url)
    assert summary.mirror == mirror.url


def test_progress_is_told_calmly_and_to_the_last_byte(bench: Bench) -> None:
    """Progress names the file, counts up to its size, and comes at most twenty times a second."""
    told: list[Event] = []
    ticks = iter(range(10**6))
    body = gzip.compress(random.Random(3).randbytes(2**22), mtime=0)
    file = RemoteFile(name=NAME, sha256=hashlib.sha256(body).hexdigest(), bytes=len(body), mirrors=())
    patience = replace(HASTY, clock=lambda: next(ticks) * 0.01)
    with served(body=body) as mirror, listening(told.append):
        bench.get(mirror.url, file=file, patience=patience)
    steps = [event.done for event in told if isinstance(event, Progress)]
    assert told[-1] == Progress(NAME, "bytes", len(body), len(body))
    assert steps == sorted(steps)
    assert 2 <= len(steps) <= next(ticks) / 5 + 2
