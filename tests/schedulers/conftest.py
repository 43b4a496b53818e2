"""A real Slurm and a real Grid Engine, which scripts/schedulers starts for tests."""

from __future__ import annotations

import pytest

from support.experiments import Folder
from support.scheduler import GridEngine, Site, Slurm

# Nothing that a shell, a scheduler or this package reads in a path may harm it.
STRANGE = 'a user\'s "own" $folder'


def _site(scheduler, tmp_path):
    if not scheduler.is_there():
        pytest.skip(
            f"no {scheduler.name} to run jobs: scripts/schedulers starts one and sets "
            f"EXPERIMENTER_TEST_{scheduler.name.upper()}"
        )
    folder = tmp_path / STRANGE
    folder.mkdir()
    return Site(scheduler, folder)


@pytest.fixture
def slurm(tmp_path):
    site = _site(Slurm(), tmp_path)
    yield site
    site.leave()


@pytest.fixture
def sge(tmp_path):
    site = _site(GridEngine(), tmp_path)
    yield site
    site.leave()


@pytest.fixture
def folder(request):
    """The folder of whichever scheduler the test uses."""
    name = {"slurm", "sge"} & set(request.fixturenames)
    return Folder(request.getfixturevalue(name.pop()).folder)
