"""Whatever is wrong with the input: one line, its exit code, and never a hang."""

from __future__ import annotations

import sqlite3

import pytest

GOOD = """
from experimenter_mpi import Experiment, IntegerVariable, LinearVariable

def trial(configuration, trial_id):
    return {"n": configuration["n"]}

experiment = Experiment(
    "good", function=trial, configuration={"n": IntegerVariable(1, 3)}
)
"""


def only_line(done):
    """Return the one line that was said; there must be no other and no traceback."""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert 1 == len(lines), done
    assert "Traceback" not in done.stderr
    return lines[0]


SCRIPTS = {
    "a script without an experiment": ("x = 1\n", "defines no experiment"),
    "a syntax error": ("def f(:\n", "exp.py, line 1: SyntaxError"),
    "a script that raises": ("x = 1\n1 / 0\n", "line 2: ZeroDivisionError"),
    "a script that exits": ("import sys\nsys.exit(0)\n", "line 2: the script called"),
    "an unknown function": (
        GOOD.replace("function=trial", "function_name='trail'"),
        "no function 'trail'; did you mean trial?",
    ),
    "an impossible variable": (
        GOOD.replace("IntegerVariable(1, 3)", "LinearVariable(1, 3, 0)"),
        "LinearVariable: n must be a whole number of 1 or more, not 0",
    ),
    "matched variables of another length": (
        GOOD.replace("LinearVariable\n", "MatchIterableVariable\n").replace(
            "IntegerVariable(1, 3)}",
            "MatchIterableVariable([1, 2]), 'm': IntegerVariable(1, 3)}",
        ),
        "has 2 values for 3 trials",
    ),
    "two experiments of one name": (
        GOOD + GOOD.replace("experiment =", "again ="),
        "defines 2 experiments named 'good'",
    ),
}


@pytest.mark.parametrize("case", SCRIPTS)
def test_a_bad_script_is_one_line_and_exit_code_3(case, run_cli, folder):
    source, expected = SCRIPTS[case]
    folder.write(source)

    done = run_cli("run", "exp.py").expect(3)

    assert expected in only_line(done)
    assert not folder.database.exists()


def test_a_missing_script_is_one_line_and_exit_code_3(run_cli):
    done = run_cli("run", "missing.py").expect(3)

    assert "no such script: missing.py" in only_line(done)


def test_a_bad_option_is_one_line_and_exit_code_2(run_cli, folder):
    folder.write(GOOD)

    done = run_cli("run", "exp.py", "--mode", "quantum").expect(2)

    assert "invalid choice: 'quantum'" in only_line(done)


def test_another_configuration_names_each_key_with_both_values(run_cli, folder):
    folder.write(GOOD.replace("}\n)", ", 'steps': 10}\n)"))
    run_cli("run", "exp.py").expect(0)
    folder.write(GOOD.replace("(1, 3)", "(1, 5)").replace("}\n)", ", 'steps': 20}\n)"))

    line = only_line(run_cli("run", "exp.py").expect(3))

    assert "steps: 10 -> 20" in line
    assert "n: IntegerVariable(1, 3) -> IntegerVariable(1, 5)" in line
    assert "--overwrite" in line
    assert {"finished": 3} == folder.statuses()


def foreign(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE recipes (title)")
    connection.commit()
    connection.close()


def newer(path):
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 999")
    connection.close()


@pytest.mark.parametrize(
    "spoil",
    [lambda path: path.write_text("no database at all, but long enough"), foreign],
    ids=["no database", "another program's"],
)
def test_a_foreign_file_is_refused_and_left_as_it_was(spoil, run_cli, folder):
    folder.write(GOOD)
    path = folder.path / "other.db"
    spoil(path)
    before = path.read_bytes()

    done = run_cli("run", "exp.py", "--db", "other.db").expect(3)

    assert "other.db" in only_line(done)
    assert before == path.read_bytes()


def test_a_newer_schema_is_refused_and_left_as_it_was(run_cli, folder):
    folder.write(GOOD)
    run_cli("run", "exp.py").expect(0)
    newer(folder.database)
    before = folder.database.read_bytes()

    done = run_cli("run", "exp.py").expect(3)

    assert "newer" in only_line(done)
    assert before == folder.database.read_bytes()


def test_a_folder_that_cannot_be_written_is_one_line_and_exit_code_3(run_cli, folder):
    folder.write(GOOD)
    (folder.path / "wall").write_text("a file where a folder is wanted")

    done = run_cli("run", "exp.py", "--db", "wall/experiments.db").expect(3)

    assert "wall" in only_line(done)
