"""On a terminal nothing is broken inside of a word: shortened, wrapped or left out."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
import threading

import pytest

from experimenter_mpi import Experiment, IntegerVariable, execute, open_db
from experimenter_mpi.cli import VERBS, layout, run_verb, table
from experimenter_mpi.cli.layout import broken, hint
from experimenter_mpi.cli.table import print_table
from experimenter_mpi.run import terminal
from experimenter_mpi.run.terminal import wrapped
from support.experiments import PACKAGE
from support.fakes import WITH_PACKAGE
from support.launch import clean_environment

COLUMNS = 80


@pytest.fixture
def room(monkeypatch):
    """Say how wide the terminal is."""

    def room(columns):
        for module in (terminal, layout, table):
            monkeypatch.setattr(module, "width_of", lambda _: columns)

    return room


@pytest.mark.parametrize("columns", [None, 0, 27])
def test_a_table_that_has_room_is_whole(columns, room, capsys):
    room(columns)

    print_table(("name", "text"), [["a", "x" * 21], ["b", ""]])

    assert f"name  text\na     {'x' * 21}\nb\n" == capsys.readouterr().out


def test_the_widest_texts_are_shortened_and_no_numbers(room, capsys):
    room(44)

    print_table(("n", "first", "second"), [["1" * 15, "x" * 30, "y" * 12]])

    header, row = capsys.readouterr().out.splitlines()
    assert ["n", "first", "second"] == header.split()
    assert f"{'1' * 15}  {'x' * 12}…  {'y' * 12}" == row


def test_columns_without_room_are_named_below(room, capsys):
    room(40)
    header = [f"column {n}" for n in range(12)]

    print_table(header, [["x" * 20] * 12], "--csv")

    first, row, *note = capsys.readouterr().out.splitlines()
    assert ["column 0", "column 1", "column 2"] == re.split("  +", first)
    assert 40 == len(row) == len(" ".join(["x" * 12] * 3)) + 2
    assert "no room for column 3, column 4," in note[0]
    assert "and 1 more: widen the terminal, or use --csv" in " ".join(note)
    assert all(len(line) <= 40 for line in note)


def test_one_column_is_always_there(room, capsys):
    room(5)

    print_table(("name", "n"), [["x" * 20, "1"]])

    assert ["name", "xxxxxxxxxxx…"] == capsys.readouterr().out.splitlines()[:2]


def test_text_is_wrapped_between_words_and_hangs(room):
    room(20)

    assert "some words that\n  follow one another" == (
        wrapped("some words that follow one another", sys.stdout, hanging=2)
    )
    assert "a-long-word-of-more-than-that" == (
        wrapped("a-long-word-of-more-than-that", sys.stdout)
    )
    assert "  indented\n\nand more" == wrapped("  indented\n\nand more", sys.stdout)


COMMANDS = [
    "program run exp.py --db 'my own folder/a.db' --experiment heat --trial 1",
    "program reset 'it'\"'\"'s' 1 --yes && program run exp.py --on-error raise",
    "program " + "x" * 50,
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_continued_so_that_it_can_be_copied(command, room):
    room(30)

    text = broken(command)

    assert shlex.split(command) == shlex.split(text.replace("\\\n", ""))
    lines = text.split("\n")
    assert all(line.endswith(" \\") for line in lines[:-1])
    assert all(len(line) <= 30 or " " not in line.strip(" \\") for line in lines)


def test_a_command_that_has_room_stands_on_the_line_of_its_hint(room, capsys):
    room(40)
    hint("see it", "program show a.db heat:1")
    hint("see it", "program show a-long-name.db heat:1")

    assert (
        "see it: program show a.db heat:1\n"
        "see it:\n  program show a-long-name.db heat:1\n"
    ) == capsys.readouterr().out


@pytest.mark.parametrize("verb", VERBS)
def test_help_is_no_wider_than_a_terminal(verb, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(COLUMNS))

    assert 0 == run_verb([verb, "--help"])

    assert [] == [
        line for line in capsys.readouterr().out.splitlines() if len(line) > COLUMNS
    ]


# --- on a real terminal


@pytest.fixture
def on_terminal(tmp_path):
    """Run a verb on a terminal of 80 columns, and return the lines that it prints."""

    def on_terminal(*arguments):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
        said = []
        reader = threading.Thread(target=read_all, args=(master, said))
        reader.start()
        subprocess.run(
            [sys.executable, *PACKAGE, *arguments],
            env={**clean_environment(), **WITH_PACKAGE},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=slave,
            stderr=slave,
            timeout=120,
            check=False,
        )
        os.close(slave)
        reader.join(60)
        os.close(master)
        text = b"".join(said).decode().replace("\r\n", "\n")
        return re.sub(r"\x1b\[\d*m", "", text).splitlines()

    return on_terminal


def read_all(master, said):
    try:
        while chunk := os.read(master, 65536):
            said.append(chunk)
    except OSError:  # so a terminal ends on Linux
        pass


def fail(configuration, trial_id):
    if configuration["n"] == 1:
        raise ValueError("a message of many words " * 20)
    return {f"a result with a long name {n}": "some words " * n for n in range(9)}


NAME = "a study whose name is longer than most terminals are wide, as some are"


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("status", NAME),
        ("results", NAME),
        ("show", f"{NAME}:0"),
        ("show", f"{NAME}:1"),
        ("show", "no such trial, in words that are far more than a terminal has"),
    ],
    ids=" ".join,
)
def test_nothing_is_wider_than_the_terminal(arguments, on_terminal, tmp_path):
    configuration = {"n": IntegerVariable(0, 1)}
    experiment = Experiment(NAME, function=fail, configuration=configuration)
    with open_db("a long name.db", tmp_path) as database:
        execute(experiment, database)

    lines = on_terminal(arguments[0], "a long name.db", *arguments[1:])

    assert len(lines) > 1
    # A traceback stands as Python wrote it; a word alone may be longer than a line.
    text = re.sub(r"(?s)\ntraceback\n.*?\n\n", "\n", "\n".join(lines))
    wide = [line for line in text.split("\n") if len(line) > COLUMNS]
    assert [] == [line for line in wide if len(shlex.split(line.strip("\\ "))) > 1]
