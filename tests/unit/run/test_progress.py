"""What a run shows of itself: lines in a log, a bar on a terminal."""

from __future__ import annotations

import fcntl
import logging
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

from experimenter_mpi.coordination import trail
from experimenter_mpi.errors import ConfigurationError
from experimenter_mpi.run import progress as progress_module
from experimenter_mpi.run.bar import rich_bar
from experimenter_mpi.run.progress import (
    FIRST_LINE_SECONDS,
    LONGEST_SILENCE_SECONDS,
    RATE_SECONDS,
    Progress,
    Rate,
    duration,
)
from experimenter_mpi.trial.outcome import Place, Status
from support.fakes import WITH_PACKAGE, FakeClock, entry
from support.launch import clean_environment

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def clock(monkeypatch):
    fake = FakeClock()
    monkeypatch.setattr(progress_module, "time", fake)
    return fake


@pytest.fixture
def log(capsys):
    """Return the lines that were logged since the last call."""

    def lines():
        return capsys.readouterr().err.splitlines()

    return lines


def started(style="log", total=100, where="1 rank"):
    progress = Progress(style)
    progress.start("heat", total, where)
    return progress


def finished(count, status=Status.FINISHED):
    return [entry(0, status)] * count


# --- a log


@pytest.mark.parametrize(
    ("total", "where", "expected"),
    [
        (1, "1 rank", "heat: 1 trial to run on 1 rank"),
        (2500, "64 ranks", "heat: 2,500 trials to run on 64 ranks"),
    ],
)
def test_a_log_begins_with_what_there_is_to_do(log, total, where, expected):
    started(total=total, where=where)

    assert [expected] == log()


def test_a_line_says_how_far_how_fast_and_how_long_still(clock):
    progress = started(total=100)
    clock.now += 10
    progress.on_recorded(finished(25))

    assert "heat: 25 of 100 trials, 2.5/s, 30 s left" == progress.line()


def test_a_line_counts_what_failed(clock):
    progress = started(total=100)
    progress.on_recorded([*finished(3), *finished(2, Status.FAILED)])

    assert (5, 2) == (progress.done, progress.failed)
    assert "heat: 5 of 100 trials, 2 failed" == progress.line()


def test_a_trial_that_went_back_is_not_done(clock):
    progress = started()
    progress.on_recorded(finished(3, Status.PENDING))

    assert (0, 0) == (progress.done, progress.failed)


def test_at_the_end_no_time_is_left_to_tell(clock):
    progress = started(total=8000)
    clock.now += 2
    progress.on_recorded(finished(8000))

    assert "heat: 8000 of 8,000 trials, 4,000/s" == progress.line()


def test_a_log_is_silent_between_its_lines(clock, log):
    progress = started()
    log()
    clock.now += FIRST_LINE_SECONDS * 0.9
    progress.on_recorded(finished(1))
    early = log()
    clock.now += FIRST_LINE_SECONDS * 0.2
    progress.on_recorded(finished(1))
    clock.now += FIRST_LINE_SECONDS * 0.5
    progress.on_recorded(finished(1))

    assert [] == early
    assert ["heat: 2 of 100 trials"] == [line.partition(",")[0] for line in log()]


def test_a_nights_run_is_a_page_of_log(clock, log):
    """Twelve hours with a trial a second."""
    progress = started(total=43200)
    for _ in range(43200):
        clock.now += 1
        progress.on_recorded(finished(1))
    lines = log()

    assert 100 < len(lines) < 800


def test_the_silence_grows_no_longer_than_a_minute(clock, log):
    progress = started()
    clock.now += 100 * LONGEST_SILENCE_SECONDS
    progress.on_recorded(finished(1))
    log()
    clock.now += LONGEST_SILENCE_SECONDS
    progress.on_recorded(finished(1))

    assert 1 == len(log())


def test_the_end_of_a_long_run_is_told_once(clock, log):
    progress = started(total=2)
    log()
    with progress:
        clock.now += 2 * LONGEST_SILENCE_SECONDS
        progress.on_recorded(finished(2))

    assert 1 == len(log())


def test_a_log_ends_with_how_far_it_came(clock, log):
    progress = started(total=2)
    log()
    with progress:
        progress.on_recorded(finished(2))

    assert ["heat: 2 of 2 trials"] == log()


def test_a_log_ends_so_even_when_the_run_fails(clock, log):
    progress = started(total=2)
    log()
    with pytest.raises(ZeroDivisionError), progress:
        raise ZeroDivisionError

    assert ["heat: 0 of 2 trials"] == log()


def test_a_note_is_a_line_that_says_who_speaks(log):
    started("none").note("lock of node7 taken over")

    assert ["experimenter_mpi: lock of node7 taken over"] == log()


def test_notes_and_failures_are_logged(caplog):
    trail.begin(Place(0, ""))
    progress = started("none")

    progress.note("lock of node7 taken over")
    progress.on_recorded(finished(1, Status.FAILED))

    assert "trial 0" in progress.state()["last_error"]
    assert [
        (logging.WARNING, "lock of node7 taken over"),
        (logging.WARNING, f"failed: {progress.state()['last_error']}"),
    ] == [(record.levelno, record.message) for record in caplog.records]


@pytest.mark.parametrize("style", [False, "none"])
def test_no_progress_is_no_output(log, style):
    progress = started(style)
    with progress:
        progress.on_recorded(finished(2))

    assert [] == log()
    assert 2 == progress.done


@pytest.mark.parametrize("style", [True, "auto"])
def test_where_nobody_watches_it_is_a_log(log, style):
    started(style)

    assert ["heat: 100 trials to run on 1 rank"] == log()


@pytest.mark.parametrize("style", ["loud", "", "True"])
def test_an_unknown_style_is_refused_with_the_known_ones(style):
    with pytest.raises(ConfigurationError, match="one of auto, bar, log, none, not"):
        Progress(style)


def test_a_drain_is_told_even_while_python_is_writing(capfd):
    """The signal may come in the middle of a print, which must not be re-entered."""
    progress = started("none")
    progress.on_drain("SIGTERM", 60.0)

    message = capfd.readouterr().err
    assert message.startswith("\nexperimenter_mpi: SIGTERM: no new trials;")
    assert message.endswith("Rerun the same command to continue.\n")


# --- the rate


def test_before_anything_is_done_there_is_no_rate(clock):
    rate = Rate()
    clock.now += 10

    assert rate.per_second() is None


def test_the_rate_is_of_the_last_half_minute(clock):
    """The first trials may wait for a cold file system."""
    rate = Rate()
    done = 0
    for second in range(200):
        clock.now += 1
        done += 1 if second < 100 else 10
        rate.sample(done)

    assert rate.per_second() == pytest.approx(10)


def test_the_rate_does_not_jump_with_every_commit(clock):
    """Trials come in batches: forty at once, then none for a while."""
    rate = Rate()
    seen = []
    for second in range(1, 101):
        clock.now += 1
        rate.sample(40 * (second // 4))
        if second > RATE_SECONDS:
            seen.append(rate.per_second())

    assert all(8 < each < 12 for each in seen)


def test_the_rate_of_a_run_that_stalls_falls(clock):
    rate = Rate()
    clock.now += 10
    rate.sample(100)
    before = rate.per_second()
    clock.now += 10

    assert (10, 5) == (before, rate.per_second())


def test_one_trial_an_hour_has_a_rate_too(clock):
    rate = Rate()
    for done in range(1, 4):
        clock.now += 100 * RATE_SECONDS
        rate.sample(done)

    assert rate.per_second() == pytest.approx(1 / (100 * RATE_SECONDS))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (0.0123, "0.012 s"),
        (1, "1 s"),
        (25.4, "25 s"),
        (99.4, "99 s"),
        (99.9, "100 s"),
        (100, "2 min"),
        (725, "12 min"),
        (99 * 60, "99 min"),
        (100 * 60, "1 h 40 min"),
        (3 * 3600 + 20 * 60, "3 h 20 min"),
        (47 * 3600 + 59 * 60, "47 h 59 min"),
        (48 * 3600, "2 d 0 h"),
        (52 * 3600, "2 d 4 h"),
    ],
)
def test_a_duration_is_told_as_people_tell_it(seconds, expected):
    assert expected == duration(seconds)


# --- a bar, on a real terminal

SHOW_BAR = """
from experimenter_mpi.trial.outcome import Entry, Outcome, Place
from experimenter_mpi.run.progress import Progress

def entry(status):
    return Entry(Outcome(0, status, None, None, 0.0, 0.0, 0), Place(0, "here"))

progress = Progress(STYLE)
progress.start("heat", 1200, "4 ranks")
with progress:
    progress.on_recorded([entry("finished")] * 600)
    progress.note("a [note] that is no markup")
    progress.on_recorded([entry("failed")] * 2 + [entry("finished")] * 598)
print("end")
"""


def test_the_bar_tells_the_rate_and_the_time_left_while_it_runs(clock):
    progress = started(total=20)
    columns = rich_bar(100, progress._pace).columns
    (column,) = [each for each in columns if type(each).__name__ == "PaceColumn"]
    shown = [column.render(None).plain]
    for _ in range(2):
        clock.now += 20
        progress.on_recorded(finished(10))
        shown.append(column.render(None).plain)

    assert ["", "0.5/s, 20 s left", "0.5/s"] == shown


def show(style, columns=120):
    """Run a program on a terminal of its own; give what that shows, and its output."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", SHOW_BAR.replace("STYLE", repr(style))],
        env={**clean_environment(), **WITH_PACKAGE, "TERM": "xterm-256color"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=slave,
    )
    os.close(slave)
    shown = b""
    try:
        while part := os.read(master, 65536):
            shown += part
    except OSError:  # what Linux says when the last writer has gone
        pass
    finally:
        os.close(master)
        stdout, _ = process.communicate(timeout=120)
    assert 0 == process.returncode, shown.decode()
    return shown.decode(), stdout.decode()


@pytest.fixture(scope="module")
def bar():
    return show("auto")


def test_on_a_terminal_it_is_a_bar(bar):
    shown = ESCAPES.sub("", bar[0])

    assert "heat" in shown
    assert "━" in shown
    assert "to run on" not in shown
    assert "0 failed" not in shown


def test_the_bar_ends_full_and_with_what_failed(bar):
    last = ESCAPES.sub("", bar[0]).rstrip().splitlines()[-1]

    assert "1200/1200" in last
    assert "2 failed" in last
    assert re.search(r"[\d,]+/s", last)
    assert "left" not in last


def test_a_note_stands_above_the_bar_as_it_is(bar):
    assert "a [note] that is no markup" in ESCAPES.sub("", bar[0])


def test_the_bar_leaves_standard_output_alone(bar):
    assert "end\n" == bar[1]


def test_the_bar_gives_the_cursor_back(bar):
    assert bar[0].rindex("\x1b[?25h") > bar[0].rindex("\x1b[?25l")


def test_the_bar_fits_its_terminal():
    shown, _ = show("bar", columns=60)
    lines = re.split(r"[\r\n]+", ESCAPES.sub("", shown))

    assert 60 >= max(map(len, lines))


def test_a_log_on_a_terminal_has_no_escapes():
    shown, _ = show("log")

    assert "\x1b" not in shown
    assert "heat: 1,200 trials to run on 4 ranks" in shown


def test_a_terminal_that_does_not_know_its_width_is_no_trouble():
    """So it is under ``script``, expect, and some containers."""
    shown, _ = show("auto", columns=0)

    assert "1200/1200" in ESCAPES.sub("", shown)
