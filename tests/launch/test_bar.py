"""Lines that trials print stand above the bar, whichever process draws it."""

from __future__ import annotations

import shlex
import sys

import pytest

from support import screen
from support.experiments import PACKAGE
from support.launch import Launches
from support.libraries import mpiexec_of, python_of
from support.ways import WAYS

# Each trial prints when the test has seen the bar, by what the script holds since
# before the run as well.
LOUD = """
import logging, os, sys, time
from experimenter_mpi import *

logging.basicConfig(format="%(message)s")

def trial(configuration, trial_id):
    while not os.path.exists("seen"):
        time.sleep(0.01)
    n = configuration["n"]
    print("printed by", n)
    print("half a line of", n, end="")
    print(", and the rest")
    print("an error of", n, file=sys.stderr)
    logging.error("logged by %d", n)
    sys.stdout.writelines(["two lines\\n", f"of {n}\\n"])
    return {"n": n}

experiment = Experiment(
    "loud", function=trial, configuration={"n": IntegerVariable(1, 6)}
)

if __name__ == "__main__" and sys.argv[1:] == ["as a script"]:
    summary = execute(experiment, open_db("experiments.db"), MPIMode, use_progress=True)
    raise SystemExit(summary.exit_code)
"""
LINES = {
    line
    for n in range(1, 7)
    for line in (
        f"printed by {n}",
        f"half a line of {n}, and the rest",
        f"an error of {n}",
        f"logged by {n}",
        "two lines",
        f"of {n}",
    )
}


class OnTerminal(Launches):
    """Launches whose output is a terminal with room for any line."""

    def _start(self, command, env, cwd, stdin=None):
        before = [sys.executable, screen.__file__, "150"]
        return super()._start([*before, *command], env, cwd, stdin)


@pytest.fixture
def on_terminal(folder):
    folder.write(LOUD)
    with OnTerminal(cwd=folder.path) as launches:
        yield launches


def lines_of(running, folder, sign="0/6"):
    """Let trials print once the run has begun; give what the terminal shows then."""
    running.wait_for(sign, 60)
    (folder.path / "seen").touch()
    return screen.shown(running.wait(90).expect(0).stdout)


def without_bar(lines):
    bars = [line for line in lines if "━" in line]
    assert 1 == len(bars), lines
    assert "6/6" in bars[0]
    return {line for line in lines if line and line not in bars}


@pytest.mark.launches
@pytest.mark.parametrize(
    ("way", "library", "options"),
    [
        *((way, "mpich", ()) for way in WAYS),
        ("distributed-alone", "openmpi", ()),
        *((way, "mpich", ("--isolate",)) for way in ("serial", "coordinated")),
    ],
)
def test_no_line_of_a_trial_continues_the_bar(
    way, library, options, on_terminal, folder
):
    run = WAYS[way].start_run(on_terminal, *options, library=library)
    lines = without_bar(lines_of(run, folder))

    assert LINES <= lines, run.stdout
    assert any(line.startswith("loud: 6 finished") for line in lines - LINES)


@pytest.mark.launches
def test_nor_in_a_script(on_terminal, folder):
    """Its loggers hold the streams from before the run."""
    run = on_terminal.start_mpirun(3, "exp.py", "as a script")

    assert LINES <= without_bar(lines_of(run, folder))


@pytest.mark.launches
def test_where_a_bar_would_not_be_shown_there_is_a_log(on_terminal, folder):
    """Open MPI 5 passes on whole lines only."""
    run = WAYS["coordinated"].start_run(on_terminal, library="openmpi")
    lines = lines_of(run, folder, "6 trials to run on 3 ranks")

    assert LINES <= set(lines)
    assert not any("━" in line for line in lines)
    assert "\x1b" not in run.stdout


@pytest.mark.launches
def test_what_goes_to_a_file_has_no_command_to_the_terminal(on_terminal, folder):
    python = python_of("mpich")
    run = (*mpiexec_of(python), "-n", "3", python, *PACKAGE, "run", "exp.py")
    command = f"exec {shlex.join(map(str, run))} >out.txt"
    lines = lines_of(on_terminal.start_shell(command), folder)

    to_stderr = {
        f"{what} {n}" for n in range(1, 7) for what in ("an error of", "logged by")
    }
    assert to_stderr <= without_bar(lines)
    text = (folder.path / "out.txt").read_text()
    assert "\x1b" not in text
    assert LINES - to_stderr <= set(text.splitlines())


@pytest.fixture
def without_rich(folder):
    """An environment in which rich cannot be imported, as where it is not installed."""
    hiding = folder.path / "hiding"
    hiding.mkdir()
    (hiding / "rich.py").write_text("raise ImportError('no rich')\n")
    return {"PYTHONPATH": str(hiding)}


def test_without_rich_a_terminal_is_shown_lines(on_terminal, folder, without_rich):
    run = on_terminal.start_serial(*PACKAGE, "run", "exp.py", env=without_rich)
    lines = lines_of(run, folder, "6 trials to run on 1 rank")

    assert LINES <= set(lines)
    assert any(line.startswith("loud: 6 of 6 trials") for line in lines)
    assert any(line.startswith("loud: 6 finished") for line in lines)
    assert "\x1b" not in run.stdout


@pytest.mark.launches
def test_without_rich_ranks_too_run(on_terminal, folder, without_rich):
    run = on_terminal.start_mpirun(3, *PACKAGE, "run", "exp.py", env=without_rich)
    lines = lines_of(run, folder, "6 trials to run on 3 ranks")

    assert LINES <= set(lines)
    assert "\x1b" not in run.stdout


@pytest.mark.parametrize("verb", [["status"], ["show", "loud:0"], ["results", "loud"]])
def test_tables_need_no_rich(verb, on_terminal, serial, folder, without_rich):
    (folder.path / "seen").touch()
    serial(*PACKAGE, "run", "exp.py").expect(0)
    verb = [verb[0], "experiments/experiments.db", *verb[1:]]

    with_it, without = (
        on_terminal.start_serial(*PACKAGE, *verb, env=env).wait(60).expect(0).stdout
        for env in ({}, without_rich)
    )

    assert with_it == without
    assert "finished" in with_it


def test_a_bar_without_rich_is_refused_with_what_to_install(
    serial, folder, without_rich
):
    folder.write(LOUD)
    run = serial(
        *PACKAGE, "run", "exp.py", "--progress", "bar", env=without_rich
    ).expect(3)

    assert run.stderr == (
        'experimenter_mpi: progress "bar" needs rich: '
        'pip install "experimenter_mpi[rich]", or choose "log"\n'
    )
