"""How long a mirror is waited for, how often it is tried, and how much is read of it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


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
