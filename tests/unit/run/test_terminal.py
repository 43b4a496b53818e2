"""The terminal a person watches: found directly, behind a launcher, or not at all."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios
import types

import pytest

from experimenter_mpi.cluster import processes
from experimenter_mpi.cluster.processes import Process
from experimenter_mpi.run.terminal import passes_on_whole_lines, width_of
from support.fakes import WITH_PACKAGE
from support.launch import clean_environment

COLUMNS = 123
SHOW_WIDTH = (
    "import sys; from experimenter_mpi.run.terminal import width_of; "
    "print('width', width_of(sys.stderr))"
)
# What a launcher does: the rank's streams are pipes, whose content it passes on.
LAUNCHER = '#!/bin/sh\n"$@" 2>&1 | cat\n'


@pytest.fixture
def screen():
    """A terminal with so many columns: the end a program writes to."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    yield slave
    os.close(master)
    os.close(slave)


@pytest.fixture
def launcher(tmp_path):
    """Make a program that starts others and goes by a launcher's name."""

    def make(name):
        path = tmp_path / name
        path.write_text(LAUNCHER)
        path.chmod(0o755)
        return str(path)

    return make


def run(*command, stderr):
    done = subprocess.run(
        [*command, sys.executable, "-c", SHOW_WIDTH],
        env={**clean_environment(), **WITH_PACKAGE},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout.strip()


def test_a_terminal_has_a_width(screen):
    with os.fdopen(os.dup(screen), "w") as stream:
        assert COLUMNS == width_of(stream)


def test_a_file_is_no_terminal(tmp_path):
    with (tmp_path / "log").open("w") as stream:
        assert width_of(stream) is None


def test_what_has_no_file_is_no_terminal():
    """A notebook replaces the standard streams by objects of its own."""
    assert width_of(io.StringIO()) is None


def test_a_closed_stream_is_no_terminal(tmp_path):
    stream = (tmp_path / "log").open("w")
    stream.close()

    assert width_of(stream) is None


@pytest.mark.parametrize("name", ["mpiexec", "mpirun", "mpiexec.hydra", "srun"])
def test_behind_a_launcher_the_terminal_is_the_launchers(launcher, screen, name):
    assert f"width {COLUMNS}" == run(launcher(name), stderr=screen)


def test_between_the_launcher_and_a_rank_there_may_be_others(launcher, screen):
    """Proxies, wrappers that set up modules, and the site's own scripts."""
    wrapper = ["/bin/sh", "-c", '"$0" "$@"; :']

    assert f"width {COLUMNS}" == run(launcher("mpiexec"), *wrapper, stderr=screen)


def test_behind_a_launcher_that_writes_to_a_file_there_is_none(launcher):
    assert "width None" == run(launcher("mpiexec"), stderr=subprocess.DEVNULL)


def test_behind_any_other_program_there_is_none(launcher, screen):
    """In ``python exp.py 2>&1 | tee log`` the bar would fill the log."""
    assert "width None" == run(launcher("tee"), stderr=screen)


def test_where_processes_cannot_be_looked_at_there_is_none(tmp_path, monkeypatch):
    """Only Linux has /proc."""

    def no_proc(path, **_):
        raise FileNotFoundError(path)

    monkeypatch.setattr(processes, "open", no_proc, raising=False)
    with (tmp_path / "log").open("w") as stream:
        assert width_of(stream) is None
    assert not passes_on_whole_lines()


@pytest.mark.parametrize(
    ("name", "expected"), [("prterun", True), ("mpiexec", False), ("sh", False)]
)
def test_open_mpi_5_passes_on_whole_lines(monkeypatch, name, expected):
    table = {os.getppid(): Process(name, "S", 1, 0)}
    monkeypatch.setattr(processes, "stat", table.__getitem__)

    assert expected == passes_on_whole_lines()


def test_a_process_may_have_brackets_and_spaces_in_its_name(tmp_path):
    odd = tmp_path / "a) (b"
    odd.symlink_to("/bin/sleep")
    process = subprocess.Popen([odd, "30"])
    try:
        assert ("a) (b", os.getpid()) == processes.stat(process.pid)[::2]
    finally:
        process.kill()
        process.wait()


def test_the_search_for_a_launcher_ends(monkeypatch, tmp_path):
    """Programs may be nested without end, or the table of processes may change."""
    looked_at = []

    def process(pid):
        looked_at.append(pid)
        return Process("sh", "S", pid + 1, 0)

    monkeypatch.setattr(processes, "stat", process)
    with (tmp_path / "log").open("w") as stream:
        assert width_of(stream) is None
    assert 1 < len(looked_at) < 20


def test_the_search_ends_at_the_first_process_of_all(monkeypatch, tmp_path):
    table = {os.getppid(): Process("sh", "S", 1, 0)}
    monkeypatch.setattr(processes, "stat", table.__getitem__)

    with (tmp_path / "log").open("w") as stream:
        assert width_of(stream) is None


def test_a_stream_is_asked_for_no_more_than_it_has():
    """Python started without streams has None in their place."""
    stream = types.SimpleNamespace(isatty=lambda: False, fileno=lambda: 10**6)

    assert width_of(stream) is None
