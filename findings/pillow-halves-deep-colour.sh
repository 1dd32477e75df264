#!/usr/bin/env bash
# Pillow 13.0.0: what becomes of a PNG in colour with 16 bits a channel?
#
# Guess:  as of a grey one, which opens in mode I;16 with all its bits: a mode of its own, or an error where there is
#         none. At least a warning where half of each value is thrown away.
# Found:  it opens in mode RGB, as one with 8 bits does. Each value is its higher byte, no warning is given, and neither
#         `mode` nor `info` tells afterwards. Only the raw mode of the tile, before the pixels are loaded, does.
# Matters for: whoever trains on scans, microscopy or renderings: two pictures that differ by up to 255 levels of 65,535
#         are equal, and dark ones are black. Look at `image.tile` before `load()`, and refuse or scale on purpose.
#
# Output seen:
#   grey:   mode I;16, values 0 to 255 -> [0, 100, 255]
#   colour: mode RGB, values 0 to 255 -> [0, 0, 0], warnings: 0, raw mode RGB;16B
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq "pillow==13.0.0"
cat > "$folder/measure.py" <<'PYTHON'
import struct
import sys
import warnings
import zlib
from io import BytesIO

from PIL import Image

VALUES = [0, 100, 255]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(color_type, row):
    """One row of three pixels, 16 bits a channel."""
    header = struct.pack(">IIBBBBB", len(VALUES), 1, 16, color_type, 0, 0, 0)
    body = zlib.compress(b"\0" + b"".join(struct.pack(">H", value) for value in row))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    grey = Image.open(BytesIO(png(0, VALUES)))
    grey_values = [grey.getpixel((x, 0)) for x in range(3)]
    colour = Image.open(BytesIO(png(2, [value for value in VALUES for _ in range(3)])))
    raw = colour.tile[0].args
    colour_values = [colour.getpixel((x, 0))[0] for x in range(3)]
raw = raw if isinstance(raw, str) else raw[0]
print(f"grey:   mode {grey.mode}, values 0 to 255 -> {grey_values}")
print(f"colour: mode {colour.mode}, values 0 to 255 -> {colour_values}, warnings: {len(said)}, raw mode {raw}")
kept = grey.mode == "I;16" and grey_values == VALUES
sys.exit(0 if kept and colour.mode == "RGB" and colour_values == [0, 0, 0] and not said else 3)
PYTHON
cd "$folder"
"$folder/venv/bin/python" "$folder/measure.py"
