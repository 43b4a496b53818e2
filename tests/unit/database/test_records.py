"""Trials without a row are as those with one, whatever is asked or done."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experimenter_mpi import (
    Experiment,
    IntegerVariable,
    NotFoundError,
    SerialMode,
    execute,
    open_db,
)
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.encoding.codec import encode
from experimenter_mpi.experiment.share import Share
from experimenter_mpi.trial.outcome import RunningTrial
from unit.database.making import PLACE, failed, finished, heat

SIZE = 12
NUMBERS = st.sets(st.integers(0, SIZE - 1))


def stored_numbers(db):
    query = "SELECT trial_index FROM trials ORDER BY 1"
    with closing(sqlite3.connect(db.path)) as plain:
        return [number for (number,) in plain.execute(query)]


def test_nothing_is_stored_of_a_trial_until_it_matters(db, stored):
    ledger = session_of(db).ledger(stored.id)
    assert [] == stored_numbers(db)
    ledger.record([finished(1)], [RunningTrial(2, 1.0, PLACE)])
    assert [1, 2] == stored_numbers(db)
    ledger.save_snapshot(str(stored.trial_ids[4]), encode({"step": 1}), None)
    db.complete_trial(stored.trial_ids[0], {})

    assert [0, 1, 2, 4] == stored_numbers(db)
    assert ["finished", "finished", "running", *["pending"] * 3] == [
        trial.status for trial in db.get_trials(stored.id)
    ]


def test_a_snapshot_before_any_row_is_resumed_from(db, stored):
    trial_id = stored.trial_ids[3]
    before = db.get_trial(trial_id)
    db.save_snapshot(trial_id, {"step": 1})

    assert before == db.get_trial(trial_id)
    assert {"step": 1} == db.latest_snapshot(trial_id).state
    assert 3 in next(iter(session_of(db).trials.unfinished(stored.id)))
    session_of(db).ledger(stored.id).record([finished(3)], ())
    assert db.get_trial(trial_id).has_finished
    assert 1 == len(db.get_snapshots(trial_id))


def test_a_death_is_counted_of_a_trial_that_was_never_marked(db, stored):
    session_of(db).ledger(stored.id).count_deaths([5])

    assert {5: 1} == session_of(db).deaths.suspects(stored.id)
    assert "pending" == db.get_trial(stored.trial_ids[5]).status
    assert 0 == db.get_trial(stored.trial_ids[5]).attempts


def test_a_trial_beyond_the_last_is_not_there(db, stored):
    for number in (6, 1 << 39, (1 << 48) - 1):
        with pytest.raises(NotFoundError, match="has no trial"):
            db.get_trial(stored.trial_ids[number])
        with pytest.raises(NotFoundError):
            db.save_snapshot(stored.trial_ids[number], {})


def test_a_reset_trial_has_no_row(db, stored):
    session_of(db).ledger(stored.id).record([finished(0), failed(1), finished(2)], ())
    db.save_snapshot(stored.trial_ids[2], {"step": 1})
    session_of(db).upkeep.reset(stored.id, [1, 2, 3], keep_snapshots=True)

    assert [0, 2] == stored_numbers(db)
    session_of(db).upkeep.reset(stored.id, range(6))
    assert [] == stored_numbers(db)
    assert 0 == len(db.get_snapshots(stored.trial_ids[2]))


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(NUMBERS, NUMBERS, NUMBERS, st.booleans(), st.integers(1, 3))
def test_what_is_left_is_what_was_not_done(done, raised, died, retry, total):
    with open_db("", in_memory=True) as db:
        experiment = heat(i=IntegerVariable(1, SIZE))
        session_of(db).experiments.enrol(experiment)
        ledger = session_of(db).ledger(experiment.id)
        fatal = failed(0).outcome.failure._replace(type="RankDiedError")
        ledger.count_deaths(sorted(died))
        entries = [failed(number) for number in raised]
        for number in died:
            outcome = failed(number).outcome._replace(failure=fatal)
            entries.append(failed(number)._replace(outcome=outcome))
        ledger.record([*entries, *map(finished, done)], ())
        expected = set(range(SIZE)) - done - died - (set() if retry else raised)
        for share in (None, *(Share(k, total) for k in range(1, total + 1))):
            found = session_of(db).trials.unfinished(
                experiment.id, retry_failed=retry, share=share
            )
            mine = {i for i in expected if share is None or i % total == share[0] - 1}
            assert sorted(mine) == [number for piece in found for number in piece]
            assert len(mine) == found.size


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["finish", "fail", "complete", "reset", "run", "back"]), NUMBERS
    ),
    max_size=8,
)


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(OPERATIONS)
def test_counts_are_those_of_the_trials_whatever_is_done(operations):
    with open_db("", in_memory=True) as db:
        experiment = heat(i=IntegerVariable(1, SIZE))
        session_of(db).experiments.enrol(experiment)
        ledger = session_of(db).ledger(experiment.id)
        for what, chosen in operations:
            numbers = sorted(chosen)
            if what == "finish":  # one of them twice
                ledger.record([finished(i) for i in numbers + numbers[:1]], ())
            elif what == "fail":
                ledger.record([failed(number) for number in numbers], ())
            elif what == "back":
                changes = {"status": "pending", "results": None}
                ledger.record([finished(i, {}, **changes) for i in numbers], ())
            elif what == "run":
                ledger.record((), [RunningTrial(i, 1.0, PLACE) for i in numbers])
            elif what == "reset":
                session_of(db).upkeep.reset(experiment.id, numbers)
            else:
                for number in numbers:
                    db.complete_trial(experiment.trial_ids[number], {})
            statuses = [trial.status for trial in db.get_trials(experiment.id)]
            counts = session_of(db).trials.counts(experiment.id)
            assert {each: statuses.count(each) for each in counts} == counts
            both = [
                session_of(db).trials.counts(experiment.id, Share(k, 2)) for k in (1, 2)
            ]
            assert counts == {each: both[0][each] + both[1][each] for each in counts}


def test_rows_that_somebody_deleted_run_again(db, tmp_path):
    def trial(configuration, _):
        return {"n": configuration["n"]}

    experiment = Experiment(
        "walk", function=trial, configuration={"n": IntegerVariable(1, 5)}
    )
    execute(experiment, db, SerialMode())
    with closing(sqlite3.connect(tmp_path / "heat.db")) as plain:
        plain.execute("DELETE FROM trial_records WHERE key & 1 = 1")
        plain.commit()
    summary = execute(experiment, db, SerialMode())

    assert (3, 2, 0) == (summary.skipped, summary.finished, summary.exit_code)


def test_what_is_completed_meanwhile_is_not_run(db):
    """By a trial for another, of which there are more than are read at once."""
    ran = []

    def trial(configuration, trial_id):
        ran.append(configuration["n"])
        if configuration["n"] == 0:
            for number in range(1, 1500):
                db.complete_trial(experiment.trial_ids[number * 2], {"by": "the first"})
        return {"n": configuration["n"]}

    experiment = Experiment(
        "walk", function=trial, configuration={"n": IntegerVariable(0, 3000)}
    )
    summary = execute(experiment, db, SerialMode())

    assert 0 == summary.exit_code and 0 == summary.remaining
    assert 3001 == summary.finished
    assert len(ran) == len(set(ran))


def partly(open_here, name, entries, *, before=0, snapshots=()):
    """A database with some trials of the same experiment, after others."""
    database = open_here(name)
    for number in range(before):
        session_of(database).experiments.enrol(heat(f"other {name} {number}"))
    experiment = heat(i=IntegerVariable(1, SIZE))
    session_of(database).experiments.enrol(experiment, id_by_content=True)
    session_of(database).ledger(experiment.id).record(entries, ())
    for number in snapshots:
        database.save_snapshot(experiment.trial_ids[number], {"in": name})
    return database, experiment


def test_partly_filled_databases_are_merged(open_here):
    """Their experiments have other keys, and each has trials that the other lacks."""
    one, experiment = partly(
        open_here, "one.db", [finished(0), failed(1), failed(2)], snapshots=[3, 4]
    )
    two, _ = partly(
        open_here,
        "two.db",
        [finished(1), finished(0, {"second": 1}), failed(2), failed(5), finished(11)],
        before=2,
        snapshots=[4, 9],
    )
    one.merge_databases(two)
    states = [trial.status for trial in one.get_trials_by_name("heat")]
    rows = list(session_of(one).reports.trials("heat"))
    one.merge_databases(two)

    assert rows == list(session_of(one).reports.trials("heat"))
    assert ["finished", "finished", "failed"] == states[:3]
    assert ["failed", "finished"] == [states[5], states[11]]
    assert {"distance": 0.0} == one.get_trial(experiment.trial_ids[0]).results
    assert 3 == session_of(one).trials.counts(experiment.id)["finished"]
    assert [1, 2, 1] == [
        len(one.get_snapshots(experiment.trial_ids[number])) for number in (3, 4, 9)
    ]
    assert "too hot" == one.get_trial(experiment.trial_ids[5]).error_message
    assert None is one.get_trial(experiment.trial_ids[1]).error_message


def test_a_copy_goes_on_where_the_database_is(open_here, tmp_path):
    database, experiment = partly(
        open_here, "one.db", [finished(0), failed(1)], before=1, snapshots=[7]
    )
    with database.export_db(tmp_path / "copy.db", "heat") as copy:
        ask = (
            lambda db: list(session_of(db).reports.trials("heat")),
            lambda db: list(session_of(db).trials.unfinished(experiment.id)),
            lambda db: session_of(db).trials.counts(experiment.id),
            lambda db: db.latest_snapshot(experiment.trial_ids[7]),
        )
        assert [each(database) for each in ask] == [each(copy) for each in ask]
        assert [0, 1, 7] == stored_numbers(copy)
