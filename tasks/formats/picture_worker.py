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
from collections.abc import Iterable, Sequence
from typing import IO, Any

from tasks.formats.pictures import Recipe, Said, chunks_of, paint, recording
from tasks.formats.plain_pngs import decode_lines, plain_lines
from tasks.formats.refused import Refused
from tasks.formats.tree_folder import read_in

LENGTHS = struct.Struct(">QQ")
"""Bytes of a frame's header and of its body."""


def write_frame(file: IO[bytes], header: Any, body: Iterable[bytes | memoryview]) -> None:
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


class Answers:
    """
    What became of pictures, in the order in which they were given.

    `digests` has the SHA-256 of each, None where it could not be read; `notes` what was done to it; `reasons` why it is
    refused, None where it is not. All three are final when `pixels` was called.

    Args: recipe: what they become.  said: warnings that are recorded.
    """

    def __init__(self, recipe: Recipe, said: Said) -> None:
        self._recipe, self._said = recipe, said
        self.digests, self.notes, self.reasons = list[str | None](), list[Sequence[str]](), list[str | None]()
        self._pixels = list[bytes | memoryview]()
        self._waiting = list[tuple[int, bytes, bytes]]()

    @property
    def header(self) -> list[Any]:
        """Everything but the pixels."""
        return [self.digests, self.notes, self.reasons]

    def read(self, root: str, name: str) -> None:
        """Read a file of a folder and decode it."""
        try:
            data = read_in(root, name)
        except Refused as refused:
            self._put(None, reason=refused.reason)
        else:
            self.add(data)

    def add(self, data: bytes) -> None:
        """Decode a picture: at once, or with others when all are there."""
        digest = hashlib.sha256(data).hexdigest()
        try:
            png = chunks_of(data)
            if png and (lines := plain_lines(png, self._recipe)) is not None:
                self._waiting.append((len(self.digests), data, lines))
                self._put(digest)
            else:
                image, notes = paint(data, png, self._recipe, self._said)
                self._put(digest, image.tobytes(), notes)
        except Refused as refused:
            self._put(digest, reason=refused.reason)

    def _put(
        self, digest: str | None, pixels: bytes = b"", notes: Sequence[str] = (), reason: str | None = None
    ) -> None:
        self.digests.append(digest)
        self.notes.append(notes)
        self.reasons.append(reason)
        self._pixels.append(pixels)

    def pixels(self) -> list[bytes | memoryview]:
        """Decode those that wait. Returns: the pixels of each picture, nothing of one that is refused."""
        try:
            decoded = decode_lines([lines for _, _, lines in self._waiting], self._recipe) if self._waiting else ()
            for (at, _, _), pixels in zip(self._waiting, decoded, strict=True):
                self._pixels[at] = pixels
        except Refused:
            self._one_by_one()
        self._waiting.clear()
        return self._pixels

    def _one_by_one(self) -> None:
        for at, data, _ in self._waiting:
            try:
                self._pixels[at] = paint(data, chunks_of(data), self._recipe, self._said)[0].tobytes()
            except Refused as refused:
                self.reasons[at] = refused.reason


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
            answers, at = Answers(recipe, said), 0
            for each in header:
                if isinstance(each, str):
                    answers.read(root, each)
                else:
                    answers.add(body[at : at + each])
                    at += each
            pixels = answers.pixels()
            write_frame(output, answers.header, pixels)
