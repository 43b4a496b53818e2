"""``to_dataframe``: every value in the type it had, and every trial in a row."""

from __future__ import annotations

import math
import subprocess
import sys
from datetime import date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest

import experimenter_mpi
from experimenter_mpi import (
    ConfigurationError,
    CorruptDocumentError,
    Experiment,
    IntegerVariable,
    IterableVariable,
    NotFoundError,
    PickleRefusedError,
    SerialMode,
    StoredArray,
    execute,
    open_db,
    to_dataframe,
)
from experimenter_mpi.database.handle import session_of

NOON = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)
NAIVE = NOON.replace(tzinfo=None)


class Pickled:
    """No rule stores it."""


@pytest.fixture
def db():
    with open_db("x", in_memory=True) as database:
        yield database


def frame(db, results, **configuration):
    """Run one trial for each of ``results``; an exception among them is raised."""

    def trial(given, trial_id):
        found = results[given["i"]]
        if isinstance(found, Exception):
            raise found
        return found

    many = {"i": IntegerVariable(0, len(results) - 1), **configuration}
    execute(Experiment("e", function=trial, configuration=many), db, SerialMode())
    return to_dataframe(db, "e")


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, 2, -3], "int64"),
        ([True, False], "bool"),
        ([0.5, math.nan, math.inf], "float64"),
        ([1, 2.5], "float64"),
        ([1 + 2j, 3j], "complex128"),
        ([NOON, NOON + timedelta(1)], "datetime64[us, UTC]"),
        ([NAIVE, NAIVE + timedelta(1)], "datetime64[us]"),
        ([timedelta(1), timedelta(0, 1)], "timedelta64[us]"),
        ([2**70, 1], "object"),
        ([2**60, 0.5], "object"),
        ([1, "a"], "object"),
        ([True, 2], "object"),
        ([[1], [1, 2]], "object"),
        ([date(2026, 1, 2), date(2026, 1, 3)], "object"),
        ([NAIVE, NOON], "object"),
        ([b"a", b"b"], "object"),
    ],
    ids=str,
)
def test_types_and_values_are_kept(db, values, dtype):
    made = frame(db, [{"x": value} for value in values])
    unit = dtype.replace("[us", "[ns")  # of pandas before 3

    assert str(made["x"].dtype) in (dtype, unit)
    for value, stored in zip(values, made["x"], strict=True):
        assert value == stored or (value != value and stored != stored)  # noqa: PLR0124


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(7, "Int64"), (True, "boolean"), (0.5, "float64"), (2j, "complex128")],
)
def test_a_trial_without_results_leaves_a_gap(db, value, dtype):
    made = frame(db, [{"x": value}, ValueError("no"), {"y": 1}])

    assert dtype == str(made["x"].dtype)
    assert [False, True, True] == list(made["x"].isna())
    assert value == made["x"][0]
    assert ["finished", "failed", "finished"] == list(made["status"])


def test_texts_keep_their_gaps(db):
    made = frame(db, [{"x": "a"}, {"x": None}, {}])

    assert "a" == made["x"][0] and [False, True, True] == list(made["x"].isna())


def test_a_text_that_is_no_unicode_is_kept(db):
    assert ["\ud800", "b"] == list(frame(db, [{"x": "\ud800"}, {"x": "b"}])["x"])


def test_none_and_nan_are_told_apart(db):
    made = frame(db, [{"x": 1.5}, {"x": None}, {"x": math.nan}])

    assert "Float64" == str(made["x"].dtype)
    assert made["x"][1] is pd.NA
    assert np.isnan(made["x"].array._data[2]) and not made["x"].array._mask[2]


def test_nested_entries_have_columns_of_their_own(db):
    results = {"fit": {"a": 1, "b": {"c": 2.0}}, "by": {1: 2}, "empty": {}}
    made = frame(db, [results], solver={"dt": 0.1})

    assert ["i", "solver.dt", "fit.a", "fit.b.c", "by", "empty"] == list(made)[:6]
    assert ({1: 2}, {}) == (made["by"][0], made["empty"][0])


def test_names_that_meet_are_told_apart(db):
    made = frame(
        db,
        [{"i": 10, "duration": 3, "a": {"b": 1}, "a.b": 2}],
        rank=5,
    )

    assert [0, 5, 10, 3, 1, 2] == [
        made[name][0]
        for name in (
            *("i", "configuration.rank", "results.i", "results.duration"),
            *("a.b", '"a.b"'),
        )
    ]
    assert 0 == made["rank"][0] and made["duration"][0] >= 0


def test_each_trial_says_how_it_ended(db):
    made = frame(db, [{"x": 1}, ValueError("too hot")])

    assert "trial" == made.index.name and [0, 1] == list(made.index)
    assert [1, 1] == list(made["attempts"]) and [1, 1] == list(made["run"])
    assert pd.isna(made["error"][0]) and "ValueError: too hot" == made["error"][1]
    assert made["started_at"].dt.tz is not None
    assert (made["finished_at"] >= made["started_at"]).all()


def test_trials_that_have_not_run_are_rows_too(db):
    experiment = Experiment(
        "e", function_name="f", configuration={"n": IntegerVariable(1, 3), "c": "x"}
    )
    session_of(db).experiments.enrol(
        experiment, force_overwrite=False, id_by_content=False
    )
    made = to_dataframe(db, "e")

    assert [1, 2, 3] == list(made["n"]) and {"pending"} == set(made["status"])
    assert made["duration"].isna().all() and made["run"].isna().all()


def arrays_of(db, how):
    frame(db, [{"a": np.arange(6.0).reshape(2, 3), "n": 1}, {"n": 2}])
    return to_dataframe(db, "e", arrays=how)


def test_arrays_stay_where_they_are(db):
    cell = arrays_of(db, "reference")["a"][0]

    assert isinstance(cell, StoredArray)
    assert ((2, 3), np.float64, 2, 6, 48) == (
        *(cell.shape, cell.dtype, cell.ndim, cell.size, cell.nbytes),
    )
    assert "<stored array (2, 3) float64>" == repr(cell)
    assert np.array_equal(np.arange(6.0).reshape(2, 3), np.asarray(cell))
    assert np.float32 == np.asarray(cell, dtype=np.float32).dtype


def test_arrays_are_read_if_asked(db):
    made = arrays_of(db, "load")

    assert np.array_equal(np.arange(6.0).reshape(2, 3), made["a"][0])
    assert made["a"][1] is None


def test_arrays_are_dropped_if_asked(db):
    made = arrays_of(db, "drop")

    assert "a" not in made and [1, 2] == list(made["n"])


def test_what_cannot_be_read_is_named(db):
    with pytest.raises(NotFoundError, match="no experiment 'wave'"):
        to_dataframe(db, "wave")
    with pytest.raises(ConfigurationError, match="one of reference, load, drop"):
        arrays_of(db, "all")
    pickled = Experiment(
        "p", function=lambda c, i: {"x": Pickled()}, configuration={"n": 1}
    )
    with pytest.warns(UserWarning, match="pickle"):
        execute(pickled, db, SerialMode())
    with pytest.raises(PickleRefusedError, match="results of trial 0"):
        to_dataframe(db, "p")


@pytest.mark.parametrize("text", ['{"x": 1}, {"x": 2}', "[1]", "{", '"a"'])
def test_a_damaged_document_is_named(db, text):
    """Pages are parsed together: no text may pass for more than one document."""
    frame(db, [{"x": 1}, {"x": 2}])
    with session_of(db).storage.transaction() as connection:
        _damage(connection, text)

    with pytest.raises(CorruptDocumentError, match="results of trial 1"):
        to_dataframe(db, "e")


def _damage(connection, text):
    found = connection.exec_driver_sql(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name IN "
        "('trials', 'trial_records')"
    ).scalar_one()
    connection.exec_driver_sql(
        f"UPDATE {found} SET results = ? WHERE results LIKE '%2%'", (text,)
    )


def test_it_is_a_method_too(db):
    made = frame(db, [{"x": 1}])

    pd.testing.assert_frame_equal(made, db.to_dataframe("e"))
    assert experimenter_mpi.to_dataframe is to_dataframe


def test_a_thousand_pages_are_one_table(db):
    made = frame(db, [{"x": n, "y": [n]} if n % 7 else {"x": n} for n in range(5000)])

    assert list(range(5000)) == list(made["x"])
    assert [1] == made["y"][1] and made["y"][0] is None


def test_a_missing_pandas_is_one_line(tmp_path):
    (tmp_path / "pandas.py").write_text("raise ImportError")
    code = (
        "from experimenter_mpi import open_db, to_dataframe\n"
        "to_dataframe(open_db('x', in_memory=True), 'n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (
        "MissingPackageError: pandas is not installed: "
        "pip install 'experimenter_mpi[pandas]'"
    ) in done.stderr


def test_iterables_of_any_values_are_parameters(db):
    made = frame(db, [{"x": 1}], kind=IterableVariable(["only"]))

    assert "only" == made["kind"][0]
