"""``note``, ``tag``, and ``results`` of what was chosen."""

from __future__ import annotations

import json
import shutil

import pytest

from experimenter_mpi import (
    Experiment,
    IntegerVariable,
    SerialMode,
    execute,
    open_db,
)
from experimenter_mpi.cli import run_verb


def heat(configuration, trial_id):
    if configuration["n"] == 3:
        raise ValueError("three")
    return {"loss": 1 / configuration["n"]}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Five trials: one by a first run, one of them failed, the last never run."""
    path = tmp_path_factory.mktemp("kept") / "x.db"
    many = {"n": IntegerVariable(1, 5)}
    experiment = Experiment("heat", function=heat, configuration=many)
    with open_db(path.name, path.parent) as database:
        execute(experiment, database, SerialMode(), share=(1, 5))
        execute(experiment, database, SerialMode(), share=(2, 2))
        execute(experiment, database, SerialMode(), share=(3, 5))
    return path


@pytest.fixture
def ask(kept, tmp_path, capsys):
    path = tmp_path / "x.db"
    shutil.copy(kept, path)

    def asked(verb, *words):
        code = run_verb([verb, str(path), *words])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return asked


def test_a_note_is_printed_by_note_and_show(ask):
    assert (0, "", "") == ask("note", "heat:1", "too cold")
    _, listed, _ = ask("note", "heat:1")
    _, shown, _ = ask("show", "heat:1")
    _, as_json, _ = ask("note", "heat:1", "--json")

    assert listed.endswith("+00:00  too cold\n")
    assert "noted         too cold (" in shown
    assert ["too cold"] == [each["text"] for each in json.loads(as_json)]


def test_tags_are_added_removed_and_shown(ask):
    code, out, _ = ask("tag", "heat", "0-2", "4", "--add", "good", "--add", "odd")
    ask("tag", "heat", "1", "--remove", "good")
    _, shown, _ = ask("show", "heat:1")
    _, both, _ = ask("show", "heat:0")

    assert (0, "changed the tags of 4 trials of 'heat'\n") == (code, out)
    assert "tags          odd\n" in shown and "tags          good, odd\n" in both


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], [0, 1, 2, 3, 4]),
        (["--status", "failed"], [2]),
        (["--status", "pending"], [4]),
        (["--tag", "good"], [0, 4]),
        (["--tag", "never"], []),
        (["--run", "2"], [1, 3]),
        (["--where", "results ->> '$.loss' < 0.6"], [1, 3]),
        (["--where", "results ->> '$.loss' < 0.6", "--run", "2"], [1, 3]),
        (["--tag", "good", "--status", "finished"], [0]),
        (["--tag", "good", "--run", "2"], []),
    ],
    ids=str,
)
def test_results_are_of_what_was_chosen(ask, words, expected):
    ask("tag", "heat", "0,4", "--add", "good")
    _, out, _ = ask("results", "heat", *words, "--json")

    assert expected == [row["index"] for row in json.loads(out)]


@pytest.mark.parametrize(
    ("words", "expected", "says"),
    [
        (["note", "heat:9", "x"], 3, "trials 0 to 4, not 9"),
        (["note", "heat:1", " "], 3, "a note must be a text that is not empty"),
        (["note", "heat:1", "x", "--json"], 2, "leave TEXT out"),
        (["tag", "heat", "9", "--add", "x"], 3, "trials 0 to 4, not 9"),
        (["tag", "heat", "1"], 2, "--add or to --remove"),
        (["tag", "heat", "1", "--add", "a,b"], 2, "without commas"),
        (["results", "heat", "--run", "9"], 3, "has no run 9"),
        (["results", "heat", "--status", "lost"], 2, "invalid choice"),
        (["results", "heat", "--where", "n >"], 3, "--where 'n >' cannot be used"),
        (["results", "wave", "--tag", "x"], 3, "no experiment 'wave'"),
    ],
    ids=str,
)
def test_mistakes_are_explained_in_a_line(ask, words, expected, says):
    code, out, err = ask(*words)

    assert (expected, "") == (code, out)
    assert says in err and 1 == err.count("\n")


def test_a_run_that_is_not_there_resets_nothing(ask):
    code, out, err = ask("reset", "heat", "--run", "9", "--yes")

    assert (3, "") == (code, out)
    assert "has no run 9" in err
