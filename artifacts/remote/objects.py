"""A remote in a bucket, by obstore: S3 and what speaks as S3 does, Google Cloud Storage, Azure."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from artifacts.remote.backend import NAME, Backend, Entry, Got, RemoteAway, RemoteOdd, checked_name
from artifacts.remote.credentials import aws_options, known_secrets
from artifacts.remote.loop import within
from schemas.errors import UsageError
from schemas.remote import RemoteError, RemotePlace
from schemas.secrets import conceal_all

if TYPE_CHECKING:
    from obstore import UpdateVersion
    from obstore.store import AzureStore, GCSStore, S3Store

CONNECT = 3.0
"""Seconds for a connection to be there."""
ANSWER = 5.0
"""Seconds for the answer to a small request, its repetitions included."""
LEAST = 2.0
"""Seconds for the bytes of an object, beside those for its size."""
RATE = 512 * 2**10
"""Bytes a second below which a transfer counts as stuck: with it the largest object has 16 s more."""
LISTING = 60.0
"""Seconds for the next thousand names of a list."""
CLOCK = re.compile(r"RequestTimeTooSkewed|request date header too old|in a reasonable timeframe", re.IGNORECASE)
"""What Amazon's, Azure's and Google's servers say of a request that is dated by a clock which is wrong."""
TRIES = 2
"""How often a request is repeated after an error of the server's."""
T = TypeVar("T")


class Objects(Backend):
    """A bucket as a remote; see `Backend`. Raises: UsageError: obstore refuses the settings."""

    def __init__(self, place: RemotePlace) -> None:
        self._place = place
        self._store = _open(place)
        # Without one the engine asks the machine that it may run on, and waits for that.
        self._keyless = place.scheme == "s3" and not os.environ.get("AWS_ACCESS_KEY_ID") and not aws_options()
        # What conditions are about: Google's are about generations, which obstore calls versions.
        self._tag: Literal["version", "e_tag"] = "version" if place.scheme == "gs" else "e_tag"

    def get(self, name: str, most: int) -> Got | None:
        """Return an object's content; see `Backend`."""
        try:
            return self._ask(lambda: self._get(checked_name(name), most), most)  # in it are times for each half
        except FileNotFoundError:
            return None

    async def _get(self, name: str, most: int) -> Got:
        from obstore.exceptions import GenericError

        try:
            return await self._get_once(name, most)
        except GenericError:  # a body that was cut off: the engine would go on in the middle, which not all servers do
            return await self._get_once(name, most)

    async def _get_once(self, name: str, most: int) -> Got:
        from obstore import get_async

        async with asyncio.timeout(ANSWER):
            result = await get_async(self._store, name)
        if (size := result.meta["size"]) > most:
            raise self._odd(name, f"at most {most} bytes", f"{size}")
        async with asyncio.timeout(LEAST + size / RATE):
            content = await result.bytes_async()
        if len(content) != size:
            raise self._odd(name, f"{size} bytes, as the server says", f"{len(content)}")
        return Got(memoryview(content), str(result.meta[self._tag] or ""))

    def put_new(self, name: str, content: bytes | memoryview) -> bool:
        """Create an object; see `Backend`."""
        from obstore import put_async
        from obstore.exceptions import AlreadyExistsError

        checked_name(name)
        try:
            self._ask(lambda: put_async(self._store, name, content, mode="create", use_multipart=False), len(content))
        except AlreadyExistsError:
            return False
        except FileNotFoundError as error:  # of what is to be created only the bucket can be missing
            raise self._refused("a bucket or container of that name", "none") from error
        return True

    def replace(self, name: str, content: bytes, tag: str) -> bool:
        """Compare and swap; see `Backend`."""
        from obstore import put_async
        from obstore.exceptions import PreconditionError

        mode: UpdateVersion = {"version": tag} if self._tag == "version" else {"e_tag": tag}
        checked_name(name)
        try:
            self._ask(lambda: put_async(self._store, name, content, mode=mode, use_multipart=False), len(content))
        except (PreconditionError, FileNotFoundError):
            return False
        return True

    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield the objects below a folder; see `Backend`."""
        from obstore import list as list_objects

        stream = list_objects(self._store, checked_name(prefix.rstrip("/")), chunk_size=1000)

        async def following() -> Any:
            async for chunk in stream:
                return chunk
            return None

        seen = set[str]()
        while chunk := self._ask(following, 0, LISTING):
            new = {meta["path"]: meta for meta in chunk if meta["path"] not in seen}
            if not new:
                raise self._odd(prefix, "a list that comes to its end", "the same names again and again")
            seen |= new.keys()
            for path, meta in new.items():
                if NAME.fullmatch(path):
                    yield Entry(path, meta["size"], meta["last_modified"].astimezone(UTC))

    def stat(self, name: str) -> Entry | None:
        """Return an object's size and date; see `Backend`."""
        from obstore import head_async

        try:
            meta = self._ask(lambda: head_async(self._store, checked_name(name)), 0)
        except FileNotFoundError:
            return None
        return Entry(name, meta["size"], meta["last_modified"].astimezone(UTC))

    def delete(self, name: str) -> None:
        """Delete an object; see `Backend`."""
        from obstore import delete_async

        try:
            self._ask(lambda: delete_async(self._store, checked_name(name)), 0)
        except FileNotFoundError:
            return

    def _ask(self, request: Callable[[], Awaitable[T]], size: int, seconds: float | None = None) -> T:
        """Wait for a request. Args: size: bytes that may travel."""
        with self._errors():
            return within((seconds or ANSWER) + size / RATE, request)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the engine's errors into ours; what says how an object is passes."""
        from obstore.exceptions import (
            AlreadyExistsError,
            BaseError,
            PermissionDeniedError,
            PreconditionError,
            UnauthenticatedError,
        )

        try:
            yield
        except (FileNotFoundError, AlreadyExistsError, PreconditionError, RemoteError):
            raise
        except TimeoutError as error:
            raise self._away("none in time") from error
        except (BaseError, OSError) as error:
            if CLOCK.search(str(error)):  # in whatever kind of error the engine puts that
                raise self._wrong_clock(str(error)) from error
            if isinstance(error, (PermissionDeniedError, UnauthenticatedError)):
                raise self._refused("credentials that may read and write it", "others, or none") from error
            raise self._away(_reason(error)) from error

    def _refused(self, expected: str, found: str) -> RemoteError:
        way_out = "Credentials belong into the environment or the provider's usual files; docs/remote.md names them."
        return RemoteError(f"remote {self._place}", expected=expected, found=found, way_out=way_out)

    def _wrong_clock(self, answer: str) -> RemoteError:
        told = re.search(r"<ServerTime>([0-9TZ:.-]{10,30})</ServerTime>", answer)
        return RemoteError(
            f"remote {self._place}",
            expected="this machine's clock to be within some minutes of the server's, as requests are dated by it",
            found=f"{datetime.now(UTC).isoformat(timespec='seconds')} here" + (f" and {told[1]} there" if told else ""),
            way_out="Set the clock (NTP keeps it right); credentials may well be right.",
        )

    def _away(self, found: str) -> RemoteAway:
        where = f" at {self._place.endpoint}" if self._place.endpoint else ""
        keyless = " No key was found in the environment or a credentials file." if self._keyless else ""
        return RemoteAway(
            f"remote {self._place}",
            expected=f"an answer{where}",
            found=found,
            way_out=f"See that it can be reached from here; `idxflow remote status` asks it.{keyless}",
        )

    def _odd(self, name: str, expected: str, found: str) -> RemoteOdd:
        way_out = "`idxflow remote verify` looks at all that is there."
        return RemoteOdd(f"remote {self._place}, {name}", expected=expected, found=found, way_out=way_out)


def _open(place: RemotePlace) -> S3Store | GCSStore | AzureStore:
    from obstore.store import AzureStore, GCSStore, S3Store

    known_secrets()
    bucket, _, prefix = str(place.url).partition("://")[2].partition("/")
    options: dict[str, Any] = {
        "prefix": prefix or None,
        "client_options": {
            "connect_timeout": timedelta(seconds=CONNECT),
            "timeout": timedelta(seconds=60),  # `within` is what ends a request; this ends what it has left behind
            "allow_http": (place.endpoint or "").startswith("http://"),
            "user_agent": "idxflow",
        },
        "retry_config": {
            "max_retries": TRIES,
            "retry_timeout": timedelta(seconds=ANSWER),
            "backoff": {
                "init_backoff": timedelta(milliseconds=100),
                "max_backoff": timedelta(seconds=1),
                "base": 2,
            },
        },
    }
    if place.endpoint and place.scheme == "gs":
        expected, way_out = "none beside a gs:// address", "Leave it out."
        raise UsageError("remote.endpoint", expected=expected, found=place.endpoint, way_out=way_out)
    named: dict[str, Any] = (
        {"endpoint": place.endpoint, "region": place.region} if place.scheme == "s3" else {"endpoint": place.endpoint}
    )
    named = {name: value for name, value in named.items() if value} | (aws_options() if place.scheme == "s3" else {})
    try:
        match place.scheme:
            case "s3":
                return S3Store(bucket, **options, **named)
            case "gs":
                return GCSStore(bucket, **options)
            case _:
                return AzureStore(bucket, **options, **named)
    except Exception as error:  # of the engine: an odd variable of the environment, a file that does not read
        raise UsageError(
            f"remote {place}",
            expected="settings and credentials that fit together",
            found=_reason(error),
            way_out="See docs/remote.md for the variables of each provider.",
        ) from error


def _reason(error: Exception) -> str:
    """Say in a line what a library's error is about: its status or its kind, and no part of what was sent."""
    text = conceal_all(str(error))
    if status := re.search(r"status code: (\d{3}(?: [A-Za-z ]{2,40})?)", text):
        return f"HTTP {status[1].strip()}"
    for word in ("Connection refused", "dns error", "timed out", "connection closed", "certificate"):
        if word.lower() in text.lower():
            return word.lower()
    return type(error).__name__
