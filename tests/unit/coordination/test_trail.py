"""What a process keeps of its last messages and decisions, and says of them."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import threading
import weakref

import pytest

from experimenter_mpi.coordination import messages as m
from experimenter_mpi.coordination import trail
from experimenter_mpi.encoding.codec import Encoded
from experimenter_mpi.trial.attempt import Attempt
from experimenter_mpi.trial.outcome import Place, Status
from support.fakes import outcome


@pytest.fixture(autouse=True)
def fresh():
    trail._entries.clear()
    trail.begin(Place(3, "node7"))
    yield
    trail._entries.clear()
    trail.begin(Place(0, ""))


class Trials:
    """Runs trials that take as long as they are told to have taken."""

    def __init__(self, duration, status=Status.FINISHED, meanwhile=lambda: None):
        self._given, self._meanwhile = (status, duration), meanwhile

    def run(self, index):
        self._meanwhile()
        return Attempt(outcome(index, *self._given))

    def close(self):
        """There is nothing to let go."""


def run(attempts, index):
    """Run one trial as a batch of its own."""
    with trail.runner(attempts) as one:
        one(index)


def said():
    """Return what the lines say after their numbers and times."""
    return [" ".join(line.split()[3:]) for line in trail.lines()]


def test_messages_and_decisions_are_kept_in_their_order():
    trail.received(1, m.Ready(Place(1, "node8")))
    trail.sent(1, m.Assign(((0, 1),)))
    trail.sent(2, m.Assign(((1, 20), (25, 26))))
    trail.received(1, m.Finished((outcome(0, Status.FAILED, 0.5),)))
    trail.received(2, m.Finished((outcome(1), outcome(2))))
    trail.decided("drain: %s", "SIGTERM")
    trail.sent(1, m.StopWork("SIGTERM", 60.0))

    assert [
        "receives from 1 Ready on node8",
        "sends to 1 Assign trial 0",
        "sends to 2 Assign trials 1-19, 25",
        "receives from 1 Finished trial 0: failed",
        "receives from 2 Finished 2 trials, the last is trial 2: finished",
        "decides drain: SIGTERM",
        "sends to 1 StopWork SIGTERM",
    ] == said()


def test_the_last_hundred_are_kept_and_numbered_without_gaps():
    for number in range(250):
        trail.decided("%s", number)

    numbers = [int(line.split()[0][1:]) for line in trail.lines()]

    assert [str(n) for n in range(150, 250)] == [each.split()[-1] for each in said()]
    assert list(range(numbers[0], numbers[0] + 100)) == numbers


@pytest.mark.parametrize("kind", m.TYPES, ids=lambda kind: kind.__name__)
def test_no_message_is_kept_with_what_it_carries(kind):
    class Payload(dict):
        """Can be looked for, and answers to what is asked of any field."""

        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            return "x"

        def __getitem__(self, where):
            return (self,) * 2 if isinstance(where, slice) else "x"

        def __len__(self):
            return 1

    fields = [Payload() for _ in kind._fields]
    watched = [weakref.ref(field) for field in fields]
    fields = [
        (f,) if n == "outcomes" else f
        for f, n in zip(fields, kind._fields, strict=True)
    ]

    if kind not in (m.Assign, m.Finished):  # whose few numbers have tests of their own
        trail.sent(1, kind(*fields))
        trail.lines()
    del fields
    gc.collect()

    assert [] == [ref for ref in watched if ref() is not None]


def test_neither_results_nor_states_are_kept():
    document = Encoded("x" * 1_000_000)
    trail.received(1, m.Finished((outcome(7)._replace(results=document),)))
    trail.received(1, m.SaveSnapshot("6f2c", document, "half way"))
    trail.sent(1, m.Assign(tuple((i, i + 1) for i in range(0, 10_000, 2))))

    kept = sum(sys.getsizeof(each) for entry in trail._entries for each in entry)

    assert 10_000 > kept
    assert 2 == sys.getrefcount(document)
    assert [
        "receives from 1 Finished trial 7: finished",
        "receives from 1 SaveSnapshot of 6f2c 'half way'",
        "sends to 1 Assign trials 0, 2, 4, ...",
    ] == said()


def test_a_long_trial_has_entries_and_stands_before_what_it_asked():
    def asking():
        trail.sent(0, m.FetchSnapshot("6f2c"))

    run(Trials(0.5, meanwhile=asking), 7)
    run(Trials(0.001), 8)
    run(Trials(0.001, Status.FAILED), 9)

    assert [
        "begins trial 7",
        "sends to 0 FetchSnapshot of 6f2c",
        "ends trial 7: finished after 0.5 s",
        "begins trial 9",
        "ends trial 9: failed after 0.001 s",
    ] == said()


def test_what_runs_now_is_said_first_and_for_how_long():
    reports = []

    run(Trials(0.5, meanwhile=lambda: reports.append(trail.report())), 7)

    header, running = reports[0].splitlines()[:2]
    assert "experimenter_mpi: rank 3 on node7, process " in header
    assert "rank 3 on node7 runs trial 7 for 0.0 s" in running
    assert "no trial runs" in trail.report()


def test_rank_0_says_what_runs_for_longest_first():
    trail.watch(lambda: [(rank, "node", rank, float(rank)) for rank in range(1, 100)])

    lines = trail.report().splitlines()

    assert lines[1].endswith("rank 99 on node runs trial 99 for 99.0 s")
    assert lines[trail.RANKS_LISTED + 1].endswith(f"and {99 - trail.RANKS_LISTED} more")


def test_what_others_wrote_commands_no_terminal_and_fills_no_line():
    trail.sent(1, m.SaveSnapshot("6f2c", Encoded("{}"), "\x1b[2J" + "x" * 10_000))
    trail.sent(1, m.Refused("StoreError", "\nfirst\nsecond" + "x" * 10_000))

    one, other = trail.lines()

    assert "\x1b" not in one
    assert "\n" not in other
    assert 300 > max(len(one), len(other))


def test_it_may_be_read_while_others_write():
    over = threading.Event()

    def write():
        while not over.is_set():
            trail.decided("%s", 1)

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        assert 100 >= max(len(trail.lines()) for _ in range(200))
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_decisions_are_logged_but_not_from_a_signals_handler(caplog):
    caplog.set_level(logging.DEBUG, logger="experimenter_mpi")

    trail.decided("drain: %s", "SIGTERM", level=trail.INFO)
    trail.decided("stop: %s", "SIGTERM", level=None)
    trail.log(trail.WARNING, "rank %s died", 3)
    run(Trials(0.5), 7)

    assert [
        ("experimenter_mpi", logging.INFO, "drain: SIGTERM"),
        ("experimenter_mpi", logging.WARNING, "rank 3 died"),
        ("experimenter_mpi", logging.DEBUG, "trial 7: finished after 0.5 s"),
    ] == caplog.record_tuples
    assert 4 == len(trail.lines())


def test_nobody_who_has_not_asked_for_a_log_sees_one():
    code = """
import logging, sys
from experimenter_mpi.coordination import trail
from experimenter_mpi.trial.outcome import Place
trail.begin(Place(0, ""))
trail.log(trail.ERROR, "%s", "unseen")
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert ("", "") == (done.stdout, done.stderr)


def test_it_is_printed_with_the_stacks_once_in_a_run(capfd):
    trail.decided("drain: %s", "SIGTERM")

    trail.tell("trial 7 is overdue")
    trail.tell("trial 8 is overdue")

    printed = capfd.readouterr().err
    first, *others = printed.splitlines()
    assert "experimenter_mpi: trial 7 is overdue; where this process is:" == first
    assert "in test_it_is_printed_with_the_stacks_once_in_a_run" in printed
    assert "decides" in others[-1]
    assert "trial 8" not in printed
