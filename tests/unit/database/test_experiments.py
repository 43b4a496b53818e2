"""What is stored of an experiment comes back, and any SQLite tool reads it."""

from __future__ import annotations

import sqlite3
import uuid

import numpy as np
import pytest

import experimenter_mpi as em
from experimenter_mpi import (
    DatabaseError,
    Experiment,
    IntegerVariable,
    IterableVariable,
    LinearVariable,
    LogLinearVariable,
    MatchIterableVariable,
    NotFoundError,
    RepeatVariable,
)
from experimenter_mpi.database import documents
from experimenter_mpi.database.handle import session_of
from unit.database.making import heat

EVERY_VARIABLE = {
    "linear": LinearVariable(1, 3, 3),
    "whole": IntegerVariable(5, 5, 2),
    "log": LogLinearVariable(1.0, 100.0, 3),
    "again": RepeatVariable(7, 2),
    "kind": IterableVariable(["ising", None, (1, 2)]),
    "inner": {"depth": LinearVariable(0.0, 1.0, 2), "fixed": float("nan")},
    "seed": MatchIterableVariable(range(108)),
    "$price": 3,
}


def test_configurations_come_back_with_their_variables(any_db):
    experiment = heat(**EVERY_VARIABLE)
    session_of(any_db).experiments.enrol(experiment)
    again = any_db.get_experiment(experiment.id)

    assert repr(experiment.configuration) == repr(again.configuration)
    assert (experiment.id, "heat", "run_heat") == (
        again.id,
        again.name,
        again.function_name,
    )


def test_values_that_are_no_numbers_come_back_in_trials_and_experiment(any_db):
    """The trials' documents are joined of parts, each with a NaN somewhere else."""
    nan, inf = float("nan"), float("inf")
    experiment = heat(
        n=IterableVariable([nan, None, (nan, inf)]),
        inner={"fixed": nan, "k": RepeatVariable([None, nan], 2), "none": None},
        m=MatchIterableVariable([nan, 1, 2, 3, 4, -inf]),
    )
    session_of(any_db).experiments.enrol(experiment)
    trials = any_db.get_trials(experiment.id)
    again = any_db.get_experiment(experiment.id)

    assert [repr(trial) for trial in experiment] == [repr(trial) for trial in trials]
    assert repr(experiment.configuration) == repr(again.configuration)
    assert any_db.restore_from_db(heat(**experiment.configuration)).id == experiment.id


def test_trials_come_back_in_order_with_the_ids_that_the_experiment_computes(any_db):
    experiment = heat(**EVERY_VARIABLE)
    session_of(any_db).experiments.enrol(experiment)
    trials = any_db.get_trials(experiment.id)

    assert [repr(trial) for trial in experiment] == [repr(trial) for trial in trials]


def test_all_that_describes_an_experiment_comes_back(any_db):
    experiment = Experiment(
        "heat",
        configuration={"x": 1},
        function_name="run",
        include_file="lib.py",
        init_store_function_name="build",
    )
    session_of(any_db).experiments.enrol(experiment)
    again = any_db.get_experiment_by_name("heat")

    assert again.include_file == "lib.py"
    assert again.init_store_function_name == "build"


def test_experiments_are_listed_in_the_order_in_which_they_came(any_db):
    for name in ("zebra", "ant", "mole"):
        session_of(any_db).experiments.enrol(heat(name))

    assert [each.name for each in any_db.get_experiments()] == ["zebra", "ant", "mole"]


def test_an_experiment_from_the_database_means_the_functions_of_the_main_script(
    db, stored
):
    again = db.get_experiment(stored.id)

    assert again.namespace["__name__"] == "__main__"


def test_plain_sqlite_reads_configuration_and_results(db, stored, tmp_path):
    db.complete_trial(stored.trial_ids[4], {"distance": 2.5})
    plain = sqlite3.connect(tmp_path / "heat.db")
    query = "SELECT configuration ->> '$.N', results ->> '$.distance' FROM trials"
    rows = plain.execute(query).fetchall()
    plain.close()

    assert rows == [(3, 2.5)]


def test_plain_sqlite_shows_the_configuration_as_it_was_written(db, stored, tmp_path):
    plain = sqlite3.connect(tmp_path / "heat.db")
    (text,) = plain.execute("SELECT configuration FROM experiments").fetchone()
    plain.close()

    assert text == (
        '{"n_steps":10,"N":{"$IntegerVariable":{"min":1,"max":3,"step":1}},'
        '"seed":{"$RepeatVariable":{"value":7,"n":2}}}'
    )


def test_the_file_passes_sqlites_own_checks(db, stored, tmp_path):
    plain = sqlite3.connect(tmp_path / "heat.db")
    checks = [
        plain.execute(f"PRAGMA {name}").fetchall()
        for name in ("integrity_check", "foreign_key_check", "journal_mode")
    ]
    plain.close()

    assert checks == [[("ok",)], [], [("delete",)]]


def test_arrays_of_a_configuration_come_back_small_and_large(any_db):
    small, large = np.arange(3.0), np.arange(300_000, dtype="i8").reshape(3, -1)
    experiment = heat(
        start=IterableVariable([small, small + 1]), field={"deep": [large]}
    )
    session_of(any_db).experiments.enrol(experiment)
    first, second = any_db.get_trials(experiment.id)

    assert first.configuration["start"].tolist() == [0, 1, 2]
    assert second.configuration["start"].tolist() == [1, 2, 3]
    assert np.array_equal(large, second.configuration["field"]["deep"][0])


def test_equal_arrays_of_a_configuration_are_kept_once(db, tmp_path):
    values = IterableVariable([np.arange(3.0), np.arange(3.0), np.arange(4.0)])
    session_of(db).experiments.enrol(heat(start=values))
    plain = sqlite3.connect(tmp_path / "heat.db")
    (count,) = plain.execute("SELECT count(*) FROM arrays").fetchone()
    plain.close()

    assert count == 2


def test_pickled_configuration_warns_and_is_refused_unless_allowed(open_here):
    db = open_here()
    with pytest.warns(em.PickledValueWarning, match="'thing' is a builtins.object"):
        session_of(db).experiments.enrol(heat(thing=object()))

    with pytest.raises(
        em.PickleRefusedError, match="configuration of experiment 'heat'"
    ):
        db.get_experiment_by_name("heat")
    assert open_here(allow_pickle=True).get_experiment_by_name("heat")


def test_a_hundred_thousand_trials_are_there_in_order(db):
    experiment = heat(N=IntegerVariable(1, 1000), seed=IterableVariable(range(100)))
    session_of(db).experiments.enrol(experiment)

    assert session_of(db).trials.counts(experiment.id)["pending"] == 100_000
    assert list(session_of(db).trials.unfinished(experiment.id)) == [range(100_000)]
    last = db.get_trial(experiment.trial_ids[99_999])
    assert last.configuration == {"N": 1000, "seed": 99}


def test_what_is_not_there_is_said_with_what_is(any_db):
    with pytest.raises(NotFoundError, match="it has none yet"):
        any_db.get_experiment_by_name("heat")
    session_of(any_db).experiments.enrol(heat("heat-2024"))
    session_of(any_db).experiments.enrol(heat("ising"))

    with pytest.raises(NotFoundError, match=r"did you mean 'heat-2024'\?"):
        any_db.get_experiment_by_name("heat-2023")
    with pytest.raises(NotFoundError, match="it has 'heat-2024', 'ising'"):
        any_db.get_trials_by_name("zzz")
    with pytest.raises(LookupError, match="no experiment"):
        any_db.get_trials(uuid.uuid4())


def test_a_name_that_is_no_unicode_is_an_error_of_ours(db):
    for ask in (
        lambda: session_of(db).experiments.enrol(heat("caf\udce9")),
        lambda: db.get_trials_by_name("\udce9"),
    ):
        with pytest.raises(DatabaseError, match="not valid Unicode"):
            ask()


@pytest.mark.parametrize("bad", ["", "17", None, 17, "not-an-id", ("a",)])
def test_what_cannot_be_an_id_is_not_found(any_db, bad):
    for query in (any_db.get_trial, any_db.get_experiment, any_db.get_snapshots):
        with pytest.raises(NotFoundError):
            query(bad)


def test_ids_may_be_given_as_text_or_uuid(db, stored):
    trial_id = stored.trial_ids[2]

    assert db.get_trial(trial_id) == db.get_trial(str(trial_id).upper())
    assert db.get_experiment(str(stored.id)).name == "heat"


def test_the_id_of_another_experiment_is_refused(db, stored):
    thief = Experiment("thief", configuration={}, function_name="f", id=stored.id)
    with pytest.raises(DatabaseError, match="belongs to experiment 'heat'"):
        session_of(db).experiments.enrol(thief)

    assert [each.name for each in db.get_experiments()] == ["heat"]


def test_force_overwrite_replaces_an_experiment_with_all_that_was_its(db, stored):
    db.complete_trial(stored.trial_ids[0], {"a": 1})
    db.save_snapshot(stored.trial_ids[1], {"step": 1})
    changed = heat(N=IntegerVariable(1, 2))
    session_of(db).experiments.enrol(changed, force_overwrite=True)

    assert [each.id for each in db.get_experiments()] == [changed.id]
    assert session_of(db).trials.counts(changed.id) == {
        "pending": 2,
        "running": 0,
        "failed": 0,
        "finished": 0,
    }


def test_force_overwrite_takes_the_very_same_experiment_too(db, stored):
    db.complete_trial(stored.trial_ids[0], {"a": 1})
    session_of(db).experiments.enrol(stored, force_overwrite=True)

    assert db.get_ratio_completed_trials_by_name("heat") == 0


def test_deleting_removes_everything_of_one_experiment_only(db, stored, tmp_path):
    other = heat("other")
    session_of(db).experiments.enrol(other)
    for experiment in (stored, other):
        db.save_snapshot(experiment.trial_ids[0], {"spins": np.arange(4)})
        session_of(db).runs.start(experiment.id, {"mode": "SerialMode"})
    db.delete_experiment(stored.id)
    plain = sqlite3.connect(tmp_path / "heat.db")
    tables = ("experiments", "trials", "snapshots", "arrays", "runs", "blocks")
    counts = [
        plain.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables
    ]
    plain.close()

    assert counts == [1, 1, 1, 1, 1, 1]
    with pytest.raises(NotFoundError):
        db.delete_experiment(stored.id)


def test_interrupted_while_storing_leaves_nothing(db, monkeypatch):
    experiment = heat(N=IntegerVariable(1, 20_000))

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(documents, "keep_arrays", interrupted)
    with pytest.raises(KeyboardInterrupt):
        session_of(db).experiments.enrol(experiment)
    monkeypatch.undo()

    assert db.get_experiments() == []
    session_of(db).experiments.enrol(heat())
    assert [each.name for each in db.get_experiments()] == ["heat"]


def test_an_id_by_content_is_the_same_in_every_database(open_here):
    """Each task of a job array makes a database of its own."""
    ids = []
    for name in ("one.db", "two.db"):
        experiment = heat(field=np.arange(3.0), n=IntegerVariable(1, 2), s={3, 1, 2})
        session_of(open_here(name)).experiments.enrol(experiment, id_by_content=True)
        ids.append(experiment.id)

    assert ids[0] == ids[1] and 8 == ids[0].version


@pytest.mark.parametrize(
    "other",
    [
        lambda: heat("other"),
        lambda: heat(n=IntegerVariable(1, 2)),
        lambda: Experiment(
            "heat", configuration=heat().configuration, function_name="other"
        ),
        lambda: Experiment(
            "heat",
            configuration=heat().configuration,
            function_name="run_heat",
            init_store_function_name="build",
        ),
    ],
)
def test_another_experiment_has_another_id_by_content(open_here, other):
    one, two = heat(), other()
    session_of(open_here("one.db")).experiments.enrol(one, id_by_content=True)
    session_of(open_here("two.db")).experiments.enrol(two, id_by_content=True)

    assert one.id != two.id


def test_an_id_that_was_given_or_stored_is_kept(open_here):
    given = Experiment("given", configuration={}, function_name="f", id="12345678" * 4)
    known = heat()
    with open_here() as db:
        session_of(db).experiments.enrol(given, id_by_content=True)
        session_of(db).experiments.enrol(known)
        stored, again = known.id, heat()
        session_of(db).experiments.enrol(again, id_by_content=True)

    assert "12345678" * 4 == given.id.hex
    assert stored == again.id


def test_a_grid_of_any_size_is_stored_at_once(db, tmp_path):
    experiment = heat(i=IntegerVariable(1, 10**6), j=LinearVariable(0, 1, 10**5))
    session_of(db).experiments.enrol(experiment)

    assert 10**11 == session_of(db).trials.counts(experiment.id)["pending"]
    assert (tmp_path / "heat.db").stat().st_size < 200_000
    last = experiment.trial_ids[10**11 - 1]
    assert {"i": 10**6, "j": 1.0} == db.get_trial(last).configuration
    db.complete_trial(last, {})
    (left,) = session_of(db).trials.unfinished(experiment.id)
    assert range(10**11 - 1) == left
