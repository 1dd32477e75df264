"""
Ctrl-C, SIGTERM and SIGHUP: blocks that they end, and blocks whose end they wait for.

Python raises in the main thread wherever it is, and not every place lets that through: a callback of the import system
or an extension module drops it, another turns it into an error of its own, a library's clean-up is left incomplete.
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
    """Ctrl-C. (Instances of Python's own class take no weak references, which show when one is dropped.)"""


class Terminated(Interrupted):
    """SIGTERM."""


class HungUp(Interrupted):
    """SIGHUP: the terminal was closed."""


KINDS = {signal.SIGTERM: Terminated, signal.SIGHUP: HungUp, signal.SIGINT: Interrupted}


@contextmanager
def interruptible() -> Iterator[None]:
    """
    Let Ctrl-C end the block as Interrupted, SIGTERM as Terminated, SIGHUP as HungUp, whatever its code does with them.

    Prefect, which catches SIGTERM first, sends it on after its own part. Signals that are ignored stay ignored: Ctrl-C
    of a background process, SIGHUP under `nohup`.
    """
    heard: list[int] = []
    over = False

    def end(number: int, _: FrameType | None) -> None:
        heard.append(number)
        interrupt = _interrupt(number)
        # One that is garbage before the block has ended was dropped on its way.
        weakref.finalize(interrupt, again, number).atexit = False
        try:
            raise interrupt
        finally:
            del interrupt  # the traceback holds this frame, which would hold it for good

    def again(number: int) -> None:
        if not over:
            # Not here, where nothing can be raised; nor with a lock, which the interrupted code may hold.
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
    """Delay the signals that would raise in the block to its end; what they then raise replaces the block's errors."""
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
    Let Ctrl-C, SIGTERM and SIGHUP end the process at once, with their exit code and no message.

    For a command that has reported its end and only cleans up, which is as safe to interrupt as by a kill. Ignored
    signals stay ignored.
    """

    def end(number: int, _: FrameType | None) -> None:
        os._exit(128 + number)

    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)


def _interrupt(number: int) -> Interrupted:
    return KINDS[signal.Signals(number)]()
