"""What every backend of a remote has to pass: a folder, and each server that obstore reaches."""

from __future__ import annotations

import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from artifacts.remote.backend import PIECE, Backend
from artifacts.remote.crew import Crew
from artifacts.remote.opening import open_backend
from artifacts.remote.probing import ensure_sound, probe
from artifacts.remote.pulling import Pulling
from artifacts.remote.pushing import Pushing
from artifacts.store.store import Store
from schemas.remote import RemoteError, RemotePlace
from tests.artifacts.building import build

MOST = 2**20
ODD_NAMES = ("../up", "/etc/passwd", "a//b", "a/../b", ".hidden", "a/.b", "", "a b", "a\nb", "a/b/c/d/e/f")


class BackendSuite:
    """The tests; who inherits it gives the fixture `place`, an empty remote for each test."""

    @pytest.fixture
    def backend(self, place: RemotePlace) -> Backend:
        """What keeps it."""
        return open_backend(place)

    def test_what_is_put_is_what_is_there(self, backend: Backend) -> None:
        """An object is as it was put, byte for byte, and nothing is there before."""
        assert backend.get("a/one", MOST) is None
        assert backend.stat("a/one") is None
        content = bytes(range(256)) * 7
        assert backend.put_new("a/one", content)
        got, entry = backend.get("a/one", MOST), backend.stat("a/one")
        assert got is not None
        assert entry is not None
        assert bytes(got.content) == content
        assert got.tag
        assert (entry.name, entry.bytes) == ("a/one", len(content))

    def test_an_empty_and_a_largest_object(self, backend: Backend) -> None:
        """Nothing at all, and as much as an object may have, come back whole."""
        whole = b"\x00\xff" * (PIECE // 2)
        for name, content in (("a/empty", b""), ("a/whole", whole)):
            assert backend.put_new(name, content)
            got = backend.get(name, PIECE)
            assert got is not None
            assert bytes(got.content) == content

    def test_creating_never_overwrites(self, backend: Backend) -> None:
        """Who comes second is told so, and the first content stays."""
        assert backend.put_new("a/one", b"first")
        assert not backend.put_new("a/one", b"second")
        got = backend.get("a/one", MOST)
        assert got is not None
        assert bytes(got.content) == b"first"

    def test_of_many_who_create_at_once_one_does(self, backend: Backend) -> None:
        """Eight threads create one object: one is told that it did, and its content is there."""
        start, won = threading.Barrier(8), list[int]()

        def create(number: int) -> None:
            start.wait()
            if backend.put_new("a/one", str(number).encode()):
                won.append(number)

        threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        got = backend.get("a/one", MOST)
        assert got is not None
        assert [bytes(got.content)] == [str(number).encode() for number in won]

    def test_replacing_needs_the_tag_of_what_is_there(self, backend: Backend) -> None:
        """The right tag replaces, once; an old one, that of another object and that of nothing do not."""
        backend.put_new("a/one", b"first")
        backend.put_new("a/other", b"other")
        first, other = backend.get("a/one", MOST), backend.get("a/other", MOST)
        assert first is not None
        assert other is not None
        assert not backend.replace("a/one", b"second", other.tag)
        assert backend.replace("a/one", b"second", first.tag)
        assert not backend.replace("a/one", b"third", first.tag)
        assert not backend.replace("a/none", b"third", first.tag)
        got = backend.get("a/one", MOST)
        assert got is not None
        assert bytes(got.content) == b"second"
        assert backend.get("a/none", MOST) is None

    def test_no_increment_is_lost(self, backend: Backend) -> None:
        """Four threads count in one object by compare and swap: every step is there in the end."""
        backend.put_new("a/count", b"0")

        def count() -> None:
            done = 0
            while done < 5:
                got = backend.get("a/count", MOST)
                assert got is not None
                done += backend.replace("a/count", str(int(bytes(got.content)) + 1).encode(), got.tag)

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        got = backend.get("a/count", MOST)
        assert got is not None
        assert bytes(got.content) == b"20"

    def test_a_list_has_all_of_a_folder_and_no_more(self, backend: Backend) -> None:
        """More names than one answer of a server has, each once, with its size; neighbours with a like name are not."""
        names = {f"list/{number:04}/x" for number in range(1100 if self.many else 30)}
        with Crew(8) as crew:
            assert all(crew.each(lambda name: backend.put_new(name, name.encode()), sorted(names), 32))
        backend.put_new("listed/no", b"no")
        assert Counter(entry.name for entry in backend.list("list/")) == Counter(names)
        assert {entry.bytes for entry in backend.list("list/")} == {len("list/0000/x")}
        assert list(backend.list("nothing/")) == []

    many = True
    """Whether a list of more than a thousand is made: it is slow on some servers."""

    def test_deleting_is_for_good_and_twice_no_error(self, backend: Backend) -> None:
        """What is deleted is gone, can be created again, and deleting nothing is no error."""
        backend.put_new("a/one", b"first")
        backend.delete("a/one")
        backend.delete("a/one")
        assert backend.get("a/one", MOST) is None
        assert backend.put_new("a/one", b"again")

    def test_too_large_is_refused_unread(self, backend: Backend) -> None:
        """An object that is larger than was asked for is an error."""
        backend.put_new("a/one", b"x" * 100)
        with pytest.raises(RemoteError, match="at most 99 bytes"):
            backend.get("a/one", 99)

    def test_dates_are_the_servers_and_rise(self, backend: Backend) -> None:
        """What is written later is not older, and the date is of today."""
        backend.put_new("a/one", b"first")
        first = backend.stat("a/one")
        backend.put_new("a/two", b"second")
        second = backend.stat("a/two")
        assert first is not None
        assert second is not None
        assert first.modified <= second.modified
        assert abs(second.modified - datetime.now(UTC)) < timedelta(hours=1)
        assert {entry.modified.tzinfo for entry in backend.list("a/")} == {UTC}

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_no_name_leads_elsewhere(self, backend: Backend, name: str) -> None:
        """What is no name of an object is refused before anybody is asked."""
        for act in (lambda: backend.put_new(name, b"x"), lambda: backend.get(name, MOST), lambda: backend.delete(name)):
            with pytest.raises(ValueError, match="no name of an object"):
                act()

    def test_it_passes_the_probe_and_that_is_remembered(
        self, backend: Backend, place: RemotePlace, tmp_path: Path
    ) -> None:
        """Nothing is wrong with it, nothing is left of the probe, and the second time nothing is asked."""
        assert probe(backend) == ""
        assert list(backend.list("probe/")) == []
        ensure_sound(backend, place, tmp_path)
        started = time.perf_counter()
        ensure_sound(backend, place, tmp_path)
        assert time.perf_counter() - started < 0.05

    def test_an_artifact_travels(self, backend: Backend, tmp_path: Path) -> None:
        """Files of every size, packed or in pieces, come to another store with the same digest, and are whole there."""
        here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
        contents = {
            "empty": b"",
            "small.json": b"{}",
            "middle": b"m" * 100_000,
            "other": b"o" * 200_000,
            "large": bytes(range(256)) * (PIECE // 256) + b"and more",
        }
        ref = build(here, contents)
        with Crew(4) as crew:
            assert Pushing(backend, here, crew).push(ref.stage, ref.version).state == "pushed"
            assert Pushing(backend, here, crew).push(ref.stage, ref.version).state == "there"
            with there.locked(ref.stage, ref.version) as had:
                assert had
                stored = Pulling(backend, there, crew).pull(ref.stage, ref.version)
            assert Pulling(backend, there, crew).pull(ref.stage, "0" * 16) is None
        assert stored is not None
        assert stored.ref.digest == ref.digest
        found = there.read(ref.stage, ref.version, fully=True)
        assert found is not None
        assert {name: (found.folder / name).read_bytes() for name in contents} == contents
