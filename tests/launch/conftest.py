"""Ways to run an exp.py as a user does: alone, and under mpirun."""

from __future__ import annotations

import pytest

from support.experiments import PACKAGE, Folder


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture(params=["serial", "mpirun"])
def run_cli(request, serial, mpirun):
    """Run `experimenter_mpi ARGS...` alone, and on three ranks."""
    if request.param == "serial":
        return lambda *args, **options: serial(*PACKAGE, *args, **options)
    return lambda *args, **options: mpirun(3, *PACKAGE, *args, **options)


@pytest.fixture
def bare(mpirun):
    """Return the modules of a Python of this environment that runs nothing.

    Distributions and packages add to them: ``sitecustomize``, files that end in .pth.
    """
    code = "import sys; print(*sys.modules)"
    return set(mpirun(1, "-c", code).expect(0).stdout.split())
