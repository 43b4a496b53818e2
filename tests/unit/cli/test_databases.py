"""Which database a verb is about, where none is named and where one is."""

from __future__ import annotations

import os

import pytest

from experimenter_mpi import Experiment, SerialMode, execute, open_db
from experimenter_mpi.cli import run_verb
from experimenter_mpi.cli.arguments import verb_parser
from experimenter_mpi.cli.databases import parse


def trial(configuration, trial_id):
    return {"a": 1}


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Make databases with an experiment named like their files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EXPERIMENTER_DB", raising=False)

    def make(*paths):
        for path in paths:
            folder, name = os.path.split(path)
            with open_db(name, folder) as database:
                name = name.partition(".")[0]
                made = Experiment(name, function=trial, configuration={})
                execute(made, database, SerialMode())

    return make


@pytest.fixture
def ask(capsys):
    """Run a verb and return its exit code and what it said on both streams."""

    def ask(*words):
        capsys.readouterr()
        code = run_verb(list(words))
        return code, *capsys.readouterr()

    return ask


ASKING = {
    "status": (["status"], "heat "),
    "status of one": (["status", "heat"], "heat "),
    "show": (["show", "heat:0"], "trial 0 of 'heat': finished"),
    "show as JSON": (["show", "--json", "heat:0"], '"experiment": "heat"'),
    "results": (["results", "heat"], "finished"),
    "results as CSV": (["results", "--csv", "heat"], "trial,status,a"),
    "reset": (["reset", "heat", "0", "--yes"], "1 trial of 'heat' is pending"),
    "reset all": (["reset", "heat", "--all", "--yes"], "1 trial of 'heat' is pending"),
    "reset where": (
        ["reset", "--where", "attempts = 1", "heat", "--yes"],
        "1 trial of 'heat' is pending",
    ),
    "delete": (["delete", "heat", "--yes"], "deleted 'heat'"),
    "export": (["export", "out.db", "--all"], "out.db: 1 experiment"),
    "export of one": (["export", "out.db", "heat"], "out.db: 1 experiment"),
}


@pytest.mark.parametrize("told", [None, "elsewhere/heat.db"])
@pytest.mark.parametrize("case", ASKING)
def test_a_verb_finds_the_one_database_there_is(case, told, make, ask, monkeypatch):
    words, expected = ASKING[case]
    make(told or "experiments/heat.db")
    if told is not None:
        make("experiments/wave.db", "experiments/sound.db")
        monkeypatch.setenv("EXPERIMENTER_DB", told)

    code, out, err = ask(*words)

    assert 0 == code, err
    assert expected in out


@pytest.mark.parametrize("words", [["reset", "heat", "0"], ["delete", "heat"]])
def test_what_destroys_says_which_database_it_found(words, make, ask):
    make("experiments/heat.db")

    code, _, err = ask(*words)

    assert 3 == code
    assert err.startswith("database: experiments/heat.db\n")


@pytest.mark.parametrize("words", [["status"], ["reset", "heat", "0", "--yes"]])
def test_several_databases_are_listed_and_none_is_taken(words, make, ask):
    make("experiments/heat.db", "experiments/wave.db")

    code, out, err = ask(*words)

    assert (3, "", 1) == (code, out, err.count("\n"))
    assert "there are 2 databases in experiments: heat.db, wave.db; name one" in err


def test_without_any_the_one_that_a_run_would_make_is_missed(make, ask):
    make()

    code, out, err = ask("status")

    assert (3, "", 1) == (code, out, err.count("\n"))
    assert "no such database: experiments/experiments.db; " in err
    assert not os.listdir()


# Options, words, and what each is taken for.
PARSED = [
    (["heat"], (None, "heat", [])),
    (["x.db", "heat"], ("x.db", "heat", [])),
    (["here", "heat"], ("here", "heat", [])),
    (["./here", "heat"], ("./here", "heat", [])),
    (["../else", "heat", "3"], ("../else", "heat", ["3"])),
    (["heat", "3", "4"], (None, "heat", ["3", "4"])),
    (["heat", "-"], (None, "heat", ["-"])),
    (["--where", "x.db", "heat"], (None, "heat", [])),
    (["--where=x.db", "heat"], (None, "heat", [])),
    (["--whe", "x.db", "heat", "3"], (None, "heat", ["3"])),
    (["--yes", "heat", "--where", "a", "3"], (None, "heat", ["3"])),
    (["x.db", "--where", "a", "heat", "3"], ("x.db", "heat", ["3"])),
    (["folder", "3"], (None, "folder", ["3"])),
]


@pytest.mark.parametrize(("words", "expected"), PARSED)
def test_a_first_word_is_a_database_if_it_looks_like_one(words, expected, make):
    make("here", "experiments/the-one.db")
    os.mkdir("folder")

    found = parse(reset_parser(), words)

    database, name, rest = expected
    database = database or "experiments/the-one.db"
    assert (database, name, rest) == (found.database, found.name, found.indices)


def reset_parser():
    from experimenter_mpi.cli.reset import _parser

    return _parser()


def test_with_too_many_words_the_first_is_a_database(make, ask):
    """Else a misspelt one would be taken for a name."""
    make("experiments/heat.db")

    code, _, err = ask("results", "heta", "heat")

    assert (3, 1) == (code, err.count("\n"))
    assert "no such database: heta; " in err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["missing.db", "out.db", "--all"], "no such database: missing.db"),
        (["experiments/heat.db", "out", "heat"], "out: 1 experiment"),
        (["experiments/heat.db", "out.db", "heat"], "out.db: 1 experiment"),
        (["experiments/heat.db"], "arguments are required: OUT"),
        (["out.db", "wave"], "no experiment 'wave'"),
    ],
)
def test_export_tells_the_database_from_the_file_to_make(words, expected, make, ask):
    make("experiments/heat.db")

    _, out, err = ask("export", *words)

    assert expected in out + err


def test_the_usage_says_that_the_database_may_be_left_out(ask):
    _, out, _ = ask("results", "--help")

    usage = " ".join(out.partition("\n\n")[0].split())
    assert usage.endswith(" [DB] NAME")


def test_an_option_takes_as_many_words_as_it_has_values():
    parser = verb_parser("reset", "", "")
    parser.add_argument("--where")
    parser.add_argument("--yes", action="store_true")

    parser.add_argument("--diff", nargs=2)
    options = ("--where", "--wh", "--yes", "--diff", "--where=1", "--frob")

    assert [1, 1, 0, 2, 0, 0] == [parser.values_of(each) for each in options]
