"""``run --extend``, and what the other verbs show of trials that are set aside."""

from __future__ import annotations

import json
import sys

import pytest

from experimenter_mpi import open_db
from experimenter_mpi.cli import run_verb

SOURCE = """
from experimenter_mpi import Experiment, IntegerVariable

def trial(configuration, trial_id):
    return {{"double": 2 * configuration["n"]}}

experiment = Experiment(
    "heat", function=trial, configuration={{"n": IntegerVariable({first}, {last})}}
)
"""


class Folder:
    """An exp.py whose trials are those from one n to another."""

    def __init__(self, path, capsys):
        self.path = path
        self._capsys = capsys

    def call(self, *arguments):
        """Give the exit code and what was said on both streams."""
        self._capsys.readouterr()
        code = run_verb(list(arguments))
        return code, *self._capsys.readouterr()

    def run(self, first, last, *options, db="x.db"):
        (self.path / "exp.py").write_text(SOURCE.format(first=first, last=last))
        return self.call("run", "exp.py", "--mode", "serial", "--db", db, *options)


@pytest.fixture
def folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return Folder(tmp_path, capsys)


@pytest.fixture
def extended(folder):
    """A database of which trials 0 and 1 are set aside, and 4 to 6 were added."""
    folder.run(0, 3)
    assert folder.run(2, 6, "--extend")[0] == 0
    return folder


def cells(out):
    return [line.split() for line in out.splitlines()]


def test_a_change_is_refused_with_numbers_and_made_on_request(folder):
    folder.run(0, 3)

    code, out, err = folder.run(2, 6)
    assert (code, out) == (3, "")
    assert err.count("\n") == 1
    assert "--extend (extend=True) to go on: 3 new trials, 2 kept, 2 set aside." in err

    code, out, err = folder.run(2, 6, "--extend")
    assert code == 0
    assert out.startswith("heat: 3 finished, 0 failed in ")
    assert "2 finished before" in out
    assert "'heat' was extended: 3 new trials, 2 kept, 2 set aside" in err


def test_once_it_was_extended_the_same_command_goes_on(extended):
    code, out, err = extended.run(2, 6)

    assert (code, err) == (0, "")
    assert "0 finished, 0 failed" in out
    assert "5 finished before" in out
    assert "was extended" not in extended.run(2, 6, "--extend")[2]


def test_a_dry_run_tells_the_change_and_writes_nothing(folder):
    folder.run(0, 3)
    before = (folder.path / "x.db").read_bytes()

    code, out, _ = folder.run(2, 6, "--extend", "--dry-run")

    assert code == 0
    assert "heat: 3 new trials, 2 kept, 2 set aside\n" in out
    assert ["heat", "5", "2", "3"] in cells(out)
    _, out, _ = folder.run(2, 6, "--extend", "--dry-run", "--share", "1/2")
    assert ["heat", "3", "1", "2"] in cells(out)
    assert folder.run(2, 6, "--dry-run")[0] == 3
    assert (folder.path / "x.db").read_bytes() == before


def test_status_counts_what_is_asked_for(extended):
    _, out, _ = extended.call("status", "x.db")
    assert "aside" not in out
    assert cells(out)[1][:6] == ["heat", "5", "5", "0", "0", "0"]

    _, out, _ = extended.call("status", "x.db", "--all")
    assert "pending  set aside  last run" in out
    assert cells(out)[1][:7] == ["heat", "5", "5", "0", "0", "0", "2"]
    [state] = json.loads(extended.call("status", "x.db", "--json")[1])
    assert (state["trials"], state["finished"], state["set_aside"]) == (5, 5, 2)


def test_results_are_of_what_is_asked_for(extended):
    _, out, _ = extended.call("results", "x.db", "heat", "--csv")
    assert [line.split(",")[0] for line in out.splitlines()[1:]] == [*"23456"]

    _, out, _ = extended.call("results", "x.db", "heat", "--all", "--json")
    assert [row["index"] for row in json.loads(out)] == list(range(7))


def test_a_trial_that_is_set_aside_is_shown_and_says_so(extended):
    code, out, _ = extended.call("show", "x.db", "heat:1")

    assert code == 0
    assert "set aside" in out
    assert "set aside" not in extended.call("show", "x.db", "heat:2")[1]


def test_only_asked_for_trials_are_reset_unless_they_are_named(extended):
    assert (
        "5 trials of 'heat'"
        in extended.call("reset", "x.db", "heat", "--all", "--yes")[1]
    )
    with open_db("x.db", ".", read_only=True) as db:
        trials = db.get_trials_by_name("heat", set_aside=True)
    assert [trial.index for trial in trials if trial.has_finished] == [0, 1]

    assert (
        "1 trial of 'heat'" in extended.call("reset", "x.db", "heat", "1", "--yes")[1]
    )


def test_what_is_set_aside_is_not_run_by_its_index(extended):
    code, _, err = extended.run(2, 6, "--trial", "1")

    assert code == 3
    assert "trial 1 of 'heat' is set aside" in err
    assert extended.run(2, 6, "--trial", "9")[0] == 3


def test_what_would_be_deleted_counts_what_is_set_aside(extended):
    _, out, _ = extended.run(2, 6, "--overwrite", "--dry-run")

    assert "--overwrite would delete 'heat' (7 of 7 trials finished)" in out


def test_extending_and_overwriting_exclude_each_other(folder):
    code, _, err = folder.run(0, 3, "--extend", "--overwrite")

    assert code == 2
    assert "--extend keeps what is stored, and --overwrite deletes it" in err


def test_a_merge_names_experiments_that_have_nothing_in_common(folder):
    folder.run(0, 3, db="a.db")
    folder.run(5, 6, db="b.db")

    code, _, err = folder.call("merge", "a.db", "b.db")

    assert code == 3
    assert "no trial in common" in err
