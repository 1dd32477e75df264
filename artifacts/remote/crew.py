"""Threads that wait for requests: daemons, so that none of them keeps a process from its end."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar

A = TypeVar("A")
T = TypeVar("T")


class Crew:
    """
    Some threads and a queue. What is submitted after `close`, or is still waiting then, is cancelled.

    Args: size: how many threads; they begin when the first work comes.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._queue: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Have something done."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                future.cancel()
                return future
            if self._threads < self._size:
                self._threads += 1
                threading.Thread(target=self._serve, name=f"remote-{self._threads}", daemon=True).start()
        self._queue.put((future, work))
        return future

    def each(self, work: Callable[[A], T], items: Iterable[A], ahead: int) -> Iterator[T]:
        """
        Yield what comes of each item, in order; no more than `ahead` are under way or wait to be yielded.

        Raises: the first error, in order.
        """
        under_way: deque[Future[T]] = deque()
        try:
            for item in items:
                under_way.append(self.submit(lambda item=item: work(item)))  # type: ignore[misc]
                if len(under_way) >= ahead:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()

    def close(self) -> None:
        """Begin nothing more."""
        with self._lock:
            self._closed = True
            threads = self._threads
        for _ in range(threads):
            self._queue.put(None)

    def _serve(self) -> None:
        while taken := self._queue.get():
            future, work = taken
            if self._closed:
                future.cancel()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = work()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
            del future, work, taken
