"""``results`` with columns chosen, rows sorted, and repetitions averaged."""

from __future__ import annotations

import csv
import io
import math
import statistics

import pytest

from experimenter_mpi import (
    Experiment,
    IterableVariable,
    RepeatVariable,
    SerialMode,
    execute,
    open_db,
)
from experimenter_mpi.analysis.columns import MISSING
from experimenter_mpi.cli import run_verb
from experimenter_mpi.cli.flat import Flat, arranged, averaged, mean_and_error

VALUES = [1.0, 2.0, 4.0, 10.0, math.nan, 30.0]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    values = iter(VALUES)

    def walk(configuration, trial_id):
        if configuration["T"] == "bad":
            raise ValueError(configuration)
        value = next(values)
        whole = 7 if math.isnan(value) else int(value)
        return {"m": value, "n": whole, "label": "x"}

    folder = tmp_path_factory.mktemp("kept")
    points = {"T": IterableVariable([2, 1, "bad"]), "r": RepeatVariable(0, 3)}
    experiment = Experiment("walk", function=walk, configuration=points)
    with open_db("x.db", folder) as database:
        execute(experiment, database, SerialMode())
    return str(folder / "x.db")


@pytest.fixture
def ask(path, capsys):
    def asked(*words):
        code = run_verb(["results", path, "walk", *words])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return asked


def rows(out):
    return [row or [""] for row in csv.reader(io.StringIO(out))]


def test_columns_are_printed_in_the_order_asked_for(ask):
    _, out, _ = ask("--csv", "--columns", "m,trial")

    assert [["m", "trial"], ["1.0", "0"], ["2.0", "1"]] == rows(out)[:3]


def test_rows_are_sorted_numbers_first_and_what_is_missing_last(ask):
    _, up, _ = ask("--csv", "--columns", "m", "--sort", "m")
    _, down, _ = ask("--csv", "--columns", "m", "--sort=-m")

    missing = [["nan"], [""], [""], [""]]
    numbers = [["1.0"], ["2.0"], ["4.0"], ["10.0"], ["30.0"]]
    assert [["m"], *numbers, *missing] == rows(up)
    assert [["m"], *reversed(numbers), *missing] == rows(down)


def test_several_columns_sort_one_after_the_other(ask):
    _, out, _ = ask("--csv", "--columns", "T,trial", "--sort=T,-trial")

    expected = [["1", "5"], ["1", "4"], ["1", "3"], ["2", "2"], ["2", "1"], ["2", "0"]]
    assert expected == rows(out)[1:7]
    assert [["bad", "8"], ["bad", "7"], ["bad", "6"]] == rows(out)[7:]


def test_the_first_rows_are_those_after_sorting(ask):
    _, out, _ = ask("--csv", "--columns", "trial", "--sort=-trial", "--limit", "2")

    assert [["trial"], ["8"], ["7"]] == rows(out)


def test_repetitions_become_a_mean_and_its_standard_error(ask):
    _, out, _ = ask("--csv", "--stats", "T", "--columns", "T,n,m,m (SE)")
    two, one = rows(out)[1:]

    assert ["2", "3"] == two[:2] and ["1", "3"] == one[:2]
    assert statistics.mean([1, 2, 4]) == pytest.approx(float(two[2]))
    error = statistics.stdev([1, 2, 4]) / math.sqrt(3)
    assert error == pytest.approx(float(two[3]))
    # NaN is in no mean.
    assert 20.0 == float(one[2]) and 10.0 == pytest.approx(float(one[3]))


def test_statistics_are_of_what_was_chosen(ask):
    _, out, _ = ask("--csv", "--stats", "T", "--where", "results ->> '$.m' > 1.5")

    assert ["2", "2"] == rows(out)[1][:2]


def test_a_table_of_statistics_looks_as_a_table(ask):
    _, out, _ = ask("--stats", "T", "--sort", "T")

    assert ["T", "n", "r", "r", "(SE)", "m", "m", "(SE)"] == out.split("\n")[0].split()[
        :8
    ]


@pytest.mark.parametrize(
    ("words", "expected", "says"),
    [
        (["--columns", "mm"], 3, "there is no column 'mm'"),
        (["--sort", "q"], 3, "there is no column 'q'"),
        (["--stats", "temperature"], 3, "there is no column 'temperature'"),
        (["--json", "--sort", "m"], 2, "use --csv"),
        (["--limit", "0"], 2, "1 or more"),
    ],
    ids=str,
)
def test_mistakes_are_explained_in_a_line(ask, words, expected, says):
    code, out, err = ask(*words)

    assert (expected, "") == (code, out)
    assert says in err and 1 == err.count("\n")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3], (3, MISSING)),
        ([], (MISSING, MISSING)),
        ([MISSING, None, "x", True, math.nan], (MISSING, MISSING)),
        ([1, 3, MISSING], (2, 1)),
        ([math.inf, 1], (math.inf, MISSING)),
        ([1e16, 1.0, -1e16], (1 / 3, pytest.approx(1e16 / math.sqrt(3)))),
    ],
    ids=str,
)
def test_a_mean_is_of_the_numbers_alone(values, expected):
    assert expected == mean_and_error(values)


def test_groups_keep_values_of_any_kind_apart():
    table = Flat(
        ["trial", "status", "k", "m"],
        [[i, "finished", k, 1.0] for i, k in enumerate([1, 1.0, "1", None, [1], [1]])],
    )

    assert [1, 1, 1, 1, 2] == [row[1] for row in averaged(table, ["k"]).rows]


def test_nothing_asked_for_is_everything(ask):
    from types import SimpleNamespace

    table = Flat(["trial", "status"], [[0, "pending"]])
    nothing = SimpleNamespace(columns=None, sort=None, limit=None, stats=None)

    assert table == arranged(table, nothing)
