"""A real HTTP mirror on this machine, which fails on demand and keeps what it was asked."""

from __future__ import annotations

import hashlib
import re
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

PAGE = b"<!DOCTYPE html>\n<html><body>Please log in to this network.</body></html>\n".ljust(812)


@dataclass(frozen=True)
class Request:
    """One request that a mirror received. `path` holds the query too."""

    path: str
    headers: dict[str, str]


@dataclass
class Exchange:
    """A request being answered; a fault writes what it likes to it."""

    handler: BaseHTTPRequestHandler
    body: bytes
    etag: str | None
    closing: threading.Event

    def head(self, status: int, length: int | None, headers: Mapping[str, str] | None = None) -> None:
        """Send status line and headers; `length` None: the body ends with the connection."""
        self.handler.send_response(status)
        if length is not None:
            self.handler.send_header("Content-Length", str(length))
        for name, value in (headers or {}).items():
            self.handler.send_header(name, value)
        self.handler.end_headers()

    def tag(self) -> dict[str, str]:
        """Return the validator's header, if the mirror has one."""
        return {"ETag": self.etag} if self.etag else {}

    def write(self, piece: bytes) -> None:
        """Send a piece of the body at once."""
        self.handler.wfile.write(piece)


Fault = Callable[[Exchange], None]


def good(exchange: Exchange) -> None:
    """Send the file: a range when asked for one and If-Range names the present ETag; 304 when If-None-Match does."""
    if exchange.etag and exchange.handler.headers.get("If-None-Match") == exchange.etag:
        return exchange.head(304, None, exchange.tag())
    asked = re.fullmatch(r"bytes=(\d+)-", exchange.handler.headers.get("Range", ""))
    if not asked or exchange.handler.headers.get("If-Range", exchange.etag) != exchange.etag:
        return whole(exchange)
    start, size = int(asked[1]), len(exchange.body)
    if start >= size:
        return exchange.head(416, 0, {"Content-Range": f"bytes */{size}"})
    exchange.head(206, size - start, {"Content-Range": f"bytes {start}-{size - 1}/{size}"} | exchange.tag())
    return exchange.write(exchange.body[start:])


def whole(exchange: Exchange) -> None:
    """Send the whole file, whatever range was asked for."""
    exchange.head(200, len(exchange.body), exchange.tag())
    exchange.write(exchange.body)


def html(exchange: Exchange) -> None:
    """Send an 812-byte HTML page with status 200, as captive portals do."""
    exchange.head(200, len(PAGE), {"Content-Type": "text/html"})
    exchange.write(PAGE)


def words(exchange: Exchange) -> None:
    """Send a line with status 200 in place of the file, as a quota that is used up does."""
    body = b'{"error": "over quota"}'
    exchange.head(200, len(body))
    exchange.write(body)


def flip(exchange: Exchange) -> None:
    """Send the file with one bit of its middle flipped."""
    body = bytearray(exchange.body)
    body[len(body) // 2] ^= 1
    exchange.head(200, len(body), exchange.tag())
    exchange.write(bytes(body))


def cut(at: int) -> Fault:
    """Promise the whole file (or the range asked for) and close the connection after `at` bytes."""

    def fault(exchange: Exchange) -> None:
        exchange.head(200, len(exchange.body), exchange.tag())
        exchange.write(exchange.body[:at])

    return fault


def shorten(by: int) -> Fault:
    """Send `by` bytes less than the file has, as if that were all of it."""

    def fault(exchange: Exchange) -> None:
        exchange.head(200, len(exchange.body) - by, exchange.tag())
        exchange.write(exchange.body[:-by])

    return fault


def lengthen(by: int) -> Fault:
    """Send `by` bytes more than the file has."""

    def fault(exchange: Exchange) -> None:
        exchange.head(200, len(exchange.body) + by, exchange.tag())
        exchange.write(exchange.body + bytes(by))

    return fault


def stall(after: int | None = None) -> Fault:
    """Fall silent after `after` bytes of the body; None: before the status line."""

    def fault(exchange: Exchange) -> None:
        if after is not None:
            exchange.head(200, len(exchange.body), exchange.tag())
            exchange.write(exchange.body[:after])
        exchange.closing.wait(30)

    return fault


def drip(every: float) -> Fault:
    """Send a byte every `every` seconds."""

    def fault(exchange: Exchange) -> None:
        exchange.head(200, len(exchange.body), exchange.tag())
        for value in exchange.body:
            exchange.write(bytes([value]))
            if exchange.closing.wait(every):
                return

    return fault


def endless(exchange: Exchange) -> None:
    """Send the file, and zeros for ever after, without a length."""
    exchange.head(200, None)
    exchange.write(exchange.body)
    while not exchange.closing.is_set():
        exchange.write(bytes(2**16))


def hang_up(exchange: Exchange) -> None:
    """Close the connection without an answer."""


def status(code: int, headers: Mapping[str, str] | None = None) -> Fault:
    """Answer with a status and no body: 404, 429 with Retry-After, 503, a redirect with Location."""
    return lambda exchange: exchange.head(code, 0, headers)


def wrong_range(exchange: Exchange) -> None:
    """Answer a range request with status 206 and the file's first bytes."""
    size = len(exchange.body)
    exchange.head(206, size, {"Content-Range": f"bytes 0-{size - 1}/{size}"} | exchange.tag())
    exchange.write(exchange.body)


@dataclass
class Mirror:
    """
    A mirror of `files`, serving at `url` for as long as the `with` block lasts.

    Args:
        files:  body by name; a changed body has another ETag.
        faults: taken one a request; after the last of them every request is answered well.
        tagged: whether answers have an ETag.
    """

    files: dict[str, bytes]
    faults: Iterable[Fault] = ()
    tagged: bool = True
    requests: list[Request] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._queue, self._guard, self._closing = iter(self.faults), threading.Lock(), threading.Event()
        self._server = _Server(("127.0.0.1", 0), partial(_Handler, mirror=self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def netloc(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        """The mirror's base address."""
        return f"http://{self.netloc}/mnist"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Note a request, and answer it with the next fault."""
        with self._guard:
            self.requests.append(Request(handler.path, dict(handler.headers)))
            fault = next(self._queue, good)
        body = self.files.get(handler.path.partition("?")[0].rpartition("/")[2])
        if body is None:
            handler.send_error(404)
            return
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"' if self.tagged else None
        fault(Exchange(handler, body, etag, self._closing))


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # closing the server waits for its answers

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients hang up on faulty mirrors; anything else is a mistake in this file."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, *arguments: Any, mirror: Mirror) -> None:
        self._mirror = mirror
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self._mirror.answer(self)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - as in http.server
        """Stay silent."""
