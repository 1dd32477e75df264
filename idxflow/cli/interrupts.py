"""
Ctrl-C, SIGTERM and SIGHUP: the blocks that they end, and those whose end they wait for.

Python raises in the main thread wherever it is, and not every place lets that through: a callback of the import system
or an extension module drops it, another makes an error of its own of it, a library's clean-up is left half done.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
AGAIN_SECONDS = 0.01


class Interrupted(KeyboardInterrupt):
    """Ctrl-C. (Of Python's own class nobody could tell when an instance is gone.)"""


class Terminated(Interrupted):
    """SIGTERM: somebody else's Ctrl-C."""


class HungUp(Interrupted):
    """SIGHUP: the terminal was closed."""


KINDS = {signal.SIGTERM: Terminated, signal.SIGHUP: HungUp, signal.SIGINT: Interrupted}


@contextmanager
def interruptible() -> Iterator[None]:
    """
    Let Ctrl-C end the block as Interrupted, SIGTERM as Terminated, SIGHUP as HungUp, whatever its code makes of them.

    Prefect, which catches SIGTERM first, sends it on after its own part. What is ignored stays so: Ctrl-C,
    as a shell has it for what runs in the background, or SIGHUP, as by `nohup`.
    """
    heard: list[int] = []
    over = False

    def end(number: int, _: FrameType | None) -> None:
        heard.append(number)
        interrupt = _interrupt(number)
        # One that is gone before the block is was dropped on its way.
        weakref.finalize(interrupt, again, number).atexit = False
        try:
            raise interrupt
        finally:
            del interrupt  # the traceback holds this frame, which would hold it for good

    def again(number: int) -> None:
        if not over:
            # Not here, where nothing can be raised; nor by a lock, which whoever lost it may hold.
            _thread.start_new_thread(send, (number,))

    def send(number: int) -> None:
        time.sleep(AGAIN_SECONDS)
        if not over:
            os.kill(os.getpid(), number)

    def dropped(unraisable: sys.UnraisableHookArgs) -> None:
        if not issubclass(unraisable.exc_type, Interrupted):
            hook(unraisable)

    def printed(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if heard:
            sys.last_value = sys.last_traceback = None  # an extension module that prints it has dropped it
        else:
            excepthook(kind, error, traceback)

    hook, excepthook = sys.unraisablehook, sys.excepthook
    before = {number: signal.getsignal(number) for number in SIGNALS}
    sys.unraisablehook, sys.excepthook = dropped, printed
    for number in SIGNALS:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, end)
    try:
        yield
    except Exception as error:
        if heard:
            raise _interrupt(heard[-1]) from error
        raise
    finally:
        over = True
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook, sys.excepthook = hook, excepthook


@contextmanager
def held_back() -> Iterator[None]:
    """Let the signals that would raise in the block wait for its end; what they then raise counts before its errors."""
    noted: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        noted.append(number)

    here = threading.current_thread() is threading.main_thread()  # only there are signals handled
    before = {number: signal.getsignal(number) for number in SIGNALS} if here else {}
    handlers = {number: handler for number, handler in before.items() if callable(handler)}
    for number in handlers:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if noted:
            signal.raise_signal(noted[-1])


def end_at_once() -> None:
    """
    Let Ctrl-C, SIGTERM and SIGHUP from now on end the process on the spot, with their exit code and without a word.

    For a command that has said how it ended, and only tidies up: everything of it that must not be left undone outlives
    a kill, too. One that is ignored stays ignored.
    """

    def end(number: int, _: FrameType | None) -> None:
        os._exit(128 + number)

    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)


def _interrupt(number: int) -> Interrupted:
    return KINDS[signal.Signals(number)]()
