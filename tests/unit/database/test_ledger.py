"""What a run records, told to the ledger and read back by users."""

from __future__ import annotations

import numpy as np
import pytest

from experimenter_mpi import NotFoundError
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.encoding.codec import INLINE_BYTES, decode, encode
from experimenter_mpi.trial.outcome import RunningTrial, Status
from unit.database.making import PLACE, failed, finished, finished_with, heat


@pytest.fixture
def ledger(db, stored):
    return session_of(db).ledger(stored.id)


def running(index):
    return RunningTrial(index, 1_700_000_000.0, PLACE)


def test_a_finished_trial_says_where_when_and_how_long(db, stored, ledger):
    ledger.record([finished(2, {"distance": 1.0})], ())
    trial = db.get_trial(stored.trial_ids[2])

    assert trial.results == {"distance": 1.0}
    assert (trial.rank, trial.hostname, trial.duration) == (3, "node17", 1.25)
    assert trial.started_at == "2023-11-14T22:13:20.250000+00:00"
    assert trial.finished_at == "2023-11-14T22:13:21.500000+00:00"
    assert trial.attempts == 1


def test_a_failed_trial_keeps_its_traceback(db, stored, ledger):
    ledger.record([failed(2)], ())
    trial = db.get_trial(stored.trial_ids[2])

    assert (trial.status, trial.error_type) == ("failed", "ValueError")
    assert (trial.error_message, bool(trial.results)) == ("too hot", False)
    assert trial.error.startswith("Traceback")


def test_finishing_after_a_failure_forgets_it(db, stored, ledger):
    ledger.record([failed(2)], ())
    ledger.record([finished(2)], ())
    trial = db.get_trial(stored.trial_ids[2])

    assert (trial.status, trial.error, trial.attempts) == ("finished", None, 2)


def test_the_first_results_stay(db, stored, ledger):
    """A worker that was given up for dead may report what another one has done."""
    ledger.record([finished(0, {"a": 1}), finished(0, {"a": 2})], ())
    ledger.record([failed(0)], [running(0)])
    trial = db.get_trial(stored.trial_ids[0])

    assert (trial.results, trial.status, trial.attempts) == ({"a": 1}, "finished", 1)


def test_where_a_trial_runs_may_be_told_after_that_it_runs(db, stored, ledger):
    """Of an executor nobody knows before which rank it will choose."""
    nowhere = running(0)._replace(place=None)
    ledger.record((), [nowhere])
    before = db.get_trial(stored.trial_ids[0])
    ledger.record((), [running(0)])
    after = db.get_trial(stored.trial_ids[0])

    assert ("running", None, None) == (before.status, before.rank, before.hostname)
    assert ("running", *PLACE, 1) == (
        after.status,
        after.rank,
        after.hostname,
        after.attempts,
    )


def test_an_attempt_counts_once_whether_or_not_its_start_was_seen(db, stored, ledger):
    ledger.record((), [running(0)])
    ledger.record((), [running(0)])
    assert db.get_trial(stored.trial_ids[0]).attempts == 1
    assert session_of(db).trials.counts(stored.id)["running"] == 1

    ledger.record([finished(0), finished(1)], ())
    attempts = [db.get_trial(stored.trial_ids[index]).attempts for index in (0, 1)]
    assert attempts == [1, 1]


def test_a_trial_that_steps_back_is_pending_again(db, stored, ledger):
    ledger.record((), [running(0)])
    ledger.record([finished(0, status=Status.PENDING, results=None)], ())
    trial = db.get_trial(stored.trial_ids[0])

    assert (trial.status, trial.attempts, trial.finished_at) == ("pending", 1, None)


def test_what_a_dead_run_left_running_is_released(db, stored, ledger):
    ledger.record([finished(1)], [running(0)])
    session_of(db).deaths.release(stored.id)

    assert db.get_trial(stored.trial_ids[0]).status == "pending"
    assert db.get_trial(stored.trial_ids[0]).attempts == 1
    assert session_of(db).trials.counts(stored.id)["finished"] == 1


def test_arrays_of_results_travel_with_them(db, stored, ledger):
    spins = np.eye(3, dtype="i1")
    encoded = encode({"spins": spins}, hash_up_to=INLINE_BYTES)
    ledger.record([finished_with(0, encoded)], ())

    assert np.array_equal(db.get_trial(stored.trial_ids[0]).results["spins"], spins)
    again = ledger.results_of(str(stored.trial_ids[0]))
    assert again.document == encoded.document
    assert bytes(again.arrays[0].data) == spins.tobytes()


def test_large_arrays_that_came_by_message_are_put_into_files(db, stored, ledger):
    """A worker on a host that does not share the folder sends them whole."""
    field = np.random.default_rng(1).normal(size=200_000)
    encoded = encode({"field": field}, hash_up_to=INLINE_BYTES)
    ledger.record([finished_with(0, encoded)], ())
    ledger.save_snapshot(str(stored.trial_ids[1]), encoded, None)
    ledger.complete(str(stored.trial_ids[2]), encoded)

    for index in (0, 2):
        trial_id = stored.trial_ids[index]
        assert np.array_equal(db.get_trial(trial_id).results["field"], field)
        assert ledger.results_of(str(trial_id)).arrays[0].file is not None
    state = db.latest_snapshot(stored.trial_ids[1]).state
    assert np.array_equal(state["field"], field)


def test_snapshots_of_the_ledger_are_those_of_the_database(db, stored, ledger):
    trial_id = str(stored.trial_ids[4])
    assert ledger.latest_snapshot(trial_id) is None
    ledger.save_snapshot(trial_id, encode({"step": 1}), "one")
    ledger.save_snapshot(trial_id, encode({"step": 2}), None)
    latest = ledger.latest_snapshot(trial_id)

    assert (latest.trial_id, latest.label) == (trial_id, None)
    assert decode(latest.state.document) == {"step": 2}
    assert str(db.latest_snapshot(trial_id).id) == latest.id


def test_any_trial_of_the_database_may_be_asked_for(db, stored, ledger):
    other = heat("other")
    session_of(db).experiments.enrol(other)
    assert ledger.results_of(str(other.trial_ids[0])) is None
    ledger.complete(str(other.trial_ids[0]), encode({"end": [1, 2]}))

    assert ledger.results_of(str(other.trial_ids[0])).document == '{"end":[1,2]}'
    assert db.get_trial(other.trial_ids[0]).results == {"end": [1, 2]}


@pytest.mark.parametrize("bad", ["nonsense", "00000000-0000-0000-0000-000000000000"])
def test_a_trial_that_is_not_there_is_refused(ledger, bad):
    for request in (
        lambda: ledger.save_snapshot(bad, encode({}), None),
        lambda: ledger.latest_snapshot(bad),
        lambda: ledger.results_of(bad),
        lambda: ledger.complete(bad, encode({})),
    ):
        with pytest.raises(NotFoundError):
            request()


def test_a_message_that_is_no_unicode_is_kept_readably(db, stored, ledger):
    entry = failed(0)
    failure = entry.outcome.failure._replace(message="no such file: caf\udce9")
    ledger.record([entry._replace(outcome=entry.outcome._replace(failure=failure))], ())

    assert db.get_trial(stored.trial_ids[0]).error_message.endswith("caf\\udce9")


def test_a_run_is_recorded_with_how_it_ended(db, stored):
    facts = {"mode": "MPIMode", "ranks": 4, "git_dirty": True, "no_such_fact": 1}
    run_id = session_of(db).runs.start(stored.id, facts)
    begun = session_of(db).reports.overview_of("heat")["last_run"]
    session_of(db).runs.finish(run_id, "stopped", {"finished": 3, "pending": 3})
    ended = session_of(db).reports.overview_of("heat")["last_run"]

    assert (begun["ended"], begun["mode"], begun["git_dirty"]) == (
        None,
        "MPIMode",
        True,
    )
    assert (ended["ended"], ended["finished"], ended["failed"]) == ("stopped", 3, 0)
    assert begun["started_at"] == ended["started_at"] <= ended["finished_at"]


def test_a_trial_that_completes_itself_has_been_attempted_once(db, stored, ledger):
    """However soon it did so; and what it completed itself with is what stays."""
    ledger.complete(str(stored.trial_ids[2]), encode({"by": "itself"}))
    for _ in range(2):
        ledger.record([finished(2, {"by": "its return"})], ())
    trial = db.get_trial(stored.trial_ids[2])

    assert (trial.results, trial.attempts) == ({"by": "itself"}, 1)
    assert (trial.rank, trial.duration) == (3, 1.25)
