"""Which packages a script imports: found in its text, asked of what is installed."""

from __future__ import annotations

import sys
import types
from importlib.metadata import version

import pytest

from experimenter_mpi.run import package_versions
from experimenter_mpi.run.package_versions import imported_by


@pytest.fixture(autouse=True)
def _asked_afresh():
    package_versions.version_of.cache_clear()


@pytest.mark.parametrize(
    "text",
    [
        b"import numpy",
        b"import os, numpy.linalg as la",
        b"from numpy.random import default_rng",
        b"def trial(c, i):\n    import numpy\n",
        b"# \xe9\nimport numpy".replace(b"\xe9", b"\xc3\xa9"),
        b"'\\d'\nimport numpy",
    ],
)
def test_a_package_is_found_wherever_the_script_imports_it(text):
    assert imported_by({"/x/exp.py": text}) == {"numpy": version("numpy")}


@pytest.mark.parametrize(
    "text",
    [
        b"import os, json",
        b"from . import numpy",
        b"from experimenter_mpi import Experiment",
        b"import no_such_package_anywhere",
        b"import numpy as",
        b"\x00import numpy",
        b"(" * 10_000,
    ],
)
def test_nothing_else_is_taken_for_a_package(text):
    assert imported_by({"/x/exp.py": text}) == {}


def test_files_that_import_each_other_are_no_packages(monkeypatch):
    physics = types.ModuleType("physics")
    physics.__version__ = "3"
    monkeypatch.setitem(sys.modules, "physics", physics)
    texts = {"/x/exp.py": b"import physics, model", "/x/physics.py": b""}

    assert imported_by({**texts, "/x/model/__init__.py": b""}) == {}


def test_a_package_that_is_installed_by_another_name_has_a_version(monkeypatch):
    """As ``yaml`` of PyYAML: here the module of mpi4py's neighbour in the tests."""
    made = types.ModuleType("_pytest")
    monkeypatch.setitem(sys.modules, "_pytest", made)

    assert imported_by({"/x/exp.py": b"import _pytest"}) == {
        "_pytest": version("pytest")
    }


def test_a_module_that_says_its_version_is_believed(monkeypatch):
    made = types.ModuleType("homemade")
    made.__version__ = "2.5"
    monkeypatch.setitem(sys.modules, "homemade", made)

    assert imported_by({"/x/exp.py": b"import homemade"}) == {"homemade": "2.5"}
