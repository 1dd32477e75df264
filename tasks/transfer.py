"""
Transfer: one address's bytes into a part file, with time-outs, retries and resumption.

urllib3's own `Retry` stands back here: it cannot resume a body, and it logs addresses with their query.
"""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from itertools import count
from pathlib import Path
from urllib.parse import SplitResult, urlsplit
from urllib.request import url2pathname

import requests
from urllib3.exceptions import HTTPError, InvalidHeader, ReadTimeoutError
from urllib3.util import Retry

from schemas.addresses import redact
from schemas.events import Progress, emit
from tasks.kinds import kind_of_link
from tasks.part import MirrorFault, Part, Source, Validators

logger = logging.getLogger("idxflow.download")
logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)  # below that it logs each address with its query
BLOCK = 2**17


@dataclass(frozen=True)
class Patience:
    """
    How long a mirror is waited for, and how often it is tried.

    Args:
        connect_seconds, read_seconds: the longest time for a connection, and between two pieces of an answer.
        tries:         at one mirror, when the connection fails or is cut, and on status 429 and 5xx.
        silent_tries:  at one mirror, when nothing came for `read_seconds`.
        backoff:       seconds before the second try; doubles with each one, less a random part of up to half.
        longest_wait:  seconds; a mirror that asks for more by Retry-After is left for the next.
        least_rate:    bytes a second, measured every `rate_seconds`; a slower mirror is left for the next.
        largest:       bytes of a file whose size is not known.
        clock, sleep, random: where time and chance come from.
    """

    connect_seconds: float = 10
    read_seconds: float = 20
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


def transfer(address: str, part: Part, name: str, patience: Patience) -> None:
    """
    Fill `part` from `address` until it is the expected file.

    Raises: MirrorFault: the address did not give it. A wrong file is gone from the part, a cut one stays there.
    """
    parts = urlsplit(address)
    if parts.scheme == "file":
        _copy(parts, part, _Pace(name, part, patience))
        _judge(part)
        return
    with requests.Session() as session:
        for tried in count(1):
            try:
                _fetch(session, address, part, _Pace(name, part, patience), patience)
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


def _copy(parts: SplitResult, part: Part, pace: _Pace) -> None:
    """Read a file address."""
    path = Path(url2pathname(parts.path))
    try:
        file = path.open("rb")
    except OSError as error:
        if kind := kind_of_link(path):
            raise MirrorFault(kind.name, next_step=kind.next_step) from None
        raise MirrorFault(f"no file ({error.strerror})") from None
    part.restart()
    with file:
        size = os.fstat(file.fileno()).st_size
        while block := file.read(BLOCK):
            part.append(block)
            pace.tick(len(block), size)
    pace.finish()


def _fetch(session: requests.Session, address: str, part: Part, pace: _Pace, patience: Patience) -> None:
    """Ask once: for the rest of what an earlier try left, if the file has not changed since, else for all of it."""
    headers = {"Accept-Encoding": "identity", "User-Agent": "idxflow"}
    source = part.resume(redact(address))
    if source is not None:
        if part.sha256 == part.expected.sha256:
            _judge(part)
            return
        headers |= {"Range": f"bytes={part.size}-", "If-Range": source.validator}
    with _answer(session, address, headers, part, patience) as response:
        resumed = source is not None and response.status_code == HTTPStatus.PARTIAL_CONTENT
        if source is not None and (
            response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            or (resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {part.size}-"))
        ):
            part.restart()
            raise MirrorFault("another range than the one asked for", tries=patience.tries)
        if not resumed:
            _require_whole(response, patience)
            validator = _validator(response)
            part.restart(Source(address=redact(address), validator=validator) if validator else None)
        part.validators = validators_of(response, redact(address))
        rest = response.raw.length_remaining
        total = part.expected.bytes or (None if rest is None else part.size + rest)
        # read1 returns what has arrived: read would wait for a full block, for hours if the mirror drips.
        while block := response.raw.read1(BLOCK, decode_content=False):
            part.append(block)
            pace.tick(len(block), total)
    pace.finish()
    # What an earlier try left may be what is wrong: that earns the mirror another try, from the first byte on.
    _judge(part, tries=patience.tries if resumed else 1)


@contextmanager
def _answer(
    session: requests.Session, address: str, headers: dict[str, str], part: Part, patience: Patience
) -> Iterator[requests.Response]:
    """Open an answer, and tell its failures apart. The library's own messages hold the address: none is passed on."""
    time_outs = (patience.connect_seconds, patience.read_seconds)
    begun = False
    try:
        with session.get(
            address, headers=headers, stream=True, timeout=time_outs, hooks={"response": _drop_redirect_body}
        ) as response:
            begun = True
            yield response
    except (requests.ReadTimeout, ReadTimeoutError):
        raise MirrorFault(f"nothing for {patience.read_seconds:g} s", tries=patience.silent_tries) from None
    except requests.exceptions.SSLError:
        raise MirrorFault("no connection (TLS failed: see its certificate)") from None
    except (requests.ConnectionError, HTTPError) as error:
        what = f"an answer cut after {part.size} bytes" if begun else f"no answer ({_reason(error)})"
        raise MirrorFault(what, tries=patience.tries) from None
    except requests.RequestException as error:
        raise MirrorFault(f"no answer ({type(error).__name__})") from None


def _drop_redirect_body(response: requests.Response, **_: object) -> None:
    """Keep requests from reading a redirect's body, which nobody bounds."""
    if response.is_redirect:
        response.close()


def _require_whole(response: requests.Response, patience: Patience) -> None:
    """Raise MirrorFault unless the whole file follows."""
    status = response.status_code
    if status == HTTPStatus.OK:
        return
    passing = status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    wait, what = _retry_after(response) if passing else 0.0, f"status {status}"
    if wait > patience.longest_wait:
        passing, what = False, f"{what}, to be asked again in {wait:.0f} s"
    raise MirrorFault(what, tries=patience.tries if passing else 1, wait=wait)


def _retry_after(response: requests.Response) -> float:
    """Return what Retry-After asks for, in seconds; 0 without one that can be read (RFC 9110, 10.2.3)."""
    try:
        return Retry().parse_retry_after(response.headers.get("Retry-After", "0"))
    except (InvalidHeader, ValueError, OverflowError):
        return 0.0


def _validator(response: requests.Response) -> str | None:
    """Return what If-Range may carry: a strong ETag, or without any ETag the Last-Modified (RFC 9110, 13.1.5)."""
    tag = response.headers.get("ETag")
    if tag is None:
        return response.headers.get("Last-Modified")
    return None if tag.startswith("W/") else tag


def validators_of(response: requests.Response, address: str) -> Validators | None:
    """Return by what a mirror can be asked later whether its file has changed; None where it says nothing of it."""
    etag, last_modified = response.headers.get("ETag"), response.headers.get("Last-Modified")
    if etag is None and last_modified is None:
        return None
    return Validators(address=address, etag=etag, last_modified=last_modified)


def _reason(error: BaseException | None) -> str:
    """Return what the operating system said at the bottom of a library's error."""
    said = "the connection broke off"
    while error is not None:
        said = getattr(error, "strerror", None) or said
        error = error.__cause__ or error.__context__
    return said


class _Pace:
    """The speed of one try: shown at most twenty times a second, and held against the least rate."""

    SHOWN_EVERY = 0.05

    def __init__(self, name: str, part: Part, patience: Patience) -> None:
        self._name, self._part, self._patience = name, part, patience
        self._shown, self._marked, self._received = float("-inf"), patience.clock(), 0

    def tick(self, received: int, total: int | None) -> None:
        """
        Note that bytes have arrived.

        Raises: MirrorFault: too few of them since the last look.
        """
        now, patience = self._patience.clock(), self._patience
        self._received += received
        if now - self._shown >= self.SHOWN_EVERY:
            self._shown = now
            emit(Progress(self._name, "bytes", self._part.size, total))
        if (seconds := now - self._marked) >= patience.rate_seconds:
            if self._received < patience.least_rate * seconds:
                raise MirrorFault(f"{self._received} bytes in {seconds:.3g} s")
            self._marked, self._received = now, 0

    def finish(self) -> None:
        """Show the last byte."""
        emit(Progress(self._name, "bytes", self._part.size, self._part.size))
