"""``runs``: the runs of a database, one of them, and what changed between two."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib.metadata import version
from types import SimpleNamespace

import pytest

from experimenter_mpi.cli import run_verb
from support.libraries import clean_environment
from support.repository import Repository

RUN = [sys.executable, "-m", "experimenter_mpi"]
SCRIPT = """
import numpy
from experimenter_mpi import Experiment, IntegerVariable
from physics import step

def walk(c, i):
    return {{"x": {factor} * step(c["n"])}}

Experiment("walk", function=walk, configuration={{"n": IntegerVariable(1, 3)}})
Experiment("other", function=walk, configuration={{"n": 1}})
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Four runs: of a commit, of a changed script, both for two experiments."""
    repository = Repository(tmp_path_factory.mktemp("study"))
    path = repository.folder / "x.db"

    def run(*options):
        subprocess.run(
            [*RUN, "run", "exp.py", "--db", "x.db", *options],
            cwd=repository.folder,
            env=clean_environment(),
            check=True,
            capture_output=True,
            timeout=120,
        )

    repository.write("physics.py", "def step(n):\n    return n\n")
    repository.write("exp.py", SCRIPT.format(factor=1))
    commit = repository.commit("exp.py", "physics.py")
    run("--trial", "0")
    repository.write("exp.py", SCRIPT.format(factor=2))
    run("--experiment", "walk", "--keep-diff")
    return SimpleNamespace(path=str(path), commit=commit)


@pytest.fixture
def ask(study, capsys):
    def asked(*words, verb="runs"):
        code = run_verb([verb, study.path, *map(str, words)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return asked


def test_runs_are_listed_with_what_each_finished(ask, study):
    code, out, _ = ask("walk")
    header, *rows = (line.split() for line in out.splitlines())

    assert 0 == code
    assert ["run", "experiment", "started", "took", "ended", "finished"] == header[:6]
    assert [["1", "walk"], ["3", "walk"]] == [row[:2] for row in rows]
    assert study.commit[:8] in out and f"{study.commit[:8]} + changes" in out
    assert [["finished", "1"], ["finished", "2"]] == [
        row[row.index("finished") :][:2] for row in rows
    ]


def test_without_a_name_the_runs_of_all_experiments_are_listed(ask):
    _, out, _ = ask("--json")
    rows = json.loads(out)

    assert ["walk", "other", "walk"] == [row["experiment"] for row in rows]
    assert all("script_text" not in row for row in rows)


def test_one_run_is_explained(ask, study):
    _, out, _ = ask("--run", 3)
    lines = {line.strip() for line in out.splitlines()}

    assert "run 3" in lines
    assert f"commit           {study.commit} + changes" in lines
    assert "file             exp.py (changed)" in lines
    assert "file             physics.py (clean)" in lines
    assert f"package          numpy {version('numpy')}" in lines
    assert "trials finished  2" in lines


def test_the_diff_is_kept_where_it_was_asked_for(ask):
    _, with_it, _ = ask("--run", 3)
    _, without, _ = ask("--run", 1)

    assert 'return {"x": 2 * step(c["n"])}' in with_it
    assert '-    return {"x": 1 * step(c["n"])}' in with_it.splitlines()
    assert "changes since the commit" not in without


def test_a_run_as_json_is_all_that_is_stored(ask):
    _, out, _ = ask("--run", 3, "--json")
    row = json.loads(out)

    assert {"numpy": version("numpy")} == row["packages"]
    assert {"exp.py", "physics.py"} == set(row["sources"])
    assert "step(c" in row["script_text"] and "+++ b/exp.py" in row["git_diff"]


def test_what_changed_between_two_runs(ask):
    _, out, _ = ask("--diff", 1, 3)

    assert "uncommitted changes  no" in out
    assert "file exp.py" in out and "file physics.py" not in out
    assert '-    return {"x": 1 * step(c["n"])}' in out.splitlines()
    assert '+    return {"x": 2 * step(c["n"])}' in out.splitlines()


def test_what_changed_as_json(ask):
    _, out, _ = ask("--json", "--diff", 1, 3)
    found = json.loads(out)

    changes = {each["what"]: each for each in found["changes"]}
    assert {"file exp.py", "uncommitted changes", "command line"} == set(changes)
    assert "run 3" in found["script_diff"]


def test_two_runs_of_the_same_code_do_not_differ(ask):
    _, out, _ = ask("--diff", 1, 2)

    assert "run 1 and run 2: the same script, files, packages and commit\n" == out


@pytest.mark.parametrize(
    ("words", "expected", "says"),
    [
        (["--run", "9"], 3, "has no run 9"),
        (["--diff", "1", "9"], 3, "has no run 9"),
        (["wlak"], 3, "did you mean 'walk'?"),
        (["walk", "--run", "1"], 2, "leave NAME out"),
        (["--run", "0"], 2, "not a whole number of 1 or more"),
        (["--diff", "1"], 2, "expected 2 arguments"),
        (["--run", "1", "--diff", "1", "2"], 2, "not allowed with"),
    ],
)
def test_mistakes_are_explained_in_a_line(ask, words, expected, says):
    code, out, err = ask(*words)

    assert (expected, "") == (code, out)
    assert says in err and 1 == err.count("\n")


def test_a_run_of_other_code_is_said_and_its_trials_can_be_run_again(study, ask):
    _, out, _ = ask("walk", "--run", 1, "--yes", verb="reset")
    again = sqlite3.connect(study.path)
    with closing(again):
        left = again.execute(
            "SELECT run_id, status FROM trials JOIN experiments e "
            "ON e.id = experiment_id WHERE name = 'walk' AND status = 'finished'"
        ).fetchall()

    assert "1 trial of 'walk' is pending\n" == out
    assert [(3, "finished")] * 2 == left


@pytest.mark.parametrize("text", ["[" * 100_000, "[1]", "nonsense", '{"a": [1]}', "3"])
def test_a_stranger_may_have_written_anything(tmp_path, study, capsys, text):
    path = tmp_path / "x.db"
    with (
        closing(sqlite3.connect(study.path)) as source,
        closing(sqlite3.connect(path)) as target,
    ):
        source.backup(target)
        with target:
            target.execute(
                "UPDATE runs SET sources = ?, packages = ?, started_at = ?", [text] * 3
            )

    for words in ([], ["--run", "1"], ["--diff", "1", "3"], ["--run", "1", "--json"]):
        assert 0 == run_verb(["runs", str(path), *words])
    assert "" == capsys.readouterr().err
