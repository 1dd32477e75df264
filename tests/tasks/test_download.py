"""tasks/download.py and tasks/transport/part.py: every fault of a mirror, and what reaches the artifact."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.datasets import Origin, RemoteFile
from schemas.errors import DownloadFailed
from tasks.download import DownloadSummary, download, fetch
from tasks.transport.part import Validators
from tests.faults import mirror as faults
from tests.faults.mirror import Exchange, Fault
from tests.tasks.bench import BODY, CUT, HASTY, NAME, SHA256, Bench, broken, served

STRICT = replace(HASTY, read_seconds=0.5, least_rate=10_000, rate_seconds=0.3)
OWN = RemoteFile(name=NAME, bytes=len(BODY), sha256=SHA256, mirrors=(), described_in="leaves.toml")
SLOW = (faults.stall(), faults.stall(CUT), faults.drip(0.02))
FAULTS = {
    "html": (faults.html, "an HTML page (812 bytes)", 1),
    "words": (faults.words, "a JSON file (23 bytes)", 1),
    "flipped bit": (faults.flip, "SHA-256 ", 1),
    "shorter": (faults.shorten(5), f"{len(BODY) - 5} bytes", 1),
    "longer": (faults.lengthen(5), f"more than {len(BODY)} bytes", 1),
    "endless": (faults.endless, f"more than {len(BODY)} bytes", 1),
    "missing": (faults.status(404), "status 404", 1),
    "forbidden": (faults.status(403), "status 403", 1),
    "cut": (faults.cut(CUT), f"an answer cut after {CUT} bytes", 4),
    "busy": (faults.status(429), "status 429", 4),
    "down": (faults.status(503), "status 503", 4),
    "hang-up": (faults.hang_up, "no answer (the connection broke off)", 4),
    "silent": (SLOW[0], "nothing for 0.5 s", 2),
    "silent midway": (SLOW[1], "nothing for 0.5 s", 2),
    "dripping": (SLOW[2], " bytes in ", 1),
}


def test_a_good_mirror_gives_the_file_in_one_plain_request(bench: Bench) -> None:
    """One request without compression or range fetches the file, and no part is left behind."""
    with served() as mirror:
        summary = bench.get(mirror.url)
    validators = Validators(address=f"{mirror.url}/{NAME}", etag=f'"{SHA256[:16]}"', last_modified=None)
    assert summary == DownloadSummary(bytes=len(BODY), sha256=SHA256, mirror=mirror.url, validators=validators)
    assert [request.path for request in mirror.requests] == [f"/mnist/{NAME}"]
    assert mirror.requests[0].headers["Accept-Encoding"] == "identity"
    assert "Range" not in mirror.requests[0].headers
    assert bench.parts == []


@pytest.mark.parametrize(("fault", "said", "tries"), FAULTS.values(), ids=FAULTS)
def test_the_next_mirror_makes_up_for_every_fault(
    fault: Fault, said: str, tries: int, bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """After each fault a second mirror completes the file, and one warning names file, mirror and what was wrong."""
    with broken(fault, tagged=False) as bad, served() as good:
        summary = bench.get(bad.url, good.url, patience=STRICT if fault in SLOW else HASTY)
    assert (summary.mirror, len(bad.requests)) == (good.url, tries)
    (failure,) = summary.failures
    assert said in failure
    assert failure.endswith(f" from {bad.url}")
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.name == "idxflow.download"
    assert warning.getMessage() == f"{NAME}: {failure}; {good.url} gave the file."


@pytest.mark.parametrize(("fault", "said", "tries"), FAULTS.values(), ids=FAULTS)
def test_a_fault_without_another_mirror_fails_and_leaves_nothing(
    fault: Fault, said: str, tries: int, bench: Bench
) -> None:
    """With one mirror, each fault is an error of four parts; nothing reaches the artifact; the next run recovers."""
    with broken(fault, tagged=False) as bad, pytest.raises(DownloadFailed) as failed:
        bench.get(bad.url, patience=STRICT if fault in SLOW else HASTY)
    bench.assert_empty()
    assert said in failed.value.found
    assert failed.value.expected == f"{len(BODY)} bytes with SHA-256 {SHA256[:16]}..."
    assert str(failed.value).endswith("Tried 1 mirror; see --mirror, or take --dataset digits.")
    with served() as good:
        assert bench.get(good.url).failures == ()


def test_every_mirror_is_named_when_all_fail(bench: Bench) -> None:
    """The error tells what each mirror gave, in order."""
    with broken(faults.html) as first, broken(faults.status(404)) as second, pytest.raises(DownloadFailed) as failed:
        bench.get(first.url, second.url)
    assert failed.value.found == f"an HTML page (812 bytes) from {first.url}; status 404 from {second.url}"
    assert failed.value.way_out == "Tried 2 mirrors; see --mirror, or take --dataset digits."


def test_a_stored_copy_needs_no_mirror(bench: Bench, tmp_path: Path) -> None:
    """A healthy stored copy is copied, hashed again, and no mirror is asked."""
    stored = tmp_path / "stored" / "of another name.gz"
    stored.parent.mkdir()
    stored.write_bytes(BODY)
    with served() as mirror:
        summary = bench.get(mirror.url, known=lambda sha256: stored if sha256 == SHA256 else None)
    assert (summary.mirror, mirror.requests) == ("the store", [])
    assert not (bench.out / NAME).samefile(stored)


def test_a_stored_copy_that_changed_is_not_believed(bench: Bench, tmp_path: Path) -> None:
    """A stored copy with another hash is left for the mirrors, and named."""
    stored = tmp_path / "stored.gz"
    stored.write_bytes(BODY[:-1] + b"\xff")
    with served() as mirror:
        summary = bench.get(mirror.url, known=lambda _: stored)
    assert summary.mirror == mirror.url
    assert summary.failures[0].endswith(" from the store")


@pytest.mark.parametrize(("fault", "said", "tries"), FAULTS.values(), ids=FAULTS)
def test_a_spare_copy_makes_up_for_mirrors_that_give_nothing(
    fault: Fault, said: str, tries: int, bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a file from any mirror the stored one is used, and a warning says so; another file is a failure still."""
    stored = tmp_path / "stored.gz"
    stored.write_bytes(BODY)
    another = {faults.flip, FAULTS["shorter"][0], FAULTS["longer"][0], faults.endless}
    with broken(fault) as bad:
        patience = STRICT if fault in SLOW else HASTY
        if fault in another:
            with pytest.raises(DownloadFailed):
                bench.get(bad.url, spare=lambda _: stored, patience=patience)
            return bench.assert_empty()
        summary = bench.get(bad.url, spare=lambda _: stored, patience=patience)
    assert (summary.mirror, summary.validators) == ("the store", None)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warning == f"{NAME}: {summary.failures[0]}; the stored copy, which is sound, is used."
    assert said in warning
    assert bad.url in warning
    return None


def test_file_addresses_are_mirrors(bench: Bench, tmp_path: Path) -> None:
    """A folder, given as a file address, serves as a mirror; one without the file says so."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / NAME).write_bytes(BODY)
    summary = bench.get(tmp_path.as_uri(), folder.as_uri() + "/")
    assert summary.failures == (f"no file (No such file or directory) from {tmp_path.as_uri()}",)


@pytest.mark.parametrize("address", ["ftp://127.0.0.1/mnist", "127.0.0.1/mnist", "http://[::1/mnist", "http:///mnist"])
def test_an_address_that_is_none_is_one_more_failure(address: str, bench: Bench) -> None:
    """A malformed or unsupported address is left for the next mirror."""
    with served() as mirror:
        summary = bench.get(address, mirror.url)
    assert len(summary.failures) == 1
    assert summary.failures[0].startswith("no answer (")


def test_secrets_of_an_address_stay_secret(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """User, password and query reach the mirror and nobody else: no log at any level, no summary, no note, no error."""
    caplog.set_level(logging.DEBUG)
    with served(faults.cut(CUT), faults.status(503), faults.hang_up, faults.status(404)) as mirror:
        address = f"http://user:pass-word@{mirror.netloc}/mnist?signature=sesame"
        with pytest.raises(DownloadFailed) as failed:
            bench.get(address)
        notes = "".join(path.read_text() for path in bench.parts if path.suffix == ".json")
        with served() as good:
            summary = bench.get(f"http://user:pass-word@{mirror.netloc}/nothing?signature=sesame", good.url)
    assert {request.path.partition("?")[2] for request in mirror.requests} == {"signature=sesame"}
    assert all(request.headers["Authorization"].startswith("Basic ") for request in mirror.requests)
    assert mirror.url in notes
    for text in (caplog.text, repr(summary), notes, str(failed.value), repr(failed.value.__context__)):
        assert "sesame" not in text
        assert "pass-word" not in text


@pytest.mark.parametrize(
    ("origin", "said", "way_out"),
    [
        ("published", "...", "Tried 1 mirror; bring one that has it with --mirror, or correct its sha256 and bytes"),
        ("own file", "...", "It was changed or taken away while the run began: run again."),
        ("first use", "... as on its first use", "`idxflow trust 0123456789abcdef --renew` accepts all its files"),
    ],
)
def test_the_way_out_fits_who_said_what_the_file_is(origin: Origin, said: str, way_out: str, bench: Bench) -> None:
    """A file of one's own set is never told about the catalog, and a trusted one how to accept it again."""
    with broken(faults.flip, tagged=False) as mirror, pytest.raises(DownloadFailed) as failed:
        bench.get(mirror.url, file=OWN.model_copy(update={"origin": origin, "trusted_as": "0123456789abcdef"}))
    assert failed.value.expected.endswith(said)
    assert way_out in failed.value.way_out
    assert "digits" not in failed.value.way_out
    bench.assert_empty()


def test_files_of_other_content_do_not_share_a_part(bench: Bench) -> None:
    """Two files that have one name, and are not the same, keep their parts apart."""
    with broken(faults.cut(CUT)) as mirror:
        for sha256 in (SHA256, "0" * 64):
            with pytest.raises(DownloadFailed):
                bench.get(mirror.url, file=OWN.model_copy(update={"sha256": sha256}))
    assert len([path for path in bench.parts if path.suffix == ".part"]) == 2
    assert [request.headers.get("Range") for request in mirror.requests].count(None) == 2


def test_two_runs_at_once_take_turns(bench: Bench, tmp_path: Path) -> None:
    """A second run of the same file waits for the first, and both get the file."""
    entered, let_go = threading.Event(), threading.Event()
    other = tmp_path / "other.gz"

    def slow(exchange: Exchange) -> None:
        entered.set()
        let_go.wait(10)
        faults.good(exchange)

    def second() -> None:
        file = RemoteFile(name=NAME, bytes=len(BODY), sha256=SHA256, mirrors=(mirror.url,))
        nothing = {"known": lambda _: None, "spare": lambda _: None}
        fetch(file, target=other, scratch=bench.scratch, **nothing, patience=HASTY)

    with served(slow) as mirror:
        threads = [threading.Thread(target=bench.get, args=(mirror.url,))]
        threads[0].start()
        entered.wait(10)
        threads.append(threading.Thread(target=second))
        threads[1].start()
        time.sleep(0.1)
        asked_while_first_ran = len(mirror.requests)
        let_go.set()
        for thread in threads:
            thread.join(10)
    assert asked_while_first_ran == 1
    assert other.read_bytes() == (bench.out / NAME).read_bytes() == BODY


@pytest.mark.mnist
def test_the_stage_downloads_what_is_published(bench: Bench, mnist_files: Path) -> None:
    """The stage's own function fetches a genuine file over HTTP, by its published checksum."""
    body = (mnist_files / NAME).read_bytes()
    sha256 = "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
    with served(body=body) as mirror:
        file = RemoteFile(name=NAME, bytes=4542, sha256=sha256, mirrors=(mirror.url,))
        nothing = {"known": lambda _: None, "spare": lambda _: None}
        summary = download.function(file, out=bench.out, scratch=bench.scratch, **nothing)
    assert summary.model_dump(include={"bytes", "sha256", "mirror"}) == {
        "bytes": 4542,
        "sha256": sha256,
        "mirror": mirror.url,
    }
    assert (bench.out / NAME).read_bytes() == body
