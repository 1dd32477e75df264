"""Remote sets without checksums, by real runs over a real server: trusted as one generation, after all checks."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from artifacts.archive.reasons import sentence
from artifacts.store.store import Store
from artifacts.store.trust import Trusted
from idxflow.cli.app import call
from schemas.catalog import load_dataset
from schemas.errors import DownloadFailed, IdxflowError
from tests.faults.mirror import Exchange, Mirror, whole
from tests.flows.own_sets import OwnSet, assert_own, computed, make_set, plan, run

pytestmark = pytest.mark.usefixtures("prefect_server")
FILES = ("train-images.gz", "train-labels.gz", "test-images.gz", "test-labels.gz")
LABELS = "train-labels.gz"
KINDS = ("images", "labels")


class Remote:
    """A set whose files are on a mirror; `source` is what is published there."""

    def __init__(self, folder: Path) -> None:
        self.source = make_set(folder / "source", 1)
        self.files = {name: self.source.file(name).read_bytes() for name in FILES}
        self.mirror = Mirror(self.files)
        self.set = OwnSet(folder / "described")

    def publish(self, **files: bytes) -> None:
        """Put other files on the mirror; their names have no ending here."""
        for name, content in files.items():
            full = f"{name.replace('_', '-')}.gz"
            self.files[full] = content
            self.source.put(full, content)


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Remote]:
    """A set on a mirror."""
    remote = Remote(tmp_path)
    with remote.mirror:
        remote.set.describe(mirrors=(remote.mirror.url,))
        yield remote


def trusted(home: Path) -> Trusted | None:
    """What is trusted of the one place."""
    known = Store(home).trust.all()
    assert len(known) <= 1
    return known[0] if known else None


def other_labels(remote: Remote, by: int = 1) -> bytes:
    """Labels that are as good as the published ones, and not the same."""
    from tests.tasks.idx_bytes import idx_bytes

    return gzip.compress(idx_bytes((remote.source.contents("train")[1] + by) % 3), mtime=0)


def test_a_first_use_is_trusted_when_all_is_sound(home: Path, remote: Remote) -> None:
    """The plan says that nothing is known; a run takes each file once, trusts all, and the next one asks nobody."""
    rows = plan(home, remote.set)
    assert sentence(rows[f"download {LABELS}"].changes) == f"{LABELS} is taken to see what it is"
    assert {row.state for row in rows.values()} == {"will run", "depends"}
    record = run(remote.set)
    assert_own(home, record, remote.source)
    assert len(remote.mirror.requests) == len(FILES)
    known = trusted(home)
    assert known is not None
    assert (known.names, known.address) == ("leaves", remote.mirror.url)
    assert set(known.files) == set(FILES)
    assert computed(run(remote.set)) == []
    assert {row.state for row in plan(home, remote.set).values()} == {"cached"}
    assert len(remote.mirror.requests) == len(FILES)
    assert not [path for path in (home / "incoming").iterdir() if path.is_file()]


@pytest.mark.parametrize("split", ["train", "test"])
def test_what_is_not_sound_is_not_trusted(split: str, home: Path, remote: Remote) -> None:
    """Labels of either split that do not fit, a file of nothing, a page: the next plain run takes what is there."""
    right = remote.files[f"{split}-labels.gz"]
    raw = bytearray(gzip.decompress(right))
    raw[8] = 9
    for wrong in (gzip.compress(bytes(raw)), gzip.compress(b""), b"<!doctype html><p>Log in</p>", right[:-9]):
        remote.publish(**{f"{split}_labels": wrong})
        with pytest.raises(IdxflowError):
            run(remote.set)
        assert trusted(home) is None
    remote.publish(**{f"{split}_labels": right})
    assert_own(home, run(remote.set), remote.source)
    assert trusted(home) is not None


@pytest.mark.slow
def test_two_sets_of_one_name_have_a_trust_each(home: Path, remote: Remote, tmp_path: Path) -> None:
    """What identifies a first use is where the files are published; a copied description is the same set."""
    run(remote.set)
    (tmp_path / "other").mkdir()
    other = Remote(tmp_path / "other")
    other.publish(train_labels=other_labels(other))
    with other.mirror:
        other.set.describe(mirrors=(other.mirror.url,))
        assert_own(home, run(other.set), other.source)
    assert len(Store(home).trust.all()) == 2
    copied = OwnSet(tmp_path / "copied")
    copied.describe(mirrors=(remote.mirror.url,))
    assert computed(run(copied)) == []


def test_another_generation_is_refused_by_name(home: Path, remote: Remote) -> None:
    """A file that is taken again and another one by now, beside a new shard or alone, is refused with the way out."""
    run(remote.set)
    way_out = f"`idxflow trust {load_dataset(remote.set.toml).place} --renew`"
    remote.publish(train_labels=other_labels(remote))
    with pytest.raises(DownloadFailed, match="as on its first use") as failed:
        run(remote.set, revalidate=True)
    assert way_out in failed.value.way_out
    remote.source.write("more", 5, 30)
    remote.publish(
        **{f"more_{kind}": remote.source.file(f"more-{kind}.gz").read_bytes() for kind in ("images", "labels")}
    )
    remote.set.describe(mirrors=(remote.mirror.url,), shards=("train", "more"))
    with pytest.raises(DownloadFailed) as failed:
        run(remote.set)
    assert failed.value.subject == "leaves"
    assert failed.value.found == (
        "train-labels.gz changed since, test-images.gz, test-labels.gz, train-images.gz as then, "
        "more-images.gz, more-labels.gz new"
    )
    assert way_out in failed.value.way_out


def test_an_appended_shard_joins_the_generation(home: Path, remote: Remote) -> None:
    """Where all that was trusted is as it was, a new file is trusted beside it."""
    run(remote.set)
    remote.source.write("more", 5, 30)
    remote.publish(
        **{f"more_{kind}": remote.source.file(f"more-{kind}.gz").read_bytes() for kind in ("images", "labels")}
    )
    remote.set.describe(mirrors=(remote.mirror.url,), shards=("train", "more"))
    assert_own(home, run(remote.set), remote.source, "train", "more")
    known = trusted(home)
    assert known is not None
    assert set(known.files) == {*FILES, "more-images.gz", "more-labels.gz"}


@pytest.mark.slow
def test_renewed_is_what_all_files_are_at_the_next_run(
    home: Path, remote: Remote, capsys: pytest.CaptureFixture[str]
) -> None:
    """After --renew a run takes all files as they are; a broken set changes nothing, and the old trust stays."""
    run(remote.set)
    before = trusted(home)
    assert before is not None
    right = other_labels(remote)
    assert call(["trust", remote.set.toml, "--renew", "--home", str(home)]) == 0
    assert "the next run accepts 4 files as they are then" in capsys.readouterr().out
    remote.publish(train_labels=gzip.compress(b""))
    with pytest.raises(IdxflowError):
        run(remote.set)
    assert trusted(home) == before.model_copy(update={"renewing": tuple(sorted(FILES))})
    remote.publish(train_labels=right)
    assert_own(home, run(remote.set), remote.source)
    after = trusted(home)
    assert after is not None
    assert not after.renewing
    assert {name for name in FILES if after.files[name] != before.files[name]} == {LABELS}
    assert computed(run(remote.set)) == []


@pytest.mark.slow
def test_forgotten_is_a_first_use_again(home: Path, remote: Remote, capsys: pytest.CaptureFixture[str]) -> None:
    """The commands list what is trusted, by name and address; what is forgotten is taken as it is."""
    run(remote.set)
    assert call(["trust", "--home", str(home)]) == 0
    assert remote.mirror.url in capsys.readouterr().out
    assert call(["trust", "leaves", "--home", str(home)]) == 0
    assert LABELS in capsys.readouterr().out
    assert call(["trust", "leaves", "--forget", "--home", str(home)]) == 0
    assert trusted(home) is None
    remote.publish(train_labels=other_labels(remote))
    assert_own(home, run(remote.set), remote.source)


def test_all_files_come_from_one_mirror(home: Path, remote: Remote, tmp_path: Path) -> None:
    """A mirror that lacks one is left for one that has all; where none has, the set is refused and both are named."""
    half: dict[str, Any] = {name: content for name, content in remote.files.items() if name != LABELS}
    with Mirror(half) as first:
        remote.set.describe(mirrors=(first.url, remote.mirror.url))
        assert_own(home, run(remote.set), remote.source)
        rest = OwnSet(tmp_path / "rest")
        with Mirror({LABELS: remote.files[LABELS]}) as second:
            rest.describe(mirrors=(first.url, second.url))
            Store(home).trust.forget(load_dataset(rest.toml).place)
            with pytest.raises(DownloadFailed) as failed:
                run(rest)
    assert failed.value.expected == "one mirror that gives all 4 files"
    assert f"status 404 from {first.url}/, for {LABELS}" in failed.value.found
    assert f"status 404 from {second.url}/, for train-images.gz" in failed.value.found


def test_a_query_is_a_part_of_the_place(home: Path, remote: Remote, tmp_path: Path) -> None:
    """Two addresses that differ in nothing but their query are two places: each run is about its own files."""
    (tmp_path / "other").mkdir()
    other = Remote(tmp_path / "other")
    sources = {"a": remote, "b": other}

    def answer(exchange: Exchange) -> None:
        path, _, query = exchange.handler.path.partition("?")
        exchange.body = sources[query.removeprefix("set=")].files[path.rpartition("/")[2]]
        whole(exchange)

    other.publish(train_labels=other_labels(other))
    with Mirror(dict(remote.files), repeat(answer)) as mirror:
        for which, source in sources.items():
            described = OwnSet(tmp_path / which)
            described.describe(mirrors=(f"{mirror.url}?set={which}",))
            assert_own(home, run(described), source.source)
    assert len(Store(home).trust.all()) == 2


@pytest.mark.slow
def test_a_set_whose_mirror_moved_is_held_to_what_it_was(home: Path, remote: Remote) -> None:
    """Another address in the same description is no first use: the same files are cached, others are refused."""
    run(remote.set)
    moved = remote.mirror.url.replace("127.0.0.1", "localhost")
    remote.set.describe(mirrors=(moved,))
    assert computed(run(remote.set)) == []
    assert len(Store(home).trust.all()) == 2
    Store(home).trust.forget(load_dataset(remote.set.toml).place)
    remote.publish(train_labels=other_labels(remote))
    with pytest.raises(DownloadFailed, match="as on its first use"):
        run(remote.set, revalidate=True)


@pytest.mark.slow
def test_to_renew_one_set_leaves_another_of_that_address_alone(home: Path, remote: Remote, tmp_path: Path) -> None:
    """Files that only the other set has are held to as before, and nobody else takes up the renewal."""
    run(remote.set)
    for name, seed in (("other", 5), ("probe", 6)):
        remote.source.write(name, seed, 30)
        remote.publish(**{f"{name}_{kind}": remote.source.file(f"{name}-{kind}.gz").read_bytes() for kind in KINDS})
    other = OwnSet(tmp_path / "second")
    other.describe(mirrors=(remote.mirror.url,), shards=("other",))
    text = Path(other.toml).read_text()
    Path(other.toml).write_text(text.replace('"test-', '"probe-'))
    run(other)
    assert call(["trust", remote.set.toml, "--renew", "--home", str(home)]) == 0
    run(other)
    before = trusted(home)
    assert before is not None
    assert set(before.renewing) == set(FILES)
    run(remote.set)
    after = trusted(home)
    assert after is not None
    assert (after.renewing, after.files) == ((), before.files)


@pytest.mark.slow
def test_what_waits_is_asked_about_and_not_taken_again(home: Path, remote: Remote) -> None:
    """Of a set that was not sound only what has changed is taken again; when it is trusted nothing waits any more."""
    right = remote.files[LABELS]
    remote.publish(train_labels=gzip.compress(b""))
    for _ in range(2):
        with pytest.raises(IdxflowError):
            run(remote.set)
    sent = [request.path.rpartition("/")[2] for request in remote.mirror.requests]
    assert len(sent) == 2 * len(FILES)
    asked = [request for request in remote.mirror.requests if "If-None-Match" in request.headers]
    assert len(asked) == len(FILES)
    remote.publish(train_labels=right)
    assert_own(home, run(remote.set), remote.source)
    assert not [path for path in (home / "incoming").iterdir() if path.is_file()]


def test_a_first_use_is_told(home: Path, remote: Remote) -> None:
    """The record of the run says which files were trusted by it, and from where; the next one says nothing."""
    (said,) = [each for each in run(remote.set).warnings if "checksum" in each]
    assert said.startswith(f"leaves: 4 files without a checksum from {remote.mirror.url}. What is in them is trusted")
    assert not [each for each in run(remote.set).warnings if "checksum" in each]
