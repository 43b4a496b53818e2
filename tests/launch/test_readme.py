"""The README is run: every console block gives what it shows, every link exists."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from experimenter_mpi.cli import VERBS
from support.libraries import clean_environment, python_of

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"^# (\S+\.py)\n")


@dataclass
class Command:
    """A line after a prompt, and the lines that README shows under it."""

    line: str
    shown: list[str] = field(default_factory=list)


def blocks(language):
    return [
        body for name, body in BLOCK.findall(README.read_text()) if name == language
    ]


def commands():
    found = []
    for line in "".join(blocks("console")).splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:]))
        elif line.startswith("> "):
            found[-1].line += "\n" + line[2:]
        else:
            found[-1].shown.append(line)
    return found


def normal(text):
    """Leave out what differs from run to run: numbers, ids, spaces, paths."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", text)
    text = re.sub(r"\S*/(?=exp\.py)", "", text)
    text = re.sub(r" on [\w.-]+$", " on HOST", text)
    text = re.sub(r"-?\d[\d,.:]*(e[+-]?\d+)?", "N", text)
    text = re.sub(r"\bN (ms|s|min)\b", "N s", text)
    return " ".join(text.split())


def environment(python=sys.executable):
    env = clean_environment()
    env["PATH"] = f"{Path(python).parent}{os.pathsep}{env['PATH']}"
    env["COLUMNS"] = "100"
    return env


def run(command, folder, **chosen):
    done = subprocess.run(
        ["bash", "-c", f"exec 2>&1\n{command.line}"],
        cwd=folder,
        env=environment(**chosen),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.stdout.splitlines()


def missing_lines(shown, printed):
    """Give the shown lines that were not printed in this order; "..." skips some."""
    remaining = iter(map(normal, printed))
    return [
        line
        for line in shown
        if line.strip() not in ("", "...") and normal(line) not in remaining
    ]


def test_every_console_block_prints_what_it_shows(tmp_path):
    for source in blocks("python"):
        if named := FILE.match(source):
            (tmp_path / named[1]).write_text(source)

    for command in commands():
        printed = run(command, tmp_path)

        told = "\n".join(printed)
        assert [] == missing_lines(command.shown, printed), f"{command.line}\n{told}"


def test_the_mpirun_lines_work_with_open_mpi_and_what_is_to_be_added(tmp_path):
    added = "mpirun --oversubscribe --allow-run-as-root "
    assert "`mpirun --oversubscribe -n 4 ...`" in README.read_text()
    for source in blocks("python"):
        if named := FILE.match(source):
            (tmp_path / named[1]).write_text(source)

    launched = [c for c in commands() if re.match("mpirun|cat >", c.line)]
    for command in launched:
        command.line = command.line.replace("mpirun ", added, 1)
        printed = run(command, tmp_path, python=python_of("openmpi"))

        told = "\n".join(printed)
        assert [] == missing_lines(command.shown, printed), f"{command.line}\n{told}"
    assert 4 <= sum(added in command.line for command in launched)


def test_every_python_block_that_is_no_file_runs_after_the_blocks_before(tmp_path):
    """They read the database that exp.py made."""
    for source in blocks("python"):
        if named := FILE.match(source):
            (tmp_path / named[1]).write_text(source)
    run(Command("python -m experimenter_mpi run exp.py"), tmp_path)
    assert (tmp_path / "experiments" / "experiments.db").exists()
    snippets = [source for source in blocks("python") if not FILE.match(source)]

    for source in snippets:
        (tmp_path / "snippet.py").write_text(source)
        done = subprocess.run(
            [sys.executable, "snippet.py"],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert 0 == done.returncode, f"{source}\n{done.stderr}"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_in_the_readme_and_its_help_ends_in_examples(verb, serial):
    done = serial("-m", "experimenter_mpi", verb, "--help").expect(0)

    assert f"`{verb}" in README.read_text()
    assert "EXAMPLES" in done.stdout


def test_every_relative_link_exists():
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", README.read_text())

    assert links
    assert [] == [link for link in links if not (ROOT / link).exists()]
