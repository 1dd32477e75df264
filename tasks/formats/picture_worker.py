"""
A process that decodes pictures: it takes chunks of them on its input and gives pixels and hashes on its output.

A chunk and its answer are frames: two lengths, a header in JSON, a body of bytes. It imports Pillow, and neither NumPy
nor pydantic; it ends when its input does, so it never outlives the process that started it.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import struct
import sys
from collections.abc import Iterable
from typing import IO, Any

from tasks.formats.pictures import Recipe, Said, paint, recording
from tasks.formats.refused import Refused

LENGTHS = struct.Struct(">QQ")
"""Bytes of a frame's header and of its body."""


def write_frame(file: IO[bytes], header: Any, body: Iterable[bytes]) -> None:
    """Write a frame and flush it. Args: header: what JSON can hold.  body: pieces, joined without a sign between."""
    head, pieces = json.dumps(header).encode(), list(body)
    file.write(LENGTHS.pack(len(head), sum(map(len, pieces))) + head)
    file.writelines(pieces)
    file.flush()


def read_frame(file: IO[bytes]) -> tuple[Any, bytes] | None:
    """Read a frame. Returns: header and body; None at the end of the file, also in the middle of a frame."""
    lengths = file.read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        return None
    head, body = LENGTHS.unpack(lengths)
    header, content = file.read(head), file.read(body)
    return (json.loads(header), content) if len(header) + len(content) == head + body else None


def answer(data: bytes, recipe: Recipe, said: Said) -> tuple[list[Any], bytes]:
    """
    Decode one picture.

    Args:    said: warnings that are recorded.
    Returns: its SHA-256, its notes, the reason why it is refused or None; and its pixels, nothing where it is refused.
    """
    digest = hashlib.sha256(data).hexdigest()
    try:
        image, notes = paint(data, recipe, said)
    except Refused as refused:
        return [digest, [], refused.reason], b""
    return [digest, notes, None], image.tobytes()


def main() -> None:
    """Read the recipe, then answer each frame of pictures, whose header is the length of each, until there is none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this process
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no part of a frame
    first = read_frame(sys.stdin.buffer)
    if first is None:
        return
    recipe = Recipe(*first[0])
    with recording() as said:
        while (frame := read_frame(sys.stdin.buffer)) is not None:
            sizes, body = frame
            answers, at = [], 0
            for size in sizes:
                answers.append(answer(body[at : at + size], recipe, said))
                at += size
            write_frame(output, [head for head, _ in answers], (pixels for _, pixels in answers))
