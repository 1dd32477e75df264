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
from tasks.formats.tree_folder import read_in

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


def read_and_answer(root: str, name: str, recipe: Recipe, said: Said) -> tuple[list[Any], bytes]:
    """Do as `answer` for a file of a folder; of one that cannot be read there is no SHA-256."""
    try:
        data = read_in(root, name)
    except Refused as refused:
        return [None, [], refused.reason], b""
    return answer(data, recipe, said)


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
    """
    Read a folder and the recipe, then answer each frame of pictures until there is none.

    Its header is the length of each picture in its body, or the name of a file in the folder, which is read here.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this process
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no part of a frame
    first = read_frame(sys.stdin.buffer)
    if first is None:
        return
    root, recipe = first[0][0], Recipe(*first[0][1:])
    with recording() as said:
        while (frame := read_frame(sys.stdin.buffer)) is not None:
            header, body = frame
            answers, at = [], 0
            for each in header:
                if isinstance(each, str):
                    answers.append(read_and_answer(root, each, recipe, said))
                else:
                    answers.append(answer(body[at : at + each], recipe, said))
                    at += each
            write_frame(output, [head for head, _ in answers], (pixels for _, pixels in answers))
