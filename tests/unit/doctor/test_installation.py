"""What doctor says of Python, its packages and the environment."""

from __future__ import annotations

import sys

import pytest

from experimenter_mpi.doctor import installation


def test_the_interpreter_and_the_packages_are_named():
    assert sys.executable in installation.python().text
    found = installation.packages()
    assert "ok" == found.state
    assert all(name in found.text for name in installation.PACKAGES)


def test_a_package_that_is_missing_is_a_problem_with_the_command(monkeypatch):
    monkeypatch.setattr(installation, "PACKAGES", ("numpy", "no_such_package"))
    found = installation.packages()

    assert ("problem", "not installed: no_such_package") == found[1:3]
    assert found.remedy.endswith("-m pip install no_such_package")


@pytest.mark.parametrize(
    ("version", "state"), [((3, 34, 1), "problem"), ((3, 35, 0), "ok")]
)
def test_an_sqlite_that_is_too_old_is_a_problem(monkeypatch, version, state):
    monkeypatch.setattr(installation.sqlite3, "sqlite_version_info", version)

    assert state == installation.sqlite().state


@pytest.fixture
def clean(monkeypatch, tmp_path):
    monkeypatch.setattr(installation.site, "ENABLE_USER_SITE", False)
    monkeypatch.setattr(installation.filesystem, "kind_of", lambda _path: "ext4")
    return tmp_path


def test_a_clean_environment_is_no_finding(clean):
    assert [] == list(installation.environment({}))


def test_packages_of_the_user_are_noticed(clean, monkeypatch):
    site = installation.site
    monkeypatch.setattr(site, "ENABLE_USER_SITE", True)
    monkeypatch.setattr(site, "getusersitepackages", lambda: str(clean))
    (found,) = installation.environment({})

    assert ("note", "export PYTHONNOUSERSITE=1") == found[1::2]


def test_a_pythonpath_is_noticed(clean):
    (found,) = installation.environment({"PYTHONPATH": "/opt/site"})

    assert "note" == found.state and "/opt/site" in found.text


def test_a_python_on_a_shared_disk_is_noticed(clean, monkeypatch):
    monkeypatch.setattr(installation.filesystem, "kind_of", lambda _path: "lustre")
    (found,) = installation.environment({})

    assert "note" == found.state and "lustre" in found.text
