"""
One picture: what its header says, and its pixels as an image of a table. Whatever it is, there is one stated answer.

Pillow decodes, and no exception or warning of its leaves this file. NumPy and pydantic are not imported with it: a
process that decodes needs neither, and starts in a fifth of the time.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from schemas.visible import in_a_line
from tasks.formats.png import PNG_MAGIC, Png, check_chunks, check_pixels
from tasks.formats.refused import Refused
from tasks.formats.webp import canvas

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

    from schemas.pictures import PictureSpec

T = TypeVar("T")
Said = list[warnings.WarningMessage]
"""Warnings of Pillow, as they are recorded."""

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
"""What is read, as Pillow calls it; Netpbm's PBM, PGM, PPM and PFM are its PPM."""
MAX_PIXELS = 2**26
"""Rows times columns of the largest picture that is decoded, 8192 x 8192; below Pillow's own first bound."""
MAX_SIDE = 2**16
"""Rows or columns of the largest: Pillow takes 24 s for two lines of 15 million, growing with the square."""
LONGEST_NOTE = 160
"""Characters of a library's message that are kept."""
HEAD_BYTES = 2**14
SUBFILE, PHOTOMETRIC, ORIENTATION, DNG = 0x00FE, 0x0106, 0x0112, 0xC612
"""Tags of EXIF and TIFF."""
TURNED = "turned as its EXIF orientation says"
OPAQUE = 255
TWELVE, SIXTEEN, FLOAT, WHOLE = "I;12", ";16", "F", "I"
"""Of Pillow's modes and raw modes."""
SHORT = "it is cut short: its data end before its pixels do"
LARGE = f"it has more than {MAX_PIXELS:,} pixels, or {MAX_SIDE:,} on a side: scale it down"
EMPTY = "an empty file (0 bytes)"
OTHER_COLOR = ": --color says which of the two all become"
DEEP = "it has 16 bits a channel, where 8 are kept: --deep shift keeps the higher 8"
TRANSPARENT = "it has transparent parts: --background says which level, 0 to 255, they are laid on"
MODES = {
    "CMYK": "its colours are inks (CMYK): convert it to RGB",
    "LAB": "its colours are LAB: convert it to RGB",
    "YCbCr": "its colours are YCbCr outside of a JPEG: convert it to RGB",
    "HSV": "its colours are HSV: convert it to RGB",
    WHOLE: "its pixels are whole numbers of 32 bits: write them as 8 bits",
    FLOAT: "its pixels are floats: write them as 8 bits",
}
"""Modes of Pillow that are refused, and why."""
OTHERS = (
    *((4, b"ftyp" + brand, "HEIC") for brand in (b"heic", b"heix", b"hevc", b"mif1", b"msf1")),
    *((4, b"ftyp" + brand, "AVIF") for brand in (b"avif", b"avis")),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL \r\n", "JPEG XL"),
    (4, b"jP  \r\n", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"8BPS", "Photoshop"),
    (0, b"\0\0\1\0", "icon"),
    (0, b"<svg", "SVG"),
    (128, b"DICM", "DICOM"),
)
"""Pictures of other kinds: where, which bytes, and the name."""
GREY = frozenset({"1", "L", "LA", "I", "I;16", "I;16B", "I;16L"})
"""Modes without colour. A palette is taken for colour, whatever its entries."""
READ = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa"})


class Recipe(NamedTuple):
    """A `PictureSpec` in plain values, as it travels to a process that decodes."""

    rows: int
    columns: int
    channels: int
    fit: str
    pad: int
    color: str
    background: int | None
    frames: str
    deep: str

    @classmethod
    def of(cls, spec: PictureSpec) -> Recipe:
        """Return the recipe of a spec."""
        shape = spec.shape
        plain = (spec.fit, spec.pad, spec.color, spec.background, spec.frames, spec.deep)
        return cls(shape.rows, shape.columns, shape.channels, *plain)


@dataclass(frozen=True)
class Look:
    """
    What the header of a picture says.

    Args:
        format:        as Pillow calls it: PNG, JPEG, MPO (a JPEG with further ones behind it), GIF, ...
        rows, columns: after turning.
        mode:          of Pillow: 1, L, LA, P, RGB, RGBA, I;16, CMYK, ...
        frames:        frames or pages.
        turned:        its EXIF orientation turns or mirrors it.
        alpha:         it may have transparent parts.
        deep:          it has 16 bits a channel, also where the mode does not say so.
    """

    format: str
    rows: int
    columns: int
    mode: str
    frames: int
    turned: bool
    alpha: bool
    deep: bool


@dataclass(frozen=True, eq=False)
class Decoded:
    """
    One picture as an image.

    Args:
        pixels: uint8 (rows, columns), or (rows, columns, 3) of red, green and blue; 0 to 255.
        notes:  what was done to it, or is odd about it, a short line each.
    """

    pixels: npt.NDArray[np.uint8]
    notes: tuple[str, ...]


def look(data: bytes) -> Look:
    """
    Read the header of a picture. That it can be decoded is not said by it.

    Raises: Refused: no picture, or one of more than MAX_PIXELS.
    """
    chunks_of(data)
    with recording() as said:
        found, _ = _guarded(data, _look, said)
    return found


def decode(data: bytes, spec: PictureSpec) -> Decoded:
    """
    Decode one picture; the same bytes and spec give the same pixels in any process.

    Colour profiles and gamma are not applied. Grey is Pillow's `convert("L")` of decoded red, green and blue:
    (19595 R + 38470 G + 7471 B + 32768) >> 16, ITU-R BT.601. Filters of `warnings` are swapped meanwhile,
    and libtiff may write to standard error: for many pictures there is `decode_all`, which keeps both elsewhere.

    Raises: Refused: no picture, damaged, of another size, or of a kind that the spec has no answer to.
    """
    import numpy as np

    recipe = Recipe.of(spec)
    with recording() as said:
        image, notes = paint(data, chunks_of(data), recipe, said)
    return Decoded(np.array(image, np.uint8), notes)


@contextmanager
def recording() -> Iterator[Said]:
    """Record the warnings of this process, for notes; those of pictures that are too large become errors."""
    from PIL.Image import DecompressionBombWarning

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        warnings.simplefilter("error", DecompressionBombWarning)
        yield said


def chunks_of(data: bytes) -> Png | None:
    """Return the chunks of a PNG, checked; None of what does not begin as one. Raises: Refused: damaged."""
    return check_chunks(data) if data.startswith(PNG_MAGIC) else None


def paint(data: bytes, png: Png | None, recipe: Recipe, said: Said) -> tuple[Image, tuple[str, ...]]:
    """
    Do what `decode` does.

    Args:    png: of `chunks_of`.  said: of `recording`; it is emptied.
    Returns: an image of Pillow, of mode L or RGB, with its notes.
    """
    if png is not None and (mode := png.plain):
        notes = list[str]()
        _check_color(mode, recipe)
        return _finished(_plain(png, mode), recipe, notes), tuple(notes)
    return _guarded(data, lambda file: _paint(file, png, recipe), said)


def _guarded(data: bytes, work: Callable[[ImageFile], tuple[T, list[str]]], said: Said) -> tuple[T, tuple[str, ...]]:
    """Open a picture and work on it: errors of Pillow become refusals, its warnings notes."""
    said.clear()
    if not data:
        raise Refused(EMPTY)
    _check_size(*canvas(data[:30]))
    try:
        with _open(data) as file:
            _check_size(file.height, file.width)
            result, notes = work(file)
    except Refused:
        raise
    except Exception as error:  # a decoder of damaged bytes may raise anything
        raise Refused(_why(data, error)) from error
    return result, (*notes, *dict.fromkeys(f"Pillow warns: {_short(warning.message)}" for warning in said))


def _open(data: bytes) -> AbstractContextManager[ImageFile]:
    return _opener()(BytesIO(data), formats=FORMATS)


@cache
def _opener() -> Callable[..., ImageFile]:
    from PIL import Image, TiffImagePlugin, WebPImagePlugin  # else Pillow imports all its 40 formats for these two

    del TiffImagePlugin, WebPImagePlugin
    return Image.open


def _look(file: ImageFile) -> tuple[Look, list[str]]:
    orientation, notes = _orientation(file)
    rows, columns = file.height, file.width
    if orientation >= 5 and file.format != "TIFF":  # of a TIFF, Pillow gives the size after turning
        rows, columns = columns, rows
    return Look(
        file.format or "", rows, columns, file.mode, _frames(file), orientation != 1, _may_be_transparent(file),
        _is_deep(file, _raw_modes(file)),
    ), notes  # fmt: skip


def _paint(file: ImageFile, png: Png | None, recipe: Recipe) -> tuple[Image, list[str]]:
    notes = list[str]()
    raw = _raw_modes(file)  # before it is loaded: then it is gone
    frames, deep = _frames(file), _is_deep(file, raw)
    if file.format == "MPO":
        notes.append(f"first of {frames} pictures, of which the others are previews or second views (MPO)")
    elif frames > 1:
        if recipe.frames == "refuse":
            raise Refused(f"it has {frames} frames or pages: --frames first takes the first one")
        notes.append(f"first of {frames} frames")
    _check_mode(file, raw, deep, recipe)
    _check_color(file.mode, recipe)
    if file.format == "TIFF" and _is_preview(file):
        raise Refused("it is a camera's raw file, of which only a preview could be read: export it as PNG or JPEG")
    if png is not None:
        check_pixels(png)
    by_pillow = _orientation(file) if file.format == "TIFF" else None  # it turns a TIFF while that is loaded
    file.load()
    image = _shifted(file) if deep and file.mode.startswith(WHOLE) else _flat(file, recipe, notes)
    if deep:
        notes.append("the higher 8 of 16 bits")
    orientation, said = by_pillow or _orientation(file)  # of a PNG it may stand behind the pixels
    if orientation != 1:
        notes.append(TURNED)
        image = image if by_pillow else _turned(image, orientation)
    return _finished(image, recipe, notes), notes + said


def _plain(png: Png, mode: str) -> Image:
    """Decode a plain PNG by Pillow's decoder alone: what its reader does around it takes three times as long."""
    from PIL import Image

    rows, columns = png.size
    _check_size(rows, columns)
    check_pixels(png)
    data = png.pieces[0] if len(png.pieces) == 1 else b"".join(png.pieces)
    try:
        return Image.frombytes(mode, (columns, rows), data, "zip", (mode, 0))
    except Exception as error:  # a decoder of damaged bytes may raise anything
        raise Refused(f"it is damaged: {_short(error) or type(error).__name__}") from error


def _finished(image: Image, recipe: Recipe, notes: list[str]) -> Image:
    mode = "L" if recipe.channels == 1 else "RGB"
    return _fitted(image if image.mode == mode else image.convert(mode), recipe, notes)


def _frames(file: ImageFile) -> int:
    return int(getattr(file, "n_frames", 1))


def _raw_modes(file: ImageFile) -> list[str]:
    """Return what the pixels are in the file, as Pillow's decoders are told: `RGB;16B` becomes RGB without a word."""
    return [
        str(part)
        for tile in file.tile
        for part in (tile.args if isinstance(tile.args, tuple) else (tile.args,))
        if isinstance(part, str)
    ]


def _is_deep(file: ImageFile, raw: list[str]) -> bool:
    if SIXTEEN in file.mode or any(SIXTEEN in part for part in raw):
        return True
    return any(
        tile.codec_name in {"ppm", "ppm_plain"} and isinstance(tile.args, tuple) and int(tile.args[-1]) > 255
        for tile in file.tile
    )


def _check_mode(file: ImageFile, raw: list[str], deep: bool, recipe: Recipe) -> None:
    """Refuse what has no answer: by mode, and by what the file holds where the mode does not say it."""
    if TWELVE in raw:
        raise Refused("it has 12 bits a channel: write them as 8 bits")
    if deep and file.mode not in {"CMYK", "LAB"}:
        _check_deep(file, raw, recipe)
    elif file.mode not in READ:
        raise Refused(
            MODES.get(file.mode, f"its pixels are of Pillow's mode {in_a_line(file.mode)}: convert it to RGB")
        )


def _check_color(mode: str, recipe: Recipe) -> None:
    """Refuse colours among grey pictures, and the reverse, unless it was said which of the two all become."""
    grey = mode in GREY
    if recipe.color == "exact" and grey != (recipe.channels == 1):
        raise Refused(f"it is {'grey' if grey else 'in colour'}, and others are not{OTHER_COLOR}")


def _check_deep(file: ImageFile, raw: list[str], recipe: Recipe) -> None:
    """Refuse what the higher 8 bits are not the right answer to: signed, white at 0, scaled already, transparent."""
    if recipe.deep == "refuse":
        raise Refused(DEEP)
    signed = any(part.endswith("S") for part in raw)
    inverted = file.format == "TIFF" and _tag(file, PHOTOMETRIC) == 0
    scaled = file.format == "PPM" and file.mode == "RGB"
    if signed or inverted or scaled or (file.mode.startswith("I") and "transparency" in file.info):
        raise Refused("it has 16 bits a channel, of a kind that cannot be shifted to 8: write them as 8 bits")


def _is_preview(file: ImageFile) -> bool:
    """Return whether the first page of a TIFF is a small stand-in for what follows: DNG, NEF, ARW, CR2."""
    reduced = _tag(file, SUBFILE)
    return bool(isinstance(reduced, int) and reduced & 1) or _tag(file, DNG) is not None or _begins(file, 8, b"CR")


def _begins(file: ImageFile, at: int, magic: bytes) -> bool:
    if file.fp is None:
        return False
    back = file.fp.tell()
    file.fp.seek(at)
    found = file.fp.read(len(magic))
    file.fp.seek(back)
    return found == magic


def _tag(file: ImageFile, tag: int) -> object:
    tags = getattr(file, "tag_v2", None)
    return tags.get(tag) if tags is not None else None


def _may_be_transparent(file: ImageFile) -> bool:
    return bool(file.has_transparency_data)


def _shifted(file: Image) -> Image:
    """Return the higher 8 of 16 bits of one channel, as mode L."""
    import numpy as np
    from PIL import Image

    return Image.fromarray((np.asarray(file).astype(np.uint32) >> 8).astype(np.uint8))


def _flat(file: Image, recipe: Recipe, notes: list[str]) -> Image:
    """Return a picture as mode L or RGB, transparent parts laid on the background."""
    if not file.has_transparency_data:
        return file.convert("L") if file.mode == "1" else file if file.mode in {"L", "RGB"} else file.convert("RGB")
    layer = file.convert("RGBA")
    extrema = layer.getchannel("A").getextrema()
    if extrema[0] == OPAQUE:  # many programs write an alpha channel of nothing but 255
        return layer.convert("RGB")
    if recipe.background is None:
        raise Refused(TRANSPARENT)
    from PIL import Image

    notes.append(f"transparent parts laid on {recipe.background}")
    ground = Image.new("RGBA", layer.size, (recipe.background,) * 3 + (OPAQUE,))
    return Image.alpha_composite(ground, layer).convert("RGB")


def _orientation(file: ImageFile) -> tuple[int, list[str]]:
    """Return the orientation of EXIF, 1 to 8, and a note where it cannot be read. Of a TIFF: before it is loaded."""
    if file.format == "TIFF":
        found = _tag(file, ORIENTATION)
    elif not _has_exif(file):
        return 1, []
    else:
        try:
            found = file.getexif().get(ORIENTATION, 1)
        except Exception:  # a reader of damaged bytes may raise anything; the pixels are sound
            return 1, ["its EXIF cannot be read: taken as it lies"]
    return (found, []) if isinstance(found, int) and 1 <= found <= 8 else (1, [])


def _has_exif(file: ImageFile) -> bool:
    return not file.info.keys().isdisjoint(("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"))


def _turned(image: Image, orientation: int) -> Image:
    """
    Turn or mirror a picture as its EXIF orientation says.

    Not `ImageOps.exif_transpose`, which writes EXIF anew and stumbles over what is odd in it; the table is the same.
    """
    from PIL.Image import Transpose

    way = (
        Transpose.FLIP_LEFT_RIGHT, Transpose.ROTATE_180, Transpose.FLIP_TOP_BOTTOM, Transpose.TRANSPOSE,
        Transpose.ROTATE_270, Transpose.TRANSVERSE, Transpose.ROTATE_90,
    )  # fmt: skip
    return image.transpose(way[orientation - 2])


def _fitted(image: Image, recipe: Recipe, notes: list[str]) -> Image:
    """Bring a picture of mode L or RGB to its size: with an antialiasing filter, which is exact in other modes only."""
    wanted = (recipe.columns, recipe.rows)
    if image.size == wanted:
        return image
    columns, rows = image.size
    if recipe.fit == "exact":
        raise Refused(f"it has {rows} x {columns} pixels, not {recipe.rows} x {recipe.columns}")
    from PIL import Image

    notes.append(f"resized from {rows} x {columns}")
    bilinear = Image.Resampling.BILINEAR
    if recipe.fit == "stretch":
        return image.resize(wanted, bilinear)
    inner = _inside(rows, columns, recipe)
    scaled = image if inner == image.size else image.resize(inner, bilinear)
    ground = Image.new(image.mode, wanted, recipe.pad if recipe.channels == 1 else (recipe.pad,) * 3)
    ground.paste(scaled, ((recipe.columns - inner[0]) // 2, (recipe.rows - inner[1]) // 2))
    return ground


def _inside(rows: int, columns: int, recipe: Recipe) -> tuple[int, int]:
    """Return the largest columns and rows of the same aspect within the shape, at least 1 each; half rounds up."""
    if rows * recipe.columns >= columns * recipe.rows:
        return max(1, (2 * columns * recipe.rows + rows) // (2 * rows)), recipe.rows
    return recipe.columns, max(1, (2 * rows * recipe.columns + columns) // (2 * columns))


def _check_size(rows: int, columns: int) -> None:
    if rows * columns > MAX_PIXELS or max(rows, columns) > MAX_SIDE:
        raise Refused(LARGE)


def _why(data: bytes, error: Exception) -> str:
    """Say why Pillow does not read something: what it is instead, or what is wrong with it."""
    from PIL import UnidentifiedImageError
    from PIL.Image import DecompressionBombError, DecompressionBombWarning

    if isinstance(error, DecompressionBombError | DecompressionBombWarning):
        return LARGE
    said = _short(error)
    if not isinstance(error, UnidentifiedImageError):
        return SHORT if "truncated" in said.lower() else f"it is damaged: {said or type(error).__name__}"
    if (other := next((name for at, magic, name in OTHERS if data.startswith(magic, at)), None)) is not None:
        return f"it is a picture of a kind that is not read ({other}): save it as PNG or JPEG"
    from tasks.formats.kinds import kind_of

    name = kind_of(data[:HEAD_BYTES], len(data)).name
    if name.startswith("one "):
        return f"it begins as {name}, and its header cannot be read: it is damaged, or of a rare kind"
    return f"it is no picture, but {name}"


def _short(message: object) -> str:
    return in_a_line(str(message).strip().rstrip("."))[:LONGEST_NOTE]
