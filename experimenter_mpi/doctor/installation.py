"""Python, its packages, and what of the environment changes either."""

from __future__ import annotations

import os
import platform
import site
import sqlite3
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from ..database.file import filesystem
from .findings import NOTE, OK, PROBLEM, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PACKAGES = ("experimenter_mpi", "mpi4py", "numpy", "h5py", "sqlalchemy")
# What a run uses if it is there.
OPTIONAL = ("rich",)
# The first with INSERT ... RETURNING.
OLDEST_SQLITE = (3, 35)


def python() -> Finding:
    """Name the interpreter; which one it is, is the first thing to look at."""
    text = f"Python {platform.python_version()}, {sys.executable}"
    return Finding("python", OK, text)


def packages() -> Finding:
    """Name the versions of what a run needs."""
    found = {name: _version(name) for name in PACKAGES}
    missing = [name for name, known in found.items() if known is None]
    if missing:
        return Finding(
            "packages",
            PROBLEM,
            f"not installed: {', '.join(missing)}",
            f"{sys.executable} -m pip install {' '.join(missing)}",
        )
    found |= {name: _version(name) for name in OPTIONAL}
    text = ", ".join(f"{name} {known or '(none)'}" for name, known in found.items())
    return Finding("packages", OK, text)


def sqlite() -> Finding:
    """Name the SQLite that Python has."""
    text = f"SQLite {sqlite3.sqlite_version}"
    if sqlite3.sqlite_version_info[:2] < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        remedy = "use a Python with a newer one, such as that of conda-forge"
        return Finding("sqlite", PROBLEM, f"{text}, and {oldest} is needed", remedy)
    return Finding("sqlite", OK, text)


def environment(variables: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Name what makes another Python of this one for some users, or on some hosts."""
    user = site.getusersitepackages()
    if site.ENABLE_USER_SITE and os.path.isdir(user):
        text = f"packages in {user} come before those that are installed with Python"
        yield Finding("user site", NOTE, text, "export PYTHONNOUSERSITE=1")
    if variables.get("PYTHONPATH"):
        text = f"PYTHONPATH={variables['PYTHONPATH']} comes before installed packages"
        remedy = "unset PYTHONPATH, unless it is meant: module files often set it"
        yield Finding("PYTHONPATH", NOTE, text, remedy)
    kind = filesystem.kind_of(sys.prefix)
    if kind is not None and kind not in filesystem.LOCAL:
        text = f"Python is on {kind}: thousands of ranks read it in the same second"
        remedy = "copy the environment to the nodes' own disks; see docs/clusters.md"
        yield Finding("python's disk", NOTE, text, remedy)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
