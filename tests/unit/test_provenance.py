"""Where results came from: enough to find the code and the machine again."""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import sys
import types

import pytest

from experimenter_mpi import provenance
from experimenter_mpi.provenance import GitState, collect_git, facts

JOB_VARIABLES = ["SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "FLUX_JOB_ID", "JOB_ID"]


@pytest.fixture(autouse=True)
def afresh(monkeypatch):
    """Forget what this process knows of git, and of any job it runs in."""
    monkeypatch.setattr(provenance, "_collected", [])
    monkeypatch.delitem(sys.modules, "mpi4py.MPI", raising=False)
    for name in [*JOB_VARIABLES, *(n for n in os.environ if n.startswith("GIT_"))]:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with one commit, which is the current folder."""
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["python"])
    (folder / "exp.py").write_text("a = 1\n")
    git("init", "--quiet")
    git("add", "exp.py")
    git("commit", "--quiet", "--message", "first")
    return folder


def git(*arguments):
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    signing = ["-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *identity, *signing, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_commit_is_recorded(repository):
    assert GitState(git("rev-parse", "HEAD"), dirty=False) == collect_git()


def test_a_changed_file_makes_it_dirty(repository):
    (repository / "exp.py").write_text("a = 2\n")

    assert collect_git().dirty is True


def test_a_file_git_does_not_know_leaves_it_clean(repository):
    """The database itself is such a file."""
    (repository / "experiments.db").touch()

    assert collect_git().dirty is False


def test_git_is_asked_once(repository):
    before = collect_git()
    (repository / "exp.py").write_text("a = 2\n")

    assert collect_git() is before
    assert [before] == provenance._collected


def test_outside_a_repository_nothing_is_known(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    assert GitState(None, None) == collect_git()


def test_a_repository_without_a_commit_has_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet")

    assert GitState(None, None) == collect_git()


def test_without_git_nothing_is_known(repository, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")

    assert GitState(None, None) == collect_git()


def test_where_git_cannot_tell_it_is_not_said_to_be_clean(
    repository, monkeypatch, tmp_path
):
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\n[ "$3" = rev-parse ] && echo abc\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(fake.parent), prepend=os.pathsep)

    assert GitState("abc", None) == collect_git()


def test_a_git_that_hangs_is_given_up(repository, monkeypatch, tmp_path):
    """The home directory of a compute node may be a file system that is gone."""
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\nexec sleep 60\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(fake.parent), prepend=os.pathsep)
    monkeypatch.setattr(provenance, "GIT_SECONDS", 0.05)

    assert GitState(None, None) == collect_git()


def test_once_mpi_has_started_git_is_not_asked(repository, monkeypatch):
    """Forking then may crash or hang: the MPI standard forbids it."""
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", types.ModuleType("mpi4py.MPI"))

    assert GitState(None, None) == collect_git()


@pytest.mark.parametrize(
    "command", [["run", "exp.py"], ["exp.py"], ["run", "-v", "exp.py"]]
)
def test_the_repository_is_that_of_the_script(
    repository, monkeypatch, tmp_path, command
):
    """The sweep may be started from anywhere."""
    expected = git("rev-parse", "HEAD")
    monkeypatch.chdir(tmp_path)
    *before, script = command
    monkeypatch.setattr(sys, "argv", ["__main__.py", *before, f"repository/{script}"])

    assert expected == collect_git().commit


@pytest.mark.parametrize("argument", ["elsewhere/missing.py", "elsewhere/heat.db"])
def test_what_is_no_script_names_no_repository(
    repository, monkeypatch, tmp_path, argument
):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "heat.db").touch()
    monkeypatch.setattr(sys, "argv", ["python", str(tmp_path / argument)])

    assert git("rev-parse", "HEAD") == collect_git().commit


def test_the_repository_is_not_that_of_this_package(repository, monkeypatch, tmp_path):
    """``python -m experimenter_mpi`` puts its own file first."""
    main = tmp_path / "__main__.py"
    main.touch()
    monkeypatch.setattr(sys, "argv", [str(main), "run"])

    assert git("rev-parse", "HEAD") == collect_git().commit


def test_the_facts_of_a_run_say_where_and_how(repository, monkeypatch):
    command = ["python", "-m", "experimenter_mpi", "run", "two words.py"]
    monkeypatch.setattr(sys, "orig_argv", command)
    monkeypatch.setenv("PBS_JOBID", "7.server")
    found = facts("MPIMode", 64, "MPICH 5.0")

    assert {
        "mode": "MPIMode",
        "ranks": 64,
        "mpi_library": "MPICH 5.0",
        "hostname": socket.gethostname(),
        "pid": os.getpid(),
        "job_id": "7.server",
        "command_line": "python -m experimenter_mpi run 'two words.py'",
        "python_version": platform.python_version(),
        "git_commit": git("rev-parse", "HEAD"),
        "git_dirty": False,
    } == {name: value for name, value in found.items() if name != "package_version"}


def test_the_facts_can_be_stored(repository):
    found = facts("SerialMode", 1, None)

    assert found == json.loads(json.dumps(found))


def test_the_version_is_that_of_the_package_where_it_is_installed(monkeypatch):
    from importlib import metadata

    monkeypatch.setattr(metadata, "version", lambda name: f"{name} 1.2.3")

    assert "experimenter_mpi 1.2.3" == facts("SerialMode", 1, None)["package_version"]


def test_a_checkout_that_was_never_installed_has_no_version(monkeypatch):
    from importlib import metadata

    def not_installed(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", not_installed)

    assert facts("SerialMode", 1, None)["package_version"] is None
