"""The verb ``job`` in a folder where no scheduler is to be found but stand-ins."""

from __future__ import annotations

import shutil

import pytest

from experimenter_mpi.cli import run_verb


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exp.py").write_text("experiment = 1\n")
    # No scheduler of this machine is to be found.
    (tmp_path / "bin").mkdir()
    for name in ("cat", "seq", "sh"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


@pytest.fixture
def job(here, capsys):
    """Run `job ARGS...`; give exit code, standard output and standard error."""

    def run(*arguments):
        code = run_verb(["job", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run
