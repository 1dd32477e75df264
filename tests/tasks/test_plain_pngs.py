"""Plain PNGs that are decoded together: the pixels of each are those that Pillow's own reader gives alone."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tasks.formats.picture_worker import Answers
from tasks.formats.pictures import Recipe, recording
from tests.tasks.picture_bytes import chunk, flat, grey, saved

ROWS, COLUMNS = 5, 4


def recipe(channels: int, rows: int = ROWS, columns: int = COLUMNS) -> Recipe:
    """Pictures as they are."""
    return Recipe(rows, columns, channels, "exact", 0, "exact", None, "refuse", "refuse")


def filtered(lines: list[bytes], channels: int) -> bytes:
    """A PNG of lines that begin with the byte of their filter."""
    header = struct.pack(">IIBBBBB", COLUMNS, len(lines), 8, 0 if channels == 1 else 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"".join(lines)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def drawn(seed: int, channels: int, last: int | None = None) -> bytes:
    """A PNG of random lines, each with a random filter; `last`: that of the last line."""
    random = np.random.default_rng(seed)
    filters = [*random.integers(0, 5, ROWS - 1).tolist(), int(random.integers(0, 5)) if last is None else last]
    return filtered([bytes([each]) + random.bytes(COLUMNS * channels) for each in filters], channels)


def answered(datas: list[bytes], channels: int, **shape: int) -> Answers:
    """What a process answers to some pictures."""
    with recording() as said:
        answers = Answers(recipe(channels, **shape), said)
        for data in datas:
            answers.add(data)
        answers.pixels()
    return answers


def by_pillow(data: bytes) -> bytes:
    """The pixels that Pillow reads."""
    with Image.open(io.BytesIO(data)) as picture:
        return picture.tobytes()


@pytest.mark.parametrize("channels", [1, 3])
def test_every_filter_is_taken_off_as_alone(channels: int) -> None:
    """No picture has anything of the one before it in it, whatever the filter of its first line."""
    datas = [drawn(seed, channels) for seed in range(300)]
    answers = answered(datas, channels)
    assert [bytes(pixels) for pixels in answers.pixels()] == [by_pillow(data) for data in datas]
    assert answers.reasons == [None] * 300


def test_others_among_them_keep_their_place() -> None:
    """Pictures of other kinds and sizes, and damaged ones, are answered where they stand."""
    sound, other = drawn(1, 1), saved(flat(9, ROWS, COLUMNS), "BMP")
    damaged = sound[:-20] + bytes([sound[-20] ^ 1]) + sound[-19:]
    short = filtered([bytes(1 + COLUMNS)] * (ROWS - 1), 1)
    datas = [sound, other, damaged, drawn(2, 1), short, drawn(3, 3), b"", grey("PNG"), drawn(4, 1)]
    answers = answered(datas, 1)
    pixels = [bytes(each) for each in answers.pixels()]
    for at in (0, 1, 3, 8):
        assert (pixels[at], answers.reasons[at]) == (by_pillow(datas[at]), None)
    assert [at for at, reason in enumerate(answers.reasons) if reason] == [2, 4, 5, 6, 7]
    assert answers.reasons[4] == "it has 4 x 4 pixels, not 5 x 4"
    assert not any(pixels[at] for at in (2, 4, 5, 6, 7))


def test_an_unknown_filter_is_that_of_one_picture() -> None:
    """The others, which were to be decoded with it, are decoded alone."""
    datas = [drawn(1, 1), drawn(2, 1, last=5), drawn(3, 1)]
    answers = answered(datas, 1)
    assert [reason is None for reason in answers.reasons] == [True, False, True]
    assert (answers.reasons[1] or "").startswith("it is damaged")
    assert [bytes(each) for each in answers.pixels()] == [by_pillow(datas[0]), b"", by_pillow(datas[2])]


def test_pixels_beyond_the_size_are_left_alone_as_by_pillow() -> None:
    """One with more lines than its header says is decoded, alone."""
    lines = [b"\2" + bytes([at] * COLUMNS) for at in range(ROWS + 1)]
    data = filtered(lines, 1)
    header = data.index(b"IHDR")
    sized = data[: header + 4] + struct.pack(">II", COLUMNS, ROWS) + data[header + 12 : header + 17]
    whole = sized + struct.pack(">I", zlib.crc32(sized[header:])) + data[header + 21 :]
    answers = answered([whole, drawn(1, 1)], 1)
    assert [bytes(each) for each in answers.pixels()] == [by_pillow(whole), by_pillow(drawn(1, 1))]
