"""What is kept of ranks and jobs that died, and which trials it makes fail."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from experimenter_mpi import mark_trial_as_incomplete, save_snapshot
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.encoding.codec import encode
from experimenter_mpi.trial.outcome import Place, RunningTrial, Status
from unit.database.making import PLACE, failed, finished, heat

RANKS = {"ranks": 4, "mode": "MPIMode"}


@pytest.fixture
def ledger(db, stored):
    return session_of(db).ledger(stored.id)


@pytest.fixture
def crash(db, stored, ledger):
    """Let a run of several ranks die while these trials run."""

    def die(*indices, **facts):
        run_id = session_of(db).runs.start(stored.id, {**RANKS, **facts})
        change_runs(db, "ended = 'died'")
        mark(ledger, *indices)
        return run_id

    return die


def change_runs(db, change):
    with session_of(db).storage.transaction() as connection:
        connection.exec_driver_sql(f"UPDATE runs SET {change}")


def mark(ledger, *indices):
    now = time.time()
    ledger.record((), [RunningTrial(i, now, Place(i + 1, "node17")) for i in indices])


def deaths(db, stored):
    return session_of(db).deaths.suspects(stored.id)


# --- counted while the run goes on


def test_a_death_is_counted_and_the_trial_is_pending_again(db, stored, ledger):
    mark(ledger, 2, 3)
    ledger.count_deaths([2])

    assert {2: 1} == deaths(db, stored)
    assert "pending" == db.get_trial(stored.trial_ids[2]).status
    assert "running" == db.get_trial(stored.trial_ids[3]).status


def test_a_trial_that_has_finished_is_no_suspect_any_more(db, stored, ledger):
    ledger.count_deaths([2, 4])
    ledger.record([finished(2)], ())
    ledger.count_deaths([2])

    assert {4: 1} == deaths(db, stored)


def test_a_trial_that_failed_by_deaths_is_not_tried_again_until_it_is_reset(
    db, stored, ledger
):
    died = failed(2).outcome.failure._replace(type="RankDiedError")
    outcome = failed(2).outcome._replace(failure=died)
    ledger.count_deaths([2])
    ledger.record([failed(1), failed(2)._replace(outcome=outcome)], ())

    assert [2] == session_of(db).deaths.fatal(stored.id)
    assert [range(2), range(3, 6)] == list(session_of(db).trials.unfinished(stored.id))
    mark_trial_as_incomplete(db, stored.trial_ids[2])
    assert [] == session_of(db).deaths.fatal(stored.id)
    assert [range(6)] == list(session_of(db).trials.unfinished(stored.id))
    assert {} == deaths(db, stored)


# --- when the whole job has died


def test_what_ran_when_the_job_died_is_pending_again_and_counted(db, stored, crash):
    crash(0, 1)
    notes = session_of(db).deaths.settle(stored.id)

    assert [] == notes
    assert {0: 1, 1: 1} == deaths(db, stored)
    assert {Status.PENDING: 6} == {
        k: v for k, v in session_of(db).trials.counts(stored.id).items() if v
    }


def test_a_third_death_while_nothing_else_ran_is_the_trials_failure(db, stored, crash):
    for running in ((0, 1), (0, 1), (0,)):
        crash(*running)
        notes = session_of(db).deaths.settle(stored.id)

    text = (
        "the job died 3 times while it ran, the last time while nothing else did, on "
        "rank 1, node17"
    )
    assert [f"trial 0 is marked failed: {text}"] == notes
    trial = db.get_trial(stored.trial_ids[0])
    assert ("failed", "RankDiedError", text) == (
        trial.status,
        trial.error_type,
        trial.error_message,
    )
    assert [0] == session_of(db).deaths.fatal(stored.id)
    assert {1: 2} == {i: n for i, n in deaths(db, stored).items() if i != 0}


def test_of_several_that_ran_none_fails_however_often_the_job_dies(db, stored, crash):
    """Most of them are innocent, and nobody knows which are not."""
    for _ in range(9):
        crash(0, 1)
        assert [] == session_of(db).deaths.settle(stored.id)


def test_a_job_that_was_asked_to_stop_before_it_died_is_no_trials_doing(
    db, stored, crash
):
    """At walltime a scheduler says so, waits, and then kills."""
    for _ in range(9):
        session_of(db).deaths.excuse(crash(0), "SIGTERM")
        assert [] == session_of(db).deaths.settle(stored.id)

    assert {} == deaths(db, stored)
    assert not session_of(db).deaths.last_run_crashed(stored.id)


def test_a_trial_that_gets_on_from_snapshot_to_snapshot_is_not_counted(
    db, stored, crash
):
    """Its job is killed by walltimes that it is longer than."""
    for step in range(9):
        crash(0)
        save_snapshot(db, stored.trial_ids[0], {"step": step})
        assert [] == session_of(db).deaths.settle(stored.id)

    assert {} == deaths(db, stored)


def test_a_trial_that_saves_the_same_state_again_gets_nowhere(db, stored, crash):
    for _ in range(3):
        crash(0)
        save_snapshot(db, stored.trial_ids[0], {"step": 1})
        notes = session_of(db).deaths.settle(stored.id)

    assert {0: 3} != deaths(db, stored)
    assert [] == notes
    assert {0: 2} == deaths(db, stored)


@pytest.mark.parametrize("keep", [None, 1])
def test_a_trial_that_saves_the_same_states_again_gets_nowhere_with_few_of_them(
    keep, db, stored, crash
):
    """Also where one snapshot is kept the attempt before is not forgotten."""
    trial_id = str(stored.trial_ids[0])
    for _ in range(3):
        keeping = session_of(db).ledger(stored.id, crash(0), keep_snapshots=keep)
        for step in (1, 2):
            keeping.save_snapshot(trial_id, encode({"step": step}), None)
        session_of(db).deaths.settle(stored.id)

    assert {0: 2} == deaths(db, stored)


def test_a_run_that_ended_blames_nobody(db, stored, crash):
    session_of(db).runs.finish(crash(0), "error", {})

    assert [] == session_of(db).deaths.settle(stored.id)
    assert {} == deaths(db, stored)


def test_a_run_that_could_not_say_how_it_ended_blames_nobody(db, stored, ledger):
    """The disk was full, for this as well; but it gave its lock back."""
    session_of(db).runs.start(stored.id, RANKS)
    mark(ledger, 0)

    assert [] == session_of(db).deaths.settle(stored.id)
    assert {} == deaths(db, stored)


def test_a_run_that_left_its_lock_behind_has_died(db, stored, ledger):
    lock = Path(f"{db.path}.lock")
    with session_of(db).storage.writing():
        session_of(db).runs.start(stored.id, RANKS)
        mark(ledger, 0)
        held = json.loads(lock.read_text())
    lock.write_text(json.dumps({**held, "pid_start": 1}))  # of a process before us
    session_of(db).deaths.settle(stored.id)

    assert {0: 1} == deaths(db, stored)
    assert "died" == session_of(db).reports.overview_of("heat")["last_run"]["ended"]


def test_a_run_of_one_process_blames_nobody(db, stored, crash):
    """Whoever starts it sees it die."""
    crash(0, ranks=1)

    assert [] == session_of(db).deaths.settle(stored.id)
    assert {} == deaths(db, stored)


def test_whether_the_last_run_crashed_is_known(db, stored, crash):
    assert not session_of(db).deaths.last_run_crashed(stored.id)
    crash()
    assert session_of(db).deaths.last_run_crashed(stored.id)
    session_of(db).runs.finish(crash(), "finished", {})
    assert not session_of(db).deaths.last_run_crashed(stored.id)


def test_deaths_of_one_experiment_are_not_anothers(db, stored, crash):
    other = heat("other")
    session_of(db).experiments.enrol(other)
    crash(0)
    session_of(db).ledger(other.id).record((), [RunningTrial(0, time.time(), PLACE)])
    session_of(db).deaths.settle(other.id)

    assert {} == session_of(db).deaths.suspects(other.id)
    assert "running" == db.get_trial(stored.trial_ids[0]).status
