"""
The reader: asks an address, and hands over its answer's bytes, or says in a MirrorFault why it gave none.

Every failure of the libraries below becomes a MirrorFault. Their own messages hold the address, with its secrets, and
their exceptions hold more than that: none is passed on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import requests
from requests.auth import HTTPBasicAuth
from requests.utils import get_netrc_auth
from urllib3.exceptions import HTTPError, ReadTimeoutError

from schemas.counts import counted
from schemas.secrets import remember_login
from tasks.transport.guard import Guard, GuardedAdapter
from tasks.transport.mirror import MirrorFault, Patience

# Below INFO it logs each address with its query, and at WARNING that of an answer whose headers do not read.
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
BLOCK = 2**17
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "idxflow"}
GRACE = 1.0
"""Seconds after which a head that should have ended by itself is no longer waited for: a name look-up has no bound."""


@dataclass(frozen=True)
class Answer:
    """
    An answer whose body has not been read yet.

    Args:
        status:  as the last server said, after all redirects.
        headers: by name, in any case.
        length:  bytes of the body; None where that is not said.
    """

    status: int
    headers: Mapping[str, str]
    length: int | None
    _raw: Any
    _guard: Guard
    _patience: Patience

    def blocks(self, before: int = 0) -> Iterator[bytes]:
        """
        Yield the body as it arrives, in blocks of at most 128 KiB; it is not decoded.

        Args:   before: bytes that came in an earlier answer, for messages.
        Raises: MirrorFault: it is cut, falls silent or is too slow.
        """
        self._guard.begin_body()
        received = before
        while True:
            try:
                # read1 returns what has arrived: read would wait for a full block, for hours if the mirror drips.
                block = self._raw.read1(BLOCK, decode_content=False)
            except Exception as error:
                raise _fault(
                    error, self._guard, self._patience, f"an answer cut after {counted(received, 'byte')}"
                ) from None
            if not block:
                return
            received += len(block)
            yield block
            self._guard.received(len(block))


@contextmanager
def opened(
    address: str, patience: Patience, *, largest: int = 0, headers: Mapping[str, str] | None = None
) -> Iterator[Answer]:
    """
    Ask an http address by GET, and follow its redirects, whose bodies are not read.

    Args:
        address: with its secrets; user and password are sent as UTF-8 (RFC 7617, 2.1), like those of a .netrc file.
        largest: bytes of the body that are read at most.
        headers: what is sent beside the usual ones.
    Raises: MirrorFault: there is no answer, or it does not begin in time.
    """
    guard = Guard(patience, largest)
    asking = _Asking(address, {**HEADERS, **(headers or {})}, guard, patience)
    try:
        response = asking.response()
        length = getattr(response.raw, "length_remaining", None)
        yield Answer(response.status_code, response.headers, length, response.raw, guard, patience)
    finally:
        asking.end()


class _Asking:
    """A request on its way, in a thread of its own: so its end can be waited for, and no longer than that."""

    def __init__(self, address: str, headers: Mapping[str, str], guard: Guard, patience: Patience) -> None:
        self._address, self._headers, self._guard, self._patience = address, headers, guard, patience
        self._response: requests.Response | None = None
        self._error: Exception | None = None
        self._ended, self._lock = False, threading.Lock()
        self._done = threading.Event()

    def response(self) -> requests.Response:
        """Return the answer. Raises: MirrorFault: there is none, or it does not begin in time."""
        threading.Thread(target=self._work, name="mirror", daemon=True).start()
        if not self._done.wait(self._patience.head_seconds + GRACE):
            raise self._guard.late()
        if self._error is not None:
            error, self._error = self._error, None
            raise _fault(error, self._guard, self._patience) from None
        if self._response is None:
            raise self._guard.late()
        return self._response

    def end(self) -> None:
        """Close the answer, also one that comes later."""
        with self._lock:
            self._ended = True
            if self._response is not None:
                _close(self._response)

    def _work(self) -> None:
        try:
            response = self._ask()
        except Exception as error:
            self._error = error
        else:
            with self._lock:
                if self._ended:
                    _close(response)
                else:
                    self._response = response
        finally:
            self._done.set()

    def _ask(self) -> requests.Response:
        address, login = _login(self._address)
        with requests.Session() as session:
            for scheme in ("http://", "https://"):
                session.mount(scheme, GuardedAdapter(self._guard))
            return session.get(
                address,
                headers=dict(self._headers),
                auth=login,
                stream=True,
                timeout=(self._patience.connect_seconds, self._patience.read_seconds),
                hooks={"response": _drop_redirect_body},
            )


def _close(response: requests.Response) -> None:
    with suppress(Exception):  # of what is thrown away
        response.close()


def _login(address: str) -> tuple[str, HTTPBasicAuth | None]:
    """
    Take user and password out of an address, or from a .netrc file, as bytes.

    requests encodes them as Latin-1, and fails where they are more than that.
    """
    parts = urlsplit(address)
    user, at, host = parts.netloc.rpartition("@")
    if at:
        name, _, word = user.partition(":")
        pair = unquote_to_bytes(name), unquote_to_bytes(word)
        address = parts._replace(netloc=host).geturl()
    elif found := get_netrc_auth(address):
        pair = found[0].encode(), found[1].encode()
    else:
        return address, None
    remember_login(*pair)
    return address, HTTPBasicAuth(*pair)


def _drop_redirect_body(response: requests.Response, **_: object) -> None:
    """Keep requests from reading a redirect's body."""
    if response.is_redirect:
        response.close()


def _fault(error: Exception, guard: Guard, patience: Patience, cut: str = "") -> MirrorFault:
    """
    Return the fault for what failed.

    Args: cut: what to say where the connection broke off in the middle of the body.
    """
    match guard.fault or error:
        case MirrorFault() as known:
            return known
        case requests.ConnectTimeout():
            return MirrorFault(f"no connection in {patience.connect_seconds:g} s", tries=patience.tries)
        case requests.ReadTimeout() | ReadTimeoutError() | TimeoutError():
            return MirrorFault(f"nothing for {patience.read_seconds:g} s", tries=patience.silent_tries)
        case requests.exceptions.SSLError():
            return MirrorFault("no connection (TLS failed: see its certificate)")
        case requests.ConnectionError() | HTTPError():
            return MirrorFault(cut or f"no answer ({_reason(error)})", tries=patience.tries)
    return MirrorFault(cut or f"no answer ({type(error).__name__})")


def _reason(error: BaseException | None) -> str:
    """Return what the operating system said at the bottom of a library's error."""
    said = "the connection broke off"
    while error is not None:
        said = getattr(error, "strerror", None) or said
        error = error.__cause__ or error.__context__
    return said
