"""Pack: pictures become IDX files, and every file is accounted for."""

from __future__ import annotations

import io
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from artifacts.engine.execution import Done, Execution
from artifacts.store.store import Store
from flows.own_source import own_dataset
from schemas.errors import BadSource, StageError
from schemas.source import FILES, IMAGES, LABELS, Choices, Source
from tasks.formats.idx import open_idx
from tasks.formats.ledger import Names, Row, read_ledger
from tasks.pack import PackSummary, Rows, pack

RUN = "0" * 12
Pixels = npt.NDArray[np.uint8]


def drawn(seed: int, shape: tuple[int, ...] = (4, 5)) -> Pixels:
    """Some picture."""
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of six pictures each, with files that are no pictures."""
    root = tmp_path / "photos"
    for label, start in (("oak", 0), ("elm", 100)):
        (root / label).mkdir(parents=True)
        for at in range(6):
            Image.fromarray(drawn(start + at)).save(root / label / f"{at}.png")
    (root / "README.md").write_text("mine")
    (root / "oak" / ".DS_Store").write_bytes(b"x")
    return root


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "home")


def source_of(store: Store, root: Path, **choices: object) -> Source:
    """Find what lies at a place."""
    found = own_dataset(store, root, "photos", Choices.model_validate(choices)).packed
    assert found is not None
    return found


def packed(store: Store, root: Path, **choices: object) -> tuple[Done, PackSummary, Path]:
    """Pack a place."""
    done = Execution(store, RUN, "", pack, {"source": source_of(store, root, **choices)})()
    manifest = store.manifest("pack", done.row.version)
    assert manifest is not None
    return done, PackSummary.model_validate(manifest.summary), store.folder("pack", done.row.version)


def images(folder: Path, part: str = "train") -> Pixels:
    """The packed images."""
    return open_idx(folder / IMAGES.format(part)).read()


def ledger(folder: Path) -> dict[str, Row]:
    """What became of each file."""
    return {row.name: row for row in read_ledger(folder / FILES)[0]}


def test_pictures_become_rows_in_the_order_of_their_names(store: Store, photos: Path) -> None:
    """Their pixels are those of the files, their labels the places of their classes."""
    _, summary, folder = packed(store, photos)
    expected = [drawn(start + at) for start in (100, 0) for at in range(6)]
    assert images(folder).tolist() == np.stack(expected).tolist()
    assert open_idx(folder / LABELS.format("train")).read().tolist() == [0] * 6 + [1] * 6
    assert summary.classes == {"train": {"elm": 6, "oak": 6}}
    assert summary.decoded == 12


def test_used_and_unused_are_all(store: Store, photos: Path) -> None:
    """Each file has a row, with its sample or the reason why it has none."""
    (photos / "elm" / "bad.png").write_text("<html>")
    _, summary, folder = packed(store, photos, allow_refused=True)
    rows = ledger(folder)
    there = {str(path.relative_to(photos)) for path in photos.rglob("*") if path.is_file()}
    assert set(rows) == there
    assert summary.files == len(there) == summary.used + sum(summary.unused.values())
    assert all((row.samples == 1) != bool(row.reason) for row in rows.values())
    assert rows["oak/0.png"][3:7] == ("train", "oak", 6, 1)
    assert "no picture" in rows["elm/bad.png"].reason
    names = Names(rows.values())
    assert [names.of("train", at) for at in (0, 6, 11, 12)] == ["elm/0.png", "oak/0.png", "oak/5.png", ""]


def test_an_added_picture_is_the_only_one_that_is_decoded(store: Store, photos: Path) -> None:
    """The others are taken from the artifact before, in their new order, wherever they moved to."""
    packed(store, photos)
    Image.fromarray(drawn(500)).save(photos / "elm" / "00.png")
    (photos / "oak" / "3.png").rename(photos / "elm" / "9.png")
    (photos / "oak" / "5.png").unlink()
    _, summary, folder = packed(store, photos)
    assert summary.decoded == 1
    fresh, whole, alone = packed(Store(store.home.parent / "other"), photos)
    assert whole.decoded == 12
    assert images(folder).tolist() == images(alone).tolist()
    assert ledger(folder) == ledger(alone)
    assert fresh.ref.digest == packed(store, photos)[0].ref.digest


def test_other_choices_decode_all_again(store: Store, photos: Path) -> None:
    """What an earlier artifact holds was made in another way."""
    packed(store, photos)
    assert packed(store, photos, size=(3, 3), fit="stretch")[1].decoded == 12


def test_what_is_not_used_changes_no_content(store: Store, photos: Path) -> None:
    """A file beside the pictures makes another ledger, and nothing after it is computed again."""
    before = packed(store, photos)[0]
    (photos / "more.txt").write_text("x")
    after = packed(store, photos)[0]
    assert after.ref.version != before.ref.version
    assert after.ref.digest == before.ref.digest


def zipped(root: Path, target: Path) -> Path:
    """A zip of a folder, in an order of its own."""
    with zipfile.ZipFile(target.with_suffix(".zip"), "w") as archive:
        for path in sorted((p for p in root.rglob("*") if p.is_file()), reverse=True):
            archive.write(path, path.relative_to(root.parent))
    return target.with_suffix(".zip")


def tarred(root: Path, target: Path) -> Path:
    """A compressed tar of a folder, in an order of its own."""
    with tarfile.open(target.with_suffix(".tar.gz"), "w:gz") as archive:
        for path in sorted((p for p in root.rglob("*") if p.is_file()), reverse=True):
            archive.add(path, path.relative_to(root.parent))
    return target.with_suffix(".tar.gz")


@pytest.mark.parametrize("archive", [zipped, tarred])
def test_an_archive_gives_the_same_rows(store: Store, photos: Path, archive: Callable[[Path, Path], Path]) -> None:
    """Whatever the order of its members."""
    here = packed(store, photos)[2]
    there = packed(store, archive(photos, photos.parent / "archive"))[2]
    for name in (IMAGES.format("train"), LABELS.format("train")):
        assert (there / name).read_bytes() == (here / name).read_bytes()


def test_a_copy_elsewhere_is_the_same_version(store: Store, photos: Path, tmp_path: Path) -> None:
    """With endings in another case, and written in another order."""
    version = packed(store, photos)[0].ref.version
    copy = tmp_path / "deeper" / "photos"
    for path in sorted((p for p in photos.rglob("*") if p.is_file()), reverse=True):
        target = copy / path.relative_to(photos)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target.with_suffix(target.suffix.upper()) if target.suffix == ".png" else target)
    done = packed(store, copy)[0]
    assert (done.ref.version, done.row.cached) == (version, True)


def test_parts_are_packed_apart(store: Store, photos: Path) -> None:
    """train/ and test/ are two pairs of files, and have their samples each from 0."""
    for part in ("train", "test"):
        shutil.copytree(photos, photos.parent / "both" / part)
    (photos.parent / "both" / "test" / "oak" / "0.png").unlink()
    _, summary, folder = packed(store, photos.parent / "both")
    assert summary.rows == {"train": 12, "test": 11}
    assert ledger(folder)["test/elm/0.png"].sample == 0


@pytest.mark.parametrize(
    ("shape", "way_out"), [((4, 6), "--size 4x5 --fit pad"), ((4, 5, 3), "--color gray or --color rgb")]
)
def test_pictures_that_differ_are_refused(store: Store, photos: Path, shape: tuple[int, ...], way_out: str) -> None:
    """Nothing is guessed: what was found is named, and what can be said about it."""
    for at in range(2):
        Image.fromarray(drawn(900 + at, shape)).save(photos / "oak" / f"9{at}.png")
    with pytest.raises(BadSource, match=r"found 2 that cannot: 2 \(oak/90.png, oak/91.png\): it ") as refused:
        packed(store, photos)
    assert way_out in refused.value.way_out
    assert not list(store.manifests("pack"))


def test_a_few_that_cannot_be_used_are_told(store: Store, photos: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One in a hundred is a warning; with --allow-refused more are."""
    (photos / "oak" / "bad.png").write_bytes(b"")
    packed(store, photos, allow_refused=True)
    assert "photos: 1 of 13 pictures cannot be used: 1 (oak/bad.png): an empty file" in caplog.text
    for at in range(100):
        Image.fromarray(drawn(1000 + at)).save(photos / "elm" / f"more{at}.png")
    caplog.clear()
    packed(store, photos)
    assert "1 of 113 pictures" in caplog.text


def test_a_file_that_changes_after_its_key_was_made_is_refused(store: Store, photos: Path) -> None:
    """Nothing is stored under the key of what was there before."""
    source = source_of(store, photos)
    buffer = io.BytesIO()
    Image.fromarray(drawn(77)).save(buffer, "PNG")
    (photos / "elm" / "0.png").write_bytes(buffer.getvalue())
    with pytest.raises(StageError, match="expected files that stay as they are while they are read"):
        Execution(store, RUN, "", pack, {"source": source})()
    assert not list(store.manifests("pack"))


@pytest.mark.parametrize("change", ["deleted", "added", "renamed"])
def test_a_place_that_changes_while_it_is_packed_is_refused(store: Store, photos: Path, change: str) -> None:
    """Neither a picture less nor one more gets into what the key was made of."""
    source = source_of(store, photos)
    if change == "deleted":
        (photos / "elm" / "3.png").unlink()
    elif change == "added":
        Image.fromarray(drawn(88)).save(photos / "elm" / "9.png")
    else:
        (photos / "elm" / "3.png").rename(photos / "elm" / "3.PNG")
    with pytest.raises(StageError, match="expected files that stay as they are while they are read"):
        Execution(store, RUN, "", pack, {"source": source})()
    assert not list(store.manifests("pack"))


@pytest.mark.parametrize("archive", [zipped, tarred])
def test_an_archive_that_is_replaced_is_refused(
    store: Store, photos: Path, archive: Callable[[Path, Path], Path]
) -> None:
    """What was hashed is what is packed."""
    path = archive(photos, photos.parent / "archive")
    source = source_of(store, path)
    Image.fromarray(drawn(88)).save(photos / "elm" / "3.png")
    archive(photos, photos.parent / "archive")
    with pytest.raises(StageError, match="expected files that stay"):
        Execution(store, RUN, "", pack, {"source": source})()


def test_endings_in_another_case_are_one_content(store: Store, photos: Path) -> None:
    """Of the artifact, too: what follows is cached."""
    before = packed(store, photos)[0]
    (photos / "elm" / "3.png").rename(photos / "elm" / "3.PNG")
    after = packed(Store(store.home.parent / "other"), photos)[0]
    assert (after.ref.version, after.ref.digest) == (before.ref.version, before.ref.digest)
    (photos / "elm" / "0").write_bytes((photos / "elm" / "0.png").read_bytes())
    one = source_of(store, photos).content
    (photos / "elm" / "0").rename(photos / "elm" / "O")
    assert source_of(store, photos).content != one


def test_a_part_without_a_picture_is_refused(store: Store, photos: Path) -> None:
    """Whatever is allowed: it is named, and good pictures are packed afterwards."""
    root = photos.parent / "both"
    for part in ("train", "test"):
        shutil.copytree(photos, root / part)
    good = {path: path.read_bytes() for path in (root / "test").rglob("*.png")}
    for path in good:
        path.write_bytes(b"")
    with pytest.raises(BadSource, match="photos test: expected a picture at least that can be used, found none of 12"):
        packed(store, root, allow_refused=True)
    for path, data in good.items():
        path.write_bytes(data)
    assert packed(store, root)[1].rows == {"train": 12, "test": 12}


def test_what_was_allowed_once_is_not_for_ever(store: Store, photos: Path) -> None:
    """A run without --allow-refused fails also where one with it has succeeded."""
    (photos / "oak" / "bad.png").write_bytes(b"")
    packed(store, photos, allow_refused=True)
    with pytest.raises(BadSource):
        packed(store, photos)


def test_an_earlier_artifact_that_is_going_away_is_done_without(store: Store, photos: Path) -> None:
    """A clean-up may take its images while it is read: then all are decoded."""
    folder = packed(store, photos)[2]
    copy = store.home / "copy"
    shutil.copytree(folder, copy)
    (copy / IMAGES.format("train")).unlink()
    assert Rows.of(copy, source_of(store, photos).picture.model_dump_json()).places == {}
    assert len(Rows.of(folder, source_of(store, photos).picture.model_dump_json()).places) == 12
