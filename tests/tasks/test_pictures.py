"""Odd and hostile pictures: each has the pixels that are written down here, or the reason for which it is refused."""

from __future__ import annotations

import io
import random
import struct
import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from schemas.image_spec import ImageSpec
from schemas.pictures import PictureSpec
from tasks.formats.pictures import TURNED, decode, look
from tasks.formats.png import check_chunks
from tasks.formats.refused import Refused
from tasks.formats.webp import canvas
from tests.tasks.picture_bytes import (
    GREY,
    animated,
    bmp,
    chunk,
    flat,
    grey,
    image,
    interlaced_png,
    png,
    saved,
    tiff,
    tiff_16,
    turned,
    webp,
)

SAME = [list(row) for row in GREY]
DEEP = "it has 16 bits a channel, where 8 are kept: --deep shift keeps the higher 8"
NO_SHIFT = "it has 16 bits a channel, of a kind that cannot be shifted to 8: write them as 8 bits"
CLEAR = "it has transparent parts: --background says which level, 0 to 255, they are laid on"
RAW = "it is a camera's raw file, of which only a preview could be read: export it as PNG or JPEG"
FRAMES = "it has 2 frames or pages: --frames first takes the first one"
HEADER = "it begins as one PNG picture, and its header cannot be read: it is damaged, or of a rare kind"
SHORT = "it is cut short: its data end before its pixels do"
NO_END = "it is cut short: a PNG without its last chunk"
WRONG = "it is damaged: the checksum of its PNG chunk {} is wrong"
FEW = "it is damaged: it holds {} bytes of pixels, where its size takes {}"
WHOLE = "its pixels are whole numbers of 32 bits: write them as 8 bits"
COLOR = "it is {}, and others are not: --color says which of the two all become"
LARGE = "it has more than 67,108,864 pixels, or 65,536 on a side: scale it down"
HEIC = "it is a picture of a kind that is not read (HEIC): save it as PNG or JPEG"
SHIFTED = "the higher 8 of 16 bits"
REDS = [[[255, 0, 0], [0, 0, 255]]]
HALF = image([[(200, 100, 50, 128), (1, 2, 3, 255)]])
PALETTE = bytes([0, 0, 0, 0, 50, 50, 50, 0, 100, 100, 100, 0, 255, 255, 255, 0])


class Case(NamedTuple):
    """
    One odd picture.

    Args:
        data:     the file.
        expected: its pixels, or why it is refused.
        notes:    what is told about it.
        answers:  fields of the spec; the shape is that of the expected pixels, or 2 x 3.
    """

    data: bytes
    expected: Any
    notes: tuple[str, ...] = ()
    answers: Mapping[str, Any] = MappingProxyType({})


def palette(**options: Any) -> bytes:
    """Return a PNG with a palette of red and blue, a pixel of each."""
    made = Image.new("P", (2, 1))
    made.putpalette([255, 0, 0, 0, 0, 255])
    made.putpixel((1, 0), 1)
    return saved(made, "PNG", **options)


def damaged(data: bytes, at: int) -> bytes:
    """Return a file in which one bit is another one."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] if at >= 0 else damaged(data, len(data) + at)


def cmyk(adobe: bool) -> bytes:
    """Return a JPEG of four inks, with or without the marker of Adobe that says whether they are inverted."""
    data = saved(Image.new("CMYK", (3, 2), (10, 20, 30, 40)), "JPEG")
    at = data.index(b"\xff\xeeAdobe".replace(b"Adobe", b"\x00\x0eAdobe"))
    return data if adobe else data[:at] + data[at + 16 :]


CASES = {
    # modes
    "png of mode 1": Case(saved(Image.fromarray(np.array([[True, False]])), "PNG"), [[255, 0]]),
    "png of mode L": Case(grey("PNG"), SAME),
    "png of 2 bits": Case(png(4, 1, 2, 0, [b"\x1b"]), [[0, 85, 170, 255]]),
    "png of 4 bits": Case(png(2, 1, 4, 0, [b"\x1f"]), [[17, 255]]),
    "grey as colour": Case(grey("PNG"), [[[v] * 3 for v in row] for row in SAME]),
    "png of mode RGB": Case(saved(image(REDS), "PNG"), REDS),
    "colour as grey": Case(
        saved(image([[(255, 0, 0), (0, 255, 0), (0, 0, 255), (9, 9, 9)]]), "PNG"), [[76, 150, 29, 9]]
    ),
    "png of mode P": Case(palette(), REDS),
    "png of mode P as grey": Case(palette(), [[76, 29]]),
    "png beyond its palette": Case(png(2, 1, 8, 3, [b"\0\5"], chunk(b"PLTE", b"\xff\xff\xff")), [[255, 0]]),
    "tiff of mode LA, all opaque": Case(saved(image([[5, 6]]).convert("LA"), "TIFF"), [[5, 6]]),
    "png of mode RGBA, all opaque": Case(saved(image(REDS).convert("RGBA"), "PNG"), REDS),
    "png with a transparent part": Case(saved(HALF, "PNG"), CLEAR),
    "on white": Case(
        saved(HALF, "PNG"), [[[227, 177, 152], [1, 2, 3]]], ("transparent parts laid on 255",), {"background": 255}
    ),
    "on black": Case(
        saved(HALF, "PNG"), [[[100, 50, 25], [1, 2, 3]]], ("transparent parts laid on 0",), {"background": 0}
    ),
    "png of mode LA on 100": Case(
        png(2, 1, 8, 4, [bytes([200, 0, 200, 255])]), [[100, 200]], ("transparent parts laid on 100",),
        {"background": 100},
    ),
    "transparent entry of a palette": Case(palette(transparency=0), CLEAR),
    "transparent entry on 7": Case(
        palette(transparency=0), [[[7, 7, 7], [0, 0, 255]]], ("transparent parts laid on 7",), {"background": 7}
    ),
    "transparent entry that no pixel has": Case(grey("PNG", transparency=51), SAME),
    "transparent grey": Case(
        grey("PNG", transparency=50), [[0, 9, 100], SAME[1]], ("transparent parts laid on 9",), {"background": 9}
    ),
    "transparent entry of a gif": Case(grey("GIF", transparency=0), CLEAR),
    "png, interlaced": Case(interlaced_png(), SAME),
    "png, interlaced, of too few lines": Case(
        interlaced_png(lines=3), FEW.format(6, 10)
    ),
    "16 bits of grey": Case(png(2, 1, 16, 0, [b"\x12\x34\xff\0"]), DEEP),
    "16 bits of grey, shifted": Case(png(2, 1, 16, 0, [b"\x12\x34\xff\0"]), [[18, 255]], (SHIFTED,), {"deep": "shift"}),
    "16 bits of colour": Case(png(1, 1, 16, 2, [b"\x12\x34\xff\xff\x80\xff"]), DEEP),
    "16 bits of colour, shifted": Case(
        png(1, 1, 16, 2, [b"\x12\x34\xff\xff\x80\xff"]), [[[18, 255, 128]]], (SHIFTED,), {"deep": "shift"}
    ),
    "16 bits of grey and alpha": Case(png(1, 1, 16, 4, [b"\x12\x34\xff\xff"]), DEEP),
    "16 bits, one of them transparent": Case(
        png(2, 1, 16, 0, [b"\x12\x34\xff\0"], chunk(b"tRNS", b"\x12\x34")), NO_SHIFT, (), {"deep": "shift"}
    ),
    "tiff of 16 bits": Case(tiff_16("<", (0x1234, 0xFF00)), DEEP),
    "tiff of 16 bits, shifted": Case(tiff_16("<", (0x1234, 0xFF00)), [[18, 255]], (SHIFTED,), {"deep": "shift"}),
    "big-endian tiff of 16 bits": Case(tiff_16(">", (0x1234, 0xFF00)), [[18, 255]], (SHIFTED,), {"deep": "shift"}),
    "tiff of 16 bits, white is 0": Case(tiff_16("<", (0x1234, 0xFF00), 0), NO_SHIFT, (), {"deep": "shift"}),
    "pgm of 16 bits": Case(b"P5 2 1 65535\n\x12\x34\xff\xff", DEEP),
    "pgm of 16 bits, shifted": Case(
        b"P5 2 1 65535\n\x12\x34\xff\xff", [[18, 255]], (SHIFTED,), {"deep": "shift"}
    ),
    "ppm of 16 bits": Case(b"P6 1 1 65535\n\0\1\0\2\0\3", NO_SHIFT, (), {"deep": "shift"}),
    "tiff of 32 bits": Case(saved(Image.new("I", (3, 2), 5), "TIFF"), WHOLE),
    "tiff of floats": Case(saved(Image.new("F", (3, 2), 0.5), "TIFF"), "its pixels are floats: write them as 8 bits"),
    "pfm": Case(b"Pf 1 1 -1.0\n\0\0\x80?", "its pixels are floats: write them as 8 bits"),
    "jpeg of inks": Case(cmyk(adobe=True), "its colours are inks (CMYK): convert it to RGB"),
    "jpeg of inks without a marker": Case(cmyk(adobe=False), "its colours are inks (CMYK): convert it to RGB"),
    "tiff of mode LAB": Case(saved(Image.new("LAB", (3, 2)), "TIFF"), "its colours are LAB: convert it to RGB"),
    "tiff of mode YCbCr": Case(
        saved(Image.new("YCbCr", (3, 2)), "TIFF"), "its colours are YCbCr outside of a JPEG: convert it to RGB"
    ),
    "plain colour among grey ones": Case(saved(image(REDS), "PNG"), COLOR.format("in colour"), (), {"color": "exact"}),
    "palette among grey ones": Case(palette(), COLOR.format("in colour"), (), {"color": "exact"}),
    "plain grey among colours": Case(
        grey("PNG"), COLOR.format("grey"), (), {"color": "exact", "shape": (2, 3, 3)}
    ),
    "grey jpeg among colours": Case(
        saved(flat(1), "JPEG"), COLOR.format("grey"), (), {"color": "exact", "shape": (2, 3, 3)}
    ),
    "grey among grey ones": Case(grey("PNG"), SAME, (), {"color": "exact"}),
    # kinds and their ways of writing
    "gif": Case(grey("GIF"), SAME),
    "gif without its last byte": Case(grey("GIF")[:-1], SAME),
    "bmp": Case(bmp(3, 2, 0, PALETTE, bytes([0, 1, 2, 0, 3, 2, 1, 0])), [[255, 100, 50], [0, 50, 100]]),
    "bmp from top to bottom": Case(
        bmp(3, -2, 0, PALETTE, bytes([0, 1, 2, 0, 3, 2, 1, 0])), [[0, 50, 100], [255, 100, 50]]
    ),
    "bmp of runs": Case(
        bmp(3, 2, 1, PALETTE, bytes([3, 1, 0, 0, 2, 2, 1, 3, 0, 1])), [[100, 100, 255], [50, 50, 50]]
    ),
    "bmp of runs, cut short": Case(bmp(3, 2, 1, PALETTE, bytes([3, 1, 0, 0])), "it is damaged: not enough image data"),
    "bmp, cut short": Case(
        bmp(3, 2, 0, PALETTE, bytes([0, 1, 2, 0])), SHORT
    ),
    "pbm": Case(b"P4 8 1\n\xa5", [[0, 255, 0, 255, 255, 0, 255, 0]]),
    "pgm in letters": Case(b"P2 3 1 255\n1 2 3", [[1, 2, 3]]),
    "pgm in letters, cut short": Case(b"P2 3 1 255\n1 2", "it is damaged: not enough image data"),
    "pgm of 4 bits": Case(b"P5 2 1 15\n\x0f\x07", [[255, 119]]),
    "pgm, cut short": Case(b"P5 3 1 255\n\1\2", SHORT),
    "pam": Case(
        b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nTUPLTYPE GRAYSCALE\nENDHDR\n\1\2",
        "it begins as one Netpbm picture, and its header cannot be read: it is damaged, or of a rare kind",
    ),
    "tiff": Case(grey("TIFF"), SAME),
    "tiff, LZW": Case(grey("TIFF", compression="tiff_lzw"), SAME),
    "tiff, deflate": Case(grey("TIFF", compression="tiff_adobe_deflate"), SAME),
    "webp without loss": Case(saved(image(REDS), "WEBP", lossless=True), REDS),
    "webp with loss": Case(saved(flat(100, 16, 16).convert("RGB"), "WEBP", quality=100), [[100] * 16] * 16),
    "webp, cut short": Case(grey("WEBP", lossless=True)[:-12], "it is damaged: could not create decoder object"),
    "jpeg": Case(saved(flat(100, 16, 16), "JPEG"), [[100] * 16] * 16),
    "progressive jpeg": Case(saved(flat(100, 16, 16), "JPEG", progressive=True), [[100] * 16] * 16),
    "jpeg, cut short": Case(
        saved(flat(100, 64, 64), "JPEG")[:-30], SHORT
    ),
    "jpeg with garbage behind it": Case(saved(flat(100, 16, 16), "JPEG") + b"garbage", [[100] * 16] * 16),
    "jpeg with a second one behind it": Case(
        saved(flat(100, 8, 8).convert("RGB"), "MPO", save_all=True, append_images=[flat(9, 8, 8).convert("RGB")]),
        [[100] * 8] * 8,
        ("first of 2 pictures, of which the others are previews or second views (MPO)",),
    ),
    # frames
    **{f"{kind} of two frames": Case(animated(kind), FRAMES) for kind in ("GIF", "PNG", "TIFF", "WEBP")},
    **{
        f"{kind}, its first frame": Case(animated(kind), [[10] * 3] * 2, ("first of 2 frames",), {"frames": "first"})
        for kind in ("GIF", "PNG", "TIFF", "WEBP")
    },
    # turned
    **{
        f"{kind} of orientation {orientation}": Case(turned(kind, orientation), pixels, (TURNED,))
        for kind in ("PNG", "TIFF")
        for orientation, pixels in {
            2: [[100, 50, 0], [255, 200, 150]],
            3: [[255, 200, 150], [100, 50, 0]],
            4: [[150, 200, 255], [0, 50, 100]],
            5: [[0, 150], [50, 200], [100, 255]],
            6: [[150, 0], [200, 50], [255, 100]],
            7: [[255, 100], [200, 50], [150, 0]],
            8: [[100, 255], [50, 200], [0, 150]],
        }.items()
    },
    "orientation 1": Case(turned("PNG", 1), SAME),
    "orientation 77": Case(turned("PNG", 77), SAME),
    "jpeg of orientation 6": Case(
        saved(flat(100, 8, 16), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"),
        [[100] * 8] * 16,
        (TURNED,),
    ),
    "jpeg of damaged EXIF": Case(
        saved(flat(100, 8, 8), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12"),
        [[100] * 8] * 8,
        ("Pillow warns: Corrupt EXIF data.  Expecting to read 12 bytes but only got 2",),
    ),
    # sizes
    "1 x 1": Case(saved(flat(7, 1, 1), "PNG"), [[7]]),
    "1 x 1, of another size": Case(saved(flat(7, 1, 1), "PNG"), "it has 1 x 1 pixels, not 2 x 3"),
    "1 x 1, stretched": Case(
        saved(flat(7, 1, 1), "PNG"), [[7] * 3] * 2, ("resized from 1 x 1",), {"fit": "stretch"}
    ),
    "1 x 1, padded": Case(
        saved(flat(7, 1, 1), "PNG"), [[9, 7, 7, 9], [9, 7, 7, 9]], ("resized from 1 x 1",), {"fit": "pad", "pad": 9}
    ),
    "1 x 5000, padded": Case(
        saved(flat(200, 1, 5000), "PNG"), [[0] * 3, [200] * 3, [0] * 3], ("resized from 1 x 5000",), {"fit": "pad"}
    ),
    "4 x 4 to 2 x 2": Case(
        saved(image([[0, 40, 80, 120]] * 4), "PNG"), [[29, 91]] * 2, ("resized from 4 x 4",), {"fit": "stretch"}
    ),
    "padded colour": Case(
        saved(image([[(1, 2, 3)]]), "PNG"), [[[9] * 3, [1, 2, 3], [9] * 3]], ("resized from 1 x 1",),
        {"fit": "pad", "pad": 9},
    ),
    "huge": Case(png(100_000, 100_000, 8, 0, [b""]), LARGE),
    "large": Case(png(9000, 9000, 8, 0, [b""]), LARGE),
    "bmp of 2^30 x 2^30": Case(
        bmp(2**30, 2**30, 0, PALETTE, b""), LARGE
    ),
    "1 x 65,537": Case(png(65_537, 1, 1, 0, [bytes(8193)]), LARGE),
    "webp of 2^24 x 255": Case(webp(b"VP8X", b"\x10\0\0\0\xff\xff\xff\xfe\0\0"), LARGE),
    "webp without loss of 16384 x 16384": Case(webp(b"VP8L", b"\x2f\xff\xff\xff\x0f"), LARGE),
    "webp with loss of 16383 x 16383": Case(webp(b"VP8 ", b"\0\0\0\x9d\1\x2a\xff\x3f\xff\x3f"), LARGE),
    # damaged
    "no byte": Case(b"", "an empty file (0 bytes)"),
    "a text called png": Case(b"a picture\nof a cat\n", "it is no picture, but a text file"),
    "a web page": Case(b"<!doctype html><html></html>", "it is no picture, but an HTML page"),
    "a pdf": Case(b"%PDF-1.4", "it is no picture, but a PDF document"),
    "heic": Case(
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", HEIC
    ),
    "a png called jpg": Case(grey("PNG"), SAME),
    "png, cut in its pixels": Case(grey("PNG")[:-20], NO_END),
    "png without its end": Case(grey("PNG")[:-12], NO_END),
    "png of a wrong checksum": Case(damaged(grey("PNG"), -13), WRONG.format("IDAT")),
    "png of a damaged pixel": Case(damaged(grey("PNG"), 45), WRONG.format("IDAT")),
    "png of a damaged size": Case(damaged(grey("PNG"), 19), WRONG.format("IHDR")),
    "png of too few lines": Case(png(2, 3, 8, 0, [b"\1\2"]), FEW.format(3, 9)),
    "png of too many lines": Case(png(2, 1, 8, 0, [b"\1\2"] * 4), [[1, 2]]),
    "png with garbage behind it": Case(grey("PNG") + b"garbage", SAME),
    "png of gamma 1": Case(png(2, 1, 8, 0, [b"\1\2"], chunk(b"gAMA", struct.pack(">I", 100_000))), [[1, 2]]),
    "png of a colour profile": Case(grey("PNG", icc_profile=b"no profile at all"), SAME),
    "png of no column": Case(png(0, 1, 8, 0, [b""]), HEADER),
    "png of a depth that is none": Case(png(2, 1, 8, 1, [b"\0\1"]), HEADER),
    "preview of a raw file": Case(tiff(254, 1), RAW),
    "dng": Case(tiff(50706, b"\1\4\0\0"), RAW),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_an_odd_picture_has_one_stated_answer(name: str) -> None:
    """Its pixels and notes are those written down here, or it is refused for the reason written down."""
    data, expected, notes, answers = CASES[name]
    shape = (2, 3) if isinstance(expected, str) else np.shape(expected)
    spec = PictureSpec.model_validate({"shape": shape, **answers})
    if isinstance(expected, str):
        with pytest.raises(Refused) as refused:
            decode(data, spec)
        assert refused.value.reason == expected
    else:
        found = decode(data, spec)
        assert (found.pixels.tolist(), found.notes) == (np.array(expected).tolist(), notes)
        assert found.pixels.dtype == np.uint8


def test_there_are_enough_odd_pictures() -> None:
    """The table of odd pictures has more than a hundred."""
    assert len(CASES) > 100


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not isinstance(case.expected, str)])
def test_a_header_says_what_comes(name: str) -> None:
    """A look at the header alone gives rows and columns after turning, and names what the spec has to answer."""
    data, expected, notes, answers = CASES[name]
    found = look(data)
    if not answers.get("fit"):
        assert (found.rows, found.columns) == np.shape(expected)[:2]
    assert found.turned == (TURNED in notes)
    assert found.deep == ("deep" in answers)
    assert found.frames == (2 if any("first of 2" in note for note in notes) else 1)
    assert found.alpha or not any("transparent" in note for note in notes)


@pytest.mark.parametrize("background", [None, 0, 255])
@pytest.mark.parametrize("channels", [1, 3])
def test_damaged_bytes_never_do_more_than_be_refused(channels: int, background: int | None) -> None:
    """Whatever bit of whatever picture is another one, it is decoded or refused, and no warning comes through."""
    draw = random.Random(14)
    shape = (2, 3, channels) if channels > 1 else (2, 3)
    spec = PictureSpec.model_validate(
        {"shape": shape, "fit": "pad", "frames": "first", "deep": "shift", "background": background}
    )
    for name, case in CASES.items():
        for _ in range(8):
            data = bytearray(case.data)
            for _ in range(draw.randint(1, 4) if data else 0):
                data[draw.randrange(len(data))] = draw.randrange(256)
            try:
                found = decode(bytes(data), spec)
            except Refused as refused:
                assert refused.reason, name
                assert refused.reason.isprintable(), name
            else:
                assert found.pixels.shape == shape, name


def test_the_size_of_a_webp_is_that_of_its_header() -> None:
    """It is read from each of the three headers, so that Pillow is not asked to take memory for it."""
    made = flat(100, 70, 300)
    files = [saved(made, "WEBP", lossless=lossless) for lossless in (False, True)]
    files.append(saved(made, "WEBP", save_all=True, append_images=[flat(9, 70, 300)]))
    assert [data[12:16] for data in files] == [b"VP8 ", b"VP8L", b"VP8X"]
    assert {canvas(data) for data in files} == {(70, 300)}
    assert {canvas(data) for data in (b"", grey("PNG"), b"RIFF", files[0][:29])} == {(0, 0)}


@pytest.mark.parametrize("channels", [1, 3])
def test_a_plain_png_has_the_pixels_that_pillow_gives(channels: int) -> None:
    """Plain PNGs, whose chunks are read here, are decoded to the pixels of Pillow's own reader, whatever their size."""
    draw = np.random.default_rng(channels)
    for rows, columns in ((1, 1), (5, 3), (28, 28), (1, 700), (300, 200)):
        shape = (rows, columns, 3)[: 2 + (channels > 1)]
        noise = draw.integers(0, 256, shape).cumsum(axis=1).astype(np.uint8)  # such that every filter is used
        spec = PictureSpec.model_validate({"shape": shape})
        for options in ({}, {"optimize": True}, {"compress_level": 1}):
            data = saved(Image.fromarray(noise), "PNG", **options)
            assert check_chunks(data).plain == ("L" if channels == 1 else "RGB")
            with Image.open(io.BytesIO(data)) as read:
                assert (decode(data, spec).pixels == np.asarray(read)).all()
            assert (decode(data, spec).pixels == noise).all()


def test_filters_of_warnings_are_as_before() -> None:
    """A program that turns warnings into errors, or hides them, gets the same notes and keeps its filters."""
    data = CASES["jpeg of damaged EXIF"].data
    actions: tuple[Literal["error", "ignore"], ...] = ("error", "ignore")
    for action in actions:
        with warnings.catch_warnings():
            warnings.simplefilter(action)
            before = list(warnings.filters)
            assert decode(data, PictureSpec(shape=ImageSpec(rows=8, columns=8))).notes
            assert warnings.filters == before


@pytest.mark.parametrize(
    "given",
    [
        {"pad": 256},
        {"pad": -1},
        {"background": 1.5},
        {"fit": "crop"},
        {"deep": "scale"},
        {"shape": (28, 0)},
        {"shape": (28, 28, 4)},
        {"x": 1},
    ],
)
def test_a_spec_that_is_none_is_refused(given: dict[str, Any]) -> None:
    """Levels are whole numbers from 0 to 255, and each answer is one of those that there are."""
    with pytest.raises(ValidationError):
        PictureSpec.model_validate({"shape": (28, 28), **given})
