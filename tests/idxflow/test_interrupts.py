"""Ctrl-C, SIGTERM and SIGHUP, sent to this very process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from idxflow.cli.interrupts import KINDS, SIGNALS, Interrupted, end_at_once, held_back, interruptible


@pytest.fixture(autouse=True)
def heeded() -> Iterator[None]:
    """Ctrl-C as in the foreground, also where the tests themselves run in the background; checked and restored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    hang_up = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    handlers, hooks = [signal.getsignal(number) for number in SIGNALS], (sys.unraisablehook, sys.excepthook)
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == handlers
    assert (sys.unraisablehook, sys.excepthook) == hooks
    signal.signal(signal.SIGINT, before)
    signal.signal(signal.SIGHUP, hang_up)


@pytest.mark.parametrize(("number", "kind"), KINDS.items())
def test_a_signal_ends_the_block(number: int, kind: type[KeyboardInterrupt]) -> None:
    """Each signal ends the block as what it is, and means afterwards what it meant before."""
    with pytest.raises(KeyboardInterrupt) as caught, interruptible():
        os.kill(os.getpid(), number)
    assert type(caught.value) is kind


def test_what_a_signal_was_made_into_is_still_an_interrupt() -> None:
    """A library that turns the interrupt into an error of its own hides it from nobody; the error is its cause."""
    with pytest.raises(KeyboardInterrupt) as caught, interruptible():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            raise ValueError("cannot serialize") from None
    assert str(caught.value.__cause__) == "cannot serialize"


def test_other_errors_stay_what_they_are() -> None:
    """Without a signal the block's own error goes on."""
    with pytest.raises(ValueError, match="own"), interruptible():
        raise ValueError("own")


class Interrupting:
    """What is interrupted where nothing can be raised."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)


def swallow() -> None:
    """Catch an interrupt, and go on."""
    with suppress(BaseException):
        os.kill(os.getpid(), signal.SIGINT)


def print_it() -> None:
    """Be interrupted as an extension module may be: print the error, and go on."""
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt as error:
        sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
        sys.excepthook(type(error), error, error.__traceback__)


@pytest.mark.parametrize("dropped", [Interrupting, swallow, print_it])
def test_an_interrupt_that_is_dropped_comes_again(
    dropped: Callable[[], object], capsys: pytest.CaptureFixture[str]
) -> None:
    """Raised in a finaliser, or swallowed by a library, the interrupt comes once more, and nothing is said of it."""
    with pytest.raises(Interrupted), interruptible():
        dropped()
        time.sleep(5)
        pytest.fail("it did not come again")
    assert capsys.readouterr().err == ""


def test_an_interrupt_that_is_let_through_comes_once() -> None:
    """What ends the block, or has ended it, is not sent again, however long its way takes."""
    with pytest.raises(Interrupted), interruptible():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            time.sleep(0.1)
    time.sleep(0.1)


def test_what_else_is_dropped_is_told_as_ever() -> None:
    """An error in a finaliser that no signal raised goes to whoever hears of such errors."""
    told: list[object] = []
    hook, sys.unraisablehook = sys.unraisablehook, lambda unraisable: told.append(unraisable.exc_type)

    class Finalized:
        def __del__(self) -> None:
            raise ValueError

    try:
        with interruptible():
            Finalized()
    finally:
        sys.unraisablehook = hook
    assert told == [ValueError]


@pytest.mark.parametrize("number", SIGNALS)
def test_what_is_held_back_comes_at_the_end(number: int) -> None:
    """Within the block nothing is interrupted; at its end, or that of the outermost, the signal is raised."""
    done = []
    with pytest.raises(KeyboardInterrupt), interruptible(), held_back():
        with held_back():
            os.kill(os.getpid(), number)
            done.append("inner")
        done.append("outer")
    assert done == ["inner", "outer"]


def test_an_interrupt_outweighs_the_error_of_what_held_it_back() -> None:
    """Where the block fails after the signal, the interrupt is what ends it."""
    with pytest.raises(KeyboardInterrupt), held_back():
        os.kill(os.getpid(), signal.SIGINT)
        raise ImportError


def test_an_ignored_signal_stays_ignored() -> None:
    """What runs in the background ignores Ctrl-C, and goes on ignoring it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruptible(), held_back():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_another_thread_there_is_nothing_to_hold_back() -> None:
    """Signals are the main thread's: elsewhere the block just runs."""
    done = []

    def work() -> None:
        with held_back():
            done.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [1]


@pytest.mark.parametrize("number", SIGNALS)
def test_what_is_ending_ends_at_once(number: signal.Signals) -> None:
    """Where only tidying up is left, each signal ends the process with its exit code, and nothing is said or done."""
    program = "import atexit, os, signal, sys; from idxflow.cli.interrupts import end_at_once; "
    tidying = "atexit.register(print, 'tidied'); end_at_once(); os.kill(os.getpid(), int(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", program + tidying, str(int(number))], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", "")


def test_an_ignored_signal_stays_ignored_to_the_end() -> None:
    """What runs in the background ignores Ctrl-C while it ends, too."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in SIGNALS}
    try:
        end_at_once()
        assert {signal.getsignal(number) for number in SIGNALS} == {signal.SIG_IGN}
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
