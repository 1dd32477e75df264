"""
The guard of one answer: every byte that http.client reads of it passes here, and is counted and timed.

requests and urllib3 bound the time between two pieces only, and no amount: an answer whose headers drip, or never end,
keeps them for ever.
"""

from __future__ import annotations

import http.client
import io
import socket
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from schemas.counts import counted
from tasks.transport.mirror import MirrorFault, Patience

WRAPPED, SPARE = 8, 2**20
"""The most that is read of a body for its bytes: chunks of a byte each are six times as long; SPARE more for all."""


class Guard:
    """
    The bounds of one answer: first of its head (redirects and headers), then of its body.

    Args: largest: bytes of the body.
    """

    def __init__(self, patience: Patience, largest: int) -> None:
        self._patience, self._largest = patience, largest
        self._left, self._ends = patience.head_bytes, patience.clock() + patience.head_seconds
        self._body = False
        self._marked, self._received = 0.0, 0
        self.fault: MirrorFault | None = None

    def begin_body(self) -> None:
        """Go over from the head to the body."""
        self._body = True
        self._left, self._marked = WRAPPED * self._largest + SPARE, self._patience.clock()

    def received(self, count: int) -> None:
        """Note bytes of the body. Raises: MirrorFault: too few of them since the last look."""
        self._received += count
        self._look()

    def wait(self) -> float:
        """
        Return how long the next piece may take, in seconds.

        Raises: MirrorFault: the time is over, or all has been read that may be.
        """
        self._look()
        if self._left <= 0:
            head = f"an answer whose head has more than {self._patience.head_bytes} bytes"
            raise self._failed(MirrorFault("an answer many times as long as what it holds" if self._body else head))
        if self._body:
            return self._patience.read_seconds
        return min(self._patience.read_seconds, max(0.001, self._ends - self._patience.clock()))

    def count(self, read: int) -> None:
        """Note bytes that were read, of whatever part of the answer."""
        self._left -= read

    def late(self) -> MirrorFault:
        """Return the fault of an answer whose head has not come to an end in time."""
        return MirrorFault(f"no whole head of an answer in {self._patience.head_seconds:g} s")

    def _look(self) -> None:
        now, patience = self._patience.clock(), self._patience
        if not self._body:
            if now >= self._ends:
                raise self._failed(self.late())
            return
        if (seconds := now - self._marked) >= patience.rate_seconds:
            if self._received < patience.least_rate * seconds:
                raise self._failed(MirrorFault(f"{counted(self._received, 'byte')} in {seconds:.3g} s"))
            self._marked, self._received = now, 0

    def _failed(self, fault: MirrorFault) -> MirrorFault:
        """Keep a fault, which the libraries in between may turn into an error of their own."""
        self.fault = fault
        return fault


class GuardedAdapter(HTTPAdapter):
    """
    The adapter of a session whose answers are read under a guard.

    Args: guard: of the session's only answer, its redirects included.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Have the pools make connections that read under the guard."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _pools(self._guard)

    def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:
        """Have the pools of a proxy make such connections, too."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):  # whose pools bring connections of their own
            manager.pool_classes_by_scheme = _pools(self._guard)
        return manager


def _pools(guard: Guard) -> dict[str, type[HTTPConnectionPool]]:
    """Return pools whose connections read under the guard."""

    class Response(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
            super().__init__(sock, *args, **kwargs)
            self.fp = io.BufferedReader(_Guarded(self.fp.detach(), sock, guard))

    class Plain(HTTPConnection):
        response_class = Response

    class Encrypted(HTTPSConnection):
        response_class = Response

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

    return {"http": PlainPool, "https": EncryptedPool}


class _Guarded(io.RawIOBase):
    """What comes from a socket, counted and timed."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, guard: Guard) -> None:
        self._raw, self._socket, self._guard = raw, sock, guard

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what has arrived."""
        self._socket.settimeout(self._guard.wait())
        try:
            read = self._raw.readinto(buffer)
        except TimeoutError:
            self._guard.wait()  # it may be the whole head that is late
            raise
        self._guard.count(read or 0)
        return read

    def close(self) -> None:
        """Close the socket's file as well."""
        try:
            self._raw.close()
        finally:
            super().close()
