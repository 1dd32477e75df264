"""What lies under a path: the same from a folder, a zip and a tar; everything listed, nothing unpacked."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.errors import BadSource
from tasks.formats import tree_folder, tree_tar, tree_zip
from tasks.formats.refused import Refused
from tasks.formats.tree import Entry, open_tree, opened, order

FILES = {
    "b/2.PNG": b"two",
    "b/10.png": b"ten",
    "a/1.png": b"one",
    "a/._1.png": b"note",
    "__MACOSX/a/x.png": b"note",
    "a/Thumbs.db": b"previews",
    ".hidden/3.png": b"three",
    "a/é ☃.jpg": b"accents",
    "read me.txt": b"",
}
USED = ["a/1.png", "a/é ☃.jpg", "b/10.png", "b/2.PNG", "read me.txt"]


def write_folder(path: Path, files: dict[str, bytes]) -> Path:
    """Write files to a folder, with an empty folder beside them."""
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    (path / "none/at all").mkdir(parents=True)
    return path


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    """Write files to a zip archive, in the order given."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        archive.writestr("none/at all/", b"")
    return path


def write_tar(path: Path, files: dict[str, bytes], more: list[tarfile.TarInfo] | None = None, mode: str = "w") -> Path:
    """Write files to a tar archive as `tar -cf x.tar .` does, and members without content behind them."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        folder = tarfile.TarInfo("./none/at all")
        folder.type = tarfile.DIRTYPE
        for member in [folder, *(more or [])]:
            archive.addfile(member)
    return path


def write_tgz(path: Path, files: dict[str, bytes]) -> Path:
    """Write files to a compressed tar archive."""
    return write_tar(path, files, mode="w:gz")


WRITERS: dict[str, Callable[[Path, dict[str, bytes]], Path]] = {
    "folder": write_folder,
    "x.zip": write_zip,
    "x.tar": write_tar,
    "x.tgz": write_tgz,
}


def reasons(path: Path) -> dict[str, str]:
    """Return the entries that are not used, and why."""
    with open_tree(path) as found:
        return {entry.name: entry.left_out or entry.unreadable for entry in found.entries if not entry.used}


@pytest.mark.parametrize("kind", WRITERS)
def test_the_same_files_are_the_same_tree(kind: str, tmp_path: Path) -> None:
    """Folder, zip and tar list the same entries in the same order, and give the same bytes."""
    with open_tree(WRITERS[kind](tmp_path / kind, FILES)) as found:
        assert [entry.name for entry in found.entries] == sorted(FILES, key=order)
        assert [entry.name for entry in found.entries if entry.used] == USED
        assert {entry.name: entry.bytes for entry in found.entries} == {name: len(FILES[name]) for name in FILES}
        assert found.empty == ("none", "none/at all")
        assert dict(found.stream(USED)) == {name: FILES[name] for name in USED}
        assert found.read("b/10.png") == b"ten"
        with found.open("b/10.png") as file:
            assert (file.read(1), file.read()) == (b"t", b"en")
        with pytest.raises(KeyError):
            found.read("c")


@pytest.mark.parametrize("kind", WRITERS)
def test_the_order_is_that_of_names(kind: str, tmp_path: Path) -> None:
    """However a disk or an archive orders files, and whatever the case of a suffix, their order is one."""
    for number, names in enumerate((["b.PNG", "c.png", "a.png"], ["c.PNG", "a.PNG", "b.png"])):
        path = WRITERS[kind](tmp_path / f"{number}{kind}", dict.fromkeys(names, b""))
        with open_tree(path) as found:
            assert [entry.name.lower() for entry in found.entries] == ["a.png", "b.png", "c.png"]


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("a/._b.png", "macOS: notes on other files"),
        ("__MACOSX/._a", "macOS: notes on other files"),
        ("a/.DS_Store", "macOS: what a folder looks like"),
        ("thumbs.DB", "Windows: previews and settings of a folder"),
        ("a/Desktop.ini", "Windows: previews and settings of a folder"),
        ("$RECYCLE.BIN/a.png", "Windows: deleted files and system notes"),
        ("a/@eaDir/b.jpg", "Synology: previews"),
        (".git/config", "hidden: a name that begins with a dot"),
        ("a.png.crdownload", "a download that has not ended"),
    ],
)
def test_what_is_nobodys_own_is_left_out_by_a_rule(name: str, rule: str, tmp_path: Path) -> None:
    """Notes of systems, hidden files and halves of downloads are listed, each with the rule that leaves it out."""
    assert reasons(write_zip(tmp_path / "x.zip", {"a/good.png": b"", name: b""})) == {name: rule}


def test_links_and_pipes_of_a_folder_are_listed_and_not_followed(tmp_path: Path) -> None:
    """A link, also one to a folder, and a pipe bear their reason; the folder itself may be a link."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key.png").write_bytes(b"key")
    root = write_folder(tmp_path / "root", {"a/1.png": b"one"})
    (root / "a/link.png").symlink_to(tmp_path / "secret/key.png")
    (root / "b").symlink_to(tmp_path / "secret")
    os.mkfifo(root / "pipe")
    (tmp_path / "way").symlink_to(root)
    assert reasons(tmp_path / "way") == {
        "a/link.png": tree_folder.LINK,
        "b": tree_folder.LINK,
        "pipe": "it is a named pipe",
    }
    with open_tree(tmp_path / "way") as found, pytest.raises(Refused, match="symbolic link"):
        found.read("a/link.png")


def test_a_file_that_changes_after_it_was_listed_is_refused(tmp_path: Path) -> None:
    """A file that is gone, or is by now a link or a pipe, is refused; nobody waits for the pipe."""
    root = write_folder(tmp_path / "root", {"gone": b"1", "link": b"2", "pipe": b"3", "good": b"4"})
    with open_tree(root) as found:
        for name in ("gone", "link", "pipe"):
            (root / name).unlink()
        (root / "link").symlink_to("/etc/passwd")
        os.mkfifo(root / "pipe")
        read = dict(found.stream(["gone", "good", "link", "pipe"]))
    assert read.pop("good") == b"4"
    assert {name: str(refused) for name, refused in read.items()} == {
        "gone": "it is gone since it was listed",
        "link": "it cannot be read (Too many levels of symbolic links)",
        "pipe": "it is no longer a file",
    }


def test_names_that_cannot_be_shown_are_refused(tmp_path: Path) -> None:
    """A name with control characters, or bytes that are no UTF-8, is written out and its file not read."""
    root = write_folder(tmp_path / "root", {"a\nb.png": b"", "\x1b[2J.png": b""})
    Path(os.fsdecode(os.fsencode(root) + b"/\xff.png")).write_bytes(b"")
    names = ["\\udcff.png", "\\x1b[2J.png", "a\\nb.png"]
    assert sorted(reasons(root)) == sorted(names)
    more = [tarfile.TarInfo("c\x07.png"), tarfile.TarInfo("\udcff.png")]
    assert sorted(reasons(write_tar(tmp_path / "x.tar", {}, more))) == ["\\udcff.png", "c\\x07.png"]


@pytest.mark.parametrize("name", ["../up.png", "a/../../up.png", "/etc/passwd", "C:/up.png", "a/.."])
def test_no_name_leads_out_of_an_archive(name: str, tmp_path: Path) -> None:
    """An entry of an absolute name, or with .. in it, is listed as it is called and not read."""
    for path in (
        write_zip(tmp_path / "x.zip", {"good.png": b"", name: b"evil"}),
        write_tar(tmp_path / "x.tar", {"good.png": b""}, [tarfile.TarInfo(name)]),
    ):
        assert reasons(path) == {name: "its name leads out of the archive"}


def test_entries_that_share_a_name_are_all_refused(tmp_path: Path) -> None:
    """Which of two files of one name counts is not guessed; `./a` and `a//b` are names of `a` and `a/b`."""
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name in ("a.png", "a.png", "b//c.png", "b/c.png", "d.png"):
            archive.writestr(name, name)
    with open_tree(tmp_path / "x.zip") as found:
        assert [entry.name for entry in found.entries] == ["a.png", "a.png", "b/c.png", "b/c.png", "d.png"]
        assert [entry.used for entry in found.entries] == [False] * 4 + [True]
    twice = {"a.png": b"1", "./a.png": b"2", "d.png": b"3"}
    assert reasons(write_tar(tmp_path / "x.tar", twice)) == {"a.png": "another entry has the same name"}


def test_what_is_no_file_in_a_tar_bears_its_reason(tmp_path: Path) -> None:
    """Links, devices and pipes of a tar are listed, not followed and not made."""
    more = []
    for name, kind in (("s", tarfile.SYMTYPE), ("h", tarfile.LNKTYPE), ("c", tarfile.CHRTYPE), ("f", tarfile.FIFOTYPE)):
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "good.png"
        more.append(member)
    assert reasons(write_tar(tmp_path / "x.tar", {"good.png": b"1"}, more)) == {
        "s": "it is a symbolic link, which is not followed",
        "h": "it is a hard link to another member, which is not followed",
        "c": "it is a device",
        "f": "it is a named pipe",
    }


def test_members_of_a_zip_that_cannot_be_read_bear_their_reason(tmp_path: Path) -> None:
    """Encrypted, linked and oddly compressed members, and those whose checksum is wrong, are refused one by one."""
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("good.png", "locked.png", "wrong.png"):
            archive.writestr(name, f"content of {name}")
        link = zipfile.ZipInfo("link.png")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("packed.png", b"1", zipfile.ZIP_LZMA)
    data = bytearray(path.read_bytes().replace(b"content of wrong", b"CONTENT of wrong"))
    entry = data.rindex(b"locked.png") - 46
    data[entry + 8] |= 1
    path.write_bytes(data)
    assert reasons(path) == {
        "link.png": "it is a symbolic link, which is not followed",
        "locked.png": "it is encrypted",
        "packed.png": "it is compressed by a method that is not read (LZMA): use deflate",
    }
    with open_tree(path) as found:
        read = dict(found.stream(["good.png", "wrong.png", "locked.png"]))
    assert read["good.png"] == b"content of good.png"
    assert str(read["wrong.png"]) == "it is damaged in the archive (Bad CRC-32 for file 'wrong.png')"
    assert str(read["locked.png"]) == "it is encrypted"


def test_names_of_a_zip_are_utf_8_where_their_bytes_are(tmp_path: Path) -> None:
    r"""A name without the UTF-8 flag is UTF-8 if it can be, as macOS writes it, else cp437; \ stands for /."""
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("0123.png", "456.png", "d\\7.png"):
            archive.writestr(name, b"1")
    data = path.read_bytes().replace(b"0123", "aé!".encode()).replace(b"456", b"b\x82!")
    path.write_bytes(data)
    with open_tree(path) as found:
        assert [entry.name for entry in found.entries] == ["aé!.png", "bé!.png", "d/7.png"]
        assert found.read("d/7.png") == found.read("bé!.png") == b"1"


def test_more_than_a_picture_may_have_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A member over the cap is refused by name before it is inflated; it can still be opened block by block."""
    for module in (tree_folder, tree_zip, tree_tar):
        monkeypatch.setattr(module, "MAX_FILE", 2**17)
    for kind, write in WRITERS.items():
        with open_tree(write(tmp_path / kind, {"large": bytes(2**17 + 1), "small": bytes(2**17)})) as found:
            read = dict(found.stream(["large", "small"]))
            assert read["small"] == bytes(2**17)
            assert str(read["large"]) == "it is larger than 512 MiB"
            with found.open("large") as file:
                assert file.read(600) == bytes(600)


def test_an_archive_that_would_fill_a_disk_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A zip that says so, and a compressed tar that turns out so, holds no more than the cap in all."""
    for module in (tree_zip, tree_tar):
        monkeypatch.setattr(module, "MAX_TOTAL", 2**20)
    files = {f"{number}": bytes(2**18) for number in range(5)}
    for kind in ("x.zip", "x.tgz"):
        path = WRITERS[kind](tmp_path / kind, files)
        assert path.stat().st_size < 5000
        with pytest.raises(BadSource, match="in the archive, found more"):
            open_tree(path)


def test_a_damaged_archive_is_an_error(tmp_path: Path) -> None:
    """One that is cut short, or whose member's header is damaged, is never taken for one that ends there."""
    for kind, padding in (("x.zip", 0), ("x.tar", 5632), ("x.tgz", 0)):
        path = WRITERS[kind](tmp_path / kind, {f"{number}.png": bytes(range(256)) * 4 for number in range(9)})
        whole = path.read_bytes()
        for cut in range(padding + 1, len(whole) - 512, 101):
            (tmp_path / f"cut.{kind}").write_bytes(whole[:-cut])
            with pytest.raises(BadSource, match="damaged"):
                open_tree(tmp_path / f"cut.{kind}")
    data = bytearray((tmp_path / "x.tar").read_bytes())
    data[3 * 1536 + 10] ^= 1
    (tmp_path / "x.tar").write_bytes(data)
    with pytest.raises(BadSource, match="no member and no end mark at byte 4608"):
        open_tree(tmp_path / "x.tar")


def test_a_tar_that_leads_in_a_circle_or_asks_for_much_is_an_error(tmp_path: Path) -> None:
    """A negative size, and a header that is said to be larger than any member, end at once and take no memory."""
    for kind, size, said in ((tarfile.REGTYPE, -512, "negative"), (tarfile.XHDTYPE, 2**33, "a header of 8589934592")):
        member = tarfile.TarInfo("a")
        block = bytearray(member.tobuf(tarfile.GNU_FORMAT))
        block[124:136] = struct.pack(">Bxxx", 0xFF if size < 0 else 0x80) + struct.pack(">q", size)
        block[125:128] = (b"\xff" if size < 0 else b"\0") * 3
        block[156:157] = kind
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        (tmp_path / "x.tgz").write_bytes(gzip.compress(bytes(block) + bytes(10240)))
        with pytest.raises(BadSource, match=said):
            open_tree(tmp_path / "x.tgz")


def test_one_file_is_a_tree_of_its_own(tmp_path: Path) -> None:
    """A table or an npz is one entry; an archive is known by its bytes, whatever it is called."""
    (tmp_path / "x.csv").write_bytes(b"1,2")
    with open_tree(tmp_path / "x.csv") as found:
        assert (found.kind, found.entries, found.read("x.csv")) == ("file", (Entry("x.csv", 3),), b"1,2")
    (tmp_path / "x.bin").write_bytes(write_zip(tmp_path / "x.zip", FILES).read_bytes())
    with open_tree(tmp_path / "x.bin") as found:
        assert found.kind == "zip"


def test_a_source_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """What is a refused file among many is an error where the one file is all that there is."""
    (tmp_path / "t.csv").symlink_to("nothing")
    with (
        open_tree(tmp_path) as found,
        pytest.raises(BadSource, match=r"t\.csv: expected a file that can be read, found it is a symbolic link"),
        opened(lambda: found.open("t.csv"), "t.csv"),
    ):
        pass


def test_a_path_without_anything_is_an_error(tmp_path: Path) -> None:
    """The message names the path."""
    with pytest.raises(BadSource, match=r"nothing there\. Correct the path"):
        open_tree(tmp_path / "x")
