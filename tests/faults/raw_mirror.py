"""A mirror that answers byte by byte, over a real socket, as no server of a library would."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.faults.answers import Answering


class RawMirror:
    """
    A mirror that gives every request the same answer, for as long as the `with` block lasts.

    Args:
        answering: see `tests.faults.answers`.
        body:      of the file.
    """

    def __init__(self, answering: Answering, body: bytes) -> None:
        self._answering, self._body = answering, body
        self._closing, self._threads = threading.Event(), list[threading.Thread]()

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/mnist"
        self._start(self._listen)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                self._start(lambda client=client: self._answer(client))  # type: ignore[misc]

    def _answer(self, client: socket.socket) -> None:
        client.settimeout(5)
        with client, contextlib.suppress(OSError):  # the client hangs up on what it does not like
            request = b""
            while b"\r\n\r\n" not in request and (piece := client.recv(2**14)):
                request += piece
            if not request.startswith(b"GET "):
                return  # such as TLS
            url = self.url.removesuffix("/mnist") + request.split()[1].decode("latin-1")
            for each in self._answering(self._body, url):
                if self._closing.is_set():
                    return
                if isinstance(each, float):
                    time.sleep(each)
                else:
                    client.sendall(each)
