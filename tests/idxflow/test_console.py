"""What a person sees: recorded events, and the lines that they make."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import signal
from pathlib import Path

import pytest
from rich.console import Console as Terminal
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from idxflow.cli.ending import INTERRUPTED, report_error
from idxflow.cli.output import put, put_json
from idxflow.views.console import RESUMED, VIEW, Console
from idxflow.views.stages import stage_line
from schemas.events import Event, PartsExpected, PartsSettled, Progress, RunChanged, StageChanged, StageFailed, emit
from tasks.fitting import course
from tests.idxflow.conftest import Screen

BAD = "\x1b]0;owned\x07\x9b2J\u202e"
RAW = set("\x07\x9b\u202e")
FILE = "train-images-idx3-ubyte.gz"
FACTS = {"loss": 0.5, "accuracy": 0.875, "val_loss": 0.25, "val_accuracy": 0.96875}
EVENTS: list[Event] = [
    RunChanged("0123456789ab", "running"),
    StageChanged("download", FILE, "started", "a" * 16),
    Progress(FILE, "bytes", 5_000_000, 9_912_422),
    StageChanged("download", FILE, "computed", "a" * 16, 1.52, 9_912_422),
    StageChanged("parse", "train", "cached", "b" * 16, 0.004, 9_900_000),
    StageChanged("train", "", "started", "c" * 16),
    Progress("train", "epochs", 1, 2, FACTS),
    Progress("train", "epochs", 2, 2, FACTS),
    StageChanged("train", "", "computed", "c" * 16, 14.1, 312_000),
    RunChanged("0123456789ab", "completed"),
]
LINES = """\
download   train-images-idx3-ubyte.gz  computed     1.5 s    9.9 MB  aaaaaaaaaaaaaaaa
parse      train                       cached        4 ms    9.9 MB  bbbbbbbbbbbbbbbb
train                                  computed    14.1 s  312.0 kB  cccccccccccccccc
           2 epochs: val loss 0.2500, val accuracy 96.88 %
"""


def test_a_file_gets_one_plain_line_a_stage(screen: Screen) -> None:
    """Away from a terminal each stage is one line, training has its last figures, and nothing else is there."""
    with screen.watching():
        for event in EVENTS:
            emit(event)
    assert screen.text.getvalue() == LINES
    assert screen.run_id == "0123456789ab"
    assert not screen.errors.getvalue()


PARTS = [f"train {number}.gz" for number in range(100)]


def test_many_parts_get_one_line(screen: Screen) -> None:
    """A hundred parts of a split are one line, once all have ended: how many were cached, and why others not."""
    with screen.watching():
        emit(PartsExpected("parse", "train", frozenset(PARTS)))
        for name in PARTS[:99]:
            emit(StageChanged("parse", name, "cached", "b" * 16, 0.01, 1_000))
        assert not screen.text.getvalue()
        emit(StageChanged("parse", PARTS[99], "computed", "c" * 16, 1.0, 1_000, "never run"))
        emit(StageChanged("parse", "test", "cached", "d" * 16, 0.004, 9))
    assert screen.text.getvalue().splitlines() == [
        "parse      train: 100 parts, 99 cached computed     1.0 s  100.0 kB  99.gz: never run",
        "parse      test                        cached        4 ms       9 B  dddddddddddddddd",
    ]


FILES = ["a.gz", "b.gz", "c.gz", "d.gz"]


def first_run(screen: Screen) -> None:
    """The files and splits of a first run, as its stages tell of them; two files arrive beside each other."""
    emit(RunChanged("0123456789ab", "running"))
    for stage in ("download", "verify"):
        emit(PartsExpected(stage, "", frozenset(FILES)))
    emit(PartsExpected("parse", "", frozenset(("train", "test"))))
    for screen.now, file in zip((1.0, 1.0, 2.0, 3.0), FILES, strict=True):
        emit(StageChanged("download", file, "computed", file[0] * 16, 1.0, 1_000, "never run on this data set"))
    for file in FILES:
        emit(StageChanged("verify", file, "computed", file[0] * 16, 0.5, 10, "never run on this data set"))
    emit(StageChanged("parse", "test", "computed", "e" * 16, 0.5, 10, "never run on this data set"))
    emit(StageChanged("parse", "train", "computed", "f" * 16, 0.5, 10, "never run on this data set"))


def test_a_stage_is_one_line_once_it_is_complete(screen: Screen) -> None:
    """Files of a stage are one line, with the time in which any was at work; the reason of a first run is said once."""
    with screen.watching():
        emit(PartsExpected("download", "", frozenset(FILES)))
        emit(StageChanged("download", FILES[0], "computed", "0" * 16, 1.0, 1_000))
        assert not screen.text.getvalue()
    screen = Screen()
    with screen.watching():
        first_run(screen)
    assert screen.text.getvalue().splitlines() == [
        "download   4 files                     computed     3.0 s    4.0 kB  never run on this data set",
        "verify     4 files                     computed    500 ms      40 B",
        "parse      train, test                 computed    500 ms      20 B",
    ]


def test_verbose_has_a_line_for_each_file(screen: Screen) -> None:
    """With `verbose` each file of each stage has its own line, with its version and its reason."""
    with screen.watching(verbose=True):
        first_run(screen)
    lines = screen.text.getvalue().splitlines()
    assert len(lines) == 10
    assert all(line.endswith("never run on this data set") for line in lines)


def test_a_file_that_was_healed_is_named(screen: Screen) -> None:
    """Of four files one was damaged: the stage's line says which, and what was wrong; one after it has its own line."""
    with screen.watching():
        emit(PartsExpected("download", "", frozenset(FILES)))
        for file in FILES[:3]:
            emit(StageChanged("download", file, "cached", file[0] * 16, 0.1, 1_000))
        emit(StageChanged("download", "d.gz", "computed", "d" * 16, 0.1, 1_000, "damaged: d.gz has 7 bytes of 8"))
        emit(StageChanged("download", "a.gz", "computed", "9" * 16, 0.1, 1_000, "damaged: a.gz is gone"))
    first, second = screen.text.getvalue().splitlines()
    assert first.startswith("download   4 files, 3 cached")
    assert first.endswith("d.gz: damaged: d.gz has 7 bytes of 8")
    assert second.startswith("download   a.gz ")
    assert second.endswith("damaged: a.gz is gone")


def test_stages_that_are_found_are_told_as_one(screen: Screen) -> None:
    """What is cached is told at the next line: before a stage that is computed, before an epoch, and at the end."""
    with screen.watching():
        for stage in ("parse", "normalize"):
            emit(StageChanged(stage, "", "cached", stage[0] * 16, 0.1, 500))
        assert not screen.text.getvalue()
        emit(StageChanged("train", "", "started", "1" * 16))
        emit(Progress("train", "epochs", 1, 2, FACTS))
        assert "parse, normalize" in screen.text.getvalue()
        emit(StageChanged("train", "", "computed", "1" * 16, 1.0, 5, "epochs 50 -> 2"))
        emit(StageChanged("report", "", "cached", "2" * 16, 0.1, 500))
    assert screen.text.getvalue().splitlines() == [
        "stages     2 of them                   cached      100 ms    1.0 kB",
        "           parse, normalize",
        "train                                  computed     1.0 s       5 B  1111111111111111  epochs 50 -> 2",
        "           1 epoch: val loss 0.2500, val accuracy 96.88 %",
        "report                                 cached      100 ms     500 B  2222222222222222",
    ]


def test_a_training_that_goes_on_says_from_where(screen: Screen) -> None:
    """The line that the training logs is shown, and nothing else of its kind; see `tasks.fitting.course`."""
    with screen.watching():
        for line in ("60000 rows to train on", f"{RESUMED} after epoch 17"):
            logging.getLogger("idxflow.train").info(line)
    assert screen.text.getvalue() == "train      resuming an interrupted training after epoch 17\n"
    assert f'log.info("{RESUMED} after epoch %d"' in Path(course.__file__).read_text("utf-8")


def test_an_interruption_says_what_is_kept_of_a_training(screen: Screen) -> None:
    """Ctrl-C during a training: after which epoch it will go on; with no training under way there is nothing of it."""
    with screen.watching():
        emit(Progress("train", "epochs", 17, 50, FACTS))
        assert report_error(screen, KeyboardInterrupt()) == INTERRUPTED
        emit(StageChanged("train", "", "computed", "1" * 16, 1.0, 5))
    report_error(other := Screen(), KeyboardInterrupt())
    assert "stored, and the training after epoch 17 of 50; run again" in screen.errors.getvalue()
    assert "Finished stages are stored; run again" in other.errors.getvalue()
    assert screen.trained is None


def test_parts_in_bundles_are_not_waited_for(screen: Screen) -> None:
    """Of a hundred parts and their files the line tells those that are in no bundle, whenever they have ended."""
    files = [f"{number}.gz" for number in range(100)]
    with screen.watching():
        emit(PartsExpected("download", "", frozenset(files)))
        emit(PartsExpected("parse", "train", frozenset(PARTS)))
        for name in files[96:]:
            emit(StageChanged("download", name, "cached", "a" * 16, 0.01, 1_000))
        assert not screen.text.getvalue()
        for first in range(0, 96, 16):
            emit(PartsSettled("train", tuple(PARTS[first : first + 16]), tuple(files[first : first + 16])))
        for name in PARTS[96:]:
            emit(StageChanged("parse", name, "cached", "b" * 16, 0.01, 1_000))
        emit(RunChanged("0123456789ab", "completed"))
    assert screen.text.getvalue().splitlines() == [
        "stages     2 of them                   cached       10 ms    8.0 kB",
        "           download, parse",
    ]


def test_parts_of_a_run_that_fails_are_told_as_far_as_they_came(screen: Screen) -> None:
    """What had ended is one line, before the run's own end; a second attempt adds none."""
    with screen.watching():
        for _ in range(2):
            emit(PartsExpected("parse", "train", frozenset(PARTS)))
            for name in PARTS[:3]:
                emit(StageChanged("parse", name, "computed", "c" * 16, 1.0, 1_000, "never run"))
        emit(RunChanged("0123456789ab", "failed"))
    assert screen.text.getvalue().splitlines() == [
        "parse      train: 3 of 100 parts       computed     1.0 s    3.0 kB  never run"
    ]


def test_long_work_is_heard_of_now_and_then(screen: Screen) -> None:
    """Away from a terminal long work says every five seconds how far it is."""
    with screen.watching():
        for epoch in range(1, 51):
            screen.now = float(epoch)
            emit(Progress("train", "epochs", epoch, 50, {"loss": 1 / epoch}))
    lines = screen.text.getvalue().splitlines()
    assert lines[0] == "train      6/50 epochs: loss 0.1667"
    assert len(lines) == 9


def test_a_stage_that_is_told_twice_is_shown_once(screen: Screen) -> None:
    """A second attempt that finds cached what the first one computed adds no line."""
    with screen.watching():
        emit(StageChanged("parse", "train", "computed", "b" * 16, 1.0, 5))
        emit(StageChanged("parse", "train", "cached", "b" * 16, 0.1, 5))
    assert screen.text.getvalue().count("parse") == 1


def test_a_warning_is_one_line_once(screen: Screen) -> None:
    """A warning from below is one line, however long, however often; information is not shown."""
    long = "NOT MNIST: " + "so it goes, " * 30
    with screen.watching():
        logging.getLogger("idxflow.dataset").warning(long)
        logging.getLogger("idxflow.dataset").warning(long)
        logging.getLogger("idxflow.dataset").info("unheard")
    assert screen.text.getvalue() == f"WARNING {long}\n"


def test_an_error_is_shown_when_it_happens_and_once(screen: Screen) -> None:
    """A stage's error stands there at once, and is not said again at the end, unless it has gone from view."""
    with screen.watching():
        emit(StageFailed("parse", "test", "labels: expected 4, found 3."))
        assert screen.errors.getvalue() == "ERROR labels: expected 4, found 3.\n"
    screen.fail("labels: expected 4, found 3.")
    assert screen.errors.getvalue().count("ERROR") == 1
    for _ in range(VIEW):
        screen.line("more")
    screen.fail("labels: expected 4, found 3.")
    assert screen.errors.getvalue().count("ERROR") == 2


def test_verbose_shows_information(screen: Screen) -> None:
    """With `verbose` log lines of every level are shown."""
    with screen.watching(verbose=True):
        logging.getLogger("idxflow.store").debug("looked at %d files", 3)
    assert screen.text.getvalue() == "idxflow.store: looked at 3 files\n"


def test_the_logger_is_left_as_it_was(screen: Screen) -> None:
    """After a run our logger has the handlers and the level that it had."""
    logger = logging.getLogger("idxflow")
    before = logger.handlers[:], logger.level, logger.propagate
    with pytest.raises(KeyError), screen.watching():
        raise KeyError
    assert (logger.handlers, logger.level, logger.propagate) == before


class Tty(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.fixture
def tty(monkeypatch: pytest.MonkeyPatch) -> Tty:
    """A terminal of 80 columns with colours."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    return Tty()


def test_a_terminal_sees_bars_and_then_the_same_lines(tty: Tty) -> None:
    """On a terminal running stages have a row with a bar, finished ones the line that a file has."""
    console = Console(tty, tty)
    for part in (EVENTS[:3], EVENTS[3:7], EVENTS[7:]):
        with console.watching():  # draws once more at its end
            for event in part:
                emit(event)
    seen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", tty.getvalue())
    assert f"download {FILE} ━━━" in seen
    assert "5.0/9.9 MB" in seen
    assert "1/2 epochs" in seen
    assert "  loss 0.5000, accuracy 87.50 %, val loss 0.2500, val accuracy 96.88 %" in seen
    *stages, facts = LINES.splitlines()
    assert [line for line in stages if line[:77] not in seen] == []
    assert " ".join(facts.split()) in " ".join(seen.split())  # broken between words where it is too long
    assert max(map(len, seen.splitlines())) <= 100


def test_verbose_on_a_terminal_has_no_bars(tty: Tty) -> None:
    """Plain output draws nothing over what libraries print."""
    with Console(tty, tty, plain=True).watching():
        for event in EVENTS:
            emit(event)
    assert "━" not in tty.getvalue()


def test_a_warning_finds_the_person(tty: Tty) -> None:
    """With standard output in a file, warnings go to the terminal that standard error still is."""
    file = io.StringIO()
    Console(file, tty).warn("look")
    assert not file.getvalue()
    assert "look" in tty.getvalue()


def test_a_reason_that_has_no_room_stands_below() -> None:
    """A line without a version, as that of four files, has a reason that is too long for it below, and indented."""
    event = StageChanged("download", "4 files", "computed", "", 1.0, 1, "never run on this data set")
    assert stage_line(event, 80).plain.splitlines()[1] == "           never run on this data set"


@pytest.mark.parametrize(
    ("reason", "width", "end"),
    [
        ("", 80, "1 B  01234567"),
        ("", 100, "1 B  0123456789abcdef"),
        ("never run", None, "1 B  0123456789abcdef  never run"),
        ("never run", 100, "1 B  0123456789abcdef  never run"),
        ("never run", 80, "1 B  never run"),
        ("never run on this data set", 80, "1 B  01234567"),
        ("training.epochs 50 -> 10, training.hidden [50, 50] -> [100, 50], and 3 more", 80, "1 B  01234567"),
    ],
)
def test_version_and_reason_stand_where_there_is_room(reason: str, width: int | None, end: str) -> None:
    """A narrow terminal sees half a version, or the reason in its place; a long reason is below it, in whole words."""
    event = StageChanged("train", "", "computed", "0123456789abcdef", 1.0, 1, reason)
    first, *rest = stage_line(event, width).plain.splitlines()
    assert first.endswith(end)
    assert not rest or " ".join(part.strip() for part in rest) == reason
    assert reason in first or rest
    assert all(len(part) <= (width or 120) for part in (first, *rest))


def test_a_narrow_terminal_breaks_figures_below_their_row(tty: Tty, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 60 columns the last figures of training go on below each other, and not in the first column."""
    monkeypatch.setenv("COLUMNS", "60")
    console = Console(tty, tty, plain=True)
    for event in (Progress("train", "epochs", 2, 2, FACTS, "the model is from epoch 1"), EVENTS[8]):
        console.show(event)
    *_, first, second = tty.getvalue().splitlines()
    assert re.sub(r"\x1b\[[0-9;]*m", "", first) == f"{'':11}2 epochs: val loss 0.2500, val accuracy 96.88 %;"
    assert re.sub(r"\x1b\[[0-9;]*m", "", second) == f"{'':11}the model is from epoch 1"


def test_a_warning_that_stands_in_view_is_not_repeated(screen: Screen) -> None:
    """A reminder is printed where the warning was never told, or has scrolled away."""
    screen.warn("look")
    screen.remind("look")
    screen.remind("listen")
    assert screen.text.getvalue() == "WARNING look\nWARNING listen\n"
    for _ in range(VIEW):
        screen.line()
    screen.remind("look")
    assert screen.text.getvalue().endswith("\nWARNING look\n")


def test_what_interrupts_the_start_of_the_bars_leaves_the_terminal_whole(tty: Tty) -> None:
    """Ctrl-C while the bars are set up comes when they stand: they are taken away, and the cursor is shown again."""

    class Interrupting(Tty):
        def write(self, text: str) -> int:
            if "?25l" in text and not self.getvalue():
                os.kill(os.getpid(), signal.SIGINT)
            return super().write(text)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    terminal = Interrupting()
    try:
        with pytest.raises(KeyboardInterrupt), Console(terminal, terminal).watching():
            pytest.fail("nothing of the block runs")
    finally:
        signal.signal(signal.SIGINT, before)
    assert terminal.getvalue().count("?25l") == 1
    assert terminal.getvalue().rindex("?25h") > terminal.getvalue().rindex("?25l")


def test_names_are_not_markup(screen: Screen) -> None:
    """Brackets in names and messages are shown as they are."""
    screen.line("[bold]x[/bold]")
    screen.warn("[red]")
    assert screen.text.getvalue() == "[bold]x[/bold]\nWARNING [red]\n"
    assert isinstance(screen.out, Terminal)


def test_every_way_to_the_screen_is_safe(tty: Tty) -> None:
    """Lines, facts, warnings, errors, bars, tables and trees write out what would steer it; colours stay."""
    console = Console(tty, tty)
    table = Table(BAD)
    table.add_row(BAD)
    with console.watching():
        console.line(BAD)
        console.line(Text(BAD, "red"))
        console.fact(BAD, BAD)
        console.warn(BAD)
        console.fail(BAD)
        console.show(StageChanged("parse", BAD, "started", "1" * 16))
        console.show(Progress(BAD, "bytes", 1, 2, note=BAD))
        console.show(StageChanged("parse", BAD, "computed", "1" * 16, 1.0, 9, BAD))
        console.out.print(table, Tree(BAD), BAD, markup=False)
    said = tty.getvalue()
    assert not RAW & set(said)
    assert "\x1b]0;" not in said
    assert "\\x1b]0;owned\\x9b2J\\u202e" in said  # rich drops the bell
    assert "\x1b[" in said  # colours and bars, which are rich's own


def test_standard_output_is_safe(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines are written out, and a JSON document reads as before."""
    put(BAD)
    put_json({BAD: BAD})
    lines, document = capsys.readouterr().out.split("\n", 1)
    assert lines == r"\x1b]0;owned\x07\x9b2J\u202e"
    assert not (RAW | {"\x1b"}) & set(document)
    assert json.loads(document) == {BAD: BAD}
