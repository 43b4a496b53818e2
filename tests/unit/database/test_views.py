"""What SQL users see: the view of all trials, and one for each experiment."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experimenter_mpi import Experiment, IntegerVariable
from experimenter_mpi.database.file import views
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.trial.outcome import RunningTrial, iso
from unit.database.making import PLACE, failed, finished, heat


@pytest.fixture
def ask(db, tmp_path):
    def run(query):
        with closing(sqlite3.connect(tmp_path / "heat.db")) as plain:
            found = plain.execute(query)
            names = [each[0] for each in found.description]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    return run


def test_a_trial_reads_in_sql_as_it_does_in_python(db, stored, ask):
    ledger = session_of(db).ledger(stored.id, 7)
    ledger.count_deaths([4])
    running = RunningTrial(3, 1_700_000_002.000001, PLACE)
    ledger.record([finished(0), failed(1), finished(5, {"é": None})], [running])
    names = (
        *("id", "experiment_id", "trial_index", "configuration", "status", "results"),
        *("attempts", "error_type", "error_message", "error", "started_at"),
        *("finished_at", "duration", "rank", "hostname", "deaths", "run_id"),
    )
    seen = ask("SELECT * FROM trials ORDER BY trial_index")

    assert [0, 1, 3, 4, 5] == [row["trial_index"] for row in seen]
    for row in seen:
        known = session_of(db).reports.trial(row["id"])
        assert list(names) == list(row)
        assert {name: known[name] for name in names} == row


@given(st.floats(0, 4e9) | st.integers(0, 4 * 10**15).map(lambda us: us / 1e6))
def test_times_are_the_same_text_in_sql(seconds):
    with closing(sqlite3.connect(":memory:")) as plain:
        query = f"SELECT {views._iso('t')} FROM (SELECT ? AS t)"
        assert (iso(seconds),) == plain.execute(query, (seconds,)).fetchone()


def test_a_join_by_id_is_quick_for_whoever_has_many(db, tmp_path):
    session_of(db).experiments.enrol(experiment := heat(i=IntegerVariable(1, 3000)))
    session_of(db).ledger(experiment.id).record([finished(i) for i in range(3000)], ())
    with closing(sqlite3.connect(tmp_path / "heat.db")) as plain:
        plan = plain.execute(
            "EXPLAIN QUERY PLAN SELECT count(*) FROM trials JOIN snapshots "
            f"ON trial_id = trials.id WHERE experiment_id = '{experiment.id}'"
        ).fetchall()

    assert not [each[3] for each in plan if each[3].startswith("SCAN trial_records")]


def renewed(db, configuration, *results, name="heat"):
    experiment = Experiment(name, configuration=configuration, function_name="f")
    session_of(db).experiments.enrol(experiment)
    entries = [finished(index, each) for index, each in enumerate(results)]
    session_of(db).ledger(experiment.id).record(entries, ())
    session_of(db).views.renew(experiment.id)
    return experiment


def test_an_experiment_has_a_view_of_its_parameters_and_results(db, ask):
    renewed(
        db,
        {"N": IntegerVariable(1, 2), "deep": {"x": 0.5}, "N2": [1]},
        {"energy": -1.5, "N": 7, "fit": {"a": 1, "z": 1j}, "nan": float("nan")},
        {"late": True},
    )

    assert [
        {
            "trial_index": 0,
            "status": "finished",
            "N": 1,
            "deep.x": 0.5,
            "N2": "[1]",
            "energy": -1.5,
            "results.N": 7,
            "fit.a": 1,
            "fit.z": '{"$complex":[0.0,1.0]}',
            "nan": None,
            "late": None,
        },
        {
            "trial_index": 1,
            "status": "finished",
            "N": 2,
            "deep.x": 0.5,
            "N2": "[1]",
            "energy": None,
            "results.N": None,
            "fit.a": None,
            "fit.z": None,
            "nan": None,
            "late": 1,
        },
    ] == ask("SELECT * FROM heat ORDER BY trial_index")


@pytest.mark.parametrize(
    "name",
    [
        *("select", 'a "quoted" name', "it's", "x; DROP TABLE runs", "--", "naïve 😀"),
        *("two\nlines", "%s", "a" * 3000, "?", ":name", "$1"),
    ],
)
def test_any_name_is_quoted(db, ask, name):
    renewed(db, {"N": 1}, {"x": 2}, name=name)

    assert [(1, 2)] == [
        (row["N"], row["x"]) for row in ask(f"SELECT * FROM {quote(name)}")
    ]
    assert ["ok"] == list(ask("PRAGMA integrity_check")[0].values())


def quote(name):
    return '"' + name.replace('"', '""') + '"'


@pytest.mark.parametrize(
    "name", ["trials", "Trials", "trial_records", "runs", "sqlite_x", "mine"]
)
def test_a_name_that_is_taken_gets_a_prefix(db, ask, tmp_path, name):
    with closing(sqlite3.connect(tmp_path / "heat.db")) as plain:
        plain.execute("CREATE VIEW mine AS SELECT 'mine' AS text")
    renewed(db, {"N": 1}, {"x": 2}, name=name)

    assert 2 == ask(f'SELECT x FROM "experiment:{name}"')[0]["x"]
    assert "mine" == ask("SELECT text FROM mine")[0]["text"]


def test_names_that_differ_by_case_only_are_told_apart(db, ask):
    renewed(db, {"N": 1}, {"x": 1}, name="heat")
    renewed(db, {"N": 1, "n": 2}, {"x": 2, "X": 3}, name="Heat")

    assert [{"x": 1}] == ask('SELECT x FROM "heat"')
    (row,) = ask('SELECT * FROM "experiment:Heat"')
    assert {"N": 1, "configuration.n": 2, "x": 2, "results.X": 3}.items() <= row.items()


def test_keys_of_every_kind_stop_nothing(db, ask):
    keys = ['"', "\\", "'", "", ".", "$", "$x", "\x00", "\n", "trial_index", "STATUS"]
    renewed(db, dict.fromkeys(keys, 1), dict.fromkeys(keys, 2))
    (row,) = ask("SELECT * FROM heat")

    assert 0 == row["trial_index"] and "finished" == row["status"]
    assert 1 == row["configuration.trial_index"] == row["configuration.STATUS"]
    assert 1 == row["'"] == row["$x"] and 2 == row["results.'"] == row["results.$x"]


def test_thousands_of_keys_are_cut_where_sqlite_ends(db, ask):
    renewed(db, {"N": 1}, {f"key{i:05}{'x' * 20}": i for i in range(2500)})
    (row,) = ask("SELECT * FROM heat")

    assert 300 < len(row) < 2000


def test_it_is_made_anew_when_there_is_more(db, ask, tmp_path):
    experiment = renewed(db, {"N": IntegerVariable(1, 2)}, {"x": 1})
    before = (tmp_path / "heat.db").read_bytes()
    session_of(db).views.renew(experiment.id)
    assert before == (tmp_path / "heat.db").read_bytes()
    session_of(db).ledger(experiment.id).record([finished(1, {"y": 2})], ())
    session_of(db).views.renew(experiment.id)

    assert [(1, None), (None, 2)] == [
        (row["x"], row["y"])
        for row in ask("SELECT x, y FROM heat ORDER BY trial_index")
    ]


def test_it_goes_with_the_experiment_and_comes_with_copies(
    db, ask, open_here, tmp_path
):
    experiment = renewed(db, {"N": 1}, {"x": 1})
    db.export_db(tmp_path / "copy.db").close()
    open_here("merged.db").merge_databases(db)
    for path in ("copy.db", "merged.db"):
        with closing(sqlite3.connect(tmp_path / path)) as plain:
            assert [(1,)] == plain.execute("SELECT x FROM heat").fetchall()
    db.delete_experiment(experiment.id)

    kinds = ask("SELECT name FROM sqlite_master WHERE type = 'view'")
    assert [{"name": "trials"}] == kinds


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1 AS x",
        "SELECT load_extension('x.so') AS trial_index",
        views.text_of("heat", 1, []).partition(" AS ")[2] + " AND abs(1)",
        views.text_of("heat", 1, []).partition(" AS ")[2].replace(" 10", " 9", 1),
    ],
)
def test_a_view_that_is_not_ours_is_left_alone_and_never_read(
    db, ask, tmp_path, open_here, text
):
    experiment = renewed(db, {"N": 1}, {"x": 1})
    db.close()
    with closing(sqlite3.connect(tmp_path / "heat.db")) as plain:
        plain.execute("DROP VIEW heat")
        plain.execute(f"CREATE VIEW heat AS {text}")
        plain.commit()
    with open_here() as again:
        assert again.get_trials_by_name("heat")[0].has_finished
        session_of(again).views.renew(experiment.id)

    (seen,) = ask("SELECT sql FROM sqlite_master WHERE name = 'heat'")
    assert f"CREATE VIEW heat AS {text}" == seen["sql"]
    assert [{"x": 1}] == ask('SELECT x FROM "experiment:heat"')
