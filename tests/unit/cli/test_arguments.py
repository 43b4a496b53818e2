"""The command line as such: its words, its help, its one-line complaints."""

from __future__ import annotations

import io
import re
import shlex
from argparse import ArgumentTypeError

import pytest

from experimenter_mpi import ExperimenterError, __version__
from experimenter_mpi.cli import VERBS, main, run_verb
from experimenter_mpi.cli.arguments import (
    confirm,
    index_list,
    seconds,
)
from experimenter_mpi.cli.run_options import parser as run_parser
from experimenter_mpi.errors import counted
from experimenter_mpi.program import program

DURATIONS = {
    "0": 0,
    "90": 90,
    "1.5": 1.5,
    "5:00": 300,
    "1:30:00": 5400,
    "2-00:00:00": 172_800,
    "1-2": 93_600,
    "1-12:30": 131_400,
}


@pytest.mark.parametrize("text", DURATIONS)
def test_a_duration_is_read_as_schedulers_write_it(text):
    assert DURATIONS[text] == seconds(text)


@pytest.mark.parametrize(
    "text", ["", "soon", "-1", "nan", "1:2:3:4", "5:", ":5", "x-5:00", "-5:00", "1:-2"]
)
def test_what_is_no_duration_is_refused_with_examples(text):
    with pytest.raises(ArgumentTypeError, match="is not a duration such as 90, 5:00"):
        seconds(text)


INDICES = {
    "3": [3],
    "0-4": [0, 1, 2, 3, 4],
    "1,5,7-9": [1, 5, 7, 8, 9],
    "2-2": [2],
}


@pytest.mark.parametrize("text", INDICES)
def test_trial_indices_are_numbers_and_ranges_with_both_ends(text):
    assert INDICES[text] == index_list(text)


@pytest.mark.parametrize("text", ["", "x", "-1", "3-", "5-3", "1,,2", "1,", "²", "1.5"])
def test_what_is_no_trial_index_is_refused_with_examples(text):
    """A range from high to low names no trial; to ``reset`` that would mean all."""
    with pytest.raises(ArgumentTypeError, match="is not a trial index such as 3, 0-4"):
        index_list(text)


@pytest.mark.parametrize("text", ["0-99999999999999", "3,1-99999999999999"])
def test_a_range_of_a_slip_of_the_keyboard_does_not_fill_the_memory(text):
    with pytest.raises(ArgumentTypeError, match="names more than 10,000,000 trials"):
        index_list(text)


def test_an_index_of_thousands_of_digits_is_refused():
    digits = "9" * 5000
    with pytest.raises(ArgumentTypeError, match="not a trial index|names more than"):
        index_list(f"0-{digits}")


def test_one_is_counted_without_an_s():
    assert ["0 trials", "1 trial", "2 trials"] == [
        counted(number, "trial") for number in range(3)
    ]
    assert "1 process, 2,000 processes" == ", ".join(
        counted(number, "process") for number in (1, 2000)
    )


MISTAKES = {
    "an unknown verb": (["frob"], "there is no command 'frob'"),
    "a mistyped verb": (["stauts", "x"], "no command 'stauts'; did you mean status "),
    "help of no verb": (
        ["help", "rum"],
        "there is no command 'rum'; did you mean run?",
    ),
    "no verb": (["--frob"], "arguments are required: COMMAND"),
    "a script": (
        ["a.py"],
        "no command 'a.py'; to run a script: experimenter-mpi run a.p",
    ),
    "no script": (["run"], "arguments are required: SCRIPT"),
    "no trial": (["show", "x.db"], "arguments are required: TRIAL"),
    "no name": (["results", "x.db"], "arguments are required: NAME"),
    "no second database": (["merge", "x.db"], "arguments are required: SECONDARY"),
    "no file to export to": (["export"], "arguments are required: OUT"),
    "no experiment to reset": (["reset", "x.db"], "arguments are required: NAME"),
    "choices of trials, but no name": (["reset", "--yes"], "are required: NAME (see"),
    "pickles in the JSON of a trial": (
        ["show", "x.db", "a:0", "--json", "--allow-pickle"],
        "omit --allow-pickle",
    ),
    "pickles in the JSON of a table": (
        ["results", "x.db", "a", "--allow-pickle", "--json"],
        "omit --allow-pickle",
    ),
    "no experiment to delete": (["delete", "x.db"], "arguments are required: NAME"),
    "an unknown option": (["delete", "x.db", "n", "--no"], "arguments: --no"),
    "two forms at once": (["results", "x", "n", "--csv", "--json"], "not allowed with"),
    "no such mode": (["run", "x.py", "--mode", "quantum"], "choice: 'quantum'"),
    "a batch of none": (
        ["run", "x.py", "--batch-size", "0"],
        "'0' is not auto or a whole",
    ),
    "no batch size": (["run", "x.py", "--batch-size", "x"], "'x' is not auto or"),
    "no duration": (["run", "x.py", "--time-limit", "1h"], "'1h' is not a duration"),
    "no index": (["run", "x.py", "--trial", "one"], "'one' is not a trial index"),
    "an empty range": (["reset", "x.db", "n", "5-3"], "'5-3' is not a trial index"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_usage_error_is_one_line_and_exit_code_2(case, capsys):
    arguments, expected = MISTAKES[case]

    code = run_verb(arguments)

    said = capsys.readouterr()
    assert (2, "") == (code, said.out)
    assert 1 == said.err.count("\n")
    assert expected in said.err
    assert re.search(r"\(see experimenter-mpi( \w+)? --help\)$", said.err)


def test_version_is_printed_with_the_name(capsys):
    code = run_verb(["--version"])

    assert (0, f"experimenter_mpi {__version__}\n") == (code, capsys.readouterr().out)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["help"], ["help", "help"]])
def test_without_a_verb_the_help_lists_all_of_them(arguments, capsys):
    code = run_verb(arguments)

    text = capsys.readouterr().out
    listed = text.partition("\ncommands:\n")[2].partition("\n\n")[0]
    assert 0 == code
    assert list(VERBS) == [line.split()[0] for line in listed.splitlines()]
    assert "75 stopped early" in text


@pytest.mark.parametrize("verb", ["run", "doctor"])
def test_help_of_a_verb_is_its_help(verb, capsys):
    assert 0 == run_verb(["help", verb])

    assert capsys.readouterr().out == help_of(verb, capsys)


def help_of(verb, capsys):
    assert 0 == run_verb([verb, "--help"])
    return capsys.readouterr().out


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_ends_in_examples(verb, capsys):
    text = help_of(verb, capsys)

    _, _, examples = text.partition("\nEXAMPLES\n")
    assert f"experimenter-mpi {verb} " in examples
    assert all(line.startswith("  ") for line in examples.split("\n") if line)


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_fits_a_terminal(verb, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")

    prose, _, _ = help_of(verb, capsys).partition("\nEXAMPLES\n")

    assert 80 >= max(map(len, prose.splitlines()))


def test_the_help_of_run_says_the_exit_codes(capsys):
    assert "exit codes: 0 all finished" in help_of("run", capsys)


def example_commands(text):
    """Return the words after the program's name in each command of the examples."""
    examples = re.sub(r"\\\n *", "", text.partition("\nEXAMPLES\n")[2])
    for line in examples.splitlines():
        command = re.split(r" [|>] ", line)[0].strip()
        found = re.search(r"(?:^experimenter-mpi|-m experimenter_mpi) (.+)", command)
        if found:
            yield shlex.split(found[1])


@pytest.mark.parametrize("verb", VERBS)
def test_the_examples_of_a_verb_can_be_typed(verb, capsys, tmp_path, monkeypatch):
    """Nothing is there, so each ends with that, and not with exit code 2."""
    if verb == "doctor":
        pytest.skip("its examples work with nothing there: see launch/test_doctor.py")
    monkeypatch.chdir(tmp_path)
    typed = example_commands(help_of(verb, capsys))
    commands = [words for words in typed if "--watch" not in words]  # which waits

    codes = [run_verb(command) for command in commands]

    assert commands
    assert [3] * len(commands) == codes
    assert "no such" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_database_is_the_environments_unless_it_is_said(monkeypatch):
    monkeypatch.setenv("EXPERIMENTER_DB", "/scratch/mine.db")

    assert "/scratch/mine.db" == run_parser().parse_args(["x.py"]).db
    assert "y.db" == run_parser().parse_args(["x.py", "--db", "y.db"]).db


@pytest.mark.parametrize("value", [None, ""])
def test_the_database_has_a_default(value, monkeypatch):
    monkeypatch.delenv("EXPERIMENTER_DB", raising=False)
    if value is not None:
        monkeypatch.setenv("EXPERIMENTER_DB", value)

    assert "experiments/experiments.db" == run_parser().parse_args(["x.py"]).db


@pytest.mark.parametrize(
    ("started_as", "expected"),
    [
        (["/usr/bin/python3", "/usr/bin/experimenter-mpi"], "experimenter-mpi"),
        (["python", "-m", "experimenter_mpi"], "python -m experimenter_mpi"),
    ],
)
def test_the_program_is_called_as_it_was_started(started_as, expected, monkeypatch):
    monkeypatch.setattr("sys.orig_argv", [*started_as, "run", "experimenter-mpi"])

    assert expected == program()


class Keyboard(io.StringIO):
    """Somebody at a terminal who types this."""

    def isatty(self):
        return True


@pytest.mark.parametrize("answer", ["y\n", "yes\n", " Y \n"])
def test_a_yes_at_the_terminal_is_enough(answer, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", Keyboard(answer))

    confirm("Delete it?", yes=False)

    said = capsys.readouterr()
    assert ("", "Delete it? [y/N] ") == (said.out, said.err)


@pytest.mark.parametrize("answer", ["n\n", "\n", "", "yet\n"])
def test_any_other_answer_changes_nothing(answer, monkeypatch):
    monkeypatch.setattr("sys.stdin", Keyboard(answer))

    with pytest.raises(ExperimenterError, match="nothing was changed"):
        confirm("Delete it?", yes=False)


@pytest.mark.parametrize("stdin", [None, io.StringIO("y\n")])
def test_without_a_terminal_nobody_is_asked(stdin, monkeypatch):
    monkeypatch.setattr("sys.stdin", stdin)

    with pytest.raises(ExperimenterError, match="Delete it\\? Cannot ask, as"):
        confirm("Delete it?", yes=False)


def test_main_takes_what_the_shell_gave(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["experimenter-mpi", "--version"])

    assert 0 == main()
    assert __version__ in capsys.readouterr().out
