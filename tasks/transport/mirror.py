"""A mirror: what it is asked for, how long it is waited for, and what it gives instead of the file."""

from __future__ import annotations

import os
import random
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, urlsplit, urlunsplit


class MirrorFault(Exception):
    """
    A mirror did not give the file.

    Args:
        what:  what it gave instead, as a noun phrase: it goes into messages, so it never holds an address.
        tries: how often this may happen at one mirror before it is left for the next.
        wait:  seconds that the mirror asked to be left alone for.
        next_step: what to do with what it gave, where that is what the data set names; else empty.
    """

    def __init__(self, what: str, *, tries: int = 1, wait: float = 0.0, next_step: str = "") -> None:
        super().__init__(what)
        self.tries, self.wait, self.next_step = tries, wait, next_step


class AnotherFile(MirrorFault):
    """A mirror gave a file to its end, or beyond it, and it is not the expected one."""


@dataclass(frozen=True)
class Patience:
    """
    How long a mirror is waited for, and how often it is tried.

    Args:
        connect_seconds, read_seconds: the longest time for a connection, and between two pieces of an answer.
        head_seconds:  the longest time until a body begins: name look-up, connection, TLS, redirects, headers.
        head_bytes:    the most that is read until then, of all redirects together.
        tries:         at one mirror, when the connection fails or is cut, and on status 429 and 5xx.
        silent_tries:  at one mirror, when nothing came for `read_seconds`.
        backoff:       seconds before the second try; doubles with each one, less a random part of up to half.
        longest_wait:  seconds; a mirror that asks for more by Retry-After is left for the next.
        least_rate:    bytes of the body a second, measured every `rate_seconds`; a slower mirror is left for the next.
                       So a body of n bytes takes at most n / least_rate + rate_seconds + read_seconds.
        largest:       bytes of a file whose size is not known.
        clock, sleep, random: where time and chance come from.
    """

    connect_seconds: float = 10
    read_seconds: float = 20
    head_seconds: float = 30
    head_bytes: int = 2**18
    tries: int = 4
    silent_tries: int = 2
    backoff: float = 0.5
    longest_wait: float = 60
    least_rate: float = 1024
    rate_seconds: float = 20
    largest: int = 4 * 2**30
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random


def answering_within(seconds: float) -> Patience:
    """Return the patience with a mirror that is only asked something, once: status and headers within `seconds`."""
    return Patience(connect_seconds=seconds, read_seconds=seconds, head_seconds=seconds)


PLAIN = "/!$&'()*+,;=:@~"
"""What stands for itself in an address's path (RFC 3986, 3.3), beside letters, digits, `-`, `.` and `_`."""


def address_of(mirror: str, name: str) -> str:
    """
    Return the address of the file `name` on a mirror, percent-encoded.

    Over http, what follows a `?` in the name is a query; the mirror's own, such as a signature, stands behind it. In a
    folder the file is called as the name is, `?` and all.

    Raises: MirrorFault: the mirror's address is malformed, or neither http, https nor file.
    """
    try:
        parts = urlsplit(mirror)
    except ValueError:
        raise MirrorFault("no answer (the address is malformed)") from None
    if parts.scheme not in ("http", "https", "file"):
        raise MirrorFault("no answer (neither http, https nor file)")
    path, _, query = (name, "", "") if parts.scheme == "file" else name.partition("?")
    whole = f"{parts.path.rstrip('/')}/{quote(path, safe=PLAIN)}"
    return urlunsplit(parts._replace(path=whole, query="&".join(filter(None, (query, parts.query))), fragment=""))


KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
"""What lies there instead of a regular file, by its type."""


def open_regular(path: Path) -> BinaryIO:
    """
    Open a regular file, links followed.

    Raises: OSError: it cannot be opened.  MirrorFault: it is no regular file; a pipe would be waited at for ever.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise MirrorFault(f"{KINDS.get(stat.S_IFMT(mode), 'something')}, not a regular file")
