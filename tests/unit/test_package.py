"""The package's face: every promised name, and nothing imported before it is used."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from pathlib import Path

import pytest

import experimenter_mpi
from support.fakes import WITH_PACKAGE

SOURCE = ast.parse(Path(experimenter_mpi.__file__).read_text())


def typed_names():
    """Read the imports that type checkers see: the home of each name."""
    (block,) = (
        node
        for node in SOURCE.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    return {
        alias.asname or alias.name: node.module
        for node in block.body
        for alias in node.names
    }


def test_the_public_names_are_those_type_checkers_see():
    assert sorted(typed_names()) == experimenter_mpi.__all__


def test_each_name_comes_from_where_type_checkers_see_it():
    assert typed_names() == experimenter_mpi._HOMES


@pytest.mark.parametrize("name", experimenter_mpi.__all__)
def test_every_name_resolves_to_the_one_definition_of_it(name):
    home = importlib.import_module(f".{typed_names()[name]}", "experimenter_mpi")

    assert getattr(home, name) is getattr(experimenter_mpi, name)


@pytest.mark.parametrize("name", experimenter_mpi.__all__)
def test_every_name_has_help(name):
    assert inspect.getdoc(getattr(experimenter_mpi, name))


def test_dir_shows_the_public_names_and_no_machinery():
    assert {*experimenter_mpi.__all__, "__version__"} == set(dir(experimenter_mpi))


def test_a_star_import_gives_the_public_names():
    namespace = {}
    exec("from experimenter_mpi import *", namespace)  # noqa: S102
    namespace.pop("__builtins__")

    assert set(experimenter_mpi.__all__) == set(namespace)


def test_an_unknown_name_is_an_attribute_error_as_of_any_module():
    with pytest.raises(
        AttributeError, match="module 'experimenter_mpi' has no attribute 'exekute'"
    ):
        experimenter_mpi.exekute  # noqa: B018


def test_the_version_is_that_of_the_installed_package(monkeypatch):
    from importlib import metadata

    monkeypatch.setattr(metadata, "version", lambda name: f"{name} 1.2.3")

    assert "experimenter_mpi 1.2.3" == experimenter_mpi.__version__


def modules_after(serial, statement):
    """Run a statement in a fresh Python; give the modules that it loaded."""
    code = (
        "import sys, __future__, typing\n"
        "before = set(sys.modules)\n"
        f"{statement}\n"
        "print(*set(sys.modules) - before, sep='\\n')\n"
    )
    return set(serial("-c", code, env=WITH_PACKAGE).expect(0).stdout.split())


def test_importing_the_package_imports_nothing_else(serial):
    assert {"experimenter_mpi"} == modules_after(serial, "import experimenter_mpi")


@pytest.mark.parametrize("name", ["Experiment", "LinearVariable", "get_global_store"])
def test_what_every_script_uses_needs_nothing_heavy(serial, name):
    """Each of thousands of ranks reads it from one file system in the same second."""
    loaded = modules_after(serial, f"from experimenter_mpi import {name}")
    outside = {module.partition(".")[0] for module in loaded} - sys.stdlib_module_names

    assert {"experimenter_mpi"} == outside
    assert set() == loaded & {"sqlite3", "dataclasses", "inspect", "asyncio"}


def test_a_name_is_looked_up_once(monkeypatch):
    monkeypatch.delitem(vars(experimenter_mpi), "Trial", raising=False)
    first = experimenter_mpi.Trial

    assert vars(experimenter_mpi)["Trial"] is first
