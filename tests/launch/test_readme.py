"""The README is run: every console block gives what it shows, every link exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from experimenter_mpi.cli import VERBS
from support.libraries import python_of
from support.pages import (
    Command,
    check_consoles,
    check_snippets,
    commands,
    missing_lines,
    run,
    write_files,
)

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


def test_every_console_block_prints_what_it_shows(tmp_path):
    check_consoles(README, tmp_path)


def test_the_mpirun_lines_work_with_open_mpi_and_what_is_to_be_added(tmp_path):
    added = "mpirun --oversubscribe --allow-run-as-root "
    assert "`mpirun --oversubscribe -n 4 ...`" in README.read_text()
    write_files(README, tmp_path)

    launched = [c for c in commands(README) if re.match("mpirun|cat >", c.line)]
    for command in launched:
        command.line = command.line.replace("mpirun ", added, 1)
        printed = run(command, tmp_path, python=python_of("openmpi"))

        told = "\n".join(printed)
        assert [] == missing_lines(command.shown, printed), f"{command.line}\n{told}"
    assert 4 <= sum(added in command.line for command in launched)


def test_every_python_block_that_is_no_file_runs_after_the_blocks_before(tmp_path):
    """They read the database that exp.py made."""
    write_files(README, tmp_path)
    run(Command("python -m experimenter_mpi run exp.py"), tmp_path)
    assert (tmp_path / "experiments" / "experiments.db").exists()

    check_snippets(README, tmp_path)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_in_the_readme_and_its_help_ends_in_examples(verb, serial):
    done = serial("-m", "experimenter_mpi", verb, "--help").expect(0)

    assert f"`{verb}" in README.read_text()
    assert "EXAMPLES" in done.stdout


def test_every_relative_link_exists():
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", README.read_text())

    assert links
    assert [] == [link for link in links if not (ROOT / link).exists()]
