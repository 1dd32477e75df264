"""
A bucket in the memory of a process: what S3's clients ask for, with conditions, and as little else as can be.

`python -m benchmarks.bucket` serves it on the loopback and says its address. Moto takes 3 ms a request and would be
what is measured. Signatures are not looked at.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

from benchmarks.processes import HERE, clean_environment

NAME = "bench"
"""Of the bucket."""
LIMIT = 2**16
Answer = tuple[str, dict[str, str], bytes]


class Bucket:
    """
    Objects by name: content, ETag and moment; and the parts of what is still being put in parts.

    ETags of what is put are numbers: an MD5 of 2 GB would be measured as well.
    """

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes | list[bytes], str, float]] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self._number = 0

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """Do what a request asks for. Returns: status line, headers, body."""
        split = urlsplit(target)
        name, asked = (
            unquote(split.path).removeprefix(f"/{NAME}").removeprefix("/"),
            parse_qs(split.query, keep_blank_values=True),
        )
        if method == "PUT":
            return self._put_part(asked, body) if "partNumber" in asked else self._put(name, headers, body)
        if method == "POST":
            return self._delete(body) if "delete" in asked else self._put_together(name, asked)
        if method == "DELETE":
            self.objects.pop(name, None)
            return "204 No Content", {}, b""
        if "list-type" in asked:
            return "200 OK", {}, self._list(asked)
        return self._get(name, headers, head=method == "HEAD")

    def _put_part(self, asked: dict[str, list[str]], body: bytes) -> Answer:
        self.parts[asked["uploadId"][0]][int(asked["partNumber"][0])] = body
        return "200 OK", {"ETag": '"part"'}, b""

    def _put_together(self, name: str, asked: dict[str, list[str]]) -> Answer:
        if "uploads" in asked:
            self.parts[upload := self._tag().strip('"')] = {}
            return "200 OK", {}, _xml("InitiateMultipartUploadResult", f"<UploadId>{upload}</UploadId>")
        parts = self.parts.pop(asked["uploadId"][0])
        self.objects[name] = [parts[each] for each in sorted(parts)], (tag := self._tag()), time.time()
        return "200 OK", {}, _xml("CompleteMultipartUploadResult", f"<ETag>{escape(tag)}</ETag>")

    def _delete(self, body: bytes) -> Answer:
        keys = [unescape(each) for each in re.findall("<Key>(.*?)</Key>", body.decode())]
        for key in keys:
            self.objects.pop(key, None)
        gone = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        return "200 OK", {}, _xml("DeleteResult", gone)

    def _put(self, name: str, headers: dict[str, str], body: bytes) -> Answer:
        there = self.objects.get(name)
        match = headers.get("if-match")
        if (there and headers.get("if-none-match") == "*") or (match and there and there[1] != match):
            return "412 Precondition Failed", {}, _xml("Error", "<Code>PreconditionFailed</Code>")
        if match and not there:
            return _missing()
        self.objects[name] = body, (tag := self._tag()), time.time()
        return "200 OK", {"ETag": tag}, b""

    def _get(self, name: str, headers: dict[str, str], *, head: bool) -> Answer:
        if (there := self.objects.get(name)) is None:
            return _missing()
        content, tag, moment = there
        size = len(content) if isinstance(content, bytes) else sum(map(len, content))
        told = {"ETag": tag, "Last-Modified": formatdate(moment, usegmt=True), "Accept-Ranges": "bytes"}
        if head:
            return "200 OK", {**told, "Content-Length": str(size)}, b""
        whole = content if isinstance(content, bytes) else b"".join(content)
        if span := re.fullmatch(r"bytes=(\d+)-(\d+)", headers.get("range", "")):
            first, last = int(span[1]), min(int(span[2]), size - 1)
            return (
                "206 Partial Content",
                {**told, "Content-Range": f"bytes {first}-{last}/{size}"},
                whole[first : last + 1],
            )
        return "200 OK", told, whole

    def _list(self, asked: dict[str, list[str]]) -> bytes:
        start, most = asked.get("prefix", [""])[0], int(asked.get("max-keys", ["1000"])[0])
        after = asked.get("continuation-token", asked.get("start-after", [""]))[0]
        names = sorted(name for name in self.objects if name.startswith(start) and name > after)
        items = ""
        for name in names[:most]:
            content, tag, moment = self.objects[name]
            size = len(content) if isinstance(content, bytes) else sum(map(len, content))
            date = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(moment))
            items += (
                f"<Contents><Key>{escape(name)}</Key><Size>{size}</Size><ETag>{escape(tag)}</ETag>"
                f"<LastModified>{date}</LastModified></Contents>"
            )
        more = len(names) > most
        token = f"<NextContinuationToken>{escape(names[most - 1])}</NextContinuationToken>" if more else ""
        return _xml("ListBucketResult", f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{items}")

    def _tag(self) -> str:
        self._number += 1
        return f'"{hashlib.sha256(str(self._number).encode()).hexdigest()[:32]}"'


def _xml(root: str, inside: str) -> bytes:
    return f'<?xml version="1.0"?><{root}>{inside}</{root}>'.encode()


def _missing() -> Answer:
    return "404 Not Found", {}, _xml("Error", "<Code>NoSuchKey</Code>")


async def talk(bucket: Bucket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ", 2)
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
            }
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            status, told, content = bucket.answer(method, target, headers, body)
            told = {"Content-Length": str(len(content)), **told}
            lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
            writer.write(
                f"HTTP/1.1 {status}\r\n{lines}\r\n".encode("latin-1") + (content if len(content) < LIMIT else b"")
            )
            if len(content) >= LIMIT:
                writer.write(content)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def serve() -> None:
    """Serve a bucket until the process ends, and say its address."""
    bucket = Bucket()
    server = await asyncio.start_server(lambda *ends: talk(bucket, *ends), "127.0.0.1", 0, limit=2**24)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


@contextmanager
def serving() -> Iterator[str]:
    """Have a bucket served by a process of its own for as long as the block runs. Yields: its address."""
    command = [sys.executable, "-m", "benchmarks.bucket"]
    with subprocess.Popen(
        command, cwd=HERE.parent, env=clean_environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            if process.stdout is None:
                raise RuntimeError("a pipe was asked for")
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


if __name__ == "__main__":
    asyncio.run(serve())
