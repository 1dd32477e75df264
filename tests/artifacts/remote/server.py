"""
A small S3 server of the tests' own, over a dictionary: real HTTP on the loopback, and as faulty as a test wants.

It knows one bucket, does not look at signatures, and keeps If-None-Match and If-Match unless it is told not to.
"""

from __future__ import annotations

import hashlib
import re
import socket
import struct
import threading
import time
from calendar import timegm
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

import pytest

from schemas.remote import RemotePlace

BUCKET = "team"
PREFIX = "shared/one"


@dataclass
class Fault:
    """
    What the server does to a request that is chosen.

    Args:
        chosen: tells by method and name, below the prefix.
        kind:   error (status), slow (seconds, then right), hang (until the end), cut (half of the body, then gone),
                flip (a bit of the body), lie (half of the body, called whole), drop (done, and no answer), reset (the
                connection, before anything is done), after (reset once so many bytes of the body were sent), drip (the
                body in pieces, a wait of so many seconds before each), noise (no HTTP at all), answer (as `change`
                makes it of the right one), store (what is put becomes what `change` makes of it).
        times:  how often; requests that are let pass first are `later`.
    """

    chosen: Callable[[str, str], bool]
    kind: str
    value: float = 503
    times: int = 10**9
    later: int = 0
    change: Callable[[int, bytes, dict[str, str]], tuple[int, bytes, dict[str, str]]] | None = None


@dataclass
class Bucket:
    """
    What the server has.

    Args:
        objects:  content and moment by name, the prefix included.
        ignores:  headers that it takes for air.
        ahead:    seconds that its clock is before this machine's.
        skew:     seconds that a request's date may be off by; None: it is not looked at.
        seen:     method and name of each request, below the prefix.
        keys:     what the requests were signed with.
    """

    objects: dict[str, tuple[bytes, float]] = field(default_factory=dict)
    ignores: set[str] = field(default_factory=set)
    ahead: float = 0.0
    skew: float | None = None
    faults: list[Fault] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    ended: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    address: str = ""

    @property
    def place(self) -> RemotePlace:
        """It as a remote."""
        return RemotePlace(url=f"s3://{BUCKET}/{PREFIX}", endpoint=self.address, region="us-east-1")

    def named(self, start: str = "") -> dict[str, bytes]:
        """What it has below the prefix, by name."""
        cut = len(PREFIX) + 1
        return {name[cut:]: content for name, (content, _) in self.objects.items() if name[cut:].startswith(start)}

    def put(self, name: str, content: bytes) -> None:
        """Change it behind everybody's back."""
        self.objects[f"{PREFIX}/{name}"] = content, time.time() + self.ahead

    def drop(self, name: str) -> None:
        """Take something away."""
        del self.objects[f"{PREFIX}/{name}"]

    def age(self, seconds: float) -> None:
        """Let all that it has be older."""
        for name, (content, moment) in self.objects.items():
            self.objects[name] = content, moment - seconds

    def fault(self, method: str, name: str) -> Fault | None:
        """Take the fault for a request."""
        with self.lock:
            for each in self.faults:
                if each.times and each.chosen(method, name):
                    if each.later:
                        each.later -= 1
                        continue
                    each.times -= 1
                    return each
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, bucket: Bucket, host: str) -> None:
        super().__init__((host, 0), _Handler)
        self.bucket = bucket

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that leave are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as in the base
        """Say nothing."""

    def do_PUT(self) -> None:
        """Take an object."""
        self._serve(self._put)

    def do_GET(self) -> None:
        """Give an object, or a list."""
        self._serve(self._get)

    def do_HEAD(self) -> None:
        """Give the headers of an object."""
        self._serve(self._get)

    def do_POST(self) -> None:
        """Forget objects: the engine deletes by lists, also one alone."""
        self._serve(self._delete)

    @property
    def bucket(self) -> Bucket:
        """What is served."""
        return self.server.bucket

    def _serve(self, answer: Callable[[str, bytes], tuple[int, bytes, dict[str, str]]]) -> None:
        path = unquote(urlsplit(self.path).path).removeprefix(f"/{BUCKET}").removeprefix("/")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        name = path.removeprefix(f"{PREFIX}/")
        method = "LIST" if self.command == "GET" and "list-type" in self.path else self.command
        if self.command == "POST":
            path = _keys(body)[0]
            name, method = path.removeprefix(f"{PREFIX}/"), "DELETE"
        self.bucket.seen.append((method, name))
        self.bucket.keys.update(re.findall("Credential=([^,]+)", self.headers.get("Authorization", "")))
        fault = self.bucket.fault(method, name)
        if (fault and self._refuses(fault)) or self._is_skewed():
            return
        if fault and fault.kind == "store" and fault.change:
            _, body, _ = fault.change(0, body, {})
        status, content, headers = answer(path, body)
        if fault and fault.kind == "answer" and fault.change:
            status, content, headers = fault.change(status, content, headers)
        if fault and fault.kind in ("after", "drip"):
            self._send_slowly(status, content, headers, fault)
            return
        if fault and fault.kind == "drop":
            self.close_connection = True
            return
        if fault and fault.kind == "flip" and content:
            content = content[:-1] + bytes([content[-1] ^ 1])
        if fault and fault.kind == "lie":
            content = content[: len(content) // 2]
        self._send(status, content, headers, cut=bool(fault and fault.kind == "cut"))

    def _send(self, status: int, content: bytes, headers: dict[str, str], *, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self.wfile.flush()
            self.close_connection = True

    def _refuses(self, fault: Fault) -> bool:
        """Do what is wrong before anything is looked at. Returns: whether that was all."""
        match fault.kind:
            case "hang":
                self.bucket.ended.wait()
                self.close_connection = True
            case "slow":
                self.bucket.ended.wait(fault.value)
                return False
            case "error":
                self._send(int(fault.value), b"<Error><Code>SlowDown</Code></Error>", {})
            case "noise":
                self.wfile.write(b"\x16\x03\x01 hello, this is another service\r\n\r\n")
                self.wfile.flush()
                self.close_connection = True
            case "reset":
                self._reset()
            case _:
                return False
        return True

    def _send_slowly(self, status: int, content: bytes, headers: dict[str, str], fault: Fault) -> None:
        """Send the body in pieces, or no more than so many bytes of it."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()
        if fault.kind == "after":
            self.wfile.write(content[: int(fault.value)])
            self.wfile.flush()
            self._reset()
            return
        for first in range(0, len(content), size := max(1, len(content) // 20)):
            if self.bucket.ended.wait(fault.value):
                break
            self.wfile.write(content[first : first + size])
            self.wfile.flush()

    def _reset(self) -> None:
        """End the connection as a machine does that has just been switched on again."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _is_skewed(self) -> bool:
        """Refuse a request that was signed at a moment too far from the server's own. Returns: whether it was."""
        if self.bucket.skew is None or not (date := self.headers.get("x-amz-date")):
            return False
        now = time.time() + self.bucket.ahead
        if abs(timegm(time.strptime(date, "%Y%m%dT%H%M%SZ")) - now) <= self.bucket.skew:
            return False
        self._send(403, _skewed(date, now, self.bucket.skew), {})
        return True

    def _put(self, path: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        none_match, match = (
            None if name in self.bucket.ignores else self.headers.get(name) for name in ("If-None-Match", "If-Match")
        )
        with self.bucket.lock:
            there = self.bucket.objects.get(path)
            if none_match == "*" and there:
                return 412, b"<Error><Code>PreconditionFailed</Code></Error>", {}
            if match and not there:
                return 404, b"<Error><Code>NoSuchKey</Code></Error>", {}
            if match and there and match != _tag(there[0]):
                return 412, b"<Error><Code>PreconditionFailed</Code></Error>", {}
            self.bucket.objects[path] = body, time.time() + self.bucket.ahead
        return 200, b"", {"ETag": _tag(body)}

    def _get(self, path: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        asked = parse_qs(urlsplit(self.path).query)
        if "list-type" in asked:
            return 200, self._list(asked), {"Content-Type": "application/xml"}
        if (there := self.bucket.objects.get(path)) is None:
            return 404, b"<Error><Code>NoSuchKey</Code></Error>", {}
        content, moment = there
        return (
            200,
            content,
            {
                "ETag": _tag(content),
                "Last-Modified": formatdate(moment, usegmt=True),
                "Content-Length": str(len(content)),
            },
        )

    def _delete(self, path: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        for key in (keys := _keys(body)):
            self.bucket.objects.pop(key, None)
        told = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        return 200, f"<DeleteResult>{told}</DeleteResult>".encode(), {"Content-Type": "application/xml"}

    def _list(self, asked: dict[str, list[str]]) -> bytes:
        start, most = asked.get("prefix", [""])[0], int(asked.get("max-keys", ["1000"])[0])
        after = asked.get("continuation-token", asked.get("start-after", [""]))[0]
        with self.bucket.lock:
            names = sorted(name for name in self.bucket.objects if name.startswith(start) and name > after)
            some = names[:most]
            items = "".join(
                f"<Contents><Key>{escape(name)}</Key><Size>{len(self.bucket.objects[name][0])}</Size>"
                f"<ETag>&quot;{_tag(self.bucket.objects[name][0])[1:-1]}&quot;</ETag>"
                f"<LastModified>{_iso(self.bucket.objects[name][1])}</LastModified></Contents>"
                for name in some
            )
        more = len(names) > most
        token = f"<NextContinuationToken>{escape(some[-1])}</NextContinuationToken>" if more else ""
        return (
            f'<?xml version="1.0"?><ListBucketResult><Name>{BUCKET}</Name><KeyCount>{len(some)}</KeyCount>'
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{items}</ListBucketResult>"
        ).encode()


def _keys(body: bytes) -> list[str]:
    return [unescape(key) for key in re.findall("<Key>(.*?)</Key>", body.decode())]


def _tag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


def _skewed(asked: str, now: float, most: float) -> bytes:
    """Return Amazon's refusal of a request that is dated too far off. Args: most: seconds that are let pass."""
    told = "The difference between the request time and the current time is too large."
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>RequestTimeTooSkewed</Code><Message>{told}</Message>'
        f"<RequestTime>{asked}</RequestTime><ServerTime>{_iso(now)}</ServerTime>"
        f"<MaxAllowedSkewMilliseconds>{1000 * most:.0f}</MaxAllowedSkewMilliseconds></Error>"
    ).encode()


def _iso(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(moment))


@contextmanager
def serving(host: str = "127.0.0.1") -> Iterator[Bucket]:
    """Serve a bucket for as long as the block runs. Args: host: address of this machine that it listens on."""
    bucket = Bucket()
    server = _Server(bucket, host)
    bucket.address = f"http://{host}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield bucket
    finally:
        bucket.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """A server with an empty bucket, for which the environment has a key."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret-of-anybody")
    with serving() as served:
        yield served
