"""
Eighty ways in which an answer can be wrong, byte by byte: what a client reads after it has asked for a file.

Each is a function of the file's bytes and of the mirror's own address, which yields pieces to send; a number between
them is a pause in seconds. Where a piece never ends, the client has to.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from itertools import repeat

Pieces = Iterator[bytes | float]
Answering = Callable[[bytes, str], Pieces]
OK = b"HTTP/1.1 200 OK\r\n"
TICK = 0.02
"""Seconds between two bytes of what drips: never silent, and never at an end."""


def whole(body: bytes) -> bytes:
    """Return the headers and the body of a good answer, without its status line."""
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def sends(*pieces: bytes) -> Answering:
    """Send these bytes and hang up."""
    return lambda body, url: iter(pieces)


def follows(*pieces: bytes) -> Answering:
    """Send these bytes, then the file's headers and the file."""
    return lambda body, url: iter([*pieces, whole(body)])


def says(status: str, *headers: str) -> Answering:
    """Send a status, headers, and an empty body."""
    lines = "\r\n".join([f"HTTP/1.1 {status}", *headers, "Content-Length: 0", "", ""])
    return sends(lines.encode())


def body_of(status: str, body: bytes, *headers: str) -> Answering:
    """Send a status, headers, and another body."""
    lines = "\r\n".join([f"HTTP/1.1 {status}", *headers])
    return sends(lines.encode() + b"\r\n" + whole(body))


def cut(at: int) -> Answering:
    """Hang up after so many bytes of a good answer; below 0, before so many of its last ones."""
    return lambda body, url: iter([(OK + whole(body))[:at]])


def drips(before: bytes, piece: bytes) -> Answering:
    """Send `before`, and then `piece` again and again, slowly, for ever."""

    def answering(body: bytes, url: str) -> Pieces:
        yield before
        for each in repeat(piece):
            yield each
            yield TICK

    return answering


def floods(before: bytes, piece: bytes) -> Answering:
    """Send `before`, and then `piece` again and again, as fast as it is taken, for ever."""

    def answering(body: bytes, url: str) -> Pieces:
        yield before
        yield from repeat(piece)

    return answering


def silent(before: bytes) -> Answering:
    """Send `before`, and then nothing for ever."""

    def answering(body: bytes, url: str) -> Pieces:
        yield before
        yield from repeat(TICK)

    return answering


def promises(length: str) -> Answering:
    """Send the file under a wrong Content-Length."""
    return lambda body, url: iter([OK + f"Content-Length: {length}\r\n\r\n".encode() + body])


def chunked(*pieces: bytes) -> Answering:
    """Send a body in chunks that are these bytes."""
    return sends(OK + b"Transfer-Encoding: chunked\r\n\r\n", *pieces)


def leads(to: str, status: str = "302 Found") -> Answering:
    """Redirect; `{url}` stands for the address that was asked for."""
    return lambda body, url: iter([f"HTTP/1.1 {status}\r\nLocation: {to.format(url=url)}\r\n".encode() + whole(b"")])


def packed(times: int) -> Answering:
    """Send the file, gzipped once more as a whole, and say so or not."""

    def answering(body: bytes, url: str) -> Pieces:
        for _ in range(times):
            body = gzip.compress(body)
        yield OK + b"Content-Encoding: " + b", ".join([b"gzip"] * times) + b"\r\n" + whole(body)

    return answering


REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: /other\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
PAGE = b"<!doctype html><p>Log in</p>"

ANSWERS: dict[str, Answering] = {
    # status lines
    "nothing": sends(b""),
    "half a status line": sends(b"HTTP/1."),
    "status line only": sends(OK),
    "garbage": sends(b"\x00\xff\x16\x03" * 64),
    "garbage before the status line": follows(b"garbage\r\n", OK),
    "empty lines before the status line": follows(b"\r\n\r\n", OK),
    "a line feed only": sends(b"\n"),
    "another protocol": sends(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "a mail server": sends(b"220 mail ready\r\n"),
    "a later version": sends(b"HTTP/9.9 200 OK\r\n\r\n"),
    "a status that is no number": sends(b"HTTP/1.1 two OK\r\n\r\n"),
    "a status of four digits": sends(b"HTTP/1.1 2000 OK\r\n\r\n"),
    "a negative status": sends(b"HTTP/1.1 -20 OK\r\n\r\n"),
    "a status line without end": floods(b"HTTP/1.1 200 ", b"O" * 2**14),
    "a TLS alert": sends(b"\x15\x03\x01\x00\x02\x02\x28"),
    "a page without a head": sends(PAGE),
    # status codes
    "201": body_of("201 Created", PAGE),
    "202": says("202 Accepted"),
    "203": body_of("203 Non-Authoritative Information", PAGE),
    "204": says("204 No Content"),
    "205": says("205 Reset Content"),
    "206 unasked": body_of("206 Partial Content", b"x" * 9, "Content-Range: bytes 5-13/14"),
    "304 unasked": lambda body, url: iter([b"HTTP/1.1 304 Not Modified\r\n\r\n"]),
    "400": says("400 Bad Request"),
    "401": says("401 Unauthorized", 'WWW-Authenticate: Basic realm="x"'),
    "403": body_of("403 Forbidden", PAGE),
    "404": body_of("404 Not Found", PAGE),
    "407": says("407 Proxy Authentication Required"),
    "410": says("410 Gone"),
    "416 unasked": says("416 Range Not Satisfiable", "Content-Range: bytes */5"),
    "429": says("429 Too Many Requests", "Retry-After: 99999"),
    "429 with an odd wait": says("429 Too Many Requests", "Retry-After: -1e999"),
    "451": says("451 Unavailable For Legal Reasons"),
    "500": says("500 Internal Server Error"),
    "503": says("503 Service Unavailable", "Retry-After: soon"),
    "599": says("599 Odd"),
    "999": says("999 Odd"),
    "100 for ever": floods(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 99),
    "100 slowly for ever": drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    # headers
    "cut in the headers": sends(OK + b"Content-Le"),
    "headers that do not read": sends(OK + b"no colon here\r\n: x\r\n\xff\xfe: y\r\n\r\n"),
    "a header of 10 MB": floods(OK + b"X: ", b"x" * 2**14),
    "headers without end": floods(OK, b"X-More: " + b"x" * 999 + b"\r\n"),
    "two hundred headers": follows(OK, b"X: y\r\n" * 200),
    "lengths that differ": follows(OK, b"Content-Length: 1\r\n"),
    "a length and chunks": sends(OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
    "a length that is no number": promises("many"),
    "a negative length": promises("-5"),
    "a length of 5000 digits": promises("9" * 5000),
    "a short length": promises("7"),
    "a long length": promises("99999999"),
    # time
    "silent from the first": silent(b""),
    "silent after the status line": silent(OK),
    "silent in the headers": silent(OK + b"Content-Length: 9\r\n"),
    "silent after the headers": silent(OK + b"Content-Length: 9\r\n\r\n"),
    "silent in the body": silent(OK + b"Content-Length: 9\r\n\r\nabc"),
    "a status line that drips": drips(b"HTTP/1.1 200 ", b"O"),
    "headers that drip": drips(OK, b"X: y\r\n"),
    "a header that drips": drips(OK + b"X: ", b"y"),
    "a body that drips": drips(OK + b"Content-Length: 99999999\r\n\r\n", b"y"),
    "a chunk's size that drips": drips(CHUNKED + b"5;", b"y"),
    "a trailer that drips": drips(CHUNKED + b"0\r\n", b"X: y\r\n"),
    # bodies
    "cut after a byte of the body": cut(60),
    "cut before the last byte": cut(-1),
    "an empty body": body_of("200 OK", b""),
    "a page": body_of("200 OK", PAGE, "Content-Type: text/html"),
    "a body without end": floods(OK + b"\r\n", b"\0" * 2**16),
    "trailers without end": floods(CHUNKED + b"0\r\n", b"X-More: " + b"x" * 999 + b"\r\n"),
    "a chunk's size that is no number": chunked(b"zz\r\nabc\r\n"),
    "a chunk of negative size": chunked(b"-5\r\nabc\r\n0\r\n\r\n"),
    "a chunk of huge size": chunked(b"fffffffffffffffff\r\nabc\r\n"),
    "a chunk that is cut": chunked(b"9\r\nabc"),
    "a chunk's size without end": floods(CHUNKED + b"5;", b"x" * 2**14),
    "chunks without an end": chunked(b"3\r\nabc\r\n"),
    "tiny chunks without end": floods(CHUNKED, b"1;" + b"x" * 2**13 + b"\r\na\r\n"),
    "gzip of the file": packed(1),
    "gzip of gzip of the file": packed(2),
    "gzip that is none": body_of("200 OK", b"plain", "Content-Encoding: gzip"),
    # redirects
    "a redirect to itself": leads("{url}"),
    "a redirect for ever": leads("{url}x"),
    "a redirect to a file": leads("file:///etc/hostname"),
    "a redirect to another scheme": leads("gopher://127.0.0.1/x"),
    "a redirect to nowhere": leads(""),
    "a redirect that does not read": leads("http://[::1"),
    "a redirect to an odd host": leads("http://" + "x" * 64 + ".example/"),
    "a redirect to an odd port": leads("http://127.0.0.1:99999/"),
    "a redirect to a closed port": leads("http://127.0.0.1:1/x", "307 Temporary Redirect"),
    "a redirect to TLS where none is": lambda body, url: leads(url.replace("http:", "https:"), "308 Permanent")(
        body, url
    ),
    "a redirect whose body never ends": floods(REDIRECT + b"\r\n", b"x" * 2**16),
    "a redirect whose body drips": drips(REDIRECT + b"Content-Length: 9999\r\n\r\n", b"x"),
    "a redirect whose head drips": drips(REDIRECT, b"X: y\r\n"),
}
