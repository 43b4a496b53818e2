"""`reset`: which trials it resets, what it deletes, and that nothing means nothing."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from experimenter_mpi import (
    Experiment,
    IterableVariable,
    SerialMode,
    execute,
    open_db,
    save_snapshot_in_global_database,
)
from experimenter_mpi.cli import run_verb
from experimenter_mpi.database.handle import session_of
from support.experiments import PACKAGE
from support.fakes import WITH_PACKAGE
from support.libraries import clean_environment

STATUSES = ["finished", "finished", "failed", "finished"]


def decay(configuration, trial_id):
    n = configuration["n"]
    for step in range(n):
        save_snapshot_in_global_database(trial_id, {"step": step, "x": np.arange(9)})
    if n == 2:
        raise ValueError("two is bad")
    return {"n": n, "losses": [n, n + 1]}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Make the database once: each test works on a copy of it."""
    path = tmp_path_factory.mktemp("kept") / "x.db"
    configuration = {"n": IterableVariable(range(4))}
    experiment = Experiment("decay", function=decay, configuration=configuration)
    with open_db(path.name, path.parent) as database:
        execute(experiment, database, SerialMode())
    return path


@pytest.fixture
def path(kept, tmp_path):
    return shutil.copy(kept, tmp_path / "x.db")


@pytest.fixture
def reset(path, capsys):
    def reset(*arguments, name="decay"):
        code = run_verb(["reset", str(path), name, *arguments])
        return code, *capsys.readouterr()

    return reset


def column(path, name):
    with open_db(path.name, path.parent, read_only=True) as database:
        return [row[name] for row in database.get_progress("decay")]


def snapshots(path):
    with open_db(path.name, path.parent, read_only=True) as database:
        ids = database.get_trials_ids_by_name("decay")
        return [len(database.get_snapshots(trial_id)) for trial_id in ids]


def pending(path):
    statuses = column(path, "status")
    return [index for index, status in enumerate(statuses) if status == "pending"]


# --- nothing is never everything


@pytest.mark.parametrize("how", [["--yes"], []])
def test_no_index_resets_nothing(how, path, reset):
    """`reset DB n $(a query that found nothing) --yes`."""
    code, out, err = reset(*how)

    assert (2, "", 1) == (code, out, err.count("\n"))
    assert "--all" in err
    assert STATUSES == column(path, "status")


@pytest.mark.parametrize("text", ["", " \n\n"])
def test_an_empty_list_on_standard_input_resets_nothing(text, path, reset, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(text))

    assert (0, "0 trials of 'decay' are pending\n", "") == reset("-", "--yes")
    assert STATUSES == column(path, "status")


def test_xargs_without_a_line_resets_nothing(path):
    """Which calls the command once, without any index."""
    command = ["xargs", sys.executable, *PACKAGE, "reset", path, "decay", "--yes"]
    done = subprocess.run(
        command,
        env=clean_environment() | WITH_PACKAGE,
        input="",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert 123 == done.returncode  # xargs' word for a command that failed
    assert "choose trials by INDEX" in done.stderr
    assert STATUSES == column(path, "status")


@pytest.mark.parametrize(
    "choices",
    [
        ["0", "--all"],
        ["--all", "--failed"],
        ["-", "--where", "1"],
        ["--failed", "--where", "1"],
    ],
)
def test_two_choices_at_once_are_refused(choices, path, reset):
    assert 2 == reset(*choices, "--yes")[0]
    assert STATUSES == column(path, "status")


# --- which trials


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (["--all"], [0, 1, 2, 3]),
        (["--failed"], [2]),
        (["--where", "status = 'failed'"], [2]),
        (["--where", "configuration ->> '$.n' > 1"], [2, 3]),
        (["--where", "results ->> '$.losses[1]' = 2 -- a comment"], [1]),
        (["--where", "1) OR (1"], [0, 1, 2, 3]),
        (["--where", "results IS NULL AND error_message LIKE '%bad'"], [2]),
        (
            ["--where", "EXISTS (SELECT 1 FROM json_each(results, '$.losses'))"],
            [0, 1, 3],
        ),
        (["--where", "trial_index IN (SELECT max(trial_index) FROM trials)"], [3]),
        (["--where", "results"], []),
        (["--where", "NULL"], []),
    ],
)
def test_what_is_chosen_is_reset_and_nothing_else(choice, expected, path, reset):
    code, _, err = reset(*choice, "--yes")

    assert (0, "") == (code, err)
    assert expected == pending(path)


def test_where_never_leaves_its_experiment(path, reset):
    other = Experiment("other", function=decay, configuration={"n": 0})
    with open_db(path.name, path.parent) as database:
        execute(other, database, SerialMode())
    reset("--where", "1) OR (1", "--yes", name="other")

    assert STATUSES == column(path, "status")


def test_indices_come_from_standard_input(path, reset, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("0\n2-3\n"))

    assert "3 trials of 'decay' are pending\n" == reset("-", "--yes")[1]
    assert [0, 2, 3] == pending(path)


def test_a_wrong_word_on_standard_input_resets_nothing(path, reset, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("0\nerror: no such table\n"))
    code, _, err = reset("-", "--yes")

    assert (2, 1) == (code, err.count("\n"))
    assert "'error:' is not a trial index" in err
    assert STATUSES == column(path, "status")


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "n > 1",
        "status = ",
        "1; DELETE FROM trials",
        "1); DELETE FROM trials; --",
        "1 /*",
        "(DELETE FROM trials)",
        "(SELECT name FROM experiments) = 'decay'",
        "(SELECT count(*) FROM snapshots) > 0",
        "EXISTS (SELECT 1 FROM sqlite_master)",
        "EXISTS (SELECT 1 FROM pragma_database_list)",
        "load_extension('x.so')",
        "(WITH RECURSIVE t(i) AS (SELECT 1 UNION SELECT i FROM t) SELECT i FROM t)",
        "json_extract('{', '$')",
        "'a\0b'",
        "caf\udce9",
    ],
)
def test_an_expression_that_is_none_is_one_line_and_changes_nothing(
    expression, path, reset
):
    before = path.read_bytes()
    code, out, err = reset("--where", expression, "--yes")

    assert (3, "", 1) == (code, out, err.count("\n"))
    assert "--where" in err and "such as" in err
    assert before == path.read_bytes()


@pytest.mark.parametrize(
    "expression",
    ["writefile('{}', 'x')", "readfile('{}')", "(ATTACH '{}' AS stolen)"],
)
def test_an_expression_touches_no_other_file(expression, path, reset):
    other = path.with_name("other")
    other.write_text("precious")
    code, _, _ = reset("--where", expression.format(other), "--yes")

    assert (3, "precious") == (code, other.read_text())
    assert {"x.db", "other"} == set(os.listdir(path.parent))


def test_after_a_refused_expression_the_handle_writes_on(path):
    with open_db(path.name, path.parent) as database:
        experiment = database.get_experiment_by_name("decay")
        with session_of(database).storage.writing():
            with pytest.raises(ValueError, match="cannot be used"):
                session_of(database).upkeep.indices_where(experiment.id, "n > 1")
            assert [2] == session_of(database).upkeep.indices_where(
                experiment.id, "status = 'failed'"
            )
            session_of(database).upkeep.reset(experiment.id, [2])

    assert [2] == pending(path)


# --- snapshots


def test_reset_deletes_the_snapshots_of_what_it_resets(path, reset):
    assert [0, 1, 2, 3] == snapshots(path)
    reset("2", "--yes")

    assert [0, 1, 0, 3] == snapshots(path)


def test_reset_keeps_snapshots_if_it_is_told(path, reset):
    reset("--all", "--keep-snapshots", "--yes")

    assert [0, 1, 2, 3] == snapshots(path)
    assert [0, 1, 2, 3] == pending(path)


@pytest.mark.parametrize(
    ("arguments", "question"),
    [
        (["0"], "Delete the results of 1 trial?"),
        (["--all"], "Delete the results of 4 trials and 6 snapshots?"),
        (["0", "1"], "Delete the results of 2 trials and 1 snapshot?"),
        (
            ["3", "--keep-snapshots"],
            "Delete the results of 1 trial, and keep 3 snapshots?",
        ),
    ],
)
def test_the_question_says_what_goes(arguments, question, path, reset, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())

    why = "Cannot ask, as standard input is not a terminal: use --yes"
    assert f"experimenter_mpi: {question} {why}\n" == reset(*arguments)[2]
    assert STATUSES == column(path, "status")
