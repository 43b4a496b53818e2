"""Grouped commits: few transactions, and nothing held back for long."""

from __future__ import annotations

import threading
import warnings

import pytest

from experimenter_mpi.coordination import commits
from experimenter_mpi.coordination.commits import (
    MAX_ENTRIES,
    MAX_SECONDS,
    GroupedCommits,
)
from experimenter_mpi.encoding.rules import ArrayRecord
from experimenter_mpi.errors import DatabaseWriteError, PickledValueWarning
from experimenter_mpi.experiment.experiment import Experiment
from experimenter_mpi.experiment.variables import IntegerVariable
from experimenter_mpi.trial.outcome import Entry, Failure, Place, RunningTrial, Status
from support.fakes import HERE, PATIENCE, FakeClock, ListLedger, encoded, entry

RUNNING = RunningTrial(5, 100.0, HERE)


@pytest.fixture
def clock(monkeypatch):
    fake = FakeClock()
    monkeypatch.setattr(commits, "time", fake)
    return fake


@pytest.fixture
def ledger():
    n = IntegerVariable(0, 9)
    return ListLedger(Experiment("heat", function_name="f", configuration={"n": n}))


@pytest.fixture
def told():
    return []


@pytest.fixture
def grouped(ledger, told, clock):
    return GroupedCommits(ledger, told.append)


def pickled(index, *what):
    found = entry(index)
    return found._replace(outcome=found.outcome._replace(results=encoded(pickled=what)))


def test_what_was_added_since_the_last_commit_goes_in_one_transaction(grouped, ledger):
    grouped.add([entry(0), entry(1)])
    grouped.add([entry(2)])
    grouped.flush()
    grouped.add([entry(3)])
    grouped.flush([RUNNING])

    assert [
        ([entry(0), entry(1), entry(2)], []),
        ([entry(3)], [RUNNING]),
    ] == ledger.transactions


def test_nothing_is_written_before_the_commit(grouped, ledger):
    grouped.add([entry(0)])

    assert [] == ledger.transactions


def test_there_is_no_transaction_without_anything_in_it(grouped, ledger, told):
    grouped.flush()

    assert ([], []) == (ledger.transactions, told)


def test_who_watches_is_told_after_each_commit_what_it_held(grouped, ledger, told):
    grouped.add([entry(0), entry(1)])
    grouped.flush()
    grouped.flush([RUNNING])

    assert [[entry(0), entry(1)]] == told


def test_who_watches_is_told_nothing_of_a_commit_that_failed(ledger, told, clock):
    class FullDisk(ListLedger):
        def record(self, entries, running):
            raise DatabaseWriteError("the disk is full")

    grouped = GroupedCommits(FullDisk(ledger._experiment), told.append)
    grouped.add([entry(0)])

    with pytest.raises(DatabaseWriteError):
        grouped.flush()
    assert [] == told


def test_what_a_failed_commit_held_is_in_the_next(ledger, clock):
    """The disk was full for a moment: what arrived is still not lost."""

    class FullOnce(ListLedger):
        full = True

        def record(self, entries, running):
            if self.full:
                self.full = False
                raise DatabaseWriteError("the disk is full")
            super().record(entries, running)

    ledger = FullOnce(ledger._experiment)
    grouped = GroupedCommits(ledger, lambda _: None)
    grouped.add([entry(0)])
    with pytest.raises(DatabaseWriteError):
        grouped.flush()
    grouped.flush()

    assert [entry(0)] == ledger.entries


def test_other_work_comes_before_the_next_of_commits_that_take_long(
    grouped, ledger, clock, monkeypatch
):
    """One for each trial would make the disk what a sweep of short trials waits for."""
    assert 0 == grouped.patience()
    grouped.add([entry(0)])
    monkeypatch.setattr(ledger, "record", lambda *_: clock.sleep(0.002))
    grouped.flush()

    assert pytest.approx(0.02) == grouped.patience()
    clock.sleep(0.019)
    assert grouped.patience() > 0
    clock.sleep(0.002)
    assert 0 == grouped.patience()


def test_the_first_commit_does_not_wait(grouped):
    assert grouped.due()


def test_a_commit_is_due_a_moment_after_the_last(grouped, clock):
    grouped.flush()
    clock.now += MAX_SECONDS * 0.9
    early = grouped.due()
    clock.now += MAX_SECONDS * 0.2

    assert (False, True) == (early, grouped.due())


def test_a_commit_is_due_when_many_entries_wait(grouped):
    grouped.flush()
    grouped.add(entry(0) for _ in range(MAX_ENTRIES - 1))
    early = grouped.due()
    grouped.add([entry(0)])

    assert (False, True) == (early, grouped.due())


def test_a_pickle_is_warned_of_once_per_key_and_type(grouped):
    """A sweep of a million trials returns the same class a million times."""
    with pytest.warns(PickledValueWarning) as caught:
        grouped.add(
            [
                pickled(0, ("model", "exp.Model")),
                pickled(1, ("model", "exp.Model"), ("fit", "exp.Model")),
            ]
        )

    assert ["'model' is a exp.Model", "'fit' is a exp.Model"] == [
        str(warning.message).partition(",")[0] for warning in caught
    ]
    assert "--allow-pickle" in str(caught[0].message)


def test_a_trial_without_results_warns_of_nothing(grouped, ledger):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        grouped.add([entry(0, Status.FAILED), entry(1)])
    grouped.flush()

    assert [0, 1] == ledger.indices


# --- while the thread that adds is busy


def test_what_waits_is_committed_while_the_thread_that_added_it_is_busy(ledger):
    committed = threading.Event()
    grouped = GroupedCommits(ledger, lambda _: committed.set())

    with grouped.in_background():
        grouped.add([entry(0)])

        assert committed.wait(PATIENCE)
    assert [0] == ledger.indices


def test_what_goes_wrong_there_is_raised_by_the_next_who_commits(ledger):
    failed = threading.Event()

    def break_down(entries, running):
        failed.set()
        raise DatabaseWriteError("the disk is full")

    ledger.record = break_down
    grouped = GroupedCommits(ledger, lambda _: None)
    with grouped.in_background():
        grouped.add([entry(0)])
        assert failed.wait(PATIENCE)

    with pytest.raises(DatabaseWriteError, match="the disk is full"):
        grouped.flush()


# --- what a rank could not keep, and what is large


def unkept(index, place=HERE):
    """A trial whose results met a full disk on its rank."""
    failure = Failure("DatabaseWriteError", "the disk is full", "")
    found = entry(index, Status.PENDING)
    return Entry(found.outcome._replace(failure=failure), place)


def test_results_that_a_rank_could_not_keep_end_the_run_after_the_commit(
    grouped, ledger, told
):
    grouped.flush()
    grouped.add([entry(0), unkept(1), entry(2)])
    due = grouped.due()
    with pytest.raises(DatabaseWriteError) as caught:
        grouped.flush()

    assert due
    assert "rank 1 on node1: the disk is full" == str(caught.value)
    assert [entry(0), entry(1, Status.PENDING), entry(2)] == ledger.entries
    assert [ledger.entries] == told


def test_an_end_is_said_once_and_without_a_rank_where_there_is_but_one(grouped):
    grouped.add([unkept(1, Place(0, "laptop")), unkept(2)])
    with pytest.raises(DatabaseWriteError, match=r"^the disk is full$"):
        grouped.flush()

    grouped.flush()


def test_a_commit_is_due_when_much_waits(ledger, told, clock):
    grouped = GroupedCommits(ledger, told.append, most_bytes=1000)
    array = ArrayRecord("a1", '"|u1"', (900,), "C", bytes(900), "x")
    grouped.flush()
    found = entry(0)
    results = encoded("{}", arrays=(array,))
    grouped.add([found._replace(outcome=found.outcome._replace(results=results))])
    early = grouped.due()
    results = encoded('{"text":"' + 100 * "x" + '"}')
    grouped.add([found._replace(outcome=found.outcome._replace(results=results))])
    late = grouped.due()
    grouped.flush()

    assert (False, True, False) == (early, late, grouped.due())
