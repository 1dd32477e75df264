"""
Who collects garbage in a remote: one at a time, as far as a lease can see to that.

The lease is an object that its holder renews by compare and swap. Nobody's clock is compared with another's: who waits
takes over a lease that has not changed for some time by its own clock. A lease is a politeness and no fence: what a
clean-up deletes has to be old as well, by the server's clock.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from artifacts.remote.backend import Backend
from artifacts.remote.layout import LEASE
from schemas.remote import RemoteError

LASTS = 30.0
"""Seconds without a sign of life after which a lease is anybody's."""
RENEWED = 5.0
"""Seconds after which a holder gives one."""
SMALL = 2**16


class _State(BaseModel):
    """What the object says: an empty holder has let go."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    holder: str
    nonce: str


class Lease:
    """
    The lease of a remote, for as long as the block runs.

    Args:
        holder: who, for others to read.
        lasts:  seconds; None: `LASTS`.
        clock:  seconds that only go on.  sleep: waits.
    Raises: RemoteError: somebody else has it and gives signs of life; it was lost.
    """

    def __init__(
        self,
        backend: Backend,
        holder: str,
        *,
        lasts: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._backend, self._holder, self._lasts = backend, holder, LASTS if lasts is None else lasts
        self._clock, self._sleep = clock, sleep
        self._tag, self._renewed = "", 0.0

    def __enter__(self) -> Self:
        seen, since = "", self._clock()
        end = since + 2 * self._lasts
        while not self._take(seen if self._clock() - since >= self._lasts else ""):
            got = self._backend.get(LEASE, SMALL)
            if got is not None and got.tag != seen:
                seen, since = got.tag, self._clock()
            if self._clock() >= end:
                raise self._error("nobody else who collects garbage", "one who does; see again later")
            self._sleep(min(1.0, self._lasts / 10))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        free = _State(holder="", nonce=secrets.token_hex(16))
        self._backend.replace(LEASE, free.model_dump_json().encode(), self._tag)

    def renew(self) -> None:
        """Give a sign of life, if it is time. Raises: RemoteError: somebody else has taken the lease over."""
        if self._clock() - self._renewed < min(RENEWED, self._lasts / 4):
            return
        if not self._swap(self._tag):
            raise self._error("the lease that this clean-up has taken", "another holder: it was silent for too long")

    def _take(self, silent: str) -> bool:
        """Try to get it. Args: silent: tag of a state that has lasted too long; empty: there is none."""
        content = self._content()
        self._backend.put_new(LEASE, content)
        got = self._backend.get(LEASE, SMALL)
        if got is None:
            return False
        if bytes(got.content) == content:
            self._tag, self._renewed = got.tag, self._clock()
            return True
        try:
            free = not _State.model_validate_json(bytes(got.content)).holder
        except ValidationError:
            free = False
        return self._swap(got.tag) if free or got.tag == silent else False

    def _swap(self, tag: str) -> bool:
        """Replace the state that a tag stands for; a lost answer is asked for."""
        content = self._content()
        self._backend.replace(LEASE, content, tag)
        got = self._backend.get(LEASE, SMALL)
        if got is None or bytes(got.content) != content:
            return False
        self._tag, self._renewed = got.tag, self._clock()
        return True

    def _content(self) -> bytes:
        return _State(holder=self._holder, nonce=secrets.token_hex(16)).model_dump_json().encode()

    def _error(self, expected: str, found: str) -> RemoteError:
        return RemoteError(
            f"remote, {LEASE}", expected=expected, found=found, way_out="Run it again later; what is gone was garbage."
        )
