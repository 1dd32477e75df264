"""
Transfer: one address's bytes into a part file, with tries and resumption; `tasks.transport` reads them.

urllib3's own `Retry` is not used here: it cannot resume a body, and it logs addresses with their query.
"""

from __future__ import annotations

import logging
import os
from http import HTTPStatus
from itertools import count
from pathlib import Path
from urllib.parse import SplitResult, urlsplit
from urllib.request import url2pathname

from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from schemas.addresses import redact
from schemas.events import Progress, emit
from tasks.formats.kinds import kind_of_link
from tasks.transport.mirror import MirrorFault, Patience, open_regular
from tasks.transport.part import Part, Validators
from tasks.transport.reader import Answer, opened

__all__ = ["Patience", "transfer", "validators_of"]
logger = logging.getLogger("idxflow.download")
BLOCK = 2**17


def transfer(address: str, part: Part, name: str, patience: Patience) -> None:
    """
    Fill `part` from `address` until it is the expected file.

    Raises: MirrorFault: the address did not give it. A wrong file is gone from the part, a cut one stays there.
    """
    parts = urlsplit(address)
    if parts.scheme == "file":
        _copy(parts, part, _Shown(name, part, patience))
        _judge(part)
        return
    for tried in count(1):
        try:
            _fetch(address, part, _Shown(name, part, patience), patience)
        except MirrorFault as fault:
            if tried >= fault.tries:
                raise
            backoff = patience.backoff * 2 ** (tried - 1) * (1 - patience.random() / 2)
            wait, what = max(fault.wait, backoff), str(fault)
        else:
            return
        logger.info("%s: %s from %s; trying again in %.1f s", name, what, redact(address), wait)
        patience.sleep(wait)


def _judge(part: Part, tries: int = 1) -> None:
    """Empty the part and raise MirrorFault unless it is the expected file."""
    if flaw := part.flaw():
        part.restart()
        flaw.tries = tries
        raise flaw


def _copy(parts: SplitResult, part: Part, shown: _Shown) -> None:
    """Read a file address."""
    path = Path(url2pathname(parts.path))
    try:
        file = open_regular(path)
    except OSError as error:
        if kind := kind_of_link(path):
            raise MirrorFault(kind.name, next_step=kind.next_step) from None
        raise MirrorFault(f"no file ({error.strerror})") from None
    except ValueError:  # no path at all, such as one with a zero byte
        raise MirrorFault("no file (the address is malformed)") from None
    part.restart()
    with file:
        size = os.fstat(file.fileno()).st_size
        while block := file.read(BLOCK):
            part.append(block)
            shown.tick(size)
    shown.finish()


def _fetch(address: str, part: Part, shown: _Shown, patience: Patience) -> None:
    """Ask once: for the rest of what an earlier try left, if the file has not changed since, else for all of it."""
    headers = dict[str, str]()
    source = part.resume(redact(address))
    if source is not None:
        if part.sha256 == part.expected.sha256:
            _judge(part)
            return
        headers = {"Range": f"bytes={part.size}-", "If-Range": source.strong}
    with opened(address, patience, largest=part.limit, headers=headers) as answer:
        resumed = source is not None and answer.status == HTTPStatus.PARTIAL_CONTENT
        if source is not None and (
            answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            or (resumed and not answer.headers.get("Content-Range", "").startswith(f"bytes {part.size}-"))
        ):
            part.restart()
            raise MirrorFault("another range than the one asked for", tries=patience.tries)
        said = validators_of(answer, redact(address))
        if not resumed:
            _require_whole(answer, patience)
            part.restart(said)
        part.validators = said
        total = part.expected.bytes or (None if answer.length is None else part.size + answer.length)
        for block in answer.blocks(before=part.size):
            part.append(block)
            shown.tick(total)
    shown.finish()
    # What an earlier try left may be what is wrong: that earns the mirror another try, from the first byte on.
    _judge(part, tries=patience.tries if resumed else 1)


def _require_whole(answer: Answer, patience: Patience) -> None:
    """Raise MirrorFault unless the whole file follows."""
    status = answer.status
    if status == HTTPStatus.OK:
        return
    passing = status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    wait, what = _retry_after(answer) if passing else 0.0, f"status {status}"
    if wait > patience.longest_wait:
        passing, what = False, f"{what}, to be asked again in {wait:.0f} s"
    raise MirrorFault(what, tries=patience.tries if passing else 1, wait=wait)


def _retry_after(answer: Answer) -> float:
    """Return what Retry-After asks for, in seconds; 0 without one that can be read (RFC 9110, 10.2.3)."""
    try:
        return Retry().parse_retry_after(answer.headers.get("Retry-After", "0"))
    except (InvalidHeader, ValueError, OverflowError):
        return 0.0


def validators_of(answer: Answer, address: str) -> Validators | None:
    """Return by what a mirror can be asked later whether its file has changed; None where it says nothing of it."""
    etag, last_modified = answer.headers.get("ETag"), answer.headers.get("Last-Modified")
    if etag is None and last_modified is None:
        return None
    return Validators(address=address, etag=etag, last_modified=last_modified)


class _Shown:
    """How far one try is, shown at most twenty times a second."""

    EVERY = 0.05

    def __init__(self, name: str, part: Part, patience: Patience) -> None:
        self._name, self._part, self._clock, self._shown = name, part, patience.clock, float("-inf")

    def tick(self, total: int | None) -> None:
        """Note that bytes have arrived."""
        now = self._clock()
        if now - self._shown >= self.EVERY:
            self._shown = now
            emit(Progress(self._name, "bytes", self._part.size, total))

    def finish(self) -> None:
        """Show the last byte."""
        emit(Progress(self._name, "bytes", self._part.size, self._part.size))
